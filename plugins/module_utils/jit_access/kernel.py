# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Compare what is open in the kernel with the policy and the grants, and fill its sets."""

from __future__ import annotations

import dataclasses
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils._argspec import HostError
from ansible_collections.bulwark.servers.plugins.module_utils.firewall.nft import FirewallError
from ansible_collections.bulwark.servers.plugins.module_utils.firewall.own import Comparison
from ansible_collections.bulwark.servers.plugins.module_utils.firewall.rectangles import (
    MOST_ELEMENTS,
    Rectangle,
    TooManyError,
    covers,
    disjoint,
    exceeds,
    united,
)
from ansible_collections.bulwark.servers.plugins.module_utils.firewall.trial import InForce
from ansible_collections.bulwark.servers.plugins.module_utils.jit_access.clock import Now
from ansible_collections.bulwark.servers.plugins.module_utils.jit_access.grants import Grant, rectangles
from ansible_collections.bulwark.servers.plugins.module_utils.jit_access.nftables import Nftables
from ansible_collections.bulwark.servers.plugins.module_utils.jit_access.state import Book

# Of what is open, so much is compared piece by piece.
_MOST_NAMED = 1000


@dataclasses.dataclass(frozen=True)
class Kernel:
    """The kernel's side. force: None where it has nothing of ours. problem: how the rules differ, None without.

    unsure: why the rules could only be compared by their mark. unknown: what is open that nobody was granted, or longer
    than that. missing: something that was granted is closed. uncut: connections are to end with their
    window, and others do. opened: what is open, None where that is not known.
    """

    force: InForce | None
    problem: str | None = None
    unsure: str | None = None
    unknown: tuple[Rectangle, ...] = ()
    missing: bool = False
    uncut: bool = False
    opened: tuple[Rectangle, ...] | None = None

    @property
    def right(self) -> bool:
        return self.problem is None and not self.unknown and not self.missing and not self.uncut

    def has(self, one: Grant, now: float) -> bool | None:
        """Say whether everything of a grant is open; None where that is not known. now: in seconds since boot."""
        return None if self.opened is None else covers(self.opened, list(rectangles([one])), now)


def compare(packets: Nftables, seen: Comparison, book: Book, now: float) -> Kernel:
    """Return how the kernel stands to the grants. now: in seconds since boot. FirewallError.

    seen: how its rules stand to the policy.
    """
    if seen.force is None:
        return Kernel(None, seen.problem, missing=bool(book.lasting), opened=())
    try:
        found = tuple(packets.opened(now))
        uncut = _ended(packets.cut()) != _ended(book.cut)
    except FirewallError:
        # Rules without the sets are none of ours.
        return Kernel(seen.force, seen.problem or "the sets of the policy can't be read", seen.unsure)
    wanted = disjoint(rectangles(book.open), MOST_ELEMENTS)
    unknown = _beyond(found, wanted, now)
    missing = covers(found, list(rectangles(book.lasting)), now) is False
    return Kernel(seen.force, seen.problem, seen.unsure, unknown, missing, uncut, found)


def _ended(found: t.Sequence[Rectangle]) -> list[Rectangle]:
    return united([dataclasses.replace(one, end=0.0) for one in found])


def _beyond(found: t.Sequence[Rectangle], wanted: t.Sequence[Rectangle], now: float) -> tuple[Rectangle, ...]:
    """Return what is open and is not to be, or for longer; of very much that is open some that it is among."""
    if not exceeds(found, wanted, now):
        return ()
    few = found[:_MOST_NAMED]
    named = tuple(one for one in few if exceeds([one], [other for other in wanted if _meet(one, other)], now))
    return named or tuple(few)


def _meet(one: Rectangle, other: Rectangle) -> bool:
    return (
        (one.version, one.protocol) == (other.version, other.protocol)
        and one.first_port <= other.last_port
        and other.first_port <= one.last_port
        and one.first <= other.last
        and other.first <= one.last
    )


def fill(packets: Nftables, book: Book, now: Now) -> None:
    """Open what the book has open, each grant for the time that is left of it. FirewallError."""
    packets.put(openings_text(packets, book, now))


def openings_text(packets: Nftables, book: Book, now: Now) -> str:
    """Return the text that ``fill`` applies; raise HostError when grants overlap in too many ways."""
    try:
        return packets.openings(list(rectangles(book.lasting)), book.cut, now.since_boot)
    except TooManyError as error:
        raise HostError(str(error)) from error


def holds(packets: Nftables, book: Book, now: float) -> bool:
    """Say whether the kernel has open what the book has, and no more. now: in seconds since boot. FirewallError."""
    found = packets.opened(now)
    wanted = disjoint(rectangles(book.lasting), MOST_ELEMENTS)
    return not exceeds(found, wanted, now) and covers(found, wanted, now) is not False
