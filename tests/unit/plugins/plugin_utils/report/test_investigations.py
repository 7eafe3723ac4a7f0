# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A report shows investigations: the summary always, and for the script a tree, a timeline and a graph."""

from __future__ import annotations

import itertools
import re
import time
import typing as t

import pytest
from ansible_collections.bulwark.servers.plugins.plugin_utils.report import (
    from_store,
    investigation_graph,
    investigation_tree,
    investigations,
    model,
    page,
)

from tests.unit.plugins.plugin_utils.investigation import samples as results
from tests.unit.plugins.plugin_utils.report import investigation_samples, samples, stored
from tests.unit.plugins.plugin_utils.report.test_from_store import collect
from tests.unit.plugins.plugin_utils.report.test_page import Document


def _document(data: model.ReportData) -> Document:
    return Document(page.render(data))


# Tree


def _tree(result: t.Mapping[str, t.Any]) -> dict[str, str | None]:
    ids = [node["id"] for node in result["nodes"]]
    above = investigation_tree.parents(result)
    return {ids[number]: None if at is None else ids[at] for number, at in enumerate(above)}


def test_processes_stand_below_what_started_them_and_the_rest_below_its_reason() -> None:
    assert _tree(results.web_shell()) == {
        results.FINDING: None,
        results.MINER: results.SHELL,
        results.BINARY: results.FINDING,
        results.SHELL: results.WORKER,
        results.CONTROL: results.MINER,
        results.CURL: results.SHELL,
        results.CRON: results.BINARY,
        results.WORKER: results.MASTER,
        results.ACCOUNT: results.MINER,
        results.MASTER: None,
        results.PAGE: results.SHELL,
        results.CLIENT: results.PAGE,
        results.LISTENER: results.MASTER,
        results.PACKAGE: results.MASTER,
    }


def _chain(length: int, *links: tuple[int, int]) -> dict[str, t.Any]:
    nodes = [{"id": f"process:{number}@1", "kind": "process", "facts": {}} for number in range(length)]
    pairs = [*itertools.pairwise(range(length)), *links]
    return {
        "nodes": nodes,
        "links": [
            {"source": nodes[one]["id"], "target": nodes[other]["id"], "relation": "started"} for one, other in pairs
        ],
        "reasons": [{"node": node["id"], "via": None} for node in nodes],
    }


def test_processes_that_started_each_other_make_no_circle() -> None:
    above = investigation_tree.parents(_chain(3, (2, 0)))
    assert above.count(None) == 1
    for start in range(3):
        at: int | None = start
        for _step in range(3):
            at = None if at is None else above[at]
        assert at is None


def test_a_very_long_chain_takes_no_time() -> None:
    begun = time.process_time()
    chain = _chain(5_000)
    above = investigation_tree.parents(chain)
    assert above == [None, *range(4_999)]
    graph = investigation_graph.layout(chain, above)
    assert len(graph.nodes) <= investigation_graph.MOST_NODES
    assert time.process_time() - begun < 3


# Graph


def test_a_graph_reads_from_left_to_right() -> None:
    result = results.web_shell()
    graph = investigation_graph.layout(result, investigation_tree.parents(result))
    ids = [node["id"] for node in result["nodes"]]
    columns = {ids[number]: column for number, column, _row in graph.nodes}
    for before, after in itertools.pairwise((results.MASTER, results.WORKER, results.SHELL, results.CURL)):
        assert columns[before] < columns[after]
    assert columns[results.CURL] < columns[results.CONTROL]
    assert columns[results.CLIENT] < columns[results.PAGE] < columns[results.SHELL]
    assert columns[results.CRON] < columns[results.BINARY]
    assert results.PACKAGE not in columns  # it is linked with nothing
    places = [(column, row) for _number, column, row in graph.nodes]
    assert len(set(places)) == len(places)
    assert {column for column, _row in places} == set(range(graph.columns))
    assert all(0 <= row <= graph.rows - 1 for _column, row in places)
    named = {(ids[source], ids[target]): words for source, target, words in graph.edges}
    assert named[results.CURL, results.BINARY] == ["wrote"]


