# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The recorder as text for nft(8): who connects, told from the packets that begin connections.

It decides nothing: "accept" ends this table's look at a packet, and others still see it. It needs no connection
tracking, so that it doesn't turn that on where nobody else has, whose table can be full, which drops packets; and sees
what is exempt from it. A connection from before the recorder is none that begins.

- TCP: a SYN that comes is a connection, the SYN-ACK that goes out offers an answer. Both can be had with a made-up
  source. Packets of this host without SYN are sent to who took part in the handshake, and prove the source. (Who forges
  a segment that doesn't fit a half-open connection gets one, too, twice a second at most.)
- SCTP: the same with INIT, INIT ACK and COOKIE ACK (RFC 9260), chunks of type 1, 2 and 11; only INIT has the tag 0.
- UDP: the first packet between two ends for a while, and the first that goes back.

A set that is full breaks the rule, so that the next one counts what had no place.
"""

from __future__ import annotations

import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils.firewall.trial import Rules
from ansible_collections.bulwark.servers.plugins.module_utils.traffic import sets
from ansible_collections.bulwark.servers.plugins.module_utils.traffic.sets import VERSIONS
from ansible_collections.bulwark.servers.plugins.module_utils.traffic.settings import IN, OUT, Settings

NAME = "bulwark_traffic"
# Before anything is dropped by others.
PRIORITY = "raw - 10"
# Comments of the rules that count what had no place.
NO_PLACE = "no place: "
CROWDED = "crowded: "
_IP = {4: "ip", 6: "ip6"}
_MULTICAST = {4: "224.0.0.0/3", 6: "ff00::/8"}
_SYN = "tcp flags & (fin | syn | rst | ack) == syn"
_SYN_ACK = "tcp flags & (fin | syn | rst | ack) == syn | ack"
_ACK = "tcp flags & (syn | rst | ack) == ack"
_INIT = "sctp vtag 0"
_INIT_ACK = "meta l4proto sctp @th,96,8 2"
_COOKIE_ACK = "meta l4proto sctp @th,96,8 11"


def rules(settings: Settings) -> Rules:
    """Return what the table holds."""
    write = _Writer(settings)
    chains = {
        "input": ['iifname "lo" accept', *_skipped(settings, "dport"), *_came(write)],
        "output": ['oifname "lo" accept', *_skipped(settings, "sport"), *_went(write)],
    }
    return Rules(chains, sets.wanted(settings), PRIORITY)


def _skipped(settings: Settings, port: str) -> list[str]:
    """Return the lines for packets that say nothing, which are most of them."""
    lines = []
    if port == "dport":
        lines += ["tcp flags & syn == 0x0 accept", "meta pkttype != host accept"]
    if settings.unrecorded:
        pairs = ", ".join("%s . %d" % (protocol, number) for number, protocol in settings.unrecorded)
        lines.append("meta l4proto . th %s { %s } accept" % (port, pairs))
    return lines


class _Writer:
    """Writes parts of rules with the names of the sets."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.incoming = IN in settings.directions
        self.outgoing = OUT in settings.directions

    def inside(self, key: str, kind: str, version: int) -> str:
        return "%s @%s" % (key, sets.name(self.settings, kind, version))

    def put(self, key: str, kind: str, version: int, verb: str = "update") -> str:
        counter = " counter" if sets.KINDS[kind].counts else ""
        return "%s @%s { %s%s }" % (verb, sets.name(self.settings, kind, version), key, counter)


def _key(version: int, end: str, port: str) -> str:
    return "%s %s . meta l4proto . th %s" % (_IP[version], end, port)


def _flow(version: int, end: str) -> str:
    """Return address and port there, and port here, of a packet from (saddr) or to (daddr) there."""
    ports = "udp sport . udp dport" if end == "saddr" else "udp dport . udp sport"
    return "%s %s . %s" % (_IP[version], end, ports)


def _full(condition: str, what: str) -> str:
    return '%s counter accept comment "%s%s"' % (condition, NO_PLACE, what)


def _came(write: _Writer) -> t.Iterator[str]:
    if write.outgoing:
        for condition in (_SYN_ACK, _INIT_ACK):
            for version in VERSIONS:
                key = _key(version, "saddr", "sport")
                asked = write.inside(key, "out_pending", version)
                yield "%s %s %s accept" % (condition, asked, write.put(key, "out_answered", version))
            yield _full(condition, "out_answered") if condition == _INIT_ACK else "%s accept" % condition
    if write.incoming:
        for condition in (_SYN, _INIT):
            for version in VERSIONS:
                key = _key(version, "saddr", "dport")
                proven = write.inside(key, "in_proven", version)
                yield "%s %s %s accept" % (condition, proven, write.put(key, "in_known", version))
                yield "%s %s accept" % (condition, write.put(key, "in_tried", version))
            yield _full(condition, "in_tried")
    yield "meta l4proto != udp accept"
    for version in VERSIONS:
        yield from _udp_came(write, version)


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
    known = write.inside(source, "udp_proven", version)
    yield "%s %s %s accept" % (known, begun, write.put(source, "udp_known", version))
    yield "%s %s accept" % (begun, tried)
    # Without a place among the flows each of its packets counts.
    yield '%s counter accept comment "%sudp_flows"' % (tried, CROWDED)
    yield _full("meta nfproto ipv%d" % version, "udp_tried")


def _went(write: _Writer) -> t.Iterator[str]:
    if write.incoming:
        yield from _proofs(write)
    yield "tcp flags & syn == 0x0 accept"
    if write.incoming:
        for condition in (_SYN_ACK, _INIT_ACK):
            for version in VERSIONS:
                key = _key(version, "daddr", "sport")
                proven, again = (write.inside(key, "in_proven", version), write.put(key, "in_proven", version))
                yield "%s %s %s %s accept" % (condition, proven, again, write.put(key, "in_answered", version))
                pending, offered = write.put(key, "in_pending", version), write.put(key, "in_offered", version)
                yield "%s %s %s accept" % (condition, pending, offered)
            yield _full(condition, "in_offered")
    if write.outgoing:
        for condition in (_SYN, _INIT):
            for version in VERSIONS:
                key = _key(version, "daddr", "dport")
                pending, tried = write.put(key, "out_pending", version), write.put(key, "out_tried", version)
                yield "%s %s %s accept" % (condition, pending, tried)
            yield _full(condition, "out_tried")
    yield "meta l4proto != udp accept"
    for version in VERSIONS:
        yield from _udp_went(write, version)


def _proofs(write: _Writer) -> t.Iterator[str]:
    """Yield the lines that note who took part in a handshake."""
    service = "th sport < %d" % write.settings.first_ephemeral
    for condition in (_ACK, _COOKIE_ACK):
        for version in VERSIONS:
            key = _key(version, "daddr", "sport")
            proven = write.put(key, "in_proven", version, "add")
            if condition == _ACK:
                yield "%s %s accept" % (condition, write.inside(key, "in_proven", version))
                # Also where it found no place among those that were offered an answer.
                yield "%s %s %s accept" % (condition, service, proven)
                yield "%s %s %s accept" % (condition, write.inside(key, "in_pending", version), proven)
            else:
                yield "%s %s accept" % (condition, proven)
        yield _full("%s%s" % (condition, " " + service if condition == _ACK else ""), "in_proven")


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
