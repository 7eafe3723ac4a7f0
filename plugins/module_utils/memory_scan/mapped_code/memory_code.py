# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which memory of a process holds code that no file has."""

from __future__ import annotations

import bisect
import os
import re
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan import facts
from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan.machine_code import processors
from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan.mapped_code import (
    elf,
    engines,
    formats,
    images,
    libraries,
)
from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan.mapped_code.contents import pieces
from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan.mapped_code.images import File
from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan.model import PAGE, Mapping
from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan.view import Host, View

STACK, HEAP = b"[stack]", b"[heap]"
_GNU_STACK = 0x6474E551
# Where addresses begin that no process has.
_KERNELS = 1 << 63
# Of memory that may be a copy of a file's code, this many bytes are compared at a time.
_PIECE = 1 << 16
_LARGE_PIECE = 1 << 20
# Of elf(5): entries of a dynamic section that say how large a symbol is (DT_SYMENT), of 64 and 32 bits; the start of
# the table for unwinding, as the LSB has it; names of libraries, of their versions and of what each has.
_TABLES = (
    re.compile(rb"\x0b\0{7}\x18\0{7}|\x05\0{3}[\s\S]{4}\x06\0{3}[\s\S]{4}\x0a\0{3}[\s\S]{4}\x0b\0{3}\x10\0{3}"),
    re.compile(rb"\x01\x1b\x03\x3b[\s\S]{3}\0"),
    re.compile(rb"\0(?:GLIBC_2\.|lib[\w.+-]{1,40}\.so[.\d]*\0|__cxa_finalize\0)"),
)
# The kernel names what it maps itself in brackets; of those a program has stack and heap, and what it named itself.
_NAMED = b"[anon:"
_OWN = (STACK, HEAP, _NAMED, b"[stack:", b"[anon_shmem:")


def regions(view: View, host: Host) -> list[Mapping]:
    """Return the executable mappings without a file, leaving out libraries that are loaded from such.

    What is of a file that nobody can read is memory, too: a disk, or what a process wrote where a user's program serves
    files. Where there are no rights to open a file that was deleted, it may be such a library.
    """
    found = []
    for mapping in view.maps:
        if not mapping.executable or mapping.path.startswith(images.KERNEL_CODE):
            continue
        if mapping.path.startswith(b"[") and not mapping.path.startswith(_OWN):
            continue
        kind = engines.kind_of(mapping)
        if kind is None and (images.look_at(view, host, mapping) is not None or view.is_refused(mapping)):
            continue
        if kind in (engines.MEMFD, engines.REMOVED):
            file = images.look_at(view, host, mapping)
            if file is not None and (file.image is not None or _is_upgraded(view, host, mapping, file)):
                continue
            if file is None and kind == engines.REMOVED and view.is_refused(mapping):
                continue
        found.append(mapping)
    return found


def _is_upgraded(view: View, host: Host, mapping: Mapping, file: File) -> bool:
    """Say whether a file is a program for a runtime that made room for its package's upgrade."""
    return file.magic.startswith(formats.IMAGES) and libraries.was_replaced(view, host, mapping)


def is_empty(view: View, mapping: Mapping) -> bool:
    """Say whether nothing of a region is in memory."""
    return not any(pieces(view, mapping, 0))


def machine(view: View, host: Host) -> int:
    """Return for which machine a process's code is (e_machine of elf(5)), 0 if neither host nor files tell."""
    highest = max((mapping.end for mapping in view.maps if mapping.end < _KERNELS), default=0)
    return processors.of_code(host.machine, _declared(view, host), highest)


def _declared(view: View, host: Host) -> int:
    files = [mapping for mapping in view.maps if mapping.executable and not mapping.anonymous]
    for mapping in sorted(files, key=lambda mapping: not images.is_executable(view, mapping)):
        file = images.look_at(view, host, mapping)
        if file is not None and file.image is not None:
            return file.image.header.machine
    return 0


def wants_executable_stack(view: View, host: Host) -> Mapping | None:
    """Return what says that its stack shall be executable (PT_GNU_STACK, see execstack in elf(5)); None if nothing.

    Functions within functions of GNU C, and old assembler sources that say nothing, need it.
    """
    for mapping in view.maps:
        if not mapping.executable or mapping.anonymous:
            continue
        file = images.look_at(view, host, mapping)
        if file is None or file.image is None:
            continue
        stack = file.image.first(_GNU_STACK)
        if stack is not None and stack.flags & elf.PF_X:
            return mapping
        if stack is None and file.image.header.bits == 32 and images.is_executable(view, mapping):
            return mapping
    return None


def thread_stacks(view: View, regions: t.Iterable[Mapping]) -> list[Mapping]:
    """Return those that are stacks of threads: one is in it, or the C library keeps what lies below off from it.

    Such are executable, too, where the stack of the process is to be.
    """
    pointers = sorted(thread.stack for thread in view.threads())
    guards = {one.end for one in view.maps if one.anonymous and one.permissions == "---p"}

    def is_stack(one: Mapping) -> bool:
        following = bisect.bisect_left(pointers, one.start)
        return one.start in guards or (following < len(pointers) and pointers[following] < one.end)

    return [one for one in regions if one.permissions == "rwxp" and is_stack(one)]


def everything_is_executable(view: View) -> bool:
    """Say whether all that can be read can be executed: READ_IMPLIES_EXEC of personality(2).

    The kernel then makes the stack executable, and what it maps of the program, too.
    """
    memory = [mapping for mapping in view.maps if mapping.readable and mapping.writable and mapping.anonymous]
    ordinary = [mapping for mapping in memory if not mapping.path.startswith(b"[") or mapping.path in (STACK, HEAP)]
    program = [mapping for mapping in view.maps if mapping.readable and images.is_executable(view, mapping)]
    has_stack = any(mapping.path == STACK for mapping in ordinary)
    return has_stack and all(mapping.executable for mapping in ordinary + program)


