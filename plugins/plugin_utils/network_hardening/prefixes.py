# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Addresses and prefixes as numbers, and the cover of many addresses by few prefixes.

A *block* is (version, bits, length): the first ``length`` of the bits that tell neighbours apart, which are 32 in IPv4
and 64 in IPv6. What is behind one /64 is one network, whose hosts change the other half of their addresses at will.
"""

from __future__ import annotations

import bisect
import ipaddress
import math
import typing as t

WIDTH = {4: 32, 6: 64}
# What one host or network of hosts is at most given together, from the smallest on: networks announce no less than a
# /24; customers get a /56 or a /48 (RFC 6177, RIPE-690).
NEIGHBOURHOODS = {4: (24, 20), 6: (56, 44)}
# Bits that are free in a pool that a provider gives addresses from.
_POOL = {4: 12, 6: 20}


class Block(t.NamedTuple):
    version: int
    bits: int
    length: int

    @property
    def low(self) -> int:
        """The first source within."""
        return self.bits << (WIDTH[self.version] - self.length)

    @property
    def high(self) -> int:
        """The last source within."""
        return self.low + (1 << (WIDTH[self.version] - self.length)) - 1

    @property
    def size(self) -> int:
        """Return the number of addresses within."""
        return 1 << ((32 if self.version == 4 else 128) - self.length)

    def covers(self, source: int) -> bool:
        return self.low <= source <= self.high

    def __str__(self) -> str:
        if self.version == 4:
            return str(ipaddress.IPv4Network((self.low, self.length)))
        return str(ipaddress.IPv6Network((self.low << 64, self.length)))


def source_of(text: str) -> tuple[int, int]:
    """Return version and number of the source that an address is; raise ValueError."""
    found = ipaddress.ip_address(text)
    mapped = getattr(found, "ipv4_mapped", None)
    if mapped is not None:
        found = mapped
    return found.version, int(found) if found.version == 4 else int(found) >> 64


def address_of(version: int, source: int) -> str:
    """Return the first address of a source."""
    return str(ipaddress.IPv4Address(source) if version == 4 else ipaddress.IPv6Address(source << 64))


def block_of(text: str) -> Block:
    """Return the block of an address or prefix, of IPv6 no smaller than a /64; raise ValueError."""
    network = ipaddress.ip_network(text, strict=False)
    length = min(network.prefixlen, WIDTH[network.version])
    return Block(network.version, int(network.network_address) >> (network.max_prefixlen - length), length)


def around(version: int, source: int, length: int) -> Block:
    return Block(version, source >> (WIDTH[version] - length), length)


def single(version: int, source: int) -> Block:
    return Block(version, source, WIDTH[version])


class Inside:
    """Answers quickly which blocks of many a source is in."""

    def __init__(self, blocks: t.Iterable[Block]) -> None:
        self._known = set(blocks)
        self._lengths = {
            version: sorted({block.length for block in self._known if block.version == version}) for version in WIDTH
        }

    def find(self, version: int, source: int) -> Block | None:
        """Return the widest block that the source is in."""
        for length in self._lengths[version]:
            block = around(version, source, length)
            if block in self._known:
                return block
        return None


class Obstacles:
    """Sources that no prefix may let in."""

    def __init__(self, sources: t.Iterable[int]) -> None:
        self._sources = sorted(sources)

    def count(self, block: Block) -> int:
        return bisect.bisect_right(self._sources, block.high) - bisect.bisect_left(self._sources, block.low)

    def within(self, block: Block) -> bool:
        return self.count(block) > 0


def cover(version: int, sources: t.Sequence[int], obstacles: Obstacles, price: float) -> list[Block]:
    """Return the blocks that cover sources best, without an obstacle in them.

    Each block costs 1, and ``price`` times its size, which is 1 for a provider's usual pool (/20, in IPv6 /44): few
    blocks against little space. The least sum is found exactly, as only the common prefixes of neighbours can be in it.
    """
    ordered = sorted(set(sources))
    return _best(version, ordered, 0, len(ordered), obstacles, price)[1] if ordered else []


def _best(
    version: int, ordered: t.Sequence[int], start: int, end: int, obstacles: Obstacles, price: float
) -> tuple[float, list[Block]]:
    if end - start == 1:
        return 1.0, [single(version, ordered[start])]
    free = (ordered[start] ^ ordered[end - 1]).bit_length()
    whole = around(version, ordered[start], WIDTH[version] - free)
    middle = bisect.bisect_left(ordered, whole.low + (1 << (free - 1)), start, end)
    left = _best(version, ordered, start, middle, obstacles, price)
    right = _best(version, ordered, middle, end, obstacles, price)
    apart = left[0] + right[0]
    together = 1.0 + price * 2.0 ** (free - _POOL[version])
    if together < apart and not obstacles.within(whole):
        return together, [whole]
    return apart, left[1] + right[1]


def widened(block: Block, obstacles: Obstacles, lengths: t.Iterable[int]) -> Block:
    """Return the widest of the blocks with these lengths around a block that no obstacle is in, or the block."""
    best = block
    for length in sorted(lengths, reverse=True):
        if length < best.length:
            wider = around(block.version, block.low, length)
            if obstacles.within(wider):
                break
            best = wider
    return best


def reduction(blocks: t.Iterable[Block], version: int) -> float:
    """Return how many times smaller than all addresses the blocks are; infinite when there is none."""
    total = sum(block.size for block in blocks if block.version == version)
    return 2.0 ** (32 if version == 4 else 128) / total if total else math.inf
