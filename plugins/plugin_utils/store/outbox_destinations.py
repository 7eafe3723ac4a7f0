# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Destinations in the store: registered, changed, removed, and how each does."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import typing as t

from ansible_collections.bulwark.servers.plugins.plugin_utils.store import (
    outbox_counts,
    outbox_existing,
    outbox_rows,
)
from ansible_collections.bulwark.servers.plugins.plugin_utils.store.errors import StoreError
from ansible_collections.bulwark.servers.plugins.plugin_utils.store.export_model import (
    Destination,
    DestinationState,
    ExportFilter,
)
from ansible_collections.bulwark.servers.plugins.plugin_utils.store.outbox_tables import WAITING
from ansible_collections.bulwark.servers.plugins.plugin_utils.store.schema import tables

with contextlib.suppress(ImportError):  # Store.open says what is missing
    import sqlalchemy as sa


# As a text: each process that records a host would compile an expression anew, for longer than it takes to execute.
_LOOK = """
SELECT id, name, settings,
    EXISTS (SELECT 1 FROM bulwark_outbox_changes WHERE host = CAST(:host AS TEXT) AND event IS NULL) AS refers
FROM bulwark_outbox_destinations ORDER BY name
"""


class Registered(t.NamedTuple):
    """A destination with the number that the rows of the outbox have for it."""

    id: int
    destination: Destination


def listening(connection: sa.Connection, host: str | None = None) -> tuple[list[Registered], bool]:
    """Return all destinations, and whether changes that wait for any refer to findings of a host for their events.

    Call this before queueing, after locking the rows to change (see ``_lock``).
    """
    rows = connection.execute(sa.text(_LOOK), {"host": host}).all()
    listening = [Registered(row.id, _destination(row.name, row.settings)) for row in rows]
    return listening, any(row.refers for row in rows)


def _lock(connection: sa.Connection) -> None:
    """Let one transaction at a time change which destinations there are, while nobody queues anything.

    A destination that is registered would otherwise get what a run records meanwhile neither as a change nor as a
    finding that was there before. Whoever queues something has a lock on rows of findings or runs, with which these
    locks of the tables do not go together: it ends before, or begins after, and then sees the new destination.
    SQLite has one writer at a time as it is.
    """
    if connection.dialect.name == "postgresql":
        names = f"{tables().findings.name}, {tables().runs.name}, {tables().outbox_destinations.name}"
        connection.exec_driver_sql(f"LOCK TABLE {names} IN EXCLUSIVE MODE")


def locked(connection: sa.Connection, name: str, *, skip_busy: bool = False) -> sa.Row[t.Any] | None:
    """Return the row of a destination, kept from other exporters until the transaction ends; None if there is none.

    skip_busy: return None instead of waiting for another exporter. Whoever records is not kept from reading it.
    """
    table = tables().outbox_destinations
    query = sa.select(table).where(table.c.name == name).with_for_update(key_share=True, skip_locked=skip_busy)
    return connection.execute(query).one_or_none()


def require(connection: sa.Connection, name: str) -> sa.Row[t.Any]:
    """Return the row of a destination as ``locked`` does; raise StoreError if there is none."""
    row = locked(connection, name)
    if row is None:
        raise unknown(name)
    return row


def unknown(name: str) -> StoreError:
    return StoreError(f"there is no destination '{name}' in the store: an export registers those that it is given")


def number(connection: sa.Connection, name: str) -> int | None:
    """Return the number of a destination, None if there is none."""
    table = tables().outbox_destinations
    return connection.execute(sa.select(table.c.id).where(table.c.name == name)).scalar_one_or_none()


def settings_of(row: sa.Row[t.Any]) -> Destination:
    """Return the destination of a row."""
    return _destination(row.name, row.settings)


def register(connection: sa.Connection, destination: Destination, now: float, existing_since: float | None) -> bool:
    """Add a destination or change it; return whether that changed anything; see ``ExportStore``."""
    _check(destination)
    if any(known.destination == destination for known in listening(connection)[0]):
        return False
    _lock(connection)
    table = tables().outbox_destinations
    known = number(connection, destination.name)
    if known is not None:
        values = {"settings": _settings(destination)}
        connection.execute(table.update().where(table.c.id == known).values(values))
        return True
    row = {"name": destination.name, "settings": _settings(destination), "registered": now}
    added = connection.execute(table.insert().values(**row, sent=0, shortened=0, attempts=0))
    (new,) = t.cast("tuple[int]", tuple(added.inserted_primary_key or ()))
    if existing_since is not None:
        outbox_existing.queue(connection, new, destination, existing_since, now)
    return True


def remove(connection: sa.Connection, name: str, *, discard: bool) -> int:
    """Forget a destination and return how many changes it never got; see ``ExportStore``."""
    _lock(connection)
    row = locked(connection, name)
    if row is None:
        return 0
    numbers = outbox_counts.of(connection, row.id)
    left = numbers.waiting + numbers.set_aside
    if left and not discard:
        raise StoreError(
            f"the destination '{name}' still has changes that it did not get ({numbers.waiting} wait, "
            f"{numbers.set_aside} were set aside): export them first, or discard them"
        )
    outbox_rows.delete_all(connection, row.id)
    outbox_counts.delete(connection, row.id)
    table = tables().outbox_destinations
    connection.execute(table.delete().where(table.c.id == row.id))
    return left


def states(connection: sa.Connection) -> list[DestinationState]:
    """Return how all destinations do, by name."""
    table, outbox = tables().outbox_destinations, tables().outbox
    oldest = (
        sa.select(outbox.c.recorded)
        .where(outbox.c.destination == table.c.id, outbox.c.state == WAITING)
        .order_by(outbox.c.change)
        .limit(1)
        .scalar_subquery()
    )
    rows = connection.execute(sa.select(table, oldest.label("oldest")).order_by(table.c.name)).all()
    numbers = outbox_counts.by_destination(connection)
    return [_state(row, numbers.get(row.id, outbox_counts.NONE)) for row in rows]


def _state(row: sa.Row[t.Any], numbers: outbox_counts.Numbers) -> DestinationState:
    return DestinationState(
        destination=_destination(row.name, row.settings),
        waiting=numbers.waiting,
        waiting_bytes=numbers.bytes,
        waiting_since=row.oldest,
        set_aside=numbers.set_aside,
        dropped=numbers.dropped,
        **{
            name: getattr(row, name)
            for name in ("registered", "sent", "shortened", "last_sent", "attempts", "retry_at", "last_error")
        },
    )


def _check(destination: Destination) -> None:
    limited = destination.max_changes is not None or destination.max_age is not None
    if limited and destination.when_full is None:
        raise StoreError(
            f"the destination '{destination.name}' has a limit and does not say what happens when it is reached: "
            "set when_full to keep_oldest or keep_newest"
        )


def _settings(destination: Destination) -> str:
    settings = dataclasses.asdict(destination)
    del settings["name"]
    return json.dumps(settings, sort_keys=True)


def _destination(name: str, settings: str) -> Destination:
    fields = json.loads(settings)
    wanted: dict[str, t.Any] = {
        key: tuple(value) if isinstance(value, list) else value for key, value in fields["filter"].items()
    }
    return Destination(name=name, **{**fields, "filter": ExportFilter(**wanted)})
