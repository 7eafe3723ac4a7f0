# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import re
import typing as t

import pytest
from ansible_collections.bulwark.servers.plugins.module_utils._finding import not_checked
from ansible_collections.bulwark.servers.plugins.plugin_utils import catalogue
from ansible_collections.bulwark.servers.plugins.plugin_utils.report import (
    benchmark,
    benchmark_tables,
    cards,
    from_store,
    model,
    outline,
    page,
)
from ansible_collections.bulwark.servers.plugins.plugin_utils.store import Selection, Store
from ansible_collections.bulwark.servers.plugins.plugin_utils.store.export_model import Destination, Settlement

from tests.unit.plugins.plugin_utils.report import stored
from tests.unit.plugins.plugin_utils.store import benchmarks
from tests.unit.plugins.plugin_utils.store.test_indexes import statements

NOTHING_KNOWN = catalogue.Catalogue({}, {})


def collect(
    store: Store,
    now: float = 1_000,
    known: catalogue.Catalogue = stored.CATALOGUE,
    limits: from_store.Limits | None = None,
) -> model.ReportData:
    return from_store.collect(store, known, {}, limits or from_store.Limits(), title="T", version="0.1.0", now=now)


def test_an_empty_store_is_an_empty_report() -> None:
    with stored.store() as store:
        data = collect(store)
    assert (data.runs, data.findings, data.coverage, data.limits) == ((), (), (), ())


def test_a_finding_comes_with_its_history_and_its_texts() -> None:
    with stored.store() as store:
        stored.record(store, "web1", [stored.event("web1", "/bin/ls")], now=10)
        stored.record(store, "web1", [], now=20)
        stored.record(store, "web1", [stored.event("web1", "/bin/ls")], now=30)
        data = collect(store)
    (finding,) = data.findings
    assert (finding.status, finding.severity, finding.count, finding.scope) == ("open", "critical", 2, "programs")
    assert [(entry.time, entry.action, entry.after) for entry in data.history(finding)] == [
        (10, "new", "critical"),
        (20, "resolved", None),
        (30, "reopened", "critical"),
    ]
    assert data.alert(finding.alert).references == ("https://example.org/reference",)
    assert data.techniques["T1548.001"] == model.Technique(
        "T1548.001", "Abuse Elevation Control: Setuid", "Privilege Escalation", known=True
    )
    assert [run.started for run in data.runs] == [30, 20, 10]


def _last(data: model.ReportData) -> tuple[t.Any, ...]:
    (finding,) = data.findings
    entry = data.history(finding)[-1]
    _time, _action, note = cards.card(finding, [entry]).history[0]
    return finding.status, entry.time, entry.action, entry.after, note


def test_who_decided_and_why_is_in_the_history() -> None:
    with stored.store() as store:
        stored.record(store, "web1", [stored.event("web1", "/bin/ls")], now=10)
        store.suppress(Selection(host="web1"), reason="known build", by="alice", now=20, until=50)
        before, after = collect(store, now=40), collect(store, now=60)
    assert _last(before) == ("suppressed", 20, "suppressed", None, "alice: known build")
    # No run has seen it since, so the store's history does not say yet that the suppression is over.
    assert _last(after) == ("open", 50, "unsuppressed", "critical", "the suppression ended")


def test_coverage_is_one_entry_for_each_scope_and_silence_is_not_checked() -> None:
    with stored.store() as store:
        stored.record(store, "web1", [], now=10, coverage=[stored.checked(), not_checked("ssh", "No root.")])
        described = {"playbook": "", "user": "", "controller": "", "version": ""}
        store.start_run(hosts=["dead"], capabilities=["file_integrity"], now=20, **described)
        data = collect(store)
    assert [(entry.host, entry.scope, entry.status, entry.time) for entry in data.coverage] == [
        ("dead", "file_integrity", "not_checked", 0),
        ("web1", "programs", "checked", 10),
        ("web1", "ssh", "not_checked", 10),
    ]
    assert data.coverage[0].reason.startswith("no result arrived")
    assert data.runs[0].finished is None


