# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The policy and the open grants as text for nft(8)."""

from __future__ import annotations

import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils.firewall import openings, places, words
from ansible_collections.bulwark.servers.plugins.module_utils.firewall.nft import FAMILY
from ansible_collections.bulwark.servers.plugins.module_utils.firewall.rectangles import Rectangle
from ansible_collections.bulwark.servers.plugins.module_utils.firewall.trial import Rules, remembered
from ansible_collections.bulwark.servers.plugins.module_utils.jit_access.policy import Policy

NAME = openings.SOURCE
# For people.
PLACE = "table inet %s" % NAME
GRANTS = openings.SETS
ATTEMPTS = {4: "attempts4", 6: "attempts6"}
# Whose connections end with the window: everybody that a window was opened for since the host was booted.
CUT = {4: "cut4", 6: "cut6"}
# Seconds after which the kernel forgets who tried.
ATTEMPTS_KEPT = 86400
MOST_ATTEMPTS = 16384
# Connections that an opening has let begin, until the client has answered the host: address and port of either end.
HALF_OPEN = {4: "half_open4", 6: "half_open6"}
# Seconds in which a client can answer: with its usual settings Linux gives up after 63, and takes a SYN cookie for 128.
_HALF_OPEN_KEPT = 300
_MOST_HALF_OPEN = 65536
# What came in by grants, for so long after the last packet. A grant lasts a day at most, and its counters as long again
# as it takes until somebody looks.
USED = {4: "used4", 6: "used6"}
# Who has begun to come in by a grant. It has no counters: the kernel counts lookups, too, in some versions.
KNOWN = {4: "known4", 6: "known6"}
# Whether one had no room there.
USED_MISSED = "used_missed"
USED_KEPT = 7 * 86400
_MOST_KNOWN = 16384
_NO_SYN = "tcp flags & syn == 0x0"
_LOADED = "meta l4proto . th dport"
_BEGINS = "tcp flags & (syn | ack) == syn"
_OFFERS = "tcp flags & (syn | ack) == syn | ack"
_FAMILY = {4: "ip", 6: "ip6"}
_BOTH_ENDS = {version: f"{name} saddr . tcp sport . {name} daddr . tcp dport" for version, name in _FAMILY.items()}
# Of a packet of the host, the ends as the client sees them.
_ENDS_THERE = {version: f"{name} daddr . tcp dport . {name} saddr . tcp sport" for version, name in _FAMILY.items()}
_ENDS_PUBLISHED = {
    version: f"ct original {name} saddr . ct original proto-src . ct original {name} daddr . ct original proto-dst"
    for version, name in _FAMILY.items()
}
# After the kernel knows which connection a packet is of, and before it gives it another destination.
_PRIORITY = "mangle - 10"
_SOURCE = {4: "ip saddr", 6: "ip6 saddr"}
_CLIENT = {4: "ip daddr", 6: "ip6 daddr"}
_ADDRESS = {4: "ipv4_addr", 6: "ipv6_addr"}


class _Cut(t.NamedTuple):
    """The match for packets of a connection that ends with its window: the match of the port, its part of a key."""

    port: str
    key: str
    which: str
    verdict: str


_RESET, _DROP = "reject with tcp reset", "drop"
_CUT = {
    "tcp": _Cut("tcp dport", "th dport", _NO_SYN, _RESET),
    "udp": _Cut("udp dport", "th dport", "ct state established", _DROP),
}
# By the port that the client knows.
_CUT_PUBLISHED = {
    protocol: _Cut("ct status dnat meta l4proto %s ct original proto-dst" % protocol, "ct original proto-dst", *ways)
    for protocol, ways in (("tcp", (_NO_SYN, _RESET)), ("udp", ("ct state established", _DROP)))
}


