# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The part of the store that is about simulated attacks."""

from __future__ import annotations

import typing as t

from ansible_collections.bulwark.servers.plugins.plugin_utils.store import patterns, simulations
from ansible_collections.bulwark.servers.plugins.plugin_utils.store.database import Database
from ansible_collections.bulwark.servers.plugins.plugin_utils.store.schema import tables
from ansible_collections.bulwark.servers.plugins.plugin_utils.store.simulation_model import SimulatedSession, Simulation


class SimulationStore:
    """The methods of ``Store`` about simulated attacks; ``Store`` says how to use it."""

    _database: Database

    def start_simulation(self, host: str, alerts: t.Sequence[str], *, by: str, now: float) -> str:
        """Store a simulation of attacks on a host before it begins, and return its id."""
        return self._database.write(lambda c: simulations.start(c, host, alerts, by, now))

    def end_simulation(self, identity: str, sessions: t.Sequence[SimulatedSession], *, now: float) -> None:
        """Store the sessions of a simulation that ended.

        A finding belongs to the simulation if all of its events happened in them. It is recorded as resolved.
        """
        self._database.write(lambda c: simulations.end(c, identity, sessions, now))

    def simulations_of(self, host: str, *, since: float = 0.0) -> list[Simulation]:
        """Return the newest simulations of a host that ended, the newest first, without the numbers of findings."""
        return self._database.read(lambda c: simulations.of_host(c, host, since))

    def simulations(self, hosts: t.Sequence[str] = (), limit: int | None = None, offset: int = 0) -> list[Simulation]:
        """Return simulations, the newest first. hosts: names, or patterns with ``*`` and ``?``; empty for all."""

        def conditions(dialect: str) -> list[t.Any]:
            return [patterns.any_of(tables().simulations.c.host, hosts, dialect)] if hosts else []

        return self._database.read(lambda c: simulations.list_all(c, conditions(c.dialect.name), limit, offset))
