# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A worker loses nothing and keeps the order of each finding, whatever the receiver does."""

from __future__ import annotations

import collections
import itertools
import random
import typing as t

import pytest
from ansible_collections.bulwark.servers.plugins.plugin_utils.export import worker
from ansible_collections.bulwark.servers.plugins.plugin_utils.export.progress import Progress
from ansible_collections.bulwark.servers.plugins.plugin_utils.export.receiver import (
    Prepared,
    Receipt,
    UnavailableError,
)
from ansible_collections.bulwark.servers.plugins.plugin_utils.export.worker import Worker
from ansible_collections.bulwark.servers.plugins.plugin_utils.store.export_model import QueuedChange
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.plugins.plugin_utils.export.doubles import Outbox, Receiver, Script, Times, accept, change

SECRET = "s3cr3t-token"


def work(
    outbox: Outbox, receiver: Receiver, times: Times | None = None, *, seconds: float = 300.0, failures: int = 0
) -> Progress:
    times, progress = times or Times(), Progress()
    Worker(
        outbox,
        receiver,
        "siem",
        "desk:1",
        deadline=times.steady + seconds,
        failures=failures,
        redact=lambda text: text.replace(SECRET, "***"),
        progress=progress,
        clock=times.clock,
    ).run()
    assert outbox.claimed == {}, "something is claimed by nobody"
    return progress


def unavailable(reason: str = "connection refused", retry_after: float | None = None) -> Script:
    def script(_batch: t.Sequence[Prepared]) -> list[Receipt]:
        raise UnavailableError(reason, retry_after)

    return script


def outcomes(**by_uid: str) -> Script:
    """Return what a receiver does that says something else of some events; ``uid_3="again"``."""
    wanted = {uid.replace("_", "-"): outcome for uid, outcome in by_uid.items()}

    def script(batch: t.Sequence[Prepared]) -> list[Receipt]:
        return [Receipt(wanted.get(each.uid, "accepted"), "busy: " + SECRET) for each in batch]  # type: ignore[arg-type]  # the tests write none but outcomes

    return script


def changes(*keys: str) -> list[QueuedChange]:
    return [change(number, key) for number, key in enumerate(keys, 1)]


def test_all_is_sent_in_batches_of_the_receivers_size() -> None:
    outbox, receiver = Outbox(changes(*(f"f{number}" for number in range(25)))), Receiver(batch_events=10)
    progress = work(outbox, receiver)
    assert (progress.sent, progress.error, outbox.waiting) == (25, None, {})
    assert [len(batch) for batch in receiver.batches] == [10, 10, 5]


def test_a_batch_is_not_larger_than_the_receiver_takes_unless_one_event_alone_is() -> None:
    large = [change(number, f"f{number}", event={"x": "y" * 1000}) for number in range(1, 4)]
    receiver = Receiver(batch_bytes=500)
    assert work(Outbox([*large, change(4, "f4"), change(5, "f5")]), receiver).sent == 5
    assert receiver.batches == [["uid-1"], ["uid-2"], ["uid-3"], ["uid-4", "uid-5"]]


def test_two_changes_of_a_finding_are_never_in_one_batch() -> None:
    receiver = Receiver()
    work(Outbox(changes("a", "b", "a", "c", "a", "b")), receiver)
    assert receiver.batches == [["uid-1", "uid-2", "uid-4"], ["uid-3", "uid-6"], ["uid-5"]]


def test_later_changes_of_a_finding_wait_when_the_receiver_wants_an_earlier_one_again() -> None:
    receiver = Receiver(outcomes(uid_1="again"))
    progress = work(Outbox(changes("a", "b", "a", "b")), receiver)
    assert receiver.accepted == ["uid-2", "uid-4", "uid-1", "uid-3"]
    assert (progress.sent, progress.error) == (4, None)


def test_one_refused_event_is_set_aside_and_the_others_go_on() -> None:
    outbox = Outbox(changes("a", "b", "a"))
    progress = work(outbox, Receiver(outcomes(uid_1="refused")))
    assert outbox.set_aside == {1: "busy: ***"}
    assert (sorted(outbox.sent), progress.sent, progress.refused, progress.error) == ([2, 3], 2, 1, None)


