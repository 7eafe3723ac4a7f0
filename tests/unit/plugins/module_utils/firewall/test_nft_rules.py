# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is said of the first packet of a connection by rules about flags, and by sets that are known."""

from __future__ import annotations

import dataclasses
import ipaddress
import typing as t

import pytest
from ansible_collections.bulwark.servers.plugins.module_utils.firewall import nft_rules, verdict
from ansible_collections.bulwark.servers.plugins.module_utils.firewall.verdict import ACCEPT, DENY, Packet

FLAGS = {"payload": {"protocol": "tcp", "field": "flags"}}
BOTH = {"|": ["syn", "ack"]}
TABLE = {"family": "inet", "table": "x"}


def possible(*matches: t.Any, protocol: str = "tcp", sets: t.Sequence[t.Any] = (), complete: bool = True) -> set[str]:
    """Return what can become of a packet that is dropped where all matches hold."""
    packet = Packet(protocol, (22, 22), ipaddress.ip_network("192.0.2.7"))
    objects = [
        {"table": {"family": "inet", "name": "x"}},
        *({"set": {**TABLE, **one}} for one in sets),
        {"chain": {**TABLE, "name": "in", "hook": "input", "type": "filter", "policy": "accept"}},
        {"rule": {**TABLE, "chain": "in", "expr": [*({"match": one} for one in matches), {"drop": None}]}},
    ]
    (table,) = nft_rules.tables(objects, complete)
    return set(table.decide(packet))


@pytest.mark.parametrize(
    ("operation", "left", "right", "holds"),
    [
        ("!=", {"&": [FLAGS, BOTH]}, "syn", False),
        ("==", {"&": [FLAGS, BOTH]}, "syn", True),
        ("==", {"&": [FLAGS, BOTH]}, BOTH, False),
        ("==", {"&": [FLAGS, "syn"]}, 0, False),
        ("!=", {"&": [FLAGS, "syn"]}, 0, True),
        ("==", {"&": [FLAGS, ["fin", "rst"]]}, 0, True),
        ("!", FLAGS, "syn", False),
        ("!", FLAGS, "ack", True),
        ("==", {"&": [FLAGS, 2]}, "syn", None),
    ],
)
def test_the_first_packet_of_a_connection_has_the_flag_syn_alone(
    operation: str, left: t.Any, right: t.Any, holds: bool | None
) -> None:
    match = {"op": operation, "left": left, "right": right}
    assert possible(match) == {True: {DENY}, False: {ACCEPT}, None: {ACCEPT, DENY}}[holds]
    assert possible(match, protocol="udp") == {ACCEPT}


def test_a_set_without_elements_is_empty_where_all_are_known() -> None:
    match = {"op": "==", "left": {"payload": {"protocol": "ip", "field": "saddr"}}, "right": "@some"}
    assert possible(match, sets=[{"name": "some"}]) == {ACCEPT}
    assert possible(match, sets=[{"name": "some"}], complete=False) == {ACCEPT, DENY}
    assert possible(match, sets=[{"name": "some", "elem": ["192.0.2.7"]}]) == {DENY}


def test_a_flag_that_no_new_connection_has_is_not_set() -> None:
    assert possible({"op": "!", "left": {"ct": {"key": "status"}}, "right": "dnat"}) == {DENY}
    assert verdict.opposite(None) is None


_GOES = Packet(
    "tcp",
    (443, 443),
    ipaddress.ip_network("192.0.2.5"),
    ipaddress.ip_network("203.0.113.9"),
    "eth0",
    outgoing=True,
)
_COMES = Packet("tcp", (22, 22), ipaddress.ip_network("203.0.113.9"), ipaddress.ip_network("192.0.2.5"), "eth0")


def _match(left: t.Any, right: t.Any, operation: str = "==") -> dict[str, t.Any]:
    return {"match": {"op": operation, "left": left, "right": right}}


