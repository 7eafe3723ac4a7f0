# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rectangles of sources and ports, cut so that none overlaps another: the kernel's sets take no others.

A set of the kernel with several dimensions refuses an element that overlaps one it has (EEXIST), so that two grants,
one for a network and one for a host in it, become elements side by side, each open as long as the longest grant that
covers it.
"""

from __future__ import annotations

import dataclasses
import heapq
import typing as t

# Elements that a set of the kernel may have.
MOST_ELEMENTS = 16384
# Seconds by which the times of the kernel and of a state file may differ, as both cut off fractions.
_SLACK = 3.0


class TooManyError(ValueError):
    """Grants overlap in so many ways that the kernel's set would become too large."""


@dataclasses.dataclass(frozen=True, order=True)
class Rectangle:
    """Addresses and ports of one protocol that are open until ``end``; all bounds are included.

    version: of IP, 4 or 6. addresses: as numbers. end: in seconds of the clock that the caller uses.
    """

    version: int
    protocol: str
    first_port: int
    last_port: int
    first: int
    last: int
    end: float


def disjoint(rectangles: t.Iterable[Rectangle], most: int) -> list[Rectangle]:
    """Return rectangles that cover the same, do not overlap, and end as late as the longest one there.

    Raises TooManyError when there are more than ``most``.
    """
    groups: dict[tuple[int, str], list[Rectangle]] = {}
    for rectangle in rectangles:
        groups.setdefault((rectangle.version, rectangle.protocol), []).append(rectangle)
    found: list[Rectangle] = []
    for key in sorted(groups):
        _sweep_ports(groups[key], found, most)
    return sorted(found)


def covered(rectangles: t.Sequence[Rectangle], most: int) -> list[Rectangle]:
    """Return at most so many rectangles that cover these and do not overlap; each ends with the last of all.

    They cover no more than these as long as that is possible. Then each source gets the ports of all, and after that
    sources that lie close together become one range. There must be room for each range of ports of each protocol.
    """
    if not rectangles:
        return []
    end = max(one.end for one in rectangles)
    flat = [dataclasses.replace(one, end=end) for one in rectangles]
    try:
        return disjoint(flat, most)
    except TooManyError:
        pass
    groups: dict[tuple[int, str], list[Rectangle]] = {}
    for rectangle in flat:
        groups.setdefault((rectangle.version, rectangle.protocol), []).append(rectangle)
    found = []
    for (version, protocol), group in groups.items():
        ports = _ranges([(one.first_port, one.last_port) for one in group], most)
        sources = _ranges([(one.first, one.last) for one in group], max(1, most // len(groups) // len(ports)))
        found += [Rectangle(version, protocol, *range_, *source, end) for range_ in ports for source in sources]
    return sorted(found)


def covers(found: t.Sequence[Rectangle], wanted: t.Sequence[Rectangle], now: float) -> bool | None:
    """Say whether everything wanted is open for as long; None where there are too many ways to tell."""
    # What ends about now may be gone in the one and not yet in the other.
    lasting = [one for one in wanted if one.end > now + _SLACK]
    late = _moved(found, _SLACK)
    try:
        return united([*lasting, *late]) == united(late)
    except TooManyError:
        return None


def exceeds(found: t.Sequence[Rectangle], wanted: t.Sequence[Rectangle], now: float) -> bool:
    """Say whether more is open than wanted, or for longer. wanted: disjoint. now: of the clock of the ends."""
    early = _moved(found, -_SLACK)
    try:
        return united([*wanted, *(one for one in early if one.end > now)]) != list(wanted)
    except TooManyError:
        return True


def united(found: t.Sequence[Rectangle]) -> list[Rectangle]:
    """Return the same in the one form that can be compared. Raises TooManyError."""
    return disjoint(found, 4 * MOST_ELEMENTS)


def _moved(found: t.Sequence[Rectangle], seconds: float) -> list[Rectangle]:
    return [dataclasses.replace(one, end=one.end + seconds) for one in found]


def _ranges(pairs: t.Iterable[tuple[int, int]], most: int) -> list[tuple[int, int]]:
    """Return at most so many ranges that cover others, with what lies in the smallest gaps between them."""
    merged: list[tuple[int, int]] = []
    for first, last in sorted(pairs):
        if merged and first <= merged[-1][1] + 1:
            merged[-1] = (merged[-1][0], max(merged[-1][1], last))
        else:
            merged.append((first, last))
    gaps = sorted(range(1, len(merged)), key=lambda number: merged[number][0] - merged[number - 1][1])
    closed = set(gaps[: max(0, len(merged) - most)])
    found: list[tuple[int, int]] = []
    for number, (first, last) in enumerate(merged):
        if number in closed:
            found[-1] = (found[-1][0], last)
        else:
            found.append((first, last))
    return found


def _sweep_ports(group: t.Sequence[Rectangle], found: list[Rectangle], most: int) -> None:
    """Go through the ports from one bound to the next; a piece that goes on as it was becomes no new one."""
    version, protocol = group[0].version, group[0].protocol
    starts = sorted(group, key=lambda one: one.first_port)
    bounds = sorted({one.first_port for one in group} | {one.last_port + 1 for one in group})
    active: list[Rectangle] = []
    position = 0
    # Pieces that reach the port before, with the port that they begin at.
    growing: dict[tuple[int, int, float], int] = {}
    for port in bounds:
        active = [one for one in active if one.last_port >= port]
        while position < len(starts) and starts[position].first_port == port:
            active.append(starts[position])
            position += 1
        pieces = _sweep_addresses(active)
        grown = {piece: growing.pop(piece, port) for piece in pieces}
        found += [
            Rectangle(version, protocol, first_port, port - 1, first, last, end)
            for (first, last, end), first_port in growing.items()
        ]
        growing = grown
        if len(found) + len(growing) > most:
            raise TooManyError(
                "the open grants overlap in more than %d ways; close some, or ask for the same ports and prefixes"
                % most
            )


def _sweep_addresses(active: t.Sequence[Rectangle]) -> list[tuple[int, int, float]]:
    """Return pieces of the addresses, each with the latest end of those that cover it; equal neighbours are one."""
    starts = sorted(active, key=lambda one: one.first)
    bounds = sorted({one.first for one in active} | {one.last + 1 for one in active})
    covering: list[tuple[float, int]] = []
    position = 0
    pieces: list[tuple[int, int, float]] = []
    for address, following in zip(bounds, bounds[1:]):
        while position < len(starts) and starts[position].first == address:
            heapq.heappush(covering, (-starts[position].end, starts[position].last))
            position += 1
        while covering and covering[0][1] < address:
            heapq.heappop(covering)
        if not covering:
            continue
        end = -covering[0][0]
        if pieces and pieces[-1][1] == address - 1 and pieces[-1][2] == end:
            pieces[-1] = (pieces[-1][0], following - 1, end)
        else:
            pieces.append((address, following - 1, end))
    return pieces
