# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What machine code for x86 does that only code does which must stand on its own.

A byte pattern alone would be found in the constants of any large program. So each is only where to look: what is
around it is decoded, and what it would do is followed (x86_trace.py).
"""

from __future__ import annotations

import re
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan import system_calls
from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan.system_calls import Call
from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan.x86_decode import (
    LONGEST,
    Instruction,
    decode,
)
from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan.x86_trace import (
    INITIAL,
    PLACE,
    R8,
    R9,
    R10,
    RAX,
    RBX,
    RCX,
    RDI,
    RDX,
    RSI,
    STACK,
    State,
    Value,
)

# How far before a system call its number and arguments are looked for, in bytes.
_REACH = 112
_MOST_STARTS = 48
# How many instructions of a decoder are followed, and how far what it decodes may lie from it.
_MOST_STEPS = 96
_FAR = 4096
_NEAR = 1024
_POP = frozenset(range(0x58, 0x60))
_ENDS = frozenset((0xC2, 0xC3, 0xCC, 0x0F0B))
_BRANCHES = frozenset(range(0x70, 0x80)) | frozenset(range(0x0F80, 0x0F90)) | frozenset((0xE0, 0xE1, 0xE2, 0xE3))
_SYSCALL, _INTERRUPT, _SYSENTER = 0x0F05, 0xCD, 0x0F34
_X32 = 0x40000000

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
# Ways to load a number, up to where the system call is: push and pop, mov, xor or sub and mov.
_CLOSE = re.compile(rb"(?:\x6a[\s\S]\x58|\xb8[\s\S]{2}\0\0|\xc7\xc0[\s\S]{2}\0\0|[\x29\x2b\x31\x33]\xc0\xb0[\s\S])\Z")
# mov r10, rcx; mov eax, n: programs for Windows call its kernel so, with numbers of its own.
_WINDOWS = re.compile(rb"(?:\x4c\x8b\xd1|\x49\x89\xca)\xb8[\s\S]{2}\x00\x00")
# Eight bytes are compared with the same tag twice.
_TAG_COMPARED = re.compile(rb"\x81[\x38-\x3f]([\s\S]{4})[\s\S]{0,8}?\x81[\x78-\x7f]\x04\1")
# The same as scasd, jnz, scasd, jnz.
_TAG_SCANNED = re.compile(rb"\xaf\x75[\x80-\xff]\x48?\xaf\x75[\x80-\xff]")
# What may be a short jump back: what has none soon is no loop.
_BACK = re.compile(rb"[\x70-\x7f\xe0-\xe2\xeb][\x80-\xfd]|\x0f[\x80-\x8f][\s\S]\xff\xff\xff|\xe9[\s\S]\xff\xff\xff")
_SOON = 256
# What follows a call that probes whether an address can be read: a comparison with -EFAULT.
_FAULT = re.compile(rb"\x3c\xf2|\x48?\x83\xf8\xf2|\x48?\x3d\xf2\xff\xff\xff")
# A comparison with the beginning of an ELF file, or it as a constant.
_ELF_COMPARED = re.compile(rb"\x81[\x38-\x3f\x78-\x7f\xb8-\xbf][\s\S]?\x7fELF")
# Adding or subtracting a page, or one.
_STEPS = re.compile(
    rb"\x81[\xc0-\xc7\xe8-\xef]\x00(?:\x10\x00|\xf0\xff)[\x00\xff]|[\x48\x49]\xff[\xc0-\xcf]|\x2d\x00\x10\x00\x00"
)


def calls(data: bytes, long: bool) -> t.Iterator[Call]:
    """Yield the system calls of which the number is known, in order of where they are."""
    anchors = [(b"\xcd\x80", system_calls.I386)]
    anchors.append((b"\x0f\x05", system_calls.X86_64) if long else (b"\x0f\x34", system_calls.I386))
    found = [call for pattern, names in anchors for at in _all(data, pattern) for call in _call(data, at, long, names)]
    found.sort(key=lambda call: call.offset)
    yield from found


def _all(data: bytes, pattern: bytes) -> t.Iterator[int]:
    at = data.find(pattern)
    while at >= 0:
        yield at
        at = data.find(pattern, at + 1)


def _call(data: bytes, at: int, long: bool, names: t.Mapping[int, str]) -> t.Iterator[Call]:
    """Yield the call at an offset, once, if any way that leads to it says what it is."""
    if _WINDOWS.search(data, max(0, at - 24), at) is not None:
        return
    best: Call | None = None
    for state in _states(data, at, long):
        call = _named(at, state, names)
        if call is None:
            continue
        if best is None or call.sure > best.sure:
            best, call = call, best or call
        # Of the ways that lead there some miss an instruction, each another.
        if call.name == best.name:
            best = best._replace(prepared=max(call.prepared, best.prepared), shell=call.shell or best.shell)
    if best is not None:
        yield best._replace(close=_CLOSE.search(data[max(0, at - 8) : at]) is not None)


def _named(at: int, state: State, names: t.Mapping[int, str]) -> Call | None:
    arguments = (RBX, RCX, RDX, RSI, RDI) if names is system_calls.I386 else (RDI, RSI, RDX, R10, R8, R9)
    known = state.registers[RAX]
    if names is system_calls.X86_64 and known == Value(INITIAL, RDI) and _moved_up(state):
        return Call(at, system_calls.ANY, True, 2, False, True, at + 2)
    number = state.number(RAX)
    if number is None:
        return None
    name = names.get(number[0] & ~_X32 if names is system_calls.X86_64 else number[0])
    if name == "socketcall":
        which = state.number(RBX)
        name = system_calls.SOCKET_CALLS.get(which[0]) if which is not None else None
    if name is None:
        return None
    prepared = sum(1 for register in arguments if register in state.written and state.registers[register] is not None)
    first = state.registers[arguments[0]]
    points = first is not None and first.kind in (STACK, PLACE)
    return Call(at, name, number[1], prepared, points and system_calls.names_shell(state.texts), False, at + 2)


def _moved_up(state: State) -> bool:
    """Say whether the second and third argument of a function became the first and second of the call it makes."""
    return state.registers[RDI] == Value(INITIAL, RSI) and state.registers[RSI] == Value(INITIAL, RDX)


def _states(data: bytes, at: int, long: bool) -> t.Iterator[State]:
    """Yield what is known at an offset for the ways that lead there, the longest first."""
    following: dict[int, Instruction] = {}
    begun: set[int] = set()
    lowest = max(0, at - _REACH)
    window = data[lowest : at + LONGEST]
    for start in range(at - 1, lowest - 1, -1):
        one = decode(window, start - lowest, long)
        if one is None or one.opcode in _ENDS or (one.opcode == 0xFF and one.modrm >> 3 & 7 in (4, 5)):
            continue
        target = _next(one, lowest)
        if target == at or target in following:
            following[start] = one
            begun.add(start)
            begun.discard(target)
    seen: dict[int, list[list[Value | None]]] = {}
    for start in sorted(begun)[:_MOST_STARTS]:
        state = State(long)
        position, steps = start, 0
        while position != at and steps < _REACH:
            # Most ways soon go on as another did, and know no more.
            known = state.registers + state.stack
            if known in seen.setdefault(position, []):
                break
            seen[position].append(known)
            one = following[position]
            _taken(state, one, lowest)
            position = _next(one, lowest)
            steps += 1
        if position == at:
            yield state


def _next(one: Instruction, lowest: int) -> int:
    """Return where it goes on after an instruction of a window; a short way over something is taken."""
    if one.opcode in (0xE8, 0xE9, 0xEB) and (0 <= one.immediate <= _REACH or one.opcode != 0xE8):
        return lowest + one.end + one.immediate
    return lowest + one.end


def _taken(state: State, one: Instruction, lowest: int) -> None:
    if one.opcode == 0xE8:
        if 0 <= one.immediate <= _REACH:
            state.pushed(Value(PLACE, lowest + one.end))
        else:
            state.after_call()
    elif one.opcode in (_SYSCALL, _SYSENTER) or (one.opcode == _INTERRUPT):
        state.set(RAX, None)
        if one.opcode == _SYSCALL:
            state.set(RCX, None)
    else:
        state.step(one)


def places(data: bytes, long: bool) -> t.Iterator[tuple[int, str]]:
    """Yield (offset, how) where code finds out where it lies in a way that compilers don't use."""
    for match in _CALL_BACK.finditer(data):
        at = match.start()
        target = at + 5 + int.from_bytes(match.group()[1:], "little", signed=True)
        if target >= 0 and _pops(data, target) and _jumped_to(data, at, target):
            yield target, "call_pop"
    if long:
        for match in _CALL_NEXT.finditer(data):
            if _uses_place(data, match.start() + 5):
                yield match.start(), "call_pop"
    for match in _CALL_INTO_ITSELF.finditer(data):
        if any(byte in _POP for byte in data[match.end() : match.end() + 6]):
            yield match.start(), "call_pop"
    for match in _COPROCESSOR.finditer(data):
        if _coprocessor(data, match.start(), long):
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
    for _ in range(8):
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
    for _ in range(6):
        one = decode(data, position, long)
        if one is None:
            return False
        if one.opcode in _POP:
            return True
        position = one.end
    return False


