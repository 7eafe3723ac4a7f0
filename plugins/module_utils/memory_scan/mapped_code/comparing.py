# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How code in memory differs from the file that it came from, and where a change leads."""

from __future__ import annotations

import bisect
import re
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan.mapped_code import elf
from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan.model import PAGE

_CHANGED = re.compile(rb"[^\0]+")
# An instruction that was changed keeps some bytes by chance; what is no further apart is one change.
_APART = 16

_NOP = b"\x0f\x1f\x44\x00\x00"
# BRK of any number: debuggers and the kernel's probes use different ones.
_BRK, _BRK_MASK = 0xD4200000, 0xFFE0001F
# Undefined instructions that debuggers and the kernel's probes put into ARM and Thumb code.
_ARM_BREAKPOINTS = frozenset((0xE7F001F0, 0xE7F001F9, 0xE7F001FA))
_X86 = frozenset((elf.EM_386, elf.EM_X86_64))


class Run(t.NamedTuple):
    """Bytes that differ, from ``start`` up to and without ``end``."""

    start: int
    end: int


def differences(memory: bytes, file: bytes, at: int) -> list[Run]:
    """Return where two contents differ, as offsets from ``at``; what the file is shorter by is taken for zeros."""
    runs: list[Run] = []
    for page in range(0, len(memory), PAGE):
        mine = memory[page : page + PAGE]
        its = file[page : page + len(mine)].ljust(len(mine), b"\0")
        if mine != its:
            changed = (int.from_bytes(mine, "little") ^ int.from_bytes(its, "little")).to_bytes(len(mine), "little")
            first = at + page
            runs.extend(Run(first + found.start(), first + found.end()) for found in _CHANGED.finditer(changed))
    return runs


def joined(runs: t.Iterable[Run]) -> list[Run]:
    """Return runs in order with those that belong together as one."""
    found: list[Run] = []
    for run in runs:
        if found and run.start - found[-1].end <= _APART:
            found[-1] = Run(found[-1].start, run.end)
        else:
            found.append(run)
    return found


def without(runs: t.Iterable[Run], starts: t.Sequence[int], width: int) -> list[Run]:
    """Return the runs that don't lie in places that may differ; starts: of those, in order; width: of each in bytes."""
    return [run for run in runs if not _covered(run, starts, width)]


def _covered(run: Run, starts: t.Sequence[int], width: int) -> bool:
    place = run.start
    while place < run.end:
        index = bisect.bisect_right(starts, place) - 1
        if index < 0 or starts[index] + width <= place:
            return False
        place = starts[index] + width
    return True


def is_breakpoint(machine: int, memory: bytes, run: Run) -> bool:
    """Say whether what differs is a breakpoint; run: in ``memory``."""
    if machine in _X86:
        return set(memory[run.start : run.end]) == {0xCC} and run.end - run.start <= 2
    if machine not in (elf.EM_AARCH64, elf.EM_ARM):
        return False
    words = [int.from_bytes(memory[place : place + 4], "little") for place in range(run.start // 4 * 4, run.end, 4)]
    if machine == elf.EM_AARCH64:
        return all(word & _BRK_MASK == _BRK for word in words)
    return all(word in _ARM_BREAKPOINTS or 0xDE01 in (word & 0xFFFF, word >> 16) for word in words)


def probe_call(machine: int, memory: bytes, file: bytes, run: Run, address: int) -> int | None:
    """Return where a call goes that took the place of the one instruction that kernels since 6.18 turn into a probe.

    run: in ``memory`` and ``file``, which begin at ``address``. None where it is no such call.
    """
    for place in range(max(run.start - 4, 0), run.start + 1):
        if run.end <= place + 5 and file[place : place + 5] == _NOP and memory[place : place + 1] == b"\xe8":
            return _relative(memory, place, address) if machine == elf.EM_X86_64 else None
    return None


def target(machine: int, memory: bytes, place: int, address: int) -> int | None:
    """Return where code at a place of ``memory``, which begins at ``address``, leads to at once; None if nowhere.

    Known are the ways in which functions are diverted: a jump or call, through a register or a pointer behind it, too.
    """
    if machine == elf.EM_X86_64:
        # The prefix of the instruction that was there may be the one of what took its place.
        return _x86_target(memory, place, address) or _register_target(memory, max(place - 1, 0))
    if machine == elf.EM_386:
        return _x86_target(memory, place, address)
    if machine == elf.EM_AARCH64:
        return _arm_target(memory, place // 4 * 4, address)
    return None


def _x86_target(memory: bytes, place: int, address: int) -> int | None:
    code = memory[place : place + 16].ljust(16, b"\0")
    if code[0] in (0xE8, 0xE9):
        return _relative(memory, place, address)
    if code[:2] == b"\xff\x25":
        # Where the pointer stands right behind, as it does where it is written together with the jump.
        pointer = place + 6 + int.from_bytes(code[2:6], "little", signed=True)
        return int.from_bytes(memory[pointer : pointer + 8], "little") if 0 <= pointer < len(memory) else None
    if code[0] == 0x68 and code[5] == 0xC3:
        return int.from_bytes(code[1:5], "little")
    if code[0] == 0x68 and code[5:9] == b"\xc7\x44\x24\x04" and code[13] == 0xC3:
        return int.from_bytes(code[1:5] + code[9:13], "little")
    return _register_target(memory, place)


def _register_target(memory: bytes, place: int) -> int | None:
    """Return the number that is put into a register of 64 bits, where it is used to jump, call or return."""
    code = memory[place : place + 16]
    if len(code) >= 12 and code[0] in (0x48, 0x49) and 0xB8 <= code[1] <= 0xBF and _uses_register(code[10:]):
        return int.from_bytes(code[2:10], "little")
    return None


def _uses_register(code: bytes) -> bool:
    code = code[1:] if code[:1] == b"\x41" else code
    return code[:1] == b"\xff" or (0x50 <= code[0] <= 0x57 and b"\xc3" in code[1:2])


def _relative(memory: bytes, place: int, address: int) -> int:
    distance = int.from_bytes(memory[place + 1 : place + 5], "little", signed=True)
    return (address + place + 5 + distance) % (1 << 64)


def _arm_target(memory: bytes, place: int, address: int) -> int | None:
    word = int.from_bytes(memory[place : place + 4], "little")
    if word >> 26 in (0b000101, 0b100101):
        distance = (word & 0x3FFFFFF) - ((word & 0x2000000) << 1)
        return (address + place + distance * 4) % (1 << 64)
    # LDR of a register from a number behind it, and BR or BLR of that register.
    following = int.from_bytes(memory[place + 4 : place + 8], "little")
    if word >> 24 == 0x58 and following & 0xFFDFFC1F == 0xD61F0000 and following >> 5 & 31 == word & 31:
        pointer = place + (word >> 5 & 0x7FFFF) * 4
        return int.from_bytes(memory[pointer : pointer + 8], "little") if pointer + 8 <= len(memory) else None
    return None
