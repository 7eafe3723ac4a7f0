# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Write the results of one host into the tables of programs, with few statements."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils._program import Program, Sighting
from ansible_collections.bulwark.servers.plugins.plugin_utils.store import program_results, sql
from ansible_collections.bulwark.servers.plugins.plugin_utils.store.program_results import HostFacts
from ansible_collections.bulwark.servers.plugins.plugin_utils.store.schema import tables

with contextlib.suppress(ImportError):  # Store.open says what is missing
    import sqlalchemy as sa

# Values of one statement; SQLite takes 32,766, PostgreSQL 65,535.
_BATCH = 5_000
# Numbers of executions add up to this, and no further.
_COUNT_LIMIT = 2**62


class ProgramLog:
    """The part of a host's record that is about programs. It reads nothing of a host that reports none."""

    def __init__(self, connection: sa.Connection, host: str) -> None:
        self._connection, self._host = connection, host
        self._facts: tuple[str, HostFacts] | None = None
        self._taken: dict[Program, Sighting] = {}
        # Ids of programs that the store has, by digest.
        self._ids: dict[str, int] = {}
        self._new = 0

    def add(self, capability: str, facts: HostFacts, sightings: t.Sequence[Sighting]) -> int:
        """Take what a look saw since the one before; return how many programs there is no room for."""
        host_id, before = self._stored_host()
        self._facts = (capability, _joined(before, facts))
        digests = {program_results.digest(sighting.program): sighting for sighting in sightings}
        stored = self._stored(host_id, digests)
        room = program_results.SIGHTINGS_LIMIT - self._number(host_id) if sightings else 0
        dropped = 0
        for digest, sighting in digests.items():
            known = self._taken.get(sighting.program) or stored.get(digest)
            if known is not None:
                self._taken[sighting.program] = _added(known, sighting)
            elif room > self._new:
                self._taken[sighting.program] = sighting
                self._new += 1
            else:
                dropped += 1
        return dropped

    def write(self) -> None:
        """Write what was taken."""
        if self._facts is None:
            return
        host_id = self._write_host(*self._facts)
        ids = self._write_programs()
        rows = [_row(host_id, ids[program], sighting) for program, sighting in self._taken.items()]
        names = [column.name for column in tables().program_sightings.columns if not column.primary_key]
        sql.upsert(self._connection, tables().program_sightings, rows, update=names)

    def _stored_host(self) -> tuple[int | None, HostFacts | None]:
        if self._facts is not None:
            return self._host_id(), self._facts[1]
        columns = tables().program_hosts.c
        row = self._connection.execute(
            sa.select(tables().program_hosts).where(columns.host == self._host)
        ).one_or_none()
        if row is None:
            return None, None
        return row.id, HostFacts(
            row.distribution,
            row.since,
            row.until,
            row.days,
            tuple(json.loads(row.groups)),
            tuple(json.loads(row.roles)),
        )

    def _host_id(self) -> int | None:
        columns = tables().program_hosts.c
        return self._connection.execute(sa.select(columns.id).where(columns.host == self._host)).scalar_one_or_none()

    def _number(self, host_id: int | None) -> int:
        columns = tables().program_sightings.c
        query = sa.select(sa.func.count()).where(columns.host == host_id)
        return 0 if host_id is None else self._connection.execute(query).scalar_one()

    def _stored(self, host_id: int | None, digests: t.Mapping[str, Sighting]) -> dict[str, Sighting]:
        """Return the sightings of programs that the host has in the store, by digest, and note the programs' ids."""
        programs, seen = tables().programs, tables().program_sightings
        names = [column.name for column in seen.columns if not column.primary_key]
        # No host has this number; a search for none would read the sightings of all hosts.
        on = (seen.c.program == programs.c.id) & (seen.c.host == (-1 if host_id is None else host_id))
        stored = {}
        for batch in _batches(list(digests)):
            query = sa.select(programs.c.id, programs.c.digest, *(seen.c[name] for name in names))
            query = query.select_from(programs.outerjoin(seen, on)).where(programs.c.digest.in_(batch))
            for program_id, digest, first, *counts, users, parents in self._connection.execute(query):
                self._ids[digest] = program_id
                if first is not None:
                    lists = (tuple(json.loads(users)), tuple(json.loads(parents)))
                    stored[digest] = Sighting._make((digests[digest].program, first, *counts, *lists))
        return stored

    def _write_host(self, capability: str, facts: HostFacts) -> int:
        row = {
            "host": self._host,
            "capability": capability,
            "distribution": facts.distribution,
            "since": facts.since,
            "until": facts.until,
            "days": facts.days,
            "groups": _dumped(facts.groups),
            "roles": _dumped(facts.roles),
        }
        sql.upsert(self._connection, tables().program_hosts, [row], update=list(row), key=("host",))
        return t.cast("int", self._host_id())

    def _write_programs(self) -> dict[Program, int]:
        """Insert the programs that the store does not have; return the ids of all."""
        digests = {program_results.digest(program): program for program in self._taken}
        rows = [
            {**program._asdict(), "digest": digest, "writers": _dumped(program.writers)}
            for digest, program in digests.items()
            if digest not in self._ids
        ]
        sql.upsert(self._connection, tables().programs, rows, key=("digest",))
        columns = tables().programs.c
        for batch in _batches([str(row["digest"]) for row in rows]):
            query = sa.select(columns.digest, columns.id).where(columns.digest.in_(batch))
            self._ids.update((row.digest, row.id) for row in self._connection.execute(query))
        return {program: self._ids[digest] for digest, program in digests.items()}


