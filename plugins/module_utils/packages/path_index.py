# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every path that a host's packages own, in few bytes per path."""

from __future__ import annotations

import bisect
import itertools
import typing as t
from array import array

_LOW_32 = 0xFFFFFFFF
# Before each path: no path holds it.
_SEPARATOR = b"\0"


class PathIndex:
    """Paths in groups (one group per package), found by path; about 60 bytes per path of ordinary length.

    A path is known by its ordinal, its position over all groups, so that callers keep what they know of it in
    arrays of their own. Lookup goes through a sorted array of 32 bits of hash and 32 bits of ordinal, and
    compares the path itself: a collision costs a comparison, never a wrong answer.
    """

    def __init__(self, groups: t.Iterable[t.Sequence[bytes]]) -> None:
        blob = bytearray()
        ends = array("I")
        keys: list[int] = []
        starts = array("I")
        for paths in groups:
            first = len(ends)
            starts.append(first)
            if paths:
                keys += [(hash(path) & _LOW_32) << 32 | ordinal for ordinal, path in enumerate(paths, first)]
                lengths = [len(_SEPARATOR) + len(path) for path in paths]
                lengths[0] += len(blob)
                ends.extend(itertools.accumulate(lengths))
                blob += _SEPARATOR + _SEPARATOR.join(paths)
        keys.sort()
        self._keys = array("Q", keys)
        self._blob = blob
        self._ends = ends
        self._starts = starts

    def __len__(self) -> int:
        return len(self._ends)

    def path(self, ordinal: int) -> bytes:
        return bytes(self._blob[self._begin(ordinal) + len(_SEPARATOR) : self._ends[ordinal]])

    def find(self, path: bytes) -> t.Iterator[int]:
        """Yield the ordinal of every listing of ``path``, in the order of the groups."""
        keys = self._keys
        wanted = hash(path) & _LOW_32
        position = bisect.bisect_left(keys, wanted << 32)
        while position < len(keys) and keys[position] >> 32 == wanted:
            ordinal = keys[position] & _LOW_32
            if self.path(ordinal) == path:
                yield ordinal
            position += 1

    def group(self, ordinal: int) -> int:
        """Return the position of the group that ``ordinal`` belongs to."""
        return bisect.bisect_right(self._starts, ordinal) - 1

    def members(self, group: int) -> range:
        """Return the ordinals of one group."""
        following = group + 1
        return range(self._starts[group], self._starts[following] if following < len(self._starts) else len(self))

    def leads_on(self, ordinal: int, group: int) -> bool:
        """Say whether a group has paths below one of its paths, which must be a directory then."""
        members = self.members(group)
        below = _SEPARATOR + self.path(ordinal) + b"/"
        return self._blob.find(below, self._begin(members.start), self._begin(members.stop)) >= 0

    def _begin(self, ordinal: int) -> int:
        return self._ends[ordinal - 1] if ordinal else 0
