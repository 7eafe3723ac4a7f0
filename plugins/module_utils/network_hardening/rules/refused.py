# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read from the kernel which sources the network rules have denied or blocked."""

from __future__ import annotations

import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils.firewall import places
from ansible_collections.bulwark.servers.plugins.module_utils.firewall.nft import Element, Nft
from ansible_collections.bulwark.servers.plugins.module_utils.firewall.simulated import SimulatedPackets
from ansible_collections.bulwark.servers.plugins.module_utils.network_hardening.rules import decide, table
from ansible_collections.bulwark.servers.plugins.module_utils.network_hardening.rules.policy import Policy


class RefusedSource(t.NamedTuple):
    """A source on a port. first, last: in seconds since the epoch; first is None where it isn't remembered.

    simulated: whether all of its packets were sent by simulations.
    """

    source: str
    protocol: str
    port: int
    packets: int
    first: float | None
    last: float
    simulated: bool = False


class RefusedSources(t.NamedTuple):
    """Those with most packets come first. crowded: what packets got no place, by the set that was full."""

    denied: list[RefusedSource]
    blocked: list[RefusedSource]
    crowded: dict[str, places.Crowded]


def read_refused(nft: Nft, policy: Policy, now: float, simulated: SimulatedPackets | None = None) -> RefusedSources:
    """Return whom the kernel remembers, as far as the policy still does the same with them. FirewallError."""
    decision = decide.Decision(policy)
    found: dict[str, list[RefusedSource]] = {}
    crowded = {}
    there = {name for of_table, name in nft.sets() if of_table == table.NAME}
    for what, outcome in ((table.DENIED, decide.DENIED), (table.BLOCKED, decide.BLOCKED)):
        all_of_them = []
        for version in (4, 6):
            name = table.set_name(what, policy.mode, version)
            # A table of an earlier version has less.
            last = [one for each in {name, places.again(name)} & there for one in nft.elements(table.NAME, each)]
            first = nft.elements(table.NAME, table.set_name(what, policy.mode, version, first=True))
            all_of_them += join(places.joined(last), first, now, simulated)
            if places.crowded(name) in there:
                seen = places.read_crowded(nft, table.NAME, name, table.KEPT, now)
                crowded.update({name: seen} if seen else {})
        # A policy that was changed since may let them in.
        kept = [one for one in all_of_them if decision.of(one.source, one.protocol, one.port) == outcome]
        found[what] = sorted(kept, key=lambda one: (-one.packets, one.source, one.port))
    return RefusedSources(found[table.DENIED], found[table.BLOCKED], crowded)


def join(
    last: t.Iterable[Element],
    first: t.Iterable[Element],
    now: float,
    simulated: SimulatedPackets | None = None,
) -> list[RefusedSource]:
    """Return the sources of two sets: of those that came, by when they came last, and by when they came first."""
    since = {one.key: _when(one, now) for one in first}
    return [
        RefusedSource(
            one.key[0],
            one.key[1],
            int(one.key[2]),
            one.packets or 0,
            since.get(one.key),
            _when(one, now),
            simulated is not None and simulated.are_all_of(one),
        )
        for one in last
        if len(one.key) == 3 and one.key[2].isdigit()
    ]


def _when(element: Element, now: float) -> float:
    """Return when an element was made or renewed: its time runs from then on."""
    left = table.KEPT if element.left is None else element.left
    return min(now, now - table.KEPT + left)


def count_packets(nft: Nft, policy: Policy) -> tuple[int, int]:
    """Return how many packets were denied and blocked since the rules are there, remembered or not. FirewallError."""
    denied, blocked = 0, 0
    for hook in table.rules(policy).chains:
        for rule in nft.rules(table.NAME, "confirmed_%s" % hook):
            packets = sum(one["counter"]["packets"] for one in rule.get("expr", ()) if _is_counter(one))
            matches = any(_is_prefix(one) for one in rule.get("expr", ()))
            # Only rules about who is blocked count packets from prefixes of the policy.
            denied += 0 if matches else packets
            blocked += packets if matches else 0
    return denied, blocked


def _is_prefix(expression: t.Any) -> bool:
    match = expression.get("match", {}) if isinstance(expression, dict) else {}
    left = match.get("left", {})
    return isinstance(left, dict) and left.get("payload", {}).get("field") == "saddr"


def _is_counter(expression: t.Any) -> bool:
    return isinstance(expression, dict) and isinstance(expression.get("counter"), dict)
