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
# Regions of 16 MB; more than so many (1 TB) are not worth to be told apart.
_REGION = 24
_REGIONS_LIMIT = 1 << 16


class Places:
    """Ranges of addresses, in order and apart, that can be asked for many addresses quickly."""

    def __init__(self, ranges: t.Sequence[Range]) -> None:
        self._ranges = ranges
        self._starts = [one.start for one in ranges]
        self._regions: set[int] = set()
        for one in ranges:
            if len(self._regions) > _REGIONS_LIMIT:
                break
            last = min(one.end - 1, one.start + (_REGIONS_LIMIT << _REGION))
            self._regions.update(range(one.start >> _REGION, (last >> _REGION) + 1))
        self._all = len(self._regions) > _REGIONS_LIMIT

    def number(self, address: int) -> int | None:
        """Return which of them an address lies in; None for none."""
        number = bisect.bisect_right(self._starts, address) - 1
        return number if number >= 0 and address < self._ranges[number].end else None

    def near(self, addresses: t.Iterable[int]) -> set[int]:
        """Return those that may lie in one of them: of millions of addresses hardly any, by one cheap question each."""
        if self._all:
            return set(addresses)
        regions = self._regions
        return {address for address in addresses if address >> _REGION in regions}


def leading_to(data: bytes, bits: int, order: str, places: Places) -> t.Iterator[tuple[int, int, int]]:
    """Yield (offset, address, number of the place) of the words in ``data`` that are addresses within places.

    data: begins where a word does; what is left at its end is no word.
    """
    size = bits // 8
    words = array.array(_CODES[bits])
    words.frombytes(data[: len(data) // size * size])
    if order != ("<" if sys.byteorder == "little" else ">"):
        words.byteswap()
    hits = {}
    for word in places.near(words):
        number = places.number(word)
        if number is not None:
            hits[word] = number
    if hits:
        for index, word in enumerate(words):
            if word in hits:
                yield index * size, word, hits[word]
