# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ways to learn which pids there are, so that one that lies can be told by the others.

A library that is preloaded into every program leaves entries out of what the C library lists; a changed kernel leaves
them out of the directory; both forget the control groups and the system calls that take any pid as a rule.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import platform
import random
import struct
import time
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils import _procfs
from ansible_collections.bulwark.servers.plugins.module_utils._mountinfo import own_file_systems

# getdents64(2): the C library's own function for it is one that can be replaced.
_GETDENTS64 = {"x86_64": 217, "aarch64": 61, "riscv64": 61, "loongarch64": 61, "ppc64le": 202, "s390x": 220}
_ENTRY = struct.Struct("=QqHB")
_BUFFER = 65_536
_MOST_GROUPS = 20_000
_MOST_GROUP = 1 << 22
_BLOCK = 4096
# proc(5), /proc/sys/kernel/pid_max: the highest that it can be.
MOST_PID = 4_194_304


def by_system_call(root: int) -> set[int]:
    """Return the pids that the kernel lists in an open /proc; none where it isn't known how to ask it there."""
    number = _GETDENTS64.get(platform.machine())
    # A 32-bit program on a 64-bit kernel has other numbers than that.
    if number is None or ctypes.sizeof(ctypes.c_long) != 8:
        return set()
    call = ctypes.CDLL(None).syscall
    descriptor = os.open(b".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=root)
    found: set[int] = set()
    try:
        buffer = ctypes.create_string_buffer(_BUFFER)
        while True:
            length = call(number, descriptor, buffer, _BUFFER)
            if length <= 0:
                return found
            found.update(parse_entries(buffer.raw[:length]))
    finally:
        os.close(descriptor)


def parse_entries(data: bytes) -> set[int]:
    """Return the names that are numbers of a buffer of struct linux_dirent64."""
    found = set()
    place = 0
    while place + _ENTRY.size < len(data):
        length = _ENTRY.unpack_from(data, place)[2]
        if length <= _ENTRY.size:
            break
        name = data[place + _ENTRY.size : place + length].partition(b"\0")[0]
        if name.isdigit():
            found.add(int(name))
        place += length
    return found


def by_control_groups(skip: t.Callable[[str], None]) -> set[int]:
    """Return the pids in all control groups of one hierarchy: each process is in one group of each."""
    hierarchies = {kind: point for point, kind in sorted(own_file_systems().items()) if kind in ("cgroup", "cgroup2")}
    point = hierarchies.get("cgroup2", hierarchies.get("cgroup"))
    if point is None:
        return set()
    found: set[int] = set()
    waiting = [point]
    for _group in range(_MOST_GROUPS):
        if not waiting:
            return found
        path = waiting.pop()
        # Groups go while they are listed; those of threads have no list of processes.
        with contextlib.suppress(OSError):
            with os.scandir(path) as entries:
                waiting.extend(entry.path for entry in entries if entry.is_dir(follow_symlinks=False))
            with open(os.path.join(path, b"cgroup.procs"), "rb") as stream:
                found.update(int(word) for word in stream.read(_MOST_GROUP).split() if word.isdigit())
    if waiting:
        skip("only the first %d control groups were searched for processes that are not listed" % _MOST_GROUPS)
    # Those that are in no namespace of ours have no number here.
    return found - {0}


def threads_of(root: int, pids: t.Iterable[int]) -> set[int]:
    """Return the numbers of all threads of processes, the first ones among them."""
    found: set[int] = set()
    for pid in pids:
        with contextlib.suppress(OSError):
            found.update(int(name) for name in _procfs.listed(b"%d/task" % pid, root))
    return found


def exists(pid: int) -> bool:
    """Say whether a process or a thread has this number, by a system call that has nothing to do with /proc."""
    try:
        os.getpgid(pid)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    else:
        return True


class Sweep:
    """Tries every number that a process can have, as far as a budget of processor time in seconds goes.

    found: numbers of processes and threads. tried: how many numbers. total: how many there are to try.
    """

    def __init__(self, seconds: float) -> None:
        self.found: set[int] = set()
        self.tried = 0
        highest, last = _numbers()
        self.total = highest - 1
        asked = ctypes.CDLL(None).getpgid
        end = time.process_time() + seconds
        for start, stop in _blocks(highest, last):
            if time.process_time() >= end:
                break
            answers = map(asked, range(start, stop))
            self.found.update(pid for pid, answer in zip(range(start, stop), answers) if answer >= 0)
            self.tried += stop - start


def _numbers() -> tuple[int, int]:
    """Return the number that pids stay below, and the one that was given last."""
    with open("/proc/sys/kernel/pid_max", encoding="ascii") as stream:
        highest = int(stream.read(20))
    with open("/proc/loadavg", encoding="ascii") as stream:
        last = int(stream.read(200).split()[-1])
    return min(highest, MOST_PID), last


def _blocks(highest: int, last: int) -> t.Iterator[tuple[int, int]]:
    """Yield all numbers in blocks: where the youngest processes are, where the oldest are, then anywhere.

    Nobody can know beforehand which numbers are left out when time runs out.
    """
    starts = list(range(1, highest, _BLOCK))
    newest = min(last // _BLOCK, len(starts) - 1)
    first = list(dict.fromkeys([newest, max(newest - 1, 0), 0, 1 % len(starts)]))
    rest = [place for place in range(len(starts)) if place not in first]
    random.shuffle(rest)
    for place in first + rest:
        yield starts[place], min(starts[place] + _BLOCK, highest)
