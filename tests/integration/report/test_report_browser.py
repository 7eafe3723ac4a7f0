# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The findings in a real Chromium: hostile text, keyboard, screen reader, dark mode, paper, phone, and speed."""

from __future__ import annotations

import base64
import csv
import dataclasses
import io
import itertools
import json
import pathlib
import statistics
import typing as t

import pytest
from ansible_collections.bulwark.servers.plugins.plugin_utils import capabilities
from ansible_collections.bulwark.servers.plugins.plugin_utils.ocsf.statuses import STATUSES
from ansible_collections.bulwark.servers.plugins.plugin_utils.report import cards, model, shown
from ansible_collections.bulwark.servers.plugins.plugin_utils.store import Finding

from tests.support import require, waiting
from tests.unit.plugins.plugin_utils.report import benchmark_samples, investigation_samples, samples

require("chromium", "command:chromedriver", "module:selenium")

from selenium.webdriver.common.keys import Keys  # noqa: E402 - after the requirement it needs

from tests.integration.report.browser import LOW_CONTRAST, SKELETON, Browser  # noqa: E402

_FLEET = samples.fleet()
_HOSTILE_HOST = "\u202e" + "w" * 300 + "<script>"


def expected(test: t.Callable[[Finding], bool]) -> int:
    return sum(test(finding) for finding in _FLEET.findings)


# What came from hosts


def test_the_page_opens_without_a_complaint_and_asks_for_nothing(browser: Browser) -> None:
    browser.open(_FLEET)
    assert browser.complaints == []
    events = [entry["message"] for entry in browser.driver.get_log("performance")]
    assert len([event for event in events if '"Network.requestWillBeSent"' in event]) == 1


def _shown_everywhere(browser: Browser, text: str) -> t.Any:
    """Open a report in which hosts have sent a text wherever they can, and return its elements."""
    browser.open(benchmark_samples.hostile(text), "#findings?status=new,open,suppressed,resolved")
    browser.find("#expand").click()
    browser.unfold_controls()
    assert browser.texts("#finding-list .finding-subject") == [shown.visible(text)] * 4
    assert shown.visible(text, multiline=True) in browser.texts("#finding-list .facts dd")
    return browser.run(SKELETON)


@pytest.fixture(scope="module")
def harmless(chromium: Browser) -> t.Any:
    return _shown_everywhere(chromium, "harmless")


@pytest.mark.parametrize("attack", samples.ATTACKS)
def test_what_hosts_send_is_text_and_nothing_else(harmless: t.Any, browser: Browser, attack: str) -> None:
    assert _shown_everywhere(browser, attack) == harmless
    assert browser.complaints == []
    assert browser.run("return window.pwned === undefined && document.scripts.length === 2")


def test_a_filter_in_the_address_is_text_too(browser: Browser) -> None:
    attack = "%3Cimg%20src%3Dx%20onerror%3Dwindow.pwned%3D1%3E"
    names = ("host", "capability", "alert", "q", "sort", "page", "finding", "severity", "status", "__proto__")
    browser.open(_FLEET, "#findings?" + "&".join(f"{name}={attack}" for name in names))
    assert browser.run("return window.pwned === undefined && document.images.length === 0")
    assert "<img src=x onerror=window.pwned=1>" in browser.result
    assert browser.complaints == []


def test_the_policy_stops_what_the_page_would_never_do(browser: Browser) -> None:
    browser.open(_FLEET)
    # From a timer: what the driver itself runs is let off the policy.
    stopped = browser.driver.execute_async_script(  # type: ignore[no-untyped-call]
        """
        const done = arguments[0];
        const stopped = [];
        const attempt = (name, act) => { try { act(); } catch { stopped.push(name); } };
        setTimeout(() => {
          attempt("markup", () => { document.body.innerHTML = "<b>x</b>"; });
          attempt("evaluation", () => { (0, eval)("window.pwned = 1"); });
          attempt("script", () => { document.createElement("script").text = "window.pwned = 1"; });
          const style = document.createElement("style");
          style.textContent = "body { display: none }";
          document.head.append(style);
          if (getComputedStyle(document.body).display !== "none") stopped.push("style");
          const image = document.createElement("img");
          image.onerror = () => done([...stopped, "image", window.pwned]);
          image.src = "https://127.0.0.1:9/x.png";
        });
        """
    )
    assert stopped == ["markup", "evaluation", "script", "style", "image", None]
    assert any(
        "127.0.0.1:9/x.png' violates the following Content Security Policy" in line for line in browser.complaints
    )


