# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Requests to open ports of a host for a while: who asked for what and why, who decided, and how it ended.

Every change is one transition of ``jit_states``, and is in the history with who made it and why. That the time of one
is over needs nobody who writes it: what is shown is the state at the moment that is asked for.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import typing as t
import uuid

from ansible_collections.bulwark.servers.plugins.plugin_utils.store import jit_states, patterns, sql
from ansible_collections.bulwark.servers.plugins.plugin_utils.store.errors import StoreError
from ansible_collections.bulwark.servers.plugins.plugin_utils.store.model import (
    JitChange,
    JitEntry,
    JitQuery,
    JitRequest,
    JitWanted,
)
from ansible_collections.bulwark.servers.plugins.plugin_utils.store.schema import tables

with contextlib.suppress(ImportError):  # Store.open says what is missing
    import sqlalchemy as sa

_LISTS = ("ports", "sources")


def request(connection: sa.Connection, wanted: JitWanted, now: float) -> JitChange:
    """Store a new request, which somebody has to decide about before ``wanted.valid_for`` seconds are over."""
    made = JitRequest(
        id=str(uuid.uuid4()),
        host=wanted.host,
        ports=wanted.ports,
        protocol=wanted.protocol,
        sources=wanted.sources,
        duration=wanted.duration,
        requested_by=wanted.requested_by,
        for_whom=wanted.for_whom,
        justification=wanted.justification,
        requested_at=now,
        valid_until=now + wanted.valid_for,
        state="requested",
    )
    connection.execute(tables().jit_requests.insert().values(**_row(made)))
    _log(connection, made, now, made.requested_by, made.justification)
    return JitChange(None, made, is_changed=True)


def decide(
    connection: sa.Connection,
    request_id: str,
    state: str,
    by: str,
    reason: str,
    now: float,
    approvers: t.Sequence[str],
    self_approval: bool,
) -> JitChange:
    """Approve or deny a request; raise StoreError for who may not.

    approvers: who may decide, anybody where that is empty; whoever asked may always deny. self_approval: whether who
    asked, or whom it is for, may also approve.
    """
    found = _locked(connection, request_id, now)
    if found.state == state:
        return JitChange(found.state, found)
    _check(found, state)
    is_own = by.casefold() in (found.requested_by.casefold(), found.for_whom.casefold())
    if approvers and by not in approvers and (state == "approved" or not is_own):
        raise StoreError(f"{by} is none of the approvers, who are {', '.join(approvers)}; let one of them decide")
    if state == "approved" and is_own and not self_approval:
        raise StoreError(
            f"the request {request_id} is {by}'s own, so somebody else has to approve it; set 'self_approval' where "
            "people may do that for themselves"
        )
    return _move(connection, found, now, by, reason, state=state, decided_by=by, decided_at=now, decision_reason=reason)


def opened(
    connection: sa.Connection, request_id: str, by: str, seconds: int | None, grant: str | None, now: float
) -> JitChange:
    """Note that an approved request is opened, for ``seconds`` or as long as was asked for; then also the host's grant.

    What the same person has open on that host for the same sources and ports is replaced.
    """
    found = _locked(connection, request_id, now)
    if seconds is not None and not 0 < seconds <= found.duration:
        raise StoreError(
            f"the request {request_id} is for 1 to {found.duration} seconds, so it cannot open for {seconds}"
        )
    until = now + (found.duration if seconds is None else seconds)
    if found.state == "open" and grant is not None and found.grant in (None, grant):
        if found.grant == grant:
            return JitChange("open", found)
        # The host opened it: its word on how long is better than what was expected when it was asked, if it is less.
        known = dataclasses.replace(found, grant=grant, until=min(until, found.until or until))
        _store(connection, known)
        return JitChange("open", known, is_changed=True)
    _check(found, "open")
    replaced = [
        _move(
            connection, other, now, by, f"the request {request_id} replaced it", **_ended("replaced", by, now)
        ).request
        for other in _same(connection, found, now)
    ]
    changed = _move(connection, found, now, by, "", state="open", opened_by=by, opened_at=now, until=until, grant=grant)
    return dataclasses.replace(changed, replaced=tuple(other.id for other in replaced))


def end(connection: sa.Connection, request_id: str, state: str, by: str, reason: str, now: float) -> JitChange:
    """Note that an opening was closed, replaced, or is over before its time."""
    found = _locked(connection, request_id, now)
    if found.state == state:
        return JitChange(found.state, found)
    _check(found, state)
    return _move(connection, found, now, by, reason, end_reason=reason, **_ended(state, by, now))


def requests(connection: sa.Connection, query: JitQuery, now: float) -> list[JitRequest]:
    """Return the requests that a query is for, the newest first."""
    table = tables().jit_requests
    statement = (
        sa.select(table)
        .where(*_conditions(query, connection.dialect.name, now))
        .order_by(table.c.requested_at.desc(), table.c.id)
    )
    rows = connection.execute(sql.limited(statement, query.limit, query.offset)).mappings()
    return [_request(row, now) for row in rows]


