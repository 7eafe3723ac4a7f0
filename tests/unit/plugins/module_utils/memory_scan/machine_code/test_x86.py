# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""x86 instructions: their lengths, and what is known of registers after them."""

from __future__ import annotations

import pathlib
import re
import subprocess

import pytest
from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan.machine_code import x86_registers
from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan.machine_code.x86_decode import LONGEST, decode
from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan.machine_code.x86_registers import (
    CONSTANT,
    INITIAL,
    LOW,
    PLACE,
    RAX,
    RBX,
    RCX,
    RDI,
    RDX,
    STACK,
    Value,
)
from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan.machine_code.x86_trace import State
from hypothesis import given
from hypothesis import strategies as st

from tests.support import require
from tests.unit.plugins.module_utils.memory_scan import _assembled

# What only a kernel may do, and newer instructions that nothing around shellcode uses.
_NOT_DECODED = re.compile(
    r"(?:hlt|in[sb]?\b|outs?|ins|\(bad\)|rex|xend|xbegin|xtest|rdpkru|wrpkru|xgetbv|vprot|data16|[cdefgs]s )"
)


def test_instructions_end_where_the_disassembler_says() -> None:
    require("command:objdump")
    program = next(path for path in map(pathlib.Path, ("/usr/bin/bash", "/bin/bash")) if path.exists())
    told = subprocess.run(
        ["objdump", "-d", "-w", "-j", ".text", "-M", "intel", str(program)], capture_output=True, text=True, check=True
    )
    checked = 0
    for line in told.stdout.splitlines():
        found = re.match(r"\s+[0-9a-f]+:\t((?:[0-9a-f]{2} )+)\s*\t(.*)", line)
        if found is None or _NOT_DECODED.match(found.group(2)):
            continue
        code = bytes.fromhex(found.group(1))
        one = decode(code + b"\x90" * LONGEST, 0, True)
        assert one is not None, line
        assert one.end == len(code), line
        checked += 1
    assert checked > 10_000


@given(st.binary(max_size=40), st.integers(0, 45), st.booleans())
def test_whatever_the_bytes_an_instruction_lies_within(data: bytes, at: int, long: bool) -> None:
    one = decode(data, at, long)
    if one is not None:
        assert at == one.at < one.end <= min(len(data), at + LONGEST)


@pytest.mark.parametrize(
    "code", ["fa", "0f30", "ec", "f4", "cd21", "0f01", "e8", "48", "66" * 15, "", "0f", "c4", "62f1"]
)
def test_what_no_program_may_do_and_what_is_cut_is_no_instruction(code: str) -> None:
    assert decode(bytes.fromhex(code), 0, True) is None


def _known(source: str, register: int, machine: str = "x86_64") -> Value | None:
    """Return what is known of a register after a piece of code."""
    code = _assembled.assembled(source, machine)
    state = State(machine == "x86_64")
    position = 0
    while position < len(code):
        one = decode(code, position, machine == "x86_64")
        assert one is not None, code[position:].hex()
        state.step(one)
        position = one.end
    return state.registers[register]


_CONSTANTS = [
    ("mov eax, 59", 59),
    ("mov rax, -1; neg rax", 1),
    ("push 59; pop rax", 59),
    ("push 41; pop rcx; xchg rax, rcx", 41),
    ("xor eax, eax; mov al, 59", 59),
    ("xor eax, eax; mov ax, 0x13b", 0x13B),
    ("xor eax, eax; mov ah, 1; mov al, 2", 0x102),
    ("mov eax, 58; inc eax", 59),
    ("mov eax, 60; dec al", 59),
    ("mov eax, 118; shr eax, 1", 59),
    ("mov eax, 118; sar eax, 1; mov eax, 7", 7),
    ("mov eax, 29; shl eax; add eax, 1", 59),
    ("mov eax, 0x3a; or al, 1", 0x3B),
    ("mov eax, 0xff; and eax, 0x3b", 0x3B),
    ("mov ebx, 9; mov eax, 50; add eax, ebx", 59),
    ("mov ebx, 9; mov eax, 68; sub rax, rbx", 59),
    ("mov eax, 0x55; xor eax, 0x6e", 0x3B),
    ("mov eax, ~59; not eax", 59),
    ("mov edi, 59; lea rax, [rdi]", 59),
    ("mov edi, 60; lea rax, [rdi - 1]", 59),
    ("mov ebx, 59; movzx eax, bl", 59),
    ("mov ebx, 59; mov al, bl; movzx eax, al", 59),
    ("mov eax, 0x3b000000; bswap eax", 0x3B),
    ("mov ebx, 0; mul ebx", 0),
    ("push rbx; mov rcx, 59; push rcx; pop rax; pop rdx", 59),
    ("movsxd rax, ecx; mov eax, 4; cmp eax, 9; test eax, eax; nop", 4),
]


@pytest.mark.parametrize(("source", "number"), _CONSTANTS)
def test_constants_are_followed(source: str, number: int) -> None:
    assert _known(source, RAX) == Value(CONSTANT, number)


@pytest.mark.parametrize(
    ("source", "register", "value"),
    [
        ("nop", RDI, Value(INITIAL, RDI)),
        ("mov al, 59", RAX, Value(LOW, 59)),
        ("mov rax, rdi", RAX, Value(INITIAL, RDI)),
        ("lea rbx, [rip + 16]", RBX, Value(PLACE, 23)),
        ("lea rbx, [rip]; add rbx, 4", RBX, Value(PLACE, 11)),
        ("lea rbx, [rip]; mov ecx, 8; lea rdx, [rbx + rcx]; mov rdi, rsp", RDI, Value(STACK, 0)),
        ("mov eax, 1; cdq", RDX, Value(CONSTANT, 0)),
        ("mov rdi, rsp; sub rsp, 16", RDI, Value(STACK, 0)),
        ("mov ecx, 1; mov rcx, [rax]", RCX, None),
        ("mov ecx, 1; cmovz ecx, eax", RCX, None),
        ("mov ecx, 1; imul ecx, eax", RCX, None),
        ("mov eax, 1; cpuid", RAX, None),
        ("mov eax, 1; setz al", RAX, None),
        ("mov ecx, 1; xadd ecx, eax", RCX, None),
    ],
)
def test_what_isn_t_known_is_said_to_be(source: str, register: int, value: Value | None) -> None:
    assert _known(source, register) == value


def test_32_bit_code_is_followed_too() -> None:
    assert _known("xor eax, eax; inc eax; push eax; pop ebx", x86_registers.RBX, "i386") == Value(CONSTANT, 1)
