# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""x86 machine code that finds out where it lies, and what it then does to what lies beside it."""

from __future__ import annotations

import re
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan.machine_code.effort import Effort
from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan.machine_code.x86_decode import (
    Instruction,
    decode,
)
from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan.machine_code.x86_registers import (
    PLACE,
    RCX,
    RDI,
    RSI,
    Value,
)
from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan.machine_code.x86_trace import State

# How many instructions of a decoder are followed, and how far what it decodes may lie from it.
_MOST_STEPS = 96
_FAR = 4096
_NEAR = 1024
_POP = frozenset(range(0x58, 0x60))
_ENDS = frozenset((0xC2, 0xC3, 0xCC, 0x0F0B))
_BRANCHES = frozenset(range(0x70, 0x80)) | frozenset(range(0x0F80, 0x0F90)) | frozenset((0xE0, 0xE1, 0xE2, 0xE3))
# Instructions that change memory by calculating with it, and those that calculate in registers.
_MEMORY_ARITHMETIC = frozenset(
    [row | column for row in (0x00, 0x28, 0x30) for column in (0, 1)] + [0xC0, 0xC1, 0xD0, 0xD1, 0xD2, 0xD3]
)
_ARITHMETIC = _MEMORY_ARITHMETIC | frozenset(
    [row | column for row in (0x00, 0x28, 0x30) for column in (2, 3, 4, 5)] + [0x0FEF, 0x0F57, 0x8D]
)
_STORES = frozenset((0x88, 0x89, 0xAA, 0xAB, 0x0F11, 0x0F29, 0x0F7F, 0x0F7E, 0x86, 0x87))
# lea reg, [rip + n] without its first byte: less than 1024 bytes away.
_LOAD_NEAR = re.compile(rb"\x8d[\x05\x0d\x15\x1d\x25\x2d\x35\x3d][\s\S](?:[\x00-\x03]\x00\x00|[\xfc-\xff]\xff\xff)")
_CALL_BACK = re.compile(rb"\xe8[\s\S][\xfe\xff]\xff\xff")
_CALL_NEXT = re.compile(rb"\xe8\x00\x00\x00\x00\x41?[\x58-\x5f]")
_CALL_INTO_ITSELF = re.compile(rb"\xe8\xff\xff\xff\xff[\xc0-\xc7]")
# fnstenv [esp - 12]: the address of the last floating-point instruction is what is popped next.
_COPROCESSOR = re.compile(rb"\xd9(?:\x74\x24\xf4|\xb4\x24\xf4\xff\xff\xff)")
# What may be a short jump back: what has none soon is no loop.
_BACK = re.compile(rb"[\x70-\x7f\xe0-\xe2\xeb][\x80-\xfd]|\x0f[\x80-\x8f][\s\S]\xff\xff\xff|\xe9[\s\S]\xff\xff\xff")
_SOON = 256


def places(data: bytes, long: bool, effort: Effort) -> t.Iterator[tuple[int, str]]:
    """Yield (offset, how) where code finds out where it lies in a way that compilers don't use."""
    for match in _CALL_BACK.finditer(data):
        if not effort.spend():
            return
        at = match.start()
        target = at + 5 + int.from_bytes(match.group()[1:], "little", signed=True)
        if target >= 0 and _pops(data, target) and _jumped_to(data, at, target):
            yield target, "call_pop"
    if long:
        for match in _CALL_NEXT.finditer(data):
            if effort.spend(8) and _uses_place(data, match.start() + 5):
                yield match.start(), "call_pop"
    for match in _CALL_INTO_ITSELF.finditer(data):
        if effort.spend() and any(byte in _POP for byte in data[match.end() : match.end() + 6]):
            yield match.start(), "call_pop"
    for match in _COPROCESSOR.finditer(data):
        if effort.spend(8) and _coprocessor(data, match.start(), long):
            yield match.start(), "fnstenv"


