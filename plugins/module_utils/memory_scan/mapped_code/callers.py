# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which threads of a process execute code in certain memory, or return there from what they called.

Code that was brought into a program waits in the C library most of the time. The address that it goes on at then lies
on the stack of its thread, above the stack pointer (proc_pid_syscall(5)).
"""

from __future__ import annotations

import array
import bisect
import os
import time
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan import facts
from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan.machine_code import (
    return_addresses,
    shellcode,
)
from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan.mapped_code import pointers
from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan.model import Mapping, Range, Thread
from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan.view import View

# From the stack pointer on, of one thread; of all threads of a process.
_DEPTH, _MOST = 1 << 18, 1 << 24
# Of each thread on the host this much is looked at: what it called last of all.
_LATEST = 1 << 12
_SECONDS_LATER = 0.02
_PAGE_SIZE = os.sysconf("SC_PAGE_SIZE")
# 64-bit ARM signs return addresses in the bits that addresses don't use (pointer authentication).
_ARM_ADDRESS = (1 << 48) - 1


class Caller(t.NamedTuple):
    """address: where the thread executes, or returns to."""

    thread: int
    address: int
    executes: bool


class _Target(t.NamedTuple):
    """strict: memory that has data, too, so that an address in it is one of code only if it follows a call of code."""

    mapping: Mapping
    strict: bool


def of_code(
    view: View, machine: int, regions: t.Sequence[Mapping], strict: t.Container[Mapping]
) -> dict[Mapping, list[Caller]]:
    """Return by region which threads execute in it or return there. strict: those that hold data as well."""
    targets = [_Target(region, region in strict) for region in sorted(regions, key=lambda one: one.start)]
    return _found(view, machine, view.threads(), targets, _DEPTH) if regions else {}


def of_data(view: View, machine: int) -> dict[Mapping, list[Caller]]:
    """Return by mapping which threads return to memory that can be written, and can't be executed at the moment.

    Who hides code takes the permission away while it sleeps (T1027.013, T1055). Compilers do so, too, for as long as
    they write: what is told stays so for some time.
    """
    targets = [
        _Target(one, True)
        for one in view.maps
        if not one.executable and not one.shared and (one.writable or (one.readable and one.anonymous))
    ]
    found = _found(view, machine, view.threads(), targets, _LATEST)
    if not found:
        return {}
    time.sleep(_SECONDS_LATER)
    now = [_Target(target, True) for target in found if _is_still_data(view, target)]
    again = _found(view, machine, view.threads(), now, _LATEST)
    return {mapping: callers for mapping, callers in again.items() if set(callers) & set(found[mapping])}


def _is_still_data(view: View, mapping: Mapping) -> bool:
    return any(
        now.start < mapping.end and now.end > mapping.start and not now.executable for now in view.maps_again()
    )


def _found(
    view: View, machine: int, threads: t.Sequence[Thread], targets: t.Sequence[_Target], depth: int
) -> dict[Mapping, list[Caller]]:
    found: dict[Mapping, list[Caller]] = {}
    if not targets or machine not in shellcode.SUPPORTED:
        return found
    code = pointers.Places([Range(one.start, one.end) for one in view.maps if one.executable])
    places = pointers.Places([Range(one.mapping.start, one.mapping.end) for one in targets])
    starts = [one.start for one in view.maps]
    left = _MOST
    for thread in threads:
        number = places.number(thread.instruction)
        if number is not None:
            executes = Caller(thread.number, thread.instruction, True)
            found.setdefault(targets[number].mapping, []).append(executes)
        if left <= 0:
            view.skip("the stacks of its threads are too large to be searched for what they return to")
            break
        for data in _stack(view, machine, starts, thread.stack, min(depth, left)):
            left -= len(data)
            bits = 32 if machine == shellcode.I386 else 64
            for _offset, address, place in pointers.leading_to(data, bits, "<", places):
                if _is_return(view, machine, targets[place], address, code):
                    caller = Caller(thread.number, address, False)
                    callers = found.setdefault(targets[place].mapping, [])
                    if caller not in callers:
                        callers.append(caller)
    return found


def _stack(view: View, machine: int, starts: t.Sequence[int], pointer: int, depth: int) -> t.Iterator[bytes]:
    """Yield what is on the stack from a stack pointer on. starts: of the mappings."""
    number = bisect.bisect_right(starts, pointer) - 1
    if number < 0:
        return
    mapping = view.maps[number]
    start, end = pointer // 8 * 8, min(pointer + depth, mapping.end)
    for _address, data in facts.pieces(view, facts.clipped(view.pages(mapping).present, start, end)):
        yield _unsigned(data) if machine == shellcode.ARM64 else data


def _unsigned(data: bytes) -> bytes:
    words = array.array("Q", data[: len(data) // 8 * 8])
    return array.array("Q", [word & _ARM_ADDRESS for word in words]).tobytes()


def _is_return(view: View, machine: int, target: _Target, address: int, code: pointers.Places) -> bool:
    before = max(address - return_addresses.REACH, target.mapping.start)
    if not _is_present(view, before, address, target.mapping):
        return False
    data = view.read(before, address - before)
    if not target.strict:
        return return_addresses.follows_call(machine, data)

    def pointer(place: int) -> int | None:
        inside = target.mapping.start <= place <= target.mapping.end - 8
        known = inside and _is_present(view, place, place + 8, target.mapping)
        return int.from_bytes(view.read(place, 8), "little") if known else None

    called = return_addresses.called(machine, data, address, pointer)
    return called is not None and code.number(called) is not None


def _is_present(view: View, start: int, end: int, mapping: Mapping) -> bool:
    """Say whether memory from ``start`` up to ``end`` can be read without bringing anything in."""
    if start >= end:
        return False
    first, last = start // _PAGE_SIZE * _PAGE_SIZE, -(-end // _PAGE_SIZE) * _PAGE_SIZE
    present = view.pages(mapping._replace(start=max(first, mapping.start), end=min(last, mapping.end))).present
    return any(one.start <= start and end <= one.end for one in present)
