# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The report's section of a benchmark in a real Chromium."""

from __future__ import annotations

import itertools
import statistics
import typing as t

import pytest
from ansible_collections.bulwark.servers.plugins.plugin_utils.report import model, shown
from ansible_collections.bulwark.servers.plugins.plugin_utils.store import ControlState

from tests.support import require, waiting
from tests.unit.plugins.plugin_utils.report import benchmark_samples, samples

require("chromium", "command:chromedriver", "module:selenium")

from selenium.webdriver.common.keys import Keys  # noqa: E402 - after the requirement it needs

from tests.integration.report.browser import LOW_CONTRAST, SKELETON, Browser  # noqa: E402

_DOCKER = benchmark_samples.docker()
_FIRST = "web-000.example.org"
_PRIVILEGED = "#control-docker_container_privileged"


def controls(test: t.Callable[[ControlState], bool]) -> int:
    """Return how many controls have a result that passes the test."""
    return len({state.control for state in _DOCKER.controls if test(state)})


def visible_rows(browser: Browser) -> int:
    return len([item for item in browser.driver.find_elements("css selector", "[data-control]") if item.is_displayed()])


def result(browser: Browser) -> str:
    return browser.find(".benchmark [data-part=result]").text


def engines(browser: Browser, control: str) -> list[str]:
    """Return the text of each engine of a control that is unfolded."""
    waiting.until(lambda: browser.driver.find_elements("css selector", f"{control} .engines"))
    return [item.text for item in browser.driver.find_elements("css selector", f"{control} .engines > li")]


def test_the_page_opens_without_a_complaint(browser: Browser) -> None:
    browser.open(_DOCKER)
    browser.unfold_controls()
    assert browser.complaints == []
    assert result(browser) == "118 of 118 controls."


def test_a_screen_says_what_to_do_first(browser: Browser) -> None:
    browser.open(_DOCKER, "#benchmark-cis_docker")
    shown_titles = browser.run(
        """
        return [...document.querySelectorAll(".to-do h4")]
          .filter((title) => title.getBoundingClientRect().bottom < innerHeight)
          .map((title) => title.textContent)
        """
    )
    assert len(shown_titles) == 10
    assert shown_titles[0] == "5.32 Container can control the engine"


@pytest.mark.parametrize("attack", samples.ATTACKS[:3])
def test_what_hosts_send_is_text_when_a_filter_shows_it(browser: Browser, attack: str) -> None:
    skeletons = []
    for text in ("harmless", attack):
        browser.open(benchmark_samples.hostile(text))
        browser.unfold_controls()
        box = browser.find(".benchmark [name=host]")
        box.send_keys(text)
        skeletons.append(browser.run(SKELETON))
        found = browser.texts("[data-control]:not([hidden]) .evidence .subject")
        assert found
        assert set(found) == {shown.visible(text)}
    assert skeletons[0] == skeletons[1]
    assert browser.complaints == []


def test_a_control_has_an_address_and_shows_each_engine_with_its_evidence(browser: Browser) -> None:
    browser.open(_DOCKER, _PRIVILEGED)
    found = engines(browser, _PRIVILEGED)
    states = [state for state in _DOCKER.controls if state.control == "docker_container_privileged"]
    assert len(found) == len(states)
    failed = next(state for state in states if state.status == "failed")
    for words in (
        "Failed",
        failed.host,
        failed.subject,
        failed.reason,
        f"{failed.count} of 12 examined",
        "web-frontend",
    ):
        assert words in found[0]


def test_new_evidence_and_exact_counts_are_marked(browser: Browser) -> None:
    evidence = tuple(benchmark_samples.item(f"shop-{at}", is_new=at == 1) for at in range(100))
    state = benchmark_samples.state(evidences=evidence, count=340, examined=400, previous_status="passed")
    known = benchmark_samples.benchmark([benchmark_samples.control()])
    browser.open(
        samples.data(benchmarks={"cis_docker": known}, controls=(state,)), "#control-docker_host_network_shared"
    )
    (text,) = engines(browser, "#control-docker_host_network_shared")
    assert "340 of 400 examined, the first 100 in this file:" in text
    assert "in the run before: passed" in text
    assert browser.texts(".evidence .status-new") == ["New"]
    assert "and 92 more" in text
    assert len(browser.texts(".evidence li")) == 100


def test_a_judgement_says_who_when_and_why(browser: Browser) -> None:
    decided = benchmark_samples.judgement(until=samples.NOW + samples.DAY)
    state = benchmark_samples.state(status="passed", judgement=decided)
    known = benchmark_samples.benchmark([benchmark_samples.control()])
    browser.open(
        samples.data(benchmarks={"cis_docker": known}, controls=(state,)), "#control-docker_host_network_shared"
    )
    (text,) = engines(browser, "#control-docker_host_network_shared")
    assert "Judged by alice on 2025-11-14 16:00, until 2025-11-25 16:00, as passed: the proxy needs it" in text


