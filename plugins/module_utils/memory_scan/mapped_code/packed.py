# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Programs that UPX has packed: they unpack themselves from their file into memory without one (ATT&CK T1027.002).

The file has the headers of the original program as its first packed block. What lies in memory is that program where it
begins with them, and its code is where they say. Formats: l_info, p_info and b_info of UPX's include/linux.h, and
the algorithms of UCL's n2b_d.c, n2d_d.c and n2e_d.c.
"""

from __future__ import annotations

import os
import struct

from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan.mapped_code import elf, images
from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan.model import PAGE, Range
from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan.view import View

_MARK = b"UPX!"
# The mark comes behind the headers of the file, of which there are few.
_BEGINNING = 1 << 10
_LEAST, _MOST = 64, 4096
# Methods that write bits in words of 32 (M_NRV2B_LE32 and so on of UPX's conf.h). LZMA's are not unpacked here.
_NRV2B, _NRV2D, _NRV2E = 2, 5, 8
_MOST_MAPPINGS = 4096


def code(view: View) -> list[Range]:
    """Return where the code of a program lies that its executable has packed; nothing where it isn't that one."""
    headers = _headers(view)
    image = elf.read_image(lambda place, length: headers[place : place + length]) if headers else None
    if image is None or not image.loaded:
        return []
    first = min(one.address for one in image.loaded) // PAGE * PAGE
    for mapping in view.maps[:_MOST_MAPPINGS]:
        if mapping.anonymous and mapping.readable and not mapping.path:
            present = view.pages(mapping).present
            if present and present[0].start == mapping.start and view.read(mapping.start, len(headers)) == headers:
                bias = mapping.start - first
                return [_pages(bias + one.address, one.memory_size) for one in images.code_segments(image)]
    return []


def _pages(start: int, size: int) -> Range:
    return Range(start // PAGE * PAGE, -(-(start + size) // PAGE) * PAGE)


def _headers(view: View) -> bytes:
    """Return the headers of the program that an executable has packed."""
    descriptor = view.open_executable()
    if descriptor is None:
        return b""
    try:
        read = images.reader(descriptor)
        at = read(0, _BEGINNING).find(_MARK)
        block = read(at + 20, 12) if at > 0 else b""
        if len(block) < 12:
            return b""
        size, packed, method = struct.unpack_from("<IIB", block)
        if not _LEAST <= size <= _MOST or packed > size or method not in (_NRV2B, _NRV2D, _NRV2E):
            return b""
        return _unpacked(read(at + 32, packed), size, method)
    finally:
        os.close(descriptor)


class _Bits:
    """Bits out of words of 32, among bytes. Raises IndexError or struct.error at the end."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._place = 0
        self._word = 0
        self._left = 0

    def byte(self) -> int:
        self._place += 1
        return self._data[self._place - 1]

    def bit(self) -> int:
        if not self._left:
            self._word = struct.unpack_from("<I", self._data, self._place)[0]
            self._place += 4
            self._left = 32
        self._left -= 1
        return self._word >> self._left & 1


def _unpacked(data: bytes, size: int, method: int) -> bytes:
    """Return what was packed; nothing where it is something else."""
    bits, found, last = _Bits(data), bytearray(), 1
    try:
        while len(found) < size:
            if bits.bit():
                found.append(bits.byte())
                continue
            last, length = _match(bits, last, method)
            if last <= 0 or last > len(found) or length > size:
                return b""
            for _count in range(length):
                found.append(found[-last])
    except (IndexError, struct.error):
        return b""
    return bytes(found[:size])


def _match(bits: _Bits, last: int, method: int) -> tuple[int, int]:
    """Return how far before the end what comes again begins, and its length; 0 at the end of all."""
    offset = 2 + bits.bit()
    while not bits.bit():
        offset = offset * 2 + bits.bit() if method == _NRV2B else ((offset - 1) * 2 + bits.bit()) * 2 + bits.bit()
        if offset > 1 << 24:
            return 0, 0
    longer = None
    if offset != 2:
        offset = (offset - 3) * 256 + bits.byte()
        if offset == 0xFFFFFFFF:
            return 0, 0
        if method == _NRV2B:
            last = offset + 1
        else:
            longer, last = ~offset & 1, (offset >> 1) + 1
    first = bits.bit() if longer is None else longer
    length = _length_2e(bits, first) if method == _NRV2E else _length(bits, first)
    return last, length + (last > (0xD00 if method == _NRV2B else 0x500)) + 1


def _length(bits: _Bits, first: int) -> int:
    length = first * 2 + bits.bit()
    return length or _long(bits, 1) + 2


def _length_2e(bits: _Bits, first: int) -> int:
    if first:
        return 1 + bits.bit()
    return 3 + bits.bit() if bits.bit() else _long(bits, 1) + 3


def _long(bits: _Bits, length: int) -> int:
    length = length * 2 + bits.bit()
    while not bits.bit() and length <= _MOST:
        length = length * 2 + bits.bit()
    return length
