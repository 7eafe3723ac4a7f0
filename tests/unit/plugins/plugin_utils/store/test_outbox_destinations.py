# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Destinations are registered, limited and removed; what they never got is counted."""

from __future__ import annotations

import contextlib
import pathlib
import sqlite3
import typing as t

import pytest
from ansible_collections.bulwark.servers.plugins.plugin_utils.store import (
    Destination,
    ExportFilter,
    Query,
    Selection,
    Settlement,
    Store,
    StoreError,
)

from tests.unit.plugins.plugin_utils.store.outboxes import NAME, changes, claim, register, sent, state, waiting
from tests.unit.plugins.plugin_utils.store.samples import finding, record, start


def _record(store: Store, now: float, host: str = "web1", **changed: t.Any) -> None:
    """Record one new event."""
    record(store, now, [finding(f"at {now}", now=now, host=host, lifecycle="event", **changed)], host=host)


def _times(store: Store) -> list[float]:
    return [change.at for change in waiting(store)]


def test_a_destination_comes_back_as_it_was_registered(store: Store) -> None:
    wanted = ExportFilter(("web*",), ("web",), ("web1", "web2"), ("audit",), ("a*",), ("new",), "high")
    destination = Destination("a", "syslog", "siem:6514", wanted, True, False, 5, 60.5, "keep_newest")
    assert store.register_destination(destination, now=10)
    assert not store.register_destination(destination, now=20)
    (only,) = store.destinations()
    assert (only.destination, only.registered, only.waiting, only.waiting_since) == (destination, 10, 0, None)
    assert register(store, 30, "a")
    (only,) = store.destinations()
    assert (only.destination.kind, only.registered) == ("file", 10)


def test_destinations_come_by_name(store: Store) -> None:
    for name in ("b", "c", "a"):
        register(store, name=name)
    assert [each.destination.name for each in store.destinations()] == ["a", "b", "c"]


def test_a_limit_without_a_policy_is_refused(store: Store) -> None:
    for limit in ({"max_changes": 1}, {"max_age": 1.0}):
        with pytest.raises(StoreError, match=r"^the destination 'siem' has a limit and does not say"):
            register(store, **limit)
    assert store.destinations() == []


FILTERS: dict[str, dict[str, t.Any]] = {
    "none": {},
    "host": {"hosts": ("web1",)},
    "hosts": {"hosts": ("*2", "w?b1")},
    "capability": {"capabilities": ("file_integrity",)},
    "another capability": {"capabilities": ("audit",)},
    "alert": {"alerts": ("*_event",)},
    "severity": {"severity": "high"},
    "status": {"statuses": ("new", "suppressed")},
    "several": {"hosts": ("web2",), "severity": "medium", "alerts": ("test_alert_state",)},
}


@pytest.mark.parametrize("name", FILTERS)
def test_a_filter_asks_as_findings_info_does(store: Store, name: str) -> None:
    """The same findings are in findings_info, in what is recorded from now on, and in what was there before."""
    register(store, **FILTERS[name])
    for host, severity in (("web1", "low"), ("web2", "high"), ("web3", "critical")):
        seen = [finding(f"/etc/{kind}", host=host, lifecycle=kind, severity=severity) for kind in ("state", "event")]
        record(store, 10, seen, host=host)
    chosen = {found.uid for found in store.query(Query(**FILTERS[name]), 20)}
    assert {change.key for change in waiting(store)} == chosen
    assert register(store, 20, "later", since=5, **FILTERS[name])
    assert {change.key for change in waiting(store, "later")} == chosen
    assert set(changes(store, "later")) <= {"existing"}


def test_a_status_is_that_after_the_change(store: Store) -> None:
    register(store, statuses=("suppressed", "resolved"))
    record(store, 10, [finding()])
    store.suppress(Selection(host="web1"), reason="r", by="alice", now=20)
    store.unsuppress(Selection(host="web1"), reason="r", by="alice", now=30)
    record(store, 40)
    assert changes(store) == ["suppressed", "resolved"]


