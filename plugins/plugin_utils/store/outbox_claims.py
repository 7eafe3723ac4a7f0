# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Exporters take changes, and say what became of them.

A claim or settlement locks the row of its destination: exporters of one destination take turns, and the
changes of one finding are handed out in their order. Receivers are never waited for meanwhile: a claim ends with its
transaction, and lasts until its lease is over.
"""

from __future__ import annotations

import contextlib
import typing as t

from ansible_collections.bulwark.servers.plugins.plugin_utils.store import (
    outbox_counts,
    outbox_destinations,
    outbox_events,
    outbox_limits,
    outbox_rows,
    sql,
)
from ansible_collections.bulwark.servers.plugins.plugin_utils.store.export_model import QueuedChange, Settlement
from ansible_collections.bulwark.servers.plugins.plugin_utils.store.outbox_counts import Numbers
from ansible_collections.bulwark.servers.plugins.plugin_utils.store.outbox_tables import SET_ASIDE, WAITING
from ansible_collections.bulwark.servers.plugins.plugin_utils.store.schema import tables

with contextlib.suppress(ImportError):  # Store.open says what is missing
    import sqlalchemy as sa

# Nobody waits longer for a receiver. A retry further ahead was noted by a clock that was fast.
LONGEST_WAIT = 86_400.0


def claim(
    connection: sa.Connection, name: str, exporter: str, changes: int, size: int, lease: float, now: float
) -> list[QueuedChange]:
    """Take the oldest changes that wait; see ``ExportStore``."""
    row = outbox_destinations.require(connection, name)
    if row.retry_at is not None and now < row.retry_at <= now + LONGEST_WAIT:
        return []
    outbox_limits.trim(connection, row.id, outbox_destinations.settings_of(row), now)
    outbox_counts.add_up(connection, row.id)
    table, about = tables().outbox, tables().outbox_changes
    is_theirs = (table.c.destination == row.id) & outbox_rows.is_claimed(now) & (table.c.claimed_by != exporter)
    query = sa.select(table.c.change, table.c.size).where(
        table.c.destination == row.id, table.c.state == WAITING, ~outbox_rows.is_claimed(now)
    )
    if connection.execute(sa.select(table.c.change).where(is_theirs).limit(1)).first():
        # Not one of a finding of which another exporter has a change: it may be an earlier one.
        theirs = sa.select(about.c.key).join(table, table.c.change == about.c.id).where(is_theirs)
        query = query.join(about, about.c.id == table.c.change).where(about.c.key.not_in(theirs))
    query = query.order_by(table.c.change).limit(changes).with_for_update(of=table, skip_locked=True)
    ids = _within(connection.execute(query), size)
    if not ids:
        return []
    taken = {"claimed_by": exporter, "claimed_until": now + min(lease, outbox_rows.LONGEST_LEASE)}
    _update(connection, row.id, ids, WAITING, **taken)
    return _read(connection, row.id, table.c.state == WAITING, sql.among(connection, table.c.change, ids))


def _within(rows: t.Iterable[t.Any], size: int) -> list[int]:
    """Return the first ids whose sizes are within a limit, and one at least."""
    ids: list[int] = []
    for change, length in rows:
        size -= length
        if ids and size < 0:
            break
        ids.append(change)
    return ids


def renew(connection: sa.Connection, name: str, exporter: str, lease: float, now: float) -> None:
    """Let an exporter keep what it has claimed; see ``ExportStore``."""
    row = outbox_destinations.require(connection, name)
    table = tables().outbox
    mine = (table.c.destination == row.id) & table.c.claimed_until.is_not(None) & (table.c.claimed_by == exporter)
    until = now + min(lease, outbox_rows.LONGEST_LEASE)
    connection.execute(table.update().where(mine).values(claimed_until=until))


def settle(
    connection: sa.Connection, name: str, exporter: str, settlements: t.Sequence[Settlement], now: float
) -> None:
    """Note what became of claimed changes; see ``ExportStore``."""
    row = outbox_destinations.require(connection, name)
    sizes = _claimed(connection, row.id, exporter, [each.id for each in settlements])
    valid = [each for each in settlements if each.id in sizes]
    sent = [each for each in valid if each.outcome == "sent"]
    refused = [each for each in valid if each.outcome == "set_aside"]
    outbox_rows.delete(connection, row.id, [each.id for each in sent])
    for each in refused:
        _update(connection, row.id, [each.id], WAITING, **_FREE, state=SET_ASIDE, reason=each.reason)
    released = [each for each in valid if each.outcome == "released"]
    _update(connection, row.id, [each.id for each in released if each.reason is None], WAITING, **_FREE)
    wanted_again = [each.id for each in released if each.reason is not None]
    _update(connection, row.id, wanted_again, WAITING, **_FREE, attempts=tables().outbox.c.attempts + 1)
    gone = [each.id for each in sent + refused]
    size = sum(sizes[change] for change in gone)
    outbox_counts.note(connection, row.id, Numbers(waiting=-len(gone), bytes=-size, set_aside=len(refused)))
    if sent:
        table = tables().outbox_destinations
        values = {
            "sent": table.c.sent + len(sent),
            "shortened": table.c.shortened + sum(each.shortened for each in sent),
            "last_sent": now,
            "attempts": 0,
            "retry_at": None,
            "last_error": None,
        }
        connection.execute(table.update().where(table.c.id == row.id).values(values))


def postpone(connection: sa.Connection, name: str, until: float, reason: str, now: float) -> None:
    """Note that a receiver failed, and let nobody try again before a time."""
    row = outbox_destinations.require(connection, name)
    table = tables().outbox_destinations
    values = {
        "attempts": table.c.attempts + 1,
        "retry_at": min(until, now + LONGEST_WAIT),
        "last_error": reason,
    }
    connection.execute(table.update().where(table.c.id == row.id).values(values))


def send_again(connection: sa.Connection, name: str, ids: t.Sequence[int]) -> int:
    """Let changes wait again that were set aside, or all of them; return how many."""
    row = outbox_destinations.require(connection, name)
    table = tables().outbox
    condition = (table.c.destination == row.id) & (table.c.state == SET_ASIDE)
    query = sa.select(table.c.change, table.c.size).where(condition)
    rows = connection.execute(query.where(table.c.change.in_(ids)) if ids else query).all()
    _update(connection, row.id, [each.change for each in rows], SET_ASIDE, state=WAITING, reason=None, attempts=0)
    number = len(rows)
    size = sum(each.size for each in rows)
    outbox_counts.note(connection, row.id, Numbers(waiting=number, bytes=size, set_aside=-number))
    return number


def listed(connection: sa.Connection, name: str, state: int, limit: int | None) -> list[QueuedChange]:
    """Return the changes of a destination in a state, the oldest first."""
    number = outbox_destinations.number(connection, name)
    if number is None:
        raise outbox_destinations.unknown(name)
    return _read(connection, number, tables().outbox.c.state == state, limit=limit)


_FREE: t.Mapping[str, t.Any] = {"claimed_by": None, "claimed_until": None}


def _claimed(connection: sa.Connection, destination: int, exporter: str, ids: t.Sequence[int]) -> dict[int, int]:
    """Return the sizes of those changes that an exporter still has, by id."""
    table = tables().outbox
    query = sa.select(table.c.change, table.c.size).where(
        table.c.destination == destination,
        table.c.state == WAITING,
        sql.among(connection, table.c.change, ids),
        table.c.claimed_by == exporter,
    )
    return {row.change: row.size for row in connection.execute(query)}


def _update(connection: sa.Connection, destination: int, ids: t.Sequence[int], before: int, **values: t.Any) -> None:
    if ids:
        table = tables().outbox
        same = (table.c.destination == destination) & (table.c.state == before)
        connection.execute(table.update().where(same, sql.among(connection, table.c.change, ids)).values(**values))


def _read(
    connection: sa.Connection, destination: int, *conditions: sa.ColumnElement[bool], limit: int | None = None
) -> list[QueuedChange]:
    """Return changes with their events.

    One statement reads a change and the finding that it refers to: a run that replaces the finding's event copies it
    into the change in the same transaction.
    """
    table, about, findings = tables().outbox, tables().outbox_changes, tables().findings
    columns = {
        **about.c,
        "size": table.c.size,
        "attempts": table.c.attempts,
        "runs": about.c["count"],
        "set_aside_for": table.c.reason,
        "event": sa.func.coalesce(about.c.event, findings.c.event),
    }
    query = (
        sa.select(*(columns[name] for name in outbox_events.Row._fields))
        .select_from(table)
        .join(about, about.c.id == table.c.change)
        .join(findings, (findings.c.uid == about.c.key) & about.c.event.is_(None), isouter=True)
        .where(table.c.destination == destination, *conditions)
        .order_by(table.c.change)
        .limit(limit)
    )
    return [outbox_events.queued(outbox_events.Row._make(row)) for row in connection.execute(query)]