def test_an_event_that_fits_in_no_way_is_set_aside() -> None:
    outbox, receiver = Outbox([*changes("a", "b"), change(3, "c", event={"breaks": True})]), Receiver()
    receiver.unfit = {"uid-1"}
    assert work(outbox, receiver).refused == 2
    assert outbox.set_aside == {1: "it has no host", 3: "it could not be formatted: KeyError: 'device'"}
    assert outbox.sent == [2]


def test_what_the_receiver_got_less_of_is_counted() -> None:
    outbox = Outbox([change(1, "a", event={"removed": 2}), change(2, "b")])
    assert (work(outbox, Receiver()).shortened, outbox.shortened) == (1, 1)


def test_a_failed_batch_is_sent_again_after_a_pause_that_the_store_knows() -> None:
    outbox, times = Outbox(changes("a", "b")), Times()
    progress = work(outbox, Receiver(unavailable(), unavailable()), times)
    assert (progress.sent, progress.error) == (2, None)
    first, second = outbox.postponed
    assert 0.5 <= first <= 1 <= second <= 2
    assert sum(times.pauses) == pytest.approx(first + second)


def test_nothing_is_sent_twice_after_a_failure_but_the_failed_batch() -> None:
    outbox, receiver = Outbox(changes("a", "b", "c")), Receiver(accept, unavailable(), batch_events=1)
    assert work(outbox, receiver).sent == 3
    assert receiver.batches == [["uid-1"], ["uid-2"], ["uid-2"], ["uid-3"]]


def test_a_receiver_that_asks_for_time_gets_it_and_a_long_one_is_left_to_the_next_export() -> None:
    outbox, times = Outbox(changes("a")), Times()
    assert work(outbox, Receiver(unavailable(retry_after=20)), times).sent == 1
    assert times.pauses == [20]
    outbox = Outbox(changes("a"))
    progress = work(outbox, Receiver(unavailable("too many requests", 3600)), times)
    assert (progress.sent, progress.error) == (0, "too many requests")
    assert (outbox.postponed, list(outbox.waiting), times.pauses) == ([3600], [1], [20])


def test_a_receiver_that_failed_often_is_not_waited_for() -> None:
    outbox, times = Outbox(changes("a")), Times()
    assert work(outbox, Receiver(unavailable()), times, failures=9).error == "connection refused"
    assert times.pauses == []
    assert 256 <= outbox.postponed[0] <= 512


def test_a_receiver_that_stays_down_ends_the_export_well_before_its_limit() -> None:
    times = Times()
    outbox = Outbox(changes("a", "b"))
    progress = work(outbox, Receiver(*[unavailable()] * 50), times, seconds=3600)
    assert (progress.error, sum(times.pauses) < 90, list(outbox.waiting)) == ("connection refused", True, [1, 2])


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        (lambda _batch: [Receipt("accepted")], "the receiver confirmed 1 of 2 events"),
        (lambda _batch: [Receipt("accepted")] * 3, "the receiver confirmed 3 of 2 events"),
        (outcomes(uid_1="again", uid_2="again"), "busy: ***"),
        (unavailable(f"401 for {SECRET}\x1b[2J"), "401 for ***\\x1b[2J"),
        (lambda _batch: {}[SECRET], "sending failed: KeyError: '***'"),  # type: ignore[index]  # a library's own fault
    ],
)
def test_whatever_is_no_receipt_for_each_event_confirms_nothing(script: Script, reason: str) -> None:
    outbox = Outbox(changes("a", "b"))
    assert work(outbox, Receiver(script)).sent == 2
    assert outbox.reasons == [reason]
    assert sorted(outbox.sent) == [1, 2]


def test_one_event_that_is_always_wanted_again_does_not_hold_a_receiver_of_single_events() -> None:
    def stubborn(batch: t.Sequence[Prepared]) -> list[Receipt]:
        return [Receipt("again" if batch[0].uid == "uid-1" else "accepted", "500")]

    outbox = Outbox(changes("a", "b", "a", "c"))
    progress = work(outbox, Receiver(*[stubborn] * 50, batch_events=1), seconds=200)
    assert (sorted(outbox.sent), sorted(outbox.waiting), progress.error) == ([2, 4], [1, 3], "500")


def test_a_receiver_that_takes_nothing_is_not_asked_for_each_event() -> None:
    def busy(_batch: t.Sequence[Prepared]) -> list[Receipt]:
        return [Receipt("again", "busy")]

    receiver = Receiver(*[busy] * 50, batch_events=1)
    work(Outbox(changes(*(f"f{number}" for number in range(20)))), receiver, failures=9)
    assert receiver.batches == [["uid-1"], ["uid-2"], ["uid-3"]]