def decoders(data: bytes, long: bool) -> t.Iterator[int]:
    """Yield where code begins that changes what lies near it in a loop, as what undoes an encoding does.

    Whether it adds, subtracts, rotates or combines with a key, and whether the key stays or follows from what was
    decoded last, makes no difference: all of them have to know where they are, and to write there.
    """
    starts = [(at, _FAR) for at, _ in places(data, long)]
    if long:
        loads = (match.start() - 1 for match in _LOAD_NEAR.finditer(data))
        starts += [(at, _NEAR) for at in loads if data[at : at + 1] in (b"\x48", b"\x4c") and _may_loop(data, at)]
    done = -1
    for start, far in sorted(starts):
        if start > done:
            end = _Decoder(data, start, long, far).end()
            if end is not None:
                done = end
                yield start


def _may_loop(data: bytes, position: int) -> bool:
    """Say whether 64-bit code jumps back to where it came along, before it goes elsewhere. What follows is slower."""
    if _BACK.search(data, position + 7, position + _SOON) is None:
        return False
    passed: set[int] = set()
    for _ in range(_MOST_STEPS):
        one = decode(data, position, True)
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

    def end(self) -> int | None:
        """Return where the loop ends; None where there is none."""
        # A pop of what a call pushed begins where the call leads to: its return address is somewhere behind.
        if self._data[self._start] in _POP or self._data[self._start] == 0x41:
            self._state.pushed(Value(PLACE, self._start + 16))
        position: int | None = self._start
        for _ in range(_MOST_STEPS):
            if position is None or position in self._passed:
                return None
            one = decode(self._data, position, self._long)
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


