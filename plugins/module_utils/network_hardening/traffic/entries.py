# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Recorded connections, summed up for each peer, port, protocol and direction, by days.

Days are those of UTC. What came between two readings counts for the day on which the last of it came, as the kernel
remembers no other.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils.network_hardening.traffic import sets
from ansible_collections.bulwark.servers.plugins.module_utils.network_hardening.traffic.reading import (
    Change,
    Key,
    Times,
)
from ansible_collections.bulwark.servers.plugins.module_utils.network_hardening.traffic.settings import IN

_DAY = 86400
# Seconds after which a connection has lasted. sshd ends one on which nobody signs in after 120 (LoginGraceTime), and
# the kernel gives up one whose other end is gone some 200 later; both together is what anybody can have.
LASTING = 600
# Samples from which a sum is estimated; fewer say little of it.
_ENOUGH = 8
# Seconds that may lie between the readings of two sets.
_APART = 2.0


@dataclasses.dataclass
class Entry:
    """first, last: seconds since the epoch. answers: that were given, also to a source that was made up.

    proven: whether the source took part in a handshake. days: connections by days since the epoch.

    watched: how many connections samples, packets that were sent, and sampled, their bytes, are of. measured: of how
    many it is known how long they took, seconds in all, held of them LASTING or longer. begun, lasted: when the last
    connection began and how long it took by then; 0 while it is not measured.
    """

    first: float
    last: float
    count: int = 0
    answers: int = 0
    proven: bool = False
    days: dict[int, int] = dataclasses.field(default_factory=dict)
    watched: int = 0
    samples: int = 0
    sampled: int = 0
    measured: int = 0
    seconds: float = 0.0
    held: int = 0
    begun: float = 0.0
    lasted: float = 0.0

    def result(self, key: Key) -> dict[str, t.Any]:
        """Return it as traffic_info does. What was not answered was refused, or got no reply. Unknown is None."""
        source, port, protocol, direction = key
        answered = min(self.count, self.answers) if self.proven else 0
        sized = self.samples >= _ENOUGH and self.watched > 0
        return {
            "source": source,
            "port": port,
            "protocol": protocol,
            "direction": direction,
            "first_seen": self.first,
            "last_seen": self.last,
            "count": self.count,
            "answered": answered,
            "refused": self.count - answered,
            "bytes": self.sampled * sets.SAMPLE if sized else None,
            "bytes_known_count": min(self.count, self.watched) if sized else 0,
            "seconds": int(self.seconds) if self.measured else None,
            "long_lived_count": min(self.count, self.held) if self.measured else None,
            "seconds_known_count": min(self.count, self.measured),
            "days": {_date(day): number for day, number in sorted(self.days.items())},
        }


Entries = t.Dict[Key, Entry]


def merge(
    entries: Entries, changes: t.Iterable[Change], services: t.Container[tuple[int, str]], watched: bool = False
) -> None:
    """Add what came since the last reading.

    services: ports that are listened on, with their protocols. watched: whether what was sent was sampled all the time.
    """
    waiting: list[Change] = []
    samples: list[Change] = []
    for change in changes:
        if change.counts in (None, sets.SAMPLED):
            (waiting if change.counts is None else samples).append(change)
            continue
        entry = entries.setdefault(change.key, Entry(change.last, change.last))
        entry.first, entry.last = min(entry.first, change.last), max(entry.last, change.last)
        entry.proven = entry.proven or change.proven
        if change.counts == sets.ANSWERED:
            entry.answers += change.number
            # A newer connection has begun. A counter says so; times don't, as a busy host is slow to read them.
            entry.begun = entry.lasted = 0.0
        else:
            entry.count += change.number
            day = int(change.last // _DAY)
            entry.days[day] = entry.days.get(day, 0) + change.number
            if watched and change.key[2:] == ("tcp", IN):
                entry.watched += change.number
    for change in samples if watched else ():
        if change.key in entries:
            entries[change.key].samples += change.number
            entries[change.key].sampled += change.bytes
    for change in waiting:
        if change.key in entries:
            entries[change.key].proven = True
        elif change.key[1:3] in services:
            # Not seen to begin, as there was no place for those who try. Those of this host itself are to no service.
            alive(entries, change.key, change.last)


def measure(entries: Entries, times: t.Mapping[Key, Times], sampled: t.Container[Key]) -> None:
    """Note how long the last connection of each took at least, of one that goes on since a reading how much longer.

    sampled: those that were sent something since the last reading.
    """
    for key, time in times.items():
        entry = entries.get(key)
        # What was seen last may be of a connection before.
        if entry is None or not entry.proven or time.there < time.begun - _APART:
            continue
        took = max(0.0, time.there - time.begun)
        if not entry.begun:
            entry.measured += 1
            entry.begun = time.begun
        elif key not in sampled or took <= entry.lasted:
            continue
        entry.seconds += took - entry.lasted
        entry.held += took >= LASTING > entry.lasted
        entry.lasted = took


def alive(entries: Entries, key: Key, now: float) -> None:
    """Note a connection that is there, which may have begun long ago: it counts once for each day without another."""
    entry = entries.setdefault(key, Entry(now, now))
    entry.first, entry.last, entry.proven = min(entry.first, now), max(entry.last, now), True
    if int(now // _DAY) not in entry.days:
        entry.days[int(now // _DAY)] = 1
        entry.count += 1
        entry.answers += 1


def forget(entries: Entries, before: float) -> None:
    """Forget the days that ended before a time, and who has none left."""
    first = int(before // _DAY)
    for key, entry in list(entries.items()):
        old = [day for day in entry.days if day < first]
        if not old:
            if entry.last < before:
                del entries[key]
            continue
        gone = sum(entry.days.pop(day) for day in old)
        if not entry.days:
            del entries[key]
            continue
        # It isn't known on which days the answers were given.
        for name in ("answers", "watched", "samples", "sampled", "measured", "held"):
            number = getattr(entry, name)
            setattr(entry, name, number - number * gone // max(1, entry.count))
        entry.seconds -= entry.seconds * gone / max(1, entry.count)
        entry.count -= gone
        entry.first = max(entry.first, float(min(entry.days) * _DAY))


def limit(entries: Entries, most: int) -> int:
    """Keep so many entries, and return how many were dropped: those who may be made up first, and the longest ago."""
    surplus = len(entries) - most
    if surplus <= 0:
        return 0
    for key in sorted(entries, key=lambda one: (entries[one].proven, entries[one].last))[:surplus]:
        del entries[key]
    return surplus


def _date(day: int) -> str:
    return dt.date.fromordinal(day + dt.date(1970, 1, 1).toordinal()).isoformat()
