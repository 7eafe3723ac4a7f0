# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Signals to one process and no other: a process id is used again, so it takes the time of its start as well."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import time
import typing as t

# More than any: the name in it has at most 64 bytes.
_STAT_LIMIT = 4096
_STATE, _PARENT, _FLAGS, _STARTED = 3, 4, 9, 22


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
