# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The limits of a destination: how many changes wait for it at most, and for how long."""

from __future__ import annotations

import contextlib

from ansible_collections.bulwark.servers.plugins.plugin_utils.store import outbox_counts, outbox_rows
from ansible_collections.bulwark.servers.plugins.plugin_utils.store.export_model import Destination
from ansible_collections.bulwark.servers.plugins.plugin_utils.store.outbox_counts import Numbers
from ansible_collections.bulwark.servers.plugins.plugin_utils.store.outbox_tables import WAITING
from ansible_collections.bulwark.servers.plugins.plugin_utils.store.schema import tables

with contextlib.suppress(ImportError):  # Store.open says what is missing
    import sqlalchemy as sa

# Changes that are dropped at once.
_PART = 10_000


def room(connection: sa.Connection, destination: int, settings: Destination, now: float) -> int | None:
    """Return how many further changes a destination takes, None for any number.

    One that keeps its newest changes takes all; ``trim`` then drops the oldest.
    """
    if settings.when_full != "keep_oldest":
        return None
    if settings.max_age is not None and _waits_longer(connection, destination, now - settings.max_age):
        return 0
    if settings.max_changes is None:
        return None
    return max(0, settings.max_changes - outbox_counts.of(connection, destination).waiting)


def trim(connection: sa.Connection, destination: int, settings: Destination, now: float) -> None:
    """Drop and count what is beyond the limits. The caller has the destination locked.

    Changes that an exporter has claimed stay: they may have been sent. With ``keep_oldest`` the newest are dropped,
    which are only too many where several controllers wrote at once.
    """
    if settings.when_full is None:
        return
    excess = 0
    if settings.max_changes is not None:
        excess = outbox_counts.of(connection, destination).waiting - settings.max_changes
    is_newest_first = settings.when_full == "keep_oldest"
    if excess > 0:
        _drop(connection, destination, now, is_newest_first=is_newest_first, limit=excess)
    if settings.max_age is not None and not is_newest_first:
        until = now - settings.max_age
        if _waits_longer(connection, destination, until):
            _drop(connection, destination, now, recorded_before=until)


def _waits_longer(connection: sa.Connection, destination: int, since: float) -> bool:
    """Return whether the oldest change of a destination was recorded before a time."""
    table = tables().outbox
    waiting = (table.c.destination == destination) & (table.c.state == WAITING)
    oldest = connection.execute(sa.select(table.c.recorded).where(waiting).order_by(table.c.change).limit(1)).scalar()
    return oldest is not None and oldest < since


def _drop(
    connection: sa.Connection,
    destination: int,
    now: float,
    *,
    is_newest_first: bool = False,
    limit: int | None = None,
    recorded_before: float | None = None,
) -> None:
    table = tables().outbox
    query = sa.select(table.c.change, table.c.size).where(
        table.c.destination == destination, table.c.state == WAITING, ~outbox_rows.is_claimed(now)
    )
    if recorded_before is not None:
        query = query.where(table.c.recorded < recorded_before)
    query = query.order_by(table.c.change.desc() if is_newest_first else table.c.change)
    number = size = 0
    while limit is None or number < limit:
        # In parts: a million rows take much memory.
        part = connection.execute(query.limit(_PART if limit is None else min(_PART, limit - number))).all()
        if not part:
            break
        outbox_rows.delete(connection, destination, [row.change for row in part])
        number += len(part)
        size += sum(row.size for row in part)
    outbox_counts.note(connection, destination, Numbers(waiting=-number, bytes=-size, dropped=number))
