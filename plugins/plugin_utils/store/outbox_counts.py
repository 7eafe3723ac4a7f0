# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How many changes wait for a destination, were set aside and were dropped: sums of what each transaction noted."""

from __future__ import annotations

import contextlib
import typing as t

from ansible_collections.bulwark.servers.plugins.plugin_utils.store import sql
from ansible_collections.bulwark.servers.plugins.plugin_utils.store.schema import tables

with contextlib.suppress(ImportError):  # Store.open says what is missing
    import sqlalchemy as sa

# Notes are added up when there are more of a destination.
_MOST_NOTES = 50


class Numbers(t.NamedTuple):
    """waiting, set_aside, dropped: changes. bytes: of those that wait."""

    waiting: int = 0
    bytes: int = 0
    set_aside: int = 0
    dropped: int = 0


NONE = Numbers()

# As a text: each process that records a host would compile an expression anew, for longer than it takes to execute.
_NOTE = """
INSERT INTO bulwark_outbox_counts (destination, waiting, bytes, set_aside, dropped)
VALUES (:destination, :waiting, :bytes, :set_aside, :dropped)
"""


def note(connection: sa.Connection, destination: int, change: Numbers) -> None:
    """Note what the transaction adds to the numbers of a destination."""
    if change != NONE:
        connection.execute(sa.text(_NOTE), {"destination": destination, **change._asdict()})


def of(connection: sa.Connection, destination: int) -> Numbers:
    return by_destination(connection, destination).get(destination, NONE)


def by_destination(connection: sa.Connection, destination: int | None = None) -> dict[int, Numbers]:
    """Return the numbers of each destination that has any, or of this one only."""
    columns = tables().outbox_counts.c
    sums = [sa.func.sum(columns[name]) for name in Numbers._fields]
    query = sa.select(columns.destination, *sums).group_by(columns.destination)
    if destination is not None:
        query = query.where(columns.destination == destination)
    # PostgreSQL adds up to a decimal.
    return {row[0]: Numbers(*map(int, row[1:])) for row in connection.execute(query)}


def add_up(connection: sa.Connection, destination: int) -> None:
    """Replace many notes by their sum. The caller has the destination locked."""
    table = tables().outbox_counts
    rows = connection.execute(sa.select(table).where(table.c.destination == destination)).all()
    if len(rows) <= _MOST_NOTES:
        return
    # Writers add notes meanwhile: only those that were read go.
    for part in sql.parts([row.id for row in rows]):
        connection.execute(table.delete().where(table.c.id.in_(part)))
    note(connection, destination, Numbers(*(sum(getattr(row, name) for row in rows) for name in Numbers._fields)))


def delete(connection: sa.Connection, destination: int) -> None:
    table = tables().outbox_counts
    connection.execute(table.delete().where(table.c.destination == destination))
