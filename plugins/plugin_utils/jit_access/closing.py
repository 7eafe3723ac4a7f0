# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Close what is open on one host: the host comes first, whatever the store does."""

from __future__ import annotations

import contextlib
import dataclasses
import time
import typing as t

from ansible_collections.bulwark.servers.plugins.plugin_utils.jit_access import books, host
from ansible_collections.bulwark.servers.plugins.plugin_utils.jit_access.desk import Outcome
from ansible_collections.bulwark.servers.plugins.plugin_utils.store import (
    JitActor,
    JitRequest,
    JitSeen,
    Store,
    StoreError,
)
from ansible_collections.bulwark.servers.plugins.plugin_utils.store.jit_states import MAYBE_OPEN


class NotClosedError(Exception):
    """A host could not close what may be open; the message says why and what to do."""


@dataclasses.dataclass(frozen=True)
class Wanted:
    """Openings to close; all of them where nothing is given. ids: of requests or of openings."""

    ids: tuple[str, ...] = ()
    requested_for: str | None = None
    reason: str = ""


@dataclasses.dataclass(frozen=True)
class Closer:
    """Close on one host. url: of the store. is_check: whether nothing is to be changed."""

    url: str | None
    name: str
    by: JitActor
    is_check: bool

    def close(self, wanted: Wanted, run: host.Run, state_dir: str | None, outcome: Outcome) -> None:
        """Close what is wanted and note it; NotClosedError where the host did not say that it is closed."""
        requests, error = self._stored()
        looked = host.Looked() if wanted.ids else host.looked(run, state_dir)
        by_grant = {found.id: found for found in requests.values()}
        by_grant.update((found.grant, found) for found in requests.values() if found.grant)
        # What nobody could look at may be open, also where the store has nothing.
        failures, closed = [looked.failure] if looked.failure else [], []
        for grant in self._meant(wanted, requests, looked.result):
            answer = host.close_ports(run, grant, self.by, wanted.reason, state_dir)
            if answer.failure is not None:
                failures.append(f"{grant}: {answer.failure}")
            elif answer.was_open:
                closed.append(grant)
                outcome.is_changed = True
                outcome.messages.append(self._say_closed(grant, by_grant.get(grant), answer))
        if error is None:
            error = self._record(closed, by_grant, wanted, run, state_dir, outcome)
        if error is not None:
            self._warn(bool(closed), error, outcome)
        if failures:
            raise NotClosedError(
                f"Ports that may be open on {self.name} could not be closed: {'; '.join(failures)}. Check the host, "
                "and run this again."
            )

    def _stored(self) -> tuple[dict[str, JitRequest], StoreError | None]:
        try:
            return books.stored(self.url, self.name, time.time()), None
        except StoreError as error:
            return {}, error

    def _meant(
        self, wanted: Wanted, requests: t.Mapping[str, JitRequest], looked: host.Result | None
    ) -> t.Iterable[str]:
        """Return the ids of openings that are to be closed: what the store takes to be open, and what is there."""
        if wanted.ids:
            # Under both names, as the store may have another one than the host.
            named = [(requests[name].grant if name in requests else None, name) for name in wanted.ids]
            return dict.fromkeys(name for names in named for name in names if name is not None)
        people = {
            found.grant or found.id: found.requested_for for found in requests.values() if found.state in MAYBE_OPEN
        }
        for grant in host.grants(looked) if looked is not None else ():
            people.setdefault(str(grant["id"]), str(grant.get("requested_for")))
        return [grant for grant, whom in people.items() if wanted.requested_for in (None, whom)]

    def _say_closed(self, grant: str, found: JitRequest | None, answer: host.Closed) -> str:
        verb = "Would be closed:" if self.is_check else "Closed"
        about = (
            f"{host.shown_ports(vars(found))} of {self.name} for {', '.join(found.sources)}" if found else answer.shown
        )
        name = f"request {found.id}" if found else f"grant {grant}"
        return f"{verb} {about} ({name})."

    def _record(
        self,
        closed: t.Sequence[str],
        by_grant: t.Mapping[str, JitRequest],
        wanted: Wanted,
        run: host.Run,
        state_dir: str | None,
        outcome: Outcome,
    ) -> StoreError | None:
        """Note what was closed, and of the rest what the host says; return why that was not possible."""
        left = [
            found
            for grant, found in by_grant.items()
            if grant not in closed and found.state in MAYBE_OPEN and self._is_wanted(found, wanted)
        ]
        if self.is_check or not (closed or left):
            return None
        # Also how much came in through what was closed.
        looked = host.look(run, state_dir)
        seen = host.seen(looked) if looked is not None else None
        try:
            with contextlib.closing(Store.open(self.url)) as store:
                for grant in closed:
                    if grant in by_grant:
                        self._end(store, by_grant[grant], wanted.reason, outcome)
                if seen is not None:
                    self._settle(store, seen, left, outcome)
        except StoreError as error:
            return error
        return None

    def _is_wanted(self, found: JitRequest, wanted: Wanted) -> bool:
        if wanted.ids:
            return found.id in wanted.ids or found.grant in wanted.ids
        return wanted.requested_for in (None, found.requested_for)

    def _end(self, store: Store, found: JitRequest, reason: str, outcome: Outcome) -> None:
        if found.state in MAYBE_OPEN:
            now = time.time()
            outcome.requests.append(store.jit_end(found.id, "closed", by=self.by, reason=reason, now=now).request)

    def _settle(self, store: Store, seen: t.Sequence[JitSeen], left: t.Sequence[JitRequest], outcome: Outcome) -> None:
        mine = {found.id for found in left}
        for change in store.jit_settle(self.name, seen, now=time.time()):
            if change.request.id in mine and change.request.state != "open":
                found = change.request
                outcome.requests.append(found)
                outcome.is_changed = True
                about = f"{host.shown_ports(vars(found))} of {self.name} for {', '.join(found.sources)}"
                why = f": {found.end_reason}" if found.end_reason else ""
                outcome.messages.append(f"{found.state.capitalize()} before: {about} (request {found.id}){why}.")

    def _warn(self, is_closed: bool, error: StoreError, outcome: Outcome) -> None:
        is_done = is_closed and not self.is_check
        what = "This was closed on the host, and" if is_done else "Only the host was asked for its openings, as"
        later = f" The host keeps who closed what and why; the next scan of {self.name} records it." if is_done else ""
        outcome.warnings.append(f"{what} the store could not be used: {error}.{later}")
