# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Collecting all processes: what /proc says of each, without a look into its memory."""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
import os
import time
import types
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils import _proc_status, _procfs, _safe_fs
from ansible_collections.bulwark.servers.plugins.module_utils._proc_status import Stat, Status
from ansible_collections.bulwark.servers.plugins.module_utils._run import Deadline
from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan import blocked
from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan.model import (
    MEMORY,
    PF_KTHREAD,
    FileStatus,
    Process,
)
from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan.proc import details, listing, uncovered
from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan.proc.details import Details
from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan.proc.mounts import Mounts
from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan.progress import SCAN, Lost, Progress, nothing

MOST_PROCESSES = 65_536
_MOST_STATUS = 1 << 20  # 65,536 supplementary groups take 720 kB
_MOST_THREADS = 4096
_MOST_PINNED = 64
_TRIES = 3
_PAUSE = 0.001
# That finding further processes that hold others up may take.
_SECONDS_BLOCKED = 15.0
# States of which there is nothing left but the exit code.
ENDED_STATES = frozenset("XZ")


class Collected(t.NamedTuple):
    """processes: by pid. skipped: what is not among them, and why. mounts, root: for those who read them further.

    ended: how many were listed and had ended before they could be read. pinned: by device and inode, descriptors of
    executables that have no name any more, which stay readable when their processes end.
    """

    processes: dict[int, Process]
    skipped: list[tuple[str, str]]
    mounts: Mounts
    root: str
    ended: int = 0
    pinned: t.Mapping[tuple[int, int], int] = types.MappingProxyType({})


def collect(
    deadline: Deadline | None = None,
    root: str | None = None,
    most: int = MOST_PROCESSES,
    chosen: t.Collection[int] | None = None,
    progress: Progress = nothing,
    lost: t.Mapping[int, Lost] = types.MappingProxyType({}),
    known: t.Container[int] = (),
    collector: Collector | None = None,
) -> Collected:
    """Return the processes that there are, without those that end meanwhile. OSError where there is no /proc.

    The newest come first: they are the first to end. root: where proc(5) is mounted, if it isn't where it always is.
    chosen: only these pids, those that trace them, and those that they come from. progress: is told which is read.
    lost: by pid, what can't be read of them, or not at all. known: pids that are not read unless they are chosen.
    collector: to read with, which is then left open.
    """
    skipped: list[tuple[str, str]] = []
    found: dict[int, Process] = {}
    tried: set[int] = set()
    ended = 0
    own = collector is None
    collector = collector or Collector(uncovered.root() if root is None else root)
    try:
        progress(SCAN)
        waiting = collector.newest_last(collector.pids() if chosen is None else chosen)
        if len(waiting) > most:
            skipped.append(("processes", "there are %d, and only %d are read" % (len(waiting), most)))
            del waiting[: len(waiting) - most]
        collector.refused.update(_refused(collector, waiting, lost))
        while waiting:
            if deadline is not None and deadline.passed():
                skipped.append(("processes", "%d were not read: %s" % (len(waiting), deadline.reason)))
                break
            pid = waiting.pop()
            if pid in tried:
                continue
            tried.add(pid)
            if pid in lost and lost[pid].entirely:
                skipped.append(("process %d" % pid, lost[pid].reason))
                continue
            progress(pid)
            try:
                process = collector.read(pid)
            except OSError as error:
                skipped.append(("process %d" % pid, _safe_fs.reason(error)))
                continue
            if process is None:
                ended += 1
            else:
                found[pid] = process
                # Who traces one may have begun after the pids were listed.
                further = [process.tracer if chosen is None or pid in chosen else 0]
                further.append(process.parent if chosen is not None else 0)
                waiting.extend(other for other in further if other and other not in tried and other not in known)
    finally:
        if own:
            collector.close()
    return Collected(found, skipped, collector.mounts, collector.path, ended, collector.pinned)


