# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The recorder as text for nft(8): who connects, told from the packets that begin connections.

It decides nothing: "accept" ends this table's look at a packet, and others still see it. It needs no connection
tracking, so that it doesn't turn that on where nobody else has, whose table can be full, which drops packets; and sees
what is exempt from it. A connection from before the recorder is none that begins.

- TCP: a SYN that comes is a connection, the SYN-ACK that goes out offers an answer. Both can be had with a made-up
  source. Packets of this host without SYN are sent to who took part in the handshake, and prove the source; those that
  end a connection are looked at, and one in sixteen of the others. (Who forges a segment that doesn't fit a half-open
  connection gets one of those, too.) From the latter it is estimated how much this host has sent.
- The kernel knows of each element when it expires, and so when its last packet came. When the last sample of a source's
  connections was sent long after the last of them began, that one has lasted; no connection is followed for that.
- SCTP: the same with INIT, INIT ACK and COOKIE ACK (RFC 9260), chunks of type 1, 2 and 11; only INIT has the tag 0.
- UDP: the first packet between two ends for a while, and the first that goes back.

A set that is full breaks the rule, so that the next one is for those who had no place. Sources that have proven
themselves have sets of their own for that, which made-up ones can't fill.
"""

from __future__ import annotations

import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils.firewall.trial import Rules
from ansible_collections.bulwark.servers.plugins.module_utils.network_hardening.traffic import sets
from ansible_collections.bulwark.servers.plugins.module_utils.network_hardening.traffic.sets import VERSIONS
from ansible_collections.bulwark.servers.plugins.module_utils.network_hardening.traffic.settings import (
    IN,
    OUT,
    Settings,
)

NAME = "bulwark_traffic"
# Before anything is dropped by others.
PRIORITY = "raw - 10"
# Comments of the rules that count what had no place.
NO_PLACE = "no place: "
CROWDED = "crowded: "
# Packets that say nothing, which are most of them. One in sixteen is looked at (sets.SAMPLE): who is sent it is there,
# and not every connection comes to an orderly end. It is chosen by bits of the sequence number, which begins at random
# and which the other end has no say in; these bits change with every packet, small or as large as usual networks allow.
_CAME_FOR_NOTHING = "tcp flags & syn == 0x0 accept"
_WENT_FOR_NOTHING = "tcp flags & (fin | syn) == 0x0 tcp sequence & 0x3c0 != 0x0 accept"
_IP = {4: "ip", 6: "ip6"}
_MULTICAST = {4: "224.0.0.0/3", 6: "ff00::/8"}
_SYN = "tcp flags & (fin | syn | rst | ack) == syn"
_SYN_ACK = "tcp flags & (fin | syn | rst | ack) == syn | ack"
_ACK = "tcp flags & (syn | rst | ack) == ack"
_GOES_ON = "tcp flags & (fin | syn | rst | ack) == ack"
_ENDS = "tcp flags & (fin | syn | rst | ack) == fin | ack"
_INIT = "sctp vtag 0"
_INIT_ACK = "meta l4proto sctp @th,96,8 2"
_COOKIE_ACK = "meta l4proto sctp @th,96,8 11"


def rules(settings: Settings) -> Rules:
    """Return what the table holds."""
    write = _Writer(settings)
    chains = {"input": [_CAME_FOR_NOTHING, *_came(write)], "output": [_WENT_FOR_NOTHING, *_went(write)]}
    return Rules(chains, sets.wanted(settings), PRIORITY, harmless=True)


class _Writer:
    """Writes parts of rules with the names of the sets."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.incoming = IN in settings.directions
        self.outgoing = OUT in settings.directions
        # A port that the host's own connections don't come from.
        self.service = "th sport < %d" % settings.first_ephemeral

    def inside(self, key: str, kind: str, version: int) -> str:
        return "%s @%s" % (key, sets.name(self.settings, kind, version))

    def put(self, key: str, kind: str, version: int, verb: str = "update") -> str:
        counter = " counter" if sets.KINDS[kind].counts else ""
        return "%s @%s { %s%s }" % (verb, sets.name(self.settings, kind, version), key, counter)

    def placed(self, key: str, proof: str, kind: str, version: int) -> str:
        """Return what counts a key in a set of that kind; in one that is kept for the proven, only those."""
        counted = self.put(key, kind, version)
        return "%s %s" % (self.inside(key, proof, version), counted) if sets.KINDS[kind].proven else counted

    def skipped(self, protocol: str, port: str) -> t.Iterator[str]:
        """Yield the line for ports of a protocol that are not recorded. port: sport or dport.

        The kernel looks up single ports by far more quickly than pairs of protocol and port.
        """
        numbers = [str(number) for number, name in self.settings.unrecorded if name == protocol]
        if numbers:
            yield "%s %s { %s } accept" % (protocol, port, ", ".join(numbers))