def _meta(key: str) -> dict[str, t.Any]:
    return {"meta": {"key": key}}


def _daddr(protocol: str) -> dict[str, t.Any]:
    return {"payload": {"protocol": protocol, "field": "daddr"}}


@pytest.mark.parametrize(
    ("packet", "match", "denied"),
    [
        (_GOES, _match(_meta("oifname"), "eth0"), True),
        (_GOES, _match(_meta("oifname"), "eth*"), True),
        (_GOES, _match(_meta("oifname"), "lo"), False),
        (_GOES, _match(_meta("oifname"), "eth1", "!="), True),
        (dataclasses.replace(_GOES, interface="lo"), _match(_meta("oifname"), "lo"), True),
        (_GOES, _match(_meta("iifname"), "eth0"), None),
        (_GOES, _match(_daddr("ip"), {"prefix": {"addr": "203.0.113.0", "len": 24}}), True),
        (_GOES, _match(_daddr("ip"), "198.51.100.1"), False),
        (_GOES, _match(_daddr("ip6"), "::1"), False),
        (_GOES, _match(_meta("skuid"), 33), None),
        (_GOES, _match({"fib": {"result": "type", "flags": ["daddr"]}}, "local"), None),
        (_COMES, _match(_meta("iifname"), {"set": ["eth0", "eth1"]}), True),
        (_COMES, _match(_meta("iifname"), "eth1"), False),
        # The interface is known by the route back to the peer.
        (_COMES, _match({"fib": {"result": "oif", "flags": ["saddr", "iif"]}}, False), False),
        (_COMES, _match({"fib": {"result": "check", "flags": ["saddr", "iif"]}}, True), True),
        (
            dataclasses.replace(_COMES, interface=""),
            _match({"fib": {"result": "oif", "flags": ["saddr"]}}, False),
            None,
        ),
    ],
)
def test_where_a_packet_comes_from_and_goes_to(packet: Packet, match: dict[str, t.Any], denied: bool | None) -> None:
    named = {"family": "inet", "table": "a"}
    hook = "output" if packet.outgoing else "input"
    chain = {"chain": {**named, "name": "c", "type": "filter", "hook": hook, "policy": "accept"}}
    rule = {"rule": {**named, "chain": "c", "handle": 4, "expr": [match, {"drop": None}]}}
    (table,) = nft_rules.tables([chain, rule], True, nft_rules.HOOKS, {("inet", "a", 4): "a b drop"})
    expected = {
        True: {verdict.DENY: "a b drop (chain c)"},
        False: {verdict.ACCEPT: "the policy of chain c"},
        None: {verdict.ACCEPT: "the policy of chain c", verdict.DENY: "a b drop (chain c)"},
    }
    assert table.decide(packet) == expected[denied]
    # What comes in does not pass the hooks of what goes out.
    assert table.decide(dataclasses.replace(packet, outgoing=not packet.outgoing)) == {verdict.ACCEPT: ""}


@pytest.mark.parametrize(("hooks", "outcomes"), [(nft_rules.HOOKS, {"redirect"}), (("prerouting", "input"), None)])
def test_what_is_redirected_is_left_open_for_those_who_look_at_all_hooks(
    hooks: t.Sequence[str], outcomes: set[str] | None
) -> None:
    named = {"family": "ip", "table": "nat"}
    chain = {"chain": {**named, "name": "c", "type": "nat", "hook": "prerouting", "policy": "accept"}}
    match = _match({"payload": {"protocol": "tcp", "field": "dport"}}, 22)
    rule = {"rule": {**named, "chain": "c", "handle": 4, "expr": [match, {"dnat": {"addr": "192.0.2.9"}}]}}
    found = nft_rules.tables([chain, rule], True, hooks)
    assert [set(table.decide(_COMES)) for table in found] == ([outcomes] if outcomes else [])
    assert all(set(table.decide(dataclasses.replace(_COMES, ports=(80, 80)))) == {ACCEPT} for table in found)
