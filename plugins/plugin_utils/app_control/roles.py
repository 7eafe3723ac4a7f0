# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Say which roles each host has.

A role is the same on every distribution, and the same as before as long as that is still true.
"""

from __future__ import annotations

import collections
import dataclasses
import itertools
import math
import typing as t

from ansible_collections.bulwark.servers.plugins.plugin_utils.app_control import bundles
from ansible_collections.bulwark.servers.plugins.plugin_utils.app_control.bundles import Seed
from ansible_collections.bulwark.servers.plugins.plugin_utils.app_control.features import Feature
from ansible_collections.bulwark.servers.plugins.plugin_utils.app_control.options import Previous
from ansible_collections.bulwark.servers.plugins.plugin_utils.app_control.table import bits, members
from ansible_collections.bulwark.servers.plugins.plugin_utils.store.fleet import Fleet

_TYPICAL = 0.6
_HAS_ROLE = 0.55
# A host keeps a role that it had for longer than it would get it.
_KEEPS_ROLE = 0.4
_SAME_ROLE = 0.3
_SAME_GROUP = 0.9
_ROUNDS = 2
_MOST_SPECIFIC = 4.0


@dataclasses.dataclass
class Group:
    """A role. hosts: a set of bits. weights: by distribution, of the features that are typical."""

    name: str
    hosts: int
    weights: dict[str, dict[int, float]]


@dataclasses.dataclass(frozen=True)
class Grouping:
    """groups: the roles. distributions, bases: by name, the hosts as a set of bits, and the features of its base."""

    groups: list[Group]
    distributions: dict[str, int]
    bases: dict[str, set[int]]


def group(fleet: Fleet, features: t.Sequence[Feature], previous: Previous) -> Grouping:
    """Return the roles of all hosts."""
    distributions = of_distributions(fleet)
    numbers = {host.name: number for number, host in enumerate(fleet.hosts)}
    former = {
        name: bits(sorted(numbers[host] for host in hosts if host in numbers)) for name, hosts in previous.items()
    }
    bases = {name: bundles.base_of(features, hosts) for name, hosts in distributions.items()}
    seeds = {
        name: bundles.find(features, hosts, bases[name], _known(features, hosts, bases[name], former))
        for name, hosts in distributions.items()
    }
    groups = _merge(features, seeds)
    for _round in range(_ROUNDS):
        for role in groups:
            role.weights = {
                name: _weights(features, hosts, bases, name, role.hosts) for name, hosts in distributions.items()
            }
        _assign(features, groups, distributions, former)
        groups = _distinct(groups)
    _name(fleet, features, groups, former)
    return Grouping(sorted(groups, key=lambda role: role.name), distributions, bases)


def of_distributions(fleet: Fleet) -> dict[str, int]:
    """Return the hosts of each distribution, as sets of bits."""
    numbers_of: dict[str, list[int]] = {}
    for number, host in enumerate(fleet.hosts):
        numbers_of.setdefault(host.distribution, []).append(number)
    return {name: bits(numbers_of[name]) for name in sorted(numbers_of)}


def _known(
    features: t.Sequence[Feature], hosts: int, base: t.Collection[int], former: t.Mapping[str, int]
) -> list[Seed]:
    """Return the former roles that still are some, by what their hosts have in common and others do not."""
    seeds = []
    for name in sorted(former):
        mask = former[name] & hosts
        if mask.bit_count() < bundles.FEWEST_HOSTS:
            continue
        typical = [
            number
            for number, feature in enumerate(features)
            if number not in base
            and feature.weight
            and (feature.settled & mask).bit_count() >= _TYPICAL * mask.bit_count()
            and bundles.likeness(feature.settled & hosts, mask) >= bundles.SAME_HOSTS / 2
        ]
        if len(typical) >= bundles.FEWEST_FEATURES:
            still = bundles.majority([features[number].settled & hosts for number in typical])
            if bundles.likeness(still, mask) >= bundles.SAME_HOSTS / 2:
                seeds.append(Seed(still, typical, name))
    return seeds


def _merge(features: t.Sequence[Feature], seeds: t.Mapping[str, list[Seed]]) -> list[Group]:
    """Join what is the same role on several distributions: the pairs that are most alike first."""
    every = [(name, seed) for name, some in seeds.items() for seed in some]
    signatures = [signature for some in seeds.values() for signature in _signatures(features, some)]
    pairs = []
    for first, second in itertools.combinations(range(len(every)), 2):
        if every[first][0] != every[second][0]:
            alike = _alike(every[first][1].name, every[second][1].name, signatures[first], signatures[second])
            if alike >= _SAME_ROLE:
                pairs.append((-alike, first, second))
    joined = [{number} for number in range(len(every))]
    for _alikeness, first, second in sorted(pairs):
        together = joined[first] | joined[second]
        names = {every[number][1].name for number in together} - {""}
        if len({every[number][0] for number in together}) == len(together) and len(names) <= 1:
            for number in together:
                joined[number] = together
    merged = []
    for number, together in enumerate(joined):
        if number == min(together):
            mask = 0
            for part in together:
                mask |= every[part][1].hosts
            merged.append(Group(max(every[part][1].name for part in together), mask, {}))
    return merged


def _signatures(features: t.Sequence[Feature], seeds: t.Sequence[Seed]) -> list[dict[int, float]]:
    """Return the features of most hosts of each role, with a weight: the fewer roles have one, the higher."""
    owned = [
        {
            number
            for number, feature in enumerate(features)
            if (feature.settled & seed.hosts).bit_count() >= _TYPICAL * seed.hosts.bit_count()
        }
        for seed in seeds
    ]
    sharing = collections.Counter(number for some in owned for number in some)
    # What most roles have is no role's.
    most = max(1, len(seeds) // 2)
    return [{number: 1 / sharing[number] for number in sorted(some) if sharing[number] <= most} for some in owned]


def _alike(name: str, other_name: str, first: t.Mapping[int, float], second: t.Mapping[int, float]) -> float:
    """Return how alike two roles are, from 0 to 1; more for those that people gave the same name."""
    if name and other_name:
        return 2.0 if name == other_name else 0.0
    both = sum(min(weight, second[number]) for number, weight in first.items() if number in second)
    return both / max(1e-9, min(sum(first.values()), sum(second.values())))


def _weights(
    features: t.Sequence[Feature], hosts: int, bases: t.Mapping[str, set[int]], name: str, role: int
) -> dict[int, float]:
    """Return what is typical of a role on one distribution, and how much it says.

    If no host of the distribution has the role yet, what is typical of it elsewhere counts, as far as the distribution
    has most of that.
    """
    inside, outside = role & hosts, hosts & ~role
    measured = inside or role
    base = bases[name] if inside else set().union(*bases.values())
    weights: dict[int, float] = {}
    missing = 0
    for number, feature in enumerate(features):
        if number in base or (feature.settled & measured).bit_count() < _TYPICAL * measured.bit_count():
            continue
        if not feature.seen & hosts:
            missing += 1
            continue
        share = (feature.settled & measured).bit_count() / measured.bit_count()
        others = (feature.seen & outside).bit_count() / max(1, outside.bit_count())
        weight = min(_MOST_SPECIFIC, math.log(share / (others + 0.02)))
        if weight > 0.2:
            weights[number] = weight
    return weights if inside or len(weights) >= missing else {}


def _assign(
    features: t.Sequence[Feature],
    groups: t.Sequence[Group],
    distributions: t.Mapping[str, int],
    former: t.Mapping[str, int],
) -> None:
    for role in groups:
        had = former.get(role.name, 0)
        mask = 0
        for name, hosts in distributions.items():
            weights = role.weights[name]
            total = sum(weights.values())
            if len(weights) < 2 or not total:
                continue
            scores: dict[int, float] = {}
            for number, weight in weights.items():
                for host in members(features[number].seen & hosts):
                    scores[host] = scores.get(host, 0.0) + weight
            mask |= bits(
                sorted(
                    host
                    for host, score in scores.items()
                    if score >= total * (_KEEPS_ROLE if had >> host & 1 else _HAS_ROLE)
                )
            )
        role.hosts = mask


def _distinct(groups: t.Sequence[Group]) -> list[Group]:
    """Return the roles that have hosts, without those that another one has, too. Known roles stay."""
    distinct: list[Group] = []
    for role in sorted(groups, key=lambda role: (not role.name, -sum(map(len, role.weights.values())))):
        if role.hosts and all(bundles.likeness(role.hosts, other.hosts) < _SAME_GROUP for other in distinct):
            distinct.append(role)
    return distinct


def _name(fleet: Fleet, features: t.Sequence[Feature], groups: t.Sequence[Group], former: t.Mapping[str, int]) -> None:
    """Name roles after the group of the inventory that has the same hosts, else after what is typical of them."""
    inventory: dict[str, list[int]] = {}
    for number, host in enumerate(fleet.hosts):
        for name in host.groups:
            inventory.setdefault(name, []).append(number)
    masks = {name: bits(numbers) for name, numbers in sorted(inventory.items())}
    used = {*former}
    for role in groups:
        if role.name:
            continue
        alike = [(bundles.likeness(mask, role.hosts), name) for name, mask in masks.items() if name not in used]
        likeness, name = max(alike, default=(0.0, ""))
        if likeness < _SAME_GROUP:
            name = _typical_name(features, role)
        number, free = 1, name
        while free in used:
            number += 1
            free = f"{name}-{number}"
        used.add(free)
        role.name = free


def _typical_name(features: t.Sequence[Feature], role: Group) -> str:
    weights: dict[str, float] = {}
    for some in role.weights.values():
        for number, weight in some.items():
            weights[features[number].name] = weights.get(features[number].name, 0.0) + weight
    best = sorted(weights, key=lambda name: (-weights[name], name))[:2]
    return "-".join(sorted(best)) or "role"