# Finding things


def _is_active(finding: Finding) -> bool:
    return finding.is_active


_ADDRESSES: dict[str, t.Callable[[Finding], bool]] = {
    "": _is_active,
    "#coverage": _is_active,
    "#findings?severity=critical,high": lambda f: f.is_active and f.severity in ("critical", "high"),
    "#findings?tactic=Privilege+Escalation": lambda f: f.is_active and f.alert == "setuid_created",
    "#findings?status=resolved": lambda f: f.status == "resolved",
    "#findings?status=": lambda f: f.status in STATUSES,
    "#findings?host=web-000.example.org": lambda f: f.is_active and f.host == "web-000.example.org",
    "#findings?host=WEB": lambda f: f.is_active and "web" in f.host,
    "#findings?capability=audit": lambda f: f.capability == "audit",
    "#findings?alert=cron_changed": lambda f: f.is_active and f.alert == "cron_changed",
    "#findings?q=BACKUP+4755+cron": lambda f: f.is_active and f.alert == "cron_changed" and "backup" in f.subject,
    "#findings?severity=low&host=db&status=open": lambda f: (
        f.severity == "low" and "db" in f.host and f.status == "open"
    ),
}


@pytest.mark.parametrize(("fragment", "test"), _ADDRESSES.items(), ids=_ADDRESSES)
def test_an_address_shows_what_it_asks_for(browser: Browser, fragment: str, test: t.Callable[[Finding], bool]) -> None:
    browser.open(_FLEET, fragment)
    wanted = expected(test)
    assert browser.result.startswith(f"{wanted} of 140 findings" if wanted else "No finding ")
    assert wanted or browser.result.endswith(" among 140.")
    assert len(browser.texts("#finding-list > li")) == min(wanted, 50)


def test_controls_filter_and_the_address_follows(browser: Browser) -> None:
    browser.open(_FLEET)
    browser.find("input[name=severity][value=critical]").click()
    browser.find("input[name=status][value=open]").click()
    browser.find("#filter-text").send_keys("bin sync")
    browser.find("#filter-host").send_keys("queue")
    assert browser.fragment == "#findings?severity=critical&status=new&host=queue&q=bin+sync"
    result = browser.result
    browser.driver.refresh()
    assert browser.result == result
    assert browser.find("#filter-text").get_property("value") == "bin sync"
    assert browser.find("input[name=severity][value=critical]").is_selected()
    browser.find("#filter-reset").click()
    assert browser.fragment == "#findings"
    assert browser.result.startswith(f"{expected(lambda finding: finding.is_active)} of 140 findings")


def test_an_issue_leads_to_its_findings_and_back_to_all(browser: Browser) -> None:
    browser.open(_FLEET)
    browser.find(".attention .action a").click()
    wanted = expected(lambda finding: finding.is_active and finding.alert == "package_file_modified")
    assert browser.result.startswith(f'{wanted} of 140 findings with status new or open, alert "A packaged program')
    browser.find("#filter-alert-clear").click()
    assert browser.fragment == "#findings"


def test_a_host_shows_its_score_and_what_was_not_checked_on_it(browser: Browser) -> None:
    browser.open(_FLEET, "#findings?host=queue-002.example.org")
    text = browser.find("#host-panel").text
    assert "queue-002.example.org: secure score 0 of 100" in text
    assert "Audit analytics: not checked (0 of 1 scope)" in text
    assert "auditd is not running: install it and start it." in text


def test_a_host_shows_what_packages_explain_on_it(browser: Browser) -> None:
    browser.open(_FLEET, "#findings?host=queue-000.example.org")
    panel = browser.find("#host-panel")
    assert "openssh-server" not in panel.text
    panel.find_element("css selector", "summary").click()
    assert "36 changes explained by packages, updates and the like" in panel.text
    lines = panel.text.splitlines()
    examples = "/usr/sbin/sshd, /usr/lib/openssh/sshd-session, …"
    assert f"File integrity: 31 changes are explained by openssh-server 1:10.0p1-7: {examples}" in lines
    assert "File integrity: 1 change is explained by helper-tools 0.1: /usr/local/bin/helper" in lines