def rules(policy: Policy) -> Rules:
    """Return what the table holds for a policy; the sets are there whatever it is, and filled by ``fill``."""
    sets = openings.definitions()
    for version in (4, 6):
        kind = "%s . inet_proto . inet_service" % _ADDRESS[version]
        sets[CUT[version]] = "type %s; flags interval;" % kind
        ends = "{0} . inet_service . {0} . inet_service".format(_ADDRESS[version])
        sets[HALF_OPEN[version]] = remembered(ends, _MOST_HALF_OPEN, _HALF_OPEN_KEPT)
        sets.update(places.definitions(ATTEMPTS[version], kind, MOST_ATTEMPTS, ATTEMPTS_KEPT))
        sets[KNOWN[version]] = remembered(kind, _MOST_KNOWN, USED_KEPT)
        # Those are kept from the last packet on, and so a while longer.
        sets[USED[version]] = remembered(kind, 2 * _MOST_KNOWN, USED_KEPT)
    sets[USED_MISSED] = remembered("inet_proto", 4, USED_KEPT)
    chains = {hook: _locked(policy, hook, _let_in(policy, hook)) for hook in ("prerouting", "input")}
    rejected = _rejected(policy)
    forward = [*_cut(policy, _CUT_PUBLISHED), *rejected.pop("forward", ())]
    chains.update(rejected)
    if forward:
        chains["forward"] = forward
    tried = {hook: _locked(policy, hook, _tried(policy, hook)) for hook in ("prerouting", "input")}
    return Rules(chains=chains, sets=sets, priority=_PRIORITY, tried=tried)


def fill(grants: t.Sequence[Rectangle], cut: t.Sequence[Rectangle], now: float, beside: t.Sequence[str] = ()) -> str:
    """Return the text that puts these in the place of what is in the sets, in one transaction.

    Both are disjoint. The ends of the grants are of the same clock as ``now``; what has ended is left out. beside:
    other tables of ours, which let in the same.
    """
    lines = openings.let_in(grants, now, (NAME, *beside))
    for version in (4, 6):
        own = "%s %s %s" % (FAMILY, NAME, CUT[version])
        ended = [openings.element(one) for one in cut if one.version == version]
        lines.append("flush set %s" % own)
        lines += ["add element %s { %s }" % (own, ", ".join(ended))] if ended else []
    return "".join("%s\n" % line for line in lines)


def _locked(policy: Policy, hook: str, end: t.Sequence[str]) -> list[str]:
    """Return the lines that lock ports of the host. end: those for who is not always let in.

    In the hook prerouting that is before a port is given a new destination, as those that containers publish are. Such
    a packet never comes to the hook input, or with another port.
    """
    if hook == "prerouting":
        # Traffic that leads through this host to others is none of its ports.
        return [*_named(policy), "fib daddr type != local accept", *_always(policy), *end]
    return [*_named(policy), *_always(policy), *_cut(policy, _CUT), *end]


def _used(hook: str, tried: bool = False) -> list[str]:
    """Return the lines that count what comes in by grants, also on connections that live on after them.

    What comes to the host itself passes the hook prerouting, too, so that all is counted once, there. tried: on trial,
    where nobody gets in by a grant.
    """
    lines: list[str] = []
    for version in (4, 6) if hook == "prerouting" else ():
        key, known = "%s . %s" % (_SOURCE[version], _LOADED), KNOWN[version]
        counted = "update @%s { %s counter }" % (USED[version], key)
        lines.append("ct state established %s @%s %s" % (key, known, counted))
        granted = "ct state new %s @%s" % (key, GRANTS[version])
        if not tried:
            # A set that is full ends the rule.
            lines.append("%s update @%s { %s } %s" % (granted, known, key, counted))
            lines.append("%s %s != @%s update @%s { meta l4proto }" % (granted, key, known, USED_MISSED))
    return lines


def _named(policy: Policy) -> list[str]:
    """Return the lines after which only packets for locked ports are left."""
    locked = {protocol: _ports(policy, protocol) for protocol in words.PROTOCOLS}
    lines = ["meta iiftype loopback accept"]
    # Accepted here means: for other tables to decide.
    used = [protocol for protocol in words.PROTOCOLS if locked[protocol]]
    lines.append("meta l4proto != %s accept" % _set(used))
    return lines + ["%s dport != %s accept" % (protocol, _set(locked[protocol])) for protocol in used]


def _always(policy: Policy) -> list[str]:
    free = {version: [str(one) for one in policy.always_allow if one.version == version] for version in (4, 6)}
    return ["%s %s accept" % (_SOURCE[version], _set(found)) for version, found in free.items() if found]


