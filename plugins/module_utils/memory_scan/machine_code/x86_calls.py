# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""System calls in x86 machine code, with what is known of their numbers and arguments."""

from __future__ import annotations

import re
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan.machine_code import system_calls
from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan.machine_code.effort import Effort
from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan.machine_code.system_calls import Call
from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan.machine_code.x86_decode import (
    LONGEST,
    Instruction,
    decode,
)
from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan.machine_code.x86_registers import (
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
    Value,
)
from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan.machine_code.x86_trace import State

# How far before a system call its number and arguments are looked for, in bytes.
_REACH = 112
_MOST_STARTS = 48
_ENDS = frozenset((0xC2, 0xC3, 0xCC, 0x0F0B))
_SYSCALL, _INTERRUPT, _SYSENTER = 0x0F05, 0xCD, 0x0F34
_X32 = 0x40000000
# Ways to load a number, up to where the system call is: push and pop, mov, xor or sub and mov.
CLOSE = re.compile(rb"(?:\x6a[\s\S]\x58|\xb8[\s\S]{2}\0\0|\xc7\xc0[\s\S]{2}\0\0|[\x29\x2b\x31\x33]\xc0\xb0[\s\S])\Z")
CLOSEST = 8
# mov r10, rcx; mov eax, n: programs for Windows call its kernel so, with numbers of its own.
_WINDOWS = re.compile(rb"(?:\x4c\x8b\xd1|\x49\x89\xca)\xb8[\s\S]{2}\x00\x00")


def calls(data: bytes, long: bool, effort: Effort) -> t.Iterator[Call]:
    """Yield the system calls of which the number is known, in order of where they are."""
    anchors = [(b"\xcd\x80", system_calls.I386)]
    anchors.append((b"\x0f\x05", system_calls.X86_64) if long else (b"\x0f\x34", system_calls.I386))
    found = [
        call
        for pattern, names in anchors
        for at in _all(data, pattern)
        for call in _call(data, at, long, names, effort)
    ]
    found.sort(key=lambda call: call.offset)
    yield from found


def _all(data: bytes, pattern: bytes) -> t.Iterator[int]:
    at = data.find(pattern)
    while at >= 0:
        yield at
        at = data.find(pattern, at + 1)


def _call(data: bytes, at: int, long: bool, names: t.Mapping[int, str], effort: Effort) -> t.Iterator[Call]:
    """Yield the call at an offset, once, if any way that leads to it says what it is."""
    if _WINDOWS.search(data, max(0, at - 24), at) is not None:
        return
    best: Call | None = None
    for state in _states(data, at, long, effort):
        call = _named(at, state, names)
        if call is None:
            continue
        if best is None or call.sure > best.sure:
            best, call = call, best or call
        # Of the ways that lead there some miss an instruction, each another.
        if call.name == best.name:
            best = best._replace(prepared=max(call.prepared, best.prepared), shell=call.shell or best.shell)
    if best is not None:
        yield best._replace(close=CLOSE.search(data[max(0, at - CLOSEST) : at]) is not None)


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


def _states(data: bytes, at: int, long: bool, effort: Effort) -> t.Iterator[State]:
    """Yield what is known at an offset for the ways that lead there, the longest first."""
    if not effort.spend(_REACH):
        return
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
        effort.spend(steps)
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
