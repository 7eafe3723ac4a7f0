# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The id of the boot that a host runs since."""

from __future__ import annotations


def boot_id(proc: str = "/proc") -> str:
    """Return the kernel's id of this boot (random(4)). Raises OSError."""
    with open(proc + "/sys/kernel/random/boot_id", encoding="ascii") as stream:
        return stream.read(64).strip()
