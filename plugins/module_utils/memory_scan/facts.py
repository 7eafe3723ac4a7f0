# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Memory in pieces that can be searched, and the facts about a place in it that may leave the host."""

from __future__ import annotations

import collections
import hashlib
import math
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils import _finding
from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan.model import Mapping, Memory, Range
from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan.view import View

# Of a larger place the beginning is hashed and counted: evidence must cost little, whatever a process maps.
DESCRIBED_LIMIT = 1 << 20
PIECE = 1 << 20


def describe(
    view: View,
    mapping: Mapping,
    within: Range | None = None,
    signature: str | None = None,
    offset: int | None = None,
) -> Memory:
    """Return the facts about a mapping, or about a range within it. ``offset`` is counted from the start of that.

    Hash and entropy are of the pages that are present, the first ``DESCRIBED_LIMIT`` bytes of them; None where there
    are none, or they can't be read.
    """
    start, end = within or (mapping.start, mapping.end)
    digest = hashlib.sha256()
    counts: collections.Counter[int] = collections.Counter()
    size = 0
    for _place, data in pieces(view, clipped(view.pages(mapping).present, start, end)):
        data = data[: DESCRIBED_LIMIT - size]
        digest.update(data)
        counts.update(data)
        size += len(data)
        if size >= DESCRIBED_LIMIT:
            break
    return Memory(
        start=start,
        end=end,
        permissions=mapping.permissions,
        path=_finding.printable(mapping.path) + (" (deleted)" if mapping.deleted else ""),
        size=size,
        entropy=_entropy(counts.values(), size) if size else None,
        sha256=digest.hexdigest() if size else None,
        signature=signature,
        offset=offset,
    )


def entropy(data: bytes) -> float:
    """Return the entropy of bytes (Shannon), in bits for each byte: 0.0 (all the same, or none at all) to 8.0."""
    return _entropy(collections.Counter(data).values(), len(data))


def mappings_in(maps: t.Sequence[Mapping], start: int, end: int) -> t.Iterator[Mapping]:
    """Yield a process's mappings that have something between two addresses. maps: as the kernel lists them."""
    low, high = 0, len(maps)
    while low < high:
        middle = (low + high) // 2
        if maps[middle].end <= start:
            low = middle + 1
        else:
            high = middle
    while low < len(maps) and maps[low].start < end:
        yield maps[low]
        low += 1


def mapping_at(maps: t.Sequence[Mapping], address: int) -> Mapping | None:
    """Return which of a process's mappings has an address."""
    return next(mappings_in(maps, address, address + 1), None)


def clipped(ranges: t.Iterable[Range], start: int, end: int) -> t.Iterator[Range]:
    """Yield what of the ranges lies between two addresses."""
    for one in ranges:
        first, last = max(one.start, start), min(one.end, end)
        if first < last:
            yield Range(first, last)


def pieces(view: View, ranges: t.Iterable[Range], overlap: int = 0) -> t.Iterator[tuple[int, bytes]]:
    """Yield memory of ranges as (address, bytes), at most ``PIECE`` new bytes at a time.

    overlap: how many bytes at the end of a piece come again at the start of the next, for what lies across. It ends
    with what can't be read of a range: the view says why.
    """
    for start, end in ranges:
        tail = b""
        while start < end:
            wanted = min(PIECE, end - start)
            data = view.read(start, wanted)
            if data:
                yield start - len(tail), tail + data
            if len(data) < wanted:
                break
            start += wanted
            tail = data[-overlap:] if overlap else b""


def _entropy(counts: t.Iterable[int], total: int) -> float:
    """Return it of how often each value came."""
    bits = -sum(count / total * math.log2(count / total) for count in counts)
    return max(bits, 0.0)
