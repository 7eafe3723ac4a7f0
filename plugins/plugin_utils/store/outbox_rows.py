# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rows of the outbox, deleted together with the changes that nobody waits for any more."""

from __future__ import annotations

import contextlib
import typing as t

from ansible_collections.bulwark.servers.plugins.plugin_utils.store import sql
from ansible_collections.bulwark.servers.plugins.plugin_utils.store.outbox_tables import SET_ASIDE, WAITING
from ansible_collections.bulwark.servers.plugins.plugin_utils.store.schema import tables

with contextlib.suppress(ImportError):  # Store.open says what is missing
    import sqlalchemy as sa

LONGEST_LEASE = 3_600.0


def delete(connection: sa.Connection, destination: int, changes: t.Sequence[int]) -> None:
    """Delete the rows of these changes for a destination, and those of the changes that nobody else waits for."""
    lock_changes(connection, changes)
    table = tables().outbox
    # Both states, so that the key's index serves.
    same = (table.c.destination == destination) & table.c.state.in_((WAITING, SET_ASIDE))
    connection.execute(table.delete().where(same, sql.among(connection, table.c.change, changes)))
    delete_unwanted(connection, changes)


def is_claimed(now: float) -> sa.ColumnElement[bool]:
    """Return the condition that an exporter has a row, and its lease lasts.

    One that would last longer than any lease is of an exporter whose clock was fast, and counts as over.
    """
    until = tables().outbox.c.claimed_until
    return until.is_not(None) & (until > now) & (until <= now + LONGEST_LEASE)


def lock_changes(connection: sa.Connection, changes: t.Sequence[int]) -> None:
    """Keep changes from others, in the order of their ids.

    Two exporters that delete the last two rows of a change at once would otherwise each see the other's row, and
    leave the change behind. SQLite has one writer at a time as it is.
    """
    if connection.dialect.name == "postgresql":
        columns = tables().outbox_changes.c
        mine = sql.among(connection, columns.id, changes)
        connection.execute(sa.select(columns.id).where(mine).order_by(columns.id).with_for_update()).all()


def delete_unwanted(connection: sa.Connection, changes: t.Sequence[int]) -> None:
    """Delete those of some changes that no destination waits for. The caller has locked them."""
    table = tables().outbox_changes
    connection.execute(table.delete().where(sql.among(connection, table.c.id, changes), ~_is_wanted()))


def delete_all(connection: sa.Connection, destination: int) -> None:
    """Delete all rows of a destination. The caller keeps everybody else from the outbox."""
    table, changes = tables().outbox, tables().outbox_changes
    connection.execute(table.delete().where(table.c.destination == destination))
    connection.execute(changes.delete().where(~_is_wanted()))


def _is_wanted() -> sa.ColumnElement[bool]:
    """Return the condition that some destination waits for a change."""
    table, known = tables().outbox, tables().outbox_destinations
    # With all columns of the key, so that its index serves.
    return sa.exists().where(
        table.c.destination.in_(sa.select(known.c.id)),
        table.c.state.in_((WAITING, SET_ASIDE)),
        table.c.change == tables().outbox_changes.c.id,
    )
