# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How a capability uses the host: at low priority, within a time budget, with few processes."""

from __future__ import annotations

import contextlib
import ctypes
import os
import platform
import time

# ioprio_set(2); the C library has no function for it, and the number of the call depends on the architecture.
_IOPRIO_SET = {
    "x86_64": 251,
    "i686": 289,
    "i586": 289,
    "aarch64": 30,
    "riscv64": 30,
    "loongarch64": 30,
    "armv7l": 314,
    "ppc64le": 273,
    "ppc64": 273,
    "s390x": 282,
}
_WHO_PROCESS = 1

# A parameter of what runs in a scan of several capabilities: the ids of the processes that run that scan.
OWN_PROCESSES = "_own_processes"
_CLASS_IDLE = 3 << 13


class Deadline:
    """The moment after which a run stops reading. It holds across fork: the clock is the system's."""

    def __init__(self, seconds: float) -> None:
        """seconds: from now; 0 for no limit."""
        self.seconds = seconds
        self._end = time.monotonic() + seconds if seconds else None

    def passed(self) -> bool:
        return self._end is not None and time.monotonic() >= self._end

    def remaining(self, grace: float) -> float | None:
        """Return the seconds until ``grace`` seconds after the end, 0 when that is over, None without a limit."""
        return None if self._end is None else max(0.0, self._end + grace - time.monotonic())

    @property
    def reason(self) -> str:
        """Return the sentence for the coverage of what was left out."""
        return "the time budget of %g s was used up" % self.seconds


def yield_to_others() -> None:
    """Give this process and its children the lowest CPU priority and the idle I/O class, if the kernel lets us."""
    with contextlib.suppress(OSError):
        os.nice(19)
    number = _IOPRIO_SET.get(platform.machine())
    # A 32-bit program on a 64-bit kernel has that kernel's machine name and other numbers.
    if number is not None and (ctypes.sizeof(ctypes.c_long) == 8) == (
        "64" in platform.machine() or platform.machine() == "s390x"
    ):
        with contextlib.suppress(OSError):
            ctypes.CDLL(None).syscall(number, _WHO_PROCESS, 0, _CLASS_IDLE)


def worker_count(wanted: int) -> int:
    """Return how many processes to start: what is wanted, at least one and at most one for each usable processor."""
    return max(1, min(wanted, len(os.sched_getaffinity(0))))
