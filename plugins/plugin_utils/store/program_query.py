# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read what the store has of programs."""

from __future__ import annotations

import contextlib
import json
import typing as t
from array import array

from ansible_collections.bulwark.servers.plugins.module_utils._program import Program, Sighting
from ansible_collections.bulwark.servers.plugins.plugin_utils.store import patterns, program_results, sql
from ansible_collections.bulwark.servers.plugins.plugin_utils.store.fleet import Fleet, HostPrograms
from ansible_collections.bulwark.servers.plugins.plugin_utils.store.program_model import (
    HostSighting,
    HostsWith,
    ProgramHost,
    ProgramQuery,
)
from ansible_collections.bulwark.servers.plugins.plugin_utils.store.schema import tables

with contextlib.suppress(ImportError):  # Store.open says what is missing
    import sqlalchemy as sa

# Rows that are in memory as such at once.
_BATCH = 20_000
_VALUES = 5_000
# Names of hosts that are returned of each digest or path; how many there are is exact.
_HOSTS_LIMIT = 20

_HOSTS_ONLY = t.Sequence[str] | None


def fleet(connection: sa.Connection, hosts: _HOSTS_ONLY) -> Fleet:
    """Return everything about programs, of all hosts or of these, in columns."""
    programs, positions = _programs(connection, hosts)
    columns = _columns(connection, hosts, positions)
    described = connection.execute(_of_hosts(sa.select(tables().program_hosts), hosts)).all()
    return Fleet(
        programs=programs,
        hosts=[
            HostPrograms(
                name=row.host,
                distribution=row.distribution,
                since=row.since,
                until=row.until,
                days=row.days,
                groups=tuple(json.loads(row.groups)),
                roles=tuple(json.loads(row.roles)),
                **(columns.get(row.id) or _Columns()).arrays(),
            )
            for row in sorted(described, key=lambda row: row.host)
        ],
    )


def programs(connection: sa.Connection, wanted: ProgramQuery) -> list[HostSighting]:
    """Return sightings, by host, image, path and time."""
    if wanted.programs is None:
        return _sightings(connection, wanted, None)
    digests = [program_results.digest(program) for program in wanted.programs]
    batches = (digests[start : start + _VALUES] for start in range(0, len(digests), _VALUES))
    return [sighting for batch in batches for sighting in _sightings(connection, wanted, batch)]


def _sightings(connection: sa.Connection, wanted: ProgramQuery, facts: t.Sequence[str] | None) -> list[HostSighting]:
    """Return sightings. facts: the digests of all that is known of a program, None for any."""
    about, named, seen = tables().programs, tables().program_hosts, tables().program_sightings
    dialect = connection.dialect.name
    query = sa.select(named.c.host.label("name"), *_facts(), *_counts(), seen.c.users, seen.c.parents)
    query = query.select_from(seen.join(about, about.c.id == seen.c.program).join(named, named.c.id == seen.c.host))
    for column, given in (
        (named.c.host, wanted.hosts),
        (about.c.path, wanted.paths),
        (about.c.package, wanted.packages),
    ):
        if given:
            query = query.where(patterns.any_of(column, given, dialect))
    if facts is not None:
        query = query.where(about.c.digest.in_(facts))
    if wanted.digests:
        query = query.where(about.c.sha256.in_(wanted.digests))
    if wanted.kinds:
        query = query.where(about.c.kind.in_(wanted.kinds))
    if wanted.since is not None:
        query = query.where(seen.c.last >= wanted.since)
    if wanted.newest is not None:
        position = sa.func.row_number().over(partition_by=about.c.id, order_by=(seen.c.last.desc(), named.c.host))
        ranked = query.add_columns(position.label("position")).subquery()
        query = sa.select(*(column for column in ranked.c if column.name != "position"))
        query = query.where(ranked.c.position <= wanted.newest)
        query = query.order_by(ranked.c.name, ranked.c.image, ranked.c.path, ranked.c.last)
    else:
        query = query.order_by(named.c.host, about.c.image, about.c.path, seen.c.last, about.c.id)
    rows = connection.execute(sql.limited(query, wanted.limit, wanted.offset))
    return [HostSighting(name, _sighting(row)) for name, *row in rows]


def of_role(connection: sa.Connection, role: str, since: float) -> list[Program]:
    """Return the programs that hosts ran since a time which had an allowlist of this name in their newest look."""
    about, named, seen = tables().programs, tables().program_hosts, tables().program_sightings
    has_role = patterns.condition(named.c.roles, f"*{json.dumps(role, ensure_ascii=False)}*", connection.dialect.name)
    hosts_with_role = sa.select(named.c.id).where(has_role)
    run = sa.select(seen.c.program).where(seen.c.host.in_(hosts_with_role), seen.c.last >= since)
    return [_program(row) for row in connection.execute(sa.select(*_facts()).where(about.c.id.in_(run)))]


def hosts(connection: sa.Connection) -> list[ProgramHost]:
    """Return what is known of each host as a whole, by name."""
    columns = tables().program_hosts.c
    query = sa.select(columns.host, columns.distribution, columns.since, columns.until, columns.days, columns.roles)
    return [
        ProgramHost(*(*row, tuple(json.loads(roles))))
        for *row, roles in connection.execute(query.order_by(columns.host))
    ]


