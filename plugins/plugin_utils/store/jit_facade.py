# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The part of the store that is about requests for just-in-time access."""

from __future__ import annotations

import contextlib
import time
import typing as t

from ansible_collections.bulwark.servers.plugins.plugin_utils.store import jit, jit_looks, jit_rows
from ansible_collections.bulwark.servers.plugins.plugin_utils.store.database import Database
from ansible_collections.bulwark.servers.plugins.plugin_utils.store.errors import StoreError
from ansible_collections.bulwark.servers.plugins.plugin_utils.store.jit_model import (
    JitActor,
    JitChange,
    JitEntry,
    JitQuery,
    JitRequest,
    JitSeen,
    JitWanted,
)


class JitStore:
    """The methods of ``Store`` about requests; ``Store`` says how to use it."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def jit_request(self, wanted: JitWanted, *, now: float) -> JitChange:
        """Store a request to open ports of a host for a while; somebody has to approve it before it can be opened."""
        return self._jit_write(now, lambda c: jit.request(c, wanted, now))

    def jit_decide(
        self,
        request_id: str,
        state: t.Literal["approved", "denied"],
        *,
        by: JitActor,
        reason: str,
        now: float,
        approvers: t.Sequence[str] = (),
        self_approval: bool = False,
    ) -> JitChange:
        """Approve or deny a request; StoreError where it is not in a state for that, or ``by`` may not.

        approvers: accounts that may decide, any where that is empty. self_approval: whether who asked may also approve.
        """
        return self._jit_write(
            now, lambda c: jit.decide(c, request_id, state, by, reason, now, approvers, self_approval)
        )

    def jit_opening(self, request_id: str, *, by: JitActor, now: float) -> JitChange:
        """Note that a host is about to be asked to open a request; StoreError where it is not approved."""
        return self._jit_write(now, lambda c: jit.opening(c, request_id, by, now))

    def jit_open(
        self, request_id: str, *, by: JitActor, now: float, seconds: int | None = None, grant: str | None = None
    ) -> JitChange:
        """Note that the host has opened a request, with the id of its grant and its seconds.

        What the same person had open of the same is replaced. StoreError where it is not opening.
        """
        return self._jit_write(now, lambda c: jit.opened(c, request_id, by, seconds, grant, now))

    def jit_lost(self, request_id: str, *, by: JitActor, reason: str, now: float) -> JitChange:
        """Note that a host did not say whether it has opened a request."""
        return self._jit_write(now, lambda c: jit.lost(c, request_id, by, reason, now))

    def jit_end(
        self,
        request_id: str,
        state: t.Literal["closed", "expired", "replaced"],
        *,
        by: JitActor,
        reason: str,
        now: float,
    ) -> JitChange:
        """Note how an opening ended before its time; StoreError where it is not open."""
        return self._jit_write(now, lambda c: jit.end(c, request_id, state, by, reason, now))

    def jit_settle(self, host: str, seen: t.Sequence[JitSeen], *, now: float) -> list[JitChange]:
        """Record what a host says of all its openings, and return what that changed."""
        return self._database.write(lambda c: jit_looks.settle(c, host, seen, now))

    def jit_note_time(self, now: float) -> int:
        """Write what time has made of requests; return of how many."""
        return self._database.write(lambda c: jit_rows.note_time(c, now))

    def jit_is_noted(self, now: float) -> bool:
        """Return whether nothing is left for ``jit_note_time``; into an older store, nothing is written."""
        return self._database.is_old or not self._database.read(lambda c: jit_rows.has_ended(c, now))

    def jit_requests(self, wanted: JitQuery | None = None, now: float | None = None) -> list[JitRequest]:
        """Return requests as they are at the time of this controller, the newest first; what ended is then written."""
        when = self._jit_now(now)
        return self._database.read(lambda c: jit.requests(c, wanted or JitQuery(), when))

    def jit_counts(self, wanted: JitQuery | None = None, now: float | None = None) -> dict[str, int]:
        """Return how many requests a query is for, by state, its limit aside."""
        when = self._jit_now(now)
        return self._database.read(lambda c: jit.count(c, wanted or JitQuery(), when))

    def jit_history(self, wanted: JitQuery | None = None, now: float | None = None) -> list[JitEntry]:
        """Return what happened to the requests that a query is for, the newest first."""
        return self._database.read(lambda c: jit.history(c, wanted or JitQuery(), _now(now)))

    def _jit_write(self, now: float, work: t.Callable[[t.Any], JitChange]) -> JitChange:
        # A transaction of its own: what then is refused because the time was over must not undo that.
        self._database.write(lambda c: jit_rows.note_time(c, now))
        return self._database.write(work)

    def _jit_now(self, now: float | None) -> float:
        """Return the time; where the store can be written, what it ends is."""
        when = time.time() if now is None else now
        if self._database.is_writable and not self.jit_is_noted(when):
            with contextlib.suppress(StoreError):  # A store that cannot be written is still read.
                self.jit_note_time(when)
        return when


def _now(now: float | None) -> float:
    return time.time() if now is None else now
