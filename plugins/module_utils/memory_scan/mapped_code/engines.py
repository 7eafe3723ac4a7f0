# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Programs and libraries that make machine code while they run, told by what is in their files, not by their names.

An engine is recognised in a process by symbols or texts of a file from which the process runs code. That it is mapped
explains nothing: it explains code that lies in memory as this engine puts it there, of which the engine's own data have
the address, and that calls the engine. That says nothing against what else lies there: who brings code into such a
process brings it where it is expected.
"""

from __future__ import annotations

import os
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan.mapped_code import (
    closures,
    contents,
    elf,
    images,
    running,
    sljit,
)
from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan.model import Mapping, Range
from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan.view import Host, View

# Kinds of memory without a file.
ANONYMOUS, SHARED, MEMFD, REMOVED = "anonymous", "shared", "memfd", "removed"
MEMORY = (ANONYMOUS, SHARED, MEMFD, REMOVED)
# What a process has of a device for itself: no engine makes code there.
DEVICE = "device"

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
# Who has the address of what an engine has made: its own static data, objects of it in the heap, or an object that the
# header of the page leads to.
STATICS, OBJECTS, HEADERS = "statics", "objects", "headers"
_STEPS = 3
# How its allocator lays out memory.
_SLJIT, _CLOSURES = "sljit", "closures"
_LAYOUTS = ("", _SLJIT, _CLOSURES)


class Mark(t.NamedTuple):
    """What one file must have all of. names: of dynamic symbols. texts: anywhere in its constants."""

    names: tuple[bytes, ...]
    texts: tuple[bytes, ...]


class Shape(t.NamedTuple):
    """How an engine puts code into memory.

    memory: one of ``MEMORY``. permissions: such as "rwx". name: how a memory file's name begins. step: of which its
    size is a multiple. most: how large it may be. holds: what its beginning must have in it. layout: how an allocator
    that is known has laid it out.
    """

    memory: str
    permissions: tuple[str, ...]
    name: bytes
    step: int
    most: int
    holds: bytes
    layout: str


class Engine(t.NamedTuple):
    """id, name: for people. marks: any of them will do. shapes: likewise.

    code: how much of it a file has at least that is known by texts. held: who has the address of what it makes, any of
    them; nobody in particular where it is empty. steps: from its static data, over how many pointers. calls: whether
    what it makes calls it. runtime: whether it runs programs that bring libraries of their own. mixed: whether it keeps
    data among its code.
    """

    id: str
    name: str
    marks: tuple[Mark, ...]
    shapes: tuple[Shape, ...]
    code: int
    held: tuple[str, ...]
    steps: int
    calls: bool
    runtime: bool
    mixed: bool


def parse(content: t.Any) -> tuple[Engine, ...]:
    """Return engines as content/memory_scan/engines.yml has them; ValueError, KeyError or TypeError if it can't be."""
    return tuple(
        Engine(
            given["id"],
            given["name"],
            tuple(Mark(_encoded(one.get("names", ())), _encoded(one.get("texts", ()))) for one in given["marks"]),
            tuple(map(_shape, given["memory"])),
            int(given.get("code", 0)),
            _known(given.get("held", [STATICS]), (STATICS, OBJECTS, HEADERS)),
            int(given.get("steps", _STEPS)),
            bool(given.get("calls", True)),
            bool(given.get("runtime", False)),
            bool(given.get("mixed", False)),
        )
        for given in content
    )


def _encoded(texts: t.Iterable[str]) -> tuple[bytes, ...]:
    found = tuple(text.encode() for text in texts)
    if any(not 4 <= len(text) <= _LONGEST for text in found):
        raise ValueError("a mark has 4 to %d characters" % _LONGEST)
    return found


def _known(given: t.Iterable[str], choices: t.Sequence[str]) -> tuple[str, ...]:
    found = tuple(given)
    if not set(found) <= set(choices):
        raise ValueError(found)
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
        *_known((given.get("layout", ""),), _LAYOUTS),
    )


def kind_of(mapping: Mapping) -> str | None:
    """Return which memory without a file a mapping is; None where it is of a file that has a name."""
    if mapping.special:
        return DEVICE if mapping.anonymous else None
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
    explained: dict[Mapping, Engine] = {}
    for image, mapping, engine, fitting in _fitting(view, host, regions, explained):
        made = set(_made(view, image, mapping, engine, fitting) if fitting else ())
        explained.update((region, engine) for region in fitting if region in made)
        _note_swapped(view, image, mapping, engine, len(fitting) > len(made))
    return explained


