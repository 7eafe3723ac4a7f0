# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Addresses in memory that lead to certain places."""

from __future__ import annotations

import array
import bisect
import sys
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan.model import Range

_CODES = {32: "I", 64: "Q"}


def leading_to(data: bytes, bits: int, order: str, places: t.Sequence[Range]) -> t.Iterator[tuple[int, int, int]]:
    """Yield (offset, address, number of the place) of the words in ``data`` that are addresses within places.

    places: in order, and apart. data: begins where a word does; what is left at its end is no word.
    """
    if not places:
        return
    size = bits // 8
    words = array.array(_CODES[bits])
    words.frombytes(data[: len(data) // size * size])
    if order != ("<" if sys.byteorder == "little" else ">"):
        words.byteswap()
    first, last = places[0].start, places[-1].end
    # Of millions of words nearly all lie outside: the one comparison that is made of each has to be a cheap one.
    near = {word for word in words if first <= word < last}
    starts = [place.start for place in places]
    numbers = {word: bisect.bisect_right(starts, word) - 1 for word in near}
    hits = {word: number for word, number in numbers.items() if word < places[number].end}
    if hits:
        for index, word in enumerate(words):
            if word in hits:
                yield index * size, word, hits[word]
