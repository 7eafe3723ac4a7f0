# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Send what waits for one destination: claim, prepare, send, settle, until nothing waits or the time is up."""

from __future__ import annotations

import random
import typing as t

from ansible_collections.bulwark.servers.plugins.plugin_utils.export import backoff
from ansible_collections.bulwark.servers.plugins.plugin_utils.export.batches import Pending, Queue
from ansible_collections.bulwark.servers.plugins.plugin_utils.export.progress import Clock, Progress
from ansible_collections.bulwark.servers.plugins.plugin_utils.export.receiver import (
    Prepared,
    Receipt,
    Receiver,
    UnavailableError,
    UnfitError,
)
from ansible_collections.bulwark.servers.plugins.plugin_utils.report.shown import counted, visible
from ansible_collections.bulwark.servers.plugins.plugin_utils.store.export_model import (
    DestinationState,
    QueuedChange,
    Settlement,
)

# A claim holds so much: enough that neither its transactions nor a connection for it cost anything, and little memory.
_CLAIM_CHANGES = 4_000
_CLAIM_BYTES = 8 * 1024 * 1024
# A claim ends by itself after so many seconds, for other exporters when this one died. While it lives, its claims are
# renewed (``heartbeat``).
LEASE = 30.0
# How often to look whether what another exporter has claimed is free again.
_LOOK_AGAIN = 2.0
# A wait that is longer is left to the next export.
_PATIENCE = 30.0
# The store learns after so many seconds or changes what was sent. A crash repeats what the store has not learnt.
_SETTLE_SECONDS = 1.0
_SETTLE_CHANGES = 500
# A receiver that takes others and asks for this one again so often will not take it.
_MOST_TRIES = 20
# After so many batches in a row of which a receiver took nothing it takes nothing at all.
_IDLE_BATCHES = 3
# After so many failures in a row a receiver is left to the next export: the store has when it is due.
_MOST_FAILURES = 3
_LONGEST_REASON = 500


class Outbox(t.Protocol):
    """The part of the store that a worker needs."""

    def claim(
        self, name: str, exporter: str, *, changes: int, size: int, lease: float, now: float
    ) -> list[QueuedChange]: ...

    def settle(self, name: str, exporter: str, settlements: t.Sequence[Settlement], *, now: float) -> None: ...

    def postpone(self, name: str, *, until: float, reason: str, now: float) -> None: ...

    def destinations(self, now: float | None = None) -> list[DestinationState]: ...


