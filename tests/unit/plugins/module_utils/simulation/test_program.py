# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The programs that simulations are made of: they run here, and are the right instructions elsewhere."""

from __future__ import annotations

import os
import pathlib
import platform
import struct
import subprocess

import pytest
from ansible_collections.bulwark.servers.plugins.module_utils.simulation import program
from ansible_collections.bulwark.servers.plugins.module_utils.simulation.calls import HARMLESS
from ansible_collections.bulwark.servers.plugins.module_utils.simulation.machine import MACHINES, Constant, Kept
from ansible_collections.bulwark.servers.plugins.module_utils.simulation.program import RESULT, Call, Start

_HERE, _NEW = -100, 0o301

here = pytest.mark.skipif(platform.machine() not in MACHINES, reason="there are no programs for this processor")


def made(path: pathlib.Path, *steps: program.Step) -> pathlib.Path:
    path.write_bytes(program.build(steps))
    path.chmod(0o755)
    return path


def writing(path: pathlib.Path, text: bytes) -> list[program.Step]:
    return [
        Call("openat", (_HERE, os.fsencode(path), _NEW, 0o600), keep=True),
        Call("write", (RESULT, text, len(text))),
        Call("close", (RESULT,)),
    ]


@here
def test_a_program_without_calls_ends_well(tmp_path: pathlib.Path) -> None:
    assert subprocess.run([made(tmp_path / "insmod"), "rootkit.ko"], check=True, capture_output=True).stdout == b""


@here
def test_calls_are_made_in_their_order_with_the_result_of_those_before(tmp_path: pathlib.Path) -> None:
    text = bytes(range(256)) * 20
    path = made(tmp_path / "writer", *writing(tmp_path / "one", text), *writing(tmp_path / "two", b"2"))
    subprocess.run([path], check=True)
    assert (tmp_path / "one").read_bytes() == text
    assert (tmp_path / "two").read_bytes() == b"2"
    # A call that fails doesn't stop what follows, and O_EXCL leaves what is there alone.
    (tmp_path / "two").unlink()
    (tmp_path / "one").write_text("mine")
    subprocess.run([path], check=True)
    assert (tmp_path / "one").read_text() == "mine"
    assert (tmp_path / "two").exists()


@here
def test_a_program_starts_others_with_arguments_and_waits_for_them(tmp_path: pathlib.Path) -> None:
    out = tmp_path / "out"
    script = f"echo \"$1 $2 $(ps -o comm= $PPID)\" > '{out}'; sleep 0.2; echo end >> '{out}'"
    start = Start(b"/bin/sh", (b"sh", b"-c", os.fsencode(f"PATH=/usr/bin:/bin; {script}"), b"", "wörd".encode(), b""))
    missing = Start(b"/nonexistent", (b"x",))
    subprocess.run([made(tmp_path / "nginx", missing, start, *writing(tmp_path / "after", b"x"))], check=True)
    assert out.read_text() == "wörd  nginx\nend\n"
    assert (tmp_path / "after").exists()


@here
@pytest.mark.parametrize("name", sorted(HARMLESS))
def test_no_harmless_call_ends_the_program_that_makes_it(name: str, tmp_path: pathlib.Path) -> None:
    path = made(tmp_path / "x", Call(name, HARMLESS[name]), *writing(tmp_path / "after", b"x"))
    subprocess.run([path], check=True)
    assert (tmp_path / "after").exists()


@pytest.mark.parametrize("machine", sorted(MACHINES))
def test_every_harmless_call_is_known_to_every_processor(machine: str) -> None:
    for name, arguments in HARMLESS.items():
        content = program.build([Call(name, arguments)], machine)
        assert content[:7] == b"\x7fELF\x02\x01\x01"
        kind, elf_number, _version, entry = struct.unpack_from("<HHIQ", content, 16)
        assert (kind, elf_number, entry) == (2, MACHINES[machine].elf_number, 0x400078)


def test_the_instructions_of_aarch64() -> None:
    # What GNU as makes of the lines beside them.
    target = MACHINES["aarch64"]
    code = target.call("socket", [Constant(2), Constant(0x1122334455667788), Kept()], keep=True)
    expected = [
        0xD2800040,  # movz x0, #2
        0xF2A00000,  # movk x0, #0, lsl #16
        0xF2C00000,  # movk x0, #0, lsl #32
        0xF2E00000,  # movk x0, #0, lsl #48
        0xD28EF101,  # movz x1, #0x7788
        0xF2AAACC1,  # movk x1, #0x5566, lsl #16
        0xF2C66881,  # movk x1, #0x3344, lsl #32
        0xF2E22441,  # movk x1, #0x1122, lsl #48
        0xAA1303E2,  # mov x2, x19
        0xD28018C8,  # movz x8, #198
        0xF2A00008,  # movk x8, #0, lsl #16
        0xF2C00008,  # movk x8, #0, lsl #32
        0xF2E00008,  # movk x8, #0, lsl #48
        0xD4000001,  # svc #0
        0xAA0003F3,  # mov x19, x0
    ]
    assert list(struct.unpack("<15I", code)) == expected
    assert target.skip_unless_zero(8) == struct.pack("<I", 0xB5000060)  # cbnz x0, . + 12


def test_the_instructions_of_x86_64() -> None:
    target = MACHINES["x86_64"]
    code = target.call("socket", [Constant(2), Kept(), *[Constant(0)] * 3, Constant(2**64 - 1)], keep=True)
    expected = (
        "48bf 0200000000000000"  # movabs rdi, 2
        "4889de"  # mov rsi, rbx
        "48ba 0000000000000000"  # movabs rdx, 0
        "49ba 0000000000000000"  # movabs r10, 0
        "49b8 0000000000000000"  # movabs r8, 0
        "49b9 ffffffffffffffff"  # movabs r9, -1
        "b8 29000000"  # mov eax, 41
        "0f05"  # syscall
        "4889c3"  # mov rbx, rax
    )
    assert code == bytes.fromhex(expected)
    assert target.skip_unless_zero(8) == bytes.fromhex("4885c0 0f85 08000000")  # test rax, rax; jne . + 8


def test_a_processor_without_programs_is_named() -> None:
    with pytest.raises(program.UnsupportedMachineError, match="'riscv64', only for aarch64, x86_64"):
        program.build([], "riscv64")
