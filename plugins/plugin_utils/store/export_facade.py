# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The part of the store that is about the export of changes to other systems."""

from __future__ import annotations

import typing as t

from ansible_collections.bulwark.servers.plugins.plugin_utils.store import (
    decisions,
    outbox_claims,
    outbox_destinations,
)
from ansible_collections.bulwark.servers.plugins.plugin_utils.store.database import Database
from ansible_collections.bulwark.servers.plugins.plugin_utils.store.export_model import (
    Destination,
    DestinationState,
    QueuedChange,
    Settlement,
)
from ansible_collections.bulwark.servers.plugins.plugin_utils.store.outbox_tables import SET_ASIDE, WAITING


class ExportStore:
    """The methods of ``Store`` about destinations and what waits for them; ``Store`` says how to use it.

    Every change of a finding and every end of a run is queued for each destination in the same transaction.
    An exporter then claims changes, sends them, and settles what became of each. exporter: a name that no other
    exporter has.
    """

    _database: Database

    def register_destination(
        self, destination: Destination, *, now: float, existing_since: float | None = None
    ) -> bool:
        """Add a destination, or change the one of this name; return whether that changed anything.

        existing_since: for one that the store did not have, queue also (as ``existing``) the findings that a run saw
        at or after this time. What a changed one waits for already stays.
        """
        return self._database.write(lambda c: outbox_destinations.register(c, destination, now, existing_since))

    def remove_destination(self, name: str, *, discard: bool, now: float) -> int:
        """Remove a destination; return how many changes it never got, 0 also if there is none of this name.

        discard: without it, one that changes wait for, or were set aside for, is refused with StoreError.
        """
        del now
        return self._database.write(lambda c: outbox_destinations.remove(c, name, discard=discard))

    def destinations(self, now: float | None = None) -> list[DestinationState]:
        """Return how all destinations do, by name."""
        del now
        return self._database.read(outbox_destinations.states)

    def lift_ended_suppressions(self, now: float) -> int:
        """Note of findings whose suppression ended that they are shown again; return of how many.

        Otherwise a run does so when it next sees one, and the export learns of it no sooner.
        """
        return self._database.write(lambda c: decisions.lift_ended(c, now))

    def claim(
        self, name: str, exporter: str, *, changes: int, size: int, lease: float, now: float
    ) -> list[QueuedChange]:
        """Take the oldest changes that wait for a destination, in the order of their ids.

        None of a finding of which another exporter has a change, and none at all before ``retry_at``. changes: how many
        at most. size: how many bytes their events have together, though the first is always returned. lease: for how
        many seconds nobody else gets them, an hour at most.
        """
        return self._database.write(lambda c: outbox_claims.claim(c, name, exporter, changes, size, lease, now))

    def renew(self, name: str, exporter: str, *, lease: float, now: float) -> None:
        """Let an exporter keep what it has claimed for as many seconds from now on.

        A lease that was over, and that nobody has claimed since, lasts again.
        """
        self._database.write(lambda c: outbox_claims.renew(c, name, exporter, lease, now))

    def settle(self, name: str, exporter: str, settlements: t.Sequence[Settlement], *, now: float) -> None:
        """Note what became of claimed changes. Those that another exporter has claimed since are left to it."""
        self._database.write(lambda c: outbox_claims.settle(c, name, exporter, settlements, now))

    def postpone(self, name: str, *, until: float, reason: str, now: float) -> None:
        """Note that a receiver failed; until a time, a day ahead at most, ``claim`` returns nothing."""
        self._database.write(lambda c: outbox_claims.postpone(c, name, until, reason, now))

    def set_aside(self, name: str, limit: int | None = None) -> list[QueuedChange]:
        """Return the changes that a receiver refused, the oldest first."""
        return self._database.read(lambda c: outbox_claims.listed(c, name, SET_ASIDE, limit))

    def send_again(self, name: str, *, ids: t.Sequence[int] = (), now: float) -> int:
        """Let changes wait again that were set aside, by default all of them; return how many."""
        del now
        return self._database.write(lambda c: outbox_claims.send_again(c, name, ids))

    def waiting(self, name: str, limit: int | None, now: float) -> list[QueuedChange]:
        """Return the changes that wait, claimed ones too, the oldest first. Nothing is claimed."""
        del now
        return self._database.read(lambda c: outbox_claims.listed(c, name, WAITING, limit))
