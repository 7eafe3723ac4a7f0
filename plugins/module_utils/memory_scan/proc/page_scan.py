# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ask the kernel which pages of a process are in memory by the ioctl PAGEMAP_SCAN (Linux 6.7)."""

from __future__ import annotations

import array
import fcntl
import os
import struct
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan.proc import pagemap

PAGE_SIZE = os.sysconf("SC_PAGE_SIZE")

# _IOWR('f', 16, struct pm_scan_arg) of linux/fs.h.
_PAGEMAP_SCAN = 0xC0606610
_SCAN = struct.Struct("=12Q")
_REGIONS = 4096
_WANTED = pagemap.PAGE_IS_PRESENT | pagemap.PAGE_IS_SWAPPED
_TOLD = _WANTED | pagemap.PAGE_IS_FILE | pagemap.PAGE_IS_PFNZERO


def can_scan(descriptor: int) -> bool:
    """Say whether the kernel has PAGEMAP_SCAN."""
    try:
        list(scan(descriptor, 0, PAGE_SIZE))
    except OSError:
        return False
    else:
        return True


def scan(descriptor: int, start: int, end: int) -> t.Iterator[pagemap.Region]:
    """Yield what PAGEMAP_SCAN says of addresses; OSError as it comes."""
    # Of most mappings there can't be many: no more than pages.
    room = max(1, min(_REGIONS, (end - start) // PAGE_SIZE))
    found = array.array("Q", bytes(room * 24))
    address, _length = found.buffer_info()
    while start < end:
        request = bytearray(_SCAN.pack(_SCAN.size, 0, start, end, 0, address, room, 0, 0, 0, _WANTED, _TOLD))
        count = fcntl.ioctl(descriptor, _PAGEMAP_SCAN, request, True)
        for place in range(0, count * 3, 3):
            yield pagemap.Region(found[place], found[place + 1], found[place + 2])
        walked: int = _SCAN.unpack(request)[4]
        if walked <= start:
            return
        start = walked
