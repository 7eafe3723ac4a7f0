# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What x86 registers hold after some instructions, as far as that can be told without running them.

It follows constants, addresses relative to the code itself, the stack pointer, and what a function was called with:
enough to know the number and the arguments of a system call however they were loaded. What it doesn't understand makes
a register unknown, never wrong.
"""

from __future__ import annotations

import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan.machine_code.x86_decode import (
    VECTOR,
    Instruction,
)
from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan.machine_code.x86_registers import (
    CONSTANT,
    LOW,
    PLACE,
    RAX,
    RBX,
    RCX,
    RDI,
    RDX,
    STACK,
    ZERO,
    Known,
    Registers,
    Value,
    add,
    signed,
)

_ADD, _OR, _AND, _SUB, _XOR, _CMP = 0, 1, 4, 5, 6, 7


class State(Registers):
    """Follow instructions along a path. What one does to registers, stack and memory is a method each."""

    def step(self, one: Instruction) -> None:
        """Take over what an instruction does. Branches are the caller's, calls push where they return to."""
        handler = _HANDLERS.get(one.opcode)
        if handler is not None:
            handler(self, one)
        elif one.modrm >= 0:
            self._forget_operands(one)

    def _forget_operands(self, one: Instruction) -> None:
        operand = self.operand(one)
        if operand >= 0 and one.opcode != VECTOR:
            self.set(operand, None)
        if operand < 0:
            self._store(one)
        self.registers[self.field(one)] = None

    def _store(self, one: Instruction) -> None:
        place = self.address(one)
        if place is not None and place.kind == PLACE:
            self.stored.append(place.number)

    def nothing(self, one: Instruction) -> None:
        """An instruction that changes no register."""

    def push_immediate(self, one: Instruction) -> None:
        self.pushed(Value(CONSTANT, one.immediate & self.mask))

    def push(self, one: Instruction) -> None:
        self.pushed(self.registers[one.opcode & 7 | (one.rex & 1) << 3])

    def pop(self, one: Instruction) -> None:
        self.set(one.opcode & 7 | (one.rex & 1) << 3, self.popped())

    def move_immediate(self, one: Instruction) -> None:
        self.set(one.opcode & 7 | (one.rex & 1) << 3, Value(CONSTANT, one.immediate), one)

    def move_byte(self, one: Instruction) -> None:
        self.set_byte(one.opcode & 7 | (one.rex & 1) << 3, one.immediate & 0xFF, bool(one.rex))

    def move_to_operand(self, one: Instruction) -> None:
        """C6 and C7."""
        operand = self.operand(one)
        if operand < 0:
            self._store(one)
            if one.opcode == 0xC7 and not one.narrow:
                self.texts.append((one.immediate & 0xFFFFFFFF).to_bytes(4, "little"))
        elif one.opcode == 0xC6:
            self.set_byte(operand, one.immediate & 0xFF, bool(one.rex))
        elif one.narrow:
            self.set_low_word(operand, one.immediate & 0xFFFF)
        else:
            self.set(operand, Value(CONSTANT, one.immediate), one)

    def move(self, one: Instruction) -> None:
        """89 and 8B: of whole registers."""
        operand, field = self.operand(one), self.field(one)
        to_operand = one.opcode == 0x89
        if operand < 0:
            if to_operand:
                self._store(one)
            else:
                self.set(field, None)
        else:
            target, source = (operand, field) if to_operand else (field, operand)
            self.set(target, None if one.narrow else self.registers[source], one)

    def move_bytes(self, one: Instruction) -> None:
        """88 and 8A, of bytes: what was a number stays one if its lowest byte is known."""
        operand = self.operand(one)
        if operand < 0 and one.opcode == 0x88:
            self._store(one)
            return
        target = operand if one.opcode == 0x88 else self.field(one)
        source = self.field(one) if one.opcode == 0x88 else operand
        value = self.registers[source] if source >= 0 and (one.rex or source < 4) else None
        if value is None or value.kind not in (CONSTANT, LOW):
            self.set(target if one.rex or target < 4 else target - 4, None)
        else:
            self.set_byte(target, value.number & 0xFF, bool(one.rex))

    def extend(self, one: Instruction) -> None:
        """0F B6, B7, BE and BF of small values, and 63."""
        operand = self.operand(one)
        value = self.registers[operand] if operand >= 0 else None
        bits = {0x0FB6: 8, 0x0FB7: 16, 0x0FBE: 7, 0x0FBF: 15, 0x63: 31}[one.opcode]
        known = value is not None and (value.kind == CONSTANT or (value.kind == LOW and bits in (7, 8)))
        if value is None or not known or (bits & 1 and value.number >> bits & 1):
            self.set(self.field(one), None)
        else:
            self.set(self.field(one), Value(CONSTANT, value.number & ((1 << bits) - 1)))

    def load_address(self, one: Instruction) -> None:
        if one.modrm >= 0x40 or one.modrm & 7 != 4 or one.sib >> 3 & 7 == 4:
            scaled = one.modrm & 7 == 4 and one.modrm < 0xC0 and one.sib >> 3 & 7 != 4
            self.set(self.field(one), None if scaled else self.address(one), one)
        else:
            self.set(self.field(one), None)

    def exchange(self, one: Instruction) -> None:
        """87 and 90 to 97."""
        first = self.field(one) if one.modrm >= 0 else RAX
        second = self.operand(one) if one.modrm >= 0 else one.opcode & 7 | (one.rex & 1) << 3
        if second < 0:
            self.set(first, None)
        elif first != second:
            values = self.registers[first], self.registers[second]
            self.set(first, values[1], one)
            self.set(second, values[0], one)

    def count(self, one: Instruction) -> None:
        """FE and FF: increments and decrements, pushes and branches of what is in memory."""
        what, operand = one.modrm >> 3 & 7, self.operand(one)
        if what < 2 and operand >= 0:
            if one.opcode == 0xFE:
                value = self.registers[operand] if one.rex or operand < 4 else None
                known = value is not None and value.kind in (CONSTANT, LOW)
                number = (value.number if value is not None else 0) + (1 if what == 0 else -1)
                if known:
                    self.set_byte(operand, number & 0xFF, bool(one.rex))
                else:
                    self.set(operand if one.rex or operand < 4 else operand - 4, None)
            else:
                self.set(operand, add(self.registers[operand], 1 if what == 0 else -1), one)
        elif what < 2:
            self._store(one)
        elif what == 6:
            self.pushed(self.registers[operand] if operand >= 0 else None)
        elif what == 2:
            self.after_call()

    def count_short(self, one: Instruction) -> None:
        """40 to 4F of 32-bit code."""
        register = one.opcode & 7
        self.set(register, add(self.registers[register], 1 if one.opcode < 0x48 else -1))

    def calculate_immediate(self, one: Instruction) -> None:
        """80, 81 and 83."""
        what, operand = one.modrm >> 3 & 7, self.operand(one)
        if what == _CMP:
            return
        if operand < 0:
            self._store(one)
        else:
            self._calculate(what, operand, Value(CONSTANT, one.immediate), one, one.opcode == 0x80)

    def calculate_accumulator(self, one: Instruction) -> None:
        """04, 05, 0C and so on."""
        if one.opcode >> 3 != _CMP:
            self._calculate(one.opcode >> 3, RAX, Value(CONSTANT, one.immediate), one, not one.opcode & 1)

    def calculate(self, one: Instruction) -> None:
        """00 to 3B, between registers or with memory."""
        what, operand, field = one.opcode >> 3, self.operand(one), self.field(one)
        to_operand = not one.opcode & 2
        if what == _CMP:
            return
        if operand < 0:
            if to_operand:
                self._store(one)
            else:
                self.set(field, None)
            return
        target, source = (operand, field) if to_operand else (field, operand)
        byte = not one.opcode & 1
        if target == source and what in (_SUB, _XOR):
            if byte:
                self.set_byte(target, 0, bool(one.rex))
            else:
                self.set(target, ZERO)
        else:
            self._calculate(what, target, None if byte else self.registers[source], one, byte)

    def unary(self, one: Instruction) -> None:
        """F6 and F7: test, not, neg, mul, div."""
        what, operand = one.modrm >> 3 & 7, self.operand(one)
        if what < 2:
            return
        if what in (2, 3):
            if operand < 0:
                self._store(one)
                return
            number = self.constant(operand) if one.opcode == 0xF7 else None
            changed = None if number is None else Value(CONSTANT, ~number if what == 2 else -number)
            self.set(operand, changed, one)
            return
        zero = self.constant(RAX) == 0 or (operand >= 0 and self.constant(operand) == 0)
        result = ZERO if zero and what in (4, 5) and one.opcode == 0xF7 else None
        self.set(RAX, result)
        if one.opcode == 0xF7:
            self.set(RDX, result)

    def shift(self, one: Instruction) -> None:
        """C0, C1 and D0 to D3."""
        what, operand = one.modrm >> 3 & 7, self.operand(one)
        if operand < 0:
            self._store(one)
            return
        number = self.constant(operand)
        by = {0xC1: one.immediate & 63, 0xD1: 1}.get(one.opcode)
        if number is None or by is None or what not in (4, 5):
            self.set(operand, None)
        else:
            self.set(operand, Value(CONSTANT, number << by if what == 4 else number >> by), one)

    def sign(self, one: Instruction) -> None:
        """99: the sign of eax, mostly a short way to say edx = 0."""
        number = self.constant(RAX)
        self.set(RDX, ZERO if number is not None and number < 0x80000000 else None)

    def pop_operand(self, one: Instruction) -> None:
        value, operand = self.popped(), self.operand(one)
        if operand >= 0:
            self.set(operand, value)

    def stored_string(self, one: Instruction) -> None:
        """AA, AB, A4 and A5: memory at rdi."""
        place = self.registers[RDI]
        if place is not None and place.kind == PLACE:
            self.stored.append(place.number)
        self.registers[RDI] = place if place is None or place.kind != CONSTANT else None

    def loaded(self, one: Instruction) -> None:
        """A0 and A1, AC and AD: what is in memory."""
        self.set(RAX, None)

    def identified(self, one: Instruction) -> None:
        for register in (RAX, RCX, RDX) + ((RBX,) if one.opcode == 0x0FA2 else ()):
            self.set(register, None)

    def swap_bytes(self, one: Instruction) -> None:
        register = one.opcode & 7 | (one.rex & 1) << 3
        number = self.constant(register)
        size = 8 if one.wide else 4
        if number is None or number >> (8 * size):
            self.set(register, None)
        else:
            swapped = int.from_bytes(number.to_bytes(size, "little"), "big")
            self.set(register, Value(CONSTANT, swapped), one)

    def _calculate(self, what: int, target: int, second: Known, one: Instruction, byte: bool) -> None:
        first = self.registers[target]
        if byte:
            known = first is not None and second is not None and first.kind in (CONSTANT, LOW)
            if not known or (target > 3 and not one.rex):
                self.set(target if one.rex or target < 4 else target - 4, None)
                return
        value = _calculated(what, first, second)
        if byte and value is not None:
            self.set_byte(target, value.number & 0xFF, bool(one.rex))
        elif one.narrow and value is not None:
            self.set_low_word(target, value.number & 0xFFFF)
        else:
            self.set(target, value, one)


