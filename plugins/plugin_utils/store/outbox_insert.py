# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Insert changes into the outbox, with who waits for them.

The ids of one finding rise in the order in which its changes are committed: whoever changes a finding keeps others
from it until the end of the transaction (by its row, or by its host while it is new), and numbers the change after
that. An exporter that sees a change so sees all earlier ones of the same finding, too.
"""

from __future__ import annotations

import contextlib
import json
import operator
import typing as t

from ansible_collections.bulwark.servers.plugins.plugin_utils.store import outbox_counts, sql
from ansible_collections.bulwark.servers.plugins.plugin_utils.store.outbox_changes import COLUMNS, Draft
from ansible_collections.bulwark.servers.plugins.plugin_utils.store.outbox_tables import WAITING
from ansible_collections.bulwark.servers.plugins.plugin_utils.store.schema import tables

with contextlib.suppress(ImportError):  # Store.open says what is missing
    import sqlalchemy as sa

# A change, and the numbers of the destinations that wait for it.
Wanted = tuple[Draft, t.Sequence[int]]

_values = operator.itemgetter(*COLUMNS)
_TYPES = {
    **dict.fromkeys(COLUMNS, "text"),
    **dict.fromkeys(("at", "first_seen", "last_seen"), "double precision"),
    **dict.fromkeys(("before_severity", "count"), "integer"),
}
_NAMES = ", ".join(f'"{name}"' for name in COLUMNS)
# As statements of their own, for each row or each table, they would cost more than all else that a record costs.
_POSTGRESQL = f"""
WITH given AS MATERIALIZED (
    SELECT
        nextval((SELECT CAST(pg_get_serial_sequence('bulwark_outbox_changes', 'id') AS regclass))) AS id,
        COALESCE(length, (SELECT octet_length(found.event) FROM bulwark_findings AS found WHERE uid = key)) AS size,
        ordered.*
    FROM (
        SELECT * FROM json_to_recordset(CAST(%s AS json)) AS record(
            position integer, length integer, destinations integer[],
            {", ".join(f'"{name}" {kind}' for name, kind in _TYPES.items())}
        ) ORDER BY position
    ) AS ordered
), changed AS (
    INSERT INTO bulwark_outbox_changes (id, {_NAMES})
    SELECT id, {", ".join(f'COALESCE("{name}", CAST(%s AS {kind}))' for name, kind in _TYPES.items())} FROM given
), queued AS (
    INSERT INTO bulwark_outbox (destination, state, change, recorded, size, attempts)
    SELECT destination, {WAITING}, id, %s, size, 0
    FROM given CROSS JOIN unnest(COALESCE(destinations, CAST(%s AS integer[]))) AS destination
)
INSERT INTO bulwark_outbox_counts (destination, waiting, bytes, set_aside, dropped)
SELECT destination, count(*), sum(size), 0, 0
FROM given CROSS JOIN unnest(COALESCE(destinations, CAST(%s AS integer[]))) AS destination
GROUP BY destination
"""  # noqa: S608 - names of columns and a number of ours only
_NEWEST = "SELECT max(id) FROM bulwark_outbox_changes"
_CHANGE = f"INSERT INTO bulwark_outbox_changes (id, {_NAMES}) VALUES (?{', ?' * len(COLUMNS)})"  # noqa: S608 - names of columns only
_ROW = f"""
INSERT INTO bulwark_outbox (destination, state, change, recorded, size, attempts) VALUES (?, {WAITING}, ?, ?, ?, 0)
"""  # noqa: S608 - a number of ours only


def insert(connection: sa.Connection, wanted: t.Sequence[Wanted], recorded: float) -> None:
    """Insert changes in their order, and note how many more wait. Each has a destination."""
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql(_POSTGRESQL, _parameters(wanted, recorded))
    else:
        _insert_sqlite(connection, wanted, recorded)


def _parameters(wanted: t.Sequence[Wanted], recorded: float) -> tuple[t.Any, ...]:
    """Return the values for PostgreSQL. Those that all rows share, as most of a scan's do, are sent once."""
    first, shared_destinations = wanted[0][0].row, list(wanted[0][1])
    own = [
        name
        for name in COLUMNS
        if name == "key" or any(draft.row[name] is not first[name] for draft, _destinations in wanted)
    ]
    rows = []
    for position, (draft, destinations) in enumerate(wanted):
        row: dict[str, t.Any] = {"position": position, "length": draft.size}
        for name in own:
            row[name] = draft.row[name]
        if destinations != shared_destinations:
            row["destinations"] = destinations
        rows.append(row)
    shared = [None if name in own else first[name] for name in COLUMNS]
    return (json.dumps(rows, ensure_ascii=False), *shared, recorded, shared_destinations, shared_destinations)


def _insert_sqlite(connection: sa.Connection, wanted: t.Sequence[Wanted], recorded: float) -> None:
    first = (connection.exec_driver_sql(_NEWEST).scalar_one() or 0) + 1
    sizes = _sizes(connection, [draft.row["key"] for draft, _destinations in wanted if draft.size is None])
    changes: list[tuple[t.Any, ...]] = []
    rows: list[tuple[t.Any, ...]] = []
    added: dict[int, list[int]] = {}
    for change, (draft, destinations) in enumerate(wanted, first):
        size = sizes[draft.row["key"]] if draft.size is None else draft.size
        changes.append((change, *_values(draft.row)))
        for destination in destinations:
            rows.append((destination, change, recorded, size))
            added.setdefault(destination, []).append(size)
    connection.exec_driver_sql(_CHANGE, changes)
    connection.exec_driver_sql(_ROW, rows)
    for destination, lengths in added.items():
        outbox_counts.note(connection, destination, outbox_counts.Numbers(len(lengths), sum(lengths)))


def _sizes(connection: sa.Connection, uids: t.Sequence[str]) -> dict[str, int]:
    """Return the bytes of the stored events of findings by uid."""
    columns = tables().findings.c
    size = sql.byte_length(columns.event, connection.dialect.name)
    return {
        uid: length
        for part in sql.parts(uids)
        for uid, length in connection.execute(sa.select(columns.uid, size).where(columns.uid.in_(part)))
    }
