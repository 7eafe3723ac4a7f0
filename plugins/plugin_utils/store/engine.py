# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Engines: what SQLite and PostgreSQL each need, so that everything else is the same code for both."""

from __future__ import annotations

import contextlib
import errno
import os
import pathlib
import time
import typing as t

from ansible_collections.bulwark.servers.plugins.plugin_utils.store import location
from ansible_collections.bulwark.servers.plugins.plugin_utils.store.errors import StoreError

with contextlib.suppress(ImportError):  # Store.open says what is missing
    import sqlalchemy as sa

# Fifty forks that each write for some milliseconds wait for one another; only a stuck process makes it this long.
BUSY_SECONDS = 60
_CONNECT_SECONDS = 15
_APPLICATION = "bulwark.servers"

# An option of connections that write: SQLite then takes its write lock at once. A transaction that reads first and
# writes later can't wait for the lock (its snapshot would be stale), it fails.
IMMEDIATE = "bulwark_immediate"


def memory() -> sa.Engine:
    """Return an SQLite database in memory, which stands for a store that doesn't exist yet."""
    engine = sa.create_engine("sqlite+pysqlite://", poolclass=sa.pool.StaticPool)
    _listen_sqlite(engine)
    return engine


def create(url: sa.URL) -> sa.Engine:
    """Return an engine for a parsed URL. A new SQLite file is private, or belongs to the group that shares it."""
    path = location.file(url)
    try:
        if path is None:
            arguments = {"connect_timeout": _CONNECT_SECONDS, "application_name": _APPLICATION}
            return sa.create_engine(url, connect_args=arguments, pool_size=1, max_overflow=0)
    except ImportError:
        raise StoreError(
            f"the store {location.shown(url)} needs the Python package psycopg 3 on the controller: "
            "pip install 'psycopg[binary]'"
        ) from None
    _create_file(path)
    engine = sa.create_engine(url, connect_args={"timeout": BUSY_SECONDS})
    _listen_sqlite(engine)
    return engine


def _create_file(path: pathlib.Path) -> None:
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        # Created here and not by SQLite, which would obey the umask; SQLite gives its log and index the same mode.
        file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            if location.is_shared(str(path.parent)):
                os.fchmod(file, 0o660)
        finally:
            os.close(file)
    except FileExistsError:
        if path.is_symlink() and location.is_shared(str(path.parent)):
            # Another member made it, and it may lead to a store that only this account can write to.
            raise StoreError(f"the store {path} is a symbolic link in a shared directory: remove the link") from None
        if not path.is_file():
            raise StoreError(f"the store {path} is not a file; name the database file itself") from None
    except OSError as error:
        reason = "it is on a read-only file system" if error.errno == errno.EROFS else (error.strerror or str(error))
        raise StoreError(f"the store {path} cannot be created: {reason}") from error


def _listen_sqlite(engine: sa.Engine) -> None:
    sa.event.listen(engine, "connect", _configure_sqlite)
    sa.event.listen(engine, "begin", _begin_sqlite)


def _configure_sqlite(connection: t.Any, _record: t.Any) -> None:
    # Python's sqlite3 would begin transactions by itself, at the first write only; _begin_sqlite does it instead
    # (https://docs.sqlalchemy.org/en/21/dialects/sqlite.html, "Enabling Non-Legacy SQLite Transactional Modes").
    connection.isolation_level = None
    connection.execute("PRAGMA foreign_keys=ON")
    # Debian's SQLite fills pages that get free with zeros: events, most of a store, are written once more to be
    # deleted, which takes seven times as long. FAST does so only where it writes a page anyway
    # (https://www.sqlite.org/pragma.html#pragma_secure_delete). The default of SQLite itself is to leave them.
    connection.execute("PRAGMA secure_delete=FAST")


def _begin_sqlite(connection: sa.Connection) -> None:
    connection.exec_driver_sql("BEGIN IMMEDIATE" if connection.get_execution_options().get(IMMEDIATE) else "BEGIN")


def use_write_ahead_log(engine: sa.Engine) -> None:
    """Let readers and a writer of an SQLite file work at once (https://www.sqlite.org/wal.html), from now on."""
    with contextlib.closing(engine.raw_connection()) as connection:
        _switch_to_wal(connection.driver_connection)


def _switch_to_wal(connection: t.Any) -> None:
    deadline = time.monotonic() + BUSY_SECONDS
    while connection.execute("PRAGMA journal_mode").fetchone()[0] != "wal":
        try:
            connection.execute("PRAGMA journal_mode=WAL")
        except connection.OperationalError as error:
            # Switching needs the file alone for a moment, and SQLite doesn't wait for that by itself.
            if "locked" not in str(error) or time.monotonic() > deadline:
                raise
            time.sleep(0.05)
        else:
            return
