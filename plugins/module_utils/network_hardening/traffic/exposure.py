# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Find out whether the firewalls of a host let everybody in to a port."""

from __future__ import annotations

import ipaddress
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils.firewall import nft_rules, openings, others, verdict
from ansible_collections.bulwark.servers.plugins.module_utils.firewall.nft import FAMILY, FirewallError, Nft
from ansible_collections.bulwark.servers.plugins.module_utils.network_hardening.traffic import rules
from ansible_collections.bulwark.servers.plugins.module_utils.network_hardening.traffic.sockets import Listener

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

Possible = t.Callable[[verdict.Packet], t.FrozenSet[str]]


class World:
    """The firewalls of the host, asked about one port after the other. problem: why nothing can be said."""

    def __init__(self, tables: t.Sequence[Possible], problem: str | None = None) -> None:
        self._tables = tables
        self.problem = problem
        self._known: dict[tuple[int, str, int], str] = {}

    def reach(self, listener: Listener) -> str:
        """Return OPEN, LIMITED or UNKNOWN; LOCAL where only this host itself gets to it."""
        address = ipaddress.ip_address(listener.address)
        if address.is_loopback:
            return LOCAL
        # What is bound to :: takes connections of IPv4, too, where it doesn't say otherwise.
        versions = (4, 6) if address.version == 6 and address.is_unspecified else (address.version,)
        found = {self._version(listener.port, listener.protocol, version) for version in versions}
        return next((outcome for outcome in (OPEN, UNKNOWN) if outcome in found), LIMITED)

    def _version(self, port: int, protocol: str, version: int) -> str:
        if self.problem is not None:
            return UNKNOWN
        key = (port, protocol, version)
        if key not in self._known:
            packets = [verdict.Packet(protocol, (port, port), ipaddress.ip_network(text)) for text in _ANYBODY[version]]
            found = {_outcome(self._tables, packet) for packet in packets}
            self._known[key] = OPEN if OPEN in found else LIMITED if found == {LIMITED} else UNKNOWN
        return self._known[key]


def _outcome(tables: t.Sequence[Possible], packet: verdict.Packet) -> str:
    outcomes = [table(packet) for table in tables]
    if any(outcome == {verdict.DENY} for outcome in outcomes):
        return LIMITED
    return UNKNOWN if any(verdict.DENY in outcome for outcome in outcomes) else OPEN


def look(nft: Nft) -> World:
    """Return the firewalls of this host."""
    try:
        tables: list[Possible] = [other.possible for other in others.find(nft)]
        for family, name in nft.tables():
            if family == FAMILY and name.startswith(openings.OURS) and name != rules.NAME:
                objects = nft.whole_table(name)
                # Those that deny decide before a port is given another destination.
                for hook in ("prerouting", "input"):
                    tables += [table.possible for table in nft_rules.tables(objects, True, hook)]
    except FirewallError as error:
        return World((), str(error))
    return World(tables)
