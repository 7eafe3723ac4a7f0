# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which process is which: what was executed under a process id, and by whom, from the events of a log.

A process that forks without executing is not in the log; its children's parent is then unknown, or known from another
event of it. A process id that is used again is the new process as soon as that executes.
"""

from __future__ import annotations

import itertools
import typing as t

_MOST = 16_000
# What the next run has to know; older processes are mostly over.
_MOST_KEPT = 5_000
_MOST_BYTES = 2_048
_LEVELS = 4
_PARTS = 4
# Of ancestors. Each keeps the one above it in memory, and an attacker may start programs from each other for hours.
_MOST_DEPTH = 16


class Process:
    """A program that was executed. exe and arguments: as in the log; the latter of EXECVE, or of PROCTITLE.

    original: the name that was executed, for a script the script's; as in a PATH record, absolute if that is known.
    facts, above: what rules make of it, and of it and all above it, as the parent of others (``candidates``); None
    where nobody asked yet.
    """

    __slots__ = ("above", "arguments", "depth", "exe", "facts", "original", "parent", "pid")

    def __init__(
        self, pid: bytes, exe: bytes, arguments: bytes, original: bytes, parent: Process | None, depth: int
    ) -> None:
        self.pid = pid
        self.exe = exe
        self.arguments = arguments
        self.original = original
        self.parent = parent
        self.depth = depth
        self.facts: t.Any = None
        self.above: int | None = None

    def __reduce__(self) -> tuple[t.Any, ...]:
        return Process, (self.pid, self.exe, self.arguments, self.original, self.parent, self.depth)


class Processes:
    """The table, by process id; the oldest are forgotten."""

    def __init__(
        self, kept: t.Sequence[t.Sequence[t.Any]] = (), most: int = _MOST, most_kept: int = _MOST_KEPT
    ) -> None:
        """kept: as ``state`` returned it. most, most_kept: how many processes are known, and kept for the next run."""
        self._most, self._most_kept = most, most_kept
        self._known: dict[bytes, Process] = {}
        # Asked for with each event, so without a step between.
        self.get: t.Callable[[bytes], Process | None] = self._known.get
        for entry in kept:
            process = _restored(entry)
            if process is not None:
                self._known[process.pid] = process

    def become(self, other: Processes) -> None:
        """Be the table of another host from now on: what either is told, the other knows."""
        self.__dict__ = other.__dict__

    def copy(self) -> dict[bytes, Process]:
        return dict(self._known)

    def restore(self, copied: t.Mapping[bytes, Process]) -> None:
        """Let the table be as it was when it was copied."""
        self._known.clear()
        self._known.update(copied)

    def state(self) -> list[t.Any]:
        return [_kept(process) for process in list(self._known.values())[-self._most_kept :]]

    def executed(self, pid: bytes, ppid: bytes, exe: bytes, arguments: bytes, original: bytes) -> None:
        """Note that a process executed a program; its parent is who the table says now."""
        known = self._known
        if pid in known:
            del known[pid]
        elif len(known) >= self._most:
            # Many at once: to find the first of a dictionary takes long when others before it were deleted.
            for oldest in list(itertools.islice(known, self._most // 8)):
                del known[oldest]
        parent = known.get(ppid)
        depth = 0
        if parent is not None:
            depth = parent.depth + 1
            if depth >= _MOST_DEPTH:
                parent = Process(parent.pid, parent.exe, parent.arguments, parent.original, None, 0)
                depth = 1
        known[pid] = Process(pid, exe, arguments[:_MOST_BYTES], original, parent, depth)

    def seen(self, pid: bytes, ppid: bytes, exe: bytes, title: bytes) -> None:
        """Note a process that did something, if it is not known."""
        if pid not in self._known:
            self.executed(pid, ppid, exe, title, b"")


def _kept(process: Process | None) -> list[t.Any]:
    levels: list[str] = []
    while process is not None and len(levels) < _LEVELS * _PARTS:
        levels += [part.decode("latin-1") for part in (process.pid, process.exe, process.arguments, process.original)]
        process = process.parent
    return levels


def _restored(levels: t.Sequence[str]) -> Process | None:
    process = None
    for start in range(len(levels) - _PARTS, -1, -_PARTS):
        pid, exe, arguments, original = (part.encode("latin-1") for part in levels[start : start + _PARTS])
        process = Process(pid, exe, arguments, original, process, 0 if process is None else process.depth + 1)
    return process