def test_a_sign_in_reads_from_the_address_to_what_was_done() -> None:
    kinds = ("process", "session", "address", "account")
    nodes = [{"id": f"{kind}:1", "kind": kind, "facts": {}} for kind in kinds]
    links = [
        ("process", "session", "belongs_to"),
        ("address", "session", "signed_in"),
        ("process", "account", "runs_as"),
    ]
    made = {
        "nodes": nodes,
        "links": [{"source": f"{a}:1", "target": f"{b}:1", "relation": words} for a, b, words in links],
        "reasons": [{"node": node["id"], "via": None} for node in nodes],
    }
    graph = investigation_graph.layout(made, investigation_tree.parents(made))
    columns = {kinds[number]: column for number, column, _row in graph.nodes}
    assert sorted(columns, key=lambda kind: columns[kind]) == ["address", "session", "process", "account"]


def test_a_graph_has_the_nearest_things_and_no_column_grows_without_end() -> None:
    result = results.large()
    graph = investigation_graph.layout(result, investigation_tree.parents(result))
    assert graph.rows <= 12
    assert {number for number, _column, _row in graph.nodes} >= set(range(12))
    shown = {number for number, _column, _row in graph.nodes}
    assert all(source in shown and target in shown for source, target, _words in graph.edges)


def test_the_same_investigation_gives_the_same_page() -> None:
    assert page.render(investigation_samples.report()) == page.render(investigation_samples.report())


# Page


def test_a_finding_leads_to_its_investigation_and_back() -> None:
    document = _document(investigation_samples.report())
    assert document.links.count(f"#investigation-{investigation_samples.FIRST}") == 1
    assert f"#findings?finding={results.UID}" in document.links
    assert ("id", f"investigation-{investigation_samples.FIRST}") in document.attributes
    assert "#investigations" in document.links
    columns = document.payload["findings"]
    assert columns["investigation"][columns["uid"].index(results.UID)] == investigation_samples.FIRST


def test_without_javascript_there_is_the_summary() -> None:
    text = _document(investigation_samples.report()).text
    assert "curl (4712) downloaded /dev/shm/x from 203.0.113.9:443." in text
    assert "The tree, the timeline and the graph need JavaScript" in text
    assert "The tree, the timeline and the graph are not in this file, which has no room for them." in text
    assert "2 older investigations are not in this file" in text


def test_a_finding_without_one_says_how_to_investigate_it() -> None:
    uid = samples.finding().uid
    text = page.render(samples.data(findings=(samples.finding(),)))
    command = "ansible-playbook bulwark.servers.investigate -e finding="
    assert f'{command}<span data-slot="command-uid">{uid}</span>' in text
    assert 'id="investigations"' not in text
    odd = page.render(samples.data(findings=(samples.finding(uid="x; id"),)))
    assert "x; id</span></code>" not in odd


def test_a_finding_of_windows_names_no_investigation_which_knows_only_linux() -> None:
    both = [
        samples.finding(event={"device": {"os": {"type": system}}}, uid=f"00000000-0000-5000-8000-00000000000{number}")
        for number, system in enumerate(("Linux", "Windows"))
    ]
    for finding, is_shown in zip(both, (True, False), strict=True):
        text = page.render(samples.data(findings=(finding,)))
        block = re.search(r'data-slot="investigate"( hidden)?>.*finding=<span data-slot="command-uid">0', text)
        note = re.search(r'data-slot="investigate-too"( hidden)?>', text)
        assert block is not None
        assert note is not None
        assert (block[1] is None, note[1] is None) == (is_shown, is_shown)
        assert _document(samples.data(findings=(finding,))).payload["findings"]["can_investigate"] == [int(is_shown)]
        # What works is shown for both.
        assert f"suppress -e bulwark_findings={finding.uid}" in text


