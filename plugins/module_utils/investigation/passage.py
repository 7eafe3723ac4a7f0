# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Say of each connection and listener whether the host's firewalls would let it pass now, and by which rule.

A peer's packets are taken to come by the interface of the route to it. What a rule redirects, to a container for
example, is not judged, as other rules look at it then. What eBPF drops is not known.
"""

from __future__ import annotations

import ipaddress
import os
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils._finding import printable
from ansible_collections.bulwark.servers.plugins.module_utils.firewall import exposure
from ansible_collections.bulwark.servers.plugins.module_utils.firewall.exposure import Judgement, World
from ansible_collections.bulwark.servers.plugins.module_utils.firewall.nft import Nft
from ansible_collections.bulwark.servers.plugins.module_utils.firewall.verdict import Packet
from ansible_collections.bulwark.servers.plugins.module_utils.investigation import connections
from ansible_collections.bulwark.servers.plugins.module_utils.investigation.budget import SECONDS, Budget
from ansible_collections.bulwark.servers.plugins.module_utils.investigation.model import Node
from ansible_collections.bulwark.servers.plugins.module_utils.investigation.process_table import (
    ACCEPTED,
    BOUND,
    CONNECTED,
    Contact,
    Process,
)

# Bytes of rules as JSON, of which one has some 400. As objects they take fifteen times as much memory.
_MOST_RULES = 2 << 20
_MOST_SECONDS = 5.0
_MOST_OF_ONE = 20
_PROTOCOLS = ("tcp", "udp")
_EVERYWHERE = {4: ipaddress.ip_network("0.0.0.0/0"), 6: ipaddress.ip_network("::/0")}
_DENIED, _NOT_JUDGED = ": denied", ": not judged"
_OUTCOMES = {exposure.OPEN: "accepted", exposure.LIMITED: "denied"}
_REACHES = {
    exposure.OPEN: "everybody may connect",
    exposure.LIMITED: "not everybody may connect",
    exposure.LOCAL: "only this host can connect",
}

Contacts = t.Callable[[str], t.Sequence[t.Tuple[Process, Contact]]]


def add(nodes: dict[str, Node], contacts: Contacts, routes: t.Sequence[connections.Route], budget: Budget) -> None:
    """Give addresses and listeners the fact ``firewall``: a sentence for each connection. contacts: of such a node."""
    ends = {node.id: contacts(node.id) for node in nodes.values() if node.kind in ("address", "listener")}
    if not any(ends.values()):
        return
    world = exposure.look_both_ways(Nft(max(0.1, min(_MOST_SECONDS, budget.left)), most_output=_MOST_RULES))
    if world.problem is not None:
        budget.skip("firewall", printable(world.problem))
    judge = _Judge(world, routes)
    late = 0
    for identity, known in ends.items():
        sentences: set[str] = set()
        for process, contact in known:
            late += budget.passed()
            outcome = "not judged, as the time was over" if budget.passed() else judge.sentence(process, contact)
            sentences.add("%s: %s" % (_words(contact), outcome))
        if sentences:
            node = nodes[identity]
            nodes[identity] = node._replace(facts={**node.facts, "firewall": _shown(sentences)})
    if late:
        budget.cut(SECONDS, "The firewall was not asked about some connections.", late)


def _shown(sentences: t.AbstractSet[str]) -> list[str]:
    """Return sentences, what is denied first and what is not judged last, and how many are left out."""
    ranked = sorted(sentences, key=lambda text: (_NOT_JUDGED in text, _DENIED not in text, text))
    more = len(ranked) - _MOST_OF_ONE
    return [*ranked[:_MOST_OF_ONE], "and %d more" % more] if more > 0 else ranked


def _words(contact: Contact) -> str:
    if contact.how == CONNECTED:
        return "outgoing %s %d" % (contact.protocol or "port", contact.port)
    if contact.how == BOUND:
        return "%s %d" % (contact.protocol or "port", contact.port)
    port = contact.local[1] if contact.local is not None else None
    return "incoming" if port is None else "incoming %s %d" % (contact.protocol, port)


class _Judge:
    """Judges connections of processes in the network of this process."""

    def __init__(self, world: World, routes: t.Sequence[connections.Route]) -> None:
        self._world = world
        self._routes = routes
        self._network = _own_network()

    def sentence(self, process: Process, contact: Contact) -> str:
        problem = self._problem(process, contact)
        if problem:
            return "not judged, as %s" % problem
        # The records of audit(7) do not have the protocol.
        judgements = [self._judge(contact, protocol) for protocol in _protocols(contact)]
        if len({each.outcome for each in judgements}) > 1:
            return "not judged, as it depends on the protocol, which is not known"
        text = _text(judgements[0], _REACHES if contact.how == BOUND else _OUTCOMES)
        return text if process.live is not None else text + " (if the process ran in the network of the host)"

    def _problem(self, process: Process, contact: Contact) -> str:
        if self._world.problem is not None:
            return printable(self._world.problem)
        if process.live is not None and process.live.network != self._network:
            return "its network is not known" if not process.live.network else "it has a network of its own"
        if contact.protocol not in ("", *_PROTOCOLS):
            return "rules for %s are not evaluated" % contact.protocol
        if contact.how == ACCEPTED and contact.local is None:
            return "the port of this host is not known"
        return ""

    def _judge(self, contact: Contact, protocol: str) -> Judgement:
        if contact.how == BOUND:
            return self._world.reach(contact.address, contact.port, protocol)
        peer = ipaddress.ip_network(contact.address)
        own = ipaddress.ip_network(contact.local[0]) if contact.local is not None else _EVERYWHERE[peer.version]
        interface = self._interface(contact)
        if contact.how == CONNECTED:
            return self._world.judge(Packet(protocol, (contact.port, contact.port), own, peer, interface, True))
        port = contact.local[1] if contact.local is not None else 0
        return self._world.judge(Packet(protocol, (port, port), peer, own, interface))

    def _interface(self, contact: Contact) -> str:
        is_own = contact.local is not None and contact.local[0] == contact.address
        if is_own or ipaddress.ip_address(contact.address).is_loopback:
            return "lo"
        route = connections.route_to(contact.address, self._routes)
        return route.interface if route is not None else ""


def _protocols(contact: Contact) -> t.Sequence[str]:
    return (contact.protocol,) if contact.protocol else _PROTOCOLS


def _text(judgement: Judgement, outcomes: t.Mapping[str, str]) -> str:
    by = "%s in %s" % (printable(judgement.rule), printable(judgement.firewall)) if judgement.rule else ""
    if judgement.outcome == exposure.UNKNOWN:
        return "not judged, as it depends on %s" % (by or printable(judgement.firewall) or "rules that are not known")
    outcome = outcomes[judgement.outcome]
    if judgement.outcome == exposure.LOCAL:
        return outcome
    return "%s by %s" % (outcome, by) if by else "%s, as no rule looks at it" % outcome


def _own_network() -> int:
    try:
        return os.stat("/proc/thread-self/ns/net").st_ino
    except OSError:
        return -1
