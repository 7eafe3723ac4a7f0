# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tell whether an engine that is mapped has made a piece of memory, by what both of them hold of each other.

Who makes code keeps its address, and code that was made calls who made it. A program that has a compiler mapped and
doesn't run it has neither. Both are values in memory that somebody in the process can write: they have to be forged one
by one, in the engine's own data.
"""

from __future__ import annotations

import array
import bisect
import functools
import re
import struct
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan import facts
from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan.mapped_code import elf, images
from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan.model import PAGE, Mapping, Range
from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan.view import View

# e_machine of elf(5): there calls are recognised.
X86_64 = 62
_WORD = 8
# The largest static data seen are PyPy's and Valgrind's with 18 MB.
_MOST_STATICS = 32 << 20
# Of what a pointer leads to, so much is read: a structure is no larger, or begins with what it is about.
_STRUCTURE = 1 << 10
_MOST_STRUCTURES = 1 << 14
# Structures that lie together are read so many bytes at once.
_READ_TOGETHER = 1 << 16
# V8's pages of code begin at one of these, with what links them.
_CHUNK = 1 << 18
_MOST_OBJECTS = 64 << 20
_MOST_CODE = 4 << 20
# An address may lie across two pieces of code.
OVERLAP = 8
_RELATIVE = re.compile(rb"[\xe8\xe9]")
# Addresses differ in the lower three bytes within one of these.
_GRANULE = 24
_MOST_GRANULES = 64


class _Places:
    """Which of some mappings an address is in."""

    def __init__(self, mappings: t.Iterable[Mapping]) -> None:
        self._mappings = sorted(mappings, key=lambda one: one.start)
        self._starts = [one.start for one in self._mappings]
        self.first = self._mappings[0].start if self._mappings else 0
        self.end = self._mappings[-1].end if self._mappings else 0

    def at(self, address: int) -> Mapping | None:
        place = bisect.bisect(self._starts, address) - 1
        return self._mappings[place] if place >= 0 and address < self._mappings[place].end else None

    def among(self, words: t.Iterable[int]) -> list[int]:
        """Return the words that may be addresses in one of them."""
        first, end = self.first, self.end
        return [word for word in words if first <= word < end]


def statics(image: elf.Image, mapping: Mapping) -> list[Range]:
    """Return where the writable data of a file lie in a process. mapping: any of the file."""
    bias = images.bias(image, mapping)
    if bias is None:
        return []
    found = []
    left = _MOST_STATICS
    for segment in image.loaded:
        if segment.flags & elf.PF_W and left > 0:
            start = bias + segment.address
            size = min(segment.memory_size, left)
            found.append(Range(start, start + size))
            left -= size
    return found


def words(view: View, ranges: t.Iterable[Range]) -> list[array.array[int]]:
    """Return what lies at addresses that are whole words of a 64-bit process."""
    found = []
    for start, end in ranges:
        for mapping in facts.mappings_in(view.maps, start, end):
            if mapping.readable:
                for at, to in facts.clipped(view.pages(mapping).present, start, end):
                    found.append(_words(view, at, to - at))
    return found


def has_swapped(view: View, ranges: t.Sequence[Range]) -> bool:
    """Say whether pages there may be swapped out, which a process can ask for (MADV_PAGEOUT of madvise(2))."""
    return any(
        view.pages(mapping).swapped for start, end in ranges for mapping in facts.mappings_in(view.maps, start, end)
    )


def _words(view: View, start: int, length: int) -> array.array[int]:
    start, skew = -(-start // _WORD) * _WORD, -start % _WORD
    data = view.read(start, max(length - skew, 0))
    found = array.array("Q")
    found.frombytes(data[: len(data) // _WORD * _WORD])
    return found


def reached(view: View, ranges: t.Sequence[Range], regions: t.Sequence[Mapping], steps: int) -> set[Mapping]:
    """Return the regions to which pointers lead from ranges, in so many steps: one where a range has the pointer.

    Regions are found in more steps from where another one was found: engines keep lists of what they have made.
    """
    whole = {_whole(view, region): region for region in regions}
    wanted = _Places(whole)
    followed = _Places(one for one in view.maps if one.readable and one.writable)
    first, end = min(wanted.first, followed.first), max(wanted.end, followed.end)

    def near(values: t.Iterable[int]) -> set[int]:
        """Return what may be an address in any of them: of the words of large static data hardly one in ten."""
        return {word for word in values if first <= word < end}

    def hits(addresses: t.Iterable[int]) -> set[Mapping]:
        return {whole[one] for one in map(wanted.at, wanted.among(addresses)) if one is not None}

    found: set[Mapping] = set()
    seen: set[int] = set()
    current = [near(values) for values in words(view, ranges)]
    step = 0
    while len(found) < len(set(regions)):
        step += 1
        lists = [addresses for addresses in current if hits(addresses)]
        new = {one for addresses in lists for one in hits(addresses)} - found
        found |= new
        if step >= steps:
            if not new:
                break
            current = lists
        pointers = {word // _WORD * _WORD for addresses in current for word in followed.among(addresses)}
        pointers.update(place for region in new for place in (region.start, region.start // _CHUNK * _CHUNK))
        current = []
        following = sorted(pointers - seen)[: _MOST_STRUCTURES - len(seen)]
        seen.update(following)
        for values, parts in _structures(view, followed, following):
            addresses = near(values)
            current += [near(part) for part in parts()] if hits(addresses) else [addresses]
    return found


_Words = t.Sequence[int]


def _structures(
    view: View, places: _Places, pointers: t.Sequence[int]
) -> t.Iterator[tuple[_Words, t.Callable[[], list[_Words]]]]:
    """Yield what pointers, in order, lead to: the words of structures that lie close together, and what parts them.

    They are read at once, as thousands of them overlap.
    """
    together: list[Range] = []
    for pointer in pointers:
        mapping = places.at(pointer)
        if mapping is None:
            continue
        one = Range(pointer, min(pointer + _STRUCTURE, mapping.end))
        if together and (one.start > together[-1].end or one.end > together[0].start + _READ_TOGETHER):
            yield from _read_together(view, together)
            together = []
        together.append(one)
    if together:
        yield from _read_together(view, together)


def _read_together(
    view: View, structures: t.Sequence[Range]
) -> t.Iterator[tuple[_Words, t.Callable[[], list[_Words]]]]:
    start, end = structures[0].start, structures[-1].end
    values = _words(view, start, end - start)
    if len(values) * _WORD == end - start:
        yield values, lambda: [values[(one.start - start) // _WORD : (one.end - start) // _WORD] for one in structures]
        return
    # A part of it can't be read.
    for one in structures:
        part = _words(view, one.start, one.end - one.start)
        yield part, functools.partial(list, [part])


def _whole(view: View, region: Mapping) -> Mapping:
    """Return a region with what it continues: a Lisp's heap begins as a file that is mapped to be written and run."""
    one = facts.mapping_at(view.maps, region.start - 1)
    if one is not None and one.permissions == region.permissions == "rwxp":
        return region._replace(start=one.start)
    return region


