# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Events that a host reports of others, events of an import, and what a security product has dealt with."""

from __future__ import annotations

import threading
import typing as t

import pytest
from ansible_collections.bulwark.servers.plugins.module_utils import _finding
from ansible_collections.bulwark.servers.plugins.module_utils._finding import ScopeCoverage
from ansible_collections.bulwark.servers.plugins.plugin_utils import catalogue
from ansible_collections.bulwark.servers.plugins.plugin_utils.edr import alert_content
from ansible_collections.bulwark.servers.plugins.plugin_utils.ocsf import events
from ansible_collections.bulwark.servers.plugins.plugin_utils.store import (
    Query,
    SimulatedSession,
    Store,
    StoreError,
    host_log,
)
from ansible_collections.bulwark.servers.plugins.plugin_utils.store.model import Elsewhere

CAPABILITY = "edr"
ALERT = "edr_malware_found"
TOKENS = [f"{'0' * 16}-{str(number) * 64}" for number in range(1, 4)]


def found(host: str, *subjects: str, at: float = 100) -> list[dict[str, t.Any]]:
    detections = [
        _finding.detection(ALERT, subject, "alerts", [], last_time=at, product={"id": "wazuh"}) for subject in subjects
    ]
    return events.findings(detections, catalogue.load(), events.Device(host), at, alert_content.descriptions())


def dealt_with(*subjects: str) -> list[dict[str, str]]:
    return [{"alert": ALERT, "subject": subject, "reason": "it is gone"} for subject in subjects]


def elsewhere(host: str, *subjects: str, at: float = 100, remediated: t.Sequence[t.Any] = ()) -> Elsewhere:
    return Elsewhere(host=host, findings=found(host, *subjects, at=at), remediated=remediated)


def start(store: Store, now: float, *hosts: str) -> str:
    described = {"playbook": "", "user": "", "controller": "", "version": ""}
    return store.start_run(hosts=hosts, capabilities=[CAPABILITY] if hosts else [], now=now, **described)


def record(store: Store, now: float, *subjects: str, **more: t.Any) -> t.Any:
    checkpoint = more.pop("checkpoint", None)
    run = start(store, now, "manager")
    covered = [ScopeCoverage("alerts").entry()]
    return store.record(
        run, "manager", CAPABILITY, found("manager", *subjects, at=now), covered, now, checkpoint, **more
    )


def statuses(store: Store) -> dict[tuple[str, str], str]:
    return {(each.host, each.subject): each.status for each in store.query(Query())}


def test_what_is_dealt_with_is_resolved_with_its_reason(store: Store) -> None:
    record(store, 100, "a", "b")
    assert record(store, 200, remediated=dealt_with("a", "unknown")).resolved == 1
    assert statuses(store) == {("manager", "a"): "resolved", ("manager", "b"): "open"}
    (finding,) = store.query(Query(subjects=["a"]))
    assert (finding.status_reason, finding.status_by, finding.event["is_alert"]) == ("it is gone", None, False)


def test_what_is_seen_and_dealt_with_at_once_is_resolved(store: Store) -> None:
    recorded = record(store, 100, "a", remediated=dealt_with("a"))
    assert (recorded.new, recorded.resolved) == (1, 1)
    assert [(change.before, change.after) for change in recorded.changes] == [(None, "resolved")]
    assert [each.action for each in store.history()] == ["resolved", "new"]
    # The same again is nothing new.
    record(store, 300, "b")
    assert statuses(store)["manager", "a"] == "resolved"


def raised(subject: str, uid: str, product: str = "sentinelone", at: float = 100) -> list[dict[str, t.Any]]:
    about = {"id": product, "uid": uid, "title": "x"}
    detection = _finding.detection(ALERT, subject, "alerts", [], last_time=at, product=about)
    return events.findings([detection], catalogue.load(), events.Device("web1"), at, alert_content.descriptions())


def ended(subject: str, uid: t.Any) -> dict[str, t.Any]:
    return {"alert": "edr_alert_raised", "subject": subject, "reason": "it says so", "alert_uid": uid}


def receive(store: Store, now: float, findings: list[dict[str, t.Any]], *remediated: dict[str, t.Any]) -> int:
    run, reported = start(store, now), Elsewhere(host="web1", findings=findings, remediated=remediated)
    return store.record_received(run, CAPABILITY, [reported], now)["web1"].resolved


def test_an_alert_that_is_closed_by_its_id_only_resolves_the_finding_of_another_subject(store: Store) -> None:
    receive(store, 100, raised("SentinelOne (imported): eicar in /tmp/x", "7\\\u00e9"))
    receive(store, 110, raised("SentinelOne (imported): other in /tmp/y", "8"))
    end = ended("SentinelOne (imported): threat 7", "7\\\u00e9")
    # Neither what a host says, nor another product, closes it; nor does it if the finding has a newer alert.
    assert receive(store, 200, [], ended("SentinelOne: threat 7", "7\\\u00e9"), ended("Falco: x", "7\\\u00e9")) == 0
    receive(store, 300, raised("SentinelOne (imported): eicar in /tmp/x", "9", at=300))
    assert receive(store, 400, [], end) == 0
    receive(store, 500, raised("SentinelOne (imported): eicar in /tmp/x", "7\\\u00e9", at=500))
    assert receive(store, 600, [], end) == 1
    (finding,) = store.query(Query(subjects=["*eicar*"]))
    assert (finding.status, finding.status_reason) == ("resolved", "it says so")
    assert receive(store, 700, [], end) == 0
    assert {each.status for each in store.query(Query(subjects=["*other*"]))} == {"open"}


