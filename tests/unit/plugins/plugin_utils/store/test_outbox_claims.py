# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Exporters take changes in turns, in the order of each finding, and lose none."""

from __future__ import annotations

import pytest
from ansible_collections.bulwark.servers.plugins.plugin_utils.store import Settlement, Store, StoreError

from tests.unit.plugins.plugin_utils.store.outboxes import LEASE, NAME, changes, claim, register, sent, state, waiting
from tests.unit.plugins.plugin_utils.store.samples import CAPABILITY, checked, finding, record, start

DAY = 86_400


def _recorded(store: Store, *subjects: str, now: float = 10) -> None:
    """Record new findings, one after the other."""
    run = start(store, now)
    for number in range(1, len(subjects) + 1):
        store.record(run, "web1", CAPABILITY, [finding(subject) for subject in subjects[:number]], [checked()], now)


def _subjects(claimed: list[object]) -> list[str]:
    return [change.event["unmapped"]["subject"] for change in claimed]  # type: ignore[attr-defined] - of any kind


def test_changes_are_claimed_once_in_their_order(store: Store) -> None:
    register(store)
    _recorded(store, "/a", "/b", "/c")
    first = claim(store, 20, "one", changes=2)
    assert (_subjects([*first]), [change.attempts for change in first]) == (["/a", "/b"], [0, 0])
    assert _subjects([*claim(store, 20, "two")]) == ["/c"]
    assert claim(store, 20, "three") == claim(store, 20, "one") == []
    assert _subjects([*waiting(store)]) == ["/a", "/b", "/c"]


def test_a_claim_stays_within_a_size_and_has_one_at_least(store: Store) -> None:
    register(store)
    _recorded(store, "/a", "/b", "/c")
    size = waiting(store)[0].size
    assert size == state(store).waiting_bytes / 3
    assert len(claim(store, 20, size=1)) == 1
    assert len(claim(store, 20, size=2 * size)) == 2


def test_what_was_sent_is_gone(store: Store) -> None:
    register(store)
    _recorded(store, "/a", "/b")
    sent(store, claim(store, 20, changes=1), 21)
    assert _subjects([*waiting(store)]) == ["/b"]
    now = state(store)
    assert (now.waiting, now.sent, now.last_sent, now.waiting_since, now.dropped) == (1, 1, 21, 10, 0)
    assert now.waiting_bytes == waiting(store)[0].size


def test_the_changes_of_a_killed_exporter_come_back_after_its_lease(store: Store) -> None:
    register(store)
    _recorded(store, "/a")
    killed = claim(store, 20, "killed")
    assert claim(store, 20 + LEASE - 1, "two") == []
    again = claim(store, 20 + LEASE, "two")
    assert [(change.id, change.uid, change.attempts) for change in again] == [(killed[0].id, killed[0].uid, 0)]
    # Whoever was only slow has no say any more.
    sent(store, killed, 90, "killed")
    assert (state(store).waiting, state(store).sent) == (1, 0)
    sent(store, again, 91, "two")
    assert (state(store).waiting, state(store).sent) == (0, 1)


def test_an_exporter_that_was_slow_settles_what_nobody_else_took(store: Store) -> None:
    register(store)
    _recorded(store, "/a")
    sent(store, claim(store, 20), 20 + 2 * LEASE)
    assert state(store).sent == 1


def test_no_change_overtakes_an_earlier_one_of_its_finding(store: Store) -> None:
    register(store)
    for now, severity in ((10, "low"), (11, "high")):
        record(store, now, [finding(severity=severity)])
    (first,) = claim(store, 20, "one", changes=1)
    record(store, 21, [finding(severity="medium"), finding("/b")])
    assert _subjects([*claim(store, 22, "two")]) == ["/b"]
    sent(store, [first], 23, "one")
    assert [change.event["severity"] for change in claim(store, 24, "two")] == ["High", "Medium"]


def test_a_change_that_is_released_comes_before_the_later_ones(store: Store) -> None:
    register(store)
    for now, severity in ((10, "low"), (11, "high")):
        record(store, now, [finding(severity=severity)])
    first, second = claim(store, 20, "one")
    store.settle(NAME, "one", [Settlement(first.id, "released")], now=21)
    assert claim(store, 22, "two") == []
    store.settle(NAME, "one", [Settlement(second.id, "released")], now=23)
    assert [change.id for change in claim(store, 24, "two")] == [first.id, second.id]


