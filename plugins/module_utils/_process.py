# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the kernel says of a process, and signals to one process and no other.

A process id is used again, so that a signal takes the time of the process's start as well.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import stat as stat_module
import time
import typing as t

# More than any: the name in it has at most 64 bytes.
_STAT_LIMIT = 4096
_STATE, _PARENT, _FLAGS, _STARTED = 3, 4, 9, 22
# States of proc_pid_stat(5): stopped by a signal, or by who traces it.
STOPPED = frozenset("Tt")
_MOST_FILES = 4_096


class Stat(t.NamedTuple):
    """Of proc_pid_stat(5). flags: field 9. started: ticks after the boot, field 22."""

    state: str
    parent: int
    flags: int
    started: int


def stat(pid: int) -> Stat | None:
    """Return what the kernel says of a process; None when there is none of that id."""
    try:
        with open("/proc/%d/stat" % pid, "rb") as stream:
            # The name, in parentheses, may hold anything.
            fields = stream.read(_STAT_LIMIT).rpartition(b")")[2].split()
    except OSError:
        return None
    try:
        state, parent, flags, started = (fields[number - 3] for number in (_STATE, _PARENT, _FLAGS, _STARTED))
        return Stat(state.decode("ascii"), int(parent), int(flags), int(started))
    except (IndexError, ValueError):
        return None


def seconds(ticks: int) -> float:
    """Return when a process was started, in seconds since the epoch, by the clock as it is now. ticks: as of Stat."""
    return time.time() - time.clock_gettime(time.CLOCK_BOOTTIME) + ticks / os.sysconf("SC_CLK_TCK")


def written_files(pid: int) -> t.Iterator[tuple[tuple[int, int], str]]:
    """Yield the regular files that a process has open for writing: device and inode, and the link in /proc to each."""
    with contextlib.suppress(OSError), os.scandir("/proc/%d/fd" % pid) as entries:
        for _count, entry in zip(range(_MOST_FILES), entries):
            with contextlib.suppress(OSError):
                status = os.stat(entry.path)
                # proc_pid_fd(5): the rights of the link are those that the file was opened with.
                if stat_module.S_ISREG(status.st_mode) and os.lstat(entry.path).st_mode & stat_module.S_IWUSR:
                    yield (status.st_dev, status.st_ino), entry.path


def send(pid: int, started: int, number: int, wait: float = 0.0) -> bool:
    """Send a signal to the process that was started then; return whether it was still there to get it.

    wait: seconds to wait for its end. Raises OSError where the kernel does not let us.
    """
    with _held(pid) as descriptor:
        found = stat(pid)
        if found is None or found.started != started:
            return False
        try:
            if descriptor is None:
                # Python 3.8, or a kernel before 5.3.
                os.kill(pid, number)
            else:
                signal.pidfd_send_signal(descriptor, number)
        except ProcessLookupError:
            return False
        _wait(pid, started, descriptor, wait)
    return True


@contextlib.contextmanager
def _held(pid: int) -> t.Iterator[int | None]:
    """Hold on to the process that has this id now, whoever gets it later; None where that can't be done."""
    descriptor = None
    with contextlib.suppress(AttributeError, OSError):
        descriptor = os.pidfd_open(pid)
    try:
        yield descriptor
    finally:
        if descriptor is not None:
            os.close(descriptor)


def _wait(pid: int, started: int, descriptor: int | None, seconds: float) -> None:
    if descriptor is not None and seconds:
        select.select([descriptor], [], [], seconds)
        return
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        found = stat(pid)
        if found is None or found.started != started or found.state == "Z":
            return
        time.sleep(0.01)
