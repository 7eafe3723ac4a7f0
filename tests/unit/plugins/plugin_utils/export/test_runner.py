# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Destinations are exported to at once, from a real store, and a bad one stops no other."""

from __future__ import annotations

import dataclasses
import threading
import time
import typing as t

import pytest
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible_collections.bulwark.servers.plugins.plugin_utils.export import heartbeat, outcome, runner, settings, worker
from ansible_collections.bulwark.servers.plugins.plugin_utils.export.progress import Progress
from ansible_collections.bulwark.servers.plugins.plugin_utils.export.receiver import (
    ExportError,
    Prepared,
    Receipt,
    UnavailableError,
)
from ansible_collections.bulwark.servers.plugins.plugin_utils.store import Store
from ansible_collections.bulwark.servers.plugins.plugin_utils.store.export_model import DestinationState

from tests.unit.plugins.plugin_utils.export import kind as test_kind
from tests.unit.plugins.plugin_utils.export.doubles import Receiver, accept
from tests.unit.plugins.plugin_utils.store.samples import finding, record


def parsed(*names: str, **options: t.Any) -> list[settings.Settings]:
    spec = {"destinations": settings.arguments()}
    entries = [test_kind.entry(name, coverage=False, **options) for name in names]
    validated = ArgumentSpecValidator(spec).validate({"destinations": entries})
    assert not validated.error_messages
    return settings.parse(validated.validated_parameters["destinations"], {}, 0)


class Desk:
    """A store with destinations, and the exports of them."""

    def __init__(self, store: Store, url: str, kind: test_kind.Kind) -> None:
        self.store, self.kind, self._url = store, kind, url
        self.configured: list[settings.Settings] = []

    def register(self, **receivers: t.Any) -> None:
        self.kind.receivers = receivers
        self.configured = parsed(*receivers)
        for each in self.configured:
            self.store.register_destination(each.destination, now=time.time())

    def found(self, *subjects: str) -> None:
        now = time.time()
        record(self.store, now, [finding(subject, now=now) for subject in subjects])

    def export(self, seconds: float = 60) -> dict[str, Progress]:
        return runner.run(self.configured, lambda: Store.open(self._url), seconds)

    def state(self, name: str) -> DestinationState:
        return next(each for each in self.store.destinations() if each.destination.name == name)


@pytest.fixture
def desk(store: Store, url: str, kind: test_kind.Kind) -> Desk:
    return Desk(store, url, kind)


def down(_batch: t.Sequence[Prepared]) -> list[Receipt]:
    raise UnavailableError("connection refused", 3600)


def test_each_destination_gets_every_change_once(desk: Desk) -> None:
    first, second = Receiver(batch_events=2), Receiver()
    desk.register(first=first, second=second)
    desk.found("/a", "/b", "/c")
    assert {name: (done.sent, done.error) for name, done in desk.export().items()} == {
        "first": (3, None),
        "second": (3, None),
    }
    assert sorted(first.accepted) == sorted(second.accepted)
    assert len(set(first.accepted)) == 3
    assert {name: done.sent for name, done in desk.export().items()} == {"first": 0, "second": 0}
    assert (desk.state("first").waiting, desk.state("first").sent) == (0, 3)
    assert first.is_closed
    assert second.is_closed


@pytest.mark.parametrize(
    ("receiver", "error"),
    [
        (Receiver(down), "connection refused"),
        (ExportError("the library is missing (token s3cr3t)"), "the library is missing (token ********)"),
        (RuntimeError("a fault: s3cr3t"), "the export failed: RuntimeError: a fault: ********"),
    ],
)
def test_a_bad_destination_stops_no_other_one(desk: Desk, receiver: t.Any, error: str) -> None:
    good = Receiver()
    desk.register(bad=receiver, good=good)
    desk.found("/a")
    done = desk.export()
    assert (done["bad"].sent, done["bad"].error) == (0, error)
    assert (done["good"].sent, done["good"].error) == (1, None)
    assert desk.state("bad").waiting == 1


def test_a_destination_that_lacks_something_stops_no_other_one(desk: Desk) -> None:
    desk.register(siem=Receiver(), good=Receiver())
    desk.found("/a")
    problem = "webhook: url_file: /nowhere cannot be read: No such file or directory"
    desk.configured = [
        dataclasses.replace(each, problem=problem) if each.name == "siem" else each for each in desk.configured
    ]
    done = desk.export()
    assert (done["siem"].error, done["good"].sent) == (problem, 1)
    state = desk.state("siem")
    assert (state.waiting, state.last_error) == (1, problem)


def test_a_receiver_that_fails_again_and_again_is_left_to_the_next_export(desk: Desk) -> None:
    def refusing(_batch: t.Sequence[Prepared]) -> list[Receipt]:
        raise UnavailableError("connection refused")

    desk.register(siem=Receiver(*5 * [refusing]))
    desk.found("/a")
    assert desk.export()["siem"].error == "connection refused"
    assert desk.state("siem").attempts == 3


