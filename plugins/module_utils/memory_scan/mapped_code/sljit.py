# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Chunks of executable memory as sljit's allocator lays them out, which PCRE and PCRE2 use (sljitExecAllocator.c).

A chunk is blocks one after the other, each with a header of two words: its size, and that of the one before. A free one
has size 0, and its real size behind two pointers; the last header has size 1. The allocator counts in a static word how
many bytes all chunks have, without their last headers.
"""

from __future__ import annotations

import struct

from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan.model import Mapping
from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan.view import View

_CHUNK = 1 << 16
_HEADER = 16
_LAST = 1
_MOST_BLOCKS = 1 << 16


def counted(view: View, region: Mapping) -> int | None:
    """Return how many bytes the allocator counts for a region of whole chunks; None where it is none of its."""
    place, before, total, begins = region.start, 0, 0, region.start
    for _block in range(_MOST_BLOCKS):
        data = view.read(place, 40)
        if len(data) < _HEADER:
            return None
        size, previous = struct.unpack_from("<QQ", data)
        if previous != before:
            return None
        place += _HEADER
        if size == _LAST:
            total += place - begins - _HEADER
            if place == region.end:
                return total
            if (place - region.start) % _CHUNK:
                return None
            # Chunks that were mapped beside each other are one mapping.
            begins, before = place, 0
            continue
        if size == 0 and len(data) == 40:
            size = struct.unpack_from("<Q", data, 32)[0]
        if size < _HEADER or place - _HEADER + size + _HEADER > region.end:
            return None
        place += size - _HEADER
        before = size
    return None