def test_a_group_is_its_hosts(store: Store) -> None:
    register(store, groups=("web",), group_hosts=("web1",))
    register(store, name="empty", groups=("web",))
    for host in ("web1", "web2"):
        _record(store, 10, host)
    assert ([change.host for change in waiting(store)], changes(store, "empty")) == (["web1"], [])
    register(store, name="later", groups=("web",), group_hosts=("web2",), since=0)
    assert [change.host for change in waiting(store, "later")] == ["web2"]


def test_existing_findings_read_as_findings_info_shows_them(store: Store) -> None:
    record(store, 10, [finding("/old")])
    record(store, 20, [finding("/new"), finding("/resolved")])
    record(store, 30, [finding("/new")])
    register(store, 40, since=20)
    shown = {found.uid: found for found in store.query(Query(since=20), 40)}
    queued = waiting(store)
    assert {change.key: change.uid for change in queued} == {
        uid: found.event["metadata"]["uid"] for uid, found in shown.items()
    }
    assert {change.event["unmapped"]["status"] for change in queued} == {"open", "resolved"}
    for change in queued:
        found = shown[change.key]
        event = change.event
        unmapped = {**event["unmapped"]}
        assert unmapped.pop("run") == found.last_run
        assert unmapped.pop("change") == "existing"
        assert {**event, "unmapped": unmapped} == found.event
        assert (change.at, change.size > 0) == (max(found.status_since, found.last_seen), True)
    assert (state(store).waiting, state(store).waiting_since) == (2, 40)


def test_only_a_new_destination_gets_what_was_there(store: Store) -> None:
    register(store)
    record(store, 10, [finding()])
    register(store, 20, since=0, severity="low")
    register(store, 30, "without")
    assert (changes(store), changes(store, "without")) == (["new"], [])


def test_the_oldest_stay_and_the_rest_is_counted(store: Store) -> None:
    register(store, max_changes=2, when_full="keep_oldest")
    for now in (10, 20, 30, 40):
        _record(store, now)
    assert (_times(store), state(store).dropped, state(store).waiting) == ([10, 20], 2, 2)
    sent(store, claim(store, 50, changes=1), 50)
    _record(store, 60)
    assert (_times(store), state(store).dropped) == ([20, 60], 2)


def test_the_newest_stay_and_the_rest_is_counted(store: Store) -> None:
    register(store, max_changes=2, when_full="keep_newest")
    for now in (10, 20, 30, 40):
        _record(store, now)
    now = state(store)
    assert (_times(store), now.dropped, now.waiting, now.waiting_since) == ([30, 40], 2, 2, 30)
    assert now.waiting_bytes == sum(change.size for change in waiting(store))


def test_one_record_beyond_a_limit_is_limited_too(store: Store) -> None:
    for name, policy in (("oldest", "keep_oldest"), ("newest", "keep_newest")):
        register(store, name=name, max_changes=3, when_full=policy)
        register(store, name=f"existing {name}", severity="critical")
    record(store, 10, [finding(f"/{number}") for number in range(10)])
    for name in ("oldest", "newest"):
        assert (state(store, name).waiting, state(store, name).dropped) == (3, 7)
    assert {change.id for change in waiting(store, "oldest")}.isdisjoint(
        change.id for change in waiting(store, "newest")
    )
    for name, policy in (("oldest", "keep_oldest"), ("newest", "keep_newest")):
        register(store, name=f"later {name}", max_changes=3, when_full=policy, since=0)
        assert (state(store, f"later {name}").waiting, state(store, f"later {name}").dropped) == (3, 7)


