# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The clocks of a host: the one that people read, and the one that nobody can set."""

from __future__ import annotations

import dataclasses
import time

from ansible_collections.bulwark.servers.plugins.module_utils._argspec import HostError

_BOOT_ID = "/proc/sys/kernel/random/boot_id"


@dataclasses.dataclass(frozen=True)
class Now:
    """One moment. wall: seconds since the epoch. since_boot: of CLOCK_BOOTTIME. boot: which boot that is."""

    wall: float
    since_boot: float
    boot: str


def now() -> Now:
    """Return the present moment; raise HostError where the kernel doesn't say which boot it is."""
    try:
        with open(_BOOT_ID, encoding="ascii") as stream:
            boot = stream.read(64).strip()
    except OSError as error:
        raise HostError(
            "%s can't be read (%s), so it isn't known whether this host was booted since: mount /proc"
            % (_BOOT_ID, error.strerror)
        ) from error
    return Now(time.time(), time.clock_gettime(time.CLOCK_BOOTTIME), boot)
