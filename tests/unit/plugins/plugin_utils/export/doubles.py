# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Stand-ins for what a worker talks to: an outbox in memory, a receiver that obeys a script, and clocks."""

from __future__ import annotations

import dataclasses
import json
import typing as t

from ansible_collections.bulwark.servers.plugins.plugin_utils.export.progress import Clock
from ansible_collections.bulwark.servers.plugins.plugin_utils.export.receiver import Prepared, Receipt, UnfitError
from ansible_collections.bulwark.servers.plugins.plugin_utils.store.export_model import (
    Destination,
    DestinationState,
    QueuedChange,
    Settlement,
)


def change(number: int, key: str, **fields: t.Any) -> QueuedChange:
    event = {"metadata": {"uid": f"uid-{number}", "event_code": "fim_file_modified"}, **fields.pop("event", {})}
    given = {"change": "new", "host": "web1", "capability": "file_integrity", "at": 100.0, "size": 100, **fields}
    return QueuedChange(id=number, key=key, make_event=lambda: event, **given)


class Outbox:
    """The contract of the store for one destination, without a database."""

    def __init__(self, changes: t.Iterable[QueuedChange]) -> None:
        self.waiting = {each.id: each for each in changes}
        self.claimed: dict[int, QueuedChange] = {}
        self.sent: list[int] = []
        self.set_aside: dict[int, str | None] = {}
        self.shortened = 0
        self.retry_at: float | None = None
        # Until then another exporter has all of it.
        self.others_until: float | None = None
        self.reasons: list[str] = []
        self.postponed: list[float] = []

    def claim(
        self, name: str, exporter: str, *, changes: int, size: int, lease: float, now: float
    ) -> list[QueuedChange]:
        assert not self.claimed, "what was claimed before is not settled"
        if self.retry_at is not None and self.retry_at > now:
            return []
        if self.others_until is not None and self.others_until > now:
            return []
        taken = [self.waiting.pop(number) for number in sorted(self.waiting)[:changes]]
        self.claimed = {each.id: each for each in taken}
        return taken

    def settle(self, name: str, exporter: str, settlements: t.Sequence[Settlement], *, now: float) -> None:
        for each in settlements:
            settled = self.claimed.pop(each.id)
            if each.outcome == "sent":
                self.sent.append(each.id)
                self.shortened += each.shortened
                self.retry_at = None
            elif each.outcome == "set_aside":
                self.set_aside[each.id] = each.reason
            else:
                self.waiting[each.id] = dataclasses.replace(settled, attempts=settled.attempts + bool(each.reason))

    def postpone(self, name: str, *, until: float, reason: str, now: float) -> None:
        assert not self.claimed, "what was claimed before is not given back"
        self.retry_at = until
        self.postponed.append(until - now)
        self.reasons.append(reason)

    def destinations(self, now: float | None = None) -> list[DestinationState]:
        numbers = {"waiting": len(self.waiting), "waiting_bytes": 1, "set_aside": 0, "sent": 0, "dropped": 0}
        rest = {"shortened": 0, "last_sent": None, "attempts": 0, "retry_at": self.retry_at, "last_error": None}
        destination = Destination("siem", "webhook", "https://siem.example.com")
        return [DestinationState(destination, registered=1.0, waiting_since=1.0, **numbers, **rest)]


# What a receiver does with a batch: by the uid of an event its receipt, or an error for all of them.
Script = t.Callable[[t.Sequence[Prepared]], t.Sequence[Receipt]]


def accept(batch: t.Sequence[Prepared]) -> list[Receipt]:
    return [Receipt("accepted") for _event in batch]


class Receiver:
    """Notes what it is sent. unfit: uids that it cannot bring into its format."""

    def __init__(self, *scripts: Script, batch_events: int = 10, batch_bytes: int = 100_000) -> None:
        self.batch_events, self.batch_bytes = batch_events, batch_bytes
        self.scripts = list(scripts)
        self.unfit: set[str] = set()
        self.batches: list[list[str]] = []
        self.accepted: list[str] = []
        self.is_closed = False

    def prepare(self, event: t.Mapping[str, t.Any], key: str) -> Prepared:
        uid = event["metadata"]["uid"]
        if uid in self.unfit:
            raise UnfitError("it has no host")
        if event.get("breaks"):
            raise KeyError("device")
        return Prepared(uid, key, json.dumps(dict(event)).encode(), removed_evidences=event.get("removed", 0))

    def send(self, batch: t.Sequence[Prepared]) -> t.Sequence[Receipt]:
        self.batches.append([event.uid for event in batch])
        script = self.scripts.pop(0) if self.scripts else accept
        receipts = script(batch)
        self.accepted += [
            event.uid for event, receipt in zip(batch, receipts, strict=False) if receipt.outcome == "accepted"
        ]
        return receipts

    def close(self) -> None:
        self.is_closed = True


class Times:
    """Clocks that only move when somebody waits, or a test moves them."""

    def __init__(self, now: float = 1_800_000_000.0) -> None:
        self.wall, self.steady = now, 50.0
        self.pauses: list[float] = []

    def pause(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self.pass_by(seconds)

    def pass_by(self, seconds: float) -> None:
        self.wall += seconds
        self.steady += seconds

    @property
    def clock(self) -> Clock:
        return Clock(lambda: self.wall, lambda: self.steady, self.pause)
