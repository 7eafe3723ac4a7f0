# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Decide what a firewall does with the first packet of a connection, as far as its rules tell.

A condition holds, does not hold, or can't be told (None): an interface, a rate, a mark. What follows from one that
can't be told is possible, and so is what comes after it. Pure functions; the rules come from ``nft_rules`` and
``iptables_rules``.
"""

from __future__ import annotations

import dataclasses
import ipaddress
import typing as t

Network = t.Union[ipaddress.IPv4Network, ipaddress.IPv6Network]
Truth = t.Optional[bool]

ACCEPT, DENY, END = "accept", "deny", "end"
# Deeper than the kernel lets chains call each other (NFT_JUMP_STACK_SIZE is 16).
_DEEPEST = 32


@dataclasses.dataclass(frozen=True)
class Packet:
    """The first packet of a connection. source: one address, or all of a prefix; ports: from and to, both included."""

    protocol: str
    ports: tuple[int, int]
    source: Network

    @property
    def family(self) -> str:
        return "ipv%d" % self.source.version


@dataclasses.dataclass(frozen=True)
class Step:
    """A rule, for one packet. action: accept, deny, return, jump, goto, unknown; target: the chain of a jump."""

    holds: Truth
    action: str
    target: str = ""


# The rules of a chain for the packet, which is chosen already.
Steps = t.Callable[[str], t.Sequence[Step]]


def possible(steps: Steps, chain: str, policy: str) -> frozenset[str]:
    """Return what can become of the packet in a base chain: ACCEPT, DENY, or both."""
    found = _walk(steps, chain, {}, 0)
    return frozenset(policy if outcome == END else outcome for outcome in found)


def _walk(steps: Steps, chain: str, known: dict[str, frozenset[str]], depth: int) -> frozenset[str]:
    if depth > _DEEPEST:
        return frozenset((ACCEPT, DENY))
    if chain not in known:
        known[chain] = _chain(steps, chain, known, depth)
    return known[chain]


def _chain(steps: Steps, chain: str, known: dict[str, frozenset[str]], depth: int) -> frozenset[str]:
    found: set[str] = set()
    for step in steps(chain):
        if step.holds is False:
            continue
        outcomes, final = _outcomes(step, steps, known, depth)
        found |= outcomes
        if final and step.holds:
            return frozenset(found)
    return frozenset((*found, END))


def _outcomes(
    step: Step, steps: Steps, known: dict[str, frozenset[str]], depth: int
) -> tuple[t.AbstractSet[str], bool]:
    """Return what a step leads to, and whether nothing after it is looked at when its conditions hold."""
    if step.action in (ACCEPT, DENY):
        return {step.action}, True
    if step.action == "return":
        return {END}, True
    if step.action == "goto":
        return _walk(steps, step.target, known, depth + 1), True
    if step.action == "jump":
        outcomes = _walk(steps, step.target, known, depth + 1)
        return outcomes - {END}, END not in outcomes
    return {ACCEPT, DENY}, False


def every(parts: t.Iterable[Truth]) -> Truth:
    """Return whether all conditions hold."""
    found = list(parts)
    if any(part is False for part in found):
        return False
    return None if any(part is None for part in found) else True


def some(parts: t.Iterable[Truth]) -> Truth:
    """Return whether at least one condition holds."""
    inverse = every(opposite(part) for part in parts)
    return opposite(inverse)


def opposite(part: Truth) -> Truth:
    return None if part is None else not part


def within(source: Network, first: str, last: str | None = None) -> Truth:
    """Return whether a source is within a prefix, or between two addresses; None where only a part of it is."""
    if last is None:
        other = ipaddress.ip_network(first, strict=False)
        if other.version != source.version:
            return False
        low, high = int(other.network_address), int(other.broadcast_address)
    else:
        low, high = int(ipaddress.ip_address(first)), int(ipaddress.ip_address(last))
        if ipaddress.ip_address(first).version != source.version:
            return False
    return covers((low, high), (int(source.network_address), int(source.broadcast_address)))


def covers(outer: tuple[int, int], inner: tuple[int, int]) -> Truth:
    """Return whether all numbers of one range are in the other; None where only some are."""
    if inner[1] < outer[0] or inner[0] > outer[1]:
        return False
    return True if outer[0] <= inner[0] and inner[1] <= outer[1] else None
