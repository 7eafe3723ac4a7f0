# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Find what this scan itself has just caused, so that a log that does not hold it is known to be dead.

A scan comes over SSH and becomes root with sudo: each of these programs is an ancestor of this process, and each logs
what it did. The kernel says which they are (``/proc/PID/exe``), and when each was started. A scan without any such
ancestor (a local connection, ``docker exec``, cron) causes no sign-in.
"""

from __future__ import annotations

import contextlib
import os
import time
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils import _process

# A chain is as long as people nest shells; more is a loop, or somebody's game.
_MOST_ANCESTORS = 64
# A host may have many processes.
_MOST_PROCESSES = 20_000
_ENDED = frozenset("ZXx")
# Executables that are a program by the name that they are called by.
_SEVERAL_IN_ONE = frozenset(("busybox", "toybox"))

# Programs that log each time they are started for somebody, by the name that they log with.
PROGRAMS: t.Mapping[str, str] = {
    "doas": "doas",
    "dropbear": "dropbear",
    "dropbearmulti": "dropbear",
    "login": "login",
    "sshd": "sshd",
    "sshd-session": "sshd",
    "su": "su",
    "sudo": "sudo",
}


class Process(t.NamedTuple):
    """A process. program: the file name of its executable, as the kernel has it; started: seconds since the epoch.

    key: identifies it among all processes of this host until it is booted again.
    """

    pid: int
    program: str
    started: float
    key: str


class Event(t.NamedTuple):
    """Something that this scan caused, and that is logged: by which program, in which of its processes, since when.

    pids: those of a program that may have logged it, as sshd has several for each session. started: when the first of
    them was started for this session, in seconds since the epoch. key: as ``Process`` has it.
    """

    program: str
    pids: tuple[int, ...]
    started: float
    key: str


def ancestors(pid: int | None = None) -> list[Process]:
    """Return the process and its ancestors, the nearest first. pid: None for this one."""
    now, boot = time.time(), _seconds_since_boot()
    chain: list[Process] = []
    pid = os.getpid() if pid is None else pid
    while pid > 0 and len(chain) < _MOST_ANCESTORS:
        stat = _process.stat(pid)
        if stat is None:
            break
        started = now - boot + stat.started / os.sysconf("SC_CLK_TCK")
        chain.append(Process(pid, _program(pid), started, "%d-%d" % (pid, stat.started)))
        pid = stat.parent
    return chain


def events(chain: t.Sequence[Process] | None = None) -> list[Event]:
    """Return what this scan caused that is logged, the newest first. chain: as ``ancestors`` returns it."""
    chain = ancestors() if chain is None else chain
    groups: list[list[Process]] = []
    for process in chain:
        name = PROGRAMS.get(process.program)
        if name is None:
            continue
        # Neighbours of one program are one session: sudo with its monitor, sshd with the process of the account.
        if groups and PROGRAMS[groups[-1][0].program] == name:
            groups[-1].append(process)
        else:
            groups.append([process])
    return sorted((_event(group) for group in groups), key=lambda event: -event.started)


def _event(group: t.Sequence[Process]) -> Event:
    # The outermost of several may be the daemon that listens, which was started long before.
    first = group[-2] if len(group) > 1 else group[-1]
    return Event(PROGRAMS[first.program], tuple(process.pid for process in group), first.started, first.key)


def is_written(files: t.Collection[tuple[int, int]]) -> bool:
    """Say whether a running process can write to one of the files now. files: device and inode of each."""
    with contextlib.suppress(OSError):
        with os.scandir("/proc") as entries:
            numbers = [entry.name for entry in entries if entry.name.isdigit()]
        return any(_writes(int(number), files) for number in numbers[:_MOST_PROCESSES])
    return False


def _writes(pid: int, files: t.Collection[tuple[int, int]]) -> bool:
    if pid == os.getpid():
        return False
    return any(identity in files for identity, _link in _process.written_files(pid)) and _runs(pid)


def _runs(pid: int) -> bool:
    stat = _process.stat(pid)
    return stat is not None and stat.state not in _process.STOPPED | _ENDED


def _program(pid: int) -> str:
    try:
        path = os.readlink("/proc/%d/exe" % pid)
        # An upgrade replaces the files of daemons that go on running.
        name = os.path.basename(path[: -len(" (deleted)")] if path.endswith(" (deleted)") else path)
        if name not in _SEVERAL_IN_ONE:
            return name
        with open("/proc/%d/comm" % pid, "rb") as stream:
            return stream.read(64).strip().decode("utf-8", "surrogateescape")
    except OSError:
        return ""


def _seconds_since_boot() -> float:
    return time.clock_gettime(time.CLOCK_BOOTTIME)
