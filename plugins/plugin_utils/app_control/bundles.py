# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Find roles: sets of features that the same hosts run, on one distribution.

What most hosts of the distribution run is its base and says nothing. The other features make bundles of those that are
on the same hosts. A bundle that is on the hosts of two others is what these share.
"""

from __future__ import annotations

import bisect
import dataclasses
import typing as t

from ansible_collections.bulwark.servers.plugins.plugin_utils.app_control.features import Feature

# A feature of so many hosts of a distribution is of its base.
BASE = 0.8
FEWEST_HOSTS = 2
FEWEST_FEATURES = 2
SAME_HOSTS = 0.7
_COVERED = 0.85


@dataclasses.dataclass
class Seed:
    """A role on one distribution. hosts: a set of bits. features: indexes of those that it was found by."""

    hosts: int
    features: list[int]
    name: str = ""


def base_of(features: t.Sequence[Feature], hosts: int) -> set[int]:
    """Return the features of the base of these hosts."""
    least = BASE * hosts.bit_count()
    return {number for number, feature in enumerate(features) if (feature.seen & hosts).bit_count() >= least}


def find(features: t.Sequence[Feature], hosts: int, base: t.Collection[int], known: t.Sequence[Seed]) -> list[Seed]:
    """Return the roles of the hosts of one distribution, those that are known first."""
    masks = {
        number: mask
        for number, feature in enumerate(features)
        if number not in base and (mask := feature.settled & hosts).bit_count() >= FEWEST_HOSTS
    }
    seeds = list(known)
    for bundle in sorted(_bundles(masks, hosts), key=lambda bundle: (bundle.hosts.bit_count(), bundle.features)):
        weight = sum(features[number].weight for number in bundle.features)
        if weight < FEWEST_FEATURES or any(likeness(bundle.hosts, seed.hosts) >= SAME_HOSTS for seed in seeds):
            continue
        if not _is_union(bundle.hosts, seeds):
            seeds.append(bundle)
    return seeds


def _is_union(hosts: int, seeds: t.Sequence[Seed]) -> bool:
    """Return whether a set of hosts is that of several roles together."""
    within = [seed.hosts for seed in seeds if (seed.hosts & hosts).bit_count() >= _COVERED * seed.hosts.bit_count()]
    union = 0
    for mask in within:
        union |= mask
    return len(within) > 1 and (union & hosts).bit_count() >= _COVERED * hosts.bit_count()


def likeness(first: int, second: int) -> float:
    """Return the share of hosts of either set that are in both (Jaccard)."""
    both = (first & second).bit_count()
    return both / (first.bit_count() + second.bit_count() - both) if both else 0.0


def _likeness_of_rarer(first: int, second: int, every: int) -> float:
    """Return the likeness of two sets; if most hosts are in them, of the others: most of most are alike by chance."""
    if 2 * min(first.bit_count(), second.bit_count()) > every.bit_count():
        return likeness(every & ~first, every & ~second)
    return likeness(first, second)


def _bundles(masks: t.Mapping[int, int], every: int) -> list[Seed]:
    """Return features by the hosts that they are on, as far as these are about the same. every: all hosts."""
    same: dict[int, list[int]] = {}
    for number, mask in masks.items():
        same.setdefault(mask, []).append(number)
    # What most features have exactly is the best guess at the hosts of a role.
    groups = sorted(same.items(), key=lambda item: (-len(item[1]), -item[0].bit_count(), item[1]))
    leaders: list[tuple[int, int]] = []  # by number of hosts: that number, index of the bundle
    bundles: list[Seed] = []
    for mask, numbers in groups:
        size = mask.bit_count()
        low = bisect.bisect_left(leaders, (int(size * SAME_HOSTS), -1))
        high = bisect.bisect_right(leaders, (int(size / SAME_HOSTS) + 1, len(bundles)))
        alike, best = max(
            ((_likeness_of_rarer(mask, bundles[index].hosts, every), -index) for _size, index in leaders[low:high]),
            default=(0.0, 0),
        )
        if alike >= SAME_HOSTS:
            bundles[-best].features.extend(numbers)
        else:
            bisect.insort(leaders, (size, len(bundles)))
            bundles.append(Seed(mask, list(numbers)))
    for bundle in bundles:
        bundle.hosts = majority([masks[number] for number in bundle.features])
    return bundles


def majority(masks: t.Sequence[int]) -> int:
    """Return the hosts that are in at least half of the sets."""
    counters: list[int] = []  # binary digits of how many sets each host is in, the lowest first
    for mask in masks:
        carry = mask
        for position, digit in enumerate(counters):
            counters[position], carry = digit ^ carry, digit & carry
        if carry:
            counters.append(carry)
    return _at_least(counters, (len(masks) + 1) // 2)


def _at_least(counters: t.Sequence[int], least: int) -> int:
    """Return the hosts whose count in binary digits is at least so much."""
    everything = 0
    for digit in counters:
        everything |= digit
    greater, equal = 0, everything
    for position in range(max(len(counters), least.bit_length()) - 1, -1, -1):
        digit = counters[position] if position < len(counters) else 0
        if least >> position & 1:
            equal &= digit
        else:
            greater |= equal & digit
            equal &= ~digit
    return greater | equal
