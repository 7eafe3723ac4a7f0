# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is said of a place in memory, and how memory is cut into pieces."""

from __future__ import annotations

import hashlib
import os

import pytest
from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan import facts
from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan.model import Range
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.plugins.module_utils.memory_scan import _memory

BASE = 0x7F0000000000


def test_a_mapping_is_described_by_what_is_present_of_it() -> None:
    data = bytes(range(256)) * 16
    one = _memory.mapping(BASE, 3 * 4096, "rwxp", b"/memfd:a\nb", inode=7, deleted=True)
    said = facts.describe(_memory.FakeView([(one, data)]), one, signature="reverse_shell", offset=17)
    assert said.shown() == {
        "range": "7f0000000000-7f0000003000",
        "permissions": "rwxp",
        "path": "/memfd:a\\nb (deleted)",
        "size": 4096,
        "entropy": 8.0,
        "sha256": hashlib.sha256(data).hexdigest(),
        "signature": "reverse_shell",
        "offset": 17,
    }


def test_a_part_of_a_mapping_is_described_alone() -> None:
    one = _memory.mapping(BASE, 3 * 4096)
    data = b"a" * 4096 + b"b" * 8192
    said = facts.describe(_memory.FakeView([(one, data)]), one, Range(BASE + 4096, BASE + 8192))
    assert (said.start, said.end, said.size) == (BASE + 4096, BASE + 8192, 4096)
    assert said.sha256 == hashlib.sha256(b"b" * 4096).hexdigest()
    assert said.entropy == 0.0


def test_of_what_is_not_present_nothing_is_claimed() -> None:
    one = _memory.mapping(BASE, 4096)
    said = facts.describe(_memory.FakeView([(one, b"")]), one)
    assert (said.size, said.entropy, said.sha256) == (0, None, None)


def test_of_a_large_mapping_only_the_beginning_is_read() -> None:
    one = _memory.mapping(BASE, 5 << 20)
    view = _memory.FakeView([(one, os.urandom(5 << 20))])
    assert facts.describe(view, one).size == facts.DESCRIBED_LIMIT
    assert view.reads <= facts.DESCRIBED_LIMIT + facts.PIECE


@pytest.mark.parametrize(("data", "bits"), [(b"", 0.0), (b"aaaa", 0.0), (b"abab", 1.0), (bytes(range(256)), 8.0)])
def test_entropy_is_counted_in_bits(data: bytes, bits: float) -> None:
    assert facts.entropy(data) == bits


def test_what_lies_across_two_pieces_is_in_the_second() -> None:
    one = _memory.mapping(BASE, 2 << 20)
    data = bytearray(2 << 20)
    data[facts.PIECE - 3 : facts.PIECE + 3] = b"needle"
    view = _memory.FakeView([(one, bytes(data))])
    found = [
        address + piece.index(b"needle")
        for address, piece in facts.pieces(view, [Range(one.start, one.end)], overlap=16)
        if b"needle" in piece
    ]
    assert found == [BASE + facts.PIECE - 3]


def test_memory_that_is_shorter_than_it_said_ends_its_range() -> None:
    one = _memory.mapping(BASE, 4 << 20)
    view = _memory.FakeView([(one, b"x" * 4096)])
    assert [len(data) for _place, data in facts.pieces(view, [Range(one.start, one.end)])] == [4096]


@given(st.lists(st.tuples(st.integers(0, 1000), st.integers(0, 1000))), st.integers(0, 1000), st.integers(0, 1000))
def test_clipped_ranges_lie_within(ranges: list[tuple[int, int]], start: int, end: int) -> None:
    for one in facts.clipped([Range(*pair) for pair in ranges], start, end):
        assert start <= one.start < one.end <= end


@given(st.lists(st.integers(1, 4), max_size=20), st.integers(0, 80))
def test_the_mapping_at_an_address_is_the_one_that_has_it(sizes: list[int], page: int) -> None:
    maps, start = [], 4096
    for number, size in enumerate(sizes):
        maps.append(_memory.mapping(start, size * 4096))
        start += (size + number % 2) * 4096
    for address in (page * 4096, page * 4096 + 4095):
        expected = next((one for one in maps if one.start <= address < one.end), None)
        assert facts.mapping_at(maps, address) is expected
