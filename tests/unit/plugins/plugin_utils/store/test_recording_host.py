# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""All results of one host in one transaction: the same as one after the other, and a bad one costs only itself."""

from __future__ import annotations

import contextlib
import dataclasses
import typing as t

import pytest
import sqlalchemy as sa
from ansible_collections.bulwark.servers.plugins.plugin_utils.store import (
    CapabilityResult,
    Query,
    RecordResult,
    Store,
    StoreError,
)

from tests.unit.plugins.plugin_utils.store.samples import CAPABILITY, checked, counts, finding, only, skipped

OTHER = "audit"
PINS = {"payload.zip": "a" * 64, "content-1": "b" * 64}


def begin(store: Store, now: float, run_id: str) -> str:
    described = {"playbook": "scan", "user": "alice", "controller": "control1", "version": "0.1.0"}
    return store.start_run(hosts=["web1"], capabilities=[CAPABILITY, OTHER], now=now, run_id=run_id, **described)


def result(
    *subjects: str,
    coverage: t.Sequence[dict[str, t.Any]] | None = None,
    scope: str = "etc",
    capability: str = CAPABILITY,
    token: str | None = None,
    after: str | None = None,
) -> CapabilityResult:
    lifecycle = "event" if capability == OTHER else "state"
    found = [finding(subject, scope=scope, lifecycle=lifecycle) for subject in subjects]
    for event in found:
        event["unmapped"]["capability"] = capability
    said = None if token is None else {"name": "audit_events", "token": token, "after": after}
    return CapabilityResult(capability, found, [checked(scope)] if coverage is None else coverage, said)


BAD = dataclasses.replace(result("/etc/bad"), findings=[*result("/etc/bad").findings, {"no": "finding"}])

# What a host has in three runs: several looks of one capability, scopes that come and go, one that is not checked.
RUNS: t.Sequence[t.Sequence[CapabilityResult]] = (
    [
        result("/etc/a", "/etc/b"),
        result("alice", scope="events", capability=OTHER, token="t1"),
        result("/srv/a", scope="srv"),
        result("/etc/c", "/etc/b"),
    ],
    [
        result("/etc/a"),
        result("alice", "bob", scope="events", capability=OTHER, token="t2", after="t1"),
        result(scope="srv", coverage=[skipped("/srv", scope="srv")]),
        result(scope="sign_ins", capability=OTHER),
    ],
    [
        result("carol", scope="events", capability=OTHER, token="t9", after="t1"),
        result(),
        result("/srv/a", scope="srv"),
        result("/etc/a"),
    ],
)


def everything(store: Store) -> t.Any:
    """Return all that a record writes, without what differs between two stores."""
    return {
        "findings": store.query(now=1000),
        "history": store.history(now=1000),
        "coverage": store.coverage(),
        "checkpoint": store.checkpoint("web1", "audit_events"),
    }


def test_results_in_one_transaction_do_what_they_do_one_by_one(
    store: Store, tmp_path_factory: pytest.TempPathFactory
) -> None:
    with contextlib.closing(Store.open(f"sqlite:///{tmp_path_factory.mktemp('other')}/findings.db")) as other:
        for number, results in enumerate(RUNS):
            now = 100.0 * (number + 1)
            run_id = begin(store, now, f"run-{number}")
            begin(other, now, run_id)
            together = store.record_host(run_id, "web1", results, now)
            single = [
                other.record(run_id, "web1", each.capability, each.findings, each.coverage, now, each.checkpoint)
                for each in results
            ]
            assert together == single
        assert everything(store) == everything(other)
    assert {found.subject: found.status for found in store.query(now=1000)} == {
        "/etc/a": "open",
        "/etc/b": "resolved",
        "/etc/c": "resolved",
        "/srv/a": "open",
        "alice": "open",
        "bob": "open",
    }


