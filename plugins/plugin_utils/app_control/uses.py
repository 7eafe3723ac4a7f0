# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The facts that reasons are made of: how the hosts of a list use its entries."""

from __future__ import annotations

import dataclasses
import itertools
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils import _program
from ansible_collections.bulwark.servers.plugins.plugin_utils.app_control import odd
from ansible_collections.bulwark.servers.plugins.plugin_utils.app_control.listed import Listed
from ansible_collections.bulwark.servers.plugins.plugin_utils.app_control.options import OpenFinding, Options
from ansible_collections.bulwark.servers.plugins.plugin_utils.app_control.risky import RiskyPrograms
from ansible_collections.bulwark.servers.plugins.plugin_utils.app_control.table import (
    Entry,
    Table,
    flags,
    members,
)


class Case:
    """The input of the judge for all lists. feature_of: by entry, the index of its feature.

    findings: those that are open, by host.
    """

    def __init__(
        self,
        table: Table,
        options: Options,
        risky: RiskyPrograms,
        findings: t.Iterable[OpenFinding],
        feature_of: t.Mapping[int, int],
        distributions: t.Mapping[str, int],
    ) -> None:
        self.table = table
        self.options = options
        self.risky = risky
        self.feature_of = feature_of
        self.odd = odd.find(table)
        self.findings: dict[str, list[OpenFinding]] = {}
        for finding in findings:
            self.findings.setdefault(finding.host, []).append(finding)
        self.distributions = tuple(distributions.values())
        self._programs = [_programs(table, hosts) for hosts in self.distributions]
        self._holders = _holders(table, self.odd)

    def held(self, use: Use) -> dict[int, list[int]]:
        """Return the programs of an entry that hosts of a list ran, with those hosts, ascending.

        The hosts of a usual packaged program are not known; it is one that any host of the same distributions ran.
        """
        held: dict[int, list[int]] = {}
        for number in use.entry.programs:
            holders = self._holders.get(number)
            if holders is not None:
                hosts = [host for host in holders if use.flags[host : host + 1] == b"\1"]
                if hosts:
                    held[number] = hosts
            elif any(
                number in programs
                for programs, mask in zip(self._programs, self.distributions, strict=True)
                if use.mask & mask
            ):
                held[number] = []
        return held


def _programs(table: Table, hosts: int) -> set[int]:
    programs: set[int] = set()
    for host in members(hosts):
        programs.update(table.fleet.hosts[host].programs)
    return programs


def _holders(table: Table, odd_programs: t.Container[int]) -> dict[int, list[int]]:
    """Return the hosts of each program that is not a usual packaged one."""
    special: dict[int, list[int]] = {
        number: []
        for number, program in enumerate(table.fleet.programs)
        if not program.package or program.verification != _program.VERIFIED or number in odd_programs
    }
    for index, host in enumerate(table.fleet.hosts):
        for number in special.keys() & host.programs:
            special[number].append(index)
    return special


@dataclasses.dataclass
class Use:
    """The use of one entry by the hosts of a list. mask, flags: all of them.

    hosts: those that were observed for long enough, with firsts and days; of: how many of these there are.
    programs: those that they ran, and the hosts as far as these are known.
    """

    number: int
    entry: Entry
    mask: int
    flags: bytes
    hosts: list[int]
    of: int
    firsts: list[float]
    days: list[int]
    held: dict[int, list[int]] = dataclasses.field(default_factory=dict)

    @property
    def programs(self) -> list[int]:
        return list(self.held)

    @property
    def share(self) -> float:
        return len(self.hosts) / self.of if self.of else 0.0


def use_of(case: Case, listed: Listed, number: int) -> Use:
    entry, mask = case.table.entries[number], listed.entries[number]
    learned = flags(mask & listed.learned).ljust(len(case.table.fleet.hosts), b"\0")
    chosen = bytes(map(learned.__getitem__, entry.hosts))
    use = Use(
        number,
        entry,
        mask,
        flags(mask),
        list(itertools.compress(entry.hosts, chosen)),
        sum((listed.learned & hosts).bit_count() for hosts in case.distributions if hosts & mask),
        list(itertools.compress(entry.first, chosen)),
        list(itertools.compress(entry.days, chosen)),
    )
    use.held = case.held(use)
    return use
