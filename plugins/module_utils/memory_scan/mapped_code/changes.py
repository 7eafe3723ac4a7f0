# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Code in a process that isn't what the file behind it has.

The pages of code that was loaded from a file are the file's, and shared by all who map it. One that belongs to a
process alone was written (proc_pid_pagemap(5)), so only those are read and compared. It may be equal nevertheless: a
debugger that went away leaves it so.
"""

from __future__ import annotations

import array
import os
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan import facts
from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan.mapped_code import (
    comparing,
    elf,
    images,
    relocations,
)
from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan.mapped_code.comparing import Run
from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan.mapped_code.images import File
from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan.model import PAGE, Mapping, Pages, Range
from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan.view import View

# More places than that are as good as everything.
_RUNS_LIMIT = 50_000
_NAMED_LIMIT = 8
# No file is larger; a header can say anything.
_FILE_LIMIT = 1 << 63
_PROBES = b"[uprobes-trampoline]"


class Place(t.NamedTuple):
    """A change: offset in the file, and its size. function: with how far in. leads_to: an address it diverts to."""

    offset: int
    size: int
    function: tuple[bytes, int] | None
    leads_to: int | None


class Change(t.NamedTuple):
    """What differs in a mapping.

    places: the first of ``number``. pages: that differ. size: of bytes that differ. present: bytes of the mapping that
    are in memory. entry: whether the program's first instructions are among them. breakpoints: how many there are
    besides. within: the run of pages that the first change or breakpoint is in. build_id: of the file.
    """

    mapping: Mapping
    file: File
    places: tuple[Place, ...]
    number: int
    pages: int
    size: int
    present: int
    entry: bool
    breakpoints: int
    within: Range
    build_id: str | None


class _Differing(t.NamedTuple):
    runs: list[Run]
    breakpoints: list[Run]
    leads_to: dict[int, int]


def find(view: View, mapping: Mapping, file: File) -> Change | None:
    """Return what differs in a private mapping of code, None where nothing does."""
    pages = view.pages(mapping)
    if pages.swapped:
        view.skip("%d written pages of code are swapped out, and were not compared with their file" % pages.swapped)
    if not pages.private:
        return None
    descriptor = view.open_mapped(mapping)
    if descriptor is None:
        view.skip("code was written, and could not be compared with its file, which can't be read")
        return None
    try:
        read = images.reader(descriptor)
        return _described(mapping, file, read, pages, _differing(view, mapping, file, read, pages.private))
    finally:
        os.close(descriptor)


def _differing(view: View, mapping: Mapping, file: File, read: elf.Read, ranges: t.Sequence[Range]) -> _Differing:
    """Return what differs as offsets in the file."""
    machine = file.image.header.machine if file.image is not None else 0
    relocated, width = _relocated(file, read)
    trampolines = [one for one in view.maps if one.path == _PROBES]
    found = _Differing([], [], {})
    for address, memory in facts.pieces(view, ranges):
        offset = mapping.offset + address - mapping.start
        its = read(offset, len(memory))
        if memory == its:
            continue
        runs = comparing.without(comparing.differences(memory, its, offset), relocated, width)
        others: list[Run] = []
        for run in runs:
            here = Run(run.start - offset, run.end - offset)
            is_probe = _is_probe(trampolines, machine, memory, its, here, address)
            (found.breakpoints if is_probe else others).append(run)
        changed = comparing.joined(others)
        for run in changed[:_NAMED_LIMIT]:
            leads_to = comparing.target(machine, memory, run.start - offset, address)
            if leads_to is not None:
                found.leads_to.setdefault(run.start, leads_to)
        found.runs.extend(changed)
        if len(found.runs) > _RUNS_LIMIT:
            break
    return found


def _is_probe(
    trampolines: t.Sequence[Mapping], machine: int, memory: bytes, its: bytes, run: Run, address: int
) -> bool:
    """Say whether what differs is a breakpoint of a debugger's or of the kernel's (uprobes)."""
    if comparing.is_breakpoint(machine, memory, run):
        return True
    call = comparing.probe_call(machine, memory, its, run, address)
    return call is not None and any(one.start <= call < one.end for one in trampolines)


def _relocated(file: File, read: elf.Read) -> tuple[t.Sequence[int], int]:
    """Return the offsets of code that the loader itself writes, in order, and how many bytes each has."""
    places = array.array("Q")
    if file.image is None:
        return places, 0
    dynamic = elf.read_dynamic(file.image, read)
    if dynamic.has_text_relocations:
        for relocation in relocations.read_all(file.image, dynamic, read):
            offset = file.image.offset_of(relocation.address)
            if offset is not None and offset < _FILE_LIMIT and any(start <= offset < end for start, end in file.code):
                places.append(offset)
    return sorted(places), file.image.header.bits // 8


def _described(mapping: Mapping, file: File, read: elf.Read, pages: Pages, found: _Differing) -> Change | None:
    first = (found.runs or found.breakpoints)[:1]
    if not first:
        return None
    address = first[0].start - mapping.offset + mapping.start
    return Change(
        mapping=mapping,
        file=file,
        places=tuple(
            Place(run.start, run.end - run.start, _function(file.image, read, run.start), found.leads_to.get(run.start))
            for run in found.runs[:_NAMED_LIMIT]
        ),
        number=len(found.runs),
        pages=len({page for run in found.runs for page in range(run.start // PAGE, (run.end - 1) // PAGE + 1)}),
        size=sum(run.end - run.start for run in found.runs),
        present=sum(one.end - one.start for one in pages.present),
        entry=_has_entry(file.image, found.runs),
        breakpoints=len(found.breakpoints),
        within=next(one for one in pages.private if one.start <= address < one.end),
        build_id=elf.build_id(file.image, read) if file.image is not None else None,
    )


def _function(image: elf.Image | None, read: elf.Read, offset: int) -> tuple[bytes, int] | None:
    segment = image.segment_at(offset, 1) if image is not None else None
    if image is None or segment is None:
        return None
    dynamic = elf.read_dynamic(image, read)
    return elf.function_at(image, dynamic, read, offset - segment.offset + segment.address)


def _has_entry(image: elf.Image | None, runs: t.Sequence[Run]) -> bool:
    entry = image.offset_of(image.header.entry) if image is not None else None
    return entry is not None and any(run.start <= entry + 1 and run.end >= entry + 16 for run in runs)