def _uses_place(data: bytes, at: int) -> bool:
    """Say whether what is popped at ``at`` is used as an address, or calculated with, soon.

    A call to what follows it may also be a part of another instruction, before the end of a function.
    """
    first = decode(data, at, True)
    if first is None:
        return False
    register = first.opcode & 7 | (first.rex & 1) << 3
    position = first.end
    for _step in range(8):
        one = decode(data, position, True)
        if one is None or one.opcode in _ENDS:
            return False
        operand = one.modrm & 7 | (one.rex & 1) << 3
        if one.modrm >= 0xC0 and operand == register and one.opcode in (0x81, 0x83, 0xFF):
            return True
        if 0 <= one.modrm < 0xC0 and operand == register and one.modrm & 7 != 4 and one.modrm & 0xC7 != 5:
            return True
        if 0 <= one.modrm < 0xC0 and one.sib >= 0 and one.sib & 7 | (one.rex & 1) << 3 == register:
            return True
        position = one.end
    return False


def _pops(data: bytes, at: int) -> bool:
    return data[at : at + 1] != b"" and (data[at] in _POP or (data[at] == 0x41 and data[at + 1] in _POP))


def _jumped_to(data: bytes, call: int, target: int) -> bool:
    """Say whether a jump leads over the code at ``target`` to the call after it."""
    for at in range(max(0, target - 24), target):
        if data[at] == 0xEB and at + 2 + data[at + 1] == call:
            return True
        if data[at] == 0xE9 and at + 5 + int.from_bytes(data[at + 1 : at + 5], "little", signed=True) == call:
            return True
    return False


def _coprocessor(data: bytes, at: int, long: bool) -> bool:
    """Say whether the environment that is stored at ``at`` is used for the address of a floating-point instruction."""
    stored = decode(data, at, long)
    before = data[max(0, at - 24) : at]
    if stored is None or not any(0xD8 <= byte <= 0xDF for byte in before):
        return False
    position = stored.end
    for _step in range(6):
        one = decode(data, position, long)
        if one is None:
            return False
        if one.opcode in _POP:
            return True
        position = one.end
    return False


def decoders(data: bytes, long: bool, effort: Effort) -> t.Iterator[int]:
    """Yield where code begins that changes what lies near it in a loop, as what undoes an encoding does.

    Whether it adds, subtracts, rotates or combines with a key, and whether the key stays or follows from what was
    decoded last, makes no difference: all of them have to know where they are, and to write there.
    """
    starts = [(at, _FAR) for at, _length in places(data, long, effort)]
    if long:
        loads = (match.start() - 1 for match in _LOAD_NEAR.finditer(data))
        starts += [
            (at, _NEAR) for at in loads if data[at : at + 1] in (b"\x48", b"\x4c") and _may_loop(data, at, effort)
        ]
    done = -1
    for start, far in sorted(starts):
        if start > done:
            end = _Decoder(data, start, long, far).end(effort)
            if end is not None:
                done = end
                yield start


def _may_loop(data: bytes, position: int, effort: Effort) -> bool:
    """Say whether 64-bit code jumps back to where it came along, before it goes elsewhere. What follows is slower."""
    if _BACK.search(data, position + 7, position + _SOON) is None:
        return False
    passed: set[int] = set()
    for _step in range(_MOST_STEPS):
        one = decode(data, position, True) if effort.spend() else None
        if one is None or one.opcode in _ENDS or one.opcode == 0xE8 or (one.opcode == 0xFF and one.modrm >> 4 & 3 == 2):
            return False
        # Two zeros are an instruction, too, but mostly data.
        if one.opcode == 0 and one.modrm == 0:
            return False
        passed.add(position)
        position = one.end
        if one.opcode in _BRANCHES or one.opcode in (0xE9, 0xEB):
            target = one.end + one.immediate
            if target in passed:
                return True
            if one.opcode in (0xE9, 0xEB):
                position = target
                if not 0 <= target < len(data):
                    return False
    return False


