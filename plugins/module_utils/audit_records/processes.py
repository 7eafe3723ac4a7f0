# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which process is which: what was executed under a process id, and by whom, from the events of a log.

A process that forks without executing is not in the log; its children's parent is then unknown, or known from another
event of it. A process id that is used again is the new process as soon as that executes.

A process listens when it binds to a port, or was listening when the look began (``running``). What it forks listens,
too. The kernel attests all of it: no name and no text makes a process a listener, or hides that it is.
"""

from __future__ import annotations

import itertools
import typing as t

_MOST = 16_000
# What the next run has to know; older processes are mostly over.
_MOST_KEPT = 5_000
_MOST_BYTES = 2_048
_LEVELS = 4
# Of state that an earlier version wrote: a flat list, without session and port.
_FORMER_PARTS = 4
# Listening processes are forgotten after all others. So many programs listen on no server, and an intruder's don't
# push out those that do: what listens now is known without the log.
_MOST_LISTENING = 1_000
_MOST_SESSIONS = 2_000
# It starts everything, and holds the sockets of what it starts when a connection comes.
_INIT = b"1"
# Of ancestors. Each keeps the one above it in memory, and an attacker may start programs from each other for hours.
_MOST_DEPTH = 16


class Process:
    """A program that was executed. exe and arguments: as in the log; the latter of EXECVE, or of PROCTITLE.

    original: the name that was executed, for a script the script's; as in a PATH record, absolute if that is known.
    session: its login session's number as in the log, b"" where the log has none. listens: whether it has a port.
    likely: of an unknown one (``unknown``), whom it was probably forked from; never more than an explanation.
    facts, above: what rules make of it, and of it and all above it, as the parent of others; None where nobody asked
    yet. epoch: of the table, when facts were made. programs: its own and those above it, as
    ``views`` makes them; None where nobody asked yet.
    """

    __slots__ = (
        "above",
        "arguments",
        "depth",
        "epoch",
        "exe",
        "facts",
        "likely",
        "listens",
        "original",
        "parent",
        "pid",
        "programs",
        "session",
    )

    def __init__(
        self,
        pid: bytes,
        exe: bytes,
        arguments: bytes,
        original: bytes,
        parent: Process | None,
        depth: int,
        session: bytes = b"",
        listens: bool = False,
    ) -> None:
        self.pid = pid
        self.exe = exe
        self.arguments = arguments
        self.original = original
        self.parent = parent
        self.depth = depth
        self.session = session
        self.listens = listens
        self.likely: Process | None = None
        self.facts: t.Any = None
        self.epoch = -1
        self.above: int | None = None
        self.programs: tuple[str, ...] | None = None

    def __reduce__(self) -> tuple[t.Any, ...]:
        parts = (self.pid, self.exe, self.arguments, self.original, self.parent, self.depth, self.session, self.listens)
        return _process, (*parts, self.likely)

    def without_ancestors(self) -> Process:
        """Return the same without those above it, but for the nearest that listens: nobody hides a server by depth."""
        above = None if self.listens else listener(self.parent, self.session)
        kept = None if above is None else above._with(None, 0)
        return self._with(kept, 0 if kept is None else 1)

    def _with(self, parent: Process | None, depth: int) -> Process:
        return Process(self.pid, self.exe, self.arguments, self.original, parent, depth, self.session, self.listens)


def _process(*parts: t.Any) -> Process:
    process = Process(*parts[:-1])
    process.likely = parts[-1]
    return process


def ancestors(process: Process | None) -> t.Iterator[Process]:
    """Yield a process and those above it, the nearest first, as far as they are known."""
    while process is not None:
        yield process
        process = process.parent


def listener(parent: Process | None, session: bytes) -> Process | None:
    """Return the nearest process from the parent on upwards that listens, in the same login session.

    Who signs in gets a session of their own, so that the SSH server is above nobody's shell.
    """
    while parent is not None and parent.session == session:
        if parent.listens:
            return parent
        parent = parent.parent
    return None


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
        # Another one when what follows from the ancestors of a process may be something else.
        self.epoch = 0
        self._listening: dict[bytes, Process] = {}
        self._running: dict[bytes, bytes] = {}
        # By session: who executed something last, of those whose parent is known.
        self._latest: dict[bytes, Process] = {}
        for entry in kept:
            process = _restored(entry)
            if process is not None:
                self._known[process.pid] = process
                if process.listens:
                    self._listen(process)

    def become(self, other: Processes) -> None:
        """Be the table of another host from now on: what either is told, the other knows."""
        self.__dict__ = other.__dict__

    def state(self) -> list[t.Any]:
        recent = dict(list(self._known.items())[-self._most_kept :])
        levels: dict[Process, list[t.Any]] = {}
        return [_kept(process, levels) for process in {**self._listening, **recent}.values()]

    def run(self, running: t.Iterable[Process]) -> None:
        """Take in the processes that run now, those whose programs were executed before the log begins among them."""
        for process in running:
            known = self._known.get(process.pid)
            if process.listens:
                self._running[process.pid] = process.exe
            if known is None:
                self._known[process.pid] = process
            elif process.listens and known.exe == process.exe:
                self.epoch += 1
                known.listens = True
            else:
                continue
            if process.listens:
                self._listen(known or process)

    def starter(self, pid: bytes, ppid: bytes) -> Process | None:
        """Return who started the program that a process executes now.

        A listening process that executes another program itself, as what was injected into it does, has started that.
        """
        before = self._known.get(pid)
        return before if before is not None and before.listens else self._known.get(ppid)

    def unknown(self, ppid: bytes, session: bytes) -> Process:
        """Return a parent that is in no record, as it only forked, such as a shell that runs a pipe in parentheses.

        It is of the same session, and mostly a fork of what started programs there just before.
        """
        process = Process(ppid, b"", b"", b"", None, 0, session)
        process.likely = self._latest.get(session)
        return process

    def executed(
        self, pid: bytes, parent: Process | None, exe: bytes, arguments: bytes, original: bytes, session: bytes
    ) -> None:
        """Note that a process executed a program. parent: as ``starter`` says."""
        known = self._known
        if pid in known:
            del known[pid]
        elif len(known) >= self._most:
            self._forget()
        depth = 0
        if parent is not None:
            depth = parent.depth + 1
            if depth >= _MOST_DEPTH:
                parent = parent.without_ancestors()
                depth = parent.depth + 1
        known[pid] = process = Process(pid, exe, arguments[:_MOST_BYTES], original, parent, depth, session)
        if depth:
            if len(self._latest) >= _MOST_SESSIONS:
                self._latest.clear()
            self._latest[session] = process
        if pid in self._listening:
            del self._listening[pid]
        if self._running.get(pid) == exe:
            self._listen(process)

    def seen(self, pid: bytes, ppid: bytes, exe: bytes, title: bytes, session: bytes) -> None:
        """Note a process that did something, if it is not known."""
        if pid in self._known:
            return
        parent = self._known.get(ppid)
        self.executed(pid, parent, exe, title, b"", session)
        # It was forked, with the sockets of its parent.
        if parent is not None and parent.listens and parent.exe == exe:
            self._listen(self._known[pid])

    def listens(self, pid: bytes) -> None:
        """Note that a process has a port."""
        process = self._known.get(pid)
        if process is not None and not process.listens:
            self.epoch += 1
            self._listen(process)

    def _listen(self, process: Process) -> None:
        if process.pid == _INIT:
            return
        process.listens = True
        self._listening[process.pid] = process
        if len(self._listening) > _MOST_LISTENING:
            del self._listening[next(iter(self._listening))]

    def _forget(self) -> None:
        # Many at once: to find the first of a dictionary takes long when others before it were deleted.
        known, listening = self._known, self._listening
        for oldest in list(itertools.islice(known, self._most // 8)):
            process = known.pop(oldest)
            if listening.get(oldest) is process:
                known[oldest] = process


def _kept(process: Process, known: dict[Process, list[t.Any]]) -> list[t.Any]:
    """known: levels that were made before; most processes have those above them in common."""
    kept = list(itertools.islice(ancestors(process), _LEVELS))
    if not any(level.listens for level in kept):
        above = listener(kept[-1].parent, kept[-1].session)
        if above is not None:
            kept.append(above)
    for level in kept:
        if level not in known:
            known[level] = _level(level)
    return [known[level] for level in kept]


def _level(process: Process) -> list[t.Any]:
    parts = (process.pid, process.exe, process.arguments, process.original, process.session)
    return [*(part.decode("latin-1") for part in parts), process.listens]


def _restored(entry: t.Sequence[t.Any]) -> Process | None:
    levels = entry
    if entry and isinstance(entry[0], str):
        levels = [entry[start : start + _FORMER_PARTS] for start in range(0, len(entry), _FORMER_PARTS)]
    process = None
    for level in reversed(levels):
        pid, exe, arguments, original = (part.encode("latin-1") for part in level[:_FORMER_PARTS])
        session, listens = (level[4].encode("latin-1"), bool(level[5])) if len(level) > _FORMER_PARTS else (b"", False)
        depth = 0 if process is None else process.depth + 1
        process = Process(pid, exe, arguments, original, process, depth, session, listens)
    return process
