# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Processes that run and that ran, tied together: who started whom, in which session, with which files and peers.

A process that runs comes from /proc, one that ended from audit records only. A pid is used again, so that a record
belongs to the process that had the pid at its time: since the start that the kernel knows, it is the one that runs;
before that, it is another one whenever the login session or the parent is another.
"""

from __future__ import annotations

import collections
import os
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils.audit_records import activity
from ansible_collections.bulwark.servers.plugins.module_utils.investigation import script_argument
from ansible_collections.bulwark.servers.plugins.module_utils.investigation.processes import Live

# Seconds by which a record's time and the start of its process may differ: the kernel counts starts by another clock.
SLACK = 2.0
WROTE, OPENED = "wrote", "opened"
CONNECTED, ACCEPTED, BOUND = "connected", "accepted", "bound"


class Program(t.NamedTuple):
    """An execution. exe, original: paths, the second as it was given (a script). raw: of the EXECVE record.

    directory: the current one.
    """

    time: float
    exe: bytes
    original: bytes
    raw: bytes
    directory: bytes = b""

    @property
    def arguments(self) -> bytes:
        """The arguments with a zero between them; decoded only now, as few are shown."""
        return b"\0".join(activity.raw_arguments(self.raw)) if self.raw else b""

    @property
    def script(self) -> bytes:
        """The script that an interpreter runs, b"" if none; decoded only of interpreters."""
        if not self.raw or not script_argument.is_interpreter(self.exe):
            return b""
        return script_argument.find(self.exe, activity.raw_arguments(self.raw), self.directory)


class Act(t.NamedTuple):
    """A file that was opened or written. call: the name of the system call."""

    time: float
    how: str
    path: bytes
    call: str


class Contact(t.NamedTuple):
    """A connection. how: CONNECTED, ACCEPTED or BOUND. time: None of a socket that is open now. by: audit or proc.

    address, port: of the peer, or where it is bound. local: of this end of a connection, None if unknown.
    """

    time: float | None
    how: str
    address: str
    port: int
    by: str
    protocol: str = ""
    state: str = ""
    local: tuple[str, int] | None = None


class Process:
    """A process. first, last: when it is known to have run, in seconds since the epoch; last is None while it runs.

    parent: None if unknown. ppid: its number anyway. session, login: of audit(7). live: None if it ended.
    """

    __slots__ = (
        "acts",
        "children",
        "contacts",
        "first",
        "last",
        "live",
        "login",
        "parent",
        "pid",
        "ppid",
        "programs",
        "session",
        "ticks",
        "user",
    )

    def __init__(self, pid: int, ppid: int, session: int | None, login: int | None, user: int, first: float) -> None:
        self.pid = pid
        self.ppid = ppid
        self.session = session
        self.login = login
        self.user = user
        self.first = first
        self.last: float | None = first
        self.ticks = 0
        self.live: Live | None = None
        self.parent: Process | None = None
        # Most processes have none of these, and four empty lists would take more than all else that is known of them.
        self.children: t.Sequence[Process] = ()
        self.programs: t.Sequence[Program] = ()
        self.acts: t.Sequence[Act] = ()
        self.contacts: t.Sequence[Contact] = ()

    def add(self, entry: Process | Program | Act | Contact) -> None:
        """Add a child, an execution, a file or a connection."""
        name = _ATTRIBUTES[type(entry)]
        entries = getattr(self, name)
        if isinstance(entries, list):
            entries.append(entry)
        else:
            setattr(self, name, [entry])

    @property
    def id(self) -> str:
        """The node's id; ticks after the boot, estimated from the first record for a process that ended."""
        return "process:%d@%d" % (self.pid, self.ticks)

    @property
    def exe(self) -> bytes:
        """The program that it runs, or ran last; b"" if unknown."""
        if self.live is not None and self.live.exe:
            return self.live.exe
        return self.programs[-1].exe if self.programs else b""

    @property
    def name(self) -> bytes:
        """The file name of its program, or what the kernel calls it."""
        if self.exe:
            return os.path.basename(self.exe)
        return self.live.name if self.live is not None else b""

    @property
    def arguments(self) -> bytes:
        if self.live is not None and self.live.arguments:
            return self.live.arguments
        return self.programs[-1].arguments if self.programs else b""

    @property
    def script(self) -> bytes:
        """The script that it runs, b"" if none or unknown."""
        if self.programs:
            return self.programs[-1].script
        live = self.live
        if live is None or self._is_forked(live):
            return b""
        return script_argument.find(live.exe, live.arguments.split(b"\0"))

    def _is_forked(self, live: Live) -> bool:
        """Say whether it is a copy of its parent, such as a worker of a server, and executed nothing."""
        parent = self.parent.live if self.parent is not None else None
        return parent is not None and (parent.exe, parent.arguments) == (live.exe, live.arguments)

    def executables(self) -> list[tuple[bytes, float | None]]:
        """Return the files that it executed, each once, with the time where it is known."""
        files: dict[bytes, float | None] = {}
        for program in self.programs:
            for path in (program.exe, program.original, program.script):
                if path.startswith(b"/"):
                    files.setdefault(path, program.time)
        if self.live is not None and self.live.exe.startswith(b"/"):
            files.setdefault(self.live.exe, None)
            if not self.programs and self.script:
                files.setdefault(self.script, None)
        return list(files.items())


