# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""ELF files that are whole, cut, and made to do harm."""

from __future__ import annotations

import pathlib
import struct
import sys

import hypothesis
import hypothesis.strategies as st
import pytest
from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan.mapped_code import elf, relocations, tables

_PYTHON = pathlib.Path(sys.executable).resolve().read_bytes()


def _read(data: bytes) -> elf.Read:
    return lambda place, length: data[place : place + length] if 0 <= place < len(data) else b""


def _everything(data: bytes) -> None:
    """Ask for all there is."""
    read = _read(data)
    image = elf.read_image(read)
    if image is None:
        return
    dynamic = elf.read_dynamic(image, read)
    assert dynamic.has_text_relocations in (True, False)
    for relocation in [*relocations.read_all(image, dynamic, read), *relocations.read_jump_slots(image, dynamic, read)][
        :100
    ]:
        relocations.is_global(image, relocation)
        image.offset_of(relocation.address)
    relocations.find_addresses(image, dynamic, read, {image.header.entry, 0, 8, 1 << 40})
    elf.build_id(image, read)
    elf.function_at(image, dynamic, read, image.header.entry)
    image.segment_at(0, 4096)
    assert all(size > 0 or address >= 0 for address, size in tables.filled(image, read))


def _header(bits: int, order: str, phdr_size: int | None = None, ident: bytes = b"\0\0") -> bytes:
    size = {32: 32, 64: 56}[bits] if phdr_size is None else phdr_size
    layout = order + {32: "HHIIIIIHHHHHH", 64: "HHIQQQIHHHHHH"}[bits]
    values = (3, 62, 1, 0x1234, 64, 0, 0, 64, size, 7, 0, 0, 0)
    return (b"\x7fELF" + ident).ljust(16, b"\0") + struct.pack(layout, *values)


@pytest.mark.parametrize("bits", [32, 64])
@pytest.mark.parametrize("order", ["<", ">"])
def test_a_header_is_read_as_the_kernel_does_whatever_it_says_of_itself(bits: int, order: str) -> None:
    header = elf.parse_header(_header(bits, order, ident=b"\x77\x77"))
    assert header == elf.Header(bits, order, 3, 62, 0x1234, 64, 7)


def test_a_header_without_program_headers_is_what_it_says_it_is() -> None:
    assert elf.parse_header(_header(64, "<", 0, b"\x02\x01")) == elf.Header(64, "<", 3, 62, 0x1234, 64, 0)
    assert elf.parse_header(_header(64, "<", 0, b"\x07\x01")) is None


@pytest.mark.parametrize("data", [b"", b"\x7fELF", b"MZ" * 40, _header(64, "<")[:51]])
def test_what_is_no_header_is_none(data: bytes) -> None:
    assert elf.parse_header(data) is None


def test_a_real_program_is_read() -> None:
    read = _read(_PYTHON)
    image = elf.read_image(read)
    assert image is not None
    assert any(segment.flags & elf.PF_X for segment in image.loaded)
    assert image.offset_of(image.header.entry) is not None
    assert elf.read_dynamic(image, read).values
    assert list(relocations.read_jump_slots(image, elf.read_dynamic(image, read), read)) or image.first(
        elf.PT_GNU_RELRO
    )


@hypothesis.given(st.data())
def test_lies_in_a_real_program_raise_nothing(data: st.DataObject) -> None:
    """Change bytes where headers and tables are, and cut what is left."""
    lying = bytearray(_PYTHON[: 1 << 16])
    for _number in range(data.draw(st.integers(1, 20))):
        place = data.draw(st.one_of(st.integers(0, 1023), st.integers(0, len(lying) - 9)))
        lying[place : place + 8] = data.draw(
            st.sampled_from([b"\xff" * 8, b"\0" * 8, b"\xff" * 7 + b"\x7f", b"\1" * 8])
        )
    _everything(bytes(lying[: data.draw(st.integers(0, len(lying)))]))


@hypothesis.given(st.sampled_from([32, 64]), st.sampled_from(["<", ">"]), st.binary(max_size=4096))
def test_what_follows_a_header_can_be_anything(bits: int, order: str, rest: bytes) -> None:
    _everything(_header(bits, order) + rest)


