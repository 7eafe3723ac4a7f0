# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The prefixes of one port: those that cover its legitimate sources, few enough to be read, and small."""

from __future__ import annotations

import dataclasses
import typing as t

from ansible_collections.bulwark.servers.plugins.plugin_utils.network_hardening import judge, prefixes
from ansible_collections.bulwark.servers.plugins.plugin_utils.network_hardening.features import Activity, Key
from ansible_collections.bulwark.servers.plugins.plugin_utils.network_hardening.judge import Verdict

# What a block as large as a provider's pool costs beside the 1 of any block (prefixes.cover): careful, and more
# generous where that would leave out more than the share of connections that may be lost.
PRICES = (1.0, 0.5, 0.25)
_MOST_LOST = 0.005
# A port that was open to the world has to become so much smaller.
LEAST_REDUCTION = 1000
# The chance that a provider's pool is a bit larger than what all addresses seen of it have in common halves with each
# address, and for each further bit as much again. Down to the first of these it is taken for a bit larger, down to the
# second for more, up to a pool's usual size; unless attackers are to be expected in what is added: so many or more, if
# they are spread evenly over a block so many bits larger.
_POOL_DOUBT, _POOL_DOUBT_MORE = 0.01, 0.05
_EXPECTED = 0.05
_SURROUNDINGS = 6
# From so many for each address on, a block of several addresses is none of people alone.
_CROWDED = 0.06
# Of fewer addresses than these, those that are new in the last third of the days say too little.
_FEW = 10
# How likely who came on one day only has to be legitimate.
_ONCE = 0.95


@dataclasses.dataclass(frozen=True)
class Group:
    """A block with the welcome sources in it."""

    block: prefixes.Block
    members: tuple[Key, ...]
    days: int
    connections: int
    probability: float
    trusted: bool

    @property
    def worth(self) -> float:
        """Return what would be lost without it: people who come each day count as machines that come each minute."""
        return self.days * self.probability + min(self.connections, 1000) / 1000


class Limits(t.NamedTuple):
    """most: prefixes. last_day: of all traffic. hostile: sources that more speaks against than for, on any port."""

    most: int
    last_day: int
    hostile: t.Collection[Key] = ()


def groups(
    activities: t.Mapping[Key, Activity], verdicts: t.Mapping[Key, Verdict], limits: Limits
) -> tuple[list[Group], list[Group]]:
    """Return the groups to let in, and those that there is no place for."""
    welcome = [key for key, verdict in verdicts.items() if verdict.welcome]
    obstacles = {
        version: prefixes.Obstacles(key[1] for key in verdicts if key[0] == version and verdicts[key].is_against)
        for version in prefixes.WIDTH
    }
    # Where nobody was seen yet, an attacker of any port may come to this one.
    strangers = {
        version: prefixes.Obstacles(
            key[1]
            for key in {*limits.hostile, *(key for key in verdicts if verdicts[key].warns)} - set(welcome)
            if key[0] == version
        )
        for version in prefixes.WIDTH
    }
    kept: list[Group] = []
    left: list[Group] = []
    for price in PRICES:
        found: list[Group] = []
        for version in prefixes.WIDTH:
            sources = [source for kind, source in welcome if kind == version]
            blocks = prefixes.cover(version, sources, obstacles[version], price)
            inside = prefixes.Inside(blocks)
            members: dict[prefixes.Block, list[Key]] = {}
            for source in sorted(sources):
                members.setdefault(inside.find(version, source) or blocks[0], []).append((version, source))
            for keys in members.values():
                group = _group(_proven(keys, verdicts), activities, verdicts)
                found.extend(_apart(group, activities, verdicts) if _crowded(group, verdicts, strangers) else [group])
        certain = [
            _widened(group, activities, strangers, limits.last_day) for group in found if _certain(group, verdicts)
        ]
        kept, left = _limited(certain, limits.most)
        if _connections(left) <= _MOST_LOST * (_connections(kept) + _connections(left)):
            break
    return kept, left


def _connections(found: t.Iterable[Group]) -> int:
    return sum(group.connections for group in found)


def _proven(keys: t.Sequence[Key], verdicts: t.Mapping[Key, Verdict]) -> tuple[Key, ...]:
    """Return sources without those beside a core of others that make its block larger alone, and prove too little."""
    while len(keys) > judge.COMPANY:
        half = (keys[0][1] ^ keys[-1][1]).bit_length() - 1
        split = sum(source >> half == keys[0][1] >> half for _version, source in keys)
        lone = keys[0] if split == 1 else keys[-1] if split == len(keys) - 1 else None
        if lone is None:
            break
        others = [key for key in keys if key != lone]
        bits = half + 1 - (others[0][1] ^ others[-1][1]).bit_length()
        if judge.stands_beside(verdicts[lone], bits):
            break
        keys = others
    return tuple(keys)


