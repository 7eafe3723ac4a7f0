# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Say which list an entry belongs to: the base of a distribution, or roles."""

from __future__ import annotations

import dataclasses
import typing as t

from ansible_collections.bulwark.servers.plugins.plugin_utils.app_control.bundles import BASE
from ansible_collections.bulwark.servers.plugins.plugin_utils.app_control.roles import Grouping
from ansible_collections.bulwark.servers.plugins.plugin_utils.app_control.table import Table

# A role has what so many of its hosts run, unless about as many others do.
_MOST = 0.5
_ALSO_ELSEWHERE = 0.3
# If fewer of the hosts have none of these roles, it says nothing that they lack it.
_OTHERS = 0.1
_WITHIN = 0.8


@dataclasses.dataclass
class Listed:
    """A list that is recommended. entries: by index in the table, the hosts of this list that ran something of it.

    hosts, learned: all of them, and those that were observed for long enough, as sets of bits.
    """

    name: str
    distribution: str
    hosts: int
    learned: int
    entries: dict[int, int] = dataclasses.field(default_factory=dict)

    def add(self, entry: int, hosts: int) -> None:
        """Add hosts that ran something of an entry."""
        if hosts:
            self.entries[entry] = self.entries.get(entry, 0) | hosts


def distribute(table: Table, grouping: Grouping, learned: int) -> tuple[list[Listed], list[Listed]]:
    """Return the lists of the bases and those of the roles, with their entries."""
    bases = [Listed(name, name, hosts, hosts & learned) for name, hosts in grouping.distributions.items()]
    roles = [Listed(group.name, "", group.hosts, group.hosts & learned) for group in grouping.groups]
    learned_here = [[role.learned & base.hosts for role in roles] for base in bases]
    for number, entry in enumerate(table.entries):
        mask = entry.mask()
        for base, here in zip(bases, learned_here, strict=True):
            if mask & base.hosts:
                _put(number, mask & base.hosts, base, roles, here)
    return bases, roles


def _put(entry: int, mask: int, base: Listed, roles: t.Sequence[Listed], learned: t.Sequence[int]) -> None:
    """Put an entry onto the lists of one distribution. learned: of each role, the hosts of this distribution."""
    if _share(mask, base.learned) >= BASE:
        base.add(entry, mask)
        return
    typical = [
        role
        for role, here in zip(roles, learned, strict=True)
        if here and (mask & here).bit_count() >= _MOST * here.bit_count()
    ]
    inside = 0
    for role in typical:
        inside |= role.hosts
    others = base.learned & ~inside
    is_everywhere = _share(others, base.learned) < _OTHERS or _share(mask, others) >= _ALSO_ELSEWHERE
    if typical and is_everywhere and len(typical) > 1:
        base.add(entry, mask)
        return
    for role in typical:
        role.add(entry, mask & role.hosts)
    rest = mask & ~inside
    if not rest:
        return
    only = max(roles, key=lambda role: (rest & role.hosts).bit_count(), default=base)
    if _share(only.hosts, rest) >= _WITHIN:
        only.add(entry, rest & only.hosts)
        rest &= ~only.hosts
    base.add(entry, rest)


def _share(mask: int, hosts: int) -> float:
    return (mask & hosts).bit_count() / hosts.bit_count() if hosts else 0.0
