# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Memory that holds nothing but libffi's closures (closures.c of libffi).

A closure is a trampoline, and behind it addresses. Its allocator, dlmalloc, has sizes and addresses around them. Code
of anybody else among them is neither.
"""

from __future__ import annotations

import array
import re

from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan.mapped_code import contents, pointers
from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan.model import Mapping, Range
from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan.view import View

# Of x86-64: endbr64 and lea r10, which dlmalloc overwrites when a closure is freed, jmp and nop; before libffi 3.4;
# with movabs. Of AArch64: ldr x16 and adr x17, br x16, and what fills it up.
_TRAMPOLINE = re.compile(
    rb"(?:\xf3\x0f\x1e\xfa\x4c\x8d\x15\xf5\xff\xff\xff\xff\x25\x07\0\0)?\0\x0f\x1f\x80\0{4}"
    rb"|\x4c\x8d\x15\xf9\xff\xff\xff\xff\x25\x03\0\0\0\x0f\x1f\0"
    rb"|\x49\xbb[\s\S]{8}\x49\xba[\s\S]{8}[\xf8\xf9]\x49\xff\xe3"
    rb"|[\s\S]{8}\0\x02\x1f\xd6[\s\S]{4}"
)
_WORD = 8
_SIZES = 1 << 32
# As large as what libffi is believed to make.
_MOST = 4 << 20


def are_all(view: View, region: Mapping) -> bool:
    """Say whether a region has nothing but closures, sizes and addresses in memory."""
    if region.size > _MOST:
        return False
    places = pointers.Places([Range(one.start, one.end) for one in view.maps])
    data = b"".join(piece for _address, piece in contents.pieces(view, region, 0))
    words = array.array("Q", _without_trampolines(data[: len(data) // _WORD * _WORD]))
    return all(word < _SIZES or places.number(word) is not None for word in words)


def _without_trampolines(data: bytes) -> bytes:
    def blank(match: re.Match[bytes]) -> bytes:
        return bytes(len(match.group())) if match.start() % _WORD == 0 else match.group()

    return _TRAMPOLINE.sub(blank, data)
