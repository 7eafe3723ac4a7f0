# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Programs that go on in one process after the other: which of them were judged, and which run from the scan.

A process that ended has no memory left to look at, and nothing is missed by that, unless it goes on in another one.

A program that moves forks, and ends as soon as its child goes on (ATT&CK T1036.009, Break Process Trees). Servers,
shells, builds and supervisors fork, too: there, somebody stays who has begun before. After fork(2) code and stack begin
where they did in the parent (proc_pid_stat(5), fields 26 and 28), after execve(2) anywhere, with randomised addresses.
So what a supervisor starts again and again is no move, and neither is a daemon that leaves its terminal: that forks
twice at the same time, and stays. Nobody else can start a program that has no file any more, so that exec is one, too.
"""

from __future__ import annotations

import collections
import os
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan.model import Process

# So many processes, each begun so many ticks after the one before: what happens at once is one step.
STEPS = 3
_APART = os.sysconf("SC_CLK_TCK") // 4
_MOST_MEMBERS = 1000
# For so many looks after it was seen last, a program may go on.
_PATIENCE = 15
# A program that ends three times while it is looked into, and never stays for it, does not do so by chance.
_MISSES = 3

Key = t.Tuple[t.Hashable, ...]


def program(process: Process) -> Key:
    """Return what is the same in all processes of a program that an account runs."""
    return ("program", *_file(process), process.users[1], process.container)


def is_fileless(process: Process) -> bool:
    """Say whether a program is in no file that it could be started from once more."""
    return process.executable_deleted or (process.status is not None and process.status.links == 0)


def _file(process: Process) -> tuple[t.Hashable, ...]:
    if process.status is not None:
        return process.status.device, process.status.inode
    return (process.executable or process.name,)


def _families(process: Process, randomised: bool) -> list[Key]:
    """Return what is the same in processes of which one comes from the other without the help of a third."""
    found: list[Key] = []
    if randomised and process.code_start > 1 and process.stack_start > 1:
        found.append(("image", *_file(process), process.code_start, process.stack_start))
    if is_fileless(process) and process.status is not None:
        found.append(("file", *_file(process)))
    return found


class _Member:
    """A process of a family. first, last: the numbers of the looks that have seen it."""

    def __init__(self, process: Process, look: int) -> None:
        self.process = process
        self.first = self.last = look


class Lineages:
    """Knows the processes of a scan by their programs. randomised: whether the kernel gives each its own addresses."""

    def __init__(self, randomised: bool) -> None:
        self._randomised = randomised
        self._look = 0
        self._families: dict[Key, dict[tuple[int, int], _Member]] = {}
        self._grown: set[Key] = set()
        self._members: dict[int, list[_Member]] = {}
        # By program or family: the last one that ended before it was judged, and how many have since one was.
        self._missed: dict[Key, Process] = {}
        self._misses: collections.Counter[Key] = collections.Counter()
        self._judged: set[Key] = set()

    def _keys(self, process: Process) -> list[Key]:
        return [program(process), *_families(process, self._randomised)]

    def look(self, there: t.Iterable[Process], listed: t.Container[int], is_over: t.Callable[[int], bool]) -> None:
        """Take those that were read anew, and the pids of all that are listed now.

        is_over: asked for a few of those, as one that has ended is listed until its parent asks for its exit code.
        """
        self._look += 1
        for pid in [pid for pid in self._members if pid not in listed]:
            del self._members[pid]
        for process in there:
            self._members[process.pid] = []
            for family in _families(process, self._randomised):
                members = self._families.setdefault(family, {})
                if len(members) < _MOST_MEMBERS:
                    members[process.key] = _Member(process, self._look)
                    self._members[process.pid].append(members[process.key])
                    if self._look > 1:
                        self._grown.add(family)
        asked = {key[0] for family in self._grown for key in self._families[family]} & set(self._members)
        for pid in filter(is_over, asked):
            del self._members[pid]
        for members_of in self._members.values():
            for member in members_of:
                member.last = self._look

    def miss(self, process: Process, is_copy: bool = False) -> None:
        """Take a process that ended before it was judged. is_copy: of one that stays."""
        for key in self._keys(process):
            earlier = self._missed.get(key)
            if not is_copy and (earlier is None or earlier.key != process.key):
                self._misses[key] += 1
            if earlier is None or earlier.started < process.started:
                self._missed[key] = process

    def judge(self, process: Process) -> None:
        """Take a process that was judged: it stands for those of its program that began before."""
        for key in self._keys(process):
            self._judged.add(key)
            if key in self._missed and self._missed[key].started <= process.started:
                del self._missed[key]
                del self._misses[key]

    def is_wanted(self, process: Process) -> bool:
        """Say whether it goes on with what ended before it was judged."""
        return any(key in self._missed for key in self._keys(process))

    def is_judged(self, process: Process) -> bool:
        """Say whether a process of the same program was judged."""
        return not self._judged.isdisjoint(self._keys(process))

    def unjudged(self) -> list[Process]:
        """Return a process of each program that went on, and of which each one ended before it was judged."""
        missed = [self._missed[key] for key, count in self._misses.items() if count >= _MISSES]
        return list({program(one): one for one in missed}.values())

    def moving(self) -> list[list[Process]]:
        """Return the processes of each program that moves, those that began one after the other, the oldest first."""
        families = (self._families[family].values() for family in self._grown)
        chains = [chain for chain in map(_chain, families) if len(chain) >= STEPS]
        # What has no file is of two families.
        by_last = {chain[-1].process.pid: chain for chain in sorted(chains, key=len)}
        return [[one.process for one in chain] for chain in by_last.values()]

    def is_open(self) -> bool:
        """Say whether a program has moved, but not often enough to tell it from a daemon that has begun.

        What moves quickly ends before it can be read in some of the looks, and may go on all the same.
        """
        return any(self._is_open(self._families[family].values()) for family in self._grown)

    def _is_open(self, members: t.Collection[_Member]) -> bool:
        chain, recent = _chain(members), self._look - _PATIENCE
        if len(chain) == 1:
            # It may have been seen for too short a time to tell one step from another.
            return any(one.first > chain[0].last and one.first >= recent for one in members)
        return 1 < len(chain) < STEPS and any(one.last >= recent for one in members)


def _chain(family: t.Collection[_Member]) -> list[_Member]:
    """Return members of which each was first seen when the one before was over; none where another one stays."""
    ordered = sorted(family, key=lambda one: one.process.started)
    chain = ordered[:1]
    for one in ordered[1:]:
        if one.first > chain[-1].last and one.process.started - chain[-1].process.started >= _APART:
            chain.append(one)
    for one in ordered:
        if sum(one.first <= step.first <= one.last for step in chain) > 1:
            return []
    return chain