_ATTRIBUTES = {Process: "children", Program: "programs", Act: "acts", Contact: "contacts"}


class Table:
    """All processes that are known. boot: seconds since the epoch. ended: how many do not run any more."""

    def __init__(self, live: t.Mapping[int, Live], boot: float) -> None:
        self._boot = boot
        self._hertz = os.sysconf("SC_CLK_TCK")
        self.all: list[Process] = []
        self.ended = 0
        self._current: dict[int, Process] = {}
        self._running: dict[int, Process] = {}
        for pid, entry in live.items():
            process = Process(pid, entry.parent, entry.session, entry.login, entry.user, entry.start)
            process.live, process.ticks, process.last = entry, entry.started, None
            self._running[pid] = process
            self.all.append(process)

    def seen(self, time: float, pid: int, ppid: int, session: int | None, login: int | None, user: int) -> Process:
        """Return the process that a record of a time is about. Call it in the order of the times."""
        running = self._running.get(pid)
        if running is not None and time >= running.first - SLACK:
            if running.parent is None and ppid > 1:
                # The kernel gives an orphan another parent; the record has the one that started it.
                running.parent = self.at(ppid, time)
            return running
        process = self._current.get(pid)
        if process is None or process.session != session or (process.ppid != ppid and ppid > 1):
            process = Process(pid, ppid, session, login, user, time)
            process.ticks = round((time - self._boot) * self._hertz)
            process.parent = self.at(ppid, time)
            self._current[pid] = process
            self.all.append(process)
            self.ended += 1
        process.last = time
        process.user = user
        return process

    def at(self, pid: int, time: float) -> Process | None:
        """Return the process that had a pid at a time, as far as the table was filled."""
        running = self._running.get(pid)
        if running is not None and time >= running.first - SLACK:
            return running
        return self._current.get(pid)

    def running(self, pid: int) -> Process | None:
        return self._running.get(pid)

    def forget(self, count: int, stays: t.Callable[[Process], bool]) -> list[Process]:
        """Remove the oldest of the processes that ended, at most so many, and return them. stays: which must not go."""
        gone: dict[int, Process] = {}
        for process in self.all:
            if len(gone) >= count:
                break
            if process.live is None and not stays(process):
                gone[id(process)] = process
        self.all = [process for process in self.all if id(process) not in gone]
        self._current = {pid: process for pid, process in self._current.items() if id(process) not in gone}
        self.ended -= len(gone)
        return list(gone.values())

    def finish(self) -> None:
        """Tie parents and children together, once all records were seen."""
        for process in self._running.values():
            if process.parent is None:
                process.parent = self._starter(process)
        for process in self.all:
            if process.parent is not None and process.parent is not process:
                process.parent.add(process)

    def _starter(self, process: Process) -> Process | None:
        """Return the parent, or the leader of its session if it is an orphan, which init adopted."""
        live = process.live
        parent = self._running.get(process.ppid)
        if live is None or process.ppid != 1 or live.sid in (0, process.pid):
            return parent
        leader = self._running.get(live.sid)
        return leader if leader is not None and leader.first <= process.first else parent

    def by_pid(self) -> dict[int, list[Process]]:
        """Return all processes that had each pid, in the order of their beginnings."""
        known: dict[int, list[Process]] = collections.defaultdict(list)
        for process in sorted(self.all, key=lambda each: each.first):
            known[process.pid].append(process)
        return known