def test_what_is_excepted_has_its_reason_and_its_end(browser: Browser) -> None:
    ends = {"agent": "2027-01-31", "probe": ""}
    covered = tuple(benchmark_samples.item(name, exception="it measures", until=end) for name, end in ends.items())
    state = benchmark_samples.state(status="excepted", count=0, evidences=(), excepted=covered, excepted_count=2)
    known = benchmark_samples.benchmark([benchmark_samples.control()])
    browser.open(
        samples.data(benchmarks={"cis_docker": known}, controls=(state,)), "#control-docker_host_network_shared"
    )
    assert len(engines(browser, "#control-docker_host_network_shared")) == 1
    agent, probe = browser.texts(".evidence li")
    assert agent.endswith("agent it measures until 2027-01-31")
    assert probe.endswith("probe it measures")


_FILTERS: dict[str, t.Callable[[ControlState], bool]] = {
    "status=failed": lambda state: state.status == "failed",
    "status=failed,manual&section=5": lambda state: (
        state.status in ("failed", "manual") and state.number.startswith("5.")
    ),
    f"host={_FIRST}&status=not_checked": lambda state: state.host == _FIRST and state.status == "not_checked",
    "q=PRIVILEGED": lambda state: state.control == "docker_container_privileged",
    "level=none&status=nothing&section=99&host=": lambda _state: True,
    "host=unknown": lambda _state: False,
}


def test_an_address_shows_the_controls_that_it_asks_for(browser: Browser) -> None:
    browser.open(_DOCKER)
    for given, test in _FILTERS.items():
        browser.run("location.hash = arguments[0]", f"#controls?benchmark=cis_docker&{given}")
        wanted = f"{controls(test)} of 118 controls"
        waiting.until(lambda wanted=wanted: result(browser).startswith(wanted))  # type: ignore[misc]
        assert visible_rows(browser) == controls(test)


def test_more_controls_that_fail_are_in_the_order_of_their_urgency(browser: Browser) -> None:
    browser.open(_DOCKER, "#controls?benchmark=cis_docker&status=failed&sort=urgency")
    first = browser.texts(".to-do h4 bdi")
    listed = browser.texts("[data-control]:not([hidden]) .control-number")
    assert listed[: len(first)] == first
    browser.run("location.hash = '#controls?benchmark=cis_docker&status=failed'")
    waiting.until(lambda: browser.texts("[data-control]:not([hidden]) .control-number") != listed)
    numbers = [
        tuple(map(int, text.split("."))) for text in browser.texts("[data-control]:not([hidden]) .control-number")
    ]
    assert numbers == sorted(numbers)


def test_controls_filter_and_the_address_follows(browser: Browser) -> None:
    browser.open(_DOCKER)
    browser.find(".benchmark input[value=failed]").click()
    browser.find(".benchmark [name=host]").send_keys("web-000")
    assert browser.fragment == "#controls?benchmark=cis_docker&status=failed&host=web-000"
    wanted = controls(lambda state: state.host == _FIRST and state.status == "failed")
    assert result(browser) == f"{wanted} of 118 controls with status failed, host web-000."
    browser.driver.refresh()
    waiting.until(lambda: result(browser).startswith(f"{wanted} of"))
    assert browser.find(".benchmark input[value=failed]").is_selected()
    browser.find(".benchmark button[type=reset]").send_keys(Keys.ENTER)
    assert result(browser) == "118 of 118 controls."


def test_a_filter_narrows_the_engines_of_a_control_too(browser: Browser) -> None:
    browser.open(_DOCKER, f"#controls?benchmark=cis_docker&host={_FIRST}")
    browser.find(f"{_PRIVILEGED} summary").click()
    assert len(engines(browser, _PRIVILEGED)) == 1
    browser.find(".benchmark button[type=reset]").send_keys(Keys.ENTER)
    assert len(engines(browser, _PRIVILEGED)) == 15


def test_a_link_to_a_control_finds_it_behind_a_filter(browser: Browser) -> None:
    browser.open(_DOCKER, "#controls?benchmark=cis_docker&host=unknown")
    browser.run("location.hash = arguments[0]", _PRIVILEGED)
    assert engines(browser, _PRIVILEGED)
    assert result(browser) == "118 of 118 controls."


def test_without_a_finding_the_controls_are_there(browser: Browser) -> None:
    known = benchmark_samples.benchmark([benchmark_samples.control()])
    state = benchmark_samples.state(status="passed")
    browser.open(samples.data(benchmarks={"cis_docker": known}, controls=(state,)))
    browser.find(".benchmark [name=host]").send_keys("web1")
    assert result(browser) == "1 of 1 control with host web1."
    assert browser.complaints == []