def _refused(collector: Collector, pids: t.Sequence[int], lost: t.Mapping[int, Lost]) -> dict[int, str]:
    """Return of which processes the memory is not to be asked for, and why, where it is known that there are some."""
    refused = {pid: one.reason for pid, one in lost.items() if pid > 0}
    if refused:
        rest = [pid for pid in pids if pid not in refused]
        refused.update(dict.fromkeys(collector.blocked(rest), "reading it blocks in the kernel"))
    return refused


class Collector:
    """Reads processes one by one. root: where proc(5) is mounted.

    refused: by pid, why nothing is asked for that is read under the lock of its memory.
    """

    def __init__(self, root: str = "/proc") -> None:
        self.path = root
        self._root = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        self.mounts = Mounts()
        self._details = Details(self.mounts)
        self.refused: dict[int, str] = {}
        self.pinned: dict[tuple[int, int], int] = {}

    def close(self) -> None:
        os.close(self._root)

    def pids(self) -> set[int]:
        """Return the pids that are listed, also those that only the kernel lists."""
        return {int(name) for name in os.listdir(self._root) if name.isdigit()} | listing.by_system_call(self._root)

    def newest_last(self, pids: t.Iterable[int]) -> list[int]:
        """Return pids by age: the kernel gives them one after the other, and begins again at the highest."""
        last, highest = 0, listing.MOST_PID
        with contextlib.suppress(OSError, ValueError, IndexError):
            last = int(_procfs.once(b"loadavg", self._root).split()[-1])
        return sorted(pids, key=lambda pid: (last - pid) % highest, reverse=True)

    def blocked(self, pids: t.Iterable[int]) -> set[int]:
        """Return of which processes the memory can't be asked for; for who ends soon, as something keeps waiting."""
        return blocked.find(pids, self._root, _SECONDS_BLOCKED)

    def read(self, pid: int) -> Process | None:
        """Return a process; None where it has ended, or is a thread of another. OSError where it can't be read."""
        try:
            directory = _procfs.open_process(self._root, pid)
            try:
                return self._consistent(pid, directory)
            finally:
                os.close(directory)
        except OSError as error:
            if error.errno in details.ENDED:
                return None
            raise

    def _consistent(self, pid: int, directory: int) -> Process | None:
        """Read it again when it began to run another program meanwhile."""
        process = None
        for _try in range(_TRIES):
            first = read_stat(directory)
            process = self._read(pid, directory, first)
            if process is None or (_is_settled(first) and read_stat(directory).image == first.image):
                return process
            time.sleep(_PAUSE)
        if process is None:
            return None
        reason = "it began to run other programs while it was read, %d times" % _TRIES
        return dataclasses.replace(process, unreadable={**process.unreadable, "process": reason})

    def _read(self, pid: int, directory: int, first: Stat) -> Process | None:
        leader = read_status(directory)
        if leader.leader not in (0, pid):
            return None
        if first.state in ENDED_STATES and first.threads > 1:
            thread = living_thread(self._root, directory, pid)
            if thread is not None:
                try:
                    state, here = read_stat(thread).state, read_status(thread)
                    return self._described(pid, thread, first._replace(state=state), here._replace(pids=leader.pids))
                finally:
                    os.close(thread)
        return self._described(pid, directory, first, leader)

    def _described(self, pid: int, directory: int, numbers: Stat, here: Status) -> Process:
        """Return the process; directory: its own, or that of one of its threads where the first one has ended."""
        read, unreadable = self._details, t.cast("dict[str, str]", {})
        namespaces = read.namespaces(directory, unreadable)
        self.mounts.add(namespaces.get("mnt", 0), directory)
        # Neither a kernel thread nor what has ended has memory or open files.
        empty = numbers.state in ENDED_STATES or bool(numbers.flags & PF_KTHREAD)
        group = read.group(directory, unreadable)
        path, deleted = read.link(b"exe", "executable", directory, unreadable)
        standing = None if path is None and empty else read.status(directory, unreadable)
        if standing is not None and (deleted or not standing.links):
            self._pin(directory, standing)
        if not empty and pid in self.refused:
            unreadable[MEMORY] = self.refused[pid]
        no_memory = empty or MEMORY in unreadable
        return Process(
            pid=pid,
            started=numbers.started,
            name=read.same(numbers.name),
            state=numbers.state,
            parent=numbers.parent,
            session=numbers.session,
            flags=numbers.flags,
            threads=numbers.threads,
            users=read.same(here.users),
            groups=read.same(here.groups),
            capabilities=read.same(here.capabilities),
            no_new_privileges=here.no_new_privileges,
            seccomp=here.seccomp,
            tracer=self._whole(here.tracer),
            pids=here.pids,
            resident=here.resident,
            arguments=() if no_memory else read.arguments(directory, unreadable),
            executable=path,
            executable_deleted=deleted,
            status=standing,
            directory=None if empty else read.link(b"cwd", "directory", directory, unreadable)[0],
            cgroup=group.path,
            container=group.container,
            namespaces=namespaces,
            environment={} if no_memory else read.environment(directory, unreadable),
            files=() if empty else read.files(directory, unreadable),
            unreadable=unreadable,
            caught=here.caught,
            code_start=numbers.image[0],
            stack_start=numbers.image[1],
        )

    def _pin(self, directory: int, standing: FileStatus) -> None:
        """Keep an executable that nobody will find when its process has ended."""
        number = standing.device, standing.inode
        if number in self.pinned or len(self.pinned) >= _MOST_PINNED:
            return
        with contextlib.suppress(OSError):
            descriptor = os.open(b"exe", os.O_PATH | os.O_CLOEXEC, dir_fd=directory)
            found = os.fstat(descriptor)
            if (found.st_dev, found.st_ino) == number:
                self.pinned[number] = descriptor
            else:
                os.close(descriptor)

    def _whole(self, thread: int) -> int:
        """Return the process that a thread is of, which traces another one; the thread where that can't be asked."""
        with contextlib.suppress(OSError):
            directory = _procfs.open_process(self._root, thread) if thread else None
            if directory is not None:
                try:
                    return read_status(directory).leader or thread
                finally:
                    os.close(directory)
        return thread


