# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Requests as rows, and what time makes of them."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import typing as t

from ansible_collections.bulwark.servers.plugins.plugin_utils.store import jit_states, sql
from ansible_collections.bulwark.servers.plugins.plugin_utils.store.errors import StoreError
from ansible_collections.bulwark.servers.plugins.plugin_utils.store.jit_model import (
    JitActor,
    JitChange,
    JitRequest,
)
from ansible_collections.bulwark.servers.plugins.plugin_utils.store.schema import tables

with contextlib.suppress(ImportError):  # Store.open says what is missing
    import sqlalchemy as sa

# A job asks a host and hears from it within that time; later its controller was killed, or the connection broke.
OPENING_SECONDS = 300
# What time changes.
_TIMED = ("requested", "approved", "opening", "open")
_LISTS = ("ports", "sources")


def effective(now: float) -> sa.ColumnElement[str]:
    """Return the state at a time as an expression; the same as ``at``."""
    columns = tables().jit_requests.c
    is_over = ((columns.state == "open") & (columns.until <= now)) | (
        columns.state.in_(("requested", "approved")) & (columns.valid_until <= now)
    )
    is_lost = (columns.state == "opening") & (columns.opened_at + OPENING_SECONDS <= now)
    return sa.case((is_over, "expired"), (is_lost, "unknown"), else_=columns.state)


def at(found: JitRequest, now: float) -> JitRequest:
    """Return a request as time has made it."""
    if found.state == "opening" and (found.opened_at or 0) + OPENING_SECONDS <= now:
        return dataclasses.replace(found, state="unknown")
    end = {"requested": found.valid_until, "approved": found.valid_until, "open": found.until}.get(found.state)
    return found if end is None or end > now else dataclasses.replace(found, state="expired", ended_at=end)


def _is_over(now: float) -> sa.ColumnElement[bool]:
    columns = tables().jit_requests.c
    # An index has the few that time can end.
    return columns.state.in_(_TIMED) & (effective(now) != columns.state)


def note_time(connection: sa.Connection, now: float) -> int:
    """Write what time has made of requests, so that a clock that goes back does not undo it; return of how many."""
    table = tables().jit_requests
    changed = 0
    for row in connection.execute(sa.select(table).where(_is_over(now))).mappings().all():
        moved = request(row, now)
        # Unless somebody else wrote first.
        condition = (table.c.id == moved.id) & (table.c.state == row["state"])
        if connection.execute(table.update().where(condition).values(**as_row(moved))).rowcount:
            reason = (
                "its time was over" if moved.state == "expired" else "the host was asked, and nobody noted its answer"
            )
            log(connection, moved, now, None, reason)
            changed += 1
    return changed


def has_ended(connection: sa.Connection, now: float) -> bool:
    """Return whether time has made of any request what is not written yet."""
    table = tables().jit_requests
    return connection.execute(sa.select(table.c.id).where(_is_over(now)).limit(1)).first() is not None


def was_open(connection: sa.Connection, request_id: str) -> bool:
    """Return whether a request has ever been open."""
    columns = tables().jit_history.c
    condition = (columns.request == request_id) & (columns.state == "open")
    return connection.execute(sa.select(columns.id).where(condition).limit(1)).first() is not None


def get(connection: sa.Connection, request_id: str, now: float) -> JitRequest:
    """Return a request; raise StoreError where there is none."""
    table = tables().jit_requests
    row = connection.execute(sa.select(table).where(table.c.id == request_id)).mappings().one_or_none()
    if row is None:
        raise StoreError(f"there is no request '{request_id}' in the store; jit_requests_info lists those there are")
    return request(row, now)


def locked(connection: sa.Connection, request_id: str, now: float) -> JitRequest:
    """Return a request as it is once nobody else changes any of the same host."""
    lock_host(connection, get(connection, request_id, now).host)
    return get(connection, request_id, now)


def lock_host(connection: sa.Connection, host: str) -> None:
    """Let nobody else change a request of a host until the transaction ends."""
    sql.lock(connection, "jit", host)


def check(found: JitRequest, wanted: str) -> None:
    """Raise StoreError where a request cannot get a state."""
    refused = jit_states.refusal(found.id, found.state, wanted)
    if refused is not None:
        raise StoreError(refused)


def ended(state: str, by: JitActor | None, now: float, reason: str) -> dict[str, t.Any]:
    """Return the fields of a request that ended."""
    return {"state": state, "ended_at": now, "end_reason": reason, **person("ended", by)}


def person(step: str, by: JitActor | None) -> dict[str, t.Any]:
    """Return the fields of who did a step."""
    fields = vars(by) if by else dict.fromkeys(("name", "account", "login", "asserted"))
    return {f"{step}_{'by' if name == 'name' else name}": value for name, value in fields.items()}


def move(
    connection: sa.Connection, found: JitRequest, now: float, by: JitActor | None, reason: str, **changes: t.Any
) -> JitChange:
    """Give a request another state, and note it in the history."""
    moved = dataclasses.replace(found, **changes)
    store(connection, moved)
    log(connection, moved, now, by, reason)
    return JitChange(found.state, moved, is_changed=True)


def store(connection: sa.Connection, changed: JitRequest) -> None:
    """Write a request that is there."""
    table = tables().jit_requests
    connection.execute(table.update().where(table.c.id == changed.id).values(**as_row(changed)))


def log(connection: sa.Connection, about: JitRequest, when: float, by: JitActor | None, reason: str) -> None:
    """Add to the history what state a request has now."""
    name, *known = (by.name, by.account, by.login, by.asserted) if by else ("", None, None, None)
    row = {"at": when, "request": about.id, "host": about.host, "state": about.state, "by": name, "reason": reason}
    row.update(zip(("account", "login", "asserted"), known, strict=True))
    connection.execute(tables().jit_history.insert().values(**row))


def request(row: sql.Row, now: float | None) -> JitRequest:
    """Return the request of a row; with None as the time, as it was written."""
    lists = {name: tuple(json.loads(row[name])) for name in _LISTS}
    fields = {**row, **lists, "grant": row["grant_id"], "requested_for": row["for_whom"]}
    del fields["grant_id"], fields["for_whom"]
    found = JitRequest(**fields)
    return found if now is None else at(found, now)


def as_row(made: JitRequest) -> dict[str, t.Any]:
    """Return the row of a request."""
    lists = {name: json.dumps(list(getattr(made, name))) for name in _LISTS}
    fields = {**vars(made), **lists, "grant_id": made.grant, "for_whom": made.requested_for}
    del fields["grant"], fields["requested_for"]
    return fields
