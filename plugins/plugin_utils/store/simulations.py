# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Simulated attacks: noted before a host is asked for one, so that none is unknown, with their sessions afterwards."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import typing as t
import uuid

from ansible_collections.bulwark.servers.plugins.plugin_utils.store import sql
from ansible_collections.bulwark.servers.plugins.plugin_utils.store.errors import StoreError
from ansible_collections.bulwark.servers.plugins.plugin_utils.store.events import Observation
from ansible_collections.bulwark.servers.plugins.plugin_utils.store.schema import tables
from ansible_collections.bulwark.servers.plugins.plugin_utils.store.simulation_model import SimulatedSession, Simulation

with contextlib.suppress(ImportError):  # Store.open says what is missing
    import sqlalchemy as sa

# The newest simulations of a host that a scan sends to it.
_MOST = 20
# More than all alerts with several steps each can have in one simulation.
SESSIONS_LIMIT = 5_000


def start(connection: sa.Connection, host: str, alerts: t.Sequence[str], by: str, now: float) -> str:
    """Store a simulation before it begins, and return its id."""
    identity = str(uuid.uuid4())
    row = {"id": identity, "host": host, "started": now, "ended": None, "by": by}
    texts = {"alerts": json.dumps(list(alerts)), "sessions": "[]"}
    connection.execute(tables().simulations.insert().values(**row, **texts))
    return identity


def end(connection: sa.Connection, identity: str, sessions: t.Sequence[SimulatedSession], now: float) -> None:
    """Store the sessions of a simulation that ended. Raises StoreError."""
    if len(sessions) > SESSIONS_LIMIT:
        raise StoreError(f"a simulation has {len(sessions)} sessions; at most {SESSIONS_LIMIT} are stored")
    table = tables().simulations
    noted = table.c.ended.is_(None) & (table.c.id == identity)
    values = {"ended": now, "sessions": json.dumps(sessions, separators=(",", ":"))}
    if not connection.execute(table.update().where(noted).values(**values)).rowcount:
        raise StoreError(f"the store has no simulation {identity} that has not ended")


def of_host(connection: sa.Connection, host: str, since: float) -> list[Simulation]:
    """Return the newest simulations of a host that ended, the newest first; none that started before a time."""
    table = tables().simulations
    query = sa.select(table).where(table.c.host == host, table.c.started >= since, table.c.ended.is_not(None))
    rows = connection.execute(query.order_by(table.c.started.desc(), table.c.id).limit(_MOST)).mappings()
    return [_simulation(row, 0) for row in rows]


def list_all(
    connection: sa.Connection, hosts: t.Sequence[sa.ColumnElement[bool]], limit: int | None, offset: int
) -> list[Simulation]:
    """Return simulations with the numbers of their findings, the newest first. hosts: conditions."""
    table, finding = tables().simulations, tables().findings.c
    numbers = (
        sa.select(finding.simulation, sa.func.count().label("number"))
        .where(finding.simulation.is_not(None))
        .group_by(finding.simulation)
        .subquery()
    )
    query = (
        sa.select(table, sa.func.coalesce(numbers.c.number, 0).label("number"))
        .outerjoin(numbers, numbers.c.simulation == table.c.id)
        .where(*hosts)
        .order_by(table.c.started.desc(), table.c.id)
    )
    rows = connection.execute(sql.limited(query, limit, offset)).mappings()
    return [_simulation(row, row["number"]) for row in rows]


def judged(
    connection: sa.Connection, host: str, observed: dict[str, Observation], is_reported: bool
) -> tuple[dict[str, Observation], dict[str, Simulation]]:
    """Return the findings of a host, as real ones unless a recorded simulation covers them, and these simulations.

    The simulation in a host's finding is only a claim of that host. is_reported: another host reports the findings,
    which cannot know the sessions of this host's kernel.
    """
    if is_reported:
        return {uid: dataclasses.replace(seen, simulation=None) for uid, seen in observed.items()}, {}
    claimed = {seen.simulation for seen in observed.values() if seen.simulation is not None}
    if not claimed:
        return observed, {}
    known = {each.id: each for each in of_host(connection, host, 0.0) if each.id in claimed}
    real = {
        uid: seen if _is_covered(seen, known) else dataclasses.replace(seen, simulation=None)
        for uid, seen in observed.items()
    }
    return real, known


def _is_covered(seen: Observation, known: t.Mapping[str, Simulation]) -> bool:
    simulation = known.get(seen.simulation or "")
    return simulation is not None and simulation.covers(seen.alert, seen.began, seen.occurred)


def prune(connection: sa.Connection, before: float) -> None:
    """Remove simulations without findings that started before a time."""
    table, finding = tables().simulations, tables().findings.c
    used = sa.exists().where(finding.simulation == table.c.id)
    connection.execute(table.delete().where(table.c.started < before, ~used))


def _simulation(row: t.Mapping[t.Any, t.Any], findings: int) -> Simulation:
    sessions = (
        SimulatedSession(number, account, begin, end, tuple(alerts))
        for number, account, begin, end, alerts in json.loads(row["sessions"])
    )
    return Simulation(
        **{name: row[name] for name in ("id", "host", "started", "ended", "by")},
        alerts=tuple(json.loads(row["alerts"])),
        sessions=tuple(sessions),
        findings=findings,
    )
