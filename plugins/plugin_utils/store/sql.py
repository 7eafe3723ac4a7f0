# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What both databases can do and each says in its own words."""

from __future__ import annotations

import contextlib
import hashlib
import json
import typing as t

with contextlib.suppress(ImportError):  # Store.open says what is missing
    import sqlalchemy as sa

Row = t.Mapping[t.Any, t.Any]

_NO_LIMIT = 2**62
# SQLite takes 999 values in a statement, if it is old.
_MOST_VALUES = 500

T = t.TypeVar("T")


def upsert(
    connection: sa.Connection,
    table: sa.Table,
    rows: t.Sequence[Row],
    update: t.Sequence[str] = (),
    where: t.Callable[[t.Any], sa.ColumnElement[bool]] | None = None,
    key: t.Sequence[str] = (),
) -> None:
    """Insert rows; where the key is there already, update these columns, or leave the row when there are none.

    where: makes of the row that would be inserted the condition under which it replaces the other. key: columns with a
    unique index, by default the primary key. Rows are written in the order of their keys, so that two writers of many
    rows wait for each other and don't lock each other out.
    """
    if not rows:
        return
    key = key or [column.name for column in table.primary_key]
    insert = _insert(connection, table)
    if update:
        statement: t.Any = insert.on_conflict_do_update(
            index_elements=key,
            set_={name: insert.excluded[name] for name in update},
            where=where(insert.excluded) if where else None,
        )
    else:
        statement = insert.on_conflict_do_nothing(index_elements=key)
    connection.execute(statement, sorted(rows, key=lambda row: [row[name] for name in key]))


def _insert(connection: sa.Connection, table: sa.Table) -> t.Any:
    """Return an insertion in the words of the database. Only its own are imported, which takes a tenth of a second."""
    if connection.dialect.name == "postgresql":
        from sqlalchemy.dialects import postgresql

        return postgresql.insert(table)
    from sqlalchemy.dialects import sqlite

    return sqlite.insert(table)


def parts(values: t.Sequence[T]) -> t.Iterator[t.Sequence[T]]:
    """Yield values in parts that fit into a statement."""
    for start in range(0, len(values), _MOST_VALUES):
        yield values[start : start + _MOST_VALUES]


def among(connection: sa.Connection, column: sa.ColumnElement[int], values: t.Iterable[int]) -> sa.ColumnElement[bool]:
    """Return the condition that a column has one of some numbers: one statement, however many there are."""
    if connection.dialect.name == "postgresql":
        return column == sa.any_(sa.literal(list(values), sa.ARRAY(sa.BigInteger)))
    given = sa.func.json_each(json.dumps(list(values))).table_valued("value")
    return column.in_(sa.select(given.c.value))


def limited(statement: sa.Select[t.Any], limit: int | None, offset: int) -> sa.Select[t.Any]:
    """Return the statement for so many rows at most, after leaving some out."""
    # SQLite has no OFFSET without a LIMIT.
    return statement.limit(_NO_LIMIT if limit is None and offset else limit).offset(offset)


def lock(connection: sa.Connection, *names: str) -> None:
    """Let one transaction at a time work on what ``names`` stands for, until it ends.

    SQLite has one writer at a time as it is.
    """
    if connection.dialect.name == "postgresql":
        digest = hashlib.sha256("\0".join(names).encode()).digest()
        connection.execute(sa.select(sa.func.pg_advisory_xact_lock(int.from_bytes(digest[:8], "big", signed=True))))


def byte_length(column: sa.ColumnElement[str], dialect: str) -> sa.ColumnElement[int]:
    """Return how many bytes of UTF-8 a text has, as an expression."""
    if dialect == "postgresql":
        return sa.func.octet_length(column)
    return sa.func.length(sa.cast(column, sa.LargeBinary))
