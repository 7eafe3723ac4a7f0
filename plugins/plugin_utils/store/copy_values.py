# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Values that one database holds and the other refuses, found before they are sent, so that the row can be named.

SQLite takes any type in any column, integers of 64 bits, and NUL characters in text. PostgreSQL takes none of these
(https://www.sqlite.org/datatype3.html, https://www.postgresql.org/docs/current/datatype.html).
"""

from __future__ import annotations

import contextlib
import typing as t

from ansible_collections.bulwark.servers.plugins.plugin_utils.store.errors import StoreError

with contextlib.suppress(ImportError):  # Store.open says what is missing
    import sqlalchemy as sa

# Return what is wrong with a value, None when nothing is.
_Complaint = t.Callable[[t.Any], str | None]


class Check:
    """The columns of a table with what a database takes in each."""

    def __init__(self, table: sa.Table, dialect: str, source: str) -> None:
        self._table, self._source = table, source
        self._columns = [(column.name, _complaint(column, dialect)) for column in table.columns]

    def raise_for(self, row: sa.Row[t.Any]) -> None:
        """Raise StoreError with the first value of a row that the database does not take."""
        for (name, complain), value in zip(self._columns, row, strict=True):
            problem = None if value is None else complain(value)
            if problem:
                raise StoreError(self._message(row, name, problem))

    def _message(self, row: sa.Row[t.Any], column: str, problem: str) -> str:
        key = ", ".join(f"{part.name}={row._mapping[part]!r}" for part in self._table.primary_key)
        return (
            f"the store {self._source} cannot be copied: in {self._table.name} where {key}, the column {column} "
            f"{problem}; correct or remove this row, and copy again"
        )


def _complaint(column: sa.Column[t.Any], dialect: str) -> _Complaint:
    if isinstance(column.type, sa.Text):
        return _complain_of_text if dialect == "postgresql" else _other_than(str)
    if isinstance(column.type, sa.Double):
        return _other_than(float)
    bits = 64 if isinstance(column.type, sa.BigInteger) or dialect != "postgresql" else 32
    limit = 2 ** (bits - 1)

    def complain(value: t.Any) -> str | None:
        if isinstance(value, bool) or not isinstance(value, int):
            return _other_type(value, int)
        return None if -limit <= value < limit else f"has a number of more than {bits} bits"

    return complain


def _complain_of_text(value: t.Any) -> str | None:
    if not isinstance(value, str):
        return _other_type(value, str)
    return "has a NUL character, which PostgreSQL refuses" if "\0" in value else None


def _other_than(wanted: type) -> _Complaint:
    return lambda value: None if isinstance(value, wanted) else _other_type(value, wanted)


def _other_type(value: t.Any, wanted: type) -> str:
    return f"has a value of type {type(value).__name__} in place of {wanted.__name__}"