def is_shaped(view: View, host: Host, regions: t.Sequence[Mapping]) -> bool:
    """Say whether any of the regions has the shape of what an engine of the process makes, whoever has made it."""
    return any(fitting for _image, _mapping, _engine, fitting in _fitting(view, host, regions, {}))


def _fitting(
    view: View, host: Host, regions: t.Sequence[Mapping], explained: t.Mapping[Mapping, Engine]
) -> t.Iterator[tuple[elf.Image, Mapping, Engine, list[Mapping]]]:
    """Yield the engines of a process with their file, its mapping and the regions that have the shape of theirs.

    explained: regions that are left out from now on; it may grow meanwhile.
    """
    known: tuple[Engine, ...] = host.remember(("engines", "parsed"), lambda: parse(host.content.engines))
    beginnings: dict[Mapping, bytes] = {}
    files = _files(view)
    # Texts take longer to look for than names: only in files of which the names didn't tell.
    for by_texts in (False, True):
        for mapping in files:
            left = [region for region in regions if region not in explained]
            different = {(region.permissions, region.size, region.path): region for region in left}.values()
            candidates = [engine for engine in known if any(_may_fit(region, engine) for region in different)]
            if not candidates:
                return
            constants = _constants(view, host, mapping)
            if constants is None:
                continue
            for engine in constants.tell(view, mapping, candidates, by_texts):
                fitting = [region for region in left if region not in explained]
                yield (
                    constants.image,
                    mapping,
                    engine,
                    [region for region in fitting if _fits(view, region, engine, beginnings)],
                )


def _made(
    view: View, image: elf.Image, mapping: Mapping, engine: Engine, regions: t.Sequence[Mapping]
) -> t.Iterable[Mapping]:
    """Return which of the regions that have the shape an engine has made. image, mapping: of the file that it is in."""
    statics = running.statics(image, mapping)
    layouts = {shape.layout for shape in engine.shapes if kind_of(regions[0]) == shape.memory}
    if _SLJIT in layouts:
        return _counted(view, statics, regions)
    if _CLOSURES in layouts:
        regions = [region for region in regions if closures.are_all(view, region)]
    file = [one for one in view.maps if (one.device, one.inode) == (mapping.device, mapping.inode)]
    if engine.calls and image.header.machine == running.X86_64:
        pieces = {region: contents.pieces(view, region, running.OVERLAP) for region in regions}
        regions = [region for region in regions if running.calls(pieces[region], file)]
    if not engine.held or not regions:
        return regions
    found = running.reached(view, statics, regions, engine.steps) if STATICS in engine.held else set()
    left = [region for region in regions if region not in found]
    if left and HEADERS in engine.held:
        found |= running.linked(view, file, left)
    left = [region for region in left if region not in found]
    return found | running.owned(view, file, left) if left and OBJECTS in engine.held else found


def _note_swapped(view: View, image: elf.Image, mapping: Mapping, engine: Engine, is_left: bool) -> None:
    """Note that what an engine makes can't be told where its data are swapped out: nothing is brought back."""
    if is_left and running.has_swapped(view, running.statics(image, mapping)):
        view.skip("what %s makes can't be told: its data are swapped out" % engine.name)


def _counted(view: View, statics: t.Sequence[Range], regions: t.Sequence[Mapping]) -> t.Iterable[Mapping]:
    """Return the regions of sljit's chunks that its allocator has: a free block of it is in them, or it counts them."""
    sizes = {region: sljit.counted(view, region) for region in regions}
    whole = [region for region, size in sizes.items() if size is not None]
    total = sum(sizes[region] or 0 for region in whole)
    if total and any(total in values for values in running.words(view, statics)):
        return whole
    return running.reached(view, statics, whole, 1) if whole else ()


def _may_fit(region: Mapping, engine: Engine) -> bool:
    return any(_has_shape(region, shape) for shape in engine.shapes)


def _fits(view: View, region: Mapping, engine: Engine, beginnings: dict[Mapping, bytes]) -> bool:
    """Say whether a region is one as an engine makes them. beginnings: takes what was read of regions."""
    for shape in engine.shapes:
        if not _has_shape(region, shape):
            continue
        if shape.holds and region not in beginnings:
            beginnings[region] = _beginning(view, region)
        if not shape.holds or shape.holds in beginnings[region]:
            return True
    return False


