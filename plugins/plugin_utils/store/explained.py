# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What explains changes: a table of its own, for "which package explained what, when" is asked over all hosts and runs.

Coverage entries carry it on their way in and out; what the coverage table keeps of an entry is the rest.
"""

from __future__ import annotations

import collections
import contextlib
import json
import typing as t

from ansible_collections.bulwark.servers.plugins.plugin_utils.store import patterns, sql
from ansible_collections.bulwark.servers.plugins.plugin_utils.store.model import Explanation
from ansible_collections.bulwark.servers.plugins.plugin_utils.store.schema import tables

with contextlib.suppress(ImportError):  # Store.open says what is missing
    import sqlalchemy as sa

# Run, host and capability of a coverage.
Key = tuple[str, str, str]
Entry = dict[str, t.Any]

# As coverage entries were before changes could be explained.
_PLAIN: t.Mapping[str, t.Any] = {"explained_count": 0, "explained": [], "note": None}


def insert(
    connection: sa.Connection, run_id: str, host: str, covered: t.Mapping[str, t.Sequence[t.Mapping[str, t.Any]]]
) -> None:
    """Write what explains the changes of a host's coverage entries, by capability."""
    rows = [
        {
            "run_id": run_id,
            "host": host,
            "capability": capability,
            "position": position,
            "scope": scope,
            "by": explanation["by"],
            "count": explanation["count"],
            "examples": json.dumps(explanation["examples"], ensure_ascii=False),
        }
        for capability, entries in covered.items()
        for position, (scope, explanation) in enumerate(
            (entry["scope"], explanation) for entry in entries for explanation in entry["explained"]
        )
    ]
    if rows:
        connection.execute(tables().explained.insert(), rows)


def remove(connection: sa.Connection, run_id: str, host: str, capabilities: t.Sequence[str]) -> None:
    """Remove what explained the changes of a host's coverage in a run."""
    connection.execute(tables().explained.delete().where(*_is(run_id, host, capabilities)))


def without(entries: t.Sequence[t.Mapping[str, t.Any]]) -> list[Entry]:
    """Return coverage entries as the coverage table keeps them."""
    return [{name: value for name, value in entry.items() if name != "explained"} for entry in entries]


def by_key(
    connection: sa.Connection, narrowed: t.Callable[[sa.Select[t.Any]], sa.Select[t.Any]]
) -> dict[Key, list[sa.RowMapping]]:
    """Return the explanations of the coverage to which a function narrows a statement, in their order."""
    table, covered = tables().explained, tables().coverage
    statement = narrowed(sa.select(table).select_from(covered).join(table, _same(covered))).order_by(table.c.position)
    found: dict[Key, list[sa.RowMapping]] = collections.defaultdict(list)
    for row in connection.execute(statement).mappings():
        found[row["run_id"], row["host"], row["capability"]].append(row)
    return found


def of_host(
    connection: sa.Connection, run_id: str, host: str, capabilities: t.Sequence[str]
) -> dict[str, list[sa.RowMapping]]:
    """Return the explanations of a host's coverage in a run by capability, in their order."""
    table = tables().explained
    statement = sa.select(table).where(*_is(run_id, host, capabilities)).order_by(table.c.position)
    found: dict[str, list[sa.RowMapping]] = collections.defaultdict(list)
    for row in connection.execute(statement).mappings():
        found[row["capability"]].append(row)
    return found


def joined(entries: t.Sequence[Entry], rows: t.Iterable[sa.RowMapping]) -> list[Entry]:
    """Return coverage entries with what explains their changes."""
    complete = [{**_PLAIN, **entry, "explained": []} for entry in entries]
    first = {entry["scope"]: entry for entry in reversed(complete)}
    for row in rows:
        explanation = {"by": row["by"], "count": row["count"], "examples": json.loads(row["examples"])}
        first[row["scope"]]["explained"].append(explanation)
    return complete


def conditions(
    dialect: str,
    by: t.Sequence[str],
    hosts: t.Sequence[str],
    capabilities: t.Sequence[str],
    run_id: str | None,
    since: float | None,
    until: float | None,
) -> list[sa.ColumnElement[bool]]:
    """Return the conditions of ``search``; what is empty or None doesn't limit."""
    table, recorded = tables().explained.c, tables().coverage.c.recorded
    found = [
        patterns.any_of(column, names, dialect) for column, names in ((table.by, by), (table.host, hosts)) if names
    ]
    if capabilities:
        found.append(table.capability.in_(capabilities))
    if run_id is not None:
        found.append(table.run_id == run_id)
    if since is not None:
        found.append(recorded >= since)
    if until is not None:
        found.append(recorded <= until)
    return found


def search(
    connection: sa.Connection, conditions: t.Sequence[sa.ColumnElement[bool]], limit: int | None, offset: int
) -> list[Explanation]:
    """Return the explanations that meet conditions on the tables of explanations and coverage, the newest first."""
    table, covered = tables().explained, tables().coverage
    statement = (
        sa.select(table, covered.c.recorded.label("at"))
        .join(covered, _same(covered))
        .where(*conditions)
        .order_by(covered.c.recorded.desc(), table.c.host, table.c.capability, table.c.position)
    )
    names = ("run_id", "host", "capability", "scope", "count")
    return [
        Explanation(
            time=row["at"],
            explained_by=row["by"],
            examples=tuple(json.loads(row["examples"])),
            **{name: row[name] for name in names},
        )
        for row in connection.execute(sql.limited(statement, limit, offset)).mappings()
    ]


def _same(covered: sa.Table) -> sa.ColumnElement[bool]:
    columns = tables().explained.c
    return (
        (columns.run_id == covered.c.run_id)
        & (columns.host == covered.c.host)
        & (columns.capability == covered.c.capability)
    )


def _is(run_id: str, host: str, capabilities: t.Sequence[str]) -> tuple[sa.ColumnElement[bool], ...]:
    columns = tables().explained.c
    return columns.run_id == run_id, columns.host == host, columns.capability.in_(capabilities)
