# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Find out whether all firewalls of a host let a connection pass, and whether they let everybody in to a port."""

from __future__ import annotations

import contextlib
import ipaddress
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils.firewall import (
    netlink,
    nft_rules,
    openings,
    others,
    verdict,
)
from ansible_collections.bulwark.servers.plugins.module_utils.firewall.nft import FAMILY, FirewallError, Nft, Objects

OPEN, LIMITED, UNKNOWN, LOCAL = "open", "limited", "unknown", "local"
# Addresses of very different networks, none of which anybody allows for itself: who lets one of them in lets in most.
_ANYBODY = {
    4: (
        "5.188.7.91",
        "24.60.3.117",
        "45.33.2.129",
        "61.135.4.50",
        "88.99.10.20",
        "103.21.5.9",
        "151.80.6.7",
        "200.160.2.3",
    ),
    6: ("2001:41d0:3:7::9", "2400:8901::21", "2600:1f18:4::11", "2804:14c:5::15", "2a01:4f8:6::13", "2c0f:f248:7::17"),
}
# Hooks before those that HOOKS names, whose rules are not evaluated.
_UNREAD_HOOKS = ("ingress", "egress")


class Judgement(t.NamedTuple):
    """The fate of a packet, or the sources that reach a port. rule, firewall: for people, "" if there is none.

    outcome: OPEN, LIMITED, UNKNOWN or LOCAL; for one packet OPEN means that it passes, LIMITED that it does not.
    """

    outcome: str
    rule: str = ""
    firewall: str = ""


class World:
    """The firewalls of the host, asked about one port after the other. problem: why nothing can be said."""

    def __init__(self, tables: t.Sequence[others.Other], problem: str | None = None) -> None:
        self._tables = tables
        self.problem = problem
        self._known: dict[tuple[str, int, str], Judgement] = {}
        self._judged: dict[verdict.Packet, Judgement] = {}

    def judge(self, packet: verdict.Packet) -> Judgement:
        """Return what becomes of the first packet of a connection."""
        if self.problem is not None:
            return Judgement(UNKNOWN)
        if packet not in self._judged:
            self._judged[packet] = self._judge(packet)
        return self._judged[packet]

    def _judge(self, packet: verdict.Packet) -> Judgement:
        decided = [(table.name, table.decide(packet)) for table in self._tables]
        for name, decisions in decided:
            if verdict.REDIRECT in decisions:
                return Judgement(UNKNOWN, decisions[verdict.REDIRECT], name)
        for name, decisions in decided:
            if verdict.ACCEPT not in decisions:
                return Judgement(LIMITED, decisions[verdict.DENY], name)
        for name, decisions in decided:
            if verdict.DENY in decisions:
                return Judgement(UNKNOWN, decisions[verdict.DENY], name)
        # The rule of a table says more than the policy of one before it.
        explicit = [(rule, name) for name, each in decided for rule in (each[verdict.ACCEPT],) if rule]
        rule, name = min(explicit, key=lambda pair: pair[0].startswith("the policy")) if explicit else ("", "")
        return Judgement(OPEN, rule, name)

    def reach(self, address: str, port: int, protocol: str) -> Judgement:
        """Return who reaches a listener: OPEN for everybody, LOCAL where only this host itself gets to it."""
        bound = ipaddress.ip_address(address)
        if bound.is_loopback:
            return Judgement(LOCAL)
        key = (address, port, protocol)
        if key not in self._known:
            # What is bound to :: takes connections of IPv4, too, where it doesn't say otherwise.
            versions = (4, 6) if bound.version == 6 and bound.is_unspecified else (bound.version,)
            own = None if bound.is_unspecified else ipaddress.ip_network(address)
            judgements = [self._from_anybody(version, port, protocol, own) for version in versions]
            self._known[key] = _widest(judgements)
        return self._known[key]

    def _from_anybody(self, version: int, port: int, protocol: str, own: verdict.Network | None) -> Judgement:
        sources = [ipaddress.ip_network(text) for text in _ANYBODY[version]]
        return _widest([self.judge(verdict.Packet(protocol, (port, port), source, own)) for source in sources])


def _widest(judgements: t.Sequence[Judgement]) -> Judgement:
    return min(judgements, key=lambda each: (OPEN, UNKNOWN, LIMITED).index(each.outcome))


def look(nft: Nft) -> World:
    """Return the firewalls of this host for what comes in, ours among them."""
    try:
        return World([*others.find(nft), *_ours(nft, ("prerouting", "input"), {})])
    except FirewallError as error:
        return World((), str(error))


def look_both_ways(nft: Nft) -> World:
    """Return the firewalls of this host for what comes in and goes out, with the names of their rules.

    A host without tables needs no nft.
    """
    try:
        with contextlib.suppress(FirewallError):
            if not netlink.has_tables():
                nft = _NoTables()
        texts = nft.rule_texts()
        tables = others.find(nft, None, nft_rules.HOOKS, texts)
        return World([*tables, *_ours(nft, nft_rules.HOOKS, texts), *_unread(nft)])
    except FirewallError as error:
        return World((), str(error))


def _ours(nft: Nft, hooks: t.Sequence[str], texts: nft_rules.Texts) -> list[others.Other]:
    """Return our own tables. Those that deny decide before a port is given another destination."""
    ours = []
    for family, name in nft.tables():
        if family == FAMILY and name.startswith(openings.OURS) and name != others.RECORDER:
            tables = nft_rules.tables(nft.whole_table(name), True, hooks, texts)
            ours += [others.Other("bulwark", "bulwark.servers (table inet %s)" % name, each.decide) for each in tables]
    return ours


def _unread(nft: Nft) -> list[others.Other]:
    """Return what looks at packets at hooks that are not evaluated, and may do anything with them."""
    chains = [entry["chain"] for entry in nft.ruleset() if "chain" in entry]
    named = {
        "nftables (table %s %s)" % (chain.get("family"), chain.get("table"))
        for chain in chains
        if chain.get("hook") in _UNREAD_HOOKS and chain.get("type") == "filter"
    }
    return [others.Other("nftables", name, others.anything) for name in sorted(named)]


class _NoTables(Nft):
    """Stands for nft where the kernel has no tables, so that nothing needs to be started."""

    def tables(self) -> list[tuple[str, str]]:
        return []

    def ruleset(self, elements: bool = False, but: str = "") -> Objects:
        return []

    def rule_texts(self) -> dict[tuple[str, str, int], str]:
        return {}
