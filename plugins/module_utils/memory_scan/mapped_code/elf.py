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
# 4,000 entries of a dynamic section.
_DYNAMIC_LIMIT = 1 << 16
# 170,000 relocations or symbols, which of the largest libraries are not all.
TABLE_LIMIT = 1 << 22
_NOTES_LIMIT = 1 << 14
_NAME_LIMIT = 256
_PATH_LIMIT = 4096
_NEEDED_LIMIT = 1024

_DT_NEEDED, _DT_SONAME, DT_DEBUG = 1, 14, 21
# DT_DEPAUDIT, DT_AUDIT, DT_AUXILIARY and DT_FILTER: the loader brings these, too, because a file asks for them.
_ASKED_FOR = frozenset((_DT_NEEDED, 0x6FFFFEFB, 0x6FFFFEFC, 0x7FFFFFFD, 0x7FFFFFFF))
_DT_STRTAB, _DT_SYMTAB, _DT_TEXTREL, _DT_FLAGS = 5, 6, 22, 30
_DF_TEXTREL = 4
_NT_GNU_BUILD_ID = 3

_DYNAMIC = {32: "II", 64: "QQ"}
# STT_FUNC and STT_GNU_IFUNC.
_FUNCTIONS = frozenset((2, 10))


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
        for tag, value in entries(image.header.order + _DYNAMIC[image.header.bits], data):
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
    tags = list(entries(image.header.order + _DYNAMIC[image.header.bits], data))
    start = image.offset_of(next((value for tag, value in tags if tag == _DT_STRTAB), 0))
    if start is None:
        return Names(None, ())

    def text(value: int) -> bytes:
        return read(start + value, _PATH_LIMIT).partition(b"\0")[0]

    own = next((text(value) for tag, value in tags if tag == _DT_SONAME), None)
    asked = [text(value) for tag, value in tags if tag in _ASKED_FOR][:_NEEDED_LIMIT]
    # Those of DT_AUDIT are a list.
    return Names(own, tuple(name for one in asked for name in one.split(b":") if name))


def function_at(image: Image, dynamic: Dynamic, read: Read, address: int) -> tuple[bytes, int] | None:
    """Return the exported function that a virtual address lies in, and how far in; None where none is known.

    Nothing but hash tables says how many symbols there are. Every linker puts their names behind them: they end there.
    """
    start = image.offset_of(dynamic.values.get(_DT_SYMTAB, 0))
    names_at = image.offset_of(dynamic.values.get(_DT_STRTAB, 0))
    if start is None or names_at is None or names_at <= start:
        return None
    data = read(start, min(names_at - start, TABLE_LIMIT))
    wide = image.header.bits == 64
    for words in entries(image.header.order + ("IBBHQQ" if wide else "IIIBBH"), data):
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


def entries(layout: str, data: bytes) -> t.Iterator[tuple[int, ...]]:
    """Return the whole entries of a table that may be cut."""
    size = struct.calcsize(layout)
    return struct.iter_unpack(layout, data[: len(data) // size * size])
