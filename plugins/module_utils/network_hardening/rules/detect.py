# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read which sources the kernel has denied or blocked, and make detections of them."""

from __future__ import annotations

import ipaddress
import time
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils._finding import detection
from ansible_collections.bulwark.servers.plugins.module_utils.firewall import places
from ansible_collections.bulwark.servers.plugins.module_utils.firewall.nft import Element, Nft
from ansible_collections.bulwark.servers.plugins.module_utils.network_hardening.rules import decide, table
from ansible_collections.bulwark.servers.plugins.module_utils.network_hardening.rules.policy import AUDIT, Policy

# Sources in the evidence of one port, and in its sentence: those with most packets.
_SOURCES = 50
_NAMED = 3


class Denied(t.NamedTuple):
    """A source on a port. first, last: in seconds since the epoch; first is None where it isn't remembered."""

    source: str
    protocol: str
    port: int
    packets: int
    first: float | None
    last: float


class Remembered(t.NamedTuple):
    """Those with most packets come first. crowded: what packets got no place, by the set that was full."""

    denied: list[Denied]
    blocked: list[Denied]
    crowded: dict[str, places.Crowded]


def read(nft: Nft, policy: Policy, now: float) -> Remembered:
    """Return whom the kernel remembers, as far as the policy still does the same with them. FirewallError."""
    decision = decide.Decision(policy)
    found: dict[str, list[Denied]] = {}
    crowded = {}
    there = {name for of_table, name in nft.sets() if of_table == table.NAME}
    for what, outcome in ((table.DENIED, decide.DENIED), (table.BLOCKED, decide.BLOCKED)):
        all_of_them = []
        for version in (4, 6):
            name = table.set_name(what, policy.mode, version)
            # A table of an earlier version has less.
            last = [one for each in {name, places.again(name)} & there for one in nft.elements(table.NAME, each)]
            first = nft.elements(table.NAME, table.set_name(what, policy.mode, version, first=True))
            all_of_them += join(places.joined(last), first, now)
            if places.crowded(name) in there:
                seen = places.read_crowded(nft, table.NAME, name, table.KEPT, now)
                crowded.update({name: seen} if seen else {})
        # A policy that was changed since may let them in.
        kept = [one for one in all_of_them if decision.of(one.source, one.protocol, one.port) == outcome]
        found[what] = sorted(kept, key=lambda one: (-one.packets, one.source, one.port))
    return Remembered(found[table.DENIED], found[table.BLOCKED], crowded)


def join(last: t.Iterable[Element], first: t.Iterable[Element], now: float) -> list[Denied]:
    """Return the sources of two sets: of those that came, by when they came last, and by when they came first."""
    since = {one.key: _when(one, now) for one in first}
    return [
        Denied(one.key[0], one.key[1], int(one.key[2]), one.packets or 0, since.get(one.key), _when(one, now))
        for one in last
        if len(one.key) == 3 and one.key[2].isdigit()
    ]


def _when(element: Element, now: float) -> float:
    """Return when an element was made or renewed: its time runs from then on."""
    left = table.KEPT if element.left is None else element.left
    return min(now, now - table.KEPT + left)


def counted(nft: Nft, policy: Policy) -> tuple[int, int]:
    """Return how many packets were denied and blocked since the rules are there, remembered or not. FirewallError."""
    denied, blocked = 0, 0
    for hook in table.rules(policy).chains:
        for rule in nft.rules(table.NAME, "confirmed_%s" % hook):
            packets = sum(one["counter"]["packets"] for one in rule.get("expr", ()) if _is_counter(one))
            matches = any(_is_prefix(one) for one in rule.get("expr", ()))
            # Only rules about who is blocked count packets from prefixes of the policy.
            denied += 0 if matches else packets
            blocked += packets if matches else 0
    return denied, blocked


def _is_prefix(expression: t.Any) -> bool:
    match = expression.get("match", {}) if isinstance(expression, dict) else {}
    left = match.get("left", {})
    return isinstance(left, dict) and left.get("payload", {}).get("field") == "saddr"


def _is_counter(expression: t.Any) -> bool:
    return isinstance(expression, dict) and isinstance(expression.get("counter"), dict)


def detections(remembered: Remembered, mode: str, scope: str) -> list[dict[str, t.Any]]:
    """Return one detection for each port that somebody was denied on, or that a blocked source tried."""
    return [
        _detection(what, port, protocol, tries, mode, scope)
        for what, found in ((table.DENIED, remembered.denied), (table.BLOCKED, remembered.blocked))
        for (port, protocol), tries in sorted(_by_port(found).items())
    ]


def _by_port(found: t.Iterable[Denied]) -> dict[tuple[int, str], list[Denied]]:
    ports: dict[tuple[int, str], list[Denied]] = {}
    for one in found:
        ports.setdefault((one.port, one.protocol), []).append(one)
    return ports


def _detection(
    what: str, port: int, protocol: str, tries: t.Sequence[Denied], mode: str, scope: str
) -> dict[str, t.Any]:
    packets = sum(one.packets for one in tries)
    named = ", ".join("%s (%d)" % (one.source, one.packets) for one in tries[:_NAMED])
    more = " and %d more" % (len(tries) - _NAMED) if len(tries) > _NAMED else ""
    became = "let through, as the rules are in audit mode" if mode == AUDIT else "dropped"
    since = [one.first for one in tries if one.first is not None]
    whose = "%d source%s" % (len(tries), "" if len(tries) == 1 else "s")
    if what == table.BLOCKED:
        alert = "network_blocked_traffic"
        # Without effect on the host once they are dropped.
        severity = "medium" if mode == AUDIT else None
        whose = "%s that %s recommended for blocking" % (whose, "is" if len(tries) == 1 else "are")
    else:
        alert = "network_denied_traffic"
        # Strangers try all ports that the internet reaches. One of one's own has a reason, or should not be there.
        near = [one for one in tries if ipaddress.ip_address(one.source).is_private]
        severity = "low" if near else None
        whose = "%s that the network rules %s" % (whose, "would deny" if mode == AUDIT else "deny")
    return detection(
        alert,
        "%s/%d" % (protocol, port),
        scope,
        [_evidence(one, mode) for one in tries[:_SOURCES]],
        severity=severity,
        first_time=min(since) if since else None,
        last_time=max(one.last for one in tries),
        count=max(1, packets),
        message="%d packets to port %d (%s) from %s were %s: %s%s."
        % (packets, port, protocol, whose, became, named, more),
    )


def _evidence(one: Denied, mode: str) -> dict[str, t.Any]:
    data = {"port": one.port, "protocol": one.protocol, "packets": one.packets, "dropped": mode != AUDIT}
    times = (("first", one.first), ("last", one.last))
    data.update((name, _iso(when)) for name, when in times if when is not None)
    return {"src_endpoint": {"ip": one.source}, "data": data}


def _iso(when: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(when))