@pytest.mark.parametrize(
    ("words", "shown"),
    [
        ("", ["helper-tools 0.1", "openssh-server 1:10.0p1-7", "libc6 2.41-12"]),
        ("OPENSSH", ["openssh-server 1:10.0p1-7"]),
        ("/usr/local helper", ["helper-tools 0.1"]),
        ("web-002.example.org", ["openssh-server 1:10.0p1-7", "libc6 2.41-12"]),
        ("nothing such", []),
    ],
)
def test_what_packages_explain_is_folded_and_searched(browser: Browser, words: str, shown: list[str]) -> None:
    browser.open(_FLEET)
    assert not browser.find("#explained-filter").is_displayed()
    browser.find("#explained > summary").send_keys(Keys.ENTER)
    browser.find("#explained-filter").send_keys(words)
    rows = browser.driver.find_elements("css selector", "#explained tbody th")
    assert [row.text for row in rows if row.is_displayed()] == shown
    assert browser.find("#explained-result").text == (f"{len(shown)} of 3" if words else "")


def test_without_a_finding_what_packages_explain_is_searched_too(browser: Browser) -> None:
    entries = tuple(entry for entry in _FLEET.coverage if entry.host == "web-000.example.org")
    browser.open(samples.data(runs=(samples.run(),), coverage=entries))
    browser.find("#explained > summary").click()
    browser.find("#explained-filter").send_keys("libc")
    assert browser.find("#explained-result").text == "1 of 2"
    assert browser.complaints == []


def test_a_finding_has_an_address_of_its_own(browser: Browser) -> None:
    resolved = next(finding for finding in _FLEET.findings if finding.status == "resolved")
    browser.open(_FLEET, f"#findings?finding={resolved.uid}")
    opened = browser.driver.find_elements("css selector", "details.finding[open]")
    assert [item.find_element("css selector", ".finding-subject").text for item in opened] == [resolved.subject]
    for words in (resolved.event["message"], "4755", "Looked again, and it is gone.", "What to do"):
        assert words in opened[0].text


@pytest.mark.parametrize("script", [True, False], ids=["script", "no script"])
def test_a_finding_names_the_other_hosts_that_show_the_same(browser: Browser, script: bool) -> None:
    active = next(finding for finding in _FLEET.findings if finding.is_active)
    hosts = "web03 and <b>web07</b>"
    card = dataclasses.replace(_FLEET.cards[active.uid], shared=[("digest", "ab" * 32, hosts)])
    alone = dataclasses.replace(_FLEET, findings=(active,), cards={active.uid: card})
    browser.open(alone, f"#findings?finding={active.uid}", script=script)
    (section,) = browser.driver.find_elements("css selector", "details.finding [data-slot=shared]")
    text = section.get_property("textContent")
    assert isinstance(text, str)
    assert " ".join(text.split()) == f"Also on other hosts The same digest {'ab' * 32} on {hosts}"
    assert section.is_displayed() == script  # folded without it
    browser.open(dataclasses.replace(alone, cards={active.uid: _FLEET.cards[active.uid]}), script=script)
    assert not browser.find("details.finding [data-slot=shared]").is_displayed()


def test_pages_turn_and_the_order_holds(browser: Browser) -> None:
    browser.open(_FLEET, "#findings?status=&sort=host")
    hosts = browser.texts("#finding-list [data-slot=host]")
    for _turn in range(2):
        browser.find("#page-next").click()
        hosts += browser.texts("#finding-list [data-slot=host]")
    assert hosts == sorted(finding.host for finding in _FLEET.findings)
    assert not browser.find("#page-next").is_enabled()
    assert "here 101 to 140" in browser.result


# Taking things along

_SHELL = samples.web_shell(f"=cmd|' /C calc'!A0 {'x' * 3_000} end")
_ATTACKED = dataclasses.replace(
    _FLEET, findings=(_SHELL, *_FLEET.findings), cards={_SHELL.uid: cards.card(_SHELL), **_FLEET.cards}
)


def _downloaded(browser: Browser, button: str, path: pathlib.Path) -> str:
    browser.command("Browser.setDownloadBehavior", behavior="allow", downloadPath=str(path.parent))
    browser.run("document.getElementById(arguments[0]).click()", button)
    waiting.until(path.exists, "the browser saves no file")
    return path.read_text(encoding="utf-8")


def test_what_is_filtered_can_be_saved(browser: Browser, tmp_path: pathlib.Path) -> None:
    browser.open(_ATTACKED, "#findings?tactic=Privilege+Escalation&q=nginx")
    saved = json.loads(_downloaded(browser, "download-json", tmp_path / "bulwark-findings.json"))
    (found,) = saved["findings"]
    assert (found["uid"], found["tactics"]) == (_SHELL.uid, ["Privilege Escalation"])
    server = found["processes"][0]["started"][0]
    assert [each["label"] for each in server["started"]] == ["sh (4711)", "id (4712)"]
    text = _downloaded(browser, "download-csv", tmp_path / "bulwark-findings.csv")
    (row,) = csv.DictReader(io.StringIO(text, newline=""))
    assert (row["uid"], row["severity"], row["tactics"]) == (_SHELL.uid, "critical", "Privilege Escalation")
    assert browser.complaints == []


