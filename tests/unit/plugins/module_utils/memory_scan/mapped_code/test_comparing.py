# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Differences between code and its file, and where changed code leads."""

from __future__ import annotations

import struct

import hypothesis
import hypothesis.strategies as st
import pytest
from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan.mapped_code import comparing, elf, pointers
from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan.mapped_code.comparing import Run
from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan.model import Range

_BASE = 0x7F0000001000
_TARGET = 0x7F1122334455


def test_differences_are_found_across_pages_and_where_the_file_ends() -> None:
    memory = bytearray(10_000)
    memory[4090:4100] = b"x" * 10
    memory[9_999] = 1
    assert comparing.differences(bytes(memory), bytes(5000), 100) == [
        Run(4190, 4196),
        Run(4196, 4200),
        Run(10_099, 10_100),
    ]


@hypothesis.given(st.binary(max_size=9000), st.binary(max_size=9000))
def test_differences_are_those_that_a_look_at_each_byte_finds(memory: bytes, file: bytes) -> None:
    padded = file.ljust(len(memory), b"\0")
    expected = {place for place, byte in enumerate(memory) if byte != padded[place]}
    found = {place for run in comparing.differences(memory, file, 0) for place in range(run.start, run.end)}
    assert found == expected


def test_what_belongs_together_is_one_change() -> None:
    assert comparing.joined([Run(0, 2), Run(5, 6), Run(100, 101)]) == [Run(0, 6), Run(100, 101)]


def test_what_the_loader_writes_may_differ_and_nothing_beside_it() -> None:
    runs = [Run(10, 15), Run(18, 26), Run(30, 40)]
    assert comparing.without(runs, [9, 18, 32], 8) == [Run(30, 40)]
    assert comparing.without(runs, [], 0) == runs
    # One that lies across two of them.
    assert comparing.without([Run(10, 20)], [8, 16], 8) == []


@pytest.mark.parametrize(
    ("machine", "memory", "run", "expected"),
    [
        (elf.EM_X86_64, b"\xcc", Run(0, 1), True),
        (elf.EM_X86_64, b"\xcc\xc3", Run(0, 2), False),
        (elf.EM_X86_64, b"\xcc" * 8, Run(0, 8), False),
        (elf.EM_386, b"\x90\xcc", Run(1, 2), True),
        (elf.EM_AARCH64, struct.pack("<II", 0xD4200000, 0xD42000A0), Run(1, 8), True),
        (elf.EM_AARCH64, struct.pack("<I", 0x14000010), Run(0, 4), False),
        (elf.EM_ARM, struct.pack("<I", 0xE7F001F0), Run(0, 4), True),
        (8, b"\xcc", Run(0, 1), False),
    ],
)
def test_breakpoints_are_told_from_other_changes(machine: int, memory: bytes, run: Run, expected: bool) -> None:
    assert comparing.is_breakpoint(machine, memory, run) is expected


def test_a_call_in_place_of_the_one_instruction_is_a_probe_s() -> None:
    file = b"\x55" + b"\x0f\x1f\x44\x00\x00" + b"\xc3"
    memory = b"\x55" + b"\xe8" + struct.pack("<i", 0x100) + b"\xc3"
    assert comparing.probe_call(elf.EM_X86_64, memory, file, Run(1, 4), _BASE) == _BASE + 6 + 0x100
    assert comparing.probe_call(elf.EM_X86_64, memory, memory, Run(1, 4), _BASE) is None
    assert comparing.probe_call(elf.EM_X86_64, memory, file, Run(1, 7), _BASE) is None


_ABSOLUTE = struct.pack("<Q", _TARGET)


