# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The store keeps the newest result of each control, and how each run went."""

from __future__ import annotations

import contextlib
import hashlib
import typing as t

import pytest
from ansible_collections.bulwark.servers.plugins.plugin_utils.ocsf import events
from ansible_collections.bulwark.servers.plugins.plugin_utils.store import (
    CapabilityResult,
    Query,
    Store,
    StoreError,
    control_results,
)

from tests.unit.plugins.plugin_utils.ocsf import samples as ocsf
from tests.unit.plugins.plugin_utils.ocsf import schema
from tests.unit.plugins.plugin_utils.store import samples
from tests.unit.plugins.plugin_utils.store.benchmarks import (
    BENCHMARK,
    CAPABILITY,
    ENGINE,
    NETWORK,
    OTHER,
    USERS,
    container,
    control,
    looked,
    manual,
    only,
    record,
    result,
    start,
    stored,
)


def test_the_newest_result_of_a_control_is_kept(store: Store) -> None:
    run = start(store, 100)
    record(store, 100, control(items=("web", "db"), excepted_count=0), manual(), run=run)
    found = only(store, controls=[NETWORK])
    assert (found.host, found.capability, found.benchmark, found.edition) == ("web1", CAPABILITY, BENCHMARK, "1.8.0")
    assert (found.number, found.subject, found.status, found.severity) == ("5.10", ENGINE, "failed", "high")
    assert (found.examined, found.count, found.reason) == (50, 2, "It says so.")
    assert [item["name"] for item in found.evidences] == ["db", "web"]
    assert (found.excepted_count, found.excepted, found.judgement) == (0, (), None)
    assert (found.previous_status, found.since, found.run_id, found.time) == (None, 100, run, 100)
    assert found.digest == control(items=("web", "db"))["digest"]


def test_a_control_knows_its_status_of_the_run_before_and_since_when_it_has_its_own(store: Store) -> None:
    seen = []
    for now, status in ((100, "failed"), (200, "failed"), (300, "passed"), (400, "passed"), (500, "failed")):
        record(store, now, control(status=status, items=()))
        found = only(store)
        seen.append((found.status, found.previous_status, found.since))
    assert seen == [
        ("failed", None, 100),
        ("failed", "failed", 100),
        ("passed", "failed", 300),
        ("passed", "passed", 300),
        ("failed", "passed", 500),
    ]


@pytest.mark.parametrize(
    ("statuses", "expected"),
    [
        (["passed"], ("passed", "passed", 100)),
        (["passed", "passed"], ("passed", "passed", 100)),
        (["failed", "failed"], ("failed", "passed", 200)),
        (["failed", "passed"], ("passed", "passed", 100)),
        (["failed", "passed", "failed"], ("failed", "passed", 220)),
    ],
)
def test_a_second_result_of_a_run_has_the_same_run_before_it(
    store: Store, statuses: list[str], expected: tuple[str, str, float]
) -> None:
    record(store, 100, control(status="passed", items=()))
    run = start(store, 200)
    for number, status in enumerate(statuses):
        record(store, 200 + 10 * number, control(status=status, items=()), run=run)
    found = only(store)
    assert (found.status, found.previous_status, found.since) == expected
    assert [(each.time, each.statuses) for each in store.benchmark_runs(newest=True)] == [
        (200 + 10 * (len(statuses) - 1), {expected[0]: 1})
    ]


def test_what_was_new_in_a_run_stays_new_when_it_records_twice(store: Store) -> None:
    run = start(store, 100)
    new, old = control(), control()
    new["evidences"][0]["is_new"] = True
    record(store, 100, new, run=run)
    record(store, 110, old, run=run)
    assert [item["is_new"] for item in only(store).evidences] == [True]
    record(store, 200, old)
    assert [item["is_new"] for item in only(store).evidences] == [False]