def _is_settled(numbers: Stat) -> bool:
    """Say whether it runs a program, and not one that is only being loaded: of that, the beginning is not known yet."""
    return bool(numbers.image[0] or numbers.state in ENDED_STATES or numbers.flags & PF_KTHREAD)


def read_stat(directory: int) -> Stat:
    """Return the stat file of an open directory; OSError where the process has ended."""
    numbers = _proc_status.parse_stat(_procfs.once(b"stat", directory))
    if numbers is None:
        raise OSError(None, "its stat file is invalid")
    return numbers


def read_status(directory: int) -> Status:
    """Return the status file of an open directory; OSError where the process has ended."""
    status = _proc_status.parse_status(_procfs.once(b"status", directory, _MOST_STATUS))
    if status is None:
        raise OSError(None, "its status file is invalid")
    return status


def living_thread(root: int, directory: int, pid: int) -> int | None:
    """Return the directory of a thread of a process of which the first has ended; None where there is none.

    Nothing but the numbers is left of a first thread that has ended, while the others go on in its process's memory.
    """
    for name in itertools.islice(sorted(_procfs.listed(b"task", directory), key=int), _MOST_THREADS):
        try:
            thread = _procfs.open_process(root, int(name))
        except OSError:
            continue
        try:
            if int(name) != pid and read_stat(thread).state not in ENDED_STATES and read_status(thread).leader == pid:
                kept, thread = thread, -1
                return kept
        except OSError:
            continue
        finally:
            if thread >= 0:
                os.close(thread)
    return None