def test_the_script_gets_times_facts_and_lines() -> None:
    payload = _document(investigation_samples.report()).payload
    first = payload["investigations"][0]
    names, texts = payload["names"], payload["texts"]
    ids = [node["id"] for node in results.web_shell()["nodes"]]
    binary = first["nodes"][ids.index(results.BINARY)]
    facts = {names[name]: value for name, value in binary[7]}
    assert facts["modified time"] == "2026-11-30 02:50 UTC"
    assert facts["sha256"] == "ab" * 32
    assert names[binary[0]] == "file"
    time_of, by, text, things = first["events"][4]
    assert (time_of, texts[by], text) == (results.BEGIN + 31, "audit", "curl (4712) connected to 203.0.113.9:80")
    assert [ids[number] for number in things] == [results.CURL, results.CONTROL]
    assert payload["investigations"][2] == {"id": investigation_samples.THIRD, "nodes": []}


@pytest.mark.parametrize("attack", samples.ATTACKS)
def test_hostile_text_makes_no_element_and_no_address(attack: str) -> None:
    harmless, attacked = (_document(investigation_samples.hostile(text)) for text in ("harmless", attack))
    assert attacked.elements == harmless.elements
    assert [
        link for link in attacked.links if not re.fullmatch(r"#[\x21-\x7e]*|https://example\.org/reference", link)
    ] == []
    assert len(attacked.raw["script"]) == 2


# Store


def _record(store: t.Any, now: float, **changes: t.Any) -> str:
    fields = {"host": "web1", "subject": "process 7", "by": "alice", "summary": "x (7) wrote /dev/shm/x."}
    fields |= {"result": results.web_shell(), "now": now}
    return t.cast("str", store.record_investigation(**{**fields, **changes}))


def test_the_newest_of_each_finding_and_subject_is_shown() -> None:
    with stored.store() as store:
        stored.record(store, "web1", [stored.event("web1", "/bin/ls")], now=10)
        (finding,) = store.query(None)
        _record(store, 20, finding=finding.uid, subject=f"finding {finding.uid}")
        newest = _record(store, 30, finding=finding.uid, subject=f"finding {finding.uid}")
        other = _record(store, 25)
        _record(store, 26, host="db1")
        data = collect(store, limits=from_store.Limits(("web1",)))
        of_one = collect(store, limits=from_store.Limits(("web1",), ("file_integrity",)))
    assert [each.id for each in data.investigations] == [newest, other]
    assert (data.investigations[0].alert, data.investigations[0].subject) == (finding.alert, "/bin/ls")
    assert '<span class="finding-title">A packaged program does not match its package</span> ' in page.render(data)
    assert data.cards[finding.uid].investigation == newest
    assert data.investigations[1].result is not None
    assert [each.id for each in of_one.investigations] == [newest]


def test_what_the_file_has_no_room_for_is_shown_without_its_data(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(investigations, "ROOM", 30)
    monkeypatch.setattr(investigations, "LIMIT", 2)
    with stored.store() as store:
        for number in range(3):
            _record(store, 20 + number, subject=f"process {number}")
        data = collect(store)
    assert [(each.subject, each.result is not None) for each in data.investigations] == [
        ("process 2", True),
        ("process 1", False),
    ]
    assert data.more_investigations == 1


@pytest.mark.parametrize(
    "result", [{}, [], None, {"nodes": []}, {"nodes": [], "links": [], "reasons": [], "events": [], "cuts": []}]
)
def test_data_of_another_version_is_not_shown(result: t.Any) -> None:
    made = investigations.shown(investigation_samples.stored(results.web_shell()))
    assert made.result is not None
    with stored.store() as store:
        _record(store, 20, result=result)
        (other,) = collect(store).investigations
    assert other.result is None