def _group(keys: tuple[Key, ...], activities: t.Mapping[Key, Activity], verdicts: t.Mapping[Key, Verdict]) -> Group:
    version, low = keys[0]
    return Group(
        prefixes.around(version, low, prefixes.WIDTH[version] - (low ^ keys[-1][1]).bit_length()),
        keys,
        len({day for key in keys for day in activities[key].days}),
        sum(activities[key].count for key in keys),
        _mean(keys, activities, verdicts),
        any(verdicts[key].kind == judge.TRUSTED for key in keys),
    )


def _mean(keys: t.Sequence[Key], activities: t.Mapping[Key, Activity], verdicts: t.Mapping[Key, Verdict]) -> float:
    """Return the mean probability, weighted by days."""
    days = [len(activities[key].days) for key in keys]
    return sum(count * verdicts[key].probability for count, key in zip(days, keys, strict=True)) / max(1, sum(days))


def _crowded(group: Group, verdicts: t.Mapping[Key, Verdict], strangers: t.Mapping[int, prefixes.Obstacles]) -> bool:
    """Say whether others have addresses between those of people who signed in, as with a mobile carrier.

    That a block of them has no attacker in it yet is chance then.
    """
    if len(group.members) < 2 or not any(verdicts[key].signed for key in group.members):
        return False
    return expected(group.block, strangers[group.block.version]) >= _CROWDED * len(group.members)


def expected(block: prefixes.Block, obstacles: prefixes.Obstacles) -> float:
    """Return how many attackers are to be expected in a block, from how many were seen around it."""
    widths = range(1, min(block.length, _SURROUNDINGS) + 1)
    return max(
        (obstacles.count(prefixes.around(block.version, block.low, block.length - bits)) / 2**bits for bits in widths),
        default=0.0,
    )


def _apart(group: Group, activities: t.Mapping[Key, Activity], verdicts: t.Mapping[Key, Verdict]) -> list[Group]:
    return [_group((key,), activities, verdicts) for key in group.members]


def _certain(group: Group, verdicts: t.Mapping[Key, Verdict]) -> bool:
    """Say whether there is enough to let in a group: one source has to be convincing, more so one that came once."""
    if group.trusted:
        return True
    if len(group.members) == 1 and not judge.stands_alone(verdicts[group.members[0]]):
        return False
    return group.days > 1 or group.probability >= _ONCE


def _widened(
    group: Group,
    activities: t.Mapping[Key, Activity],
    obstacles: t.Mapping[int, prefixes.Obstacles],
    last_day: int,
) -> Group:
    """Return a group whose addresses still change in the block that they will change in."""
    count = len(group.members)
    if count < 2 or not _moving([activities[key] for key in group.members], last_day):
        return group
    block = prefixes.widened(
        group.block, obstacles[group.block.version], prefixes.NEIGHBOURHOODS[group.block.version][:1]
    )
    return dataclasses.replace(group, block=_pool(block, count, obstacles[block.version]))


def _pool(block: prefixes.Block, count: int, obstacles: prefixes.Obstacles) -> prefixes.Block:
    """Return the pool that so many addresses in a block are probably of."""
    near = obstacles.count(prefixes.around(block.version, block.low, max(0, block.length - _SURROUNDINGS)))
    lengths = [
        block.length - bits
        for bits in range(1, block.length - prefixes.NEIGHBOURHOODS[block.version][1] + 1)
        if 0.5 ** (bits * (count - 1)) > (_POOL_DOUBT if bits == 1 else _POOL_DOUBT_MORE)
        and near * (2**bits - 1) / 2**_SURROUNDINGS < _EXPECTED
    ]
    return prefixes.widened(block, obstacles, lengths)


def _moving(members: t.Sequence[Activity], last_day: int) -> bool:
    """Say whether another address is to be expected.

    That is so where more than a fifth of them were new in the last third of the days, up to the last of all, or, of
    few, where the last new one came no longer ago than it took from one to the next.
    """
    firsts = sorted(min(member.days) for member in members if member.days)
    if len(firsts) < 2:
        return False
    late = firsts[0] + (last_day - firsts[0]) * 2 / 3
    usual = (firsts[-1] - firsts[0]) / (len(firsts) - 1)
    lately = sum(first > late for first in firsts) > len(firsts) / 5
    return lately or (len(firsts) < _FEW and last_day - firsts[-1] <= usual)


def _limited(found: t.Sequence[Group], most: int) -> tuple[list[Group], list[Group]]:
    kept = sorted(found, key=lambda group: (not group.trusted, -group.worth, group.block))
    left = kept[most:]
    kept = kept[:most]
    while kept and prefixes.reduction((group.block for group in kept), 4) < LEAST_REDUCTION:
        candidates = [group for group in kept if group.block.version == 4 and not group.trusted]
        if not candidates:
            break
        widest = max(candidates, key=lambda group: (group.block.size, group.block))
        kept.remove(widest)
        left.append(widest)
    return sorted(kept, key=lambda group: group.block), sorted(left, key=lambda group: group.block)
