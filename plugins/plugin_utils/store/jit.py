# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Requests to open ports of a host for a while: who asked for what and why, who decided, and how it ended.

Every change is one transition of ``jit_states``, and is in the history with who made it and why. That the time of one
is over is written by whoever first sees it: a clock that goes back later makes nothing open again.
"""

from __future__ import annotations

import contextlib
import dataclasses
import typing as t
import uuid

from ansible_collections.bulwark.servers.plugins.plugin_utils.store import jit_rows, jit_states, patterns, sql
from ansible_collections.bulwark.servers.plugins.plugin_utils.store.errors import StoreError
from ansible_collections.bulwark.servers.plugins.plugin_utils.store.jit_model import (
    JitActor,
    JitChange,
    JitEntry,
    JitQuery,
    JitRequest,
    JitWanted,
)
from ansible_collections.bulwark.servers.plugins.plugin_utils.store.schema import tables

with contextlib.suppress(ImportError):  # Store.open says what is missing
    import sqlalchemy as sa

# How an account ends that the kernel cannot vouch for: in a user namespace everybody can have any user id.
UNVERIFIED = " in a user namespace"
# Clocks of controllers that share a store differ by so much at most.
_CLOCK_SECONDS = 300


def request(connection: sa.Connection, wanted: JitWanted, now: float) -> JitChange:
    """Store a new request, which somebody has to decide about before ``wanted.valid_for`` seconds are over."""
    fields = {**vars(wanted)}
    made = JitRequest(
        id=str(uuid.uuid4()),
        requested_at=now,
        valid_until=now + fields.pop("valid_for"),
        state="requested",
        **fields,
    )
    connection.execute(tables().jit_requests.insert().values(**jit_rows.as_row(made)))
    by = JitActor(
        made.requested_by, made.requested_account or made.requested_by, made.requested_login, made.requested_asserted
    )
    jit_rows.log(connection, made, now, by, made.justification)
    return JitChange(None, made, is_changed=True)


def decide(
    connection: sa.Connection,
    request_id: str,
    state: str,
    by: JitActor,
    reason: str,
    now: float,
    approvers: t.Sequence[str],
    self_approval: bool,
) -> JitChange:
    """Approve or deny a request; raise StoreError for who may not.

    approvers: the accounts that may decide, any where that is empty; whoever asked may always deny. self_approval:
    whether who asked, or whom it is for, may also approve.
    """
    found = jit_rows.locked(connection, request_id, now)
    if found.state == state:
        return JitChange(found.state, found)
    jit_rows.check(found, state)
    is_own = bool(_names(by.name, by.account, by.login) & _requesters(found))
    # A name that somebody only says is no proof.
    is_approver = not by.account.endswith(UNVERIFIED) and bool({by.account, by.login} & set(approvers))
    is_theirs = bool(_names(by.account, by.login) & _requesters(found))
    if approvers and not is_approver and (state == "approved" or not is_theirs):
        raise StoreError(
            f"{_shown(by)} is not one of the approvers, who are {', '.join(approvers)}; let one of them decide"
        )
    if state == "approved":
        _check_clock(found, now)
        if not self_approval:
            _check_other(found, by, is_own)
    return jit_rows.move(
        connection,
        found,
        now,
        by,
        reason,
        state=state,
        decided_at=now,
        decision_reason=reason,
        **jit_rows.person("decided", by),
    )


def _names(*names: str | None) -> set[str]:
    return {name.casefold() for name in names if name}


def _requesters(found: JitRequest) -> set[str]:
    return _names(found.requested_by, found.requested_for, found.requested_account, found.requested_login)


def _shown(by: JitActor) -> str:
    return by.name if by.name in (by.account, by.login) else f"the account {by.login or by.account} ({by.name})"


def _check_other(found: JitRequest, by: JitActor, is_own: bool) -> None:
    """Raise StoreError where whoever approves may be who asked."""
    if is_own:
        whose = f"{by.name}'s own"
        if not _names(by.name) & _requesters(found):
            whose = f"of the account {by.login or by.account}, from which {by.name} would approve it"
        raise StoreError(
            f"the request {found.id} is {whose}, so somebody else has to approve it; set 'self_approval' "
            "(jit_self_approval of the playbook) where people "
            "may do that for themselves"
        )
    if found.requested_account is None:
        raise StoreError(
            f"the request {found.id} was made by an earlier version, which did not check who requested it, so nobody "
            "can approve it: deny it, and make another request"
        )
    for account in (by.account, found.requested_account):
        if account.endswith(UNVERIFIED):
            raise StoreError(
                f"the request {found.id} cannot be approved by {by.name}: the account '{account}' is unknown; run "
                "this outside of the container, or set 'self_approval' where something else checks who approves"
            )


def _check_clock(found: JitRequest, now: float) -> None:
    """Raise StoreError where this clock went back: what is over by then would be good for longer."""
    last = max(found.requested_at, found.decided_at or 0, found.opened_at or 0)
    if now + _CLOCK_SECONDS < last:
        raise StoreError(
            f"the clock of this controller is {int(last - now)} seconds behind what the request {found.id} has noted; "
            "set the clock, or make another request"
        )


def opening(connection: sa.Connection, request_id: str, by: JitActor, now: float) -> JitChange:
    """Note that the host is about to be asked to open an approved request, or one of which it did not say."""
    found = jit_rows.locked(connection, request_id, now)
    jit_rows.check(found, "opening")
    _check_clock(found, now)
    if found.valid_until <= now:
        raise StoreError(
            f"the request {request_id} had to be opened in time, so it cannot become opening: close it, and make a "
            "new request"
        )
    if jit_rows.was_open(connection, request_id):
        # Its time would begin anew, and an approval is for that time once.
        raise StoreError(
            f"the request {request_id} was open before, so it cannot become opening: close it, and make another request"
        )
    return jit_rows.move(
        connection,
        found,
        now,
        by,
        "",
        state="opening",
        opened_at=now,
        until=now + found.duration,
        **jit_rows.person("opened", by),
    )


def opened(
    connection: sa.Connection, request_id: str, by: JitActor, seconds: int | None, grant: str | None, now: float
) -> JitChange:
    """Note that the host has opened a request: its grant, and for how many seconds, or as long as was asked for.

    What the same person has open on that host for the same sources and ports is replaced.
    """
    found = jit_rows.locked(connection, request_id, now)
    if seconds is not None and not 0 < seconds <= found.duration:
        raise StoreError(
            f"the request {request_id} is for 1 to {found.duration} seconds, so it cannot open for {seconds}"
        )
    if found.state == "open" and grant is not None and found.grant == grant:
        return JitChange("open", found)
    jit_rows.check(found, "open")
    if found.grant is not None and grant != found.grant:
        raise StoreError(
            f"the request {request_id} was opened as '{found.grant}', so it cannot be open as '{grant}': make another "
            "request"
        )
    until = now + (found.duration if seconds is None else seconds)
    replaced = [
        jit_rows.move(
            connection,
            other,
            now,
            by,
            reason,
            **jit_rows.ended("replaced", by, now, reason),
        ).request
        for reason in (f"the request {request_id} replaced it",)
        for other in _same(connection, found, now)
    ]
    changed = jit_rows.move(
        connection, found, now, by, "", state="open", until=min(until, found.until or until), grant=grant
    )
    return dataclasses.replace(changed, replaced=tuple(other.id for other in replaced))


def lost(connection: sa.Connection, request_id: str, by: JitActor, reason: str, now: float) -> JitChange:
    """Note that the host was asked to open a request, and did not say whether it has."""
    found = jit_rows.locked(connection, request_id, now)
    if found.state == "unknown":
        return JitChange(found.state, found)
    jit_rows.check(found, "unknown")
    return jit_rows.move(connection, found, now, by, reason, state="unknown")


def end(connection: sa.Connection, request_id: str, state: str, by: JitActor, reason: str, now: float) -> JitChange:
    """Note that an opening was closed, replaced, or is over before its time."""
    found = jit_rows.locked(connection, request_id, now)
    if found.state == state:
        return JitChange(found.state, found)
    jit_rows.check(found, state)
    return jit_rows.move(connection, found, now, by, reason, **jit_rows.ended(state, by, now, reason))


def requests(connection: sa.Connection, query: JitQuery, now: float) -> list[JitRequest]:
    """Return the requests that a query is for, the newest first."""
    table = tables().jit_requests
    statement = (
        sa.select(table)
        .where(*_conditions(query, connection.dialect.name, now))
        .order_by(table.c.requested_at.desc(), table.c.id)
    )
    rows = connection.execute(sql.limited(statement, query.limit, query.offset)).mappings()
    return [jit_rows.request(row, now) for row in rows]


def count(connection: sa.Connection, query: JitQuery, now: float) -> dict[str, int]:
    """Return how many requests a query is for, by state, its limit aside."""
    state = jit_rows.effective(now).label("effective")
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
    columns = {"time": "at", "actor": "by"}
    names = {field.name: columns.get(field.name, field.name) for field in dataclasses.fields(JitEntry)}
    rows = connection.execute(sql.limited(statement, query.limit, query.offset)).mappings()
    return [JitEntry(**{name: row[column] for name, column in names.items()}) for row in rows]


def _conditions(query: JitQuery, dialect: str, now: float) -> list[sa.ColumnElement[bool]]:
    columns = tables().jit_requests.c
    conditions: list[sa.ColumnElement[bool]] = []
    if query.hosts:
        conditions.append(patterns.any_of(columns.host, query.hosts, dialect))
    if query.requesters:
        people = (columns.requested_by, columns.for_whom, columns.requested_account, columns.requested_login)
        conditions.append(sa.or_(*(patterns.any_of(column, query.requesters, dialect) for column in people)))
    if query.ids:
        conditions.append(columns.id.in_(query.ids))
    if query.states:
        conditions.append(jit_rows.effective(now).in_(query.states))
    if query.since is not None:
        conditions.append(columns.requested_at >= query.since)
    if query.until is not None:
        conditions.append(columns.requested_at <= query.until)
    return conditions


def _same(connection: sa.Connection, found: JitRequest, now: float) -> list[JitRequest]:
    columns, row = tables().jit_requests.c, jit_rows.as_row(found)
    statement = sa.select(tables().jit_requests).where(
        columns.id != found.id,
        columns.host == found.host,
        columns.for_whom == found.requested_for,
        columns.ports == row["ports"],
        columns.protocol == found.protocol,
        columns.sources == row["sources"],
        jit_rows.effective(now) == "open",
    )
    return [jit_rows.request(same, now) for same in connection.execute(statement.order_by(columns.id)).mappings()]