def _let_in(policy: Policy, hook: str) -> list[str]:
    """Return the lines that let in who may come in, and drop the rest."""
    answered, begun = [], []
    for version, ends in _BOTH_ENDS.items():
        half_open, opened = HALF_OPEN[version], "%s . %s @%s" % (_SOURCE[version], _LOADED, GRANTS[version])
        # The client's answer makes the connection, so that the port must be open for it, too.
        answer = "%s %s @%s" % (_NO_SYN, ends, half_open)
        answered.append("%s %s ct state != invalid delete @%s { %s } accept" % (answer, opened, half_open, ends))
        answered.append("%s %s accept" % (answer, opened))
        answered.append("%s update @%s { %s } drop" % (answer, half_open, ends))
        # Where there is no room, the opening still lets in whom it is for.
        begun.append("%s %s update @%s { %s } accept" % (_BEGINS, opened, half_open, ends))
    begun += openings.rules()
    return [*_used(hook), *answered, *_lives_on(policy, "ct state established"), *begun, *_refused()]


def _rejected(policy: Policy) -> dict[str, list[str]]:
    """Return the lines that note a connection as half open again: the host rejected the answer of its client.

    It still waits for one that fits.
    """
    ports = _ports(policy, "tcp")
    if not ports:
        return {}
    resets = "tcp flags & rst != 0x0"
    published = "ct direction reply ct status dnat ct original proto-dst %s" % _set(ports)
    here, there = [], []
    for version, ends in _ENDS_THERE.items():
        opened = "%s . meta l4proto . %%s @%s" % (_CLIENT[version], GRANTS[version])
        noted = "update @%s { %%s }" % HALF_OPEN[version]
        here.append(" ".join((resets, "tcp sport %s" % _set(ports), opened % "tcp sport", noted % ends)))
        # Under another destination it was noted before it was given one.
        port, original = "ct original proto-dst", _ENDS_PUBLISHED[version]
        there.append(" ".join((resets, published, opened % port, noted % original)))
    return {"output": ["meta oiftype loopback accept", *here, *there], "forward": there}


def _tried(policy: Policy, hook: str) -> list[str]:
    """Return the lines that take the place of ``_let_in`` while a policy is on trial.

    What an opening lets in, or a flow of UDP that it once let in, ends some time: that Ansible comes in by it is no
    proof that it will. It is no attempt either. Who waits for the confirmation tries again a second later.
    """
    flow = "ct state established ct direction reply"
    return [*_used(hook, tried=True), *_lives_on(policy, flow), *openings.rules("drop"), *_refused()]


def _lives_on(policy: Policy, flow: str) -> list[str]:
    """Return the lines for packets that begin nothing. flow: which of UDP those are.

    A SYN begins a connection, whatever the kernel remembers of one before it: it takes a SYN for part of a connection
    that one side has ended a minute ago. And what it calls related to a connection is a new one.
    """
    # A connection from before the kernel began to keep track of any is to it nothing but a packet without SYN. None
    # begins with one: who probes with it learns that there is no connection.
    lines = ["%s accept" % _NO_SYN, "%s ct state established accept" % _OFFERS]
    return [*lines, "meta l4proto udp %s accept" % flow] if _ports(policy, "udp") else lines


def _refused() -> list[str]:
    lines = []
    for version in (4, 6):
        key = "%s . %s" % (_SOURCE[version], _LOADED)
        lines += places.rules(ATTEMPTS[version], key, "", "counter drop")
    return [*lines, "counter drop"]


def _cut(policy: Policy, parts: t.Mapping[str, _Cut]) -> list[str]:
    """Return the lines that end connections of windows that are over, which later lines would let live on.

    Without regard to what the kernel remembers of a connection: it forgets one that was reset, and takes the next
    packet of either side for the first one.
    """
    lines = []
    for protocol, cut in parts.items():
        ports = [str(lock.ports) for lock in policy.locks if lock.close_connections and protocol in lock.protocols]
        if not ports:
            continue
        for version in (4, 6):
            key = "%s . meta l4proto . %s" % (_SOURCE[version], cut.key)
            names = (cut.port, _set(ports), cut.which, key, CUT[version], key, GRANTS[version], cut.verdict)
            lines.append("%s %s %s %s @%s %s != @%s %s" % names)
    return lines


def _ports(policy: Policy, protocol: str) -> list[str]:
    return [str(lock.ports) for lock in policy.locks if protocol in lock.protocols]


def _set(items: t.Sequence[str]) -> str:
    return "{ %s }" % ", ".join(items)