def test_no_cell_of_the_saved_table_is_a_formula(browser: Browser, tmp_path: pathlib.Path) -> None:
    attack = "=1+1;@SUM(A1)"
    browser.open(samples.hostile(attack), "#findings?status=")
    text = _downloaded(browser, "download-csv", tmp_path / "bulwark-findings.csv")
    rows = list(csv.reader(io.StringIO(text, newline="")))
    assert len(rows) == 5
    cells = [part for row in rows for cell in row for part in cell.split(";")]
    assert not [cell for cell in cells if cell.strip().startswith(("=", "+", "-", "@"))]
    assert "'=1+1;'@SUM(A1)" in rows[1]


def test_a_long_command_line_is_folded_and_copied_whole(browser: Browser) -> None:
    browser.open(_ATTACKED, f"#findings?finding={_SHELL.uid}")
    line = browser.find("#finding-list details[open] .process-command")
    assert not line.find_element("css selector", ".copy-text").is_displayed()
    browser.run(
        """
        window.copied = [];
        Object.defineProperty(navigator, "clipboard", { value: { writeText: async (text) => { copied.push(text); } } });
        """
    )
    for button in line.find_elements("css selector", ".copy"):
        button.send_keys(Keys.ENTER)
    waiting.until(lambda: browser.run("return copied.length") == 1)
    (copied,) = browser.run("return copied")
    assert copied.startswith("=cmd|")
    assert copied.endswith("x end")
    assert len(copied) > 3_000
    waiting.until(lambda: browser.texts("#copied") == ["Copied."])


# Without a mouse, without eyes


def test_everything_works_with_a_keyboard_alone(browser: Browser) -> None:
    browser.open(_FLEET)
    assert browser.press(Keys.TAB).text == "Skip to the report"
    assert browser.press(Keys.ENTER).get_attribute("id") == "main"
    while browser.press(Keys.TAB).get_attribute("id") != "filter-text":
        assert browser.run("return document.activeElement !== document.body"), "the filter was never reached"
    browser.press("b", "a", "c", "k", "u", "p")
    while browser.press(Keys.TAB).get_attribute("value") != "critical":
        pass
    browser.press(Keys.SPACE)
    wanted = expected(lambda f: f.is_active and f.severity == "critical" and "backup" in f.subject)
    assert browser.result.startswith(
        f'{wanted} of 140 findings with severity critical, status new or open, text "backup"'
    )
    while (focused := browser.press(Keys.TAB)).tag_name != "summary":
        pass
    browser.press(Keys.ENTER)
    assert focused.find_element("xpath", "..").get_property("open")


def test_what_has_the_focus_is_seen(browser: Browser) -> None:
    browser.open(_FLEET)
    for _step in range(40):
        browser.press(Keys.TAB)
        outlined = browser.run(
            "const e = document.activeElement;"
            "return [e, e.closest('.choice')].some((x) => x && getComputedStyle(x).outlineStyle === 'solid'"
            " && Number.parseFloat(getComputedStyle(x).outlineWidth) >= 2)"
        )
        assert outlined, browser.run("return document.activeElement.outerHTML")


def test_a_screen_reader_finds_landmarks_and_a_name_for_every_control(browser: Browser) -> None:
    browser.open(_FLEET)
    nodes = [node for node in browser.command("Accessibility.getFullAXTree")["nodes"] if not node["ignored"]]
    roles = [node["role"]["value"] for node in nodes]
    for landmark in ("banner", "navigation", "main", "contentinfo", "search", "status"):
        assert landmark in roles
    controls = {
        "link",
        "button",
        "checkbox",
        "combobox",
        "searchbox",
        "textbox",
        "DisclosureTriangle",
        "table",
        "image",
    }
    nameless = [
        node["role"]["value"]
        for node in nodes
        if node["role"]["value"] in controls - {"table"} and not node["name"]["value"].strip()
    ]
    assert nameless == []
    assert browser.run("return document.documentElement.lang") == "en"


