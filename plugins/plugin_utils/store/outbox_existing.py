# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Queue the findings that were there before a destination was."""

from __future__ import annotations

import contextlib
import typing as t

from ansible_collections.bulwark.servers.plugins.plugin_utils.store import (
    outbox_changes,
    outbox_counts,
    outbox_filter,
    outbox_insert,
    outbox_limits,
    query,
    sql,
)
from ansible_collections.bulwark.servers.plugins.plugin_utils.store.export_model import Destination
from ansible_collections.bulwark.servers.plugins.plugin_utils.store.outbox_changes import EXISTING
from ansible_collections.bulwark.servers.plugins.plugin_utils.store.schema import tables

with contextlib.suppress(ImportError):  # Store.open says what is missing
    import sqlalchemy as sa

_BATCH = 1_000


def queue(connection: sa.Connection, key: int, destination: Destination, since: float, now: float) -> None:
    """Queue the findings that a destination's filter lets through and that a run saw at or after a time.

    key: of the destination in its table. The caller keeps everybody else from the outbox.
    """
    table = tables().findings
    wanted = destination.filter
    columns = [column for column in table.c if column.name != "event"]
    size = sql.byte_length(table.c.event, connection.dialect.name).label("size")
    effective = query.effective(now).label("effective")
    statement = (
        sa.select(*columns, size, effective)
        .where(*query.conditions(outbox_filter.query(wanted, since), connection.dialect.name, now))
        # The oldest first, so that a limit does to them what it does to others.
        .order_by(table.c.last_seen, table.c.uid)
    )
    room = outbox_limits.room(connection, key, destination, now)
    dropped = 0
    # In parts: a million findings do not fit into memory.
    rows = connection.execute(statement, execution_options={"yield_per": _BATCH})
    for part in rows.mappings().partitions():
        chosen = [row for row in part if outbox_filter.takes_host(wanted, row["host"])]
        limited = chosen if room is None else chosen[:room]
        if limited:
            drafts = [outbox_changes.Draft(_change(row), row["size"]) for row in limited]
            outbox_insert.insert(connection, [(draft, [key]) for draft in drafts], now)
        dropped += len(chosen) - len(limited)
        room = None if room is None else room - len(limited)
    outbox_counts.note(connection, key, outbox_counts.Numbers(dropped=dropped))
    outbox_limits.trim(connection, key, destination, now)


def _change(row: sql.Row) -> dict[str, t.Any]:
    known = query.described(row, "", {}, {})
    return {
        "key": known.uid,
        "host": known.host,
        "capability": known.capability,
        "change": EXISTING,
        "at": max(known.status_since, known.last_seen),
        "instance": None,
        "before_severity": None,
        "by": known.status_by,
        "run_id": known.last_run,
        "status": known.status,
        "reason": known.status_reason,
        "first_seen": known.first_seen,
        "last_seen": known.last_seen,
        "count": known.count,
        "event": None,
    }
