# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Each change is exported as the finding was right after it, whatever happened since."""

from __future__ import annotations

import contextlib
import typing as t

import pytest
from ansible_collections.bulwark.servers.plugins.plugin_utils.store import (
    CapabilityResult,
    Destination,
    Selection,
    Store,
)

from tests.unit.plugins.plugin_utils.ocsf import schema
from tests.unit.plugins.plugin_utils.store.copies import copy
from tests.unit.plugins.plugin_utils.store.outboxes import changes, claim, register, sent, state, waiting
from tests.unit.plugins.plugin_utils.store.samples import CAPABILITY, checked, finding, only, record, skipped, start

EVERYTHING = Selection(host="*")


def _messages(store: Store) -> list[tuple[str, str]]:
    return [(change.change, change.event["message"]) for change in waiting(store)]


def _plain(event: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
    """Return an event without what only a change has."""
    about = {key: event["unmapped"][key] for key in event["unmapped"].keys() - {"change", "run", "before_severity"}}
    return {**event, "unmapped": about}


def test_a_new_finding_reads_as_findings_info_shows_it(store: Store) -> None:
    register(store)
    record(store, 10, [finding(now=10)])
    (change,) = waiting(store)
    assert _plain(change.event) == only(store, 10).event
    assert change.event["unmapped"]["run"] == only(store, 10).last_run


@pytest.mark.parametrize("seen", [[finding(severity="high")], [], None])
def test_a_change_reads_as_findings_info_showed_it(store: Store, seen: list[dict[str, t.Any]] | None) -> None:
    register(store)
    record(store, 10, [finding()])
    if seen is None:
        store.suppress(EVERYTHING, reason="r", by="alice", now=20)
    else:
        record(store, 20, seen)
    change = waiting(store)[-1]
    event = _plain(change.event)
    event["unmapped"].pop("by", None)
    assert event == only(store, 20).event


def test_each_change_keeps_what_was_observed_then(store: Store) -> None:
    register(store)
    record(store, 10, [finding(message="first")])
    record(store, 20, [finding(message="second", severity="high")])
    record(store, 30, [finding(message="third", severity="low")])
    record(store, 40, [finding(message="fourth", severity="low")])
    store.resolve(EVERYTHING, reason="r", by="alice", now=50)
    record(store, 60, [finding(message="fifth", severity="low")])
    assert _messages(store) == [
        ("new", "first"),
        ("severity_changed", "second"),
        ("severity_changed", "third"),
        ("resolved", "fourth"),
        ("reopened", "fifth"),
    ]
    events = [change.event for change in waiting(store)]
    assert [event["severity"] for event in events] == ["Medium", "High", "Low", "Low", "Low"]
    assert [event["unmapped"].get("before_severity") for event in events] == [None, "medium", "high", "low", None]
    assert [event["finding_info"]["last_seen_time"] for event in events] == [10_000, 20_000, 30_000, 40_000, 60_000]
    assert [event["count"] for event in events] == [1, 2, 3, 4, 5]


def test_steps_of_one_transaction_are_changes_of_their_own(store: Store) -> None:
    register(store)
    record(store, 10, [finding(message="before", severity="low")])
    store.suppress(EVERYTHING, reason="r", by="alice", now=20, until=25)
    # Its end, the new severity, and what a second look at the same scope sees.
    run = start(store, 30)
    looks = [finding(message=text, severity=severity) for text, severity in (("second", "high"), ("third", "low"))]
    store.record_host(run, "web1", [CapabilityResult(CAPABILITY, [look], [checked()]) for look in looks], 30)
    assert _messages(store)[1:] == [
        ("suppressed", "before"),
        ("unsuppressed", "before"),
        ("severity_changed", "second"),
        ("severity_changed", "third"),
    ]
    unsuppressed = waiting(store)[2].event
    assert (unsuppressed["severity"], unsuppressed["time"], unsuppressed["count"]) == ("Low", 25_000, 1)
    assert len({change.uid for change in waiting(store)}) == 5


def test_changes_in_one_millisecond_have_uids_of_their_own(store: Store) -> None:
    register(store)
    record(store, 10, [finding()])
    for _again in range(3):
        store.suppress(EVERYTHING, reason="r", by="alice", now=20.0001)
        store.unsuppress(EVERYTHING, reason="r", by="alice", now=20.0002)
    uids = [change.uid for change in waiting(store)]
    assert len(set(uids)) == len(uids) == 7
    # Each time the same, also for another exporter.
    assert [change.uid for change in claim(store, 30)] == uids


def test_a_uid_is_the_one_of_findings_info_unless_it_would_repeat(store: Store) -> None:
    register(store)
    record(store, 10, [finding()])
    store.suppress(EVERYTHING, reason="r", by="alice", now=20)
    assert waiting(store)[-1].uid == only(store, 20).event["metadata"]["uid"]


@pytest.mark.parametrize("evidence", [True, False])
def test_more_evidence_is_a_change_by_choice(store: Store, evidence: bool) -> None:
    register(store, evidence=evidence)
    first, second = {"data": {"line": 1}}, {"data": {"line": 2}}
    record(store, 10, [finding(evidences=[first])])
    record(store, 20, [finding(evidences=[first])])
    record(store, 30, [finding(evidences=[second, first])])
    record(store, 40, [finding(evidences=[first])])
    assert changes(store) == (["new", "evidence"] if evidence else ["new"])
    if evidence:
        change = waiting(store)[1]
        assert [item["data"]["line"] for item in change.event["evidences"]] == [2, 1]
        assert (change.event["activity_name"], change.event["count"], change.at) == ("Update", 3, 30)
        assert schema.errors(change.event) == []


def test_a_change_of_severity_with_more_evidence_is_one_change(store: Store) -> None:
    register(store, evidence=True)
    record(store, 10, [finding()])
    record(store, 20, [finding(severity="high", evidences=[{"data": {"line": 2}}])])
    assert changes(store) == ["new", "severity_changed"]


def test_what_waits_outlives_its_finding(store: Store) -> None:
    register(store)
    record(store, 10, [finding(message="first"), finding("/etc/shadow", message="other")])
    record(store, 20, [finding(message="second")])
    assert store.prune(1000)["findings"] == 1
    store.forget(["web1"], by="alice", now=30)
    assert store.query(now=40) == []
    assert sorted(_messages(store)) == [("new", "first"), ("new", "other"), ("resolved", "other")]
    sent(store, claim(store, 50), 50)
    assert state(store).waiting == 0


def test_a_finding_that_is_forgotten_and_comes_back_waits_as_new(store: Store) -> None:
    register(store)
    record(store, 10, [finding(message="first")])
    store.forget(["web1"], by="alice", now=20)
    record(store, 30, [finding(message="second")])
    assert _messages(store) == [("new", "first"), ("new", "second")]
    assert len({change.uid for change in waiting(store)}) == 2


def test_a_copy_takes_what_waits_along(ends: tuple[str, str]) -> None:
    source, destination = ends
    with contextlib.closing(Store.open(source)) as store:
        register(store)
        record(store, 10, [finding(message="first"), finding("/etc/shadow", message="other")])
        record(store, 20, [finding(message="second")])
        first = claim(store, 30, changes=1)
        before = [(change.id, change.uid, change.event) for change in waiting(store)]
    copy(source, destination)
    with contextlib.closing(Store.open(destination)) as store:
        assert [(change.id, change.uid, change.event) for change in waiting(store)] == before
        assert state(store).waiting == 3
        # The exporter of the old store may still be at it.
        assert claim(store, 40, "two")[0].id > first[0].id
        record(store, 50)
        assert max(change.id for change in waiting(store)) == waiting(store)[-1].id > before[-1][0]
        assert changes(store)[-1] == "resolved"


def test_each_closed_run_says_how_far_it_looked(store: Store) -> None:
    register(store, coverage=True, alerts=("none",), statuses=("new",), severity="critical")
    register(store, name="other", coverage=False)
    run = start(store, 10, ["web1", "web2", "web3"])
    store.record(run, "web1", CAPABILITY, [], [checked()], 20)
    store.record(run, "web2", CAPABILITY, [], [skipped("/etc/ssl")], 20)
    store.finish_run(run, 30, {"web3": "it did not answer"})
    first = waiting(store)
    assert [(change.change, change.host, change.capability) for change in first] == [
        ("coverage", "web1", None),
        ("coverage", "web2", None),
        ("coverage", "web3", None),
    ]
    events = [change.event for change in first]
    assert [schema.errors(event) for event in events] == [[], [], []]
    assert [event["unmapped"]["status"] for event in events] == ["checked", "partial", "not_checked"]
    assert events[2]["unmapped"]["coverage"][0]["scopes"][0]["reason"] == "no result arrived: it did not answer"
    assert changes(store, "other") == []
    # Closed again, nothing is new; and then something is.
    store.finish_run(run, 40)
    assert len(waiting(store)) == 3
    store.record(run, "web3", CAPABILITY, [], [checked()], 50)
    store.finish_run(run, 60)
    (again,) = waiting(store)[3:]
    assert (again.host, again.key == first[2].key, again.uid == first[2].uid) == ("web3", True, False)
    assert again.event["unmapped"]["coverage"][0]["last_checked_time"] == 50_000


def test_coverage_goes_only_to_who_asked_for_the_host(store: Store) -> None:
    store.register_destination(Destination("all", "file", "/a"), now=0)
    register(store, coverage=True, hosts=("web2",))
    run = start(store, 10, ["web1", "web2"])
    store.finish_run(run, 30)
    assert ([each.host for each in waiting(store)], len(waiting(store, "all"))) == (["web2"], 2)
