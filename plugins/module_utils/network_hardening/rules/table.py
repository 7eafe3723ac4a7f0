# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A policy of network rules as text for nft(8)."""

from __future__ import annotations

import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils.firewall import openings, places, words
from ansible_collections.bulwark.servers.plugins.module_utils.firewall.trial import Rules, remembered
from ansible_collections.bulwark.servers.plugins.module_utils.firewall.words import Network
from ansible_collections.bulwark.servers.plugins.module_utils.network_hardening.rules.policy import (
    AUDIT,
    ENFORCE,
    Policy,
)

NAME = "bulwark_network"
DENIED = "denied"
BLOCKED = "blocked"
# Seconds after which the kernel forgets a source that came no more.
KEPT = 7 * 86400
MOST_KEPT = 16384
# After the lock of just-in-time access, so that who is refused there is counted there alone.
_PRIORITY = "mangle - 9"
_SOURCE = {4: "ip saddr", 6: "ip6 saddr"}
_ADDRESS = {4: "ipv4_addr", 6: "ipv6_addr"}
_LOADED = "meta l4proto . th dport"
_VERDICT = {AUDIT: "counter accept", ENFORCE: "counter drop"}
_WOULD = {AUDIT: "would have ", ENFORCE: ""}
# Accepted here means: for other tables to decide. What lives lives on: a connection from before the kernel began to
# keep track of any is to it nothing but a packet that begins none; who probes with such packets learns that there is
# none. A SYN begins a connection, whatever the kernel remembers of one before it; what it calls related to a connection
# is a new one.
_NOT_NEW = (
    "meta iiftype loopback accept",
    "meta l4proto != { %s } accept" % ", ".join(words.PROTOCOLS),
    "tcp flags & (syn | ack) != syn accept",
)
_UDP = "meta l4proto udp ct state established accept"
# On trial only answers to what this host has begun: a flow that others have begun ends some time.
_UDP_TRIED = "meta l4proto udp ct state established ct direction reply accept"
_DECIDED_BEFORE = "ct status & dnat == 0 fib daddr type { local, broadcast, multicast } accept"
# So that nobody fills the disk.
_RATE = "limit rate 6/minute burst 10 packets"


def set_name(what: str, mode: str, version: int, first: bool = False) -> str:
    """Return the name of the set of those that were denied or blocked: who came when last, or when first.

    Each mode has its own, as in audit mode nobody was kept out.
    """
    return "%s%s%s%d" % ("audited_" if mode == AUDIT else "", what, "_since" if first else "", version)


def rules(policy: Policy) -> Rules:
    """Return what the table holds for a policy."""
    sets = openings.definitions()
    for version in (4, 6):
        kind = "%s . inet_proto . inet_service" % _ADDRESS[version]
        for what in (DENIED, BLOCKED):
            since = set_name(what, policy.mode, version, first=True)
            sets[since] = remembered(kind, MOST_KEPT, KEPT)
            sets.update(places.definitions(set_name(what, policy.mode, version), kind, MOST_KEPT, KEPT))
    return Rules(_chains(policy), sets, _PRIORITY, tried=_chains(policy, tried=True) if policy.mode == ENFORCE else {})


def _chains(policy: Policy, tried: bool = False) -> dict[str, list[str]]:
    begins = [*_NOT_NEW, _UDP_TRIED if tried else _UDP]
    decided = _decided(policy, tried)
    return {
        # Before a port is given a new destination, as those that containers publish are: that never comes to the hook
        # input. What leads through this host to others is none of its ports.
        "prerouting": [*begins, "fib daddr type != local accept", *decided],
        # A port that another one was redirected to, and what comes to this host by an address that routing does not
        # call its own: anycast, as the first address of a prefix of IPv6 on a router, and what is local in a VRF alone.
        # All else was decided on before, or is for many hosts.
        "input": [*begins, _DECIDED_BEFORE, *decided],
    }


def _decided(policy: Policy, tried: bool) -> list[str]:
    """Return the lines that decide on the first packet of a connection to this host.

    tried: on trial nobody gets in by an opening alone, which ends some time: that Ansible does is no proof that it
    will. It is not denied either, and tries again a second later.
    """
    # Answers to the host's own requests for an address, which are no answers to what keeps track of connections: those
    # requests go to everybody.
    lines = ["ip6 saddr fe80::/10 udp sport 547 udp dport 546 accept", "udp sport 67 udp dport 68 accept"]
    lines += ["%s accept" % one for one in _from(policy.always_allow)]
    for place in _from(policy.blocked):
        version = 6 if place.startswith("ip6") else 4
        # One sender can make up as many sources as are blocked, and the prefixes of a rule cost time and memory.
        first, *_waiting, last = _remembered(BLOCKED, policy, version)
        lines += ["%s %s" % (place, line) for line in (first, last)]
    opened = [] if tried else openings.rules()
    return lines + opened + (_ports(policy, tried) if policy.rules else [])


def _ports(policy: Policy, tried: bool) -> list[str]:
    named = {
        protocol: [str(rule.ports) for rule in policy.rules if protocol in rule.protocols]
        for protocol in words.PROTOCOLS
    }
    used = [protocol for protocol in words.PROTOCOLS if named[protocol]]
    lines = ["meta l4proto != { %s } accept" % ", ".join(used)]
    lines += ["%s dport != { %s } accept" % (protocol, ", ".join(named[protocol])) for protocol in used]
    for rule in policy.rules:
        for protocol in rule.protocols:
            lines += ["%s dport %s %s accept" % (protocol, rule.ports, place) for place in _from(rule.prefixes)]
    lines += openings.rules("drop") if tried else []
    if policy.log:
        lines.append('%s log prefix "bulwark %sdenied: "' % (_RATE, _WOULD[policy.mode]))
    for version in (4, 6):
        lines += _remembered(DENIED, policy, version)
    return [*lines, _VERDICT[policy.mode]]


def _from(prefixes: t.Sequence[Network]) -> list[str]:
    """Return the conditions that a packet comes from one of the prefixes, one for each version of IP."""
    found = {version: [words.name(one) for one in prefixes if one.version == version] for version in (4, 6)}
    return ["%s { %s }" % (_SOURCE[version], ", ".join(names)) for version, names in found.items() if names]


def _remembered(what: str, policy: Policy, version: int) -> list[str]:
    """Return the lines that note a source: with each packet, when it came last, and when it came first."""
    key = "%s . %s" % (_SOURCE[version], _LOADED)
    last, first = (set_name(what, policy.mode, version, which) for which in (False, True))
    return places.rules(last, key, "add @%s { %s }" % (first, key), _VERDICT[policy.mode])