def test_a_result_that_is_refused_costs_only_itself(store: Store) -> None:
    run_id = begin(store, 100, "run-1")
    first = [result("/etc/old"), result("alice", scope="events", capability=OTHER, token="t1")]
    store.record_host(run_id, "web1", first, 100)
    run_id = begin(store, 200, "run-2")
    broken = dataclasses.replace(BAD, checkpoint={"name": "file_checkpoint", "token": "t2", "after": None})

    recorded = store.record_host(
        run_id,
        "web1",
        [
            broken,
            result("/srv/a", scope="srv"),
            result("alice", scope="events", capability=OTHER, token="t2", after="t1"),
        ],
        200,
    )

    assert [counts(each) for each in recorded] == [{}, {"new": 1}, {"seen_again": 1}]
    assert recorded[0].refused is not None
    assert "it has no 'unmapped'" in recorded[0].refused
    assert [each.refused for each in recorded[1:]] == [None, None]
    # Nothing of the refused result is stored, and what it did not show again is not gone.
    assert {found.subject: found.status for found in store.query(now=200)} == {
        "/etc/old": "new",
        "/srv/a": "new",
        "alice": "open",
    }
    assert store.checkpoint("web1", "audit_events") == "t2"
    assert store.checkpoint("web1", "file_checkpoint") is None
    covered = {each.capability: each for each in store.coverage()}
    assert (covered[OTHER].status, covered[CAPABILITY].status) == ("checked", "partial")
    entries = {entry["scope"]: entry for entry in covered[CAPABILITY].entries}
    assert {scope: entry["status"] for scope, entry in entries.items()} == {"etc": "not_checked", "srv": "checked"}
    assert entries["etc"]["reason"] == f"its result was refused: {recorded[0].refused}"


def test_a_capability_whose_only_result_is_refused_was_not_checked(store: Store) -> None:
    store.record_host(begin(store, 100, "run-1"), "web1", [result(), result(capability=OTHER, scope="events")], 100)
    store.record_host(begin(store, 200, "run-2"), "web1", [BAD, result(capability=OTHER, scope="events")], 200)
    covered = {each.capability: (each.status, each.last_checked) for each in store.coverage()}
    assert covered == {CAPABILITY: ("not_checked", 100), OTHER: ("checked", 200)}


@pytest.mark.parametrize("coverage", [None, [], "none", [{"scope": 7}]])
def test_a_refused_result_is_noted_whatever_its_coverage_is(store: Store, coverage: t.Any) -> None:
    broken = dataclasses.replace(BAD, coverage=coverage)
    (recorded,) = store.record_host(begin(store, 100, "run-1"), "web1", [broken], 100)
    (covered,) = store.coverage(capabilities=[CAPABILITY])
    assert [(entry["scope"], entry["reason"]) for entry in covered.entries] == [
        (CAPABILITY, f"its result was refused: {recorded.refused}")
    ]


def test_a_reason_as_long_as_a_host_likes_is_cut(store: Store) -> None:
    event = finding()
    event["finding_info"]["uid"] = "x" * 20_000
    broken = CapabilityResult(CAPABILITY, [event], [checked()])
    store.record_host(begin(store, 100, "run-1"), "web1", [broken], 100)
    (covered,) = store.coverage(capabilities=[CAPABILITY])
    assert len(covered.entries[0]["reason"]) == 2_000


def test_what_the_database_refuses_costs_only_its_result(store: Store) -> None:
    run_id = begin(store, 100, "run-1")
    # The same finding as another capability's: its uid, which is the key, is of host, alert and subject alone.
    claimed = result("/etc/a")
    claimed.findings[0]["unmapped"]["capability"] = OTHER
    recorded = store.record_host(
        run_id,
        "web1",
        [result("/etc/a"), dataclasses.replace(claimed, capability=OTHER), result("/srv/a", scope="srv")],
        100,
    )
    assert [counts(each) for each in recorded] == [{"new": 1}, {}, {"new": 1}]
    assert recorded[1].refused is not None
    assert recorded[1].refused.startswith("the store failed: ")
    assert {found.subject: found.capability for found in store.query()} == {
        "/etc/a": CAPABILITY,
        "/srv/a": CAPABILITY,
    }