def test_an_alert_that_the_catalogue_does_not_know_has_its_own_words_and_no_link() -> None:
    with stored.store() as store:
        stored.record(store, "web1", [stored.event("web1", "/bin/ls")], now=10)
        data = collect(store, known=NOTHING_KNOWN)
    assert data.alert("package_file_modified") == model.AlertText(
        "A packaged program does not match its package",
        "alert",
        "What 'A packaged program does not match its package' means.",
        "Reinstall the package.",
        (),
    )
    assert {technique.known for technique in data.techniques.values()} == {False}


def test_hosts_narrow_everything_but_statuses_and_since_only_the_list() -> None:
    with stored.store() as store:
        stored.record(store, "web1", [stored.event("web1", "/bin/ls"), stored.event("web1", "/bin/cat")], now=10)
        stored.record(store, "web1", [stored.event("web1", "/bin/ls")], now=20)
        stored.record(store, "db1", [stored.event("db1", "/bin/ls")], now=20)
        data = collect(store, limits=from_store.Limits(hosts=("web*",), statuses=("resolved",), since=5))
    assert {(finding.host, finding.status) for finding in data.findings} == {("web1", "open"), ("web1", "resolved")}
    assert {entry.host for entry in data.coverage} == {"web1"}
    assert [finding.status for finding in data.findings if data.listed(finding)] == ["resolved"]
    assert data.limits == (("hosts", "web*"), ("statuses", "resolved"), ("since", "1970-01-01 00:00 UTC"))


def test_as_many_findings_as_a_file_holds_have_a_card_active_ones_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(from_store, "FINDING_LIMIT", 3)
    with stored.store() as store:
        programs = [stored.event("web1", f"/bin/{number}") for number in range(5)]
        stored.record(store, "web1", programs, now=10)
        stored.record(store, "web1", programs[:2], now=20)
        data = collect(store)
        resolved = collect(store, limits=from_store.Limits(statuses=("resolved",)))
    assert [(data.cards[finding.uid].status if finding.uid in data.cards else None) for finding in data.findings] == [
        "open",
        "open",
        "resolved",
        None,
        None,
    ]
    assert len({finding.uid for finding in data.findings}) == 5
    assert [card.status for card in resolved.cards.values()] == ["resolved"] * 3


def test_a_run_from_the_future_is_not_the_newest() -> None:
    with stored.store() as store:
        stored.record(store, "web1", [], now=9_000)
        stored.record(store, "web1", [], now=10)
        stored.record(store, "web1", [], now=20)
        data = collect(store)
    assert [run.started for run in data.runs] == [20, 10, 9_000]
    page_text = page.render(data)
    assert "newest run 1970-01-01 00:00 UTC" in page_text
    assert "The store has 1 run from the future, the latest of 1970-01-01 02:30 UTC by bastion" in page_text


@pytest.mark.parametrize(("skipped", "changed"), [((), [(False, benchmarks.ENGINE)]), ((benchmarks.ENGINE,), [])])
def test_an_engine_that_the_last_run_found_no_more_is_gone_and_a_skipped_one_is_not(
    skipped: tuple[str, ...], changed: list[tuple[bool, str]]
) -> None:
    new, other = "unix:///run/new.sock", benchmarks.control(subject=benchmarks.OTHER)
    with stored.store() as store:
        benchmarks.record(store, 10, benchmarks.control(), other)
        coverage = benchmarks.looked(*skipped)
        benchmarks.record(store, 20, other, benchmarks.control(subject=new), coverage=coverage)
        (sheet,) = benchmark.sheets(collect(store))
    changes = benchmark_tables.engine_changes(sheet)
    assert [(change.is_new, change.engine.subject) for change in changes] == [(True, new), *changed]


