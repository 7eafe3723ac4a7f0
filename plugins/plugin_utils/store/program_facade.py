# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The part of the store that is about programs."""

from __future__ import annotations

import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils._program import Program
from ansible_collections.bulwark.servers.plugins.plugin_utils.store import program_query
from ansible_collections.bulwark.servers.plugins.plugin_utils.store.database import Database
from ansible_collections.bulwark.servers.plugins.plugin_utils.store.fleet import Fleet
from ansible_collections.bulwark.servers.plugins.plugin_utils.store.program_model import (
    HostSighting,
    HostsWith,
    ProgramHost,
    ProgramQuery,
)


class ProgramStore:
    """The methods of ``Store`` about programs; ``Store`` says how to use it."""

    _database: Database

    def fleet(self, hosts: t.Sequence[str] | None = None) -> Fleet:
        """Return all that is known of the programs of hosts, or of these by name; every host has one entry."""
        return self._database.read(lambda c: program_query.fleet(c, hosts))

    def programs(self, wanted: ProgramQuery | None = None) -> list[HostSighting]:
        """Return the programs of hosts, by host, image, path and time."""
        return self._database.read(lambda c: program_query.programs(c, wanted or ProgramQuery()))

    def programs_of_role(self, role: str, since: float) -> list[Program]:
        """Return the programs that hosts with an allowlist of this name ran at or after a time."""
        return self._database.read(lambda c: program_query.of_role(c, role, since))

    def program_hosts(self) -> list[ProgramHost]:
        """Return what is known of each host as a whole, by name."""
        return self._database.read(program_query.hosts)

    def hosts_with(self, digests: t.Sequence[str] = (), paths: t.Sequence[str] = ()) -> HostsWith:
        """Return which hosts have programs with these digests, or at these paths."""
        return self._database.read(lambda c: program_query.hosts_with(c, digests, paths))