def egg_hunters(data: bytes, found: t.Sequence[Call]) -> t.Iterator[int]:
    """Yield where code looks for a tag of eight bytes through memory, or probes what of it can be read."""
    matches = [*_TAG_COMPARED.finditer(data), *_TAG_SCANNED.finditer(data)]
    for match in matches:
        if _jumps_there(data[match.end() : match.end() + 16]):
            yield match.start()
    for call in found:
        if call.name in ("access", "rt_sigaction", "sigaction", "open", "chmod", "chdir", "mkdir", "unlink"):
            after = _FAULT.search(data, call.end, call.end + 8)
            if after is not None and re.search(rb"\xaf|\x81[\x38-\x3f]|\x39", data[after.end() : after.end() + 32]):
                yield call.offset


def _jumps_there(after: bytes) -> bool:
    """Say whether a jump or call to what a register points to comes soon (FF /4, FF /2)."""
    return re.search(rb"\xff[\xe0-\xe7\xd0-\xd7]", after) is not None


def elf_finders(data: bytes) -> t.Iterator[int]:
    """Yield where code looks for the beginning of an ELF image in memory, as what loads one without the loader does."""
    for match in _ELF_COMPARED.finditer(data):
        # What reads ELF files compares so, too, but not page by page or byte by byte.
        if _STEPS.search(data, max(0, match.start() - 40), match.end() + 40) is not None:
            yield match.start()
