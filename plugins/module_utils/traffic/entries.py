# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a host remembers of who connected: summed up for each peer, port, protocol and direction, by days.

Days are those of UTC. What came between two readings counts for the day on which the last of it came, as the kernel
remembers no other.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils.traffic import sets
from ansible_collections.bulwark.servers.plugins.module_utils.traffic.reading import Change, Key

_DAY = 86400


@dataclasses.dataclass
class Entry:
    """first, last: seconds since the epoch. answers: that were given, also to a source that was made up.

    proven: whether the source took part in a handshake. days: connections by days since the epoch.
    """

    first: float
    last: float
    count: int = 0
    answers: int = 0
    proven: bool = False
    days: dict[int, int] = dataclasses.field(default_factory=dict)

    def result(self, key: Key) -> dict[str, t.Any]:
        """Return it as traffic_info does. What was not answered was refused, or got no reply."""
        source, port, protocol, direction = key
        answered = min(self.count, self.answers) if self.proven else 0
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
            "days": {_date(day): number for day, number in sorted(self.days.items())},
        }


Entries = t.Dict[Key, Entry]


def merge(entries: Entries, changes: t.Iterable[Change], services: t.Container[tuple[int, str]]) -> None:
    """Add what came since the last reading. services: ports that are listened on, with their protocols."""
    waiting = []
    for change in changes:
        if change.counts is None:
            waiting.append(change)
            continue
        entry = entries.setdefault(change.key, Entry(change.last, change.last))
        entry.first, entry.last = min(entry.first, change.last), max(entry.last, change.last)
        entry.proven = entry.proven or change.proven
        if change.counts == sets.ANSWERED:
            entry.answers += change.number
        else:
            entry.count += change.number
            day = int(change.last // _DAY)
            entry.days[day] = entry.days.get(day, 0) + change.number
    for change in waiting:
        if change.key in entries:
            entries[change.key].proven = True
        elif change.key[1:3] in services:
            # Not seen to begin, as there was no place for those who try. Those of this host itself are to no service.
            alive(entries, change.key, change.last)


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
        entry.answers -= entry.answers * gone // max(1, entry.count)
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