def test_an_engine_that_is_gone_leaves_nothing_and_one_that_was_skipped_stays(store: Store) -> None:
    both = [control(), manual(), control(subject=OTHER), manual(OTHER)]
    listed = [container(), container(engine=OTHER)]
    record(store, 100, *both, containers=listed)
    record(store, 200, control(status="passed", items=()), manual(), coverage=looked(OTHER), containers=listed[:1])
    assert stored(store) == {
        (ENGINE, NETWORK): "passed",
        (ENGINE, USERS): "manual",
        (OTHER, NETWORK): "failed",
        (OTHER, USERS): "manual",
    }
    assert {found.time for found in store.controls(subjects=[OTHER])} == {100}
    assert [found.subject for found in store.containers()] == [ENGINE, OTHER]
    record(store, 300, coverage=looked(failure="no root"))
    assert len(stored(store)) == 4
    record(store, 400, control(), manual(), containers=listed[:1])
    assert stored(store) == {(ENGINE, NETWORK): "failed", (ENGINE, USERS): "manual"}
    assert [found.subject for found in store.containers()] == [ENGINE]
    assert [run.subject for run in store.benchmark_runs(newest=True)] == [ENGINE]
    record(store, 500)
    assert (stored(store), store.containers(), store.benchmark_runs(newest=True)) == ({}, [], [])
    # What was, is not forgotten.
    assert len(store.benchmark_runs()) == 4


def test_a_control_that_a_run_judges_no_more_is_gone_with_its_subject_still_there(store: Store) -> None:
    record(store, 100, control(), manual())
    record(store, 200, control())
    assert stored(store) == {(ENGINE, NETWORK): "failed"}


def test_another_look_of_the_capability_removes_nothing(store: Store) -> None:
    record(store, 100, control(), containers=[container()])
    other = CapabilityResult(CAPABILITY, (), [samples.checked("other")])
    store.record_host(start(store, 200), "web1", [other], 200)
    assert (len(store.controls()), len(store.containers())) == (1, 1)


def _finding(identifier: str, subject: str = ENGINE) -> dict[str, t.Any]:
    event = ocsf.compliance_finding(subject=subject, scope="engines")
    event["device"]["name"] = event["device"]["hostname"] = "web1"
    event["unmapped"] |= {"alert": identifier, "capability": CAPABILITY}
    event["finding_info"]["uid"] = events.finding_uid("web1", identifier, subject)
    return event


@pytest.mark.parametrize(
    ("status", "said"),
    [("passed", "Pass"), ("excepted", "Excepted"), ("manual", "Warning"), ("not_applicable", "Not applicable")],
)
def test_the_finding_of_a_control_that_was_checked_is_resolved(store: Store, status: str, said: str) -> None:
    record(store, 100, control(), findings=[_finding(NETWORK)])
    record(store, 200, control(status=status, items=()))
    (found,) = store.query()
    reason = f"{status.replace('_', ' ')}: It says so."
    assert (found.status, found.status_by, found.status_reason) == ("resolved", None, reason)
    assert (found.event["compliance"]["status"], found.event["status_detail"]) == (said, reason)
    assert schema.errors(found.event) == []
    # It fails again.
    record(store, 300, control(), findings=[_finding(NETWORK)])
    (found,) = store.query()
    assert (found.status, found.event["compliance"]["status"]) == ("open", "Fail")


def test_the_finding_of_a_control_that_a_person_judged_says_who_ended_it(store: Store) -> None:
    judgement = {"verdict": "passed", "reason": "OPS-12", "actor": "alice", "created": 110, "until": None}
    record(store, 100, control(USERS), findings=[_finding(USERS)])
    record(store, 200, {**manual(), "status": "passed", "reason": "alice judged it.", "judgement": judgement})
    (found,) = store.query()
    assert (found.status_by, found.status_reason) == ("alice", "passed: alice judged it.")


def test_the_finding_of_a_control_that_was_not_checked_stays_open(store: Store) -> None:
    found = [_finding(NETWORK), _finding(USERS), _finding(NETWORK, OTHER)]
    record(store, 100, control(), findings=found)
    record(store, 200, control(status="not_checked", items=()), control(NETWORK, "passed", (), OTHER))
    assert {(each.alert, each.subject): each.status for each in store.query()} == {
        (NETWORK, ENGINE): "new",
        (USERS, ENGINE): "resolved",
        (NETWORK, OTHER): "resolved",
    }


