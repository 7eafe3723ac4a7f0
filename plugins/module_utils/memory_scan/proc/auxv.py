# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the kernel told a program when it started it (proc_pid_auxv(5), getauxval(3))."""

from __future__ import annotations

import struct

_AT_ENTRY = 9


def entry(data: bytes, bits: int) -> int:
    """Return the address at which a program of 32 or 64 bits was started; 0 where that isn't told."""
    pair = struct.Struct("=QQ" if bits == 64 else "=II")
    for kind, value in pair.iter_unpack(data[: len(data) // pair.size * pair.size]):
        if kind == _AT_ENTRY:
            return int(value)
    return 0
