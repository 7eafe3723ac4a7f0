# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tables of addresses that the loader fills (GOT, function tables that become read-only) and somebody has changed.

They lead to code of files. What can't be decided is whether an entry leads to the right function of the right file:
interposition (LD_PRELOAD, symbol versions, plug-ins) makes any file a proper target. That an entry leads to memory
without a file, or to a file without a name, has no such reason.
"""

from __future__ import annotations

import os
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils._finding import printable
from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan import facts
from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan.mapped_code import (
    elf,
    images,
    libraries,
    pointers,
    relocations,
)
from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan.model import Mapping, Range, Sign
from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan.view import Host, View

_LIMIT = 8
# The loader keeps addresses of arguments and of what it allocated. That these can be executed is told already.
_OF_DATA = (b"[stack]", b"[heap]")
# Of a browser's or a compiler's libraries, 12 MB each; all that one process has.
_BYTES_LIMIT = 1 << 27
# Of one file: linkers make two or three.
_TABLES_LIMIT = 64


class _Entry(t.NamedTuple):
    table: Mapping
    address: int
    target: Mapping
    leads_to: int


def check(view: View, host: Host) -> t.Iterator[Sign]:
    """Yield what leads astray. Nothing is read where there is nowhere to be led astray to."""
    targets = _targets(view, host)
    if not targets:
        return
    found: list[_Entry] = []
    left = _BYTES_LIMIT
    avoided = {(mapping.device, mapping.inode) for mapping in targets}
    places = pointers.Places([Range(target.start, target.end) for target in targets])
    for mapping, image in _images(view, host, avoided):
        if host.seconds_left() <= 0:
            view.skip("the time budget ended before all of its libraries' tables of addresses were checked")
            break
        entries: list[_Entry] = []
        for number, table in enumerate(_tables(view, host, mapping, image)):
            left -= table.end - table.start
            if left < 0 or number >= _TABLES_LIMIT:
                view.skip("its libraries' tables of addresses are too large to be checked entirely")
                break
            for found_in, address, leads_to, place in _led_astray(view, image.header, table, places):
                if _is_there(view, targets[place], leads_to):
                    entries.append(_Entry(found_in, address, targets[place], leads_to))
        found.extend(_of_addresses(view, mapping, image, entries))
    if found:
        yield _sign(view, found)


def _of_addresses(view: View, mapping: Mapping, image: elf.Image, entries: t.Sequence[_Entry]) -> list[_Entry]:
    """Return the entries that hold an address by what their file says: numbers beside them may look like one."""
    moved = images.bias(image, mapping)
    if not entries or moved is None:
        return []
    descriptor = view.open_mapped(mapping) if relocations.are_known(image) else None
    if descriptor is None:
        view.skip(
            "a table of %s may lead astray: which of its words are addresses is not known" % printable(mapping.path)
        )
        return []
    try:
        read = images.reader(descriptor)
        wanted = {entry.address - moved for entry in entries}
        known = relocations.find_addresses(image, elf.read_dynamic(image, read), read, wanted)
    finally:
        os.close(descriptor)
    return [entry for entry in entries if entry.address - moved in known]


def _targets(view: View, host: Host) -> list[Mapping]:
    """Return the executable mappings that no table leads to in an ordinary program, in order of their addresses."""
    found = []
    stack = any(mapping.path == b"[stack]" and mapping.executable for mapping in view.maps)
    before: Mapping | None = None
    for mapping in view.maps:
        if mapping.executable and not mapping.shared and mapping.anonymous:
            # Variables that follow a file's are executable with the stack, and tables may lead to them.
            variables = stack and before is not None and before.end == mapping.start
            if mapping.path not in images.KERNEL_CODE and mapping.path not in _OF_DATA and not variables:
                found.append(mapping)
        elif mapping.executable and _is_lost(view, host, mapping):
            found.append(mapping)
        before = mapping
    return found


def _is_there(view: View, target: Mapping, address: int) -> bool:
    """Say whether there is anything where an entry leads to.

    Of terabytes that were reserved most is nothing, and texts between the addresses look like addresses there.
    """
    if not target.anonymous:
        return True
    pages = view.pages(target)
    return bool(pages.swapped) or any(facts.clipped(pages.present, address, address + 1))


def _is_lost(view: View, host: Host, mapping: Mapping) -> bool:
    """Say whether a file is only in memory, or has no name any more and no package's upgrade explains it.

    Tables lead to the program itself, whatever its file is, for what libraries take of it.
    """
    if images.is_executable(view, mapping):
        return False
    if mapping.path.startswith(images.MEMORY_FILE):
        return True
    if not mapping.deleted:
        return False
    return not libraries.was_replaced(view, host, mapping) and not libraries.has_follower(view, host, mapping)


def _images(
    view: View, host: Host, avoided: t.Container[tuple[tuple[int, int], int]]
) -> t.Iterator[tuple[Mapping, elf.Image]]:
    """Yield the files that code is mapped from, once for each time they were loaded."""
    seen: set[tuple[t.Any, ...]] = set()
    for mapping in view.maps:
        key = (mapping.device, mapping.inode)
        if not mapping.executable or mapping.anonymous or key in avoided:
            continue
        file = images.look_at(view, host, mapping)
        if file is not None and file.image is not None:
            # The C library may be there more than once (dlmopen(3)), and each has tables of its own.
            place = (*key, images.bias(file.image, mapping))
            if place not in seen:
                seen.add(place)
                yield mapping, file.image


def _tables(view: View, host: Host, mapping: Mapping, image: elf.Image) -> t.Iterator[Range]:
    """Yield where the tables of a file are in memory."""
    moved = images.bias(image, mapping)
    if moved is None:
        return
    key = ("tables", mapping.device, mapping.inode, mapping.path, mapping.deleted)
    for address, size in host.remember(key, lambda: _filled(view, mapping, image)):
        yield Range(address + moved, address + moved + size)


def _filled(view: View, mapping: Mapping, image: elf.Image) -> list[tuple[int, int]]:
    descriptor = view.open_mapped(mapping)
    if descriptor is None:
        return []
    try:
        return filled(image, images.reader(descriptor))
    finally:
        os.close(descriptor)


def filled(image: elf.Image, read: elf.Read) -> list[tuple[int, int]]:
    """Return what is filled by the loader and has reason to hold addresses of code, as (virtual address, size).

    What becomes read-only once it is relocated (PT_GNU_RELRO) is that entirely, and which of its words are addresses is
    asked only of those that lead astray. Slots that are filled later lie outside
    of it, and everything does in files that were linked without.
    """
    dynamic = elf.read_dynamic(image, read)
    word = image.header.bits // 8
    fixed = image.first(elf.PT_GNU_RELRO)
    slots = {slot.address for slot in relocations.read_jump_slots(image, dynamic, read)}
    if fixed is None:
        slots.update(
            one.address for one in relocations.read_all(image, dynamic, read) if relocations.is_global(image, one)
        )
        return list(_runs(sorted(slots), word))
    end = fixed.address + fixed.memory_size
    outside = sorted(slot for slot in slots if not fixed.address <= slot < end)
    return [(fixed.address, fixed.memory_size), *_runs(outside, word)]


def _runs(addresses: t.Sequence[int], word: int) -> t.Iterator[tuple[int, int]]:
    """Yield the words that follow each other as (address, size)."""
    start = end = None
    for address in addresses:
        if start is None or end is None or address != end:
            if start is not None and end is not None:
                yield start, end - start
            start = address
        end = address + word
    if start is not None and end is not None:
        yield start, end - start


def _led_astray(
    view: View, header: elf.Header, table: Range, places: pointers.Places
) -> t.Iterator[tuple[Mapping, int, int, int]]:
    """Yield (mapping, address, where that leads, number of the place) of entries that lead to places."""
    for mapping in view.maps:
        if mapping.end <= table.start or mapping.start >= table.end or mapping.anonymous:
            continue
        # What was not written is as the file has it, which knows no addresses.
        written = facts.clipped(view.pages(mapping).private, table.start, table.end)
        for address, data in facts.pieces(view, written):
            # A table begins where a word does; its part within a page, too.
            for offset, leads_to, number in pointers.leading_to(data, header.bits, header.order, places):
                yield mapping, address + offset, leads_to, number


def _sign(view: View, found: t.Sequence[_Entry]) -> Sign:
    first = found[0]
    target = printable(first.target.path) if first.target.path else "memory without a file"
    detail = "an entry of the tables of %s leads to %s" % (printable(first.table.path), target)
    if len(found) > 1:
        detail += ", and %d more do so" % (len(found) - 1)
    tables = list(dict.fromkeys(entry.table for entry in found))
    targets = list(dict.fromkeys(entry.target for entry in found))
    memory = [facts.describe(view, first.table, offset=first.address - first.table.start)]
    memory.extend(facts.describe(view, mapping) for mapping in targets[:_LIMIT])
    entries = [{"address": "%x" % one.address, "leads_to": "%x" % one.leads_to} for one in found[:_LIMIT]]
    data = {"entries": entries, "files": [printable(mapping.path) for mapping in tables[:_LIMIT]]}
    return Sign("got_hijacked", detail, tuple(memory), None, data)
