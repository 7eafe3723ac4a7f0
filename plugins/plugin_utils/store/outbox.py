# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Queue what a transaction changes, for every destination that wants it.

The event of a change is not copied as long as the finding has it: most changes are exported before a run sees the
finding again, and an event is the largest part of a row. ``outbox_originals`` copies it before it is replaced.
"""

from __future__ import annotations

import contextlib
import math
import typing as t

from ansible_collections.bulwark.servers.plugins.plugin_utils.store import (
    outbox_changes,
    outbox_counts,
    outbox_destinations,
    outbox_evidence,
    outbox_insert,
    outbox_limits,
    outbox_originals,
)
from ansible_collections.bulwark.servers.plugins.plugin_utils.store.events import Observation
from ansible_collections.bulwark.servers.plugins.plugin_utils.store.lifecycle import State, Step
from ansible_collections.bulwark.servers.plugins.plugin_utils.store.outbox_changes import Draft
from ansible_collections.bulwark.servers.plugins.plugin_utils.store.outbox_counts import Numbers
from ansible_collections.bulwark.servers.plugins.plugin_utils.store.outbox_destinations import Registered

with contextlib.suppress(ImportError):  # Store.open says what is missing
    import sqlalchemy as sa


class Outbox:
    """The changes that one transaction queues.

    Make it once the findings are locked, and show it each state before it changes.
    """

    def __init__(self, connection: sa.Connection, now: float, host: str | None = None) -> None:
        """host: of all findings, where their events are about to be replaced."""
        self._connection, self._now, self._host = connection, now, host
        self._listening, self._is_host_referred_to = outbox_destinations.listening(connection, host)
        self._recent: set[str] = set()
        self._drafts: list[Draft] = []

    def note(self, state: State) -> None:
        """Note a finding that is about to change."""
        if self._listening and state.may_have_changed_since(math.floor(self._now * 1000) / 1000):
            self._recent.add(state.uid)

    def take(self, steps: t.Sequence[Step]) -> None:
        """Take what happens to findings while their events stay as they are."""
        if self._listening and steps:
            stored = outbox_originals.capabilities(self._connection, [step.uid for step in steps])
            self._take(steps, stored.__getitem__, {}, {})

    def take_host(
        self,
        run_id: str,
        steps: t.Sequence[Step],
        added: t.Sequence[tuple[State, Observation]],
        seen: t.Sequence[tuple[State, Observation]],
        capability_of: t.Callable[[str], str],
    ) -> None:
        """Take what a run is about to change of the host. added, seen: findings that it writes, as it observed them."""
        if not self._listening:
            return
        if self._host is not None and self._is_host_referred_to and seen:
            outbox_originals.keep_of_host(self._connection, self._host)
        replaced = {state.uid: observation for state, observation in seen}
        before = {step.uid for step in steps if step.seen is None and step.uid in replaced}
        texts = outbox_originals.texts(self._connection, sorted(before))
        written = {**replaced, **{state.uid: observation for state, observation in added}}
        self._take(steps, capability_of, texts, written)
        if any(each.destination.evidence for each in self._listening):
            changed = {step.uid for step in steps}
            unchanged = [(state, observation) for state, observation in seen if state.uid not in changed]
            self._drafts += outbox_evidence.drafts(self._connection, unchanged, run_id, self._now)

    def add(self, drafts: t.Iterable[Draft]) -> None:
        self._drafts += drafts

    def wants_coverage(self) -> bool:
        return any(each.destination.coverage for each in self._listening)

    def write(self) -> None:
        """Write what was taken. Comes after the findings: a change may refer to one."""
        drafts, self._drafts = self._drafts, []
        if not drafts:
            return
        chosen: dict[int, list[int]] = {}
        for each in self._listening:
            for index in self._limited(each, drafts):
                chosen.setdefault(index, []).append(each.id)
        wanted = [(drafts[index], chosen[index]) for index in sorted(chosen)]
        if wanted:
            outbox_insert.insert(self._connection, wanted, self._now)
            for each in self._listening:
                self._trim(each)

    def _take(
        self,
        steps: t.Sequence[Step],
        capability_of: t.Callable[[str], str],
        texts: t.Mapping[str, str],
        written: t.Mapping[str, Observation],
    ) -> None:
        earlier = outbox_originals.earlier(self._connection, [step for step in steps if step.uid in self._recent])
        for step, instance in zip(steps, outbox_changes.instances(steps, earlier), strict=True):
            if step.seen is None:
                draft = outbox_changes.of_stored(step, instance, capability_of(step.uid), texts.get(step.uid))
            else:
                draft = outbox_changes.of_seen(step, instance, step.seen, written.get(step.uid) is step.seen)
            self._drafts.append(draft)

    def _limited(self, each: Registered, drafts: t.Sequence[Draft]) -> list[int]:
        """Return the indexes of the drafts that a destination takes; count those that it has no room for."""
        indexes = [index for index, draft in enumerate(drafts) if draft.is_for(each.destination)]
        room = outbox_limits.room(self._connection, each.id, each.destination, self._now) if indexes else None
        if room is not None and len(indexes) > room:
            outbox_counts.note(self._connection, each.id, Numbers(dropped=len(indexes) - room))
            return indexes[:room]
        return indexes

    def _trim(self, each: Registered) -> None:
        name = each.destination.name
        # An exporter that works on it drops what is too much itself.
        if each.destination.when_full is not None and outbox_destinations.locked(
            self._connection, name, skip_busy=True
        ):
            outbox_limits.trim(self._connection, each.id, each.destination, self._now)
