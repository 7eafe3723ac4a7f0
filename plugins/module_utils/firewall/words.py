# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Addresses, prefixes and ports as people write them, and as numbers."""

from __future__ import annotations

import bisect
import dataclasses
import ipaddress
import re
import typing as t

Network = t.Union[ipaddress.IPv4Network, ipaddress.IPv6Network]

PROTOCOLS = ("tcp", "udp")
EVERYBODY: tuple[Network, ...] = (ipaddress.IPv4Network("0.0.0.0/0"), ipaddress.IPv6Network("::/0"))

_HIGHEST = 65535
# So many addresses, as a /7 of IPv4 and a /15 of IPv6 have, are a good part of the Internet.
_MANY = {4: 1 << 25, 6: 1 << 113}
_MAPPED = ipaddress.IPv6Network("::ffff:0:0/96")
_NUMBER = re.compile("[0-9]{1,5}")
# Python before 3.9.5 takes 010.0.0.1 for 10.0.0.1, others take it for 8.0.0.1.
_LEADING_ZERO = re.compile(r"(?:^|\.)0[0-9]")


@dataclasses.dataclass(frozen=True, order=True)
class Ports:
    """The ports from ``first`` to ``last``, both included."""

    first: int
    last: int

    def __str__(self) -> str:
        return str(self.first) if self.first == self.last else "%d-%d" % (self.first, self.last)

    def overlaps(self, other: Ports) -> bool:
        return self.first <= other.last and other.first <= self.last


def ports(text: t.Any, where: str) -> Ports:
    """Return what ``22`` or ``8000-8100`` means; raise ValueError with one sentence."""
    first, dash, last = str(text).replace(" ", "").partition("-")
    numbers = [first, last] if dash else [first, first]
    if not all(_NUMBER.fullmatch(number) and 1 <= int(number) <= _HIGHEST for number in numbers):
        raise ValueError(
            "%s: '%s' is not a port; use a number from 1 to %d, or a range such as 8000-8100" % (where, text, _HIGHEST)
        )
    found = Ports(int(numbers[0]), int(numbers[1]))
    if found.first > found.last:
        raise ValueError("%s: the range '%s' ends before it begins; write the lower port first" % (where, text))
    return found


def protocols(name: str, where: str) -> tuple[str, ...]:
    """Return the protocols of ``tcp``, ``udp`` or ``both``; raise ValueError with one sentence."""
    if name == "both":
        return PROTOCOLS
    if name not in PROTOCOLS:
        raise ValueError("%s: protocol '%s' is not one of tcp, udp and both" % (where, name))
    return (name,)


def protocol_name(given: t.Sequence[str]) -> str:
    """Return the one word for protocols, the inverse of ``protocols``."""
    return "both" if len(given) > 1 else given[0]


def network(text: t.Any, where: str) -> Network:
    """Return an address or prefix; raise ValueError with one sentence."""
    given = str(text).strip()
    try:
        # An empty text is none, either.
        found = ipaddress.ip_network("" if _LEADING_ZERO.search(given) else given, strict=False)
    except ValueError:
        raise ValueError(
            "%s: '%s' is not an address or prefix; write one such as 192.0.2.7, 192.0.2.0/24 or 2001:db8::/48"
            % (where, text)
        ) from None
    address = given.partition("/")[0]
    if "%" in given:
        raise ValueError("%s: '%s' names an interface; write the address without it" % (where, text))
    if ipaddress.ip_address(address) != found.network_address:
        raise ValueError("%s: '%s' has more bits than its prefix is long; write %s" % (where, text, found))
    if isinstance(found, ipaddress.IPv6Network) and found.subnet_of(_MAPPED):
        raise ValueError("%s: '%s' is an IPv4 address in IPv6 clothes; write it as IPv4" % (where, text))
    return found


def networks(texts: t.Iterable[t.Any], where: str) -> tuple[Network, ...]:
    """Return prefixes in their shortest form, IPv4 first; raise ValueError likewise."""
    found = [network(text, where) for text in texts]
    four = [one for one in found if isinstance(one, ipaddress.IPv4Network)]
    six = [one for one in found if isinstance(one, ipaddress.IPv6Network)]
    return (*ipaddress.collapse_addresses(four), *ipaddress.collapse_addresses(six))


def name(found: Network) -> str:
    """Return a prefix as people write it: a single address without its length."""
    return str(found.network_address) if found.prefixlen == found.max_prefixlen else str(found)


def within(inner: Network, outer: t.Iterable[Network]) -> bool:
    """Say whether one of the prefixes holds all addresses of ``inner``."""
    first, last = bounds(inner)
    for one in outer:
        lowest, highest = bounds(one)
        if one.version == inner.version and lowest <= first and last <= highest:
            return True
    return False


def bounds(found: Network) -> tuple[int, int]:
    """Return the first and the last address of a prefix as numbers."""
    first = int(found.network_address)
    return first, first | ((1 << (found.max_prefixlen - found.prefixlen)) - 1)


class Prefixes:
    """Disjoint prefixes, as ``networks`` returns them, and quickly which of them others are within."""

    def __init__(self, found: t.Iterable[Network]) -> None:
        self._ordered: dict[int, list[Network]] = {4: [], 6: []}
        for one in found:
            self._ordered[one.version].append(one)
        self._firsts: dict[int, list[int]] = {}
        for version, ordered in self._ordered.items():
            ordered.sort(key=bounds)
            self._firsts[version] = [bounds(one)[0] for one in ordered]

    def around(self, version: int, first: int, last: int) -> Network | None:
        """Return the prefix that holds all addresses from first to last, None without."""
        place = bisect.bisect_right(self._firsts[version], first) - 1
        found = self._ordered[version][place] if place >= 0 else None
        return found if found is not None and last <= bounds(found)[1] else None


def named_twice(items: t.Iterable[tuple[Ports, t.Sequence[str]]]) -> tuple[int, int, str] | None:
    """Return two items that have ports of a protocol in common, by their places, and that protocol; None without.

    items: ports and protocols of each, in the order of the ports.
    """
    widest: dict[str, tuple[int, Ports]] = {}
    for place, (found, used) in enumerate(items):
        for protocol in used:
            before = widest.get(protocol)
            if before is not None and before[1].overlaps(found):
                return before[0], place, protocol
            if before is None or found.last > before[1].last:
                widest[protocol] = (place, found)
    return None


def are_broad(given: t.Iterable[Network]) -> bool:
    """Say whether prefixes have, together, as many addresses as a /7 of IPv4 or a /15 of IPv6."""
    several = list(given)
    for version, many in _MANY.items():
        bounded = sorted(bounds(one) for one in several if one.version == version)
        total, reached = 0, -1
        for first, last in bounded:
            total += max(0, last - max(first - 1, reached))
            reached = max(reached, last)
        if total >= many:
            return True
    return False
