# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Detect the products of a host by packages, units, processes, sockets and files, which are read once for all."""

from __future__ import annotations

import os
import stat
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils.edr import installed, processes, units
from ansible_collections.bulwark.servers.plugins.module_utils.edr.entry import Entry
from ansible_collections.bulwark.servers.plugins.module_utils.edr.system_state import Pretender, Seen

# The subject of a package database that can't be read.
PACKAGES = "packages"


class Discovery(t.NamedTuple):
    """seen: the products that are there, by id. problems: (subject, reason) of what could not be read."""

    seen: t.Mapping[str, Seen]
    pretenders: t.Sequence[Pretender]
    problems: t.Sequence[tuple[str, str]]


def discover(entries: t.Sequence[Entry]) -> Discovery:
    """Return the products that this host has."""
    problems = []
    names = {name for entry in entries for name in entry.packages}
    versions, database_problems = installed.versions(names)
    problems += [(PACKAGES, problem) for problem in database_problems]
    by_product = processes.find(entries)
    unit_names = sorted({name for entry in entries for name in entry.units})
    known_units = {unit.name: unit for unit in units.look(unit_names)}
    seen = {}
    for entry in entries:
        hidden = any(processes.may_be(entry, name) for name in by_product.hidden)
        product = Seen(
            packages={name: versions[name] for name in entry.packages if name in versions},
            units=[known_units[name] for name in entry.units if name in known_units],
            processes=by_product.by_product.get(entry.id, ()),
            sockets=[path for path in entry.sockets if _is(path, stat.S_ISSOCK)],
            paths=_paths(entry),
            processes_known=not hidden,
        )
        if product.is_there:
            seen[entry.id] = product
            if product.is_running is None and entry.programs:
                problems.append(
                    (entry.id, "whether it runs is not known, as programs of processes can't be read without root")
                )
        elif product.sockets:
            # It is stale if the package was removed, and the only sign of a daemon at another path.
            problems.append((entry.id, "its socket %s is there, but nothing else of it is" % product.sockets[0]))
    return Discovery(seen, by_product.pretenders, problems)


def _paths(entry: Entry) -> list[str]:
    """Return the existing files of a product: those that show it, its programs and its commands."""
    programs = [path for path in entry.programs if not any(char in path for char in "*?[")]
    commands = [path for command in entry.commands for path in command.programs]
    return [path for path in dict.fromkeys((*entry.paths, *programs, *commands)) if _is(path, stat.S_ISREG)]


def _is(path: str, kind: t.Callable[[int], bool]) -> bool:
    try:
        return kind(os.stat(path).st_mode)
    except OSError:
        return False
