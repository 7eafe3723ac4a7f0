# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Openings for a while, in every table of ours that denies: a packet must get through all of them.

Such a table has the sets ``grants4`` and ``grants6`` of sources, protocols and ports, and accepts what is in them.
Who opens fills them, in the table SOURCE and in those beside it, and the kernel empties them. Another capability with
such a table copies what is open from SOURCE when it makes its table.
"""

from __future__ import annotations

import contextlib
import ipaddress
import time
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils.firewall.nft import FAMILY, Element, FirewallError, Nft
from ansible_collections.bulwark.servers.plugins.module_utils.firewall.rectangles import (
    MOST_ELEMENTS,
    Rectangle,
    TooManyError,
    disjoint,
    exceeds,
)
from ansible_collections.bulwark.servers.plugins.module_utils.firewall.words import Ports

SOURCE = "bulwark_jit"
SETS = {4: "grants4", 6: "grants6"}
OURS = "bulwark_"
_ADDRESS = {4: "ipv4_addr", 6: "ipv6_addr"}
_SADDR = {4: "ip saddr", 6: "ip6 saddr"}
_FOREVER = float("inf")
# An opening that is made while the sets are copied is in all of them, and would be gone from the copy.
_COPIES = 3


def definitions() -> dict[str, str]:
    """Return the sets as ``trial.Rules`` takes them."""
    return {
        name: "type %s . inet_proto . inet_service; flags interval,timeout;" % _ADDRESS[version]
        for version, name in SETS.items()
    }


def rules(decision: str = "accept") -> list[str]:
    """Return the lines that decide about what is open."""
    keys = {version: "%s . meta l4proto . th dport" % source for version, source in _SADDR.items()}
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


def let_in(opened: t.Sequence[Rectangle], now: float, tables: t.Iterable[str]) -> list[str]:
    """Return the lines that put openings in the place of what is open in some tables.

    The openings are disjoint, and their ends of the same clock as ``now``; what has ended is left out.
    """
    left = [(one, int((one.end - now) * 1000)) for one in opened]
    elements = {
        version: [
            "%s timeout %dms" % (element(one), milliseconds)
            for one, milliseconds in left
            if milliseconds > 0 and one.version == version
        ]
        for version in SETS
    }
    return [line for name in tables for line in filled(name, elements)]


def element(one: Rectangle) -> str:
    """Return the key of an element; of a range, whether or not it is a prefix, the two ends."""
    kind: t.Callable[[int], t.Any] = ipaddress.IPv4Address if one.version == 4 else ipaddress.IPv6Address
    address = str(kind(one.first))
    if one.last != one.first:
        address += "-%s" % kind(one.last)
    return "%s . %s . %s" % (address, one.protocol, Ports(one.first_port, one.last_port))


def read(nft: Nft, table: str, sets: t.Mapping[int, str], now: float) -> list[Rectangle]:
    """Return what the sets of a table have, each until its end; until for ever where one has none. FirewallError."""
    return [one for name in sets.values() for found in nft.elements(table, name) for one in _rectangles(found, now)]


def _rectangles(found: Element, now: float) -> t.Iterator[Rectangle]:
    if len(found.key) == 3:
        source, protocol, ports = found.key
        version, first, last = _addresses(source)
        low, _dash, high = ports.partition("-")
        end = _FOREVER if found.left is None else now + found.left
        yield Rectangle(version, protocol, int(low), int(high or low), first, last, end)


def _addresses(text: str) -> tuple[int, int, int]:
    first, dash, last = text.partition("-")
    if dash:
        low, high = ipaddress.ip_address(first), ipaddress.ip_address(last)
        return low.version, int(low), int(high)
    network = ipaddress.ip_network(text, strict=False)
    return network.version, int(network.network_address), int(network.broadcast_address)


def copy(nft: Nft, table: str) -> None:
    """Open in a table what is open in SOURCE, each for the time that is left of it, and no more. FirewallError."""
    for _attempt in range(_COPIES):
        now = _since_boot()
        nft.apply("".join("%s\n" % line for line in let_in(_in_source(nft, now), now, [table])))
        now = _since_boot()
        if not exceeds(_in_source(nft, now), _disjoint(read(nft, table, SETS, now)), now):
            break


def unknown(nft: Nft, table: str) -> list[str]:
    """Return what is open in a table, if that is more than in SOURCE, or for longer. FirewallError."""
    now = _since_boot()
    found = read(nft, table, SETS, now)
    return [element(one) for one in found] if exceeds(found, _in_source(nft, now), now) else []


def _since_boot() -> float:
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def _in_source(nft: Nft, now: float) -> list[Rectangle]:
    # Where that table has no sets, nothing is open by it.
    with contextlib.suppress(FirewallError):
        return _disjoint(read(nft, SOURCE, SETS, now))
    return []


def _disjoint(found: t.Sequence[Rectangle]) -> list[Rectangle]:
    try:
        return disjoint(found, MOST_ELEMENTS)
    except TooManyError as error:
        raise FirewallError(str(error)) from error


def emptied(tables: t.Iterable[str]) -> str:
    """Return the text that closes what is open in some tables."""
    return "".join("%s\n" % line for table in tables for line in filled(table, {}))


def beside(nft: Nft, table: str) -> list[str]:
    """Return the other tables of ours that have the sets. FirewallError."""
    found = {place for place, name in nft.sets() if name in SETS.values()}
    return sorted(name for name in found if name.startswith(OURS) and name != table)