def _calculated(what: int, first: Known, second: Known) -> Known:
    if what == _AND and second == ZERO:
        return ZERO
    if first is None or second is None:
        return None
    if what in (_ADD, _SUB) and second.kind == CONSTANT and first.kind in (PLACE, STACK):
        return Value(first.kind, first.number + (signed(second.number) if what == _ADD else -signed(second.number)))
    if first.kind not in (CONSTANT, LOW) or second.kind != CONSTANT:
        return None
    a, b = first.number, second.number
    numbers = {_ADD: a + b, _OR: a | b, _AND: a & b, _SUB: a - b, _XOR: a ^ b}
    return Value(first.kind, numbers[what]) if what in numbers else None


_Handler = t.Callable[[State, Instruction], None]


def _handlers() -> dict[int, _Handler]:
    table: dict[int, _Handler] = {0x68: State.push_immediate, 0x6A: State.push_immediate, 0x99: State.sign}
    for register in range(8):
        table[0x50 + register] = State.push
        table[0x58 + register] = State.pop
        table[0xB0 + register] = State.move_byte
        table[0xB8 + register] = State.move_immediate
        table[0x90 + register] = State.exchange
        table[0x40 + register] = table[0x48 + register] = State.count_short
        table[0x0FC8 + register] = State.swap_bytes
        row = register << 3
        table.update({row | column: State.calculate for column in range(4)})
        table.update({row | column: State.calculate_accumulator for column in (4, 5)})
    table.update(dict.fromkeys((0x80, 0x81, 0x83), State.calculate_immediate))
    table.update(dict.fromkeys((0xC0, 0xC1, 0xD0, 0xD1, 0xD2, 0xD3), State.shift))
    table.update(dict.fromkeys((0x0FB6, 0x0FB7, 0x0FBE, 0x0FBF, 0x63), State.extend))
    table.update(dict.fromkeys((0xF6, 0xF7), State.unary))
    table.update(dict.fromkeys((0xFE, 0xFF), State.count))
    table.update(dict.fromkeys((0xC6, 0xC7), State.move_to_operand))
    table.update(dict.fromkeys((0x88, 0x8A), State.move_bytes))
    table.update(dict.fromkeys((0x89, 0x8B), State.move))
    table.update(dict.fromkeys((0xA4, 0xA5, 0xAA, 0xAB), State.stored_string))
    table.update(dict.fromkeys((0xA0, 0xA1, 0xAC, 0xAD), State.loaded))
    table.update(dict.fromkeys((0x0FA2, 0x0F31), State.identified))
    table.update({0x87: State.exchange, 0x8D: State.load_address, 0x8F: State.pop_operand})
    # Comparisons, coprocessor instructions and hints only read.
    table.update(dict.fromkeys((0x84, 0x85, 0x0F1E, 0x0F1F, 0x0F18, 0x0FA3), State.nothing))
    table.update(dict.fromkeys(range(0xD8, 0xE0), State.nothing))
    return table


_HANDLERS = _handlers()
