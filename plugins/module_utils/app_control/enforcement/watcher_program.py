# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Kills fapolicyd when it hangs, which frees everything that waits for it: the program of a unit of the host.

Arguments: the file that fapolicyd runs, a file on a file system that it watches, and seconds. Twice in that time a
child opens the second file. When that takes so long and fapolicyd has used no processor time meanwhile, fapolicyd is
killed; when it has used some, as under load, it gets ten times as long. The unit starts it again or not, as its
``Restart`` says.

The program opens and executes nothing itself while it waits; only what the kernel shows in /proc is opened, which
fapolicyd doesn't watch. It imports nothing of the collection, as it runs without it.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import sys
import time
import typing as t

Identity = t.Tuple[int, int]

_MCL_CURRENT_AND_FUTURE = 3
_PAUSE = 0.05
# A share of the time: the stamps of a daemon that only waits are rounded.
_IDLE = 0.05
_PATIENCE = 10
_SECONDS_TO_END = 2.0
# proc_pid_stat(5): utime and stime.
_TIMES = slice(14 - 3, 16 - 3)
_LARGEST_STAT = 4096


class Watcher:
    """executable: of fapolicyd; probe: a file that it decides about; seconds: that it may take for that."""

    def __init__(self, executable: str, probe: str, seconds: float) -> None:
        self._executable = executable
        self._probe = probe
        self._seconds = seconds
        self._processes = os.open("/proc", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        # Of an upgrade's old and new daemon.
        self._files: list[Identity] = []
        # Of each daemon, what it is asked for its processor time by.
        self._stats: dict[int, int] = {}

    def look(self) -> bool:
        """Probe once; return whether fapolicyd was killed."""
        try:
            child = os.fork()
        except OSError:
            return False
        if child == 0:
            _open(self._probe)
        begin, used = time.monotonic(), self._used()
        while not _has_ended(child):
            waited = time.monotonic() - begin
            is_idle = self._used() - used < waited * _IDLE
            if waited >= self._seconds * (1 if is_idle else _PATIENCE) and self._kill():
                os.kill(child, signal.SIGKILL)
                _await(child)
                return True
            time.sleep(_PAUSE)
        self._remember()
        return False

    def _remember(self) -> None:
        """Note who is to be killed, while everything works."""
        identity = _identity(self._executable)
        if identity is not None and identity not in self._files:
            self._files = [*self._files[-1:], identity]
        running = self._running()
        for process in set(self._stats) - set(running):
            os.close(self._stats.pop(process))
        for process in set(running) - set(self._stats):
            with contextlib.suppress(OSError):
                self._stats[process] = os.open("/proc/%d/stat" % process, os.O_RDONLY | os.O_CLOEXEC)

    def _running(self) -> list[int]:
        os.lseek(self._processes, 0, os.SEEK_SET)
        names = [name for name in os.listdir(self._processes) if name.isdigit()]
        return [int(name) for name in names if _identity(name + "/exe", self._processes) in self._files]

    def _used(self) -> float:
        """Return the seconds of processor time that the daemons have used."""
        ticks = 0
        for descriptor in self._stats.values():
            with contextlib.suppress(OSError):
                fields = os.pread(descriptor, _LARGEST_STAT, 0).rpartition(b")")[2].split()
                ticks += sum(map(int, fields[_TIMES]))
        return ticks / os.sysconf("SC_CLK_TCK")

    def _kill(self) -> bool:
        killed = self._running()
        for process in killed:
            with contextlib.suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)
        return bool(killed)


def _open(path: str) -> t.NoReturn:
    """Be the probe."""
    with contextlib.suppress(BaseException):
        os.open(path, os.O_RDONLY)
    os._exit(0)  # pylint: disable=protected-access; os documents it


def _has_ended(child: int) -> bool:
    return os.waitpid(child, os.WNOHANG)[0] != 0


def _await(child: int) -> None:
    end = time.monotonic() + _SECONDS_TO_END
    while not _has_ended(child) and time.monotonic() < end:
        time.sleep(_PAUSE)


def _identity(path: str, directory: int | None = None) -> Identity | None:
    try:
        status = os.stat(path, dir_fd=directory)
    except OSError:
        return None
    return status.st_dev, status.st_ino


def main() -> None:
    executable, probe, seconds = sys.argv[1:]
    ctypes.CDLL(None).mlockall(_MCL_CURRENT_AND_FUTURE)
    watcher = Watcher(executable, probe, float(seconds))
    while True:
        if watcher.look():
            os.write(2, b"fapolicyd hung, and everything waited for it: it was killed\n")
        time.sleep(float(seconds) / 2)


if __name__ == "__main__":
    main()