def _key(version: int, end: str, port: str) -> str:
    return "%s %s . meta l4proto . th %s" % (_IP[version], end, port)


def _flow(version: int, end: str) -> str:
    """Return address and port there, and port here, of a packet from (saddr) or to (daddr) there."""
    ports = "udp sport . udp dport" if end == "saddr" else "udp dport . udp sport"
    return "%s %s . %s" % (_IP[version], end, ports)


def _of(version: int, condition: str) -> str:
    """Return a condition for one version of IP, which is asked for first, as that is quick."""
    return "meta nfproto ipv%d %s" % (version, condition)


def _full(condition: str, what: str) -> str:
    return '%s counter accept comment "%s%s"' % (condition, NO_PLACE, what)


def _came(write: _Writer) -> t.Iterator[str]:
    """Yield the lines for packets that came."""
    yield 'iif "lo" accept'
    if write.outgoing:
        yield from _answers(write, _SYN_ACK)
    yield from write.skipped("tcp", "dport")
    if write.incoming:
        yield from _tried(write, _SYN)
    yield "meta l4proto tcp accept"
    yield from write.skipped("sctp", "dport")
    if write.incoming:
        yield from _tried(write, _INIT)
    if write.outgoing:
        yield from _answers(write, _INIT_ACK)
    yield "meta l4proto != udp accept"
    yield "meta pkttype != host accept"
    yield from write.skipped("udp", "dport")
    for version in VERSIONS:
        yield from _udp_came(write, version)


def _tried(write: _Writer, condition: str) -> t.Iterator[str]:
    for kind in ("in_tried", "in_known"):
        for version in VERSIONS:
            key = _key(version, "saddr", "dport")
            yield "%s %s accept" % (_of(version, condition), write.placed(key, "in_proven", kind, version))
    yield _full(condition, "in_tried")


def _answers(write: _Writer, condition: str) -> t.Iterator[str]:
    """Yield the lines for answers to what this host has begun."""
    for version in VERSIONS:
        key = _key(version, "saddr", "sport")
        asked = write.inside(key, "out_pending", version)
        yield "%s %s %s accept" % (_of(version, condition), asked, write.put(key, "out_answered", version))
        yield _full("%s %s" % (condition, asked), "out_answered")


def _udp_came(write: _Writer, version: int) -> t.Iterator[str]:
    flow, peer = _flow(version, "saddr"), _key(version, "saddr", "sport")
    own = write.inside(flow, "udp_own", version)
    if write.outgoing:
        replied, answered = (write.put(flow, "udpout_replied", version), write.put(peer, "udpout_answered", version))
        alive = write.put(flow, "udp_own", version)
        yield "%s %s %s accept" % (write.inside(flow, "udpout_replied", version), replied, alive)
        yield "%s %s %s accept" % (own, replied, answered)
    yield "%s accept" % own
    if not write.incoming:
        return
    source = _key(version, "saddr", "dport")
    begun, tried = write.put(flow, "udp_flows", version), write.put(source, "udp_tried", version)
    yield "%s %s accept" % (write.inside(flow, "udp_flows", version), begun)
    known = write.placed(source, "udp_proven", "udp_known", version)
    yield "%s %s accept" % (begun, tried)
    yield "%s %s accept" % (begun, known)
    for place in (tried, known):
        # Without a place among the flows each of its packets counts.
        yield '%s counter accept comment "%sudp_flows"' % (place, CROWDED)
    yield _full("meta nfproto ipv%d" % version, "udp_tried")