def prune(connection: sa.Connection, before: float) -> None:
    """Remove programs that no host ran since a time, and hosts of which nothing else is known."""
    seen, hosts = tables().program_sightings, tables().program_hosts
    connection.execute(seen.delete().where(seen.c.last < before))
    has_programs = sa.exists().where(seen.c.host == hosts.c.id)
    connection.execute(hosts.delete().where(hosts.c.until < before, ~has_programs))
    remove_unseen(connection)


def remove_unseen(connection: sa.Connection) -> None:
    """Remove what is known of programs that no host has any more."""
    programs, seen = tables().programs, tables().program_sightings
    is_seen = sa.exists().where(seen.c.program == programs.c.id)
    connection.execute(programs.delete().where(~is_seen))


def _joined(before: HostFacts | None, facts: HostFacts) -> HostFacts:
    """Return what is known of a host after a look; a host whose memory was lost begins to count again.

    Without a day, executions were not observed at all, as without an audit log; then times say nothing.
    """
    observed = [each for each in (before, facts) if each is not None and each.days]
    if not observed:
        return facts
    return dataclasses.replace(
        facts,
        since=min(each.since for each in observed),
        until=max(each.until for each in observed),
        days=max(each.days for each in observed),
    )


def _added(stored: Sighting, sighting: Sighting) -> Sighting:
    """Return the sum of two sightings; the day that both of them saw counts once."""
    return Sighting(
        program=stored.program,
        first=min(stored.first, sighting.first),
        last=max(stored.last, sighting.last),
        days=stored.days + min(sighting.days, max(0, sighting.last_day - stored.last_day)),
        last_day=max(stored.last_day, sighting.last_day),
        executions=min(stored.executions + sighting.executions, _COUNT_LIMIT),
        explained=min(stored.explained + sighting.explained, _COUNT_LIMIT),
        users=_newest(sighting.users, stored.users),
        parents=_newest(sighting.parents, stored.parents),
    )


def _newest(names: t.Sequence[str], before: t.Sequence[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys((*names, *before)))[: program_results.NAMES_LIMIT]


def _row(host_id: int, program_id: int, sighting: Sighting) -> dict[str, t.Any]:
    lists = {"users": _dumped(sighting.users), "parents": _dumped(sighting.parents)}
    fields = {name: value for name, value in sighting._asdict().items() if name != "program"}
    return {**fields, **lists, "host": host_id, "program": program_id}


def _batches(items: t.Sequence[str]) -> t.Iterator[t.Sequence[str]]:
    for start in range(0, len(items), _BATCH):
        yield items[start : start + _BATCH]


def _dumped(items: t.Sequence[str]) -> str:
    return json.dumps(items, ensure_ascii=False, separators=(",", ":"))