def test_a_destination_that_somebody_removed_is_said_to_be(desk: Desk) -> None:
    desk.register(siem=Receiver(), good=Receiver())
    desk.found("/a")
    desk.store.remove_destination("siem", discard=True, now=time.time())
    done = desk.export()
    assert (done["siem"].error, done["good"].sent) == ("somebody removed the destination meanwhile", 1)
    state = outcome.state_of(desk.store, desk.configured[0].destination, time.time())
    result = outcome.of_destination(state, done["siem"], time.time())
    assert outcome.problem(result) == (
        "The destination 'siem' had a problem: somebody removed the destination meanwhile."
    )


def test_a_receiver_that_never_returns_is_left_behind(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runner, "_GRACE", 0.1)
    release = threading.Event()

    def hang(batch: t.Sequence[Prepared]) -> list[Receipt]:
        release.wait(30)
        return accept(batch)

    desk.register(stuck=Receiver(hang), good=Receiver())
    desk.found("/a")
    started = time.monotonic()
    done = desk.export(1)
    release.set()
    assert time.monotonic() - started < 10
    assert done["stuck"].error == "the receiver did not respond before the time limit of the export"
    assert done["good"].sent == 1


def test_a_slow_batch_keeps_its_claim(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    # A busy machine puts off a beat by a second.
    monkeypatch.setattr(worker, "LEASE", 5.0)
    monkeypatch.setattr(heartbeat, "LEASE", 5.0)
    monkeypatch.setattr(heartbeat, "_BEAT", 0.5)
    taken: list[int] = []

    def slow(batch: t.Sequence[Prepared]) -> list[Receipt]:
        time.sleep(8)
        now = time.time()
        taken.append(len(desk.store.claim("siem", "another", changes=10, size=10_000, lease=1, now=now)))
        return accept(batch)

    desk.register(siem=Receiver(slow))
    desk.found("/a")
    assert desk.export()["siem"].sent == 1
    assert taken == [0]


def test_what_a_killed_exporter_had_is_sent_by_the_next_one(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker, "_LOOK_AGAIN", 0.1)
    desk.register(siem=Receiver())
    desk.found("/a", "/b")
    assert len(desk.store.claim("siem", "killed", changes=1, size=10_000, lease=1, now=time.time())) == 1
    assert desk.export()["siem"].sent == 2


def test_the_next_export_honours_what_the_receiver_asked_for_and_then_sends_in_order(desk: Desk) -> None:
    receiver = Receiver(down)
    desk.register(siem=receiver)
    desk.found("/a")
    assert desk.export()["siem"].error == "connection refused"
    desk.found()  # /a is gone
    assert (desk.export()["siem"].sent, len(receiver.batches)) == (0, 1)
    state = desk.state("siem")
    assert (state.waiting, state.attempts, state.last_error) == (2, 1, "connection refused")
    assert state.retry_at == pytest.approx(time.time() + 3600, abs=30)
    # As if the controller had been off for that long.
    desk.store.postpone("siem", until=0, reason="waited", now=time.time())
    assert desk.export()["siem"].sent == 2
    assert [len(batch) for batch in receiver.batches] == [1, 1, 1]
    assert desk.state("siem").last_error is None


def test_a_refused_change_is_set_aside_with_its_reason_and_can_be_sent_again(desk: Desk) -> None:
    def refusing(batch: t.Sequence[Prepared]) -> list[Receipt]:
        return [Receipt("refused", "no such field s3cr3t\x1b[31m"), *accept(batch[1:])]

    desk.register(siem=Receiver(refusing))
    desk.found("/a", "/b")
    done = desk.export()["siem"]
    assert (done.sent, done.refused, done.error) == (1, 1, None)
    (refused,) = desk.store.set_aside("siem")
    assert refused.reason == "no such field ********\\x1b[31m"
    assert desk.store.send_again("siem", now=time.time()) == 1
    assert desk.export()["siem"].sent == 1
    assert desk.store.set_aside("siem") == []


def test_only_what_a_receiver_asked_for_again_counts_as_a_try(desk: Desk) -> None:
    def busy(batch: t.Sequence[Prepared]) -> list[Receipt]:
        return [Receipt("again", "429"), *accept(batch[1:])]

    desk.register(siem=Receiver(busy, down))
    desk.found("/a", "/b")
    assert desk.export()["siem"].error == "connection refused"
    assert [change.attempts for change in desk.store.waiting("siem", None, time.time())] == [1]


def test_two_exporters_at_once_send_nothing_twice(desk: Desk) -> None:
    receiver = Receiver(batch_events=3)
    desk.register(siem=receiver)
    desk.found(*(f"/{number}" for number in range(60)))
    threads = [threading.Thread(target=desk.export) for _number in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    desk.export()
    assert len(receiver.accepted) == len(set(receiver.accepted)) == 60
