# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import base64
import dataclasses
import functools
import hashlib
import html.parser
import itertools
import json
import re
import typing as t
import zlib

import pytest
from ansible_collections.bulwark.servers.plugins.plugin_utils import capabilities
from ansible_collections.bulwark.servers.plugins.plugin_utils.report import benchmark_data, model, page

from tests.unit.plugins.plugin_utils.report import benchmark_samples, samples


class Document(html.parser.HTMLParser):
    """What a page is made of: its elements with the names of their attributes, its texts, links, styles and scripts."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, tuple[str, ...]]] = []
        self.links: list[str] = []
        self.attributes: list[tuple[str, str]] = []
        self.texts: list[str] = []
        self.raw: dict[str, list[str]] = {"style": [], "script": []}
        self._inside = ""
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, tuple(name for name, _value in attrs)))
        self.attributes += [(name, value or "") for name, value in attrs]
        self.links += [value or "" for name, value in attrs if name in ("href", "src", "action")]
        if tag in self.raw:
            self._inside = tag
            self.raw[tag].append("")

    def handle_endtag(self, tag: str) -> None:
        if tag == self._inside:
            self._inside = ""

    def handle_data(self, data: str) -> None:
        if self._inside:
            self.raw[self._inside][-1] += data
        else:
            self.texts.append(data)

    @property
    def text(self) -> str:
        return re.sub(r"\s+", " ", " ".join(self.texts))

    @property
    def payload(self) -> dict[str, t.Any]:
        return t.cast("dict[str, t.Any]", json.loads(zlib.decompress(base64.b64decode(self.raw["script"][0]))))


def rendered(data: model.ReportData) -> Document:
    return Document(page.render(data))


@functools.cache
def attacked(text: str) -> Document:
    """Return the page of hosts that send this in every field."""
    return rendered(benchmark_samples.hostile(text))


@pytest.mark.parametrize("attack", samples.ATTACKS)
def test_what_hosts_send_makes_no_element_and_no_attribute(attack: str) -> None:
    assert attacked(attack).elements == attacked("harmless").elements


@pytest.mark.parametrize("attack", samples.ATTACKS)
def test_links_go_to_the_page_itself_or_to_the_catalogues_references(attack: str) -> None:
    allowed = re.compile(r"#[\x21-\x7e]*|https://example\.org/reference")
    links = attacked(attack).links
    assert [link for link in links if not allowed.fullmatch(link)] == []


def test_a_template_in_a_name_is_only_text() -> None:
    text = rendered(benchmark_samples.hostile("{{ 7 * 7 }}")).text
    assert "{{ 7 * 7 }}" in text
    assert "49" not in text


@pytest.mark.parametrize("attack", samples.ATTACKS)
def test_the_data_for_the_script_cannot_end_its_element(attack: str) -> None:
    raw = attacked(attack).raw["script"]
    assert len(raw) == 2
    assert re.fullmatch(r"[A-Za-z0-9+/]+=*", raw[0])


def test_the_data_says_what_was_found() -> None:
    payload = rendered(samples.hostile("a<b>&\u2028c")).payload
    assert payload["findings"]["subject"] == ["a<b>&\\u2028c"] * 4


def test_no_text_moves_the_readers_eye() -> None:
    text = page.render(benchmark_samples.hostile("\u202eabc\u2066\u200f\x1b[1m\x07"))
    assert not re.search("[\u202a-\u202e\u2066-\u2069\u200b-\u200f\x00-\x08\x0b-\x1f\x7f]", text)


def test_a_megabyte_in_every_field_is_cut() -> None:
    assert len(page.render(benchmark_samples.hostile("<" * 1_000_000)).encode()) < 1_500_000


def test_the_page_asks_for_nothing_from_outside() -> None:
    document = rendered(samples.fleet())
    loaders = {"img", "link", "iframe", "object", "embed", "video", "audio", "source", "base", "form-action"}
    assert not loaders & {tag for tag, _attributes in document.elements}
    assert not re.search(r"url\((?!\"#)|@import|@font-face", document.raw["style"][0])
    assert not re.search(r"\b(fetch|XMLHttpRequest|WebSocket|sendBeacon|import\()", document.raw["script"][1])
    assert not [name for name, _value in document.attributes if name.startswith("on") or name == "style"]


def test_the_policy_allows_exactly_the_pages_own_style_and_script() -> None:
    document = rendered(samples.fleet())
    policy = next(value for name, value in document.attributes if value.startswith("default-src"))
    style, script = (
        base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        for text in (document.raw["style"][0], document.raw["script"][1])
    )
    assert policy == (
        f"default-src 'none'; style-src 'sha256-{style}'; script-src 'sha256-{script}'; base-uri 'none'; "
        "form-action 'none'; require-trusted-types-for 'script'; trusted-types 'none'"
    )


def test_the_script_never_makes_markup_of_text() -> None:
    script = rendered(samples.data()).raw["script"][1]
    forbidden = (
        r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(|new Function|DOMParser|srcdoc|createContextual"
    )
    assert not re.search(forbidden, script)


def test_without_javascript_the_page_shows_the_most_urgent_findings() -> None:
    document = rendered(samples.fleet())
    cards = [attributes for tag, attributes in document.elements if tag == "details" and "data-slot" in attributes]
    assert len(cards) == 51  # fifty, and the form for the script
    for words in (
        "JavaScript is off, or this browser is from before 2023: these are the first 50 of 140 findings",
        "What changed",
        "4755",
        "T1554",
    ):
        assert words in document.text


def test_the_same_data_gives_the_same_page() -> None:
    assert page.render(samples.fleet()) == page.render(samples.fleet())


def test_only_when_it_was_written_may_differ_between_reports_that_say_the_same() -> None:
    one, later = (page.render(samples.data(generated=time)) for time in (samples.NOW, samples.NOW + 3600))
    assert one != later
    assert page.same_report(one, later)
    assert not page.same_report(one, page.render(samples.data(coverage=(samples.coverage(),))))


def test_a_host_cannot_pretend_that_a_report_says_the_same() -> None:
    forged = "<p>Written by bulwark.servers 0.1.0 on {}"
    one, other = (page.render(samples.hostile(forged.format(text))) for text in ("here", "there"))
    assert not page.same_report(one, other)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (samples.data(), ["Nothing is known. No run is recorded here, so nothing was checked.", "There is no score"]),
        (
            samples.data(
                coverage=(samples.coverage(), samples.coverage(scope="ssh", status="not_checked", reason="No root."))
            ),
            ["Nothing was found.", "1 of 2 scopes was not checked: No root.", "1 host has a blind spot"],
        ),
        (samples.data(coverage=(samples.coverage(),)), ["Nothing was found. Every scope was checked (1 of 1)."]),
    ],
)
def test_a_page_without_findings_tells_the_truth(data: model.ReportData, words: list[str]) -> None:
    text = rendered(data).text
    for sentence in words:
        assert sentence in text
    assert text.count("Nothing was found") <= 1
    assert not re.search(r"all (is )?(clean|clear|good|safe)|no (problems|threats)", text, re.IGNORECASE)


def test_what_can_be_mended_comes_before_capabilities_that_do_not_know_windows() -> None:
    unknown = capabilities.unknown_platform("Win32NT")
    entries = [
        samples.coverage(host=f"win{number}", capability=name, scope=name, status="not_checked", reason=unknown)
        for number in range(2)
        for name in ("app_control", "audit", "docker_hardening", "edr")
    ]
    entries.append(samples.coverage(host="win0", scope="ssh", status="not_checked", reason="No root."))
    entries.append(samples.coverage(host="win1", scope="ssh"))
    text = rendered(samples.data(coverage=tuple(entries))).text
    spots = text[text.index("have a blind spot") : text.index("Show the coverage")]
    assert spots.count(unknown) == 1
    assert spots.index("No root.") < spots.index("and 1 more on 2 hosts")


def test_what_packages_explain_is_listed_folded_away() -> None:
    text = rendered(samples.fleet()).text
    assert "386 changes on 11 hosts are explained by packages, updates and the like" in text
    first, second = text.index("helper-tools 0.1"), text.index("openssh-server 1:10.0p1-7")
    assert first < second
    assert "/usr/sbin/sshd, /usr/lib/openssh/sshd-session" in text
    assert "The baseline was taken by this scan." in text
    assert "<details open" not in page.render(samples.fleet())


def test_a_host_that_never_answered_is_never_checked_and_no_scope() -> None:
    dark = samples.coverage(host="web2", scope="file_integrity", status="not_checked", reason="No answer.", time=0)
    text = rendered(samples.data(coverage=(samples.coverage(), dark))).text
    for words in ("1 of 2 hosts was not checked at all: No answer.", "Never checked"):
        assert words in text
    assert re.search(r"1 of 1\s*; 1 host not at all", text)
    assert not re.search(r"0 of 1\b", text)


def test_a_list_narrowed_to_nothing_is_not_called_nothing_found() -> None:
    text = rendered(
        samples.data(
            findings=(samples.finding(),),
            coverage=(samples.coverage(),),
            statuses=("resolved",),
            limits=(("statuses", "resolved"),),
        )
    ).text
    assert "None of 1 finding is listed. Limited to statuses: resolved." in text
    assert "1 active finding: 1 high." in text
    assert "Nothing was found" not in text


def test_the_score_is_shown_with_its_formula_and_its_parts() -> None:
    text = rendered(samples.fleet()).text
    for words in (
        "(scopes checked + scopes partly checked ÷ 2) ÷ all scopes",
        "critical 0 %, high 25 %, medium 50 %, low 75 %, informational 100 %",
        "100 \N{MULTIPLICATION SIGN} coverage \N{MULTIPLICATION SIGN} health",
        "lost to what was not checked",
        "suppressed findings do not count; with them the score is",
    ):
        assert words in text


def test_a_fleet_of_ten_thousand_is_grouped_and_what_is_cut_is_said() -> None:
    fleet = samples.fleet(hosts=10_000, findings=300)
    document = rendered(dataclasses.replace(fleet, cards=dict(itertools.islice(fleet.cards.items(), 200))))
    assert "5,832 hosts" in document.text
    assert "9,900 hosts with less to do are not listed." in document.text
    assert "This file holds 200 of 300 findings, the most severe first." in document.text
    assert len(document.elements) < 20_000
    assert len(document.payload["hosts"]) == 10_000


def test_hosts_with_numbers_in_a_row_are_one_range() -> None:
    names = [f"web{number}" for number in range(1, 401)]
    dark = tuple(samples.coverage(host=name, status="not_checked", reason="No root.") for name in names)
    text = rendered(samples.data(coverage=dark)).text
    assert "400 hosts web1..web400" in text  # the matrix
    assert "web1..web400 (400 hosts)" in text  # the reasons
    assert "web217" not in text
    apart = tuple(samples.coverage(host=f"h{number}", status="not_checked", reason="No.") for number in range(0, 24, 2))
    text = rendered(samples.data(coverage=apart)).text
    assert "h0, h2, h4 and 9 more h6, h8, h10, h12, h14, h16, h18, h20, h22" in text


def test_a_newest_run_of_a_part_is_not_taken_for_one_of_everything() -> None:
    entries = tuple(samples.coverage(host=host, capability=name) for host in ("a", "b") for name in ("audit", "edr"))
    runs = (samples.run(hosts=2, capabilities=("audit", "edr")), samples.run(hosts=1, capabilities=("audit",)))
    whole, part = (rendered(samples.data(coverage=entries, runs=(run,))).text for run in runs)
    assert "newest run 2025-11-24 15:59 UTC" in whole
    assert "UTC of" not in whole
    assert "newest run 2025-11-24 15:59 UTC of 1 capability on 1 host" in part


def test_only_few_capabilities_have_a_column_each() -> None:
    for number, has_columns in ((6, True), (7, False)):
        entries = tuple(samples.coverage(capability=f"capability{at}") for at in range(number))
        assert ('class="matrix' in page.render(samples.data(coverage=entries))) is has_columns


def test_capabilities_that_were_covered_alike_share_a_line() -> None:
    names = [f"c{at}" for at in range(8)]
    dark = [samples.coverage(host="b", capability=name, status="not_checked", reason="No root.") for name in names]
    checked = [samples.coverage(host="a", capability=name) for name in names[:7]]
    part = samples.coverage(host="a", capability="c7", status="partial", skipped=(("/x", "Busy."),), skipped_count=1)
    text = rendered(samples.data(coverage=(*dark, *checked, part))).text
    assert "b Not checked C0, C1, C2, C3, C4, C5, C6, C7 No root." in text
    assert "a Partly C7 0 of 1 scope Busy. Checked C0, C1, C2, C3, C4, C5, C6" in text


def test_a_capability_says_on_how_many_hosts_it_was_never_run() -> None:
    entries = (samples.coverage(host="a"), *(samples.coverage(host=name, capability="audit") for name in "abc"))
    assert "1 of 1 ; never run on 2 hosts" in rendered(samples.data(coverage=entries)).text


def test_limits_are_said() -> None:
    assert (
        "Limited to hosts: web*, statuses: new."
        in rendered(samples.data(limits=(("hosts", "web*"), ("statuses", "new")))).text
    )


def test_a_technique_that_the_catalogue_does_not_know_is_no_link() -> None:
    attacks = [{"technique": {"uid": uid}} for uid in ("T1554", "T9999")]
    document = rendered(
        samples.data(
            findings=(samples.finding(event={"finding_info": {"attacks": attacks}}),), coverage=(samples.coverage(),)
        )
    )
    assert [link for link in document.links if "attack" in link and link.startswith("http")] == [
        "https://attack.mitre.org/techniques/T1554/"
    ]
    assert "T9999" in document.text


def test_the_gaps_of_a_host_have_each_reason_once() -> None:
    names = [f"watch{number}" for number in range(47)]
    lost = [samples.coverage(scope=name, status="not_checked", reason="Gone.") for name in names]
    dark = [
        samples.coverage(host="web2", capability=name, scope=name, status="not_checked", reason="No answer.")
        for name in ("file_integrity", "audit")
    ]
    document = rendered(samples.data(coverage=(*lost, *dark)))
    payload = document.payload
    told = [
        (host["name"], payload["texts"][words], reason)
        for host in payload["hosts"]
        for _names, words, _status, reason in host["gaps"]
    ]
    assert sorted(told) == [("web1", "all 47 scopes", "Gone."), ("web2", "", "No answer.")]


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Set ``tlsverify``, then ``<b>``.", "Set <code>tlsverify</code>, then <code>&lt;b&gt;</code>."),
        ("Nothing <i>", "Nothing &lt;i&gt;"),
        ("``a`` and ``b", "<code>a</code> and ``b"),
    ],
)
def test_what_the_catalogue_marks_as_code_is_code(text: str, shown: str) -> None:
    alert = dataclasses.replace(samples.ALERTS["setuid_created"], remediation=text)
    data = samples.data(findings=(samples.finding(),), alerts={"setuid_created": alert})
    assert f'data-slot="remediation">{shown}</p>' in page.render(data)


# Benchmarks


def test_a_benchmark_has_a_section_with_its_score_and_the_formula() -> None:
    text = rendered(benchmark_samples.docker()).text
    for words in (
        "CIS Docker Benchmark 1.8.0",
        "15 engines on 14 hosts, judged 2025-11-24 16:00 UTC",
        "of judged = passed ÷ (passed + failed)",
        "of applicable = passed ÷ all but not applicable",
        "critical 10, high 7, medium 4, low 2, informational 1",
        "What to do first",
        "Score over time",
        "5 Containers",
        "Level 2",
        "Engines with the lowest score",
        "Nobody has judged yet",
        "docker_hardening_setting_3",
        "it measures the host",
        "2027-01-31",
        "its time is over",
        "lapsed: the evidence changed",
    ):
        assert words in text


def test_a_benchmark_says_when_there_is_nothing_to_say() -> None:
    known = benchmark_samples.benchmark([benchmark_samples.control()])
    state = benchmark_samples.state(status="passed", previous_status=None)
    text = rendered(samples.data(benchmarks={"cis_docker": known}, controls=(state,))).text
    for words in (
        "No control fails.",
        "This is the first run, so there is nothing to compare with.",
        "One run is recorded; the picture starts with the second.",
        "No control waits for a person.",
        "Nothing is excepted.",
        "Nobody has judged anything.",
    ):
        assert words in text


def test_new_and_gone_engines_are_said_by_host() -> None:
    known = benchmark_samples.benchmark([benchmark_samples.control()])
    state = benchmark_samples.state(subject="unix:///new.sock", previous_status=None)
    before = benchmark_samples.run(subject="unix:///old.sock", time=samples.NOW - samples.DAY, run_id="before")
    data = samples.data(benchmarks={"cis_docker": known}, controls=(state,), benchmark_runs=(before,))
    text = rendered(data).text
    assert "New engine web1 unix:///new.sock : 1 failed" in text
    assert "Engine no longer judged: web1 unix:///old.sock , last on 2025-11-23 16:00 , when 1 failed" in text
    assert "This is the first run" not in text


def test_without_a_control_no_benchmark_is_mentioned() -> None:
    document = rendered(samples.fleet())
    assert not {"#benchmark-cis_docker", "#controls"} & set(document.links)
    assert document.payload["benchmarks"] == []


def test_the_failures_of_a_benchmark_are_one_item_that_needs_attention() -> None:
    docker, fleet = benchmark_samples.docker(), samples.fleet()
    text = rendered(dataclasses.replace(docker, findings=docker.findings + fleet.findings)).text
    attention = text[text.index("Needs attention first") : text.index("Score and severity over time")]
    failing = {state.control for state in docker.controls if state.status == "failed"}
    assert f"{len(failing)} controls of CIS Docker Benchmark fail on 15 engines" in attention
    assert "Container can control the engine on 2 engines" in attention
    assert "A packaged program does not match its package" in attention
    assert "A file that runs with its owner's rights appeared" in attention


def test_the_data_has_each_result_with_its_evidence() -> None:
    state = benchmark_samples.state(evidences=(benchmark_samples.item("shop", "privileged", is_new=True),), count=40)
    first = dataclasses.replace(state, host="web2", previous_status=None, status="manual")
    known = benchmark_samples.benchmark([benchmark_samples.control()])
    payload = rendered(samples.data(benchmarks={"cis_docker": known}, controls=(first, state))).payload
    (found,) = payload["benchmarks"]
    texts = payload["texts"]
    assert [payload["hosts"][host]["name"] for host, _subject in found["engines"]] == ["web1", "web2"]
    assert [found["statuses"][status] for status in found["states"]["status"]] == ["failed", "manual"]
    assert found["states"]["count"] == [40, 40]
    evidence = [
        [*(texts[number] for number in item[:4]), item[4]] for items in found["states"]["evidences"] for item in items
    ]
    # The first run of a host has nothing that would be new.
    assert evidence == [["container", "shop", "privileged", "", 1], ["container", "shop", "privileged", "", 0]]


def test_what_a_file_cannot_hold_of_a_benchmark_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(benchmark_data, "STATE_LIMIT", 300)
    monkeypatch.setattr(benchmark_data, "ITEM_LIMIT", 10)
    docker = benchmark_samples.docker(hosts=3)
    document = rendered(docker)
    assert "This file holds 300 of 472 results, those that need somebody first." in document.text
    states = document.payload["benchmarks"][0]["states"]
    assert len(states["control"]) == 300
    assert sum(map(len, states["evidences"])) == 10
    assert states["status"] == sorted(states["status"])
