# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Connections that no firewall can be asked about, and many of them."""

from __future__ import annotations

import os
import typing as t

import pytest
from ansible_collections.bulwark.servers.plugins.module_utils.firewall import exposure, verdict
from ansible_collections.bulwark.servers.plugins.module_utils.firewall.others import Other
from ansible_collections.bulwark.servers.plugins.module_utils.investigation import passage
from ansible_collections.bulwark.servers.plugins.module_utils.investigation.budget import Budget
from ansible_collections.bulwark.servers.plugins.module_utils.investigation.connections import Route
from ansible_collections.bulwark.servers.plugins.module_utils.investigation.model import Node
from ansible_collections.bulwark.servers.plugins.module_utils.investigation.process_table import (
    ACCEPTED,
    BOUND,
    CONNECTED,
    Contact,
    Process,
)
from ansible_collections.bulwark.servers.plugins.module_utils.investigation.processes import Live

PEER = "203.0.113.9"
_ANY = "0.0.0.0"  # noqa: S104 - the address of a listener that the test describes
ROUTES = [Route("0.0.0.0/0", "192.0.2.1", "eth0"), Route("::/0", "fe80::1", "eth1")]


def _process(network: int | None = None) -> Process:
    process = Process(7, 1, None, None, 0, 1.0)
    own = os.stat("/proc/thread-self/ns/net").st_ino if network is None else network
    process.live = Live(7, 1, 1.0, 1, 7, 0, None, None, b"x", "S", b"/x", False, b"", "/", None, 0, own, False)
    return process


def _decided(packet: verdict.Packet) -> verdict.Decisions:
    """Deny TCP to port 4444, and what goes by eth1."""
    port = packet.ports == (4444, 4444) and packet.protocol == "tcp"
    return {verdict.DENY: "a rule"} if port or packet.interface == "eth1" else {verdict.ACCEPT: ""}


def _sentences(
    monkeypatch: pytest.MonkeyPatch,
    *ends: tuple[Process, Contact],
    world: exposure.World | None = None,
    seconds: float = 10.0,
) -> tuple[list[str], Budget]:
    given = world or exposure.World([Other("nftables", "theirs", _decided)])
    monkeypatch.setattr(exposure, "look_both_ways", lambda _nft: given)
    address = ends[0][1].address
    nodes = {f"address:{address}": Node(f"address:{address}", address, {"ip": address})}
    budget = Budget(seconds, 0)
    passage.add(nodes, lambda _identity: ends, ROUTES, budget)
    facts = nodes[f"address:{address}"].facts
    assert facts["ip"] == address
    return t.cast("list[str]", facts["firewall"]), budget


def _contact(port: int = 443, how: str = CONNECTED, **more: t.Any) -> Contact:
    fields = {"by": "proc", "protocol": "tcp", "local": ("192.0.2.5", 50_000), "address": PEER, **more}
    return Contact(None, how, port=port, **fields)


@pytest.mark.parametrize(
    ("process", "contact", "sentence"),
    [
        (_process(), _contact(), "outgoing tcp 443: accepted, as no rule looks at it"),
        (_process(), _contact(4444), "outgoing tcp 4444: denied by a rule in theirs"),
        (_process(), _contact(4444, protocol="udp"), "outgoing udp 4444: accepted, as no rule looks at it"),
        (
            _process(),
            _contact(address="2001:db8::9", local=("2001:db8:1::5", 9)),
            "outgoing tcp 443: denied by a rule in theirs",
        ),
        (
            _process(),
            _contact(address="2001:db8::9", local=("2001:db8::9", 9)),
            "outgoing tcp 443: accepted, as no rule looks at it",
        ),
        (
            _process(),
            _contact(local=("192.0.2.5", 4444), how=ACCEPTED),
            "incoming tcp 4444: denied by a rule in theirs",
        ),
        (_process(1), _contact(), "outgoing tcp 443: not judged, as it has a network of its own"),
        (_process(0), _contact(), "outgoing tcp 443: not judged, as its network is not known"),
        (_process(), _contact(protocol="raw"), "outgoing raw 443: not judged, as rules for raw are not evaluated"),
        # What audit(7) recorded has neither protocol nor this end.
        (_process(), _contact(protocol="", local=None), "outgoing port 443: accepted, as no rule looks at it"),
        (
            _process(),
            _contact(4444, protocol="", local=None),
            "outgoing port 4444: not judged, as it depends on the protocol, which is not known",
        ),
        (
            _process(),
            _contact(how=ACCEPTED, protocol="", local=None),
            "incoming: not judged, as the port of this host is not known",
        ),
        (
            Process(7, 1, None, None, 0, 1.0),
            _contact(),
            "outgoing tcp 443: accepted, as no rule looks at it (if the process ran in the network of the host)",
        ),
        (_process(), _contact(80, BOUND, address=_ANY), "tcp 80: everybody may connect, as no rule looks at it"),
        (_process(), _contact(80, BOUND, address="127.0.0.1"), "tcp 80: only this host can connect"),
    ],
)  # fmt: skip
def test_each_connection_is_judged_or_says_why_not(
    monkeypatch: pytest.MonkeyPatch, process: Process, contact: Contact, sentence: str
) -> None:
    assert _sentences(monkeypatch, (process, contact))[0] == [sentence]


def test_a_firewall_that_cannot_be_read_is_in_each_sentence_and_in_the_coverage(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    world = exposure.World((), "there is no nft\x1b on this host")
    sentences, budget = _sentences(monkeypatch, (_process(), _contact()), world=world)
    assert sentences == ["outgoing tcp 443: not judged, as there is no nft\\x1b on this host"]
    assert budget.skipped == [("firewall", "there is no nft\\x1b on this host")]


def test_without_time_nothing_is_judged(monkeypatch: pytest.MonkeyPatch) -> None:
    sentences, budget = _sentences(monkeypatch, (_process(), _contact()), seconds=0.0)
    assert sentences == ["outgoing tcp 443: not judged, as the time was over"]
    assert [(cut.limit, cut.left_out) for cut in budget.cuts] == [("seconds", 1)]


def test_many_connections_do_not_hide_one_that_is_denied(monkeypatch: pytest.MonkeyPatch) -> None:
    many = [(_process(1), _contact(port)) for port in range(100)] + [(_process(), _contact(4444))]
    sentences, _budget = _sentences(monkeypatch, *many)
    assert sentences[0] == "outgoing tcp 4444: denied by a rule in theirs"
    assert (len(sentences), sentences[-1]) == (21, "and 81 more")


def test_without_connections_the_firewall_is_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exposure, "look_both_ways", None)
    nodes = {"address:192.0.2.1": Node("address:192.0.2.1", "x"), "process:1@1": Node("process:1@1", "x")}
    passage.add(nodes, lambda _identity: [], ROUTES, Budget(10, 0))
    assert all("firewall" not in node.facts for node in nodes.values())
