# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Estimate whom a proposal would deny from tomorrow on: learned from earlier days, compared with later ones.

At some points in the second half of the days, prefixes are made from what was seen until then, and those who came after
that are counted. Who they are is not known, so networks as large as a provider's region stand for them. Somebody whose
address changes more than prefixes can follow shows by coming from outside of them.
"""

from __future__ import annotations

import collections
import dataclasses
import typing as t

from ansible_collections.bulwark.servers.plugins.plugin_utils.network_hardening import cluster, judge, prefixes
from ansible_collections.bulwark.servers.plugins.plugin_utils.network_hardening.features import Activity, Key
from ansible_collections.bulwark.servers.plugins.plugin_utils.network_hardening.judge import Verdict

# Shares of the days at which prefixes are made; what came until the next is held against them.
_CUTS = (1 / 2, 2 / 3, 5 / 6)
_REGIONS = {4: 16, 6: 40}
# Of a network of which nothing is known, the chance that its next visit is denied, and how many visits that weighs.
_DENIED_ANYWAY, _WEIGHT = 0.1, 3.0
# Who is in no prefix at all may never come back, as from a hotel.
_IN_NONE = 0.5


@dataclasses.dataclass
class _Region:
    visits: int = 0
    denied: int = 0
    days: set[int] = dataclasses.field(default_factory=set)
    is_covered: bool = False
    is_trusted: bool = True

    @property
    def risk(self) -> float:
        if self.is_trusted:
            return 0.0
        if not self.is_covered:
            return _IN_NONE
        return (self.denied + _DENIED_ANYWAY * _WEIGHT) / (self.visits + _WEIGHT)


class Outlook(t.NamedTuple):
    """risk: the share of networks of legitimate sources that would be denied. days: on which any of these came.

    visits: how many, counted by source and day, were held against prefixes of earlier days, and of them denied.
    """

    risk: float
    days: int
    visits: int
    denied: int


def outlook(
    activities: t.Mapping[Key, Activity],
    verdicts: t.Mapping[Key, Verdict],
    kept: t.Sequence[cluster.Group],
    limits: cluster.Limits,
    first_day: int,
) -> Outlook:
    """Return what is to be expected of the groups to let in. first_day: of all traffic."""
    visits = {key: _days(activities[key], verdict) for key, verdict in verdicts.items() if verdict.welcome}
    regions: dict[prefixes.Block, _Region] = collections.defaultdict(_Region)
    inside = prefixes.Inside(group.block for group in kept)
    for key, days in visits.items():
        region = regions[_region(key)]
        region.days |= days
        region.is_covered |= inside.find(*key) is not None
        region.is_trusted &= verdicts[key].kind == judge.TRUSTED
    if not regions:
        return Outlook(1.0, 0, 0, 0)
    span = limits.last_day - first_day + 1
    cuts = [first_day + round(span * share) for share in _CUTS]
    for cut, until in zip(cuts, [*cuts[1:], limits.last_day + 1], strict=True):
        inside = prefixes.Inside(group.block for group in _as_of(cut, activities, verdicts, visits, limits))
        for key, days in visits.items():
            region = regions[_region(key)]
            # Whoever comes for the first time ever could not have been expected.
            later = sum(cut <= day < until for day in days) if min(region.days) < cut else 0
            region.visits += later
            # Who is trusted was so before anybody came.
            trusted = verdicts[key].kind == judge.TRUSTED
            region.denied += later if inside.find(*key) is None and not trusted else 0
    known = regions.values()
    return Outlook(
        sum(region.risk for region in known) / len(known),
        len(set().union(*(region.days for region in known))),
        sum(region.visits for region in known),
        sum(region.denied for region in known),
    )


def _days(activity: Activity, verdict: Verdict) -> frozenset[int]:
    if not verdict.signed:
        return frozenset(activity.days)
    # Of days with all sign-ins, those without are others' who guess from there. Elsewhere the traffic has to do.
    return verdict.signed | verdict.unknown if verdict.is_proven else verdict.signed


def _as_of(
    cut: int,
    activities: t.Mapping[Key, Activity],
    verdicts: t.Mapping[Key, Verdict],
    visits: t.Mapping[Key, frozenset[int]],
    limits: cluster.Limits,
) -> list[cluster.Group]:
    """Return the groups that would have been let in before a day."""
    earlier: dict[Key, Activity] = {}
    then: dict[Key, Verdict] = {}
    for key, verdict in verdicts.items():
        if not verdict.welcome:
            then[key] = verdict
            continue
        days = [day for day in visits[key] if day < cut]
        if days:
            counts = {day: activities[key].days.get(day, 1) for day in days}
            earlier[key] = dataclasses.replace(
                activities[key], days=collections.Counter(counts), count=sum(counts.values())
            )
            then[key] = verdict
    kept, left = cluster.groups(earlier, then, limits._replace(last_day=cut - 1))
    return [*kept, *left]


def _region(key: Key) -> prefixes.Block:
    return prefixes.around(*key, _REGIONS[key[0]])