def owned(view: View, file: t.Sequence[Mapping], regions: t.Sequence[Mapping]) -> set[Mapping]:
    """Return the regions of which an object of a file's has the address.

    An object of C++, and what has a table of functions, lies in the heap and points into the file that its code is in.
    """
    wanted, own = _Places(regions), _Places(file)
    near = _STRUCTURE // _WORD
    found: set[Mapping] = set()
    left = _MOST_OBJECTS
    heap_first = sorted(view.maps, key=lambda one: one.path != b"[heap]")
    for mapping in heap_first:
        if not mapping.anonymous or not mapping.readable or not mapping.writable or mapping.executable:
            continue
        for values in words(view, [Range(mapping.start, min(mapping.end, mapping.start + left))]):
            left -= len(values) * _WORD
            for place in [at for at, word in enumerate(values) if wanted.first <= word < wanted.end]:
                region = wanted.at(values[place])
                around = values[max(place - near, 0) : place + near + 1]
                if region is not None and any(map(own.at, own.among(around))):
                    found.add(region)
            if left <= 0 or len(found) == len(set(regions)):
                return found
    return found


def linked(view: View, file: t.Sequence[Mapping], regions: t.Sequence[Mapping]) -> set[Mapping]:
    """Return the regions that lie in pages of V8's heap whose header and an object of the file's lead to each other.

    A thread that has a heap of its own (a worker of Node's) is far from the static data. The header of a page says
    where its code ends (MemoryChunk in V8's src/heap/memory-chunk-layout.h), and names the space that the page belongs
    to: an object of C++, which has the address of its pages. Headers lead to the pages before and after.
    """
    own = _Places(file)
    found: set[Mapping] = set()
    headers: list[Range] = []
    for region in regions:
        start = region.start // _CHUNK * _CHUNK
        page = next((one for one in view.maps if one.start == start), None)
        if page is None or page.permissions != "rw-p" or not page.anonymous:
            continue
        header = Range(start, min(start + _STRUCTURE, page.end))
        values = {word for part in words(view, [header]) for word in part}
        ends = any(region.end - PAGE < word <= region.end for word in values)
        if ends and any(_has_page(view, own, word, start, region.end) for word in values):
            found.add(region)
            headers.append(header)
    return found | reached(view, headers, regions, 2) if headers else found


def _has_page(view: View, own: _Places, pointer: int, start: int, end: int) -> bool:
    """Say whether an object of C++ is there, whose functions are in a file, that has an address in a page."""
    mapping = next((one for one in view.maps if one.start <= pointer < one.end), None)
    if mapping is None or mapping.permissions != "rw-p" or pointer % _WORD or start <= pointer < end:
        return False
    values = _words(view, pointer, min(_STRUCTURE, mapping.end - pointer))
    return bool(values) and own.at(values[0]) is not None and any(start <= word < end for word in values)


def calls(pieces: t.Iterable[tuple[int, bytes]], file: t.Sequence[Mapping]) -> bool:
    """Say whether code has an address in a file, or calls or jumps to one. pieces: of the code, with addresses."""
    targets = _Places(file)
    granules = range(targets.first >> _GRANULE, (targets.end >> _GRANULE) + 1)[:_MOST_GRANULES]
    left = _MOST_CODE
    for address, data in pieces:
        # Huge pages have no holes (lseek(2)): megabytes of zeros may come before the code.
        if not data.strip(b"\0"):
            continue
        if any(_has_address(data, granule, targets) for granule in granules):
            return True
        for match in _RELATIVE.finditer(data, 0, max(len(data) - 4, 0)):
            end = match.end() + 4
            distance: int = struct.unpack_from("<i", data, match.end())[0]
            if targets.at(address + end + distance) is not None:
                return True
        left -= len(data)
        if left <= 0:
            break
    return False


def _has_address(data: bytes, granule: int, targets: _Places) -> bool:
    upper = struct.pack("<Q", granule << _GRANULE)[3:]
    at = data.find(upper, 3)
    while at >= 0:
        if targets.at(int.from_bytes(data[at - 3 : at + 5], "little")) is not None:
            return True
        at = data.find(upper, at + 1)
    return False
