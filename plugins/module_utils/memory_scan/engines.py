# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Programs and libraries that make machine code while they run, told by what is in their files, not by their names.

An engine is recognised in a process by symbols or texts of a file from which the process runs code, and explains only
code that lies in memory as this engine puts it there. That says nothing against what else lies there: who brings code
into such a process brings it where it is expected.
"""

from __future__ import annotations

import os
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan import elf, images
from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan.model import Mapping
from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan.view import Host, View

# Kinds of memory without a file.
ANONYMOUS, SHARED, MEMFD, REMOVED = "anonymous", "shared", "memfd", "removed"
MEMORY = (ANONYMOUS, SHARED, MEMFD, REMOVED)

# Names of dynamic symbols of the largest libraries take some megabytes; texts of a browser 50 MB.
_MOST_NAMES = 1 << 25
_MOST_TEXT = 1 << 27
# What is smaller holds no compiler, unless it says so by its symbols.
_LEAST_TEXT = 1 << 18
_PIECE = 1 << 20
_LONGEST = 128
_DT_STRTAB, _DT_STRSZ = 5, 10
# Of a place that has to hold a pattern, the beginning is looked at.
_LOOKED_AT = 1 << 16


class Mark(t.NamedTuple):
    """What one file must have all of. names: of dynamic symbols. texts: anywhere in its constants."""

    names: tuple[bytes, ...]
    texts: tuple[bytes, ...]


class Shape(t.NamedTuple):
    """How an engine puts code into memory.

    memory: one of ``MEMORY``. permissions: such as "rwx". name: how a memory file's name begins. step: of which its
    size is a multiple. most: how large it may be. holds: what its beginning must have in it.
    """

    memory: str
    permissions: tuple[str, ...]
    name: bytes
    step: int
    most: int
    holds: bytes


class Engine(t.NamedTuple):
    """id, name: for people. marks: any of them will do. shapes: likewise."""

    id: str
    name: str
    marks: tuple[Mark, ...]
    shapes: tuple[Shape, ...]


def parse(content: t.Any) -> tuple[Engine, ...]:
    """Return engines as content/memory_scan/engines.yml has them; ValueError, KeyError or TypeError if it can't be."""
    return tuple(
        Engine(
            given["id"],
            given["name"],
            tuple(Mark(_encoded(one.get("names", ())), _encoded(one.get("texts", ()))) for one in given["marks"]),
            tuple(map(_shape, given["memory"])),
        )
        for given in content
    )


def _encoded(texts: t.Iterable[str]) -> tuple[bytes, ...]:
    found = tuple(text.encode() for text in texts)
    if any(not 4 <= len(text) <= _LONGEST for text in found):
        raise ValueError("a mark has 4 to %d characters" % _LONGEST)
    return found


def _shape(given: t.Mapping[str, t.Any]) -> Shape:
    if given["kind"] not in MEMORY:
        raise ValueError(given["kind"])
    return Shape(
        given["kind"],
        tuple(given["permissions"]),
        given.get("name", "").encode(),
        int(given.get("step", 1)),
        int(given.get("most", 1 << 47)),
        bytes.fromhex(given.get("holds", "")),
    )


def kind_of(mapping: Mapping) -> str | None:
    """Return which memory without a file a mapping is; None where it is of a file that has a name."""
    if mapping.path.startswith(b"/memfd:"):
        return MEMFD
    if mapping.anonymous:
        return ANONYMOUS
    # Shared memory without a name, and what has had one of System V's (proc_pid_maps(5), sysvipc(7)).
    if mapping.deleted and (mapping.path == b"/dev/zero" or mapping.path.startswith((b"/SYSV", b"/anon_hugepage"))):
        return SHARED
    return REMOVED if mapping.deleted else None


def explain(view: View, host: Host, regions: t.Sequence[Mapping]) -> dict[Mapping, Engine]:
    """Return for memory that holds code which engine puts it there, as far as the process has one."""
    known: tuple[Engine, ...] = host.remember(("engines", "parsed"), lambda: parse(host.content.engines))
    explained: dict[Mapping, Engine] = {}
    for search in (_by_names, _by_texts):
        for mapping in _files(view):
            left = [region for region in regions if region not in explained]
            if not left:
                return explained
            for number in search(view, host, mapping, known):
                engine = known[number]
                explained.update((region, engine) for region in left if fits(view, region, engine))
    return explained


def fits(view: View, region: Mapping, engine: Engine) -> bool:
    """Say whether a region is one as an engine makes them."""
    return any(_has_shape(view, region, shape) for shape in engine.shapes)


