# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Events that were recorded and are not in the log, by the numbers that the kernel gives them.

The kernel numbers the events that it records one after the other from each boot on (audit_serial in kernel/audit.c);
what rules exclude gets no number. So a number that is missing was an event: the audit daemon was too slow (the kernel
throws away what it can't hand over, and counts it in ``lost`` only in part), was stopped or was started anew, or
somebody cut it out of the log.

Events of several processors are a little out of order, so that a number is only missing when the log is some seconds
further. The records of the daemon itself (``DAEMON_*``) have numbers of their own.

What the kernel hands a daemon that was just started may begin with pieces of before: the last records of an event
that began earlier, or what was left in its queue when the daemon before ended. So numbers are missing behind those,
too, up to the event of the start itself.
"""

from __future__ import annotations

import bisect
import dataclasses
import itertools
import typing as t

# Seconds after which no earlier event comes any more, by the times of the events.
_WAIT = 5
# How long after the daemon was started the record of a boot may come.
_WAIT_FOR_BOOT = 120
# How long after the record of the daemon's start the kernel may have begun to hand events over to it.
_STARTING = 2
# Within how many seconds after it ended a daemon that is only restarted, as with an upgrade, runs again.
_RESTART = 60
# Who falls back further than any disorder counts anew: a boot of which nothing else is in the log.
_RENUMBERED = 65_536
_HIGHEST = 2**32 - 1
_MOST_HOLES = 1_000
_MOST_LOST = 1_000


@dataclasses.dataclass
class Numbers:
    """What a part of a log says, in its order.

    serials: of each event. times: at which place a second of the clock began. starts: at which places the daemon began
    to write, and when. ends: the same of where it ended as it was asked to. booted: whether a boot is recorded.
    """

    serials: list[bytes] = dataclasses.field(default_factory=list)
    times: list[tuple[int, int]] = dataclasses.field(default_factory=list)
    starts: list[tuple[int, int]] = dataclasses.field(default_factory=list)
    ends: list[tuple[int, int]] = dataclasses.field(default_factory=list)
    booted: bool = False


class Hole(t.NamedTuple):
    """Numbers that are missing. after, before: the time of what is around them, in seconds since the epoch.

    restarted: whether the audit daemon began to write in between, or just after. orderly: whether it had ended as it
    was asked to, less than a minute before: not where it was killed, or did not run for a time.
    """

    first: int
    last: int
    after: int
    before: int
    restarted: bool
    orderly: bool = True

    @property
    def events(self) -> int:
        return self.last - self.first + 1


class Serials:
    """Takes the numbers of one host's log. lost: what is missing for good, since this was made."""

    def __init__(self, state: t.Mapping[str, t.Any] | None = None) -> None:
        """state: as ``state`` returned it."""
        state = state or {}
        self.lost: list[Hole] = []
        self._newest: int | None = state.get("newest")
        self._time: int = state.get("time", 0)
        self._started: bool = state.get("started", False)
        self._start: int = state.get("start", 0)
        self._end: int = state.get("end", 0)
        self._orderly: bool = state.get("orderly", True)
        self._holes = [Hole(*hole) for hole in state.get("holes", ())]

    def state(self) -> dict[str, t.Any]:
        return {
            "newest": self._newest,
            "time": self._time,
            "started": self._started,
            "start": self._start,
            "end": self._end,
            "orderly": self._orderly,
            "holes": self._holes,
        }

    def take(self, numbers: Numbers) -> None:
        """Note the numbers of the next part of the log."""
        begin = 0
        ends = iter([*numbers.ends, (len(numbers.serials) + 1, 0)])
        next_end = next(ends)
        for place, time in numbers.starts:
            # Each line has its place: an end at the same place as a start came before it.
            while next_end[0] <= place:
                self._end = next_end[1]
                next_end = next(ends)
            self._parts(numbers, begin, place)
            # What was missing before a boot is not filled by what comes after it.
            self.settle(time)
            self._started, self._start = True, time
            self._orderly = bool(self._end) and time - self._end <= _RESTART
            self._end = 0
            begin = place
        if next_end[1]:
            self._end = numbers.ends[-1][1]
        self._parts(numbers, begin, len(numbers.serials))
        if not self._started:
            # Its event is there by now. Not by the time alone: a clock that was ahead at the start may be set back.
            self._start = 0
        if numbers.booted:
            # Any program of root can have such a record made; after a boot the numbers are low.
            self._holes = [hole for hole in self._holes if not hole.restarted or hole.last > _RENUMBERED]
        self.settle(max((time for _place, time in numbers.times), default=0))

    def finish(self, now: float) -> None:
        """Give up what can't come any more when all that was there at a time is read."""
        # The log may be of a clock that was ahead: the wait is to have an end.
        self._holes = [hole._replace(before=min(hole.before, int(now))) for hole in self._holes]
        self.settle(now)

    def settle(self, now: float) -> None:
        """Give up what can't come any more at a time, in seconds since the epoch."""
        late: list[Hole] = []
        kept: list[Hole] = []
        surplus = len(self._holes) - _MOST_HOLES
        for place, hole in enumerate(self._holes):
            (late if place < surplus or hole.before + _longest_wait(hole) < now else kept).append(hole)
        self._holes = kept
        self._lose(late)

    def _parts(self, numbers: Numbers, begin: int, end: int) -> None:
        """Note what comes between two starts of the daemon."""
        part = numbers.serials[begin:end]
        if part and min(map(len, part)) != max(map(len, part)):
            for place, (before, after) in enumerate(zip(part, part[1:]), begin + 1):
                if int(before) - int(after) > _RENUMBERED:
                    self._part(numbers, begin, place)
                    begin = place
        self._part(numbers, begin, end)

    def _part(self, numbers: Numbers, begin: int, end: int) -> None:
        """Note numbers of one boot."""
        part = numbers.serials[begin:end]
        ordered = sorted(set(map(int, part)))
        # Whatever a line says: the kernel's counter has 32 bits.
        del ordered[bisect.bisect_right(ordered, _HIGHEST) :]
        if not ordered:
            return
        newest = self._newest
        if newest is None or self._is_anew(int(part[0]), ordered[-1], newest):
            # What is missing of the boot before stays so.
            self._lose([hole for hole in self._holes if not hole.restarted])
            self._holes = []
            newest = ordered[0] - 1
        above = ordered[bisect.bisect_right(ordered, newest) :]
        if len(above) != len(ordered):
            self._fill(ordered[: len(ordered) - len(above)])
        if above:
            if above[-1] - newest != len(above):
                self._note(above, newest, numbers, begin, end)
                if self._newest is None:
                    # The log begins with this start: what is from before was never to be in it.
                    self._holes = [hole for hole in self._holes if not hole.restarted]
            newest = above[-1]
        self._newest, self._started = newest, False
        self._time = max((time for place, time in numbers.times if place < end), default=self._time)

    def _is_anew(self, first: int, highest: int, newest: int) -> bool:
        """Return whether the kernel began to count again: it was booted."""
        if first > newest or any(hole.first <= first <= hole.last for hole in self._holes):
            return False
        return self._started or newest - highest > _RENUMBERED

    def _fill(self, found: t.Sequence[int]) -> None:
        """Take numbers that came late out of the holes."""
        holes: list[Hole] = []
        for hole in self._holes:
            first = hole.first
            for number in found[bisect.bisect_left(found, first) : bisect.bisect_right(found, hole.last)]:
                if number > first:
                    holes.append(hole._replace(first=first, last=number - 1))
                first = number + 1
            if first <= hole.last:
                holes.append(hole._replace(first=first))
        self._holes = holes

    def _note(self, above: t.Sequence[int], newest: int, numbers: Numbers, begin: int, end: int) -> None:
        """Note the holes in numbers that are higher than all before."""
        places = {int(text): begin + place for place, text in enumerate(numbers.serials[begin:end])}
        # An event has the time at which its call began, which may be long before its number: the log was further.
        latest = list(itertools.accumulate((time for _place, time in numbers.times), max, initial=self._time))
        before, after = newest, self._time
        for number in above:
            time = latest[bisect.bisect_right(numbers.times, (places[number], float("inf")))]
            if number != before + 1:
                restarted = (self._started and before == newest) or time <= self._start + _STARTING
                orderly = not restarted or self._orderly
                self._holes.append(Hole(before + 1, number - 1, after or time, time, restarted, orderly))
            before, after = number, time

    def _lose(self, holes: t.Sequence[Hole]) -> None:
        for hole in holes:
            if len(self.lost) < _MOST_LOST:
                self.lost.append(hole)
            else:
                # The numbers in between are not in it, and the count has to be right.
                last = self.lost[-1]
                self.lost[-1] = last._replace(last=last.last + hole.events, before=hole.before)


def _longest_wait(hole: Hole) -> int:
    return _WAIT_FOR_BOOT if hole.restarted else _WAIT