def test_an_alert_that_is_raised_and_closed_at_once_is_resolved(store: Store) -> None:
    subject = "SentinelOne (imported): eicar in /tmp/x"
    assert receive(store, 100, raised(subject, "7"), ended("SentinelOne (imported): threat 7", "7")) == 1
    with pytest.raises(StoreError, match="has an unusable id: a text is needed"):
        receive(store, 200, [], ended("SentinelOne (imported): threat 7", 7))


def test_what_comes_back_is_opened_again(store: Store) -> None:
    record(store, 100, "a", remediated=dealt_with("a"))
    assert record(store, 200, "a").reopened == 1


def test_events_of_other_hosts_are_theirs(store: Store) -> None:
    reported = [elsewhere("web1", "a", "b"), elsewhere("web2", "a")]
    record(store, 100, "m", elsewhere=reported)
    assert statuses(store) == dict.fromkeys([("manager", "m"), ("web1", "a"), ("web1", "b"), ("web2", "a")], "new")
    # Nobody looked at them.
    assert {covered.host for covered in store.coverage()} == {"manager"}
    record(store, 200, elsewhere=[elsewhere("web1", at=200, remediated=dealt_with("b"))])
    assert statuses(store)["web1", "b"] == "resolved"


def test_what_was_recorded_by_another_run_is_recorded_for_no_other_host_either(store: Store) -> None:
    first = {"name": "edr_alerts", "token": TOKENS[0], "after": None}
    record(store, 100, "m", checkpoint=first, elsewhere=[elsewhere("web1", "a")])
    late = {"name": "edr_alerts", "token": TOKENS[1], "after": None}
    assert not record(store, 200, "m", checkpoint=late, elsewhere=[elsewhere("web1", "z", at=200)]).is_news
    assert set(statuses(store)) == {("manager", "m"), ("web1", "a")}


def test_nothing_is_recorded_if_one_host_is_wrong(store: Store) -> None:
    forged = Elsewhere(host="web1", findings=found("web2", "a"), remediated=())
    with pytest.raises(StoreError, match="not about web1"):
        record(store, 100, "m", elsewhere=[elsewhere("app1", "a"), forged])
    assert statuses(store) == {}


def test_no_state_is_recorded_for_another_host(store: Store) -> None:
    detection = _finding.detection("edr_missing", "x", "protection", [])
    state = events.findings([detection], catalogue.load(), events.Device("web1"), 100)
    with pytest.raises(StoreError, match="only events can be recorded"):
        record(store, 100, elsewhere=[Elsewhere(host="web1", findings=state, remediated=())])


def test_an_import_changes_no_coverage_and_is_seen_again(store: Store) -> None:
    record(store, 100, "m")
    before = store.coverage()
    for now, name in ((200.0, "new"), (300.0, "seen_again")):
        recorded = store.record_received(start(store, now), CAPABILITY, [elsewhere("web1", "a")], now)
        assert getattr(recorded["web1"], name) == 1
    assert store.coverage() == before


def test_managers_that_know_the_same_hosts_wait_for_each_other(store_url: str) -> None:
    """Each of two writers records the other's host: neither locks the other out."""
    problems: list[Exception] = []

    def write(host: str, others: t.Sequence[str]) -> None:
        store = Store.open(store_url)
        try:
            for now in range(100, 115):
                run = start(store, now, host)
                reported = [elsewhere(other, f"of {host}", at=now) for other in others]
                covered = [ScopeCoverage("alerts").entry()]
                store.record(run, host, CAPABILITY, found(host, "m", at=now), covered, now, elsewhere=reported)
        except StoreError as error:
            problems.append(error)
        finally:
            store.close()

    Store.open(store_url).close()
    writers = [threading.Thread(target=write, args=given) for given in (("a", ["z", "b"]), ("z", ["b", "a"]))]
    for each in writers:
        each.start()
    for each in writers:
        each.join(60)
    assert problems == []
    opened = Store.open(store_url)
    assert len(statuses(opened)) == 6
    opened.close()


def test_who_reports_of_others_cannot_take_their_place(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """A host in an attacker's hands floods those of another one, so that its own are dropped."""
    monkeypatch.setattr(host_log, "_FINDINGS_LIMIT", 8)
    monkeypatch.setattr(host_log, "_SEVERE_LIMIT", 1)
    monkeypatch.setattr(host_log, "REPORTED_LIMIT", 4)
    flood = elsewhere("web1", *(f"flood {number}" for number in range(9)))
    record(store, 100, elsewhere=[flood])
    assert len(statuses(store)) == 5
    (covered,) = store.coverage()
    reason = "4 findings of other hosts were dropped, as these have too many that were reported of them"
    assert reason in [entry["reason"] for entry in covered.entries]
    run = start(store, 200, "web1")
    own = store.record(run, "web1", CAPABILITY, found("web1", "a", "b"), [ScopeCoverage("alerts").entry()], 200)
    assert (own.new, own.dropped) == (2, 0)


def test_what_another_host_reports_is_never_simulated(store: Store) -> None:
    simulation = store.start_simulation("web1", [ALERT], by="alice", now=90)
    store.end_simulation(simulation, [SimulatedSession(7, 2_147_000_000, 90.0, 110.0, (ALERT,))], now=110)
    claimed = elsewhere("web1", "a")
    claimed["findings"][0]["unmapped"]["simulation"] = simulation
    record(store, 120, "m", elsewhere=[claimed])
    assert [(each.status, each.simulation) for each in store.query(Query(hosts=["web1"]))] == [("new", None)]