def test_tables_that_are_all_there_is_are_cut_at_a_bound() -> None:
    """A dynamic section that is its own symbols, relocations and names."""
    tags = {5: 0x200, 6: 0x100, 7: 0x100, 8: 1 << 62, 2: 1 << 62, 23: 0x100, 20: 7, 22: 0}
    table = b"".join(struct.pack("<QQ", tag, value) for tag, value in tags.items())
    segments = [(1, 7, 0, 0, 1 << 62, 1 << 62), (2, 6, 64 + 112, 64 + 112, 1 << 62, 1 << 62)]
    packed = b"".join(struct.pack("<IIQQQQQQ", k, f, o, a, a, s, m, 8) for k, f, o, a, s, m in segments)
    data = bytearray(_header(64, "<") + packed + table)
    struct.pack_into("<H", data, 56, 2)
    image = elf.read_image(_read(bytes(data)))
    assert image is not None
    assert elf.read_dynamic(image, _read(bytes(data))).has_text_relocations
    _everything(bytes(data).ljust(1 << 12, b"\1"))


_RELOCATED = [
    # x86-64: RELATIVE, 64, GLOB_DAT, JUMP_SLOT and IRELATIVE are addresses; COPY, DTPMOD64 and TPOFF64 are none.
    (64, "<", 62, (8, 1, 6, 7, 37), (5, 16, 18)),
    (32, "<", 3, (8, 1, 6, 7, 42), (5, 35, 14)),
    (64, "<", 183, (1027, 257, 1025, 1026, 1032), (1024, 1028, 1030)),
    (32, "<", 40, (23, 2, 21, 22, 160), (20, 17, 19)),
    (64, ">", 22, (12, 22, 10, 11, 61), (9, 54, 56)),
]


@pytest.mark.parametrize(("bits", "order", "machine", "addresses", "others"), _RELOCATED)
@pytest.mark.parametrize("kind", [elf.ET_DYN, elf.ET_EXEC])
def test_the_words_that_hold_addresses_are_those_that_are_relocated(
    bits: int, order: str, machine: int, addresses: tuple[int, ...], others: tuple[int, ...], kind: int
) -> None:
    """Make a file of one segment with a table of relocations, a compact one, and words that the linker has filled."""
    word, code, base = bits // 8, "Q" if bits == 64 else "I", 0x10000
    shift = 32 if bits == 64 else 8
    places = {number: base + 0x800 + word * at for at, number in enumerate((*addresses, *others))}
    entries = [(place, 1 << shift | number, 0)[: 3 if bits == 64 else 2] for number, place in places.items()]
    table = b"".join(struct.pack(order + code * len(entry), *entry) for entry in entries)
    # That at 0xa00 itself, and of those behind it the first, second, fourth and last that an entry can name.
    compact = struct.pack(order + code * 2, base + 0xA00, 1 | 1 << 1 | 1 << 2 | 1 << 4 | 1 << (bits - 1))
    tags = (7, 8) if bits == 64 else (17, 18)
    dynamic = [(tags[0], base + 0x400), (tags[1], len(table)), (36, base + 0x700), (35, len(compact)), (0, 0)]
    data = bytearray(0x1000)
    for number, pair in enumerate(dynamic):
        struct.pack_into(order + code * 2, data, 0x300 + 2 * word * number, *pair)
    data[0x400 : 0x400 + len(table)] = table
    data[0x700 : 0x700 + len(compact)] = compact
    # What the linker knows where the file has its place from the beginning, and a number.
    struct.pack_into(order + code * 2, data, 0xE00, base + 0x200, 0x200)
    loaded = elf.Segment(elf.PT_LOAD, 6, 0, base, 0x1000, 0x1000)
    image = elf.Image(
        elf.Header(bits, order, kind, machine, 0, 0, 0), (loaded, elf.Segment(elf.PT_DYNAMIC, 6, 0x300, base, 0x100, 0))
    )
    read = _read(bytes(data))
    found = relocations.find_addresses(
        image, elf.read_dynamic(image, read), read, range(base + 0x800, base + 0x1000, word)
    )
    expected = {places[number] for number in addresses} | {base + 0xA00 + word * at for at in (0, 1, 2, 4, bits - 1)}
    assert found == expected | ({base + 0xE00} if kind == elf.ET_EXEC else set())
