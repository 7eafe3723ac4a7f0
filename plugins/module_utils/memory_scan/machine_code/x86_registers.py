# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Hold what is known of x86 registers and the stack at one point of a path."""

from __future__ import annotations

import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan.machine_code.x86_decode import Instruction

RAX, RCX, RDX, RBX, RSP, RBP, RSI, RDI, R8, R9, R10, R11 = range(12)
# What is known of a value: a constant; an offset in the data that is searched; the lowest byte of it alone; a stack
# address; the register that held it at first.
CONSTANT, PLACE, LOW, STACK, INITIAL = range(5)
# Registers that a called function may change.
_SCRATCH = (RAX, RCX, RDX, RSI, RDI, R8, R9, R10, R11)


class Value(t.NamedTuple):
    """What is known of a value. kind: one of the above, which says what the number means."""

    kind: int
    number: int


Known = t.Optional[Value]
ZERO = Value(CONSTANT, 0)


class Registers:
    """Registers and stack along a path. long: of 64-bit code.

    written: registers that got a value on the way. texts: constants of four bytes and more that were seen, in which a
    name may be hidden. stored: places relative to the code that were written to.
    """

    def __init__(self, long: bool) -> None:
        self.long = long
        self.registers: list[Known] = [Value(INITIAL, number) for number in range(16)]
        self.registers[RSP] = Value(STACK, 0)
        self.stack: list[Known] = []
        self.written: set[int] = set()
        self.texts: list[bytes] = []
        self.stored: list[int] = []
        self.mask = (1 << 64) - 1 if long else (1 << 32) - 1

    def constant(self, register: int) -> int | None:
        """Return the number that a register holds, if that is known for sure."""
        value = self.registers[register]
        return value.number if value is not None and value.kind == CONSTANT else None

    def number(self, register: int) -> tuple[int, bool] | None:
        """Return the number that a register holds, and whether it is known but for bits that are zero by custom."""
        value = self.registers[register]
        if value is None or value.kind not in (CONSTANT, LOW):
            return None
        return value.number, value.kind == CONSTANT

    def set(self, register: int, value: Known, instruction: Instruction | None = None) -> None:
        """Give a register a value. instruction: whose operand size cuts a constant."""
        if value is not None and value.kind == CONSTANT:
            wide = instruction is None or instruction.wide or not self.long
            number = value.number & (self.mask if wide else 0xFFFFFFFF)
            value = Value(CONSTANT, number)
            if number > 0xFFFFFF:
                self.texts.append(number.to_bytes(8, "little"))
        if register == RSP and value is None:
            value = Value(STACK, 0)
        self.registers[register] = value
        self.written.add(register)

    def pushed(self, value: Known) -> None:
        self.stack.append(value)
        if value is not None and value.kind == CONSTANT and value.number > 0xFFFFFF:
            self.texts.append(value.number.to_bytes(8, "little"))

    def popped(self) -> Known:
        return self.stack.pop() if self.stack else None

    def after_call(self) -> None:
        """Forget what a function that was called may have changed."""
        for register in _SCRATCH if self.long else (RAX, RCX, RDX):
            self.registers[register] = None

    def operand(self, one: Instruction) -> int:
        """Return the register of the operand that may be memory; -1 where it is memory."""
        return one.modrm & 7 | (one.rex & 1) << 3 if one.modrm >= 0xC0 else -1

    def field(self, one: Instruction) -> int:
        """Return the other register of an instruction."""
        return one.modrm >> 3 & 7 | (one.rex & 4) << 1

    def address(self, one: Instruction) -> Known:
        """Return what is known of the address that an instruction uses."""
        if one.modrm >= 0xC0 or one.modrm < 0:
            return None
        mode, low = one.modrm >> 6, one.modrm & 7
        index: Known = ZERO
        if low == 4:
            low = one.sib & 7
            number = one.sib >> 3 & 7 | (one.rex & 2) << 2
            if number != RSP:
                index = _scaled(self.registers[number], one.sib >> 6)
            if low == 5 and mode == 0:
                return add(index, one.displacement)
        elif low == 5 and mode == 0:
            return Value(PLACE, one.end + one.displacement) if self.long else None
        base = self.registers[low | (one.rex & 1) << 3]
        if index is None or index.kind != CONSTANT:
            # A counter that walks over memory: what counts is where it begins.
            index = ZERO
        return add(base, one.displacement + signed(index.number))

    def set_byte(self, register: int, number: int, any_register: bool) -> None:
        """Set the lowest byte of a register, or without a REX prefix the one above it (ah to bh)."""
        high = register > 3 and not any_register
        value = self.registers[register - 4 if high else register]
        if high:
            known = value is not None and value.kind == CONSTANT
            rest = value.number & ~0xFF00 if value is not None else 0
            self.set(register - 4, Value(CONSTANT, rest | number << 8) if known else None)
        elif value is not None and value.kind == CONSTANT:
            self.set(register, Value(CONSTANT, value.number & ~0xFF | number))
        else:
            self.set(register, Value(LOW, number))

    def set_low_word(self, register: int, number: int) -> None:
        value = self.registers[register]
        known = value is not None and value.kind == CONSTANT
        rest = value.number & ~0xFFFF if value is not None else 0
        self.set(register, Value(CONSTANT, rest | number) if known else Value(LOW, number))


def signed(number: int) -> int:
    return number - (1 << 64) if number >> 63 else number


def add(value: Known, number: int) -> Known:
    if value is None or value.kind == INITIAL:
        return None
    return Value(value.kind, value.number + number)


def _scaled(value: Known, by: int) -> Known:
    return Value(CONSTANT, value.number << by) if value is not None and value.kind == CONSTANT else None
