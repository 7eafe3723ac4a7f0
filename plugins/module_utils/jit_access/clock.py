# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The clocks of a host: the one that people read, and the one that nobody can set."""

from __future__ import annotations

import dataclasses
import time

from ansible_collections.bulwark.servers.plugins.module_utils._argspec import HostError

_BOOT_ID = "/proc/sys/kernel/random/boot_id"
# A container is booted without its kernel; then its first process is another one.
_FIRST = "/proc/1/stat"
_STARTED = 19  # of the fields after the name, in clock ticks since the kernel was booted: proc_pid_stat(5)
_UPTIME = "/proc/uptime"


@dataclasses.dataclass(frozen=True)
class Now:
    """One moment. wall: seconds since the epoch. since_boot: of CLOCK_BOOTTIME. boot: which boot that is."""

    wall: float
    since_boot: float
    boot: str


def now() -> Now:
    """Return the present moment; raise HostError where the kernel doesn't say which boot it is."""
    boot, first = _read(_BOOT_ID).strip(), _read(_FIRST).rpartition(")")[2].split()
    return Now(time.time(), time.clock_gettime(time.CLOCK_BOOTTIME), "%s/%s" % (boot, first[_STARTED]))


def uptime() -> float:
    """Return what the host says is the time since it was booted, for those who know no other clock; HostError.

    In a container that can be the time since that was started.
    """
    return float(_read(_UPTIME).split()[0])


def _read(path: str) -> str:
    try:
        with open(path, encoding="utf-8", errors="replace") as stream:
            return stream.read(4096)
    except OSError as error:
        raise HostError(
            "%s can't be read (%s), so it isn't known whether this host was booted since: mount /proc"
            % (path, error.strerror)
        ) from error
