# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Recommend sources for blocking on all ports of a host."""

from __future__ import annotations

import ipaddress
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils.firewall import words
from ansible_collections.bulwark.servers.plugins.plugin_utils.network_hardening import judge, prefixes


class Block(t.NamedTuple):
    """A source that is recommended for blocking. ports: on which it was seen."""

    prefix: str
    connections: int
    ports: list[str]
    why: str


def blocked(result: t.Mapping[str, t.Any]) -> list[Block]:
    """Return the sources that scanned, guessed or are known as bad, and are let in nowhere; the busiest first."""
    rows: dict[prefixes.Block, list[tuple[str, t.Mapping[str, t.Any]]]] = {}
    welcome = set()
    for port in result["ports"]:
        for row in port["sources"]:
            block = prefixes.single(*prefixes.source_of(row["address"]))
            if row["decision"] == "in" or row["verdict"] in (judge.TRUSTED, judge.LEGITIMATE):
                welcome.add(block)
            elif row["verdict"] == judge.HOSTILE and not _is_nobodys(row["address"]):
                rows.setdefault(block, []).append((f"{port['port']}/{port['protocol']}", row))
    found = [
        Block(
            words.name(ipaddress.ip_network(str(block))),
            sum(row["connections"] for _port, row in seen),
            list(dict.fromkeys(port for port, _row in seen)),
            "; ".join(dict.fromkeys(text for _port, row in seen for text in row["why"][:2])),
        )
        for block, seen in rows.items()
        if block not in welcome
    ]
    return sorted(found, key=lambda one: (-one.connections, one.prefix))


def _is_nobodys(address: str) -> bool:
    found = ipaddress.ip_address(address)
    return found.is_loopback or found.is_link_local or found.is_multicast or found.is_unspecified
