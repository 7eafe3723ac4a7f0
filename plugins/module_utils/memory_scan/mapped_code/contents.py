# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What lies in memory that no file has, also where it was written by way of another mapping."""

from __future__ import annotations

import os
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan import facts
from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan.mapped_code import images
from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan.model import Mapping, Range
from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan.view import View

_LARGE_PIECE = 1 << 20
_MOST_PARTS = 4096


def pieces(view: View, mapping: Mapping, overlap: int) -> t.Iterator[tuple[int, bytes]]:
    """Yield what is in memory of a region as (address, bytes), as facts.pieces does.

    Of what has a descriptor, a page that was written by way of another mapping isn't told as present in this one before
    it is run.
    """
    present = view.pages(mapping).present
    if not mapping.anonymous:
        yield from _not_mapped(view, mapping, present, overlap)
    yield from facts.pieces(view, present, overlap)


def _not_mapped(
    view: View, mapping: Mapping, present: t.Sequence[Range], overlap: int
) -> t.Iterator[tuple[int, bytes]]:
    """Yield what a file in memory has within a mapping, but for what lies in pages that are present, as they are."""
    descriptor = view.open_mapped(mapping)
    if descriptor is None:
        return
    read = images.reader(descriptor)
    try:
        for start, end in _data(view, descriptor, mapping.offset, mapping.offset + mapping.size):
            place = start
            while place < end:
                address = mapping.start + place - mapping.offset
                data = read(place, min(_LARGE_PIECE, end - place))
                if not data:
                    break
                if not any(one.start <= address and address + len(data) <= one.end for one in present):
                    yield address, data
                place += max(len(data) - overlap, 1) if place + len(data) < end else len(data)
    finally:
        os.close(descriptor)


def _data(view: View, descriptor: int, start: int, end: int) -> t.Iterator[tuple[int, int]]:
    """Yield the parts of a file that hold something (lseek(2), SEEK_DATA), within bounds."""
    for _part in range(_MOST_PARTS):
        try:
            first = os.lseek(descriptor, start, os.SEEK_DATA)
            last = min(os.lseek(descriptor, first, os.SEEK_HOLE), end)
        except OSError:
            # ENXIO: there is nothing more.
            return
        if first >= end or last <= first:
            return
        yield first, last
        start = last
    view.skip("a file of code in memory is in too many pieces, and only the first %d were read" % _MOST_PARTS)