class Worker:
    """Sends what waits for one destination through one receiver.

    failures: how often the destination failed in a row before. deadline: by the monotonic clock. redact: takes secrets
    out of messages. Raises StoreError when the store refuses.
    """

    def __init__(
        self,
        outbox: Outbox,
        receiver: Receiver,
        name: str,
        exporter: str,
        *,
        deadline: float,
        failures: int,
        redact: t.Callable[[str], str],
        progress: Progress,
        clock: Clock,
    ) -> None:
        self._outbox, self._receiver, self._name, self._exporter = outbox, receiver, name, exporter
        self._deadline, self._failures, self._redact = deadline, failures, redact
        self._progress, self._clock = progress, clock
        self._settlements: list[Settlement] = []
        self._settled = clock.monotonic()
        # In the present claim: batches in a row of which nothing was taken, and whether anything was.
        self._idle, self._has_taken = 0, False
        self._failures_now = 0

    def run(self) -> None:
        """Send until nothing waits, the time is up, or the receiver is left to the next export."""
        busy = 0
        idle_since = self._clock.monotonic()
        while self._progress.error is None:
            if self._is_late():
                self._progress.error = "the time limit of the export was over before everything was sent"
                return
            changes = self._claim()
            if not changes:
                # The changes of an exporter that died are free when its lease ends.
                if self._clock.monotonic() >= idle_since + LEASE + _LOOK_AGAIN or not self._is_claimed_by_others():
                    return
                self._clock.pause(_LOOK_AGAIN)
                continue
            idle_since = self._clock.monotonic()
            try:
                again = self._send_claim(changes)
            except UnavailableError as error:
                self._fail(error)
                continue
            busy = busy + 1 if again else 0
            if again:
                self._wait(backoff.delay(busy, None, random.random), f"the receiver wants changes again: {again}")

    def _claim(self) -> list[QueuedChange]:
        return self._outbox.claim(
            self._name,
            self._exporter,
            changes=_CLAIM_CHANGES,
            size=_CLAIM_BYTES,
            lease=LEASE,
            now=self._clock.now(),
        )

    def _is_claimed_by_others(self) -> bool:
        """Return whether changes wait that only another exporter keeps from this one."""
        now = self._clock.now()
        for state in self._outbox.destinations(now):
            if state.destination.name == self._name:
                return state.waiting > 0 and (state.retry_at is None or state.retry_at <= now)
        return False

    def _send_claim(self, changes: t.Sequence[QueuedChange]) -> str | None:
        """Send claimed changes, and settle each; return why the receiver wants some again, None if it has all."""
        queue = Queue(self._prepared(changes))
        again: str | None = None
        batch: list[Pending] = []
        self._idle, self._has_taken = 0, False
        try:
            while not self._is_late():
                batch = queue.next_batch(self._receiver.batch_events, self._receiver.batch_bytes)
                if not batch:
                    break
                again = self._take(batch, self._send(batch), queue) or again
                batch = []
                if self._idle >= _IDLE_BATCHES:
                    break
                self._settle(at_once=False)
        finally:
            # Even after an error, settle confirmed changes; others may be claimed again at once.
            self._release([*batch, *queue.rest()])
            self._settle()
        if again is not None and (self._idle >= _IDLE_BATCHES or not self._has_taken):
            raise UnavailableError(again)
        return again

    def _prepared(self, changes: t.Iterable[QueuedChange]) -> t.Iterator[Pending]:
        for change in changes:
            try:
                yield Pending(change, self._receiver.prepare(change.event, change.key))
            except UnfitError as error:
                self._refuse(change, str(error))
            except Exception as error:  # noqa: BLE001 (an event that a format cannot take must not stop the others)
                self._refuse(change, f"it could not be formatted: {type(error).__name__}: {error}")

    def _send(self, batch: t.Sequence[Pending]) -> t.Sequence[Receipt]:
        """Return a receipt for each; raise UnavailableError for any failure."""
        events: list[Prepared] = [pending.prepared for pending in batch]
        try:
            receipts = list(self._receiver.send(events))
        except UnavailableError:
            raise
        except Exception as error:  # whatever a library raises: the batch is due again
            raise UnavailableError(f"sending failed: {type(error).__name__}: {error}") from error
        if len(receipts) != len(batch):
            raise UnavailableError(f"the receiver confirmed {len(receipts)} of {counted(len(batch), 'event')}")
        return receipts

    def _take(self, batch: t.Sequence[Pending], receipts: t.Sequence[Receipt], queue: Queue) -> str | None:
        """Note what became of a batch; return a reason if the receiver wants changes again."""
        again: str | None = None
        if any(receipt.outcome != "again" for receipt in receipts):
            self._failures, self._failures_now, self._idle, self._has_taken = 0, 0, 0, True
        else:
            self._idle += 1
        for pending, receipt in zip(batch, receipts, strict=True):
            change, prepared = pending.change, pending.prepared
            if receipt.outcome == "accepted":
                is_shortened = bool(prepared.removed_evidences or prepared.shortened_values)
                self._progress.sent += 1
                self._progress.shortened += is_shortened
                self._settlements.append(Settlement(change.id, "sent", shortened=is_shortened))
            elif receipt.outcome == "refused":
                self._refuse(change, receipt.reason or "the receiver gave no reason")
            elif self._has_taken and change.attempts + 1 >= _MOST_TRIES:
                self._refuse(change, f"the receiver asked for it again {change.attempts + 1} times: {receipt.reason}")
            else:
                again = self._shown(receipt.reason or "it gave no reason")
                queue.hold(change.key)
                self._settlements.append(Settlement(change.id, "released", again))
        return again

    def _refuse(self, change: QueuedChange, reason: str) -> None:
        self._progress.refused += 1
        self._settlements.append(Settlement(change.id, "set_aside", self._shown(reason)))

    def _release(self, rest: t.Iterable[Pending]) -> None:
        self._settlements += [Settlement(pending.change.id, "released") for pending in rest]

    def _settle(self, *, at_once: bool = True) -> None:
        """Tell the store what was settled, if that is due."""
        is_due = len(self._settlements) >= _SETTLE_CHANGES or self._clock.monotonic() >= self._settled + _SETTLE_SECONDS
        if self._settlements and (at_once or is_due):
            self._outbox.settle(self._name, self._exporter, self._settlements, now=self._clock.now())
            self._settlements = []
            self._settled = self._clock.monotonic()

    def _fail(self, error: UnavailableError) -> None:
        """Note in the store that the receiver failed, so that no exporter tries too early, and wait if it is short."""
        self._failures += 1
        self._failures_now += 1
        seconds = backoff.delay(self._failures, error.retry_after, random.random)
        reason, now = self._shown(str(error)), self._clock.now()
        self._outbox.postpone(self._name, until=now + seconds, reason=reason, now=now)
        if self._failures_now >= _MOST_FAILURES:
            self._progress.error = reason
            return
        self._wait(seconds, reason)
        # The store gives nothing out before, and its clock may be a little behind the one that the wait went by.
        late = now + seconds - self._clock.now()
        if self._progress.error is None and late > 0:
            self._wait(late, reason)

    def _wait(self, seconds: float, reason: str) -> None:
        """Wait, or give up with a reason when that takes too long."""
        if seconds > _PATIENCE or self._clock.monotonic() + seconds >= self._deadline:
            self._progress.error = reason
            return
        self._clock.pause(seconds)

    def _is_late(self) -> bool:
        return self._clock.monotonic() >= self._deadline

    def _shown(self, reason: str) -> str:
        return visible(self._redact(reason), _LONGEST_REASON)
