# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Code that was changed after it was loaded, and code that was mapped past the loader."""

from __future__ import annotations

import dataclasses
import itertools
import os
import stat
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils._finding import printable
from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan import facts
from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan.identity import tracers
from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan.machine_code import shellcode
from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan.mapped_code import (
    changes,
    engines,
    formats,
    images,
    libraries,
    memory_code,
    runtimes,
    started,
    tables,
    vdso,
)
from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan.mapped_code.changes import Change
from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan.mapped_code.images import File
from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan.model import Mapping, Memory, Sign
from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan.view import Host, View

# Bit of SIGTRAP, which a breakpoint raises.
_SIGTRAP = 1 << 4
_PROBES = (b"[uprobes]", b"[uprobes-trampoline]")
_MEMORY_LIMIT = 8
_SEARCHED_LIMIT = 4 << 20
# A process's beginning is known by hundredths of a second, and who brings a library may start it at once.
_AT_ONCE = 1.0
# What data looks like by chance.
_HARMLESS = ("position", "sled", "elf_finder")
# Files are mapped in steps of it: there is more of them in memory than a segment has.
_PAGE_SIZE = os.sysconf("SC_PAGE_SIZE")


def check(view: View, host: Host) -> t.Iterator[Sign]:
    """Yield what of a process's code is not as its files have it."""
    found: dict[str, list[Change]] = {}
    for mapping, file in _code(view, host):
        if not stat.S_ISREG(file.status.st_mode):
            continue
        change = None if mapping.shared else changes.find(view, mapping, file)
        # Who traces it is told already, and sets breakpoints.
        if change is not None and (change.number or not view.process.tracer):
            found.setdefault(_subtype(view, host, change), []).append(change)
    for subtype, several in found.items():
        yield _sign(view, subtype, several)
    yield from _mapped_otherwise(view, host)
    yield from tables.check(view, host)
    yield from vdso.check(view, host)


def _code(view: View, host: Host) -> t.Iterator[tuple[Mapping, File]]:
    """Yield mappings of files that hold code, also where it can't be run at the moment.

    Who hides changed code takes the permission away while it isn't needed.
    """
    loaded = {mapping.inode for mapping in view.maps if mapping.executable and not mapping.anonymous}
    for mapping in view.maps:
        if mapping.anonymous or not _may_be_code(view, mapping, loaded):
            continue
        if host.seconds_left() <= 0:
            view.skip("the time budget ended before all of its code was compared with its files")
            return
        file = images.look_at(view, host, mapping)
        if file is None:
            if mapping.executable and not mapping.shared and view.pages(mapping).private:
                view.skip("code was written, and could not be compared with its file, which can't be read")
            continue
        if _is_generated(mapping, file):
            continue
        if mapping.executable or _is_inside(mapping, file):
            yield mapping, file


def _is_generated(mapping: Mapping, file: File) -> bool:
    """Say whether a file holds no program, and has no name or is written where it is run.

    It is memory that compilers use, and judged as such.
    """
    if file.image is not None:
        return False
    return engines.kind_of(mapping) is not None or (mapping.writable and not file.magic.startswith(formats.FOREIGN))


def _may_be_code(view: View, mapping: Mapping, loaded: t.Container[int]) -> bool:
    if mapping.executable:
        return True
    return not mapping.writable and (
        mapping.inode in loaded or b".so" in mapping.path or images.is_executable(view, mapping)
    )