@pytest.mark.parametrize("width", [1280, 390])
def test_headings_and_tables_keep_their_structure(browser: Browser, width: int) -> None:
    browser.open(_FLEET, width=width)
    levels = browser.run("return [...document.querySelectorAll('h1, h2, h3, h4')].map((e) => Number(e.tagName[1]))")
    assert levels.count(1) == 1
    assert all(level - before <= 1 for before, level in itertools.pairwise(levels))
    nodes = browser.command("Accessibility.getFullAXTree")["nodes"]
    roles = [node["role"]["value"] for node in nodes if not node["ignored"]]
    assert roles.count("table") >= 4
    assert roles.count("columnheader") >= 20


def test_a_result_is_announced(browser: Browser) -> None:
    browser.open(_FLEET)
    result = browser.find("#result")
    assert (result.get_attribute("role"), result.get_attribute("aria-live")) == ("status", "polite")


# Light, dark, phone, paper


@pytest.mark.parametrize("host", ["web", "web-000.example.org"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_text_can_be_read(browser: Browser, scheme: str, host: str) -> None:
    browser.media(scheme=scheme)
    browser.open(_FLEET, f"#findings?status=&host={host}")
    browser.run("for (const folded of document.querySelectorAll('details')) folded.open = true")
    assert browser.run(LOW_CONTRAST) == []


def test_dark_mode_follows_the_system_until_someone_chooses(browser: Browser) -> None:
    def background() -> t.Any:
        return browser.run("return getComputedStyle(document.body).backgroundColor")

    browser.media(scheme="dark")
    browser.open(_FLEET)
    dark = background()
    browser.media(scheme="light")
    light = background()
    assert light != dark
    browser.find("#theme").click()
    browser.find("#theme").click()
    assert (browser.find("#theme").text, background()) == ("Theme: dark", dark)
    browser.driver.refresh()
    assert background() == dark


@pytest.mark.parametrize("text", ["fleet", _HOSTILE_HOST], ids=["fleet", "hostile"])
def test_no_screen_needs_sideways_scrolling(browser: Browser, text: str) -> None:
    browser.open(_FLEET if text == "fleet" else samples.hostile(text))
    browser.find("#expand").click()
    browser.run("for (const folded of document.querySelectorAll('details')) folded.open = true")
    for width in (320, 375, 390, 768, 1024, 1280, 1920):
        browser.widen(width)
        assert browser.run("return document.documentElement.scrollWidth") == width


def test_the_coverage_of_all_capabilities_needs_no_sideways_scrolling(browser: Browser) -> None:
    entries = [samples.coverage(capability=name) for name in capabilities.load()]
    dark = [samples.coverage(host="web2", capability=name, status="not_checked") for name in capabilities.load()]
    browser.open(samples.data(coverage=(*entries, *dark)))
    for width in (360, 1024, 1440, 1920):
        browser.widen(width)
        assert browser.run(
            "const box = document.querySelector('#coverage .scroll'); return box.scrollWidth <= box.clientWidth"
        ), width


def test_the_sections_never_lie_over_the_title(browser: Browser) -> None:
    browser.open(investigation_samples.report())
    for width in (390, 820, 1120, 1440):
        browser.widen(width)
        boxes = browser.run(
            "return ['.brand', '.top nav', '#theme'].map((name) => document.querySelector(name)"
            ".getBoundingClientRect()).map(({left, right, top, bottom}) => [left, right, top, bottom])"
        )
        for one, other in itertools.combinations(boxes, 2):
            assert one[1] <= other[0] or other[1] <= one[0] or one[3] <= other[2] or other[3] <= one[2], (width, boxes)


def test_paper_has_all_that_matches_unfolded_and_nothing_to_click(browser: Browser) -> None:
    browser.media(scheme="dark")
    browser.open(_FLEET, "#findings?status=")
    browser.media("print", scheme="dark")
    browser.run("dispatchEvent(new Event('beforeprint'))")
    cards = browser.driver.find_elements("css selector", "#finding-list details.finding[open]")
    assert len(cards) == len(_FLEET.findings)
    assert browser.result == "140 of 140 findings."
    for selector in (".filter", ".pager", ".top", ".permalink"):
        assert not browser.find(selector).is_displayed()
    assert browser.find(".finding-body").is_displayed()
    assert browser.run("return getComputedStyle(document.documentElement).colorScheme") == "light"
    assert browser.run(LOW_CONTRAST.replace('throw new Error("no background")', "return [255, 255, 255]")) == []
    browser.run("dispatchEvent(new Event('afterprint'))")
    browser.media()
    assert len(browser.driver.find_elements("css selector", "#finding-list details.finding")) == 50
    assert browser.driver.find_elements("css selector", "details[open]") == []


@pytest.mark.parametrize("host", ["", "web-000.example.org"])
def test_nothing_is_cut_off_on_paper(browser: Browser, host: str) -> None:
    """A4 has 688 pixels between the margins, which are 14 mm."""
    browser.open(_FLEET, f"#findings?status=&host={host}", width=688)
    browser.media("print")
    browser.run("dispatchEvent(new Event('beforeprint'))")
    cut = browser.run(
        """
        return [...document.querySelectorAll("th, td, dd, dt, time, .tile-name, .badge, summary > *")]
          .filter((element) => element.checkVisibility() && !element.closest(".visually-hidden"))
          .filter((element) => {
            const box = element.closest(".card, .tile, .finding") ?? document.body;
            const end = box.getBoundingClientRect().right + 0.5;
            return element.getBoundingClientRect().right > end || element.scrollWidth > element.clientWidth + 1
              && getComputedStyle(element).display !== "inline" && element.getBoundingClientRect().left
              + element.scrollWidth > end;
          })
          .map((element) => `${element.tagName} ${element.className} ${element.textContent.slice(0, 40)}`)
        """
    )
    assert cut == []
    assert not browser.find("#explained-filter").is_displayed()


def test_the_browser_prints_it(browser: Browser) -> None:
    browser.open(_FLEET, "#findings?severity=critical")
    assert base64.b64decode(browser.driver.print_page()).startswith(b"%PDF-")
    assert browser.complaints == []


def test_without_javascript_the_most_urgent_is_there(browser: Browser) -> None:
    browser.open(_FLEET, script=False)
    body = browser.find("body").text
    for words in (
        "102 active findings: 3 critical, 9 high.",
        "Needs attention first",
        "JavaScript is off",
        "Not checked, and why",
    ):
        assert words in body
    assert len(browser.driver.find_elements("css selector", "details.finding")) == 50
    assert not browser.find("#filter").is_displayed()


# Size


_SHOWN_HOSTS = "return [...document.querySelectorAll('#hosts tbody tr')].filter((row) => row.checkVisibility()).length"


@pytest.fixture(scope="module")
def large() -> model.ReportData:
    return samples.fleet(hosts=100, findings=10_000)


def test_ten_thousand_findings_of_a_hundred_hosts_open_in_three_seconds(
    browser: Browser, large: model.ReportData, record_property: t.Callable[[str, object], None]
) -> None:
    browser.open(large)
    timing = browser.timing()
    size = len(browser.rendered(large).encode())
    record_property("opened", {**timing, "megabytes": size / 1e6})
    assert timing["findings"] == 50
    assert max(timing["ready"], timing["painted"]) < 3_000
    assert size < 10_000_000


def test_a_filter_over_ten_thousand_findings_answers_at_once(
    browser: Browser, large: model.ReportData, record_property: t.Callable[[str, object], None]
) -> None:
    browser.open(large)
    filtering = """
        const field = document.getElementById("filter-text");
        field.value = arguments[0];
        field.dispatchEvent(new Event("input"));
        document.body.getBoundingClientRect();
        """
    texts = ("b", "backup", "backup 4755", "no such text", "")
    spent = [browser.processor_time(filtering, text) for text in texts]
    record_property("filtered", spent)
    assert statistics.median(spent) < 200


def test_a_long_table_shows_its_first_rows_until_all_are_wanted(browser: Browser, large: model.ReportData) -> None:
    browser.open(large)
    button = browser.find("#hosts .table-more")
    assert (button.text, button.get_attribute("aria-expanded")) == ("Show all 100 rows", "false")
    assert browser.run(_SHOWN_HOSTS) == 10
    button.send_keys(Keys.ENTER)
    assert (browser.run(_SHOWN_HOSTS), button.text) == (100, "Show the first 10 rows")
    button.send_keys(Keys.ENTER)
    assert browser.run(_SHOWN_HOSTS) == 10
    browser.media("print")
    assert (browser.run(_SHOWN_HOSTS), button.is_displayed()) == (100, False)


def test_ten_thousand_hosts_do_not_make_it_explode(browser: Browser) -> None:
    browser.open(samples.fleet(hosts=10_000, findings=1_000))
    timing = browser.timing()
    assert max(timing["ready"], timing["painted"]) < 3_000
    assert browser.run("return document.querySelectorAll('*').length") < 20_000
    assert "5,832 hosts" in browser.find("#coverage").text