def _went(write: _Writer) -> t.Iterator[str]:
    """Yield the lines for packets that went. Who is known is looked for first, as that ends most of them."""
    if write.incoming:
        for version in VERSIONS:
            known = write.inside(_key(version, "daddr", "sport"), "in_proven", version)
            yield "%s %s accept" % (_of(version, _ENDS), known)
        for version in VERSIONS:
            sampled = write.placed(_key(version, "daddr", "sport"), "in_proven", "in_sampled", version)
            yield "%s %s accept" % (_of(version, _GOES_ON), sampled)
    yield 'oif "lo" accept'
    yield from write.skipped("tcp", "sport")
    if write.incoming:
        yield from _offered(write, _SYN_ACK)
        yield from _proofs(write)
    if write.outgoing:
        yield from _begun(write, _SYN)
    yield "meta l4proto tcp accept"
    yield from write.skipped("sctp", "sport")
    if write.incoming:
        yield from _offered(write, _INIT_ACK)
        for version in VERSIONS:
            key = _key(version, "daddr", "sport")
            yield "%s %s accept" % (_COOKIE_ACK, write.put(key, "in_proven", version, "add"))
        yield _full(_COOKIE_ACK, "in_proven")
    if write.outgoing:
        yield from _begun(write, _INIT)
    yield "meta l4proto != udp accept"
    yield from write.skipped("udp", "sport")
    for version in VERSIONS:
        yield from _udp_went(write, version)


def _offered(write: _Writer, condition: str) -> t.Iterator[str]:
    for kind in ("in_offered", "in_answered"):
        for version in VERSIONS:
            key = _key(version, "daddr", "sport")
            placed = write.placed(key, "in_proven", kind, version)
            if condition == _SYN_ACK and kind == "in_offered":
                yield "%s %s %s accept" % (_of(version, condition), write.service, placed)
                # What this host sends from such a port may be its own connection, or an answer.
                placed = "%s %s" % (write.put(key, "in_pending", version), placed)
            yield "%s %s accept" % (_of(version, condition), placed)
    yield _full(condition, "in_offered")


def _proofs(write: _Writer) -> t.Iterator[str]:
    """Yield the lines that note who took part in a handshake of TCP, and isn't noted yet."""
    for version in VERSIONS:
        key = _key(version, "daddr", "sport")
        # Who is noted comes here when there was no place to count what it is sent.
        noted = write.inside(key, "in_proven", version)
        yield _full("%s %s" % (_of(version, _GOES_ON), noted), "in_sampled")
        proven = write.put(key, "in_proven", version, "add")
        yield "%s %s %s accept" % (_ACK, write.service, proven)
        yield "%s %s %s accept" % (_ACK, write.inside(key, "in_pending", version), proven)
    yield _full("%s %s" % (_ACK, write.service), "in_proven")


def _begun(write: _Writer, condition: str) -> t.Iterator[str]:
    """Yield the lines for connections that this host begins."""
    for version in VERSIONS:
        key = _key(version, "daddr", "dport")
        pending, tried = write.put(key, "out_pending", version), write.put(key, "out_tried", version)
        yield "%s %s %s accept" % (condition, pending, tried)
    yield _full(condition, "out_tried")


def _udp_went(write: _Writer, version: int) -> t.Iterator[str]:
    flow = _flow(version, "daddr")
    if write.incoming:
        replied = write.put(flow, "udp_replied", version)
        begun = write.inside(flow, "udp_flows", version)
        # Both, so that a flow ends as a whole, and the next one's answer counts again.
        alive = write.put(flow, "udp_flows", version)
        yield "%s %s %s accept" % (write.inside(flow, "udp_replied", version), replied, alive)
        source = _key(version, "daddr", "sport")
        proven, answered = write.put(source, "udp_proven", version), write.put(source, "udp_answered", version)
        yield "%s %s %s %s accept" % (begun, replied, proven, answered)
        yield _full(begun, "udp_answered")
    yield "%s daddr %s accept" % (_IP[version], _MULTICAST[version])
    own = write.put(flow, "udp_own", version)
    yield "%s %s accept" % (write.inside(flow, "udp_own", version), own)
    if write.outgoing:
        tried = write.put(_key(version, "daddr", "dport"), "udpout_tried", version)
        yield "%s %s accept" % (own, tried)
        yield '%s counter accept comment "%sudp_own"' % (tried, CROWDED)
        yield _full("meta nfproto ipv%d" % version, "udpout_tried")
    else:
        yield "%s accept" % own
        yield '%s counter accept comment "%sudp_own"' % ("meta nfproto ipv%d" % version, CROWDED)
