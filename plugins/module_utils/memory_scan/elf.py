# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""ELF files and images as elf(5) and the gABI have them, read from bytes that may lie.

Nothing raises: what can't be is left out, and every number of entries has a bound.
"""

from __future__ import annotations

import struct
import typing as t

MAGIC = b"\x7fELF"
# Of the larger class; what is shorter is no header.
HEADER_SIZE = 64

ET_EXEC = 2
ET_DYN = 3

_CLASS = 4
_ORDER = 5
_HEADER = {32: "HHIIIIIHHHHHH", 64: "HHIQQQIHHHHHH"}
_SEGMENT_SIZE = {32: 32, 64: 56}
_ORDERS = {1: "<", 2: ">"}
_CLASSES = {1: 32, 2: 64}


class Header(t.NamedTuple):
    """The header of an ELF file.

    bits: 32 or 64. order: of bytes, as struct has it. kind: e_type. entry: virtual address. segments_at: offset of the
    program headers, of which there are ``segment_count``.
    """

    bits: int
    order: str
    kind: int
    machine: int
    entry: int
    segments_at: int
    segment_count: int


def parse_header(data: bytes) -> Header | None:
    """Return the header that ``data`` starts with, or None where there is none.

    The kernel ignores what e_ident says of class and byte order (load_elf_binary of fs/binfmt_elf.c), so that a program
    may lie there and still run. It insists on the size of a program header: that decides, and e_ident only where it
    doesn't.
    """
    if len(data) < 52 or not data.startswith(MAGIC):
        return None
    for bits, order in ((64, "<"), (64, ">"), (32, "<"), (32, ">")):
        found = _header(data, bits, order)
        if found is not None and found[8] == _SEGMENT_SIZE[bits]:
            break
    else:
        bits, order = _CLASSES.get(data[_CLASS], 0), _ORDERS.get(data[_ORDER], "")
        found = _header(data, bits, order) if bits and order else None
        if found is None:
            return None
    kind, machine, _version, entry, segments_at, _sections, _flags, _size, entry_size, count = found[:10]
    usable = entry_size == _SEGMENT_SIZE[bits]
    return Header(bits, order, kind, machine, entry, segments_at, count if usable else 0)


def _header(data: bytes, bits: int, order: str) -> tuple[int, ...] | None:
    layout = order + _HEADER[bits]
    if len(data) < 16 + struct.calcsize(layout):
        return None
    return struct.unpack_from(layout, data, 16)
