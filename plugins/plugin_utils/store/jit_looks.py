# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a look at a host says of its requests: it knows what is open, and the store what was meant to be."""

from __future__ import annotations

import contextlib
import dataclasses
import re
import typing as t

from ansible_collections.bulwark.servers.plugins.plugin_utils.store import jit_rows, jit_states, sql
from ansible_collections.bulwark.servers.plugins.plugin_utils.store.jit_model import (
    JitActor,
    JitChange,
    JitRequest,
    JitSeen,
    JitUse,
)
from ansible_collections.bulwark.servers.plugins.plugin_utils.store.schema import tables

with contextlib.suppress(ImportError):  # Store.open says what is missing
    import sqlalchemy as sa

# How the host says that an opening ended, and what that makes of the request.
_STATES = {"closed": "closed", "expired": "expired", "replaced": "replaced", "rebooted": "expired"}
_REASONS = {"rebooted": "the host was restarted", "expired": "its time was over", "replaced": "a newer one replaced it"}
# The id of a request: a UUID.
_REQUEST = re.compile("[0-9a-f-]{36}")
# SQLite takes at least 999 parameters.
_CHUNK = 500
_NEVER = "the host never opened it"
_NO_TRACE = "the host has no record of it"


def settle(connection: sa.Connection, host: str, seen: t.Sequence[JitSeen], now: float) -> list[JitChange]:
    """Record what a host says of its openings, and return what that changed.

    What the store calls ``opening``, ``open`` or ``unknown`` becomes what the host says.
    """
    jit_rows.lock_host(connection, host)
    by_id = {opening.id: opening for opening in seen}
    changes = []
    for found in _meant(connection, host, by_id):
        opening = by_id.get(found.grant or found.id)
        change = _settled(connection, found, opening, now)
        if opening is not None:
            _note_use(connection, change.request if change else found, opening.used)
        if change is not None:
            changes.append(change)
    jit_rows.note_time(connection, now)
    return changes


def _meant(connection: sa.Connection, host: str, ids: t.Iterable[str]) -> list[JitRequest]:
    """Return the requests for a host that may be open, and those of these ids, as they were written.

    That the time is over is said by the host, too, and better.
    """
    table = tables().jit_requests
    # A host may name anything, and more than a statement takes.
    known = [name for name in ids if _REQUEST.fullmatch(name)]
    chunks = [known[start : start + _CHUNK] for start in range(0, len(known), _CHUNK)]
    conditions = [table.c.state.in_(jit_states.MAYBE_OPEN), *(table.c.id.in_(chunk) for chunk in chunks)]
    rows: dict[str, sql.Row] = {}
    for condition in conditions:
        statement = sa.select(table).where(table.c.host == host, condition)
        rows.update((row["id"], row) for row in connection.execute(statement).mappings())
    return [jit_rows.request(rows[name], None) for name in sorted(rows)]


def _settled(connection: sa.Connection, found: JitRequest, opening: JitSeen | None, now: float) -> JitChange | None:
    if opening is None:
        return _untraced(connection, found, now)
    if opening.seconds_left is not None:
        # Noted by the host before it opened it, which it then did not get to.
        if found.state not in ("opening", "unknown") or opening.in_kernel is False:
            return None
        until = now + min(opening.seconds_left, found.duration)
        reason = "the host has it open"
        return jit_rows.move(connection, found, now, _host(found), reason, state="open", until=until, grant=opening.id)
    state = _STATES.get(opening.how or "")
    # What expired by the clock of a controller may have been closed before, while the store could not be written.
    is_open = found.state in jit_states.MAYBE_OPEN
    if state is None or not (is_open or (found.state == "expired" and state == "closed" and found.ended_by is None)):
        return None
    by = JitActor(opening.closed_by, _host(found).account, None, "the host") if opening.closed_by else None
    reason = opening.reason or _REASONS.get(opening.how or "", "")
    when = min(now, opening.ended if opening.ended is not None else now)
    fields = jit_rows.ended(state, by, max(when, found.opened_at or when), reason)
    return jit_rows.move(connection, found, now, by or _host(found), reason, **fields, grant=found.grant or opening.id)


def _untraced(connection: sa.Connection, found: JitRequest, now: float) -> JitChange | None:
    """Settle what a host has neither open nor in its history."""
    if found.state == "open":
        if found.until is not None and found.until <= now:
            return None  # Its time was over, which is noted after this.
        return jit_rows.move(connection, found, now, _host(found), _NO_TRACE, state="unknown")
    is_new = found.state == "opening" and (found.opened_at or 0) + jit_rows.OPENING_SECONDS > now
    if found.state not in ("opening", "unknown") or is_new:
        return None
    if found.grant is not None:
        return None  # It was open once, and where that went nobody knows.
    fields = jit_rows.ended("closed", None, now, _NEVER)
    return jit_rows.move(connection, found, now, _host(found), _NEVER, **fields)


def _note_use(connection: sa.Connection, found: JitRequest, used: JitUse | None) -> None:
    if used is None or (found.used_packets or 0, found.used_last or 0) > (used.packets, used.last or 0):
        return
    fields = {f"used_{name}": value for name, value in vars(used).items()}
    jit_rows.store(connection, dataclasses.replace(found, **fields))


def _host(found: JitRequest) -> JitActor:
    return JitActor(found.host, f"host {found.host}", None, "the host")
