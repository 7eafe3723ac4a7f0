# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Transactions on the store, and errors that a person can act on."""

from __future__ import annotations

import contextlib
import random
import sqlite3
import time
import typing as t

from ansible_collections.bulwark.servers.plugins.plugin_utils.store import engine as engines
from ansible_collections.bulwark.servers.plugins.plugin_utils.store import failures, location, migrations
from ansible_collections.bulwark.servers.plugins.plugin_utils.store.errors import StoreError

with contextlib.suppress(ImportError):  # Store.open says what is missing
    import sqlalchemy as sa

T = t.TypeVar("T")

# write: as it is. check: everything happens and is undone when the store is closed. read: nothing is written, and a
# store that doesn't exist is an error: of a name that was mistyped, nobody may be told that nothing was found.
Mode = t.Literal["write", "check", "read"]

# serialization_failure and deadlock_detected (https://www.postgresql.org/docs/current/errcodes-appendix.html):
# the server undid the transaction, and asks for it again.
_RETRY_STATES = ("40001", "40P01")
_ATTEMPTS = 6


class Database:
    """An open database. ``write`` and ``read`` call a function with a connection, as one transaction."""

    def __init__(self, url: sa.URL, mode: Mode) -> None:
        self._mode = mode
        self._shown = location.shown(url)
        self._outer: sa.Connection | None = None
        self._engine = self._run(lambda: self._connect(url))
        try:
            if mode == "check":
                self._outer = self._run(self._begin_outer)
            if not self.read(migrations.is_current):
                if mode == "read":
                    # Brought up to date for as long as it is read, and left as it was.
                    self._outer = self._run(self._begin_outer)
                self._write(migrations.upgrade)
            if mode == "write" and location.file(url) is not None:
                # Not before: until here the file may have been another program's.
                self._run(lambda: engines.use_write_ahead_log(self._engine))
        except StoreError:
            self.close()
            raise

    @property
    def shown(self) -> str:
        """Where it is, as messages may show it: without a password."""
        return self._shown

    @property
    def is_writable(self) -> bool:
        """Whether it was opened for writing, if only for as long as it is open."""
        return self._mode != "read"

    @property
    def is_old(self) -> bool:
        """Whether it is an older version's, brought up to date only for as long as it is read."""
        return self._mode == "read" and self._outer is not None

    def close(self) -> None:
        """Undo what a check did or a reader upgraded, and let the database go: a fork must not share a connection."""
        if self._outer is not None:
            self._outer.close()
            self._outer = None
        self._engine.dispose()

    def write(self, work: t.Callable[[sa.Connection], T]) -> T:
        """Return what ``work`` returns, all of it committed or, when it raises, nothing; it may be called again."""
        if self._mode == "read":
            raise StoreError(f"the store {self._shown} was opened for reading")
        return self._write(work)

    def _write(self, work: t.Callable[[sa.Connection], T]) -> T:
        if self._outer is not None:
            outer = self._outer
            return self._run(lambda: work(outer))
        return self._run(lambda: self._transaction(work, immediate=True))

    def read(self, work: t.Callable[[sa.Connection], T]) -> T:
        """Return what ``work`` returns, which sees the database as it is at one moment."""
        if self._outer is not None:
            outer = self._outer
            return self._run(lambda: work(outer))
        return self._run(lambda: self._transaction(work, immediate=False))

    def _connect(self, url: sa.URL) -> sa.Engine:
        if self._mode == "write":
            return engines.create(url)
        path = location.file(url)
        if path is not None and not path.exists():
            return self._absent()
        engine = engines.create(url)
        if self._mode == "check" or _has_store(engine):
            return engine
        return self._absent()

    def _absent(self) -> sa.Engine:
        if self._mode == "read":
            raise StoreError(f"there is no store at {self._shown}; correct its URL, or let a scan create it first")
        return engines.memory()

    def _begin_outer(self) -> sa.Connection:
        connection = self._engine.connect().execution_options(**{engines.IMMEDIATE: True})
        try:
            connection.begin()
        except BaseException:
            connection.close()  # while another process writes into an SQLite file
            raise
        return connection

    def _transaction(self, work: t.Callable[[sa.Connection], T], immediate: bool) -> T:
        options: dict[str, t.Any] = {engines.IMMEDIATE: immediate}
        if self._engine.dialect.name == "postgresql" and not immediate:
            # SQLite's readers see one moment by themselves; PostgreSQL's do when asked to.
            options["isolation_level"] = "REPEATABLE READ"
        with self._engine.connect().execution_options(**options) as connection, connection.begin():
            return work(connection)

    def _run(self, work: t.Callable[[], T]) -> T:
        for attempt in range(_ATTEMPTS):
            try:
                return work()
            except (sa.exc.DBAPIError, sqlite3.Error) as error:
                reason = getattr(error, "orig", error)
                last = attempt == _ATTEMPTS - 1 or self._mode == "check"
                if last or getattr(reason, "sqlstate", None) not in _RETRY_STATES:
                    raise StoreError(f"the store {self._shown} {failures.explained(reason)}") from error
                time.sleep(random.uniform(0, 0.05 * 2**attempt))  # noqa: S311 - it only spreads writers out
        raise AssertionError("unreachable")


def _has_store(engine: sa.Engine) -> bool:
    """Return whether there is a store; let the engine go when there is none, or none that can be read."""
    found = False
    try:
        with engine.connect() as connection:
            found = migrations.exists(connection)
    finally:
        if not found:
            engine.dispose()
    return found