def _has_shape(region: Mapping, shape: Shape) -> bool:
    return (
        kind_of(region) == shape.memory
        and region.permissions[:3] in shape.permissions
        and region.size % shape.step == 0
        and region.size <= shape.most
        and (not shape.name or region.path.startswith(b"/memfd:" + shape.name))
    )


def _beginning(view: View, region: Mapping) -> bytes:
    data = b""
    for start, end in view.pages(region).present:
        data += view.read(start, min(end - start, _LOOKED_AT - len(data)))
        if len(data) >= _LOOKED_AT:
            break
    return data


def _files(view: View) -> list[Mapping]:
    """Return one mapping of each file that code is run from, the executable's first."""
    found: dict[tuple[t.Any, ...], Mapping] = {}
    for mapping in view.maps:
        if mapping.executable and not mapping.anonymous:
            found.setdefault((mapping.device, mapping.inode), mapping)
    return sorted(found.values(), key=lambda mapping: not images.is_executable(view, mapping))


class _Constants:
    """What is in a file, as far as it was asked for."""

    def __init__(self, image: elf.Image) -> None:
        self.image = image
        self._code = sum(one.file_size for one in image.loaded if one.flags & elf.PF_X)
        self._names: dict[bytes, bool] = {}
        self._texts: dict[bytes, bool] = {}

    def tell(self, view: View, mapping: Mapping, engines: t.Sequence[Engine], by_texts: bool) -> list[Engine]:
        """Return which of the engines the file tells: by names alone, or by texts, too. mapping: of it in a process."""
        marks = [mark for engine in engines for mark in engine.marks if bool(mark.texts) is by_texts]
        self._look(view, mapping, marks)
        return [
            engine
            for engine in engines
            if (not by_texts or self._code >= engine.code)
            and any(mark in marks and self._has(mark) for mark in engine.marks)
        ]

    def _has(self, mark: Mark) -> bool:
        names, texts = self._names, self._texts
        return all(names.get(name) for name in mark.names) and all(texts.get(text) for text in mark.texts)

    def _look(self, view: View, mapping: Mapping, marks: t.Sequence[Mark]) -> None:
        names = {name for mark in marks for name in mark.names} - set(self._names)
        # The first text decides mostly: the others are looked for where it is.
        first = {mark.texts[0] for mark in marks if mark.texts} - set(self._texts)
        descriptor = view.open_mapped(mapping) if names or first else None
        if descriptor is None:
            return
        read = images.reader(descriptor)
        try:
            if names:
                table = b"\0%s\0" % _names(self.image, read)
                self._names.update((name, b"\0%s\0" % name in table) for name in names)
            self._find(read, first)
            found = [mark for mark in marks if mark.texts and self._texts.get(mark.texts[0])]
            self._find(read, {text for mark in found for text in mark.texts} - set(self._texts))
        finally:
            os.close(descriptor)

    def _find(self, read: elf.Read, texts: t.AbstractSet[bytes]) -> None:
        missing = set(texts)
        left = _MOST_TEXT
        for segment in _constant_segments(self.image):
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
        self._texts.update((text, text not in missing) for text in texts)


def _constant_segments(image: elf.Image) -> list[elf.Segment]:
    """Return where the constants of a file are, if it is large enough to have an engine in it."""
    segments = [one for one in image.loaded if not one.flags & elf.PF_W]
    if sum(one.file_size for one in segments) < _LEAST_TEXT:
        return []
    # Constants are in segments that aren't code, but for linkers that put both together.
    return [one for one in segments if not one.flags & elf.PF_X] or segments


def _constants(view: View, host: Host, mapping: Mapping) -> _Constants | None:
    """Return what is known of a file, which is found out once for a file as it is in a scan."""
    file = images.look_at(view, host, mapping)
    if file is None or file.image is None:
        return None
    image, status = file.image, file.status
    key = ("engines", status.st_dev, status.st_ino, status.st_mtime_ns, status.st_size)
    found: _Constants = host.remember(key, lambda: _Constants(image))
    return found


def _names(image: elf.Image, read: elf.Read) -> bytes:
    values = elf.read_dynamic(image, read).values
    place = image.offset_of(values.get(_DT_STRTAB, 0))
    return read(place, min(values.get(_DT_STRSZ, 0), _MOST_NAMES)) if place is not None else b""
