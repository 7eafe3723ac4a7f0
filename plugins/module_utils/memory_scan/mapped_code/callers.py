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
from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan.model import Mapping, Range
from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan.view import View

# From the stack pointer on, of one thread; of all threads of a process.
_DEPTH, _MOST = 1 << 18, 1 << 24
# What somebody fills stacks with takes a second to look at, and 64 MB, and no more.
_MOST_ADDRESSES = 1 << 14
# Of each thread on the host this much is looked at: what it called last of all.
_LATEST = 1 << 11
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
    if not regions:
        return {}
    return _Search(view, machine, [_Target(one, one in strict) for one in regions], _DEPTH).found()


def of_data(view: View, machine: int) -> dict[Mapping, list[Caller]]:
    """Return by mapping which threads return to memory that can be written, and can't be executed at the moment.

    Who hides code takes the permission away while it sleeps (T1027.013, T1055). Compilers do so, too, for as long as
    they write: what is told stays so for some time.
    """
    data = [
        _Target(one, True)
        for one in view.maps
        if not one.executable and not one.shared and (one.writable or (one.readable and one.anonymous))
    ]
    before = _Search(view, machine, data, _LATEST).found()
    if not before:
        return {}
    time.sleep(_SECONDS_LATER)
    still = [_Target(mapping, True) for mapping in _still_data(view, before)]
    after = _Search(view, machine, still, _LATEST).found()
    return {mapping: callers for mapping, callers in after.items() if set(callers) & set(before[mapping])}


def _still_data(view: View, mappings: t.Iterable[Mapping]) -> list[Mapping]:
    """Return those of which nothing can be executed by now."""
    code = [one for one in view.maps_again() if one.executable]
    return [one for one in mappings if not any(now.start < one.end and now.end > one.start for now in code)]


class _Search:
    """Looks for the targets on the stacks of a process. depth: how far from each stack pointer on."""

    def __init__(self, view: View, machine: int, targets: t.Iterable[_Target], depth: int) -> None:
        self._view = view
        self._machine = machine
        self._depth = depth
        self._targets = sorted(targets, key=lambda target: target.mapping.start)
        self._places = pointers.Places([Range(one.mapping.start, one.mapping.end) for one in self._targets])
        self._code = pointers.Places([Range(one.start, one.end) for one in view.maps if one.executable])
        self._starts = [one.start for one in view.maps]
        # What was found out once: the same objects are known to many threads.
        self._present: dict[int, pointers.Places] = {}
        self._pages: dict[int, bytes] = {}
        self._returns: dict[int, bool] = {}

    def found(self) -> dict[Mapping, list[Caller]]:
        found: dict[Mapping, list[Caller]] = {}
        if not self._targets or self._machine not in shellcode.SUPPORTED:
            return found
        threads = self._view.threads()
        # First what costs nothing: threads that fill their stacks don't hide where another one executes.
        for thread in threads:
            number = self._places.number(thread.instruction)
            if number is not None:
                caller = Caller(thread.number, thread.instruction, True)
                found.setdefault(self._targets[number].mapping, []).append(caller)
        left = _MOST
        for thread in threads:
            if left <= 0 or len(self._returns) > _MOST_ADDRESSES:
                self._view.skip("the stacks of its threads are too large to be searched for what they return to")
                break
            callers: dict[Caller, int] = {}
            for start, data in self._stack(thread.stack, min(self._depth, left)):
                left -= len(data)
                for address, number in self._returned_to(start, data):
                    callers.setdefault(Caller(thread.number, address, False), number)
            for caller, number in callers.items():
                found.setdefault(self._targets[number].mapping, []).append(caller)
        return found

    def _stack(self, pointer: int, depth: int) -> t.Iterator[tuple[int, bytes]]:
        """Yield what is on the stack from a stack pointer on."""
        number = bisect.bisect_right(self._starts, pointer) - 1
        if number < 0:
            return
        mapping = self._view.maps[number]
        start, end = pointer // 8 * 8, min(pointer + depth, mapping.end)
        present = self._view.pages(_around(mapping, start, end)).present
        yield from facts.pieces(self._view, facts.clipped(present, start, end))

    def _returned_to(self, start: int, data: bytes) -> t.Iterator[tuple[int, int]]:
        """Yield (address, number of the target) of the return addresses in a part of a stack."""
        bits = 32 if self._machine == shellcode.I386 else 64
        words = _unsigned(data) if self._machine == shellcode.ARM64 else data
        end = start + len(data)
        for _offset, address, number in pointers.leading_to(words, bits, "<", self._places):
            if address not in self._returns and len(self._returns) <= _MOST_ADDRESSES:
                inside = start + return_addresses.REACH <= address <= end
                known = data[address - start - return_addresses.REACH : address - start] if inside else None
                self._returns[address] = self._is_return(self._targets[number], address, known)
            if self._returns.get(address):
                yield address, number

    def _is_return(self, target: _Target, address: int, code: bytes | None) -> bool:
        """Say whether code goes on there after a call. code: what lies before the address, where that is known."""
        if code is None:
            before = max(address - return_addresses.REACH, target.mapping.start)
            code = self._read(target.mapping, before, address)
        if not target.strict:
            return return_addresses.follows_call(self._machine, code)

        def pointer(place: int) -> int | None:
            inside = target.mapping.start <= place <= target.mapping.end - 8
            read = self._read(target.mapping, place, place + 8) if inside else b""
            return int.from_bytes(read, "little") if len(read) == 8 else None

        called = return_addresses.called(self._machine, code, address, pointer)
        return called is not None and self._code.number(called) is not None

    def _read(self, mapping: Mapping, start: int, end: int) -> bytes:
        """Return a few bytes of memory, nothing where they aren't present."""
        first, last = start // _PAGE_SIZE * _PAGE_SIZE, (end - 1) // _PAGE_SIZE * _PAGE_SIZE
        pages = self._page(mapping, first)
        if pages and last > first:
            pages += self._page(mapping, last)
        return pages[start - first : end - first]

    def _page(self, mapping: Mapping, address: int) -> bytes:
        """Return a page, read once: what stacks lead to lies close together."""
        if address not in self._pages:
            if mapping.start not in self._present:
                self._present[mapping.start] = pointers.Places(self._view.pages(mapping).present)
            there = self._present[mapping.start].number(address) is not None
            self._pages[address] = self._view.read(address, _PAGE_SIZE) if there else b""
        return self._pages[address]


def _around(mapping: Mapping, start: int, end: int) -> Mapping:
    """Return the part of a mapping that has these addresses in it, in whole pages."""
    first, last = start // _PAGE_SIZE * _PAGE_SIZE, -(-end // _PAGE_SIZE) * _PAGE_SIZE
    return mapping._replace(start=max(first, mapping.start), end=min(last, mapping.end))


def _unsigned(data: bytes) -> bytes:
    words = array.array("Q", data[: len(data) // 8 * 8])
    return array.array("Q", [word & _ARM_ADDRESS for word in words]).tobytes()
