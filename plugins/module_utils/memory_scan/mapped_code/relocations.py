# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Relocations of ELF files: the words that the loader fills, and those that hold an address.

Nothing raises: what can't be is left out, and every number of entries has a bound.
"""

from __future__ import annotations

import array
import bisect
import sys
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan.mapped_code.elf import (
    EM_386,
    EM_AARCH64,
    EM_ARM,
    EM_X86_64,
    ET_EXEC,
    TABLE_LIMIT,
    Dynamic,
    Image,
    Read,
    entries,
)

# 2,800,000 relocations, read in parts: more than the largest browsers have.
_ALL_RELOCATIONS_LIMIT = 1 << 26
_DT_PLTRELSZ, _DT_RELA, _DT_RELASZ = 2, 7, 8
_DT_RELRSZ, _DT_RELR = 35, 36
_DT_REL, _DT_RELSZ, _DT_PLTREL, _DT_JMPREL = 17, 18, 20, 23
_REL = {32: "II", 64: "QQ"}
_RELA = {32: "IIi", 64: "QQq"}
_CODES = {32: "I", 64: "Q"}
# R_*_GLOB_DAT: the address of a symbol, in the GOT.
_GLOBAL = {EM_386: 6, EM_ARM: 21, EM_X86_64: 6, EM_AARCH64: 1025, 20: 20, 21: 20, 22: 10}
# Those that make a word an address: of a symbol (64 or 32, GLOB_DAT, JUMP_SLOT), of a place in the file (RELATIVE), or
# what a function returns (IRELATIVE), by machine as the psABIs number them. Others are offsets, modules or copies.
_ADDRESSES: t.Mapping[int, frozenset[int]] = {
    EM_386: frozenset((1, 6, 7, 8, 42)),
    EM_ARM: frozenset((2, 21, 22, 23, 160)),
    EM_X86_64: frozenset((1, 6, 7, 8, 10, 37, 38)),
    EM_AARCH64: frozenset((257, 1025, 1026, 1027, 1032)),
    20: frozenset((1, 20, 21, 22, 248)),  # PowerPC
    21: frozenset((20, 21, 22, 38, 248)),
    22: frozenset((4, 10, 11, 12, 22, 61)),  # S/390
    243: frozenset((1, 2, 3, 5, 58)),  # RISC-V
    258: frozenset((1, 2, 3, 5, 12)),  # LoongArch
}


class Relocation(t.NamedTuple):
    """A place that the loader writes: virtual address, number of the symbol, type."""

    address: int
    symbol: int
    kind: int


def read_all(image: Image, dynamic: Dynamic, read: Read) -> t.Iterator[Relocation]:
    """Yield what the loader relocates before the program starts, but for compact ones, which are of no symbol."""
    values = dynamic.values
    for layout, start, size in ((_REL, _DT_REL, _DT_RELSZ), (_RELA, _DT_RELA, _DT_RELASZ)):
        if start in values:
            yield from _relocations(image, layout, values[start], values.get(size, 0), read)


def read_jump_slots(image: Image, dynamic: Dynamic, read: Read) -> t.Iterator[Relocation]:
    """Yield the slots of the procedure linkage table, which the loader may fill when a function is first called."""
    values = dynamic.values
    if _DT_JMPREL in values:
        layout = _REL if values.get(_DT_PLTREL) == _DT_REL else _RELA
        yield from _relocations(image, layout, values[_DT_JMPREL], values.get(_DT_PLTRELSZ, 0), read)


def are_known(image: Image) -> bool:
    """Say whether it is known which relocations of its machine make a word an address."""
    return image.header.machine in _ADDRESSES


def find_addresses(image: Image, dynamic: Dynamic, read: Read, wanted: t.Collection[int]) -> set[int]:
    """Return which of some virtual addresses are of words that hold an address of code or data.

    These are relocated by the loader (elf(5), "Relocation types"), or, where a file has its place from the beginning
    (ET_EXEC), the linker has put an address into them. Everything else is a number, whatever it looks like.
    """
    found: set[int] = set()
    values, left = dynamic.values, set(wanted)
    jumps = _REL if values.get(_DT_PLTREL) == _DT_REL else _RELA
    for layouts, start, size in (
        (_REL, _DT_REL, _DT_RELSZ),
        (_RELA, _DT_RELA, _DT_RELASZ),
        (jumps, _DT_JMPREL, _DT_PLTRELSZ),
    ):
        if start in values:
            found |= _relocated(image, layouts, values[start], values.get(size, 0), read, left)
    if _DT_RELR in values:
        found |= _relocated_compactly(image, values[_DT_RELR], values.get(_DT_RELRSZ, 0), read, left)
    if image.header.kind == ET_EXEC:
        found |= {address for address in left - found if _is_linked(image, read, address)}
    return found


def _relocated(
    image: Image, layouts: t.Mapping[int, str], address: int, size: int, read: Read, wanted: t.AbstractSet[int]
) -> set[int]:
    """Return the wanted addresses that a table of relocations makes addresses; tables may have millions of entries."""
    bits, kinds = image.header.bits, _ADDRESSES.get(image.header.machine, frozenset())
    mask = 0xFFFFFFFF if bits == 64 else 0xFF
    width = len(layouts[bits])
    found: set[int] = set()
    for words in _words(image, address, size, read, width):
        if wanted.isdisjoint(words[::width]):
            continue
        pairs = zip(words[::width], words[1::width])
        found.update(place for place, info in pairs if place in wanted and info & mask in kinds)
    return found


def _relocated_compactly(image: Image, address: int, size: int, read: Read, wanted: t.AbstractSet[int]) -> set[int]:
    """Return the wanted addresses that a table of relative relocations names (DT_RELR of the gABI).

    An even entry is an address, an odd one says which of the words behind the last one are relocated, too.
    """
    word = image.header.bits // 8
    ordered, found, base = sorted(wanted), set(), 0
    for words in _words(image, address, size, read, 1):
        for entry in words:
            if not entry & 1:
                if entry in wanted:
                    found.add(entry)
                base = entry + word
                continue
            end = base + (image.header.bits - 1) * word
            for place in ordered[bisect.bisect_left(ordered, base) : bisect.bisect_left(ordered, end)]:
                distance, rest = divmod(place - base, word)
                if not rest and entry >> distance + 1 & 1:
                    found.add(place)
            base = end
    return found


def _words(image: Image, address: int, size: int, read: Read, width: int) -> t.Iterator[array.array[int]]:
    """Yield a table in parts of whole entries. width: words of an entry."""
    offset = image.offset_of(address)
    if offset is None:
        return
    entry = width * image.header.bits // 8
    part = TABLE_LIMIT // entry * entry
    for place in range(0, min(size, _ALL_RELOCATIONS_LIMIT), part):
        data = read(offset + place, min(part, size - place))
        words = array.array(_CODES[image.header.bits])
        words.frombytes(data[: len(data) // entry * entry])
        if image.header.order != ("<" if sys.byteorder == "little" else ">"):
            words.byteswap()
        yield words


def _is_linked(image: Image, read: Read, address: int) -> bool:
    """Say whether the file itself has the address of a place of its own in a word."""
    offset, size = image.offset_of(address), image.header.bits // 8
    data = read(offset, size) if offset is not None else b""
    value = int.from_bytes(data, "little" if image.header.order == "<" else "big")
    return len(data) == size and any(one.address <= value < one.address + one.memory_size for one in image.loaded)


def is_global(image: Image, relocation: Relocation) -> bool:
    """Say whether a relocation fills an entry of the GOT with the address of a symbol."""
    return relocation.kind == _GLOBAL.get(image.header.machine)


def _relocations(
    image: Image, layouts: t.Mapping[int, str], address: int, size: int, read: Read
) -> t.Iterator[Relocation]:
    offset = image.offset_of(address)
    if offset is None:
        return
    wide = image.header.bits == 64
    data = read(offset, min(size, TABLE_LIMIT))
    for words in entries(image.header.order + layouts[image.header.bits], data):
        info = words[1]
        if wide:
            yield Relocation(words[0], info >> 32, info & 0xFFFFFFFF)
        else:
            yield Relocation(words[0], info >> 8, info & 0xFF)
