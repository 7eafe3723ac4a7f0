# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Return addresses: calls as assemblers write them, and data that looks like such."""

from __future__ import annotations

import struct

import pytest
from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan.machine_code import return_addresses
from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan.machine_code.shellcode import (
    ARM64,
    I386,
    X86_64,
)

_ADDRESS = 0x7F1234567803


def _called(machine: int, code: bytes, address: int = _ADDRESS, **pointers: int) -> int | None:
    known = {int(place, 16): target for place, target in pointers.items()}
    return return_addresses.called(machine, code.rjust(16, b"\x90"), address, known.get)


def _arm(*words: int) -> bytes:
    return struct.pack(f"<{len(words)}I", *words)


@pytest.mark.parametrize(
    ("machine", "code"),
    [
        (X86_64, "e800000000"),
        (X86_64, "ffd0"),  # call rax
        (X86_64, "41ffd3"),  # call r11
        (X86_64, "ff10"),  # call [rax]
        (X86_64, "ff1424"),  # call [rsp]
        (X86_64, "ff5018"),  # call [rax+24]
        (X86_64, "ff542408"),  # call [rsp+8]
        (X86_64, "ff1490"),  # call [rax+rdx*4]
        (X86_64, "ff1500000000"),  # call [rip]
        (X86_64, "ff9000010000"),  # call [rax+256]
        (X86_64, "ff14c500010000"),  # call [rax*8+256]
        (X86_64, "ff942400010000"),  # call [rsp+256]
        (I386, "ff10"),
    ],
)
def test_calls_of_x86(machine: int, code: str) -> None:
    assert return_addresses.follows_call(machine, bytes.fromhex(code).rjust(16, b"\x90"))
    assert not return_addresses.follows_call(machine, (bytes.fromhex(code) + b"\x90").rjust(16, b"\x90"))


@pytest.mark.parametrize("code", ["ffe0", "ff20", "ff5018c3", "eb00", "c3", ""])
def test_what_is_no_call_of_x86(code: str) -> None:
    assert not return_addresses.follows_call(X86_64, bytes.fromhex(code).rjust(16, b"\x90"))


@pytest.mark.parametrize(
    ("word", "is_call"),
    [
        (0x94000010, True),  # bl
        (0xD63F0100, True),  # blr x8
        (0xD63F091F, True),  # blraaz x8
        (0xD73F0909, True),  # blraa x8, x9
        (0xD61F0100, False),  # br x8
        (0x14000010, False),  # b
        (0xD65F03C0, False),  # ret
    ],
)
def test_calls_of_arm64(word: int, is_call: bool) -> None:
    assert return_addresses.follows_call(ARM64, _arm(0xD503201F, word)) is is_call


def test_where_a_call_goes() -> None:
    far = struct.pack("<i", -0x1000000)
    assert _called(X86_64, b"\xe8" + far) == _ADDRESS - 0x1000000
    assert _called(I386, b"\xe8" + far, 0x8048003) == 0x8048003 - 0x1000000
    assert _called(X86_64, b"\x48\xbb" + struct.pack("<Q", 0x1234) + b"\xff\xd3") == 0x1234
    assert _called(X86_64, b"\x49\xba" + struct.pack("<Q", 0x1234) + b"\x41\xff\xd2") == 0x1234
    assert _called(X86_64, b"\xff\x15" + struct.pack("<i", 16), **{"%x" % (_ADDRESS + 16): 0x1234}) == 0x1234
    assert _called(ARM64, _arm(0x97FFFFFE), 0x1000) == 0x1000 - 4 - 8
    assert _called(ARM64, _arm(0x58000048, 0xD63F0100), 0x1008, **{"1008": 0x1234}) == 0x1234


def test_where_only_a_register_tells_nothing_is_known() -> None:
    for code in (b"\xff\xd0", b"\x48\xb8" + bytes(8) + b"\xff\xd3", b"\x48\xba" + bytes(8) + b"\x41\xff\xd2", b""):
        assert _called(X86_64, code) is None
    assert _called(ARM64, _arm(0x58000049, 0xD63F0100), 0x1008, **{"1008": 0x1234}) is None
    assert return_addresses.called(ARM64, b"", 0x1000, {}.get) is None
    assert return_addresses.called(X86_64, b"", 0x1000, {}.get) is None


def test_addresses_of_a_stack_do_not_look_like_calls() -> None:
    """Seen of Java: all addresses on a stack had e8 at the same place, and its code lay 32 kB further."""
    for pattern in (0x7FCFE8001234, 0x7FCF15FF1234):
        word = struct.pack("<Q", pattern)
        place = 0x7FCFE8002000
        assert _called(X86_64, word, place, **{"%x" % (place + 0x7FCF): 0x1234}) is None
    assert _called(X86_64, b"\xe8" + struct.pack("<i", -5)) is None
