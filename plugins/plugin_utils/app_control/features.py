# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Features: the packages, own software and images that tell roles apart, the same on each distribution."""

from __future__ import annotations

import dataclasses
import typing as t

from ansible_collections.bulwark.servers.plugins.plugin_utils.app_control import steady
from ansible_collections.bulwark.servers.plugins.plugin_utils.app_control.risky import RiskyPrograms
from ansible_collections.bulwark.servers.plugins.plugin_utils.app_control.table import (
    DAY,
    DIRECTORY,
    IMAGE,
    PACKAGE,
    Table,
    bits,
)

# What was there in the first days of a host was there before.
_FROM_THE_START = 3 * DAY
# What came later counts for roles after as long.
_SETTLED = 14 * DAY
_SHARE_OF_DAYS = 0.3
_FEWEST_DAYS = 3


@dataclasses.dataclass
class Feature:
    """name: for people. seen, settled: hosts that ever ran it, and that run it all the time, as sets of bits.

    weight: 1 for what can make a role, 0 for what an intruder brings and for what says nothing.
    """

    name: str
    seen: int
    settled: int
    weight: int


def collect(table: Table, risky: RiskyPrograms) -> tuple[list[Feature], dict[int, int]]:
    """Return the features of the fleet, and by entry the index of its feature.

    A feature stands for the packages that are the same on several distributions.
    """
    chosen = [number for number, entry in enumerate(table.entries) if entry.key.kind in (PACKAGE, DIRECTORY, IMAGE)]
    parent = {number: number for number in chosen}

    def root(number: int) -> int:
        while parent[number] != number:
            parent[number] = number = parent[parent[number]]
        return number

    for first, second in _alike(table, chosen):
        parent[root(first)] = root(second)
    features: list[Feature] = []
    of_root: dict[int, int] = {}
    of_entry: dict[int, int] = {}
    for number in chosen:
        entry = table.entries[number]
        index = of_entry[number] = of_root.setdefault(root(number), len(of_root))
        if index == len(features):
            features.append(Feature(_label(entry.key.name), 0, 0, 1))
        feature = features[index]
        feature.seen |= entry.mask()
        feature.settled |= _settled(table, number)
        if any(risky.use_of(table.fleet.programs[program]) for program in entry.programs):
            feature.weight = 0
    return features, of_entry


def _label(name: str) -> str:
    return steady.steady_name(name.rpartition("/")[2]).replace("-#", "").replace("#", "")


def _settled(table: Table, number: int) -> int:
    entry = table.entries[number]
    hosts = table.fleet.hosts
    numbers = []
    for host_number, first, days in zip(entry.hosts, entry.first, entry.days, strict=True):
        host = hosts[host_number]
        if first - host.since > _FROM_THE_START and host.until - first < _SETTLED:
            continue
        # The log has gaps, so that not each day between two times was observed.
        observed = host.days * (host.until - first) / max(DAY, host.until - host.since)
        if days >= max(_SHARE_OF_DAYS * observed, min(_FEWEST_DAYS, host.days)):
            numbers.append(host_number)
    return bits(numbers)


def _alike(table: Table, chosen: list[int]) -> t.Iterator[tuple[int, int]]:
    """Yield pairs of entries that are the same software: by the name of the package, or of a program of it."""
    by_name: dict[tuple[str, str], int] = {}
    owners: dict[str, dict[str, set[int]]] = {}
    for number in chosen:
        key = table.entries[number].key
        if key.kind != PACKAGE:
            continue
        same = by_name.setdefault(("", steady.steady_name(key.name)), number)
        if same != number:
            yield same, number
        for program in table.entries[number].programs:
            name = steady.basename(table.fleet.programs[program].path)
            owners.setdefault(name, {}).setdefault(key.manager, set()).add(number)
    for managers in owners.values():
        numbers = [number for some in managers.values() for number in some]
        if len(managers) > 1 and all(len(some) == 1 for some in managers.values()):
            yield from ((numbers[0], other) for other in numbers[1:])