class _Decoder:
    """Follows code from where it finds out its place. far: how far away it must write."""

    def __init__(self, data: bytes, start: int, long: bool, far: int) -> None:
        self._data = data
        self._start = start
        self._long = long
        self._far = far
        self._state = State(long)
        self._passed: dict[int, Instruction] = {}
        self._writes: list[int] = []
        self._coprocessor = start

    def end(self, effort: Effort) -> int | None:
        """Return where the loop ends; None where there is none."""
        # A pop of what a call pushed begins where the call leads to: its return address is somewhere behind.
        if self._data[self._start] in _POP or self._data[self._start] == 0x41:
            self._state.pushed(Value(PLACE, self._start + 16))
        position: int | None = self._start
        for _step in range(_MOST_STEPS):
            if position is None or position in self._passed:
                return None
            one = decode(self._data, position, self._long) if effort.spend(2) else None
            if one is None or one.opcode in _ENDS:
                return None
            self._passed[position] = one
            if one.opcode in _BRANCHES and one.immediate < 0:
                if self._is_loop(one.end + one.immediate, one.at):
                    return one.end
                position = one.end
            else:
                position = self._after(one)
        return None

    def _after(self, one: Instruction) -> int | None:
        """Do what an instruction does; return where it goes on."""
        state = self._state
        if one.opcode in (0xE8, 0xE9, 0xEB):
            target = one.end + one.immediate
            if one.opcode == 0xE8:
                state.pushed(Value(PLACE, one.end))
            if self._is_loop(target, one.at):
                return None
            return target if 0 <= target < len(self._data) and abs(one.immediate) <= self._far else None
        if one.opcode == 0xFF and one.modrm >> 3 & 7 in (2, 4):
            return None
        before = len(state.stored)
        if one.opcode == 0xD9 and one.modrm >> 3 & 7 == 6:
            state.pushed(Value(PLACE, self._coprocessor))
        elif 0xD8 <= one.opcode <= 0xDF:
            self._coprocessor = one.at
        state.step(one)
        if any(abs(place - one.at) <= self._far for place in state.stored[before:]):
            self._writes.append(one.at)
        return one.end

    def _is_loop(self, target: int, end: int) -> bool:
        """Say whether a jump back closes a loop in which something near is changed by calculating with it."""
        writes = [self._passed[at] for at in self._writes if target <= at < end]
        if not writes or target not in self._passed:
            return False
        body = [one for at, one in self._passed.items() if target <= at <= end]
        writes = [one for one in writes if _moves_on(one, body)]
        if any(_changes(one) for one in writes):
            return True
        return any(one.opcode in _STORES for one in writes) and any(_calculates(one) for one in body)


def _moves_on(write: Instruction, body: t.Iterable[Instruction]) -> bool:
    """Say whether a loop goes from one place to the next: a register of the address that is written to changes."""
    if write.modrm < 0:
        return write.opcode in (0xAA, 0xAB, 0xA4, 0xA5)
    if write.modrm & 7 == 4:
        registers = {write.sib & 7 | (write.rex & 1) << 3, write.sib >> 3 & 7 | (write.rex & 2) << 2}
    else:
        registers = {write.modrm & 7 | (write.rex & 1) << 3}
    return any(_counts(one, registers) for one in body)


def _counts(one: Instruction, registers: t.AbstractSet[int]) -> bool:
    """Say whether an instruction counts one of some registers up or down."""
    if one.opcode in (0xE0, 0xE1, 0xE2):
        return RCX in registers
    if one.opcode in (0xAC, 0xAD, 0xAA, 0xAB, 0xA4, 0xA5):
        return bool(registers & {RSI, RDI})
    if 0x40 <= one.opcode <= 0x4F:
        return one.opcode & 7 in registers
    operand, field = one.modrm & 7 | (one.rex & 1) << 3, one.modrm >> 3 & 7 | (one.rex & 4) << 1
    if one.opcode == 0x8D:
        return field in registers
    if one.modrm < 0xC0:
        return False
    if one.opcode in (0x81, 0x83):
        return operand in registers and one.modrm >> 3 & 7 in (0, 5)
    if one.opcode in (0xFE, 0xFF):
        return operand in registers and one.modrm >> 3 & 7 < 2
    return (one.opcode in (0x01, 0x29) and operand in registers) or (one.opcode in (0x03, 0x2B) and field in registers)


def _changes(one: Instruction) -> bool:
    what = one.modrm >> 3 & 7
    if one.opcode in (0x80, 0x81, 0x83):
        return what in (0, 5, 6)
    if one.opcode in (0xF6, 0xF7):
        return what in (2, 3)
    return one.opcode in _MEMORY_ARITHMETIC or (one.opcode in (0xFE, 0xFF) and what < 2)


def _calculates(one: Instruction) -> bool:
    if one.opcode in (0x80, 0x81, 0x83, 0xF6, 0xF7):
        return _changes(one)
    return one.opcode in _ARITHMETIC and one.opcode != 0x8D
