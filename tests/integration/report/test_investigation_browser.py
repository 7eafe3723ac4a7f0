# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Investigations in a real Chromium: reached from their finding, read by keyboard, hostile text, themes and widths."""

from __future__ import annotations

import typing as t

import pytest

from tests.support import require
from tests.unit.plugins.plugin_utils.investigation import samples as results
from tests.unit.plugins.plugin_utils.report import investigation_samples, samples

require("chromium", "command:chromedriver", "module:selenium")

from selenium.webdriver.common.keys import Keys  # noqa: E402 - after the requirement it needs

from tests.integration.report.browser import LOW_CONTRAST, SKELETON, Browser  # noqa: E402

_REPORT = investigation_samples.report()
_FIRST = f"#investigation-{investigation_samples.FIRST}"
_SELECTED = ".node-panel h3 bdi"
_FOCUSED = "return document.activeElement.querySelector('.tree-label')?.textContent"
_ROLES = """
return [...document.querySelectorAll("details[open].investigation [role=treeitem]")].map((item) => [
  document.getElementById(item.getAttribute("aria-labelledby")).textContent.trim() !== "",
  item.getAttribute("aria-level"), item.getAttribute("aria-selected"), item.tabIndex])
"""


def _tab(browser: Browser, name: str) -> None:
    # The page's header may lie over it, from where the driver does not scroll away.
    browser.run("document.querySelector(arguments[0]).click()", f"details[open].investigation [id$='-{name}-tab']")


def _lines(browser: Browser) -> list[str]:
    return browser.texts("details[open].investigation .timeline .what")


def test_a_finding_leads_to_its_investigation_and_back(browser: Browser) -> None:
    browser.open(_REPORT, f"#findings?finding={results.UID}")
    assert not browser.find("[data-slot=investigate]").is_displayed()
    browser.find("#finding-list details[open] [data-slot=investigation]").click()
    assert browser.fragment == _FIRST
    assert browser.find("details[open].investigation [role=tree]").is_displayed()
    browser.find("details[open].investigation .investigation-by a").click()
    assert browser.texts("#finding-list details[open] .finding-subject") == ["/dev/shm/x"]
    assert browser.complaints == []


def test_a_finding_without_one_says_how_to_investigate_it(browser: Browser) -> None:
    other = samples.fleet().findings[0]
    browser.open(_REPORT, f"#findings?finding={other.uid}")
    command = f"ansible-playbook bulwark.servers.investigate -e finding={other.uid}"
    assert command in browser.find("#finding-list details[open] [data-slot=investigate]").text


def test_views_are_made_when_an_investigation_is_unfolded(browser: Browser) -> None:
    browser.open(_REPORT)
    assert browser.texts(".tree") == []
    browser.open(_REPORT, _FIRST)
    assert browser.texts("details[open] .tree > li > .tree-row .tree-label") == [
        f"finding {results.UID}",
        "nginx (810)",
    ]
    assert browser.texts(_SELECTED) == [f"finding {results.UID}"]
    assert len(browser.texts(".tree")) == 1


def test_the_tree_is_read_by_keyboard(browser: Browser) -> None:
    browser.open(_REPORT, _FIRST)
    roles = browser.run(_ROLES)
    assert len(roles) == len(results.web_shell()["nodes"])
    assert all(is_named for is_named, _level, _selected, _index in roles)
    assert [index for _named, _level, _selected, index in roles].count(0) == 1
    browser.run("document.querySelector('[role=treeitem][tabindex=\"0\"]').focus()")
    browser.press(Keys.ARROW_DOWN)
    assert browser.run(_FOCUSED) == "/dev/shm/x"
    browser.press(Keys.ENTER)
    assert browser.texts(_SELECTED) == ["/dev/shm/x"]
    browser.press(Keys.ARROW_LEFT)
    browser.press(Keys.ARROW_DOWN)
    assert browser.run(_FOCUSED) == "nginx (810)"  # what is folded is skipped
    browser.press(Keys.ARROW_UP, Keys.ARROW_RIGHT, Keys.ARROW_RIGHT)
    assert browser.run(_FOCUSED) == "/etc/cron.d/apt-cache"
    browser.press(Keys.END)
    assert browser.run(_FOCUSED) == "nginx"
    browser.press(Keys.ARROW_LEFT, Keys.ARROW_RIGHT, Keys.SPACE)
    assert browser.texts(_SELECTED) == ["nginx (812)"]


def test_tabs_are_changed_by_arrow_keys(browser: Browser) -> None:
    browser.open(_REPORT, _FIRST)
    browser.find("details[open].investigation [role=tab][tabindex='0']").send_keys(Keys.ARROW_RIGHT)
    assert browser.find("details[open].investigation .timeline").is_displayed()
    assert browser.press(Keys.END).text == "Graph"
    assert browser.find("details[open].investigation .graph").is_displayed()
    assert browser.press(Keys.ARROW_RIGHT).get_attribute("aria-selected") == "true"
    assert browser.find("details[open].investigation .tree").is_displayed()


