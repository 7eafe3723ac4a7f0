# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Patterns that people write: ``*`` stands for any text, ``?`` for one character, everything else for itself."""

from __future__ import annotations

import contextlib
import re
import typing as t

with contextlib.suppress(ImportError):  # Store.open says what is missing
    import sqlalchemy as sa

_WILDCARDS = re.compile(r"([*?])")


def matches(pattern: str, text: str) -> bool:
    """Return whether the whole text fits the pattern."""
    expression = "".join({"*": ".*", "?": "."}.get(part, re.escape(part)) for part in _WILDCARDS.split(pattern))
    return re.fullmatch(expression, text, re.DOTALL) is not None


def condition(column: sa.Column[str], pattern: str, dialect: str) -> sa.ColumnElement[bool]:
    """Return the same as an SQL condition, which an index serves where the pattern has no wildcard."""
    if not _WILDCARDS.search(pattern):
        return column == pattern
    if dialect == "sqlite":
        # LIKE takes capitals for small letters there; GLOB doesn't, and knows [ as a third wildcard.
        return column.op("GLOB", is_comparison=True)(pattern.replace("[", "[[]"))
    escaped = re.sub(r"([\\%_])", r"\\\1", pattern).replace("*", "%").replace("?", "_")
    return column.like(escaped, escape="\\")


def any_of(column: sa.Column[str], patterns: t.Sequence[str], dialect: str) -> sa.ColumnElement[bool]:
    """Return the condition that the column fits one of the patterns."""
    exact = [pattern for pattern in patterns if not _WILDCARDS.search(pattern)]
    wild = [condition(column, pattern, dialect) for pattern in patterns if pattern not in exact]
    return sa.or_(column.in_(exact), *wild) if exact else sa.or_(*wild)
