# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the kernel told a program when it started it (proc_pid_auxv(5), getauxval(3))."""

from __future__ import annotations

import struct

_AT_BASE, _AT_ENTRY = 7, 9


def entry(data: bytes, bits: int) -> int:
    """Return the address at which a program of 32 or 64 bits was started; 0 where that isn't told."""
    return _value(data, bits, _AT_ENTRY)


def loader(data: bytes, bits: int) -> int:
    """Return the address at which its dynamic loader lies; 0 where it has none, or that isn't told."""
    return _value(data, bits, _AT_BASE)


def _value(data: bytes, bits: int, wanted: int) -> int:
    pair = struct.Struct("=QQ" if bits == 64 else "=II")
    for kind, value in pair.iter_unpack(data[: len(data) // pair.size * pair.size]):
        if kind == wanted:
            return int(value)
    return 0
