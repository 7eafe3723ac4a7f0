# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the kernel has, held against what it is to have."""

from __future__ import annotations

import dataclasses
import ipaddress
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils.firewall.nft import Element, FirewallError, Nft
from ansible_collections.bulwark.servers.plugins.module_utils.firewall.own import OwnTable
from ansible_collections.bulwark.servers.plugins.module_utils.firewall.trial import InForce
from ansible_collections.bulwark.servers.plugins.module_utils.jit import table
from ansible_collections.bulwark.servers.plugins.module_utils.jit.grants import rectangles
from ansible_collections.bulwark.servers.plugins.module_utils.jit.policy import Policy
from ansible_collections.bulwark.servers.plugins.module_utils.jit.rectangles import Rectangle, TooManyError, disjoint
from ansible_collections.bulwark.servers.plugins.module_utils.jit.state import MOST_ELEMENTS, Book

# Seconds by which the times of the kernel and of the state may differ: nft tells whole ones.
_SLACK = 3.0
_FOREVER = float("inf")


@dataclasses.dataclass(frozen=True)
class Kernel:
    """The kernel's side. force: None without a table. problem: how the rules differ, None where they don't.

    unsure: why the rules could only be compared by their mark. unknown: something is open that nobody was granted.
    missing: something that was granted is closed.
    """

    force: InForce | None
    problem: str | None = None
    unsure: str | None = None
    unknown: bool = False
    missing: bool = False

    @property
    def right(self) -> bool:
        return self.problem is None and not self.unknown and not self.missing


def compare(nft: Nft, policy: Policy, book: Book, now: float) -> Kernel:
    """Return how the kernel stands to a policy and the grants. now: in seconds since boot. FirewallError."""
    seen = OwnTable(nft, table.NAME).compare(table.rules(policy))
    if seen.force is None:
        return Kernel(None, seen.problem, missing=bool(book.open))
    try:
        unknown, missing = _openings(nft, book, now)
    except FirewallError:
        # A table without the sets is none of ours.
        return Kernel(seen.force, seen.problem or "the sets of the policy can't be read", seen.unsure)
    return Kernel(seen.force, seen.problem, seen.unsure, unknown, missing)


def _openings(nft: Nft, book: Book, now: float) -> tuple[bool, bool]:
    """Return whether the kernel has more open than was granted, and whether it has less."""
    found = [one for version in (4, 6) for one in opened(nft.elements(table.NAME, table.GRANTS[version]), now)]
    wanted = disjoint(rectangles(book.open), MOST_ELEMENTS)
    # What ends in this moment may be gone in the one and not yet in the other.
    lasting = [one for one in wanted if one.end > now + _SLACK]
    early, late = _moved(found, -_SLACK), _moved(found, _SLACK)
    try:
        unknown = _united([*wanted, *(one for one in early if one.end > now)]) != wanted
        return unknown, _united([*lasting, *late]) != _united(late)
    except TooManyError:
        return True, False


def _moved(found: t.Sequence[Rectangle], seconds: float) -> list[Rectangle]:
    return [dataclasses.replace(one, end=one.end + seconds) for one in found]


def _united(found: t.Sequence[Rectangle]) -> list[Rectangle]:
    return disjoint(found, 4 * MOST_ELEMENTS)


def opened(elements: t.Sequence[Element], now: float) -> list[Rectangle]:
    """Return what the elements of a set of grants open; until for ever where one has no time."""
    found = []
    for element in elements:
        if len(element.key) != 3:
            continue
        source, protocol, ports = element.key
        version, first, last = _addresses(source)
        low, _dash, high = ports.partition("-")
        end = _FOREVER if element.left is None else now + element.left
        found.append(Rectangle(version, protocol, int(low), int(high or low), first, last, end))
    return found


def _addresses(text: str) -> tuple[int, int, int]:
    first, dash, last = text.partition("-")
    if dash:
        low, high = ipaddress.ip_address(first), ipaddress.ip_address(last)
        return low.version, int(low), int(high)
    network = ipaddress.ip_network(text, strict=False)
    return network.version, int(network.network_address), int(network.broadcast_address)
