# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Leases on files (fcntl(2), F_SETLEASE), with which any account can have fapolicyd wait, and everybody for it.

The daemon opens what it is asked about, and the kernel has it wait until the lease of a file's owner is given back, for
``fs.lease-break-time`` (45 s) at most. Then there is the next file.
"""

from __future__ import annotations

_ENABLED = "/proc/sys/fs/leases-enable"
NOTE = "any account can have everybody wait by leases on its files, unless the sysctl fs.leases-enable is 0"


def are_possible() -> bool:
    """Say whether accounts can have leases (proc_sys_fs(5)); so it is where that can't be read."""
    try:
        with open(_ENABLED, "rb") as stream:
            return stream.read(8).strip() != b"0"
    except OSError:
        return True
