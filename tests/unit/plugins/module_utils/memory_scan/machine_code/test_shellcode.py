# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Shellcode in memory: what is told of it, and that nothing is told of what only looks like it."""

from __future__ import annotations

import random

import pytest
from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan.machine_code import shellcode
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.plugins.module_utils.memory_scan import _assembled

_CODES = [
    pytest.param(machine, number, source, kind, id=f"{machine}: {name}")
    for machine, number, sources in (
        ("x86_64", shellcode.X86_64, _assembled.X86_64),
        ("i386", shellcode.I386, _assembled.I386),
        ("arm64", shellcode.ARM64, _assembled.ARM64),
    )
    for name, (kind, source) in sources.items()
]


@pytest.mark.parametrize(("machine", "number", "source", "kind"), _CODES)
def test_shellcode_is_told_for_what_it_is(machine: str, number: int, source: str, kind: str) -> None:
    hits = shellcode.find(_assembled.assembled(source, machine), 0, number)
    assert hits, "nothing was found"
    assert shellcode.gravest(hits).kind == kind, hits


@pytest.mark.parametrize(("machine", "number", "source", "kind"), _CODES)
def test_it_is_found_anywhere_in_other_code(machine: str, number: int, source: str, kind: str) -> None:
    chosen = random.Random(machine + source)  # noqa: S311
    step = 4 if machine == "arm64" else 1
    code = _assembled.assembled(source, machine)
    for _number in range(8):
        before = chosen.randbytes(chosen.randrange(0, 4096, step))
        hits = shellcode.find(before + code + chosen.randbytes(4096), 0x7F0000000000, number)
        assert kind in {hit.kind for hit in hits}, hits
        for hit in hits:
            assert len(before) <= hit.offset < len(before) + len(code), hit


@pytest.mark.parametrize(("machine", "number", "source", "kind"), _CODES)
def test_cut_code_is_no_trouble(machine: str, number: int, source: str, kind: str) -> None:
    code = _assembled.assembled(source, machine)
    found = [hit.kind for end in range(len(code) + 1) for hit in shellcode.find(code[:end], 0, number)]
    for start in range(len(code)):
        shellcode.find(code[start:], 0, number)
    assert kind in found


@pytest.mark.parametrize("number", shellcode.SUPPORTED)
def test_random_data_is_no_shellcode(number: int) -> None:
    data = random.Random(number).randbytes(4 << 20)  # noqa: S311
    assert shellcode.find(data, 0, number) == []


@given(st.binary(max_size=512), st.sampled_from(shellcode.SUPPORTED), st.integers(0, 1 << 47))
def test_whatever_the_bytes_it_ends_and_stays_within(data: bytes, number: int, base: int) -> None:
    for hit in shellcode.find(data, base, number):
        assert 0 <= hit.offset < len(data)


@given(
    st.lists(
        st.sampled_from(
            [
                b"\x0f\x05",
                b"\xcd\x80",
                b"\x6a\x3b\x58",
                b"\xb8\x29\x00\x00\x00",
                b"\xe8\x00\x00\x00\x00",
                b"\x5e",
                b"\xeb\xfe",
                b"\xe2\xfa",
                b"\x80\x36\x41",
                b"\x48\x8d\x35\x10\x00\x00\x00",
                b"\xd9\x74\x24\xf4",
                b"\xd9\xee",
                b"\xff",
                b"\xc4\xe2",
                b"\x01\x00\x00\xd4",
                b"\x48",
                b"\x66",
                b"\xf3",
                b"\x62\xf1\x7c",
                b"\x0f\x3a",
                b"\xe9\xf0\xff\xff\xff",
                b"\x75\x80",
            ]
        ),
        max_size=40,
    ),
    st.sampled_from(shellcode.SUPPORTED),
)
def test_whatever_order_its_parts_come_in_it_ends(parts: list[bytes], number: int) -> None:
    data = b"".join(parts)
    for hit in shellcode.find(data, 0, number):
        assert 0 <= hit.offset < len(data)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x0f\x05" * 1000,
        b"\x90" * 200,
        b"\x90" * 10_000,
        b"\xcc" * 10_000,
        b"\0" * 10_000,
        b"\x66\x0f\x1f\x84\0\0\0\0\0" * 500,
        b"/bin/sh\0" * 500,
        # mov eax, 59 and syscall, but not one after the other: a function ends between.
        b"\xb8\x3b\0\0\0\xc3" + b"\xcc" * 10 + b"\x0f\x05",
        # Windows' way to call its kernel, in a program that Wine runs: mov r10, rcx; mov eax, 41; syscall; ret.
        b"\x4c\x8b\xd1\xb8\x29\0\0\0\xf6\x04\x25\x08\x03\xfe\x7f\x01\x75\x03\x0f\x05\xc3\xcd\x2e\xc3" * 100,
    ],
    ids=lambda data: f"{len(data)} of {data[:4].hex()}",
)
def test_what_only_looks_like_it_is_none(data: bytes) -> None:
    assert shellcode.find(data, 0, shellcode.X86_64) == []


def test_of_other_machines_nothing_is_said() -> None:
    assert shellcode.find(_assembled.assembled("push 59; pop rax; xor esi, esi; syscall"), 0, 8) == []


def test_where_memory_of_arm64_begins_makes_no_difference() -> None:
    code = _assembled.assembled("mov x0, #2\nmov x8, #198\nsvc #0\nmov x8, #203\nsvc #0", "arm64")
    assert [hit.offset for hit in shellcode.find(b"\xff\xff" + code, 2, shellcode.ARM64)] == [10]
