# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The dynamic loader's own list of what it has loaded, in its order (struct r_debug and struct link_map of link.h).

First the program, then what was preloaded, what the program needs, and what was opened later (ld.so(8), dlopen(3)).
Libraries of LD_AUDIT are in a list of their own. The list is in the process's memory and can be changed there, so that
being in it explains nothing.
"""

from __future__ import annotations

import struct
import time
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan import facts
from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan.mapped_code import elf, images
from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan.model import PAGE, Mapping, Range
from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan.view import Host, View

_ENTRIES_LIMIT = 4096
_DYNAMIC_LIMIT = 1 << 16
# r_state: nothing is being loaded or unloaded.
_CONSISTENT = 0
# Of a loader that is at work.
_LOOKS, _PAUSE = 3, 0.02

# Device and inode of a file.
Key = t.Tuple[t.Tuple[int, int], int]


class Listing(t.NamedTuple):
    """The files that the loader has loaded for the program, without that. whole: whether they could be read to the end.

    Whoever empties the list hides nothing: what is mapped and in no list is what somebody hides.
    """

    files: list[Key]
    whole: bool


def read(view: View, host: Host) -> Listing:
    """Return what the loader lists for the program that a process runs."""
    for mapping in view.maps:
        if mapping.executable and images.is_executable(view, mapping):
            file = images.look_at(view, host, mapping)
            if file is not None and file.image is not None:
                return _settled(view, file.image, mapping)
    return Listing([], whole=False)


def _settled(view: View, image: elf.Image, mapping: Mapping) -> Listing:
    found = Listing([], whole=False)
    for look in range(_LOOKS):
        if look:
            time.sleep(_PAUSE)
        found, state = _read(view, image, mapping)
        if state == _CONSISTENT:
            break
    return found


def _read(view: View, image: elf.Image, mapping: Mapping) -> tuple[Listing, int]:
    start = _debug(view, image, mapping)
    words = _words(view, image, start, 4) if start else None
    if words is None:
        return Listing([], start == 0), _CONSISTENT
    _version, entry, _function, state = words
    found: list[Key] = []
    seen: set[int] = set()
    while entry and entry not in seen and len(seen) < _ENTRIES_LIMIT:
        seen.add(entry)
        words = _words(view, image, entry, 4)
        if words is None:
            return Listing(found, whole=False), state & 0xFFFFFFFF
        _moved, _name, dynamic, entry = words
        of = facts.mapping_at(view.maps, dynamic)
        if of is not None and not of.anonymous and not images.is_executable(view, of):
            found.append((of.device, of.inode))
    return Listing(found, whole=True), state & 0xFFFFFFFF


def _debug(view: View, image: elf.Image, mapping: Mapping) -> int | None:
    """Return where the loader's list begins, which it writes into the program's dynamic section before anything else.

    None where the program has no place for it, or that can't be read.
    """
    segment, moved = image.first(elf.PT_DYNAMIC), images.bias(image, mapping)
    if segment is None or moved is None:
        return None
    size = image.header.bits // 8
    words = _words(view, image, segment.address + moved, min(segment.memory_size, _DYNAMIC_LIMIT) // size) or ()
    return next((value for tag, value in zip(words[::2], words[1::2]) if tag == elf.DT_DEBUG), None)


def _words(view: View, image: elf.Image, address: int, count: int) -> tuple[int, ...] | None:
    """Return words of memory; None where not all of them are there."""
    end = address + count * image.header.bits // 8
    mapping = facts.mapping_at(view.maps, address)
    if mapping is None or end > mapping.end:
        return None
    pages = mapping._replace(start=address // PAGE * PAGE, end=-(-end // PAGE) * PAGE)
    if list(facts.clipped(view.pages(pages).present, address, end)) != [Range(address, end)]:
        return None
    data = view.read(address, end - address)
    layout = "%s%d%s" % (image.header.order, count, "Q" if image.header.bits == 64 else "I")
    return struct.unpack(layout, data) if len(data) == end - address else None