def _is_inside(mapping: Mapping, file: File) -> bool:
    """Say whether a mapping holds nothing but code: a page at the edge of it may belong to data, too."""
    end = mapping.offset + mapping.size
    return any(
        -(-start // _PAGE_SIZE) * _PAGE_SIZE <= mapping.offset and end <= last // _PAGE_SIZE * _PAGE_SIZE
        for start, last in file.code
    )


def _subtype(view: View, host: Host, change: Change) -> str:
    """Return what a change is."""
    mapping, file = change.mapping, change.file
    if not change.number:
        return "breakpoints_in_code"
    if file.image is None and runtimes.runs(view, host, file.magic):
        return "changed_foreign_code"
    if file.writable_code:
        return "self_modified_code"
    if tracers.is_recorder(view, host):
        return "recorded_code"
    if _was_replaced(view, host, change):
        return "mapped_file_changed"
    is_executable = images.is_executable(view, mapping)
    if change.size * 2 > change.present or (is_executable and change.entry):
        return "hollowed_image"
    return "patched_code"


def _was_replaced(view: View, host: Host, change: Change) -> bool:
    """Say whether it is the file that changed: it did after the process began, and no package knows it as it is.

    Nobody can write into the file of a running program, and code that leads to memory without a file is none that
    any file has.
    """
    mapping = change.mapping
    replaced = change.file.status.st_mtime > libraries.began(view, host) + _AT_ONCE
    if images.is_executable(view, mapping) or not replaced:
        return False
    for place in change.places:
        target = _mapping_at(view, place.leads_to)
        if target is not None and (target.anonymous or target.path.startswith(images.MEMORY_FILE)):
            return False
    return images.is_as_packaged(view, host, mapping) is False


def _sign(view: View, subtype: str, several: t.Sequence[Change]) -> Sign:
    first = several[0]
    severity = None
    if subtype == "breakpoints_in_code":
        size, what = sum(one.breakpoints for one in several), "breakpoints are set in"
        severity = _of_breakpoints(view)
    else:
        size, what = sum(one.size for one in several), "bytes differ from the file in"
    detail = "%d %s the code of %s%s" % (size, what, _named(first.mapping), _first_place(view, first))
    if len(several) > 1:
        detail += ", and of %d more" % (len(several) - 1)
    memory = tuple(_memory(view, one) for one in several[:_MEMORY_LIMIT])
    return Sign(subtype, detail, memory, severity, {"changes": [_shown(view, one) for one in several[:_MEMORY_LIMIT]]})


def _of_breakpoints(view: View) -> str | None:
    """Return how grave breakpoints are: a program that handles them itself diverts its functions by them."""
    process = view.process
    probed = any(mapping.path in _PROBES for mapping in view.maps)
    return "low" if process.caught & _SIGTRAP and not probed else None


def _first_place(view: View, change: Change) -> str:
    if not change.places:
        return ""
    place = change.places[0]
    text = ", first at offset 0x%x" % place.offset
    if place.function is not None:
        text += " (%s+%d)" % (printable(place.function[0]), place.function[1])
    target = _mapping_at(view, place.leads_to)
    return text if target is None else text + ", which leads to %s" % _named(target)


def _memory(view: View, change: Change) -> Memory:
    mapping, within = change.mapping, change.within
    offset = None
    if change.places:
        offset = change.places[0].offset - mapping.offset + mapping.start - within.start
    return facts.describe(view, mapping, within, offset=offset)


def _shown(view: View, change: Change) -> dict[str, t.Any]:
    """Return the facts of a change as evidence."""
    return {
        "path": printable(change.mapping.path),
        "build_id": change.build_id,
        "pages": change.pages,
        "bytes": change.size,
        "places": change.number,
        "breakpoints": change.breakpoints,
        "first": [
            {
                "file_offset": place.offset,
                "size": place.size,
                "function": None
                if place.function is None
                else "%s+%d" % (printable(place.function[0]), place.function[1]),
                "leads_to": _led_to(view, place.leads_to),
            }
            for place in change.places
        ],
    }


def _led_to(view: View, address: int | None) -> str | None:
    target = _mapping_at(view, address)
    return None if target is None else "%x, %s %s" % (address or 0, target.permissions, _named(target))


def _mapping_at(view: View, address: int | None) -> Mapping | None:
    return None if address is None else facts.mapping_at(view.maps, address)


def _named(mapping: Mapping) -> str:
    name = printable(mapping.path) if mapping.path else "memory without a file"
    return name + " (deleted)" if mapping.deleted else name


def _mapped_otherwise(view: View, host: Host) -> t.Iterator[Sign]:
    """Yield code that a loader would not have mapped, each kind once."""
    if not view.maps:
        return
    everything = memory_code.everything_is_executable(view)
    found: dict[tuple[str, str | None], dict[int, Sign]] = {}
    of_executable: list[Mapping] = []
    for mapping in view.maps:
        if mapping.anonymous:
            continue
        if images.is_executable(view, mapping):
            of_executable.append(mapping)
        if not mapping.executable or mapping.path.startswith(images.MEMORY_FILE):
            continue
        file = images.look_at(view, host, mapping)
        sign = None
        if file is None:
            sign = _of_device(view, mapping) if mapping.special else None
        elif everything:
            sign = _shellcode_in(view, host, mapping, file)
        elif not _is_generated(mapping, file):
            sign = _otherwise(view, host, mapping, file)
        if sign is not None:
            found.setdefault((sign.subtype, sign.severity), {}).setdefault(mapping.inode, sign)
    for several in found.values():
        yield _joined(list(several.values()))
    yield from _another_executable(view, host, of_executable)


def _another_executable(view: View, host: Host, found: t.Sequence[Mapping]) -> t.Iterator[Sign]:
    """Yield that a process runs something else than the executable that it has; found: what is mapped of that."""
    process = view.process
    if process.executable is None:
        return
    if not found:
        other = started.instead(view)
        if other is None:
            yield Sign("executable_not_mapped", "nothing of its executable is in its memory any more")
        else:
            detail = "it was started in %s, and nothing of its executable is in its memory" % _named(other)
            yield Sign("executable_never_started", detail, (facts.describe(view, other),))
    elif process.code_start > 1 and not found[0].start <= process.code_start < found[-1].end:
        detail = "its code began at %x, and its executable isn't mapped there" % process.code_start
        yield Sign("executable_not_mapped", detail)
    else:
        contradiction = started.contradiction(view, host, found)
        if contradiction is not None:
            yield Sign("executable_never_started", contradiction, (facts.describe(view, found[0]),))


def _joined(signs: t.Sequence[Sign]) -> Sign:
    """Return one sign of several of the same kind, each of a file of its own."""
    first = signs[0]
    if len(signs) == 1:
        return first
    memory = tuple(place for sign in signs[:_MEMORY_LIMIT] for place in sign.memory)
    return dataclasses.replace(first, detail="%s, and %d files more" % (first.detail, len(signs) - 1), memory=memory)


def _shellcode(view: View, host: Host, mapping: Mapping) -> tuple[str, int] | None:
    """Return what shellcode is in a mapping, and its offset there; None where there is none.

    What the process has not come to yet is in the file alone.
    """
    machine = memory_code.machine(view, host)
    descriptor = view.open_mapped(mapping)
    content = b""
    if descriptor is not None:
        try:
            content = images.reader(descriptor)(mapping.offset, min(mapping.size, _SEARCHED_LIMIT))
        finally:
            os.close(descriptor)
    if mapping.size > _SEARCHED_LIMIT:
        view.skip("a file of data is mapped as code, and only its first %d bytes were searched" % _SEARCHED_LIMIT)
    written = facts.pieces(view, view.pages(mapping).private, shellcode.OVERLAP)
    for address, data in itertools.chain([(mapping.start, content)], written):
        hits = [hit for hit in shellcode.find(data, address, machine) if hit.kind not in _HARMLESS]
        if hits:
            gravest = shellcode.gravest(hits)
            return "%s (%s)" % (gravest.kind, gravest.name), address + gravest.offset - mapping.start
    return None


def _of_device(view: View, mapping: Mapping) -> Sign:
    """Return the sign of a device that code is run from; what a process wrote for itself is no device's (zero(4))."""
    detail = "%s is a device, and mapped as code" % _named(mapping)
    return Sign("data_mapped_as_code", detail, (facts.describe(view, mapping),))


def _shellcode_in(view: View, host: Host, mapping: Mapping, file: File) -> Sign | None:
    """Return the sign of a file of data that is mapped as code and holds shellcode; None where it doesn't."""
    if file.image is not None or runtimes.runs(view, host, file.magic):
        return None
    hit = _shellcode(view, host, mapping)
    if hit is None:
        return None
    detail = "%s is not an ELF file, is mapped as code, and holds shellcode: %s" % (_named(mapping), hit[0])
    return Sign("shellcode_in_data", detail, (facts.describe(view, mapping, signature=hit[0], offset=hit[1]),))


def _otherwise(view: View, host: Host, mapping: Mapping, file: File) -> Sign | None:
    if not stat.S_ISREG(file.status.st_mode):
        return None
    if file.image is None:
        # That it is writable, too, says more, and is told already.
        if mapping.writable:
            return None
        sign = _shellcode_in(view, host, mapping, file)
        if sign is not None:
            return sign
        packaged, foreign = host.owner(mapping.path) is not None, file.magic.startswith(formats.FOREIGN)
        if packaged and foreign:
            return None
        severity = "informational" if packaged or foreign else None
        detail = "%s is not an ELF file, and mapped as code" % _named(mapping)
        return Sign("data_mapped_as_code", detail, (facts.describe(view, mapping),), severity)
    end = mapping.offset + mapping.size
    for start, last in file.code:
        if start // _PAGE_SIZE * _PAGE_SIZE <= mapping.offset and end <= -(-last // _PAGE_SIZE) * _PAGE_SIZE:
            return None
    detail = "a part of %s is mapped as code that holds none" % _named(mapping)
    return Sign("code_outside_segments", detail, (facts.describe(view, mapping),))