@pytest.mark.parametrize(
    ("machine", "code", "place"),
    [
        (elf.EM_X86_64, b"\x48\xb8" + _ABSOLUTE + b"\xff\xe0", 0),
        (elf.EM_X86_64, b"\x48\xb8" + _ABSOLUTE + b"\xff\xe0", 1),
        (elf.EM_X86_64, b"\x49\xbb" + _ABSOLUTE + b"\x41\xff\xe3", 0),
        (elf.EM_X86_64, b"\x48\xb8" + _ABSOLUTE + b"\x50\xc3", 0),
        (elf.EM_X86_64, b"\xff\x25\0\0\0\0" + _ABSOLUTE, 0),
        (elf.EM_X86_64, b"\x68" + _ABSOLUTE[:4] + b"\xc7\x44\x24\x04" + _ABSOLUTE[4:] + b"\xc3", 0),
        (elf.EM_AARCH64, struct.pack("<II", 0x58000051, 0xD61F0220) + _ABSOLUTE, 0),
    ],
)
def test_a_jump_anywhere_is_followed(machine: int, code: bytes, place: int) -> None:
    assert comparing.target(machine, code, place, _BASE) == _TARGET


@pytest.mark.parametrize(
    ("machine", "code", "expected"),
    [
        (elf.EM_X86_64, b"\xe9" + struct.pack("<i", -0x1000), _BASE + 5 - 0x1000),
        (elf.EM_386, b"\xe8" + struct.pack("<i", 16), _BASE + 21),
        (elf.EM_386, b"\x68\x44\x33\x22\x11\xc3", 0x11223344),
        (elf.EM_AARCH64, struct.pack("<I", 0x17FFFFFF), _BASE - 4),
        (elf.EM_X86_64, b"\x31\xc0\xc3", None),
        (elf.EM_AARCH64, b"\x1f\x20\x03\xd5" * 4, None),
        (8, b"\xe9\0\0\0\0", None),
    ],
)
def test_a_jump_nearby_is_followed(machine: int, code: bytes, expected: int | None) -> None:
    assert comparing.target(machine, code, 0, _BASE) == expected


@hypothesis.given(
    st.sampled_from([elf.EM_386, elf.EM_X86_64, elf.EM_ARM, elf.EM_AARCH64, 0]),
    st.binary(min_size=1, max_size=40),
    st.binary(max_size=40),
    st.data(),
)
def test_code_that_is_cut_anywhere_raises_nothing(
    machine: int, memory: bytes, file: bytes, data: st.DataObject
) -> None:
    start = data.draw(st.integers(0, len(memory) - 1))
    run = Run(start, data.draw(st.integers(start + 1, len(memory))))
    comparing.target(machine, memory, run.start, _BASE)
    comparing.is_breakpoint(machine, memory, run)
    comparing.probe_call(machine, memory, file, run, _BASE)


@hypothesis.given(st.lists(st.integers(0, 2000)), st.sampled_from(["<", ">"]), st.sampled_from([32, 64]))
def test_words_that_lead_to_places_are_found(words: list[int], order: str, bits: int) -> None:
    places = [Range(100, 200), Range(300, 1000)]
    data = struct.pack("%s%d%s" % (order, len(words), {32: "I", 64: "Q"}[bits]), *words)
    found = list(pointers.leading_to(data + b"\1", bits, order, pointers.Places(places)))
    assert [(offset // (bits // 8), word) for offset, word, _number in found] == [
        (index, word) for index, word in enumerate(words) if 100 <= word < 200 or 300 <= word < 1000
    ]
    assert all(places[number].start <= word < places[number].end for _offset, word, number in found)


def test_places_may_be_as_large_as_all_addresses() -> None:
    for ranges in ([Range(0x1000, 1 << 47)], [Range(0x1000, 0x2000), Range(1 << 40, 1 << 63)]):
        places = pointers.Places(ranges)
        assert list(pointers.leading_to(struct.pack("<QQ", 0x1800, 0x800), 64, "<", places)) == [(0, 0x1800, 0)]
    assert list(pointers.leading_to(b"\1" * 16, 64, "<", pointers.Places([]))) == []
