# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Copy a store into an empty database: one snapshot of the source, one transaction in the destination.

What was written is read back and compared before it is committed. Rows travel in batches, so that the size of a store
is no matter of memory.
"""

from __future__ import annotations

import contextlib
import dataclasses
import sqlite3
import typing as t

from ansible_collections.bulwark.servers.plugins.plugin_utils.store import copy_values, engine, failures, location
from ansible_collections.bulwark.servers.plugins.plugin_utils.store.database import Database, Mode
from ansible_collections.bulwark.servers.plugins.plugin_utils.store.errors import StoreError
from ansible_collections.bulwark.servers.plugins.plugin_utils.store.row_digest import RowDigest
from ansible_collections.bulwark.servers.plugins.plugin_utils.store.schema import tables

with contextlib.suppress(ImportError):  # Store.open says what is missing
    import sqlalchemy as sa

# Rows that are in memory at once. A row has up to some hundred kilobytes.
_BATCH = 200


@dataclasses.dataclass(frozen=True)
class TableCopy:
    """A table of the source; ``digest`` is None where it was only counted."""

    name: str
    rows: int
    digest: str | None


@dataclasses.dataclass(frozen=True)
class StoreCopy:
    """What was copied, or would be; source and destination as messages may show them.

    unfinished: when the newest run started that was not closed, None when all were.
    """

    source: str
    destination: str
    tables: tuple[TableCopy, ...]
    unfinished: float | None


def copy(source: Database, url: str, *, dry: bool) -> StoreCopy:
    """Copy everything to the database at a URL; with dry, only say what would be copied."""
    if source.is_old:
        raise StoreError(
            f"the store {source.shown} has the schema of an older collection: "
            "scan with this one first, which brings it up to date, and then copy it"
        )
    # What is refused is left as it is: a store of an older version is not upgraded.
    with contextlib.closing(_open(url, "check")) as destination:
        destination.write(lambda writing: _refuse_filled(writing, destination.shown))
    if dry:
        return source.read(
            lambda reading: StoreCopy(source.shown, destination.shown, _counted(reading), _unfinished(reading))
        )
    with contextlib.closing(_open(url, "write")) as destination:
        return source.read(
            lambda reading: StoreCopy(
                source.shown,
                destination.shown,
                destination.write(lambda writing: _Copy(source, reading, destination, writing).run()),
                _unfinished(reading),
            )
        )


def _open(url: str, mode: Mode) -> Database:
    try:
        return Database(location.parse(url), mode)
    except StoreError as error:
        raise StoreError(f"the destination cannot be used: {error}") from error


def _copied_tables() -> list[sa.Table]:
    """Return the tables with what they refer to before them; the destination has its own version of the schema."""
    return [table for table in tables().metadata.sorted_tables if table is not tables().schema]


def _counted(connection: sa.Connection) -> tuple[TableCopy, ...]:
    return tuple(TableCopy(str(table.name), _count(connection, table), None) for table in _copied_tables())


def _count(connection: sa.Connection, table: sa.Table) -> int:
    return connection.execute(sa.select(sa.func.count()).select_from(table)).scalar_one()


def _unfinished(connection: sa.Connection) -> float | None:
    runs = tables().runs
    newest = sa.select(sa.func.max(runs.c.started)).where(runs.c.finished.is_(None))
    return t.cast("float | None", connection.execute(newest).scalar_one())


def _refuse_filled(connection: sa.Connection, shown: str) -> None:
    filled = [f"{table.name} {table.rows}" for table in _counted(connection) if table.rows]
    if filled:
        raise StoreError(
            f"the destination {shown} is not empty (rows: {', '.join(filled)}); "
            "name a database without a store, or remove these tables first"
        )


class _Copy:
    """A copy within its two transactions."""

    def __init__(self, source: Database, reading: sa.Connection, destination: Database, writing: sa.Connection) -> None:
        self._source, self._reading = source.shown, reading
        self._destination, self._writing = destination.shown, writing

    def run(self) -> tuple[TableCopy, ...]:
        self._lock_out_writers()
        _refuse_filled(self._writing, self._destination)
        sent = [(table, self._send(table)) for table in _copied_tables()]
        # Not before everything is written: what comes later may change what was there.
        return tuple(self._verified(table, digest) for table, digest in sent)

    def _lock_out_writers(self) -> None:
        """Let no scan write into the destination until the end. SQLite has one writer at a time as it is."""
        if self._writing.dialect.name == "postgresql":
            names = ", ".join(table.name for table in _copied_tables())
            # As long as SQLite waits for its lock.
            self._writing.exec_driver_sql(f"SET LOCAL lock_timeout = '{engine.BUSY_SECONDS}s'")
            self._writing.exec_driver_sql(f"LOCK TABLE {names} IN EXCLUSIVE MODE")

    def _send(self, table: sa.Table) -> RowDigest:
        check = copy_values.Check(table, self._writing.dialect.name, self._source)
        digest = RowDigest()
        for batch in self._read(table):
            for row in batch:
                check.raise_for(row)
                digest.add(row)
            self._writing.execute(table.insert(), [dict(row._mapping) for row in batch])
        if digest.rows != _count(self._reading, table):
            raise StoreError(f"the store {self._source} did not show all rows of {table.name}; check its database")
        self._set_sequence(table)
        return digest

    def _verified(self, table: sa.Table, sent: RowDigest) -> TableCopy:
        """Return what the destination has of a table now; raise StoreError when that is not what was sent."""
        stored = RowDigest()
        for batch in _batches(self._writing, table):
            for row in batch:
                stored.add(row)
        if (sent.rows, sent.hexdigest()) != (stored.rows, stored.hexdigest()):
            raise StoreError(
                f"the destination {self._destination} changed what was written into {table.name} ({sent.rows} rows, "
                f"{stored.rows} read back), so nothing was copied; remove its triggers, or name another database"
            )
        return TableCopy(str(table.name), stored.rows, stored.hexdigest())

    def _read(self, table: sa.Table) -> t.Iterator[t.Sequence[sa.Row[t.Any]]]:
        """Yield the rows of the source. What fails here is the source's, whose name the error then has."""
        try:
            yield from _batches(self._reading, table)
        except (sa.exc.DBAPIError, sqlite3.Error) as error:
            reason = getattr(error, "orig", error)
            raise StoreError(f"the store {self._source} {failures.explained(reason)}") from error

    def _set_sequence(self, table: sa.Table) -> None:
        """Let PostgreSQL number new rows after the copied ones. SQLite does so by itself."""
        column = table.autoincrement_column
        if column is None or self._writing.dialect.name != "postgresql":
            return
        newest = self._writing.execute(sa.select(sa.func.max(column))).scalar_one()
        if newest is not None:
            sequence = sa.func.pg_get_serial_sequence(table.name, column.name)
            self._writing.execute(sa.select(sa.func.setval(sequence, newest)))


def _batches(connection: sa.Connection, table: sa.Table) -> t.Iterator[t.Sequence[sa.Row[t.Any]]]:
    """Yield the rows of a table as the database has them, without reading all of them at once."""
    return connection.execute(sa.select(table), execution_options={"yield_per": _BATCH}).partitions()