def _has_shape(view: View, region: Mapping, shape: Shape) -> bool:
    if kind_of(region) != shape.memory or region.permissions[:3] not in shape.permissions:
        return False
    if region.size % shape.step or region.size > shape.most:
        return False
    if shape.name and not region.path.startswith(b"/memfd:" + shape.name):
        return False
    if not shape.holds:
        return True
    wanted = _LOOKED_AT
    for start, end in view.pages(region).present:
        if shape.holds in view.read(start, min(end - start, wanted)):
            return True
        wanted -= end - start
        if wanted <= 0:
            break
    return False


def _files(view: View) -> list[Mapping]:
    """Return one mapping of each file that code is run from, the executable's first."""
    found: dict[tuple[t.Any, ...], Mapping] = {}
    for mapping in view.maps:
        if mapping.executable and not mapping.anonymous:
            found.setdefault((mapping.device, mapping.inode), mapping)
    return sorted(found.values(), key=lambda mapping: not images.is_executable(view, mapping))


def _by_names(view: View, host: Host, mapping: Mapping, known: t.Sequence[Engine]) -> t.Sequence[int]:
    """Return by number the engines that dynamic symbols of a file tell."""

    def look(image: elf.Image, read: elf.Read) -> tuple[int, ...]:
        names = b"\0%s\0" % _names(image, read)
        return tuple(
            number
            for number, engine in enumerate(known)
            if any(
                mark.names and not mark.texts and all(b"\0%s\0" % name in names for name in mark.names)
                for mark in engine.marks
            )
        )

    return _remembered(view, host, mapping, "names", look)


def _names(image: elf.Image, read: elf.Read) -> bytes:
    values = elf.read_dynamic(image, read).values
    place = image.offset_of(values.get(_DT_STRTAB, 0))
    return read(place, min(values.get(_DT_STRSZ, 0), _MOST_NAMES)) if place is not None else b""


def _by_texts(view: View, host: Host, mapping: Mapping, known: t.Sequence[Engine]) -> t.Sequence[int]:
    """Return by number the engines that constants of a file tell, if it is large enough to have one in it."""

    def look(image: elf.Image, read: elf.Read) -> tuple[int, ...]:
        wanted = {text for engine in known for mark in engine.marks for text in mark.texts}
        segments = [one for one in image.loaded if not one.flags & elf.PF_W]
        if sum(one.file_size for one in segments) < _LEAST_TEXT:
            return ()
        # Constants are in segments that aren't code, but for linkers that put both together.
        constants = [one for one in segments if not one.flags & elf.PF_X] or segments
        missing = _missing(read, constants, wanted)
        names = b"\0%s\0" % _names(image, read)
        return tuple(
            number
            for number, engine in enumerate(known)
            if any(
                mark.texts and missing.isdisjoint(mark.texts) and all(b"\0%s\0" % name in names for name in mark.names)
                for mark in engine.marks
            )
        )

    return _remembered(view, host, mapping, "texts", look)


def _missing(read: elf.Read, segments: t.Iterable[elf.Segment], wanted: t.AbstractSet[bytes]) -> set[bytes]:
    """Return which of the texts are not in the segments."""
    missing = set(wanted)
    left = _MOST_TEXT
    for segment in segments:
        place, end = segment.offset, segment.offset + segment.file_size
        tail = b""
        while place < end and left > 0 and missing:
            data = read(place, min(_PIECE, end - place))
            if not data:
                break
            both = tail + data
            missing -= {text for text in missing if text in both}
            tail = data[-_LONGEST:]
            place += len(data)
            left -= len(data)
    return missing


def _remembered(
    view: View,
    host: Host,
    mapping: Mapping,
    what: str,
    look: t.Callable[[elf.Image, elf.Read], tuple[int, ...]],
) -> t.Sequence[int]:
    """Return what a look at a file tells, which is done once for a file as it is in a scan."""
    file = images.look_at(view, host, mapping)
    if file is None or file.image is None:
        return ()
    image, status = file.image, file.status
    key = ("engines", what, status.st_dev, status.st_ino, status.st_mtime_ns, status.st_size)

    def make() -> tuple[int, ...]:
        descriptor = view.open_mapped(mapping)
        if descriptor is None:
            return ()
        try:
            return look(image, images.reader(descriptor))
        finally:
            os.close(descriptor)

    found: t.Sequence[int] = host.remember(key, make)
    return found
