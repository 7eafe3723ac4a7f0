# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the kernel has, held against what it is to have."""

from __future__ import annotations

import dataclasses
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils.firewall.nft import FirewallError
from ansible_collections.bulwark.servers.plugins.module_utils.firewall.trial import InForce
from ansible_collections.bulwark.servers.plugins.module_utils.jit.grants import rectangles
from ansible_collections.bulwark.servers.plugins.module_utils.jit.nftables import Nftables
from ansible_collections.bulwark.servers.plugins.module_utils.jit.policy import Policy
from ansible_collections.bulwark.servers.plugins.module_utils.jit.rectangles import Rectangle, TooManyError, disjoint
from ansible_collections.bulwark.servers.plugins.module_utils.jit.state import MOST_ELEMENTS, Book

# Seconds by which the times of the kernel and of the state may differ: whole ones are told.
_SLACK = 3.0

# A policy as the state has it, with what is noted beside it.
Proposed = t.Optional[t.Tuple[Policy, t.Mapping[str, t.Any]]]


@dataclasses.dataclass(frozen=True)
class Kernel:
    """The kernel's side. force: None where it has nothing of ours. problem: how the rules differ, None without.

    unsure: why the rules could only be compared by their mark. unknown: something is open that nobody was granted.
    missing: something that was granted is closed. uncut: connections are to end with their window, and others do.
    """

    force: InForce | None
    problem: str | None = None
    unsure: str | None = None
    unknown: bool = False
    missing: bool = False
    uncut: bool = False

    @property
    def right(self) -> bool:
        return self.problem is None and not self.unknown and not self.missing and not self.uncut


def compare(packets: Nftables, policy: Policy, book: Book, now: float, proposed: Proposed = None) -> Kernel:
    """Return how the kernel stands to a policy and the grants. now: in seconds since boot. FirewallError.

    proposed: what the state has noted of a trial.
    """
    token = proposed[1].get("token") if proposed else None
    seen = packets.compare(policy, (proposed[0], str(token)) if proposed and token else None)
    if seen.force is None:
        return Kernel(None, seen.problem, missing=bool(book.open))
    try:
        unknown, missing = _openings(packets, book, now)
        uncut = _ended(packets.cut()) != _ended(book.cut)
    except FirewallError:
        # Rules without the sets are none of ours.
        return Kernel(seen.force, seen.problem or "the sets of the policy can't be read", seen.unsure)
    return Kernel(seen.force, seen.problem, seen.unsure, unknown, missing, uncut)


def _ended(found: t.Sequence[Rectangle]) -> list[Rectangle]:
    return _united([dataclasses.replace(one, end=0.0) for one in found])


def _openings(packets: Nftables, book: Book, now: float) -> tuple[bool, bool]:
    """Return whether the kernel has more open than was granted, and whether it has less."""
    found = packets.opened(now)
    wanted = disjoint(rectangles(book.open), MOST_ELEMENTS)
    # What ends in this moment may be gone in the one and not yet in the other.
    lasting = [one for one in wanted if one.end > now + _SLACK]
    late = _moved(found, _SLACK)
    try:
        return beyond(found, wanted, now), _united([*lasting, *late]) != _united(late)
    except TooManyError:
        return True, False


def beyond(found: t.Sequence[Rectangle], wanted: t.Sequence[Rectangle], now: float) -> bool:
    """Return whether more is open than is to be, or for longer. wanted: disjoint. now: in seconds since boot."""
    early = _moved(found, -_SLACK)
    try:
        return _united([*wanted, *(one for one in early if one.end > now)]) != list(wanted)
    except TooManyError:
        return True


def _moved(found: t.Sequence[Rectangle], seconds: float) -> list[Rectangle]:
    return [dataclasses.replace(one, end=one.end + seconds) for one in found]


def _united(found: t.Sequence[Rectangle]) -> list[Rectangle]:
    return disjoint(found, 4 * MOST_ELEMENTS)