def test_a_keyboard_reaches_the_engines_of_a_control(browser: Browser) -> None:
    browser.open(_DOCKER, "#controls?benchmark=cis_docker&q=privileged")
    while (focused := browser.press(Keys.TAB)).tag_name != "summary":
        pass
    browser.press(Keys.ENTER)
    assert focused.find_element("xpath", "..").get_property("id") == _PRIVILEGED[1:]
    assert len(engines(browser, _PRIVILEGED)) == 15


def test_a_screen_reader_finds_a_name_for_every_control_and_the_headings(browser: Browser) -> None:
    browser.open(_DOCKER)
    nodes = [node for node in browser.command("Accessibility.getFullAXTree")["nodes"] if not node["ignored"]]
    named = {"link", "button", "checkbox", "combobox", "searchbox", "textbox", "DisclosureTriangle", "image"}
    assert [
        node["role"]["value"] for node in nodes if node["role"]["value"] in named and not node["name"]["value"].strip()
    ] == []
    levels = browser.run("return [...document.querySelectorAll('h1, h2, h3, h4')].map((e) => Number(e.tagName[1]))")
    assert all(level - before <= 1 for before, level in itertools.pairwise(levels))


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_text_can_be_read(browser: Browser, scheme: str) -> None:
    browser.media(scheme=scheme)
    browser.open(_DOCKER)
    browser.unfold_controls()
    browser.run("for (const folded of document.querySelectorAll('details')) folded.open = true")
    assert browser.run(LOW_CONTRAST) == []


@pytest.mark.parametrize("text", ["fleet", "\u202e" + "w" * 300 + "<script>"], ids=["fleet", "hostile"])
def test_no_screen_needs_sideways_scrolling(browser: Browser, text: str) -> None:
    browser.open(_DOCKER if text == "fleet" else benchmark_samples.hostile(text))
    browser.unfold_controls()
    browser.run("for (const folded of document.querySelectorAll('details')) folded.open = true")
    for width in (320, 768, 1280):
        browser.widen(width)
        assert browser.run("return document.documentElement.scrollWidth") == width


def test_nothing_is_cut_off_on_paper(browser: Browser) -> None:
    browser.open(_DOCKER, _PRIVILEGED, width=688)
    engines(browser, _PRIVILEGED)
    browser.media("print")
    browser.run("dispatchEvent(new Event('beforeprint'))")
    cut = browser.run(
        """
        const end = document.querySelector(".benchmark").getBoundingClientRect().right + 0.5;
        return [...document.querySelectorAll(".benchmark *")]
          .filter((element) => element.checkVisibility() && !element.closest(".visually-hidden"))
          .filter((element) => element.getBoundingClientRect().right > end)
          .map((element) => `${element.tagName} ${element.className} ${element.textContent.slice(0, 40)}`)
        """
    )
    assert cut == []
    assert not browser.find(".benchmark .filter").is_displayed()
    # The evidence of what the reader has unfolded, and of all else the hosts.
    assert browser.driver.find_elements("css selector", ".engines") == [browser.find(f"{_PRIVILEGED} .engines")]
    assert "queue-001.example.org" in browser.find("#control-docker_socket_mounted [data-part=results]").text
    browser.run("dispatchEvent(new Event('afterprint'))")
    browser.media()
    assert browser.driver.find_elements("css selector", "details[open]") == [browser.find(_PRIVILEGED)]


def test_without_javascript_each_control_names_its_hosts(browser: Browser) -> None:
    browser.open(_DOCKER, script=False)
    assert not browser.find(".benchmark .filter").is_displayed()
    browser.find(f"{_PRIVILEGED} summary").click()
    text = browser.find(f"{_PRIVILEGED} .control-body").text
    assert "edge-002.example.org" in text
    assert "Start the container again without --privileged" in text


@pytest.fixture(scope="module")
def large() -> model.ReportData:
    return benchmark_samples.docker(hosts=100)


def test_a_hundred_hosts_open_in_three_seconds(
    browser: Browser, large: model.ReportData, record_property: t.Callable[[str, object], None]
) -> None:
    browser.open(large)
    timing = browser.timing()
    size = len(browser.rendered(large).encode())
    record_property("opened", {**timing, "megabytes": size / 1e6})
    assert len(large.controls) == 101 * 118
    assert max(timing["ready"], timing["painted"]) < 3_000
    assert size < 5_000_000


def test_a_filter_over_a_hundred_hosts_answers_at_once(
    browser: Browser, large: model.ReportData, record_property: t.Callable[[str, object], None]
) -> None:
    browser.open(large)
    filtering = """
        const field = document.querySelector(".benchmark [name=q]");
        field.value = arguments[0];
        field.dispatchEvent(new Event("input", { bubbles: true }));
        document.body.getBoundingClientRect();
        """
    texts = ("p", "privileged", "redis 5.11", "no such text", "")
    spent = [browser.processor_time(filtering, text) for text in texts]
    record_property("filtered", spent)
    assert statistics.median(spent) < 200