def hosts_with(connection: sa.Connection, digests: t.Sequence[str], paths: t.Sequence[str]) -> HostsWith:
    """Return which hosts have programs with these digests or at these paths."""
    columns = tables().programs.c
    return HostsWith(
        by_digest=_hosts_by(connection, columns.sha256, [digest for digest in digests if digest]),
        by_path=_hosts_by(connection, columns.path, paths),
    )


def _hosts_by(
    connection: sa.Connection, column: sa.Column[str], values: t.Sequence[str]
) -> dict[str, tuple[int, tuple[str, ...]]]:
    about, named, seen = tables().programs, tables().program_hosts, tables().program_sightings
    by_value: dict[str, tuple[int, list[str]]] = {}
    for start in range(0, len(values), _VALUES):
        pairs = sa.select(column.label("value"), named.c.host).distinct()
        pairs = pairs.select_from(seen.join(about, about.c.id == seen.c.program).join(named, named.c.id == seen.c.host))
        each = pairs.where(column.in_(values[start : start + _VALUES])).subquery()
        position = sa.func.row_number().over(partition_by=each.c.value, order_by=each.c.host).label("position")
        number = sa.func.count().over(partition_by=each.c.value).label("number")
        ranked = sa.select(each.c.value, each.c.host, position, number).subquery()
        query = sa.select(ranked).where(ranked.c.position <= _HOSTS_LIMIT).order_by(ranked.c.value, ranked.c.position)
        for row in connection.execute(query):
            by_value.setdefault(row.value, (row.number, []))[1].append(row.host)
    return {value: (number, tuple(names)) for value, (number, names) in by_value.items()}


def _programs(connection: sa.Connection, only: _HOSTS_ONLY) -> tuple[list[Program], array[int]]:
    """Return programs in an order of their own, and by id the position of each."""
    about, seen, named = tables().programs, tables().program_sightings, tables().program_hosts
    query = sa.select(about.c.id, *_facts())
    if only is not None:
        joined = seen.join(named, named.c.id == seen.c.host)
        query = query.where(about.c.id.in_(_of_hosts(sa.select(seen.c.program).select_from(joined), only)))
    rows = sorted((_program(row), program_id) for program_id, *row in connection.execute(query))
    positions = array("I", bytes(4 * (max((program_id for _program, program_id in rows), default=0) + 1)))
    for position, (_row, program_id) in enumerate(rows):
        positions[program_id] = position
    return [program for program, _id in rows], positions


class _Columns:
    """The columns of one host."""

    def __init__(self) -> None:
        self.programs, self.first, self.last = array("I"), array("d"), array("d")
        self.days, self.executions = array("H"), array("Q")

    def arrays(self) -> dict[str, t.Any]:
        return {
            "programs": self.programs,
            "first": self.first,
            "last": self.last,
            "days_seen": self.days,
            "executions": self.executions,
        }


def _columns(connection: sa.Connection, only: _HOSTS_ONLY, positions: array[int]) -> dict[int, _Columns]:
    """Return the columns of each host by its id."""
    seen, named = tables().program_sightings.c, tables().program_hosts
    query = sa.select(seen.host, seen.program, seen.first, seen.last, seen.days, seen.executions)
    if only is not None:
        query = query.where(seen.host.in_(_of_hosts(sa.select(named.c.id), only)))
    columns: dict[int, _Columns] = {}
    rows = connection.execute(query.order_by(seen.host, seen.program), execution_options={"yield_per": _BATCH})
    for batch in rows.partitions():
        host_ids, programs, first, last, days, executions = zip(*batch, strict=True)
        start = 0
        while start < len(host_ids):
            end = _end(host_ids, start)
            host = columns.setdefault(host_ids[start], _Columns())
            host.programs.extend(map(positions.__getitem__, programs[start:end]))
            host.first.extend(first[start:end])
            host.last.extend(last[start:end])
            host.days.extend(min(number, 0xFFFF) for number in days[start:end])
            host.executions.extend(executions[start:end])
            start = end
    return columns


def _end(host_ids: t.Sequence[int], start: int) -> int:
    """Return where the rows of the host end that begin at a position."""
    end = start
    while end < len(host_ids) and host_ids[end] == host_ids[start]:
        end += 1
    return end


def _of_hosts(query: sa.Select[t.Any], only: _HOSTS_ONLY) -> sa.Select[t.Any]:
    return query if only is None else query.where(tables().program_hosts.c.host.in_(only))


def _facts() -> list[sa.Column[t.Any]]:
    return [tables().programs.c[name] for name in Program._fields]


def _counts() -> list[sa.Column[t.Any]]:
    columns = tables().program_sightings.c
    return [columns[name] for name in ("first", "last", "days", "last_day", "executions", "explained")]


def _program(row: t.Sequence[t.Any]) -> Program:
    *facts, writers = row
    return Program._make((*facts, tuple(json.loads(writers))))


def _sighting(row: t.Sequence[t.Any]) -> Sighting:
    size = len(Program._fields)
    *counts, users, parents = row[size:]
    return Sighting._make((_program(row[:size]), *counts, tuple(json.loads(users)), tuple(json.loads(parents))))
