# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Telling return addresses from other addresses: they follow a call, in the code of x86 and of 64-bit ARM."""

from __future__ import annotations

import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan.machine_code.shellcode import (
    ARM64,
    I386,
    X86_64,
)

# How many bytes before an address are enough to tell.
REACH = 16
# The upper half of an address, or a small number, looks like a distance of less than that, behind any byte that is the
# same in all addresses nearby. Code that has to hide lies further away from what it calls.
_NEAR = 1 << 16
# Lengths of a call through a register or memory, without what comes before its operation.
_LENGTHS = (2, 3, 4, 6, 7)
_MASK = (1 << 64) - 1

# Returns the address that stands at an address; None where none can be read.
Pointer = t.Callable[[int], t.Optional[int]]


def follows_call(machine: int, code: bytes) -> bool:
    """Say whether the last instruction of ``code`` may be a call."""
    if machine == ARM64:
        word = _word(code, 4)
        return word >> 26 == 0b100101 or _is_branch_with_link(word)
    return code[-5:-4] == b"\xe8" or any(_is_indirect(code[-length:], length) for length in _LENGTHS)


def called(machine: int, code: bytes, address: int, pointer: Pointer) -> int | None:
    """Return where the call goes that ends at ``address``; None where none does, it is near, or only a register tells.

    code: ``REACH`` bytes up to the address.
    """
    if machine == ARM64:
        return _called_by_arm(code, address, pointer)
    if code[-5:-4] == b"\xe8":
        distance = _signed(code[-4:])
        if not -_NEAR <= distance < _NEAR:
            return (address + distance) % (1 << (32 if machine == I386 else 64))
    if machine != X86_64:
        return None
    # Through a pointer at a distance from here; a number that is put into the register at once.
    if code[-6:-4] == b"\xff\x15":
        distance = _signed(code[-4:])
        if address % 8 or not 0 <= distance < _NEAR:
            return pointer((address + distance) & _MASK)
    low = code[-12:] if code[-2:-1] == b"\xff" else b""
    if code[-3:-1] == b"\x41\xff":
        low = code[-13:]
    prefix = b"\x49" if len(low) == 13 else b"\x48"
    if low[:1] == prefix and low[-1] & 0xF8 == 0xD0 and low[1] == 0xB8 | low[-1] & 7:
        return int.from_bytes(low[2:10], "little")
    return None


def _called_by_arm(code: bytes, address: int, pointer: Pointer) -> int | None:
    word, before = _word(code, 4), _word(code, 8)
    if word >> 26 == 0b100101:
        distance = (word & 0x3FFFFFF) - ((word & 0x2000000) << 1)
        return (address - 4 + distance * 4) & _MASK
    # LDR of the register from a number nearby, and BLR of it.
    if _is_branch_with_link(word) and before >> 24 == 0x58 and before & 31 == word >> 5 & 31:
        distance = (before >> 5 & 0x7FFFF) - ((before >> 5 & 0x40000) << 1)
        return pointer((address - 8 + distance * 4) & _MASK)
    return None


def _is_branch_with_link(word: int) -> bool:
    """Say whether it is BLR, or one that checks the address first (BLRAA, BLRAB and so on)."""
    return word & 0xFFFFFC1F == 0xD63F0000 or word & 0xFEFFF800 == 0xD63F0800


def _is_indirect(code: bytes, length: int) -> bool:
    """Say whether code is a call through a register or memory, FF /2, of just this length."""
    if len(code) < length or code[0] != 0xFF or code[1] >> 3 & 7 != 2:
        return False
    mode, register = code[1] >> 6, code[1] & 7
    if mode == 3:
        return length == 2
    has_index = register == 4
    far = mode == 2 or (mode == 0 and (register == 5 or (has_index and length > 2 and code[2] & 7 == 5)))
    return length == 2 + has_index + (4 if far else mode)


def _signed(data: bytes) -> int:
    return int.from_bytes(data, "little", signed=True)


def _word(code: bytes, back: int) -> int:
    return int.from_bytes(code[len(code) - back :][:4], "little") if len(code) >= back else 0