def test_what_a_receiver_wants_again_while_it_takes_others_is_set_aside_in_the_end() -> None:
    first = change(1, "a", attempts=19)
    outbox = Outbox([first, *changes("a", "b", "c")[1:]])
    progress = work(outbox, Receiver(outcomes(uid_1="again")))
    assert outbox.set_aside == {1: "the receiver asked for it again 20 times: busy: ***"}
    assert (progress.sent, progress.refused) == (2, 1)


def test_the_time_limit_ends_the_export_between_batches() -> None:
    times = Times()

    def slow(batch: t.Sequence[Prepared]) -> list[Receipt]:
        times.pass_by(40)
        return accept(batch)

    outbox = Outbox(changes("a", "b", "c", "d"))
    progress = work(outbox, Receiver(*[slow] * 4, batch_events=1), times, seconds=100)
    assert (progress.sent, sorted(outbox.waiting)) == (3, [4])
    assert progress.error == "the time limit of the export was over before everything was sent"


def test_what_an_exporter_had_that_died_is_sent_when_its_lease_is_over() -> None:
    outbox, times = Outbox(changes("a")), Times()
    outbox.others_until = times.wall + worker.LEASE
    progress = work(outbox, Receiver(), times)
    assert (progress.sent, progress.error) == (1, None)
    assert sum(times.pauses) == pytest.approx(worker.LEASE, abs=2)


def test_an_exporter_that_lives_is_not_waited_for_without_end() -> None:
    outbox, times = Outbox(changes("a")), Times()
    outbox.others_until = times.wall + 3600
    progress = work(outbox, Receiver(), times)
    assert (progress.sent, sum(times.pauses) < 2 * worker.LEASE) == (0, True)


@pytest.mark.parametrize("jump", [-86_400.0, 86_400.0])
def test_a_clock_that_jumps_ends_no_export_early_and_sends_nothing_twice(jump: float) -> None:
    times = Times()

    def jumping(batch: t.Sequence[Prepared]) -> list[Receipt]:
        times.wall += jump
        return accept(batch)

    outbox, receiver = Outbox(changes("a", "b", "c")), Receiver(accept, jumping, batch_events=1)
    progress = work(outbox, receiver, times)
    assert (progress.sent, progress.error) == (3, None)
    assert receiver.batches == [["uid-1"], ["uid-2"], ["uid-3"]]


def test_a_clock_that_jumps_back_while_a_receiver_is_down_does_not_hold_the_export() -> None:
    times = Times()
    outbox = Outbox(changes("a"))
    pause = times.pause

    def jumping(seconds: float) -> None:
        pause(seconds)
        times.wall -= 7200

    times.pause = jumping  # type: ignore[method-assign]  # the clock jumps while the worker waits
    progress = work(outbox, Receiver(unavailable()), times)
    assert (progress.error, list(outbox.waiting)) == ("connection refused", [1])


@settings(max_examples=200, deadline=None)
@given(
    st.lists(st.sampled_from("abcd"), min_size=1, max_size=30),
    st.integers(1, 7),
    st.integers(),
)
def test_whatever_happens_each_change_ends_up_somewhere_and_in_order(
    keys: list[str], batch_events: int, seed: int
) -> None:
    chance = random.Random(seed)  # noqa: S311 (the same each time, so that a failure can be seen again)

    def unreliable(batch: t.Sequence[Prepared]) -> list[Receipt]:
        if chance.random() < 0.2:
            raise UnavailableError("reset")
        words: list[t.Any] = [chance.choice(["accepted", "accepted", "again", "refused"]) for _event in batch]
        return [Receipt(word, "why") for word in words]

    outbox = Outbox(changes(*keys))
    receiver = Receiver(*[unreliable] * 500, batch_events=batch_events)
    for _run in range(60):
        work(outbox, receiver)
        outbox.retry_at = None
        if not outbox.waiting:
            break
    assert sorted([*outbox.sent, *outbox.set_aside]) == list(range(1, len(keys) + 1))
    by_key: dict[str, list[int]] = collections.defaultdict(list)
    for uid in receiver.accepted:
        number = int(uid.removeprefix("uid-"))
        by_key[keys[number - 1]].append(number)
    for numbers in by_key.values():
        assert all(earlier < later for earlier, later in itertools.pairwise(numbers))
