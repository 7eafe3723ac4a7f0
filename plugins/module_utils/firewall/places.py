# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Sets of sources that were refused, which made-up sources can't fill unnoticed.

A packet that begins a connection can be sent with any source, so that one sender fills every set. When the set of
sources is full, a source waits in a second one for some seconds; when it tries again meanwhile, as every client does
that gets no answer, it gets a place in a third one. Packets that got no place are counted, with the time of the first.
"""

from __future__ import annotations

import time
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils.firewall.nft import Element, Nft
from ansible_collections.bulwark.servers.plugins.module_utils.firewall.trial import remembered

# A client of TCP tries again after 1, 3 and 7 seconds.
_WAITING = 10
_MOST_WAITING = 65536
# Its keys are protocols.
_MOST_CROWDED = 4


class Crowded(t.NamedTuple):
    """Packets that got no place. since: of the first of them, in seconds since the epoch."""

    packets: int
    since: float

    def reason(self, most: int) -> str:
        """Return why what a set tells is not everything. most: its places."""
        when = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(self.since))
        counted = "%d packet%s" % (self.packets, "" if self.packets == 1 else "s")
        return "it has room for %d sources and was full; since %s %s of others are only counted" % (most, when, counted)


def again(name: str) -> str:
    """Return the set of those that came again when the set ``name`` was full."""
    return _part(name, "again")


def crowded(name: str) -> str:
    """Return the set that counts the packets which got no place."""
    return _part(name, "crowded")


def _part(name: str, what: str) -> str:
    return "%s_%s%s" % (name[:-1], what, name[-1])


def definitions(name: str, kind: str, most: int, seconds: int) -> dict[str, str]:
    """Return the sets as ``trial.Rules`` takes them. name: ends with the version of IP; seconds: sources are kept."""
    return {
        name: remembered(kind, most, seconds),
        again(name): remembered(kind, most, seconds),
        _part(name, "waiting"): remembered(kind, _MOST_WAITING, _WAITING),
        crowded(name): remembered("inet_proto", _MOST_CROWDED, seconds),
    }


def rules(name: str, key: str, more: str, decision: str) -> list[str]:
    """Return the lines that remember the source of a packet and decide about it.

    key: what is remembered, which must be of one version of IP. more: another statement for those that have a place, or
    nothing.
    """
    count = "add @%s { meta l4proto counter }" % crowded(name)
    waiting = _part(name, "waiting")
    lines = [
        # A set that is full ends the rule.
        "update @%s { %s counter } %s %s" % (name, key, more, decision),
        "%s @%s update @%s { %s counter } %s" % (key, waiting, again(name), key, decision),
        "add @%s { %s } %s %s" % (waiting, key, count, decision),
        "%s %s %s" % (_is_of(key), count, decision),
    ]
    return [" ".join(line.split()) for line in lines]


def _is_of(key: str) -> str:
    return "meta nfproto ipv%s" % ("6" if key.startswith("ip6 ") else "4")


def read_crowded(nft: Nft, table: str, name: str, seconds: int, now: float) -> Crowded | None:
    """Return what got no place, None without any. now: in seconds since the epoch. FirewallError."""
    elements = [one for one in nft.elements(table, crowded(name)) if one.packets]
    if not elements:
        return None
    since = min(now - seconds + (seconds if one.left is None else one.left) for one in elements)
    return Crowded(sum(one.packets or 0 for one in elements), min(now, since))


def joined(elements: t.Iterable[Element]) -> list[Element]:
    """Return elements of several sets with one for each key: all its packets, and the time of the last."""
    found: dict[tuple[str, ...], Element] = {}
    for one in elements:
        other = found.get(one.key)
        if other is not None:
            left = [each.left for each in (one, other) if each.left is not None]
            packets = (one.packets or 0) + (other.packets or 0)
            found[one.key] = Element(one.key, one.timeout, max(left) if left else None, packets)
        else:
            found[one.key] = one
    return list(found.values())
