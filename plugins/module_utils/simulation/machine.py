# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The instructions that simulated programs are made of: constants into registers, and system calls.

The registers are those of syscall(2). What a kept result lies in (rbx, x19) is left alone by the kernel.
"""

from __future__ import annotations

import struct
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils import _syscalls


class Constant(t.NamedTuple):
    """A number, or an address."""

    value: int


class Kept(t.NamedTuple):
    """What the last call that kept its result returned."""


Operand = t.Union[Constant, Kept]


class Machine:
    """A kind of processor. elf_number: e_machine of its programs. idle: a function that does nothing and returns 0."""

    elf_number: int
    idle: bytes
    _numbers: t.Mapping[str, int]

    def call(self, name: str, operands: t.Sequence[Operand], keep: bool) -> bytes:
        """Return the instructions of one system call; how many bytes they are doesn't depend on the constants."""
        code = b"".join(self._load(position, operand) for position, operand in enumerate(operands))
        return code + self._enter(self._numbers[name]) + (self._keep() if keep else b"")

    def skip_unless_zero(self, length: int) -> bytes:
        """Return instructions that skip the next ``length`` bytes unless the last call returned 0."""
        raise NotImplementedError

    def _load(self, position: int, operand: Operand) -> bytes:
        raise NotImplementedError

    def _enter(self, number: int) -> bytes:
        raise NotImplementedError

    def _keep(self) -> bytes:
        raise NotImplementedError


class _X86(Machine):
    """Intel 64: https://www.intel.com/sdm, volume 2."""

    elf_number = 62
    idle = b"\x55\x48\x89\xe5\x31\xc0\x5d\xc3"  # push rbp; mov rbp, rsp; xor eax, eax; pop rbp; ret
    # rdi, rsi, rdx, r10, r8, r9: the extension bit and the number of each.
    _REGISTERS = ((0, 7), (0, 6), (0, 2), (1, 2), (1, 0), (1, 1))

    def __init__(self) -> None:
        self._numbers = _syscalls.numbers("x86_64")

    def skip_unless_zero(self, length: int) -> bytes:
        return b"\x48\x85\xc0" + b"\x0f\x85" + struct.pack("<i", length)  # test rax, rax; jnz

    def _load(self, position: int, operand: Operand) -> bytes:
        extended, register = self._REGISTERS[position]
        if isinstance(operand, Constant):
            return struct.pack("<BBQ", 0x48 | extended, 0xB8 | register, operand.value)  # mov register, value
        return struct.pack("BBB", 0x48 | extended, 0x89, 0xC0 | 3 << 3 | register)  # mov register, rbx

    def _enter(self, number: int) -> bytes:
        return b"\xb8" + struct.pack("<I", number) + b"\x0f\x05"  # mov eax, number; syscall

    def _keep(self) -> bytes:
        return b"\x48\x89\xc3"  # mov rbx, rax


class _Arm(Machine):
    """A64: https://developer.arm.com/documentation/ddi0602."""

    elf_number = 183
    idle = bytes.fromhex("1f2003d500008052c0035fd6")  # nop; mov w0, #0; ret

    def __init__(self) -> None:
        self._numbers = _syscalls.numbers("aarch64")

    def skip_unless_zero(self, length: int) -> bytes:
        return _word(0xB5000000 | (length // 4 + 1) << 5)  # cbnz x0

    def _load(self, position: int, operand: Operand) -> bytes:
        if isinstance(operand, Constant):
            return self._constant(position, operand.value)
        return _word(0xAA1303E0 | position)  # mov register, x19

    def _enter(self, number: int) -> bytes:
        return self._constant(8, number) + _word(0xD4000001)  # svc 0

    def _keep(self) -> bytes:
        return _word(0xAA0003F3)  # mov x19, x0

    def _constant(self, register: int, value: int) -> bytes:
        parts = [(value >> shift * 16) & 0xFFFF for shift in range(4)]
        first = _word(0xD2800000 | parts[0] << 5 | register)  # movz
        rest = (_word(0xF2800000 | shift << 21 | parts[shift] << 5 | register) for shift in range(1, 4))  # movk
        return first + b"".join(rest)


def _word(value: int) -> bytes:
    return struct.pack("<I", value)


MACHINES: t.Mapping[str, Machine] = {"x86_64": _X86(), "aarch64": _Arm()}