def test_a_refused_change_is_set_aside_until_a_person_sends_it_again(store: Store) -> None:
    register(store)
    _recorded(store, "/a", "/b", "/c")
    first, second, third = claim(store, 20)
    settlements = [
        Settlement(first.id, "set_aside", "no such field"),
        Settlement(second.id, "sent", shortened=True),
        Settlement(third.id, "set_aside", "too large"),
    ]
    store.settle(NAME, "one", settlements, now=21)
    now = state(store)
    assert (now.waiting, now.waiting_bytes, now.set_aside, now.sent, now.shortened) == (0, 0, 2, 1, 1)
    assert [(change.id, change.reason) for change in store.set_aside(NAME)] == [
        (first.id, "no such field"),
        (third.id, "too large"),
    ]
    assert len(store.set_aside(NAME, 1)) == 1
    assert claim(store, 1000) == []
    assert store.send_again(NAME, ids=[third.id, 12345], now=30) == 1
    assert [(change.id, change.reason, change.attempts) for change in claim(store, 31)] == [(third.id, None, 0)]
    assert store.send_again(NAME, now=32) == 1
    assert store.send_again(NAME, now=33) == 0
    now = state(store)
    assert (now.waiting, now.waiting_bytes, now.set_aside) == (2, first.size + third.size, 0)


def test_what_a_receiver_asks_for_again_is_counted(store: Store) -> None:
    register(store)
    _recorded(store, "/a")
    for attempts in range(3):
        (change,) = claim(store, 20)
        assert change.attempts == attempts
        store.settle(NAME, "one", [Settlement(change.id, "released", "busy")], now=20)


def test_a_claim_is_renewed_unless_another_exporter_has_it(store: Store) -> None:
    register(store)
    _recorded(store, "/a")
    claim(store, 20, "one")
    store.renew(NAME, "one", lease=LEASE, now=70)
    assert claim(store, 20 + LEASE, "two") == []
    assert len(claim(store, 70 + LEASE, "two")) == 1
    store.renew(NAME, "one", lease=1000, now=71 + LEASE)
    assert len(claim(store, 71 + 2 * LEASE, "three")) == 1


def test_a_failure_lets_all_wait_until_its_time(store: Store) -> None:
    register(store)
    _recorded(store, "/a")
    for attempts in (1, 2):
        store.postpone(NAME, until=100, reason="connection refused", now=20)
        now = state(store)
        assert (now.attempts, now.retry_at, now.last_error) == (attempts, 100, "connection refused")
    assert claim(store, 99) == []
    sent(store, claim(store, 100), 101)
    now = state(store)
    assert (now.attempts, now.retry_at, now.last_error) == (0, None, None)


def test_a_clock_that_was_fast_holds_nothing_up(store: Store) -> None:
    register(store)
    _recorded(store, "/a")
    store.postpone(NAME, until=400 * DAY + 60, reason="r", now=400 * DAY)
    assert len(claim(store, 20)) == 1
    store.settle(NAME, "one", [Settlement(waiting(store)[0].id, "released")], now=20)
    assert len(claim(store, 400 * DAY + 61, "fast")) == 1
    assert len(claim(store, 30, "right")) == 1


def test_a_retry_is_a_day_ahead_at_most(store: Store) -> None:
    register(store)
    store.postpone(NAME, until=1e12, reason="r", now=20)
    assert state(store).retry_at == 20 + DAY


def test_what_two_destinations_wait_for_is_gone_when_both_have_it(store: Store) -> None:
    for name in ("first", "second"):
        register(store, name=name)
    _recorded(store, "/a")
    assert [change.id for change in waiting(store, "first")] == [change.id for change in waiting(store, "second")]
    sent(store, claim(store, 20, name="first"), 21, name="first")
    assert (changes(store, "first"), changes(store, "second")) == ([], ["new"])
    sent(store, claim(store, 20, name="second"), 21, name="second")
    assert changes(store, "second") == []


def test_a_destination_that_is_not_there_is_named(store: Store) -> None:
    for work in (
        lambda: claim(store, 1, name="none"),
        lambda: store.settle("none", "one", [], now=1),
        lambda: store.postpone("none", until=2, reason="r", now=1),
        lambda: store.send_again("none", now=1),
        lambda: store.set_aside("none"),
        lambda: store.waiting("none", None, 1),
    ):
        with pytest.raises(
            StoreError, match=r"^there is no destination 'none' in the store: an export registers those"
        ):
            work()