def test_controls_come_with_their_texts_their_runs_and_what_people_judged() -> None:
    with stored.store() as store:
        for now, status in ((10, "failed"), (20, "passed")):
            for host in ("web1", "db1"):
                found = [benchmarks.control(status=status, items=()), benchmarks.manual()]
                benchmarks.record(store, now, *found, host=host)
        judged = {"verdict": "passed", "reason": "they run it", "by": "alice", "now": 30}
        store.judge("web1", "cis_docker", benchmarks.USERS, **judged)
        known = catalogue.Catalogue({benchmarks.NETWORK: _network_alert()}, {})
        data = collect(store, 40, known)
        narrowed = collect(store, 40, known, from_store.Limits(hosts=("db*",)))
        elsewhere = collect(store, 40, known, from_store.Limits(capabilities=("audit",)))
    assert [(state.host, state.control, state.status) for state in data.controls] == [
        (host, control, status)
        for host in ("db1", "web1")
        for control, status in ((benchmarks.NETWORK, "passed"), (benchmarks.USERS, "manual"))
    ]
    assert data.alert(benchmarks.NETWORK).remediation == "Start it anew."
    assert [run.time for run in data.benchmark_runs] == [20, 20, 10, 10]
    assert [judgement.actor for judgement in data.judgements] == ["alice"]
    assert {state.host for state in narrowed.controls} == {run.host for run in narrowed.benchmark_runs} == {"db1"}
    assert (narrowed.judgements, elsewhere.controls, elsewhere.benchmark_runs) == ((), (), ())


def _network_alert() -> catalogue.Alert:
    return catalogue.Alert(
        id=benchmarks.NETWORK,
        title="Container uses the network of the host",
        kind="recommendation",
        severity="high",
        capability=benchmarks.CAPABILITY,
        platforms=("linux",),
        lifecycle="state",
        attack=(),
        description="It sees all of its traffic.",
        remediation="Start it anew.",
        references=(),
    )


def test_a_report_of_more_hosts_takes_no_more_statements() -> None:
    numbers = []
    with stored.store() as store:
        for hosts in (2, 20):
            for number in range(hosts):
                host = f"web{number}"
                stored.record(store, host, [stored.event(host, "/bin/ls"), stored.event(host, "/bin/cat")], now=10)
            with statements() as executed:
                collect(store)
            numbers.append(len(executed))
    assert numbers[0] == numbers[1]


def test_a_destination_is_named_from_its_first_failure_until_it_has_everything() -> None:
    with stored.store() as store:
        for name in ("archive", "siem"):
            store.register_destination(Destination(name, "syslog", f"{name}.example.com", coverage=False), now=5)
        stored.record(store, "web1", [stored.event("web1", "/bin/ls")], now=10)
        assert collect(store).failed_exports == ()
        store.postpone("siem", until=21, reason="Connection refused", now=20)
        data = collect(store)
        assert data.failed_exports == (model.FailedExport("siem", 1, 10, "Connection refused"),)
        sentence = "The last export to siem failed, and 1 change since 1970-01-01 00:00 UTC did not arrive yet"
        assert f"<strong>{sentence}: Connection refused.</strong>" in page.render(data)
        (change,) = store.claim("siem", "exporter", changes=9, size=9_999, lease=30, now=30)
        store.settle("siem", "exporter", [Settlement(change.id, "sent")], now=31)
        assert collect(store).failed_exports == ()


def test_each_command_names_a_store_that_is_not_the_default_one() -> None:
    url = "sqlite:////srv/bulwark/UID.db"
    described: dict[str, t.Any] = {"title": "T", "version": "0.1.0", "now": 20, "url": url}
    with stored.store() as store:
        stored.record(store, "web1", [stored.event("web1", "/bin/ls")], now=10)
        data = from_store.collect(store, stored.CATALOGUE, {}, from_store.Limits(), **described)
    (finding,) = data.findings
    text = re.sub("<[^>]+>", "", page.render(data))
    decide = "-e bulwark_until=30d -e bulwark_reason=WHY"
    for command in (f"suppress -e bulwark_findings={finding.uid} {decide}", f"investigate -e finding={finding.uid}"):
        assert f"ansible-playbook bulwark.servers.{command} -e bulwark_store={url}" in text
    assert any(f"bulwark_store={url}" in line for line in outline.lines(data, 120))


def test_what_is_done_on_request_only_is_no_gap_of_those_that_nobody_asked_about() -> None:
    with stored.store() as store:
        stored.record(store, "web1", [stored.event("web1", "/bin/ls")], now=10)
        described = {"playbook": "Investigate", "user": "alice", "controller": "bastion", "version": "0.1.0"}
        run = store.start_run(hosts=["web1"], capabilities=["investigation"], now=20, **described)
        store.record(run, "web1", "investigation", [], [not_checked("subject", "It ended.")], 20)
        store.finish_run(run, 21)
        data = collect(store)
    assert {entry.capability for entry in data.coverage} == {"file_integrity"}