def test_each_run_says_how_many_controls_have_which_status_and_weigh_what(store: Store) -> None:
    first, second = start(store, 100), start(store, 200)
    controls = [control(), control(USERS, "passed", (), severity="low"), control(subject=OTHER, severity="critical")]
    record(store, 100, *controls, run=first)
    record(store, 200, control(status="passed", items=()), coverage=looked(OTHER), run=second)
    runs = {(run.run_id, run.subject): (run.time, run.statuses, run.weights) for run in store.benchmark_runs()}
    assert runs == {
        (first, ENGINE): (100, {"failed": 1, "passed": 1}, {"failed": 7, "passed": 2}),
        (first, OTHER): (100, {"failed": 1}, {"failed": 10}),
        (second, ENGINE): (200, {"passed": 1}, {"passed": 7}),
    }
    newest = store.benchmark_runs(newest=True)
    assert [(run.run_id, run.subject, run.edition) for run in newest] == [
        (second, ENGINE, "1.8.0"),
        (first, OTHER, "1.8.0"),
    ]
    assert [run.time for run in store.benchmark_runs(since=150)] == [200]
    assert [run.time for run in store.benchmark_runs(until=150, limit=1)] == [100]
    assert [run.run_id for run in store.benchmark_runs(run_id=second)] == [second]
    assert store.benchmark_runs(benchmarks=["other"]) == []


def test_controls_are_asked_for_by_what_they_are(store: Store) -> None:
    for host in ("web1", "web2"):
        record(store, 100, control(), manual(), control(subject=OTHER), host=host)
    assert len(store.controls()) == 6
    assert len(store.controls(hosts=["web2"])) == 3
    assert len(store.controls(hosts=["web*"], statuses=["manual"])) == 2
    assert {found.control for found in store.controls(controls=["5.10"])} == {NETWORK}
    assert {found.control for found in store.controls(controls=["5.1"])} == set()
    assert {found.control for found in store.controls(controls=["1.*"])} == {USERS}
    assert {found.subject for found in store.controls(subjects=["*other*"])} == {OTHER}
    assert store.controls(benchmarks=["cis_linux"]) == store.controls(capabilities=["audit"]) == []
    ordered = [(found.host, found.subject, found.control) for found in store.controls()]
    assert ordered == sorted(ordered)
    assert [(found.host, found.subject, found.control) for found in store.controls(limit=2, offset=1)] == ordered[1:3]


def test_a_check_forgets_what_it_recorded(store_url: str) -> None:
    with contextlib.closing(Store.open(store_url)) as store:
        record(store, 100, control())
        run = start(store, 200)
    with contextlib.closing(Store.open(store_url, mode="check")) as store:
        record(store, 200, control(status="passed", items=()), run=run)
        assert only(store).status == "passed"
    with contextlib.closing(Store.open(store_url)) as store:
        assert (only(store).status, len(store.benchmark_runs())) == ("failed", 1)


_LONG = "x" * 1001
HOSTILE: t.Sequence[tuple[t.Any, str]] = [
    ({"controls": 1}, "a list is needed"),
    ({"controls": [1]}, "a mapping is needed"),
    ({"controls": [{}]}, "no usable 'control'"),
    ({"controls": [{**control(), "status": "green"}]}, "one of failed, manual"),
    ({"controls": [control(severity="high", weight=1000)]}, "a weight is one of 1, 2, 4, 7, 10"),
    ({"controls": [control(subject="")]}, "a text of 1 to"),
    ({"controls": [control(subject=_LONG)]}, "a name of 1 to 1000 characters"),
    ({"controls": [{**control(), "digest": "A"}]}, "no usable 'digest'"),
    ({"controls": [{**control(), "number": "5.10\n"}]}, "no usable 'number'"),
    ({"controls": [{**control(), "count": -1}]}, "a number of 0 or more"),
    ({"controls": [{**control(), "count": 2**63}]}, "a whole number of 64 bits"),
    ({"controls": [{**control(), "examined": True}]}, "a whole number of 64 bits"),
    ({"controls": [{**control(), "evidences": [control()["evidences"][0]] * 101}]}, "101 are more than 100"),
    ({"controls": [{**control(), "evidences": [{"kind": "x"}]}]}, "a text is needed"),
    ({"controls": [{**control(), "reason": None}]}, "a text is needed"),
    ({"controls": [{**control(), "judgement": {"verdict": "manual"}}]}, "one of passed, failed, not_applicable"),
    ({"controls": [{**control(), "judgement": 7}]}, "a mapping is needed"),
    ({"controls": [control(), control()]}, "one has two results about the same subject"),
    ({"containers": {"a": 1}}, "a list is needed"),
    ({"containers": [{"name": "web"}]}, "a text is needed"),
    ({"containers": [container(deep=[[[[[[[[[[[[1]]]]]]]]]]]])]}, "nested too deeply"),
]


