# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Evidence for and against a source on one port, as numbers: its own traffic, and that of its neighbours.

Everything a source did counts, also on other ports. Neighbours are those of its /24 and /20 (IPv6: /56 and /44) without
itself: an office with a new address each day is told by them, and so is a farm of scanners.
"""

from __future__ import annotations

import collections
import dataclasses
import itertools
import math
import typing as t

from ansible_collections.bulwark.servers.plugins.plugin_utils.network_hardening import prefixes
from ansible_collections.bulwark.servers.plugins.plugin_utils.network_hardening.sources import Seen

# In the order of the weights; what each says to people is in content/network_hardening/model.yml.
NAMES = (
    "days",
    "regularity",
    "working_days",
    "connections_per_day",
    "flood",
    "burst",
    "bytes_per_connection",
    "other_ports",
    "refused",
    "near_days",
    "near_per_source",
    "near_bytes",
    "near_other_ports",
    "near_refused",
    "near_known_bad",
    "far_days",
    "far_sources",
    "far_bytes",
    "far_other_ports",
    "far_known_bad",
)

_OF_OTHERS = tuple(name.startswith(("near_", "far_")) for name in NAMES)
# What packets with a made-up source can say of somebody.
_FAKED = tuple(name in ("other_ports", "refused") for name in NAMES)

# Days of the week, 0 is Monday, on which people don't work; where they work on Sundays it is the other.
_WEEKENDS = (frozenset((5, 6)), frozenset((4, 5)))
# How often somebody who works on other days comes on one of these all the same, and how often who comes on any day.
_OVERTIME, _ANY = 0.03, 2 / 7
# Days from which on a source is one that somebody would miss.
_OFTEN = 5
_EPOCH = 3  # the first of January 1970 was a Thursday

Key = tuple[int, int]  # version and source
Port = tuple[int, str]


@dataclasses.dataclass
class Activity:
    """Traffic of one source, or of all of a neighbourhood, on one port or on all of them."""

    days: collections.Counter[int] = dataclasses.field(default_factory=collections.Counter)
    count: int = 0
    refused: int = 0
    bytes: int = 0
    sized: int = 0
    held: int = 0
    timed: int = 0
    unanswered: set[Port] = dataclasses.field(default_factory=set)

    def add(self, seen: Seen) -> None:
        self.days.update(seen.days)
        self.count += seen.count
        self.refused += seen.refused
        if seen.bytes is not None:
            self.bytes += seen.bytes
            self.sized += seen.sized
        if seen.held is not None:
            self.held += seen.held
            self.timed += seen.timed
        if not seen.answered:
            self.unanswered.add((seen.port, seen.protocol))

    @property
    def comes_often(self) -> bool:
        """Say whether it came on many days, and was answered each time. An answer to a made-up packet is no proof."""
        return len(self.days) >= _OFTEN and self.count - self.refused >= len(self.days)

    def probes(self, port: Port) -> int:
        """Return how many other ports were tried that did not answer; those that do are no sign of a search."""
        return len(self.unanswered) - (port in self.unanswered)


class Traffic:
    """All that was seen, by source and by neighbourhood."""

    def __init__(
        self, entries: t.Iterable[Seen], bad: t.Container[Key], observed: tuple[int, int] | None = None
    ) -> None:
        """bad: sources that a threat list or an open finding names. observed: days on which traffic would be seen."""
        self._all: dict[Key, Activity] = {}
        self.by_port: dict[Port, dict[Key, Activity]] = {}
        for seen in entries:
            key = (seen.version, seen.source)
            self._all.setdefault(key, Activity()).add(seen)
            self.by_port.setdefault((seen.port, seen.protocol), {}).setdefault(key, Activity()).add(seen)
        self._bad = {key for key in self._all if key in bad}
        self._crowds: dict[tuple[Port, prefixes.Block], _Crowd] = {}
        for port, sources in self.by_port.items():
            for key, own in sources.items():
                if key not in self._bad:
                    share = _share(own, self._all[key], port)
                    for block in _blocks(key):
                        self._crowds.setdefault((port, block), _Crowd()).add(own.days, share)
        self._bad_near = collections.Counter(block for key in self._bad for block in _blocks(key))
        days = [day for activity in self._all.values() for day in activity.days]
        days += observed or ()
        # The first and the last day on which anything was, or would have been, seen.
        self.period = (min(days), max(days)) if days else None
        self._observed = self.period[1] - self.period[0] + 1 if self.period else 1

    @property
    def days(self) -> int:
        """Return the number of days on which traffic was, or would have been, seen."""
        return self._observed

    def everywhere(self, key: Key) -> Activity:
        return self._all[key]

    def features(self, key: Key, port: Port) -> tuple[float, ...]:
        own, everywhere = self.by_port[port][key], self._all[key]
        near, far = (self._neighbours(key, port, block) for block in _blocks(key))
        per_day = own.count / max(1, len(own.days))
        return (
            (len(own.days) / self._observed) ** 4,
            _regularity(own.days),
            _working(own.days),
            math.log1p(per_day),
            math.log1p(per_day) * (1 - max(len(own.days), math.expm1(far.days)) / self._observed),
            _burst(own.days),
            _size(own),
            _probing(everywhere, port),
            everywhere.refused / max(1, everywhere.count),
            near.days,
            near.density,
            near.size,
            near.spread,
            near.refused,
            near.bad,
            far.days,
            far.members,
            far.size,
            far.spread,
            far.bad,
        )

    def _neighbours(self, key: Key, port: Port, block: prefixes.Block) -> _Neighbours:
        """Return what the others of a block are like: all of it without the source, so that a crowd costs no more."""
        bad = self._bad_near[block] - (key in self._bad)
        crowd = self._crowds.get((port, block), _Crowd())
        own = self.by_port[port][key]
        inside = key not in self._bad
        count = crowd.members - inside
        if count < 1:
            return _Neighbours(bad=math.log1p(bad))
        less = _share(own, self._all[key], port) if inside else (0.0, 0.0, 0.0, 0.0)
        size, spread, refused, visits = (whole - part for whole, part in zip(crowd.sums, less, strict=True))
        days = len(crowd.days) - (sum(crowd.days[day] == 1 for day in own.days) if inside else 0)
        return _Neighbours(
            days=math.log1p(days),
            density=math.log1p(visits / days),
            members=math.log1p(count),
            size=size / count,
            spread=spread / count,
            refused=refused / count,
            bad=math.log1p(bad),
        )


def by_itself(values: t.Sequence[float]) -> tuple[float, ...]:
    """Return the features as they would be if nobody were near."""
    return tuple(0.0 if others else value for others, value in zip(_OF_OTHERS, values, strict=True))


def without_probes(values: t.Sequence[float]) -> tuple[float, ...]:
    """Return the features as they would be if the source had tried nothing that did not answer."""
    return tuple(0.0 if faked else value for faked, value in zip(_FAKED, values, strict=True))


class _Crowd:
    """The sources of a block on one port, summed up. days: how many of them came on each."""

    def __init__(self) -> None:
        self.members = 0
        self.days: collections.Counter[int] = collections.Counter()
        self.sums = (0.0, 0.0, 0.0, 0.0)

    def add(self, days: t.Iterable[int], share: tuple[float, float, float, float]) -> None:
        self.members += 1
        self.days.update(list(days))  # of a mapping, its numbers would be counted
        self.sums = t.cast("tuple[float, float, float, float]", tuple(map(sum, zip(self.sums, share, strict=True))))


def _share(own: Activity, everywhere: Activity, port: Port) -> tuple[float, float, float, float]:
    """Return what a source adds to the sums of its neighbourhood: size, spread, refused, days."""
    refused = everywhere.refused / max(1, everywhere.count)
    return _size(own), _probing(everywhere, port), refused, float(len(own.days))


class _Neighbours(t.NamedTuple):
    days: float = 0.0
    density: float = 0.0
    members: float = 0.0
    size: float = 0.0
    spread: float = 0.0
    refused: float = 0.0
    bad: float = 0.0


def _blocks(key: Key) -> tuple[prefixes.Block, prefixes.Block]:
    near, far = prefixes.NEIGHBOURHOODS[key[0]]
    return prefixes.around(*key, near), prefixes.around(*key, far)


def _probing(activity: Activity, port: Port) -> float:
    return math.log1p(activity.probes(port))


def _size(activity: Activity) -> float:
    """Return powers of ten of what a connection transfers: 0 at 10 kB and where it is not known, from -0.7 to 1."""
    if not activity.sized:
        return 0.0
    return max(-0.7, min(1.0, math.log10(1 + activity.bytes / activity.sized) - 4))


def _regularity(days: t.Mapping[int, int]) -> float:
    """Return 1 for gaps between days that are all alike, near 0 for any; 0 below three days."""
    if len(days) < 3:
        return 0.0
    ordered = sorted(days)
    gaps = [after - before for before, after in itertools.pairwise(ordered)]
    mean = sum(gaps) / len(gaps)
    deviation = math.sqrt(sum((gap - mean) ** 2 for gap in gaps) / len(gaps))
    return (1 / (1 + deviation / mean)) * min(1.0, len(days) / 5)


def _working(days: t.Iterable[int]) -> float:
    """Return from 0 to 1 how much the days speak for a working week: as many powers of e, in fives.

    A program that guesses or scans knows no weekend; who comes on few days may have come on none of it by chance.
    """
    weekdays = [(day + _EPOCH) % 7 for day in days]
    found = 0.0
    for weekend in _WEEKENDS:
        free = sum(day in weekend for day in weekdays)
        ratio = free * math.log(_OVERTIME / _ANY) + (len(weekdays) - free) * math.log((1 - _OVERTIME) / (1 - _ANY))
        found = max(found, ratio)
    return min(1.0, found / 5)


def _burst(days: t.Mapping[int, int]) -> float:
    """Return how far the busiest day is above the usual one, in powers of e."""
    counts = sorted(days.values())
    return math.log(counts[-1] / max(1, counts[len(counts) // 2])) if len(counts) > 2 else 0.0