def count(connection: sa.Connection, query: JitQuery, now: float) -> dict[str, int]:
    """Return how many requests a query is for, by state, its limit aside."""
    state = _effective(now).label("effective")
    statement = sa.select(state, sa.func.count().label("number")).group_by(state)
    found = dict.fromkeys(jit_states.STATES, 0)
    for row in connection.execute(statement.where(*_conditions(query, connection.dialect.name, now))):
        found[row.effective] = row.number
    return found


def history(connection: sa.Connection, query: JitQuery, now: float) -> list[JitEntry]:
    """Return what happened to the requests that a query is for, the newest first."""
    table, about = tables().jit_history, tables().jit_requests
    statement = (
        sa.select(table)
        .join(about, about.c.id == table.c.request)
        .where(*_conditions(query, connection.dialect.name, now))
        .order_by(table.c.at.desc(), table.c.id.desc())
    )
    names = [field.name for field in dataclasses.fields(JitEntry)]
    rows = connection.execute(sql.limited(statement, query.limit, query.offset)).mappings()
    return [JitEntry(**{name: row[name] for name in names}) for row in rows]


def _effective(now: float) -> sa.ColumnElement[str]:
    """Return the state at a time as an expression; the same as ``_at``."""
    columns = tables().jit_requests.c
    is_over = ((columns.state == "open") & (columns.until <= now)) | (
        columns.state.in_(("requested", "approved")) & (columns.valid_until <= now)
    )
    return sa.case((is_over, "expired"), else_=columns.state)


def _at(found: JitRequest, now: float) -> JitRequest:
    end = {"requested": found.valid_until, "approved": found.valid_until, "open": found.until}.get(found.state)
    return found if end is None or end > now else dataclasses.replace(found, state="expired", ended_at=end)


def _conditions(query: JitQuery, dialect: str, now: float) -> list[sa.ColumnElement[bool]]:
    columns = tables().jit_requests.c
    conditions: list[sa.ColumnElement[bool]] = []
    if query.hosts:
        conditions.append(patterns.any_of(columns.host, query.hosts, dialect))
    if query.requesters:
        people = (columns.requested_by, columns.for_whom)
        conditions.append(sa.or_(*(patterns.any_of(column, query.requesters, dialect) for column in people)))
    if query.ids:
        conditions.append(columns.id.in_(query.ids))
    if query.states:
        conditions.append(_effective(now).in_(query.states))
    if query.since is not None:
        conditions.append(columns.requested_at >= query.since)
    if query.until is not None:
        conditions.append(columns.requested_at <= query.until)
    return conditions


def _get(connection: sa.Connection, request_id: str, now: float) -> JitRequest:
    table = tables().jit_requests
    row = connection.execute(sa.select(table).where(table.c.id == request_id)).mappings().one_or_none()
    if row is None:
        raise StoreError(f"there is no request '{request_id}' in the store; jit_requests_info lists those there are")
    return _request(row, now)


def _locked(connection: sa.Connection, request_id: str, now: float) -> JitRequest:
    """Return a request as it is once nobody else changes any of the same host."""
    sql.lock(connection, "jit", _get(connection, request_id, now).host)
    return _get(connection, request_id, now)


def _same(connection: sa.Connection, found: JitRequest, now: float) -> list[JitRequest]:
    columns, row = tables().jit_requests.c, _row(found)
    statement = sa.select(tables().jit_requests).where(
        columns.host == found.host,
        columns.for_whom == found.for_whom,
        columns.ports == row["ports"],
        columns.protocol == found.protocol,
        columns.sources == row["sources"],
        _effective(now) == "open",
    )
    return [_request(same, now) for same in connection.execute(statement.order_by(columns.id)).mappings()]


def _check(found: JitRequest, wanted: str) -> None:
    refused = jit_states.refusal(found.id, found.state, wanted)
    if refused is not None:
        raise StoreError(refused)


def _ended(state: str, by: str, now: float) -> dict[str, t.Any]:
    return {"state": state, "ended_by": by, "ended_at": now}


def _move(
    connection: sa.Connection, found: JitRequest, now: float, by: str, reason: str, **changes: t.Any
) -> JitChange:
    _check(found, changes["state"])
    if changes["state"] == "replaced":
        changes["end_reason"] = reason
    moved = dataclasses.replace(found, **changes)
    _store(connection, moved)
    _log(connection, moved, now, by, reason)
    return JitChange(found.state, moved, is_changed=True)


def _store(connection: sa.Connection, changed: JitRequest) -> None:
    table = tables().jit_requests
    connection.execute(table.update().where(table.c.id == changed.id).values(**_row(changed)))


def _log(connection: sa.Connection, about: JitRequest, at: float, by: str, reason: str) -> None:
    entry = JitEntry(at, about.id, about.host, about.state, by, reason)
    connection.execute(tables().jit_history.insert().values(**vars(entry)))


def _request(row: sql.Row, now: float) -> JitRequest:
    lists = {name: tuple(json.loads(row[name])) for name in _LISTS}
    fields = {**row, **lists, "grant": row["grant_id"]}
    del fields["grant_id"]
    return _at(JitRequest(**fields), now)


def _row(made: JitRequest) -> dict[str, t.Any]:
    lists = {name: json.dumps(list(getattr(made, name))) for name in _LISTS}
    fields = {**vars(made), **lists, "grant_id": made.grant}
    del fields["grant"]
    return fields
