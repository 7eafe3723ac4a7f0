# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""ELF files and images as elf(5) and the gABI have them, read from bytes that may lie.

Nothing raises: what can't be is left out, and every number of entries has a bound.
"""

from __future__ import annotations

import array
import bisect
import struct
import sys
import typing as t

MAGIC = b"\x7fELF"
# Of the larger class; what is shorter is no header.
HEADER_SIZE = 64

ET_EXEC = 2
ET_DYN = 3

_CLASS = 4
_ORDER = 5
_HEADER = {32: "HHIIIIIHHHHHH", 64: "HHIQQQIHHHHHH"}
_SEGMENT = {32: "IIIIIIII", 64: "IIQQQQQQ"}
_SEGMENT_SIZE = {32: 32, 64: 56}
_ORDERS = {1: "<", 2: ">"}
_CLASSES = {1: 32, 2: 64}

# (place, length) -> bytes of a file, shorter where it ends.
Read = t.Callable[[int, int], bytes]

PT_LOAD = 1
PT_DYNAMIC = 2
PT_INTERP = 3
PT_NOTE = 4
PT_GNU_RELRO = 0x6474E552

PF_X = 1
PF_W = 2

EM_386 = 3
EM_ARM = 40
EM_X86_64 = 62
EM_AARCH64 = 183

# The kernel takes no more program headers than fit into this (load_elf_phdrs of fs/binfmt_elf.c).
_SEGMENTS_LIMIT = 65_536
# 4,000 entries of a dynamic section; 170,000 relocations or symbols, which of the largest libraries are not all.
_DYNAMIC_LIMIT = 1 << 16
_TABLE_LIMIT = 1 << 22
# 2,800,000 relocations, read in parts: more than the largest browsers have.
_ALL_RELOCATIONS_LIMIT = 1 << 26
_NOTES_LIMIT = 1 << 14
_NAME_LIMIT = 256
_PATH_LIMIT = 4096
_NEEDED_LIMIT = 1024

_DT_NEEDED, _DT_SONAME, DT_DEBUG = 1, 14, 21
# DT_DEPAUDIT, DT_AUDIT, DT_AUXILIARY and DT_FILTER: the loader brings these, too, because a file asks for them.
_ASKED_FOR = frozenset((_DT_NEEDED, 0x6FFFFEFB, 0x6FFFFEFC, 0x7FFFFFFD, 0x7FFFFFFF))
_DT_PLTRELSZ, _DT_STRTAB, _DT_SYMTAB, _DT_RELA, _DT_RELASZ = 2, 5, 6, 7, 8
_DT_RELRSZ, _DT_RELR = 35, 36
_DT_REL, _DT_RELSZ, _DT_PLTREL, _DT_TEXTREL, _DT_JMPREL, _DT_FLAGS = 17, 18, 20, 22, 23, 30
_DF_TEXTREL = 4
_NT_GNU_BUILD_ID = 3

_DYNAMIC = {32: "II", 64: "QQ"}
_REL = {32: "II", 64: "QQ"}
_RELA = {32: "IIi", 64: "QQq"}
_CODES = {32: "I", 64: "Q"}
# STT_FUNC and STT_GNU_IFUNC.
_FUNCTIONS = frozenset((2, 10))
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


class Segment(t.NamedTuple):
    """A program header. address: virtual, before the file is given its place."""

    kind: int
    flags: int
    offset: int
    address: int
    file_size: int
    memory_size: int


class Image(t.NamedTuple):
    """The header and the program headers of a file."""

    header: Header
    segments: tuple[Segment, ...]

    @property
    def loaded(self) -> list[Segment]:
        return [segment for segment in self.segments if segment.kind == PT_LOAD]

    def offset_of(self, address: int) -> int | None:
        """Return the place in the file of a virtual address; None where the file has none."""
        for segment in self.loaded:
            if segment.address <= address < segment.address + segment.file_size:
                return address - segment.address + segment.offset
        return None

    def segment_at(self, offset: int, page: int) -> Segment | None:
        """Return what is loaded from a page of the file, code first where one page is loaded twice."""
        found = [
            segment
            for segment in self.loaded
            if segment.offset // page * page <= offset < segment.offset + segment.file_size
        ]
        return max(found, key=lambda segment: segment.flags & PF_X) if found else None

    def first(self, kind: int) -> Segment | None:
        for segment in self.segments:
            if segment.kind == kind:
                return segment
        return None


class Relocation(t.NamedTuple):
    """A place that the loader writes: virtual address, number of the symbol, type."""

    address: int
    symbol: int
    kind: int


class Dynamic(t.NamedTuple):
    """The dynamic section: the value of each tag, the last one where a tag comes again."""

    values: t.Mapping[int, int]

    @property
    def has_text_relocations(self) -> bool:
        return _DT_TEXTREL in self.values or bool(self.values.get(_DT_FLAGS, 0) & _DF_TEXTREL)


def read_image(read: Read) -> Image | None:
    """Return header and program headers of a file, or None where it is no ELF file."""
    header = parse_header(read(0, HEADER_SIZE))
    if header is None:
        return None
    size = _SEGMENT_SIZE[header.bits]
    count = min(header.segment_count, _SEGMENTS_LIMIT // size)
    data = read(header.segments_at, count * size) if count else b""
    layout = header.order + _SEGMENT[header.bits]
    segments = [
        _segment(header.bits, struct.unpack_from(layout, data, place)) for place in range(0, len(data) - size + 1, size)
    ]
    return Image(header, tuple(segments))


def _segment(bits: int, words: tuple[int, ...]) -> Segment:
    if bits == 64:
        kind, flags, offset, address, _physical, file_size, memory_size = words[:7]
    else:
        kind, offset, address, _physical, file_size, memory_size, flags = words[:7]
    return Segment(kind, flags, offset, address, file_size, memory_size)


def read_dynamic(image: Image, read: Read) -> Dynamic:
    """Return the dynamic section, without entries where there is none, as in static programs."""
    segment = image.first(PT_DYNAMIC)
    values: dict[int, int] = {}
    if segment is not None:
        data = read(segment.offset, min(segment.file_size, _DYNAMIC_LIMIT))
        for tag, value in _entries(image.header.order + _DYNAMIC[image.header.bits], data):
            if tag == 0:
                break
            values[tag] = value
    return Dynamic(values)


class Names(t.NamedTuple):
    """What a library calls itself, None if nothing, and the names or paths of those it needs."""

    own: bytes | None
    needed: tuple[bytes, ...]


def read_names(image: Image, read: Read) -> Names:
    """Return the names in the dynamic section (DT_SONAME, DT_NEEDED and the like)."""
    segment = image.first(PT_DYNAMIC)
    data = read(segment.offset, min(segment.file_size, _DYNAMIC_LIMIT)) if segment is not None else b""
    entries = list(_entries(image.header.order + _DYNAMIC[image.header.bits], data))
    start = image.offset_of(next((value for tag, value in entries if tag == _DT_STRTAB), 0))
    if start is None:
        return Names(None, ())

    def text(value: int) -> bytes:
        return read(start + value, _PATH_LIMIT).partition(b"\0")[0]

    own = next((text(value) for tag, value in entries if tag == _DT_SONAME), None)
    asked = [text(value) for tag, value in entries if tag in _ASKED_FOR][:_NEEDED_LIMIT]
    # Those of DT_AUDIT are a list.
    return Names(own, tuple(name for one in asked for name in one.split(b":") if name))


def relocations(image: Image, dynamic: Dynamic, read: Read) -> t.Iterator[Relocation]:
    """Yield what the loader relocates before the program starts, but for compact ones, which are of no symbol."""
    values = dynamic.values
    for layout, start, size in ((_REL, _DT_REL, _DT_RELSZ), (_RELA, _DT_RELA, _DT_RELASZ)):
        if start in values:
            yield from _relocations(image, layout, values[start], values.get(size, 0), read)


def jump_slots(image: Image, dynamic: Dynamic, read: Read) -> t.Iterator[Relocation]:
    """Yield the slots of the procedure linkage table, which the loader may fill when a function is first called."""
    values = dynamic.values
    if _DT_JMPREL in values:
        layout = _REL if values.get(_DT_PLTREL) == _DT_REL else _RELA
        yield from _relocations(image, layout, values[_DT_JMPREL], values.get(_DT_PLTRELSZ, 0), read)


def has_known_relocations(image: Image) -> bool:
    """Say whether it is known which relocations of its machine make a word an address."""
    return image.header.machine in _ADDRESSES


def addresses_among(image: Image, dynamic: Dynamic, read: Read, wanted: t.Collection[int]) -> set[int]:
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
    part = _TABLE_LIMIT // entry * entry
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
    data = read(offset, min(size, _TABLE_LIMIT))
    for words in _entries(image.header.order + layouts[image.header.bits], data):
        info = words[1]
        if wide:
            yield Relocation(words[0], info >> 32, info & 0xFFFFFFFF)
        else:
            yield Relocation(words[0], info >> 8, info & 0xFF)


def function_at(image: Image, dynamic: Dynamic, read: Read, address: int) -> tuple[bytes, int] | None:
    """Return the exported function that a virtual address lies in, and how far in; None where none is known.

    Nothing but hash tables says how many symbols there are. Every linker puts their names behind them: they end there.
    """
    start = image.offset_of(dynamic.values.get(_DT_SYMTAB, 0))
    names_at = image.offset_of(dynamic.values.get(_DT_STRTAB, 0))
    if start is None or names_at is None or names_at <= start:
        return None
    data = read(start, min(names_at - start, _TABLE_LIMIT))
    wide = image.header.bits == 64
    for words in _entries(image.header.order + ("IBBHQQ" if wide else "IIIBBH"), data):
        name, info, section, begin, size = words[:2] + words[3:] if wide else _narrow(words)
        if section and info & 15 in _FUNCTIONS and begin <= address < begin + size:
            return read(names_at + name, _NAME_LIMIT).partition(b"\0")[0], address - begin
    return None


def _narrow(words: tuple[int, ...]) -> tuple[int, ...]:
    """Return a symbol of 32 bits in the order of the others: name, info, section, address, size."""
    name, address, size, info, _other, section = words
    return name, info, section, address, size


def build_id(image: Image, read: Read) -> str | None:
    """Return the number that the linker gave a file, in hexadecimal (NT_GNU_BUILD_ID)."""
    for segment in image.segments:
        if segment.kind == PT_NOTE:
            data = read(segment.offset, min(segment.file_size, _NOTES_LIMIT))
            found = _build_id(data, image.header.order)
            if found:
                return found
    return None


def _build_id(data: bytes, order: str) -> str | None:
    place = 0
    while place + 12 <= len(data):
        name_size, size, kind = struct.unpack_from(order + "III", data, place)
        name_at = place + 12
        at = name_at + (name_size + 3) // 4 * 4
        if kind == _NT_GNU_BUILD_ID and data[name_at : name_at + name_size] == b"GNU\0" and size <= 64:
            return data[at : at + size].hex() or None
        place = at + (size + 3) // 4 * 4
    return None


def _entries(layout: str, data: bytes) -> t.Iterator[tuple[int, ...]]:
    """Return the whole entries of a table that may be cut."""
    size = struct.calcsize(layout)
    return struct.iter_unpack(layout, data[: len(data) // size * size])
