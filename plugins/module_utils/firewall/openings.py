# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is opened for a while, in every table of ours that denies: a packet must get through all of them.

Such a table has the sets ``grants4`` and ``grants6`` of sources, protocols and ports, and accepts what is in them.
Just-in-time access fills them, in its own table and in those beside it, and the kernel empties them.
"""

from __future__ import annotations

import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils.firewall.nft import FAMILY, Nft

SETS = {4: "grants4", 6: "grants6"}
OURS = "bulwark_"
_ADDRESS = {4: "ipv4_addr", 6: "ipv6_addr"}
_SOURCE = {4: "ip saddr", 6: "ip6 saddr"}


def definitions() -> dict[str, str]:
    """Return the sets as ``trial.Rules`` takes them."""
    return {
        name: "type %s . inet_proto . inet_service; flags interval,timeout;" % _ADDRESS[version]
        for version, name in SETS.items()
    }


def rules(decision: str = "accept") -> list[str]:
    """Return the lines that decide about what is open."""
    keys = {version: "%s . meta l4proto . th dport" % source for version, source in _SOURCE.items()}
    return ["%s @%s %s" % (keys[version], name, decision) for version, name in SETS.items()]


def filled(table: str, elements: t.Mapping[int, t.Sequence[str]]) -> list[str]:
    """Return the lines that put elements, each as nft reads it, in the place of what is in the sets of a table."""
    lines = []
    for version, name in SETS.items():
        own = "%s %s %s" % (FAMILY, table, name)
        lines.append("flush set %s" % own)
        if elements.get(version):
            lines.append("add element %s { %s }" % (own, ", ".join(elements[version])))
    return lines


def emptied(tables: t.Iterable[str]) -> str:
    """Return the text that closes what is open in some tables."""
    return "".join("%s\n" % line for table in tables for line in filled(table, {}))


def beside(nft: Nft, table: str) -> list[str]:
    """Return the other tables of ours that have the sets. FirewallError."""
    found = {place for place, name in nft.sets() if name in SETS.values()}
    return sorted(name for name in found if name.startswith(OURS) and name != table)