class Layout:
    """What lies beside what in a process's memory, found out once: there may be as many mappings as there can be."""

    def __init__(self, view: View) -> None:
        self._view = view
        self._maps = view.maps
        self._places = {mapping.start: place for place, mapping in enumerate(self._maps)}
        # By mapping, its group; of each group by its first address, where ELF images begin in it.
        self._groups: dict[int, list[Mapping]] = {}
        self._headers: dict[int, tuple[int, ...]] = {}

    def beside(self, region: Mapping) -> tuple[Mapping | None, Mapping | None]:
        """Return what ends where a region begins, and what begins where it ends."""
        at = self._places[region.start]
        before = self._maps[at - 1] if at else None
        after = self._maps[at + 1] if at + 1 < len(self._maps) else None
        return (
            before if before is not None and before.end == region.start else None,
            after if after is not None and after.start == region.end else None,
        )

    def laid_out(self, region: Mapping) -> list[Mapping]:
        """Return of what lies around a region without a file and without a gap: one before, itself, and two after."""
        group = self._group(region)
        at = self._places[region.start] - self._places[group[0].start]
        return group[max(at - 1, 0) : at + 3]

    def has_header(self, region: Mapping, wanted: int) -> bool:
        """Say whether an ELF image for a machine begins in what lies around a region without a file and without a gap.

        What is there is looked for at the beginning of the mappings beside the code; images in it are found when it is
        searched.
        """
        group = self._group(region)
        first = group[0].start
        if first not in self._headers:
            self._headers[first] = tuple(one.start for one in group if self._begins_image(one, wanted))
        return any(start != region.start for start in self._headers[first])

    def _begins_image(self, mapping: Mapping, wanted: int) -> bool:
        present = self._view.pages(mapping).present
        begins = bool(present) and present[0].start == mapping.start
        return begins and is_image(self._view.read(mapping.start, PAGE), wanted)

    def _group(self, region: Mapping) -> list[Mapping]:
        if region.start not in self._groups:
            first = last = self._places[region.start]
            while first and _touches(self._maps[first - 1], self._maps[first]):
                first -= 1
            while last + 1 < len(self._maps) and _touches(self._maps[last], self._maps[last + 1]):
                last += 1
            group = list(self._maps[first : last + 1])
            self._groups.update((mapping.start, group) for mapping in group)
        return self._groups[region.start]


def is_copy(view: View, layout: Layout, region: Mapping) -> bool:
    """Say whether memory is a copy of what the file around it has there, as programs make to use large pages.

    Where there are no rights to open that file, it may be one.
    """
    before, after = (one if one is not None and not one.anonymous else None for one in layout.beside(region))
    beside = before or after
    if beside is None or (before and after and (before.device, before.inode) != (after.device, after.inode)):
        return False
    if not beside.executable and not (after is not None and after.executable):
        return False
    descriptor = view.open_mapped(beside)
    if descriptor is None:
        return view.is_refused(beside)
    read = images.reader(descriptor)
    try:
        return _is_equal(view, region, region.start - beside.start + beside.offset, read)
    finally:
        os.close(descriptor)


def _is_equal(view: View, region: Mapping, offset: int, read: elf.Read) -> bool:
    present = view.pages(region).present
    if offset < 0 or not present:
        return False
    for address, data in facts.pieces(view, present):
        for place in range(0, len(data), _PIECE):
            piece = data[place : place + _PIECE]
            if piece != read(offset + address - region.start + place, len(piece)):
                return False
    return True


def is_image(data: bytes, wanted: int) -> bool:
    """Say whether an ELF image that could be loaded begins with ``data``, for a machine."""
    image = elf.read_image(lambda place, length: data[place : place + length])
    return (
        image is not None
        and image.header.kind in (elf.ET_EXEC, elf.ET_DYN)
        and image.header.machine == wanted
        and any(one.flags & elf.PF_X and one.memory_size for one in image.loaded)
    )


def is_plain(mapping: Mapping) -> bool:
    """Say whether it is memory that a program asked for, and neither stack nor heap; it may have given it a name."""
    return mapping.anonymous and (mapping.special or not mapping.path or mapping.path.startswith(_NAMED))


def _touches(lower: Mapping, upper: Mapping) -> bool:
    return lower.end == upper.start and is_plain(lower) and is_plain(upper)


def mimics_library(view: View, layout: Layout, region: Mapping) -> bool:
    """Say whether code is that of a library, whatever was done to its header.

    Its tables are still there, since it can't be run without: one of them where memory is laid out as the loader lays
    out a library (constants, code, constants or data), two where everything is in one place.
    """
    around = layout.laid_out(region)
    permissions = [one.permissions for one in around[:3]]
    as_loaded = permissions[:2] == ["r--p", "r-xp"] and permissions[2:] in (["r--p"], ["rw-p"])
    if as_loaded and around[1] == region:
        return _tables(view, around) > 0
    return _tables(view, [region]) > 1


def _tables(view: View, mappings: t.Iterable[Mapping]) -> int:
    """Return how many kinds of tables of an ELF image are at the beginning of mappings."""
    found: set[int] = set()
    for mapping in mappings:
        left = _LARGE_PIECE
        for start, end in view.pages(mapping).present:
            data = view.read(start, min(end - start, left))
            found.update(number for number, table in enumerate(_TABLES) if table.search(data))
            left -= len(data)
            if left <= 0:
                break
    return len(found)