def test_all_of_a_host_is_one_transaction(sqlite_url: str) -> None:
    begun: list[str] = []
    with contextlib.closing(Store.open(sqlite_url)) as store:
        run_id = begin(store, 100, "run-1")

        def note(connection: sa.Connection) -> None:
            begun.append(connection.dialect.name)

        sa.event.listen(sa.Engine, "begin", note)
        try:
            store.record_host(run_id, "web1", RUNS[0], 100, PINS)
        finally:
            sa.event.remove(sa.Engine, "begin", note)
    assert begun == ["sqlite"]


def test_a_run_that_is_not_there_is_named_and_nothing_is_recorded(store: Store) -> None:
    with pytest.raises(StoreError, match="there is no run 'lost' in the store"):
        store.record_host("lost", "web1", RUNS[0], 100, PINS)
    assert (store.query(), store.pins("web1")) == ([], {})


def test_a_check_forgets_what_it_recorded(store_url: str) -> None:
    with contextlib.closing(Store.open(store_url)) as store:
        run_id = begin(store, 100, "run-1")
    with contextlib.closing(Store.open(store_url, mode="check")) as store:
        recorded = store.record_host(run_id, "web1", [*RUNS[0], BAD], 100, PINS)
        assert [bool(each.refused) for each in recorded] == [False] * 4 + [True]
        assert (only(store, 100, subjects=["/srv/a"]).status, store.pins("web1")) == ("new", PINS)
    with contextlib.closing(Store.open(store_url)) as store:
        assert (store.query(), store.pins("web1")) == ([], {})


def record_pins(store: Store, host: str, pins: dict[str, str] | None) -> list[RecordResult]:
    return store.record_host(begin(store, 100, "run-1"), host, [], 100, pins)


def test_pins_are_replaced_as_a_whole_and_stay_without_new_ones(store: Store) -> None:
    assert store.pins("web1") == {}
    record_pins(store, "web1", PINS)
    record_pins(store, "web2", {"payload.zip": "c" * 64})
    record_pins(store, "web1", None)
    assert (store.pins("web1"), store.pins("web2")) == (PINS, {"payload.zip": "c" * 64})
    record_pins(store, "web1", {"payload.zip": "d" * 64})
    assert (store.pins("web1"), store.pins("web2")) == ({"payload.zip": "d" * 64}, {"payload.zip": "c" * 64})
    record_pins(store, "web1", {})
    assert store.pins("web1") == {}


@pytest.mark.parametrize("pins", [{"": "a" * 64}, {"x y": "a" * 64}, {"x\n": "a" * 64}, {"x": "A" * 64}, {"x": "a"}])
def test_a_malformed_pin_is_refused(store: Store, pins: dict[str, str]) -> None:
    with pytest.raises(StoreError, match="of web1 is malformed: it needs a name and a digest"):
        record_pins(store, "web1", pins)


def test_pins_go_with_their_host(store: Store) -> None:
    for host in ("web1", "web2"):
        record_pins(store, host, PINS)
    store.forget(["web1"], capabilities=[CAPABILITY], by="bob", now=200)
    assert store.pins("web1") == PINS
    store.forget(["web1"], by="bob", now=200)
    assert (store.pins("web1"), store.pins("web2")) == ({}, PINS)


def test_another_host_is_left_as_it_is(store: Store) -> None:
    run_id = begin(store, 100, "run-1")
    store.record_host(run_id, "web2", [CapabilityResult(CAPABILITY, [finding(host="web2")], [checked()])], 100)
    store.record_host(run_id, "web1", [result()], 100)
    assert only(store, 100, hosts=["web2"]).status == "new"
    assert store.query(Query(hosts=["web1"])) == []
