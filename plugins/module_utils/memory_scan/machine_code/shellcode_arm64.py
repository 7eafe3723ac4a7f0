# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What machine code for AArch64 does that only code does which must stand on its own.

As shellcode_x86.py, and simpler: each instruction has four bytes and lies at a multiple of four (Arm's manual, C4).
"""

from __future__ import annotations

import re
import struct
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan.machine_code import system_calls
from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan.machine_code.effort import Effort
from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan.machine_code.system_calls import Call

_REACH = 48
_MOST_STEPS = 96
_FAR = 4096
_MASK = (1 << 64) - 1
_ZERO_REGISTER = 31
_ARGUMENTS = range(6)

# svc with any number, of which the kernel takes no notice.
_SVC = re.compile(rb"[\x01\x21\x41\x61\x81\xa1\xc1\xe1][\s\S][\x00-\x1f]\xd4")
# The upper half of adr, which gives an address relative to itself: one that isn't far away.
_ADR = re.compile(rb"[\x00\xff][\x10\x30\x50\x70]")
_ELF_HALVES = (0x457F, 0x464C)
# What a register holds: a constant, an address in the code, one on the stack, or what it held at first.
_CONSTANT, _PLACE, _STACK, _INITIAL = range(4)


class _State:
    """Registers along a path. texts: constants that were seen, in which a name may be hidden."""

    def __init__(self) -> None:
        self.registers: dict[int, tuple[int, int]] = {number: (_INITIAL, number) for number in range(31)}
        self.registers[31] = (_STACK, 0)
        self.written: set[int] = set()
        self.texts: list[bytes] = []

    def constant(self, register: int) -> int | None:
        kind, number = self.registers.get(register, (_INITIAL, 0))
        return number if kind == _CONSTANT else None

    def set(self, register: int, kind: int, number: int) -> None:
        if kind == _CONSTANT:
            number &= _MASK
            if number > 0xFFFFFF:
                self.texts.append(number.to_bytes(8, "little"))
        self.registers[register] = (kind, number)
        self.written.add(register)

    def forget(self, register: int) -> None:
        self.registers.pop(register, None)
        self.written.add(register)

    def step(self, word: int, at: int) -> None:
        """Take over what an instruction at an offset does."""
        target, source, wide = word & 31, word >> 5 & 31, word >> 31
        if word & 0x1F800000 == 0x12800000:  # movn, movz, movk
            self._move_wide(word, target)
        elif word & 0x1F000000 == 0x11000000:  # add, sub with an immediate
            self._add(word, target, source)
        elif word & 0x7FE0FFE0 == 0x2A0003E0:  # mov between registers
            self._copy(target, word >> 16 & 31)
        elif word & 0x7FE00000 == 0x4A000000 and source == word >> 16 & 31:  # eor with itself
            self.set(target, _CONSTANT, 0)
        elif word & 0x9F000000 == 0x10000000:  # adr
            self.set(target, _PLACE, at + _signed((word >> 5 & 0x7FFFF) << 2 | word >> 29 & 3, 21))
        elif word & 0x7F800000 == 0x53000000 and wide == word >> 22 & 1:  # lsl, lsr and other fields
            self._shift(word, target, source)
        elif word & 0xFC000000 == 0x94000000 or word & 0xFFFFFC1F == 0xD63F0000:  # bl, blr
            for register in range(19):
                self.forget(register)
        elif _writes_general(word):
            self.forget(target)
            if word & 0x3A000000 == 0x28000000 and word & 0x00400000:  # a pair
                self.forget(word >> 10 & 31)

    def _move_wide(self, word: int, target: int) -> None:
        shift = (word >> 21 & 3) * 16
        number = (word >> 5 & 0xFFFF) << shift
        what = word >> 29 & 3
        if target == _ZERO_REGISTER:
            return
        if what == 2:
            self.set(target, _CONSTANT, number)
        elif what == 0:
            self.set(target, _CONSTANT, ~number if word >> 31 else ~number & 0xFFFFFFFF)
        elif what == 3:
            before = self.constant(target)
            if before is None:
                self.forget(target)
            else:
                self.set(target, _CONSTANT, before & ~(0xFFFF << shift) | number)

    def _add(self, word: int, target: int, source: int) -> None:
        number = (word >> 10 & 0xFFF) << (12 if word >> 22 & 1 else 0)
        if word >> 30 & 1:
            number = -number
        kind, before = self.registers.get(source, (_INITIAL, 0))
        if target == _ZERO_REGISTER and word >> 29 & 1:
            return
        if kind == _INITIAL:
            self.forget(target)
        else:
            self.set(target, kind, before + number)

    def _copy(self, target: int, source: int) -> None:
        if target == _ZERO_REGISTER:
            return
        if source == _ZERO_REGISTER:
            self.set(target, _CONSTANT, 0)
        elif source in self.registers:
            self.set(target, *self.registers[source])
        else:
            self.forget(target)

    def _shift(self, word: int, target: int, source: int) -> None:
        number, bits = self.constant(source), 64 if word >> 31 else 32
        rotate, last = word >> 16 & 63, word >> 10 & 63
        if number is None or max(rotate, last) >= bits or not (last == bits - 1 or rotate == last + 1):
            self.forget(target)
        elif last == bits - 1:
            self.set(target, _CONSTANT, number >> rotate)
        else:
            self.set(target, _CONSTANT, number << (bits - rotate) & ((1 << bits) - 1))


def _signed(number: int, bits: int) -> int:
    return number - (1 << bits) if number >> (bits - 1) else number


def _writes_general(word: int) -> bool:
    """Say whether the lowest field of an instruction is a general register that it writes, as most do."""
    kind = word >> 25 & 15
    if kind & 0b0101 == 0b0100:  # loads and stores; of vectors with bit 26
        return not word >> 26 & 1 and bool(word & 0x00C00000 or word & 0x3B000000 == 0x18000000)
    return kind in (0b1000, 0b1001, 0b0101, 0b1101)


def _is_branch(word: int) -> bool:
    """Say whether nothing goes on after an instruction: b, br, ret, udf, brk."""
    return (
        word & 0xFC000000 == 0x14000000
        or (word & 0xFE9FFC1F == 0xD61F0000 and word & 0x00600000 != 0x00200000)
        or word >> 16 == 0
        or word & 0xFFE0001F == 0xD4200000
    )


def _word(data: bytes, at: int) -> int:
    return int.from_bytes(data[at : at + 4], "little")


def calls(data: bytes, effort: Effort) -> t.Iterator[Call]:
    """Yield the system calls of which the number is known, in order of where they are."""
    for match in _SVC.finditer(data):
        if match.start() % 4 == 0 and effort.spend(_REACH):
            call = _call(data, match.start())
            if call is not None:
                yield call


def _call(data: bytes, at: int) -> Call | None:
    start = at
    while start >= 4 and at - start < _REACH * 4 and not _is_branch(_word(data, start - 4)):
        start -= 4
    state = _State()
    for position in range(start, at, 4):
        word = _word(data, position)
        if word & 0xFFE0001F == 0xD4000001:
            state.forget(0)
        else:
            state.step(word, position)
    first = state.registers.get(0, (_INITIAL, 0))
    # A function for any call: the number comes as the first argument, and the others move up.
    if state.registers.get(8) == (_INITIAL, 0) and first == (_INITIAL, 1):
        return Call(at, system_calls.ANY, True, 2, False, True, at + 4)
    number = state.constant(8)
    name = system_calls.ARM64.get(number) if number is not None else None
    if name is None:
        return None
    prepared = sum(1 for register in _ARGUMENTS if register in state.written and register in state.registers)
    # execveat has a directory before the path.
    path = state.registers.get(1, (_INITIAL, 0)) if name == "execveat" else first
    shell = path[0] in (_STACK, _PLACE) and system_calls.names_shell(state.texts)
    before = _word(data, at - 4) if at >= 4 else 0
    return Call(at, name, True, prepared, shell, before & 0x7FE0001F == 0x52800008, at + 4)


def decoders(data: bytes, effort: Effort) -> t.Iterator[int]:
    """Yield where code begins that changes what lies near it in a loop, as what undoes an encoding does."""
    done = -1
    for match in _ADR.finditer(data):
        start = match.start() - 2
        if start < 0 or start % 4 or start <= done:
            continue
        end = _decoder_end(data, start, effort)
        if end is not None:
            done = end
            yield start


def _decoder_end(data: bytes, start: int, effort: Effort) -> int | None:
    """Return where a loop ends that begins by finding its place at ``start``; None where there is none."""
    state = _State()
    reads: list[int] = []
    writes: list[int] = []
    for position in range(start, min(start + _MOST_STEPS * 4, len(data) - 3), 4):
        if not effort.spend():
            return None
        word = _word(data, position)
        target = _branch_target(word, position)
        if target is not None and start <= target <= position:
            body = [_word(data, at) for at in range(target, position, 4)]
            read = any(target <= at for at in reads)
            if read and any(target <= at for at in writes) and any(_calculates(one) for one in body):
                return position
        elif _is_branch(word) and word & 0xFC000000 != 0x14000000:
            return None
        kind, number = state.registers.get(word >> 5 & 31, (_INITIAL, 0))
        near = kind == _PLACE and abs(number - position) <= _FAR
        if _accesses(word) and word & 0x00400000 == 0:
            if near:
                writes.append(position)
        else:
            if _accesses(word) and near:
                reads.append(position)
            state.step(word, position)
    return None


def _branch_target(word: int, at: int) -> int | None:
    if word & 0xFF000010 == 0x54000000 or word & 0x7E000000 == 0x34000000:  # b.cond, cbz, cbnz
        return at + _signed(word >> 5 & 0x7FFFF, 19) * 4
    if word & 0x7E000000 == 0x36000000:  # tbz, tbnz
        return at + _signed(word >> 5 & 0x3FFF, 14) * 4
    if word & 0xFC000000 == 0x14000000:
        return at + _signed(word & 0x3FFFFFF, 26) * 4
    return None


def _accesses(word: int) -> bool:
    """Say whether it loads or stores by a base register (ldr, strb, ldp and so on; bit 22 is set for most loads)."""
    return word & 0x3A000000 in (0x38000000, 0x28000000)


def _calculates(word: int) -> bool:
    """Say whether it is an exclusive or, a negation, an addition or subtraction of registers, or a rotation."""
    return (
        word & 0x7F200000 in (0x4A000000, 0x4A200000, 0x2A200000)
        or word & 0x7F800000 == 0x52000000
        or (word & 0x1F200000 == 0x0B000000 and word & 31 != _ZERO_REGISTER)
        or word & 0x7FA00000 == 0x13800000
        or word & 0x7FE0FC00 == 0x1AC02C00
        or word & 0xBFE0FC00 == 0x2E201C00
    )


def egg_hunters(data: bytes, found: t.Sequence[Call]) -> t.Iterator[int]:
    """Yield where code probes what of memory can be read by system calls, and compares what is there."""
    for call in found:
        if call.name not in ("access", "rt_sigaction", "openat", "chmod", "unlink", "mkdir"):
            continue
        after = [_word(data, at) for at in range(call.end, min(call.end + 64, len(data) - 3), 4)]
        # cmn x0, #14: the answer is -EFAULT.
        faults = [number for number, word in enumerate(after[:4]) if word & 0x7FFFFFFF == 0x3100381F]
        if faults and any(word & 0x7F20001F == 0x6B00001F for word in after[faults[0] + 1 :]):
            yield call.offset


def elf_finders(data: bytes, effort: Effort) -> t.Iterator[int]:
    """Yield where code makes the four bytes an ELF image begins with, in two halves, to compare with them."""
    half = 0x52800000 | _ELF_HALVES[0] << 5
    pattern = struct.pack("<I", half)[1:]
    at = data.find(pattern)
    while at >= 0:
        start = at - 1
        if start >= 0 and start % 4 == 0 and effort.spend(8) and _word(data, start) & 0x7FFFFFE0 == half:
            wanted = 0x72A00000 | _ELF_HALVES[1] << 5 | data[start] & 31
            after = [_word(data, position) for position in range(start + 4, min(start + 64, len(data) - 3), 4)]
            before = [_word(data, position) for position in range(max(0, start - 32), start, 4)]
            if wanted in after[:5] and any(map(_steps, before + after)):
                yield start
        at = data.find(pattern, at + 1)


def _steps(word: int) -> bool:
    """Say whether one, or a page, is added to a register, or subtracted from it."""
    return word & 31 == word >> 5 & 31 and word & 0xBFFFFC00 in (0x91400400, 0x91000400)