@pytest.mark.parametrize(("changes", "words"), HOSTILE)
def test_what_is_no_control_costs_the_result_and_no_other(
    sqlite_url: str, changes: dict[str, t.Any], words: str
) -> None:
    with contextlib.closing(Store.open(sqlite_url)) as store:
        _refuse(store, changes, words)


def _refuse(store: Store, changes: dict[str, t.Any], words: str) -> None:
    record(store, 100, control(), findings=[_finding(NETWORK)])
    broken = CapabilityResult(CAPABILITY, (), [looked()], **changes)
    other = CapabilityResult("audit", (), [samples.checked()])
    refused, fine = store.record_host(start(store, 200), "web1", [broken, other], 200)
    assert refused.refused is not None
    assert words in refused.refused
    assert fine.refused is None
    assert (only(store).time, store.containers()) == (100, [])
    assert [found.status for found in store.query(Query(capabilities=[CAPABILITY]))] == ["new"]
    (covered,) = store.coverage(capabilities=[CAPABILITY])
    assert (covered.status, covered.entries[0]["scope"]) == ("not_checked", "engines")


def test_what_is_excepted_is_kept_with_its_reason_and_its_end(store: Store) -> None:
    item = {**control()["evidences"][0], "exception": "why", "until": "2027-01-31"}
    record(store, 100, control(excepted_count=1, excepted=[{**item, "more": 1}]))
    assert only(store).excepted == ({**item, "is_new": False},)
    record(store, 200, control(excepted_count=1, excepted=[{**item, "until": "x" * 9999}]))
    assert len(only(store).excepted[0]["until"]) == 500
    with pytest.raises(StoreError, match="a text is needed"):
        control_results.read_controls([control(excepted=[{**item, "until": None}])], "web1")


def test_texts_of_a_host_are_plain_and_bounded(store: Store) -> None:
    evil = "\x1b[31m{{ 7 * 7 }}\x00\u202e" + "y" * 600
    made = control(reason=f"a\r\nb{evil}")
    made["evidences"][0] |= {"name": evil, "detail": evil, "more": "z"}
    record(store, 100, made, containers=[container(evil)])
    found = only(store)
    (item,) = found.evidences
    assert set(item) == {"kind", "name", "detail", "note", "is_new"}
    assert len(item["name"]) == 500
    assert found.reason.startswith("a b\\x1b[31m{{ 7 * 7 }}\\x00\\u202e")
    assert store.containers()[0].container["name"].startswith("\\x1b[31m{{ 7 * 7 }}\\x00\\u202e")


def test_the_longest_name_of_an_engine_fits_into_an_index(store: Store) -> None:
    # That cannot be compressed.
    name = "".join(hashlib.sha256(bytes([number])).hexdigest() for number in range(16))[:1_000]
    assert record(store, 100, control(subject=name), containers=[container(engine=name)]).refused is None
    assert (only(store).subject, store.containers()[0].subject) == (name, name)