def test_what_an_exporter_has_is_not_dropped(store: Store) -> None:
    register(store, max_changes=1, when_full="keep_newest")
    _record(store, 10)
    claimed = claim(store, 15)
    _record(store, 20)
    _record(store, 30)
    assert (_times(store), state(store).dropped) == ([10], 2)
    sent(store, claimed, 35)
    assert (state(store).sent, state(store).waiting) == (1, 0)


def test_old_changes_are_dropped_by_age(store: Store) -> None:
    register(store, max_age=100.0, when_full="keep_newest")
    for now in (10, 50, 120):
        _record(store, now)
    assert (_times(store), state(store).dropped) == ([50, 120], 1)
    assert [change.at for change in claim(store, 160)] == [120]
    assert state(store).dropped == 2


def test_by_age_the_oldest_stay_until_they_are_sent(store: Store) -> None:
    register(store, max_age=100.0, when_full="keep_oldest")
    for now in (10, 50, 120):
        _record(store, now)
    assert (_times(store), state(store).dropped) == ([10, 50], 1)
    sent(store, claim(store, 130), 130)
    _record(store, 140)
    assert _times(store) == [140]


def test_a_destination_with_changes_is_removed_only_on_demand(store: Store) -> None:
    register(store)
    register(store, name="other")
    _record(store, 10)
    _record(store, 20)
    first = claim(store, 30, changes=1)
    store.settle(NAME, "one", [Settlement(first[0].id, "set_aside", "r")], now=31)
    with pytest.raises(StoreError) as error:
        store.remove_destination(NAME, discard=False, now=40)
    assert str(error.value) == (
        "the destination 'siem' still has changes that it did not get (1 wait, 1 were set aside): export them first, "
        "or discard them"
    )
    assert store.remove_destination(NAME, discard=True, now=40) == 2
    assert [each.destination.name for each in store.destinations()] == ["other"]
    assert changes(store, "other") == ["new", "new"]
    assert store.remove_destination(NAME, discard=False, now=50) == 0
    # Of the same name, and another one.
    register(store, 60)
    assert (changes(store), state(store).sent, state(store).set_aside) == ([], 0, 0)


def test_an_empty_destination_is_removed(store: Store) -> None:
    register(store)
    _record(store, 10)
    sent(store, claim(store, 20), 20)
    assert store.remove_destination(NAME, discard=False, now=30) == 0
    assert store.destinations() == []


def test_many_transactions_add_up(store: Store) -> None:
    register(store)
    for now in range(60):
        _record(store, now)
    total = 0
    while claimed := claim(store, 100, changes=7):
        sent(store, claimed, 100)
        total += len(claimed)
        assert (state(store).waiting, state(store).sent) == (60 - total, total)
        assert state(store).waiting_bytes == sum(change.size for change in waiting(store))
    assert total == 60


def test_a_closed_run_leaves_few_notes_of_the_numbers(store: Store) -> None:
    """Also where no exporter ever comes by, which adds them up too."""
    register(store)
    for now in range(60):
        _record(store, now)
    run = start(store, 70)
    count = "SELECT count(*) FROM bulwark_outbox_counts"
    before = store._database.read(lambda c: c.exec_driver_sql(count).scalar_one())
    store.finish_run(run, 80)
    after = store._database.read(lambda c: c.exec_driver_sql(count).scalar_one())
    assert (before, after, state(store).waiting) == (60, 1, 60)


def test_discarding_does_not_write_what_it_deletes(sqlite_url: str) -> None:
    database = pathlib.Path(sqlite_url.removeprefix("sqlite:///"))
    findings = [finding(f"/etc/file{number}") for number in range(500)]
    with contextlib.closing(Store.open(sqlite_url)) as store:
        register(store)
        for now in (10, 20):  # the second run replaces the events, which are copied for the destination
            record(store, now, findings)
        size = state(store).waiting_bytes
        with contextlib.closing(sqlite3.connect(database)) as connection:
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        assert store.remove_destination(NAME, discard=True, now=30) == 500
        assert database.with_name(f"{database.name}-wal").stat().st_size < size / 4