def test_the_timeline_is_filtered_by_source_and_words(browser: Browser) -> None:
    browser.open(_REPORT, _FIRST)
    _tab(browser, "timeline")
    assert len(_lines(browser)) == 8
    assert browser.texts("details[open] .timeline .when")[5] == "2026-11-30 02:50:31.500"
    status = browser.find("details[open].investigation [role=status]")
    assert status.text == "8 of 8 lines, all times in UTC."
    label = browser.run(
        "return [...document.querySelectorAll('.timeline-filter .choice')].find((e) => e.textContent.includes('audit'))"
    )
    label.click()
    assert len(_lines(browser)) == 4
    browser.find("details[open].investigation input[type=search]").send_keys("CURL wrote")
    assert _lines(browser) == ["curl (4712) wrote /dev/shm/x (openat)"]
    assert status.text == "1 of 8 lines, all times in UTC."
    browser.find("details[open].investigation .timeline .about button").click()
    assert browser.texts(_SELECTED) == ["curl (4712)"]


def test_the_graph_is_walked_by_arrow_keys(browser: Browser) -> None:
    browser.open(_REPORT, _FIRST)
    _tab(browser, "graph")
    boxes = browser.run("return document.querySelectorAll('.graph .box').length")
    assert boxes == 13
    browser.run("document.querySelector('.graph .box[tabindex=\"0\"]').focus()")
    browser.press(Keys.ARROW_RIGHT)
    assert browser.run("return document.activeElement.getAttribute('aria-label')").startswith(("Process", "Startup"))
    focused = browser.run("return document.activeElement.querySelector('title').textContent")
    browser.press(Keys.ENTER)
    assert browser.texts(_SELECTED) == [focused]
    assert browser.run("return document.querySelectorAll('.graph .edge.is-linked').length") > 0
    assert browser.run("return document.querySelectorAll('.graph .box[tabindex=\"0\"]').length") == 1


def test_what_a_thing_is_linked_with_can_be_followed(browser: Browser) -> None:
    browser.open(_REPORT, _FIRST)
    browser.find("details[open].investigation .node-list button").click()
    assert browser.texts(_SELECTED) == ["/dev/shm/x"]
    panel = browser.find("details[open].investigation .node-panel").text
    assert "is executed by x (4713) (proc)" in panel
    assert "was written by curl (4712) (audit) 2026-11-30 02:50:31.500" in panel
    assert "unpackaged" in panel


def test_a_large_one_is_shown_in_parts(browser: Browser) -> None:
    browser.open(_REPORT, f"#investigation-{investigation_samples.SECOND}")
    assert len(browser.texts("details[open] [role=treeitem]")) == 800
    _tab(browser, "timeline")
    assert len(_lines(browser)) == 100
    more = browser.find("details[open].investigation [id$=-timeline] > div > button")
    assert more.text == "Show 100 more of 1,900"
    more.click()
    assert len(_lines(browser)) == 200
    _tab(browser, "graph")
    assert "of 800, the nearest ones" in browser.find("details[open].investigation .graph-words").text


def _shown_everywhere(browser: Browser, text: str) -> t.Any:
    """Open an investigation in which a host has sent a text wherever it can, and return the elements of the page."""
    browser.open(investigation_samples.hostile(text), _FIRST)
    for name in ("graph", "timeline", "tree"):
        _tab(browser, name)
    return browser.run(SKELETON)


@pytest.fixture(scope="module")
def harmless(chromium: Browser) -> t.Any:
    return _shown_everywhere(chromium, "harmless")


@pytest.mark.parametrize("attack", samples.ATTACKS)
def test_hostile_text_is_text(harmless: t.Any, browser: Browser, attack: str) -> None:
    assert _shown_everywhere(browser, attack) == harmless
    assert browser.complaints == []
    assert browser.run("return window.pwned === undefined && document.images.length === 0")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 820, 1280])
def test_every_text_can_be_read_and_nothing_is_wider_than_the_window(browser: Browser, width: int, scheme: str) -> None:
    browser.media("", scheme)
    browser.open(_REPORT, _FIRST, width=width)
    for name in ("tree", "timeline", "graph"):
        _tab(browser, name)
        assert browser.run(LOW_CONTRAST) == []
        assert browser.run("return document.documentElement.scrollWidth") <= width


def test_on_paper_and_without_javascript_there_is_the_summary(browser: Browser) -> None:
    sentence = "curl (4712) downloaded /dev/shm/x from 203.0.113.9:443."
    browser.open(_REPORT, _FIRST)
    browser.media("print")
    assert sentence in browser.find("details[open].investigation .investigation-summary").text
    assert not browser.find("details[open].investigation .views").is_displayed()
    browser.media()
    browser.open(_REPORT, script=False)
    browser.find(f"{_FIRST} > summary".replace("#investigation-", "[id='investigation-").replace(" >", "'] >")).click()
    text = browser.find("details[open].investigation").text
    assert sentence in text
    assert "need JavaScript" in text
