# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Decide what a firewall does with the first packet of a connection, as far as its rules tell, and by which rule.

A condition holds, does not hold, or can't be told (None): an interface, a rate, a mark. What follows from one that
can't be told is possible, and so is what comes after it. Pure functions; the rules come from ``nft_rules`` and
``iptables_rules``.
"""

from __future__ import annotations

import dataclasses
import functools
import ipaddress
import typing as t

Network = t.Union[ipaddress.IPv4Network, ipaddress.IPv6Network]
Truth = t.Optional[bool]

ACCEPT, DENY, END = "accept", "deny", "end"
# The packet gets another destination, and a verdict about the first destination does not count.
REDIRECT = "redirect"
# Deeper than the kernel lets chains call each other (NFT_JUMP_STACK_SIZE is 16).
_DEEPEST = 32


@dataclasses.dataclass(frozen=True)
class Packet:
    """The first packet of a connection.

    source: one address, or all of a prefix; ports: from and to, both included. destination: None for whatever address
    of this host. interface: by which it comes or goes, "" if that is not known. outgoing: whether this host sends it.
    """

    protocol: str
    ports: tuple[int, int]
    source: Network
    destination: Network | None = None
    interface: str = ""
    outgoing: bool = False

    @property
    def family(self) -> str:
        return "ipv%d" % self.source.version


class Step(t.NamedTuple):
    """A rule, for one packet. action: accept, deny, redirect, return, jump, goto, unknown; target: the chain of a jump.

    rule: for people, "" if nobody asks.
    """

    holds: Truth
    action: str
    target: str = ""
    rule: str = ""


# The rules of a chain for the packet, which is chosen already.
Steps = t.Callable[[str], t.Sequence[Step]]
# What can become of a packet, some of ACCEPT, DENY and REDIRECT, with the first rule that would do that; "" if no rule
# is known.
Decisions = t.Dict[str, str]


def possible(steps: Steps, chain: str, policy: str) -> frozenset[str]:
    """Return what can become of the packet in a base chain: ACCEPT, DENY, or both."""
    return frozenset(decisions(steps, chain, policy))


def decisions(steps: Steps, chain: str, policy: str) -> Decisions:
    """Return what can become of the packet in a base chain, each with its rule."""
    outcomes = dict(_walk(steps, chain, {}, 0))
    if END in outcomes:
        del outcomes[END]
        outcomes.setdefault(policy, "the policy of chain %s" % chain)
    return outcomes


def together(parts: t.Iterable[Decisions]) -> Decisions:
    """Return what can become of a packet that has to get through all of several chains."""
    joint: Decisions = {ACCEPT: ""}
    known = list(parts)
    for part in known:
        if REDIRECT in part:
            return part
    for part in known:
        if ACCEPT not in part:
            return part
        joint = {**part, **{outcome: rule for outcome, rule in joint.items() if rule or outcome not in part}}
    return joint


def _walk(steps: Steps, chain: str, known: dict[str, Decisions], depth: int) -> Decisions:
    if depth > _DEEPEST:
        return {ACCEPT: "", DENY: ""}
    if chain not in known:
        known[chain] = _chain(steps, chain, known, depth)
    return known[chain]


def _chain(steps: Steps, chain: str, known: dict[str, Decisions], depth: int) -> Decisions:
    reached: Decisions = {}
    for step in steps(chain):
        if step.holds is False:
            continue
        outcomes, final = _outcomes(step, steps, known, depth)
        reached = {**outcomes, **reached}
        if final and step.holds:
            return reached
    return {**reached, END: ""}


def _outcomes(step: Step, steps: Steps, known: dict[str, Decisions], depth: int) -> tuple[Decisions, bool]:
    """Return what a step leads to, and whether nothing after it is looked at when its conditions hold."""
    if step.action in (ACCEPT, DENY, REDIRECT):
        return {step.action: step.rule}, True
    if step.action == "return":
        return {END: ""}, True
    if step.action == "goto":
        return _walk(steps, step.target, known, depth + 1), True
    if step.action == "jump":
        outcomes = _walk(steps, step.target, known, depth + 1)
        return {outcome: rule for outcome, rule in outcomes.items() if outcome != END}, END not in outcomes
    return {ACCEPT: step.rule, DENY: step.rule}, False


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
    version, low, high = _bounds(first)
    if last is not None:
        high = _bounds(last)[2]
    if version != source.version:
        return False
    return covers((low, high), (int(source.network_address), int(source.broadcast_address)))


# A rule is held against many packets.
@functools.lru_cache(maxsize=65_536)
def _bounds(text: str) -> tuple[int, int, int]:
    """Return the version, the first and the last address of an address or prefix. ValueError if it is none."""
    network = ipaddress.ip_network(text, strict=False)
    return network.version, int(network.network_address), int(network.broadcast_address)


def is_interface(name: str, wanted: str | None, wildcard: str) -> Truth:
    """Return whether a packet goes by the interface of a rule. wildcard: what stands for the rest of a name.

    A packet whose interface is not known does not go by lo: it is for or from elsewhere.
    """
    if wanted == "lo":
        return name == "lo"
    if not name or wanted is None:
        return None
    return name.startswith(wanted[:-1]) if wanted.endswith(wildcard) else name == wanted


def covers(outer: tuple[int, int], inner: tuple[int, int]) -> Truth:
    """Return whether all numbers of one range are in the other; None where only some are."""
    if inner[1] < outer[0] or inner[0] > outer[1]:
        return False
    return True if outer[0] <= inner[0] and inner[1] <= outer[1] else None