def test_more_controls_than_a_host_can_have_are_refused(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(control_results, "CONTROLS_LIMIT", 3)
    record(store, 100, *(control(subject=f"e{number}") for number in range(2)))
    # The host says of them that it skips them, so that they stay.
    more = [control(subject=f"f{number}") for number in range(2)]
    recorded = record(store, 200, *more, coverage=looked("e0", "e1"))
    assert recorded.refused is not None
    assert "web1 would have 4 controls" in recorded.refused
    assert {found.subject for found in store.controls()} == {"e0", "e1"}
    assert record(store, 300, *more).refused is None
    assert {found.subject for found in store.controls()} == {"f0", "f1"}
    assert "4 are more than 3" in str(record(store, 400, *(control(subject=f"g{n}") for n in range(4))).refused)


def test_more_bytes_than_a_host_can_have_are_refused(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    record(store, 100, control())
    monkeypatch.setattr(control_results, "CONTROLS_BYTES", 300)
    recorded = record(store, 200, control(subject=OTHER, items=("a", "b", "c")), coverage=looked(ENGINE))
    assert "more than are kept" in str(recorded.refused)
    assert [found.subject for found in store.controls()] == [ENGINE]


def test_a_container_with_large_fields_is_listed_without_them(store: Store) -> None:
    record(
        store, 100, containers=[container("evil", labels={str(n): "x" * 10_000 for n in range(9)}), container("web")]
    )
    evil, web = (found.container for found in store.containers())
    assert evil == {"engine": ENGINE, "name": "evil", "is_shortened": True}
    assert web == {"engine": ENGINE, "name": "web"}


def test_containers_beyond_what_is_kept_are_counted_in_the_coverage(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(control_results, "CONTAINERS_LIMIT", 2)
    record(store, 100, containers=[container(str(number)) for number in range(5)])
    assert [found.container["name"] for found in store.containers()] == ["0", "1"]
    (covered,) = store.coverage()
    assert covered.status == "partial"
    assert covered.entries[-1]["reason"] == "3 containers were dropped: a host has at most 2 in the store"


def test_an_inventory_replaces_the_one_before(store: Store) -> None:
    record(store, 100, containers=[container("a"), container("b"), container("c", engine=OTHER)])
    record(store, 200, containers=[container("b", ports=["80"])], coverage=looked(OTHER))
    shown = [(found.subject, found.container["name"], found.time) for found in store.containers()]
    assert shown == [(ENGINE, "b", 200), (OTHER, "c", 100)]
    assert [found.container["name"] for found in store.containers(subjects=[OTHER], hosts=["web*"])] == ["c"]


def test_an_inventory_that_could_not_be_read_stays_and_an_empty_one_does_not(store: Store) -> None:
    record(store, 100, control(), containers=[container()])
    record(store, 200, control(), coverage=looked(f"containers of {ENGINE}"))
    assert [found.time for found in store.containers()] == [100]
    record(store, 300, control(), coverage=looked(OTHER))
    assert store.containers() == []


def test_pruning_keeps_the_newest_run_of_what_is_still_there(store: Store) -> None:
    record(store, 100, control(), control(subject=OTHER))
    record(store, 200, control(), coverage=looked(OTHER))
    record(store, 300, control(), coverage=looked(OTHER))
    store.prune(before=1_000)
    assert [(run.time, run.subject) for run in store.benchmark_runs()] == [(300, ENGINE), (100, OTHER)]
    assert len(store.controls()) == 2


def test_forgetting_a_host_leaves_nothing_of_its_benchmarks(store: Store) -> None:
    for host in ("web1", "web2"):
        record(store, 100, manual(), host=host, containers=[container()])
        store.judge(host, BENCHMARK, USERS, verdict="passed", reason="known", by="alice", now=110)
    store.forget(["web1"], capabilities=["audit"], by="bob", now=200)
    assert len(store.controls()) == 2
    store.forget(["web1"], capabilities=[CAPABILITY], by="bob", now=200)
    for stored_things in (store.controls(), store.benchmark_runs(), store.containers(), store.judgements()):
        assert [each.host for each in stored_things] == ["web2"]
    store.forget(["web2"], by="bob", now=300)
    assert (store.controls(), store.benchmark_runs(), store.containers(), store.judgements()) == ([], [], [], [])


def test_record_takes_controls_and_containers_too(store: Store) -> None:
    run = start(store, 100)
    store.record(run, "web1", CAPABILITY, [], [looked()], 100, controls=[control()], containers=[container()])
    assert (only(store).status, len(store.containers())) == ("failed", 1)
    with pytest.raises(StoreError, match="the controls of web1 cannot be stored"):
        store.record(run, "web1", CAPABILITY, [], [looked()], 100, controls=[{}])


def test_results_in_one_transaction_do_what_they_do_one_by_one(
    store: Store, tmp_path_factory: pytest.TempPathFactory
) -> None:
    results = [result(control(), manual()), result(control(status="passed", items=())), result(coverage=looked(OTHER))]
    with contextlib.closing(Store.open(f"sqlite:///{tmp_path_factory.mktemp('other')}/findings.db")) as other:
        for now in (100.0, 200.0):
            described = {"playbook": "scan", "user": "alice", "controller": "control1", "version": "0.1.0"}
            for each in (store, other):
                each.start_run(hosts=["web1"], capabilities=[], now=now, run_id=f"run-{now}", **described)
            store.record_host(f"run-{now}", "web1", results, now)
            for each_result in results:
                other.record_host(f"run-{now}", "web1", [each_result], now)
            assert store.controls() == other.controls()
            assert store.benchmark_runs() == other.benchmark_runs()
