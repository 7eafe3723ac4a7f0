# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is opened for a while, in every table of ours that denies: a packet must get through all of them.

Such a table has the sets ``grants4`` and ``grants6`` of sources, protocols and ports, and accepts what is in them.
Just-in-time access fills them, in its own table and in those beside it, and the kernel empties them.
"""

from __future__ import annotations

import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils.firewall.nft import FAMILY, Element, Nft

SETS = {4: "grants4", 6: "grants6"}
OURS = "bulwark_"
_ADDRESS = {4: "ipv4_addr", 6: "ipv6_addr"}
_SOURCE = {4: "ip saddr", 6: "ip6 saddr"}
# Seconds by which two sets that were filled one after the other may differ: nft tells whole ones.
_SLACK = 3

Key = t.Tuple[str, ...]


def definitions() -> dict[str, str]:
    """Return the sets as ``trial.Rules`` takes them."""
    return {
        name: "type %s . inet_proto . inet_service; flags interval,timeout;" % _ADDRESS[version]
        for version, name in SETS.items()
    }


def rules() -> list[str]:
    """Return the lines that accept what is open."""
    return ["%s . meta l4proto . th dport @%s accept" % (_SOURCE[version], name) for version, name in SETS.items()]


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


def copied(nft: Nft, table: str) -> str:
    """Return the text that gives a table what is open in those beside it, each with the time that is left of it."""
    open_ones = _open(nft, beside(nft, table))
    elements = {
        version: ["%s timeout %ds" % (" . ".join(key), left) for key, left in found.items() if left]
        for version, found in open_ones.items()
    }
    return "".join("%s\n" % line for line in filled(table, elements))


def unknown(nft: Nft, table: str) -> list[str]:
    """Return what is open in a table, and not, or not for so long, in those beside it. FirewallError."""
    theirs, ours = _open(nft, beside(nft, table)), _open(nft, [table])
    return [
        " . ".join(key)
        for version, found in ours.items()
        for key, left in found.items()
        if left is None or key not in theirs[version] or left > (theirs[version][key] or 0) + _SLACK
    ]


def _open(nft: Nft, tables: t.Iterable[str]) -> dict[int, dict[Key, int | None]]:
    found: dict[int, dict[Key, int | None]] = {4: {}, 6: {}}
    for table in tables:
        for version, name in SETS.items():
            elements: list[Element] = nft.elements(table, name)
            found[version].update((one.key, one.left) for one in elements)
    return found
