# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a firewall of others may do with a packet, where that is in doubt."""

from __future__ import annotations

import ipaddress
import typing as t

import hypothesis
import hypothesis.strategies as st
import pytest
from ansible_collections.bulwark.servers.plugins.module_utils.firewall import iptables_rules, nft_rules, verdict
from ansible_collections.bulwark.servers.plugins.module_utils.firewall.verdict import ACCEPT, DENY, Packet, Step

BOTH = frozenset((ACCEPT, DENY))
PACKET = Packet("tcp", (22, 22), ipaddress.ip_network("10.0.0.0/24"))


@pytest.mark.parametrize(
    ("chains", "expected"),
    [
        ({}, {DENY}),
        ({"in": [Step(False, "accept")]}, {DENY}),
        ({"in": [Step(True, "accept"), Step(True, "deny")]}, {ACCEPT}),
        ({"in": [Step(None, "accept")]}, BOTH),
        ({"in": [Step(None, "deny")]}, {DENY}),
        ({"in": [Step(None, "deny"), Step(True, "accept")]}, BOTH),
        ({"in": [Step(True, "jump", "a"), Step(True, "accept")],
          "a": [Step(True, "return"), Step(True, "deny")]}, {ACCEPT}),
        ({"in": [Step(True, "goto", "a"), Step(True, "accept")], "a": []}, {DENY}),
        ({"in": [Step(True, "jump", "a"), Step(True, "accept")], "a": [Step(None, "deny")]}, BOTH),
        ({"in": [Step(True, "jump", "a"), Step(True, "accept")], "a": [Step(True, "deny")]}, {DENY}),
        ({"in": [Step(True, "unknown"), Step(True, "accept")]}, BOTH),
        # The kernel takes no such rules; who writes them into its answer must not stall us.
        ({"in": [Step(True, "jump", "in")]}, BOTH),
    ],
)  # fmt: skip
def test_what_is_possible(chains: dict[str, list[Step]], expected: t.AbstractSet[str]) -> None:
    assert verdict.possible(lambda chain: chains.get(chain, []), "in", DENY) == expected


_steps = st.builds(
    Step,
    st.sampled_from([True, False, None]),
    st.sampled_from(["accept", "deny", "return", "jump", "goto"]),
    st.just(""),
)


@hypothesis.given(st.lists(st.lists(_steps, max_size=5), min_size=1, max_size=4), st.randoms(use_true_random=False))
def test_what_really_becomes_of_it_is_among_what_is_possible(chains: list[list[Step]], chance: t.Any) -> None:
    # Chains lead to later ones only, as in the kernel.
    named = {
        str(number): [Step(step.holds, step.action, str(chance.randint(number + 1, len(chains)))) for step in steps]
        for number, steps in enumerate(chains)
    }
    found = verdict.possible(lambda chain: named.get(chain, []), "0", ACCEPT)
    for _time in range(20):
        assert (_happens(named, "0", chance) or ACCEPT) in found


def _happens(chains: dict[str, list[Step]], chain: str, chance: t.Any) -> str | None:
    for step in chains.get(chain, []):
        if step.holds is False or (step.holds is None and chance.random() < 0.5):
            continue
        if step.action in (ACCEPT, DENY):
            return step.action
        if step.action == "return":
            return None
        below = _happens(chains, step.target, chance)
        if below or step.action == "goto":
            return below
    return None


@pytest.mark.parametrize(
    ("first", "last", "expected"),
    [
        ("10.0.0.0/8", None, True),
        ("10.0.0.0/24", None, True),
        ("10.0.0.0/25", None, None),
        ("10.0.1.0/24", None, False),
        ("fd99::/64", None, False),
        ("10.0.0.0", "10.0.0.255", True),
        ("10.0.0.1", "10.0.0.255", None),
        ("fd99::", "fd99::5", False),
    ],
)
def test_a_source_is_within_or_not_or_in_part(first: str, last: str | None, expected: bool | None) -> None:
    assert verdict.within(PACKET.source, first, last) is expected


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("-p tcp --dport 22 -j DROP", {DENY}),
        ("-p tcp --dport 1:1024 -j DROP", {DENY}),
        ("-p tcp --dport ssh -j DROP", BOTH),
        ("-p udp --dport 22 -j DROP", {ACCEPT}),
        ("-p tcp ! --dport 22 -j DROP", {ACCEPT}),
        ("! -p tcp -j DROP", {ACCEPT}),
        ("-s 10.0.0.5 -j DROP", BOTH),
        ("-m iprange --src-range 10.0.0.0-10.0.1.0 -j DROP", {DENY}),
        ("-m conntrack --ctstate ESTABLISHED -j DROP", {ACCEPT}),
        ("-m set --match-set bad src -j DROP", BOTH),
        ("-m tcp --tcp-option ! 5 -j DROP", BOTH),
        ("-j NFQUEUE --queue-num 1", BOTH),
        ("-j MARK --set-xmark 0x1", {ACCEPT}),
        ("-g other", {ACCEPT}),
    ],
)
def test_a_rule_of_iptables(line: str, expected: t.AbstractSet[str]) -> None:
    text = f"*filter\n:INPUT ACCEPT [0:0]\n:other - [0:0]\n-A INPUT {line}\nCOMMIT\n"
    (table,) = iptables_rules.tables(text, "ipv4")
    assert set(table.decide(PACKET)) == expected
    assert set(table.decide(Packet("tcp", (22, 22), ipaddress.ip_network("fd99::1")))) == {ACCEPT}


def test_tables_that_let_everything_in_are_not_named() -> None:
    assert (
        iptables_rules.tables("*filter\n:INPUT ACCEPT [0:0]\nCOMMIT\n*nat\n:INPUT DROP [0:0]\nCOMMIT\n", "ipv4") == []
    )
    assert nft_rules.tables([{"table": {"family": "inet", "name": "a"}}]) == []


def test_what_iptables_translated_and_nft_cannot_name_is_left_open() -> None:
    chain = {"family": "ip", "table": "filter", "name": "INPUT", "hook": "input", "type": "filter", "policy": "accept"}
    rule = {
        "family": "ip",
        "table": "filter",
        "chain": "INPUT",
        "expr": [{"xt": None}, {"counter": {}}, {"drop": None}],
    }
    (table,) = nft_rules.tables([{"chain": chain}, {"rule": rule}])
    assert set(table.decide(PACKET)) == BOTH
    # A set of which only the name is known.
    match = {"match": {"op": "==", "left": {"payload": {"protocol": "ip", "field": "saddr"}}, "right": "@bad"}}
    (table,) = nft_rules.tables([{"chain": chain}, {"rule": {**rule, "expr": [match, {"drop": None}]}}])
    assert set(table.decide(PACKET)) == BOTH


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("-o eth0 -d 203.0.113.0/24 -j DROP", {DENY}),
        ("-o eth+ -j DROP", {DENY}),
        ("! -o eth0 -j DROP", {ACCEPT}),
        ("-o lo -j DROP", {ACCEPT}),
        ("-d 198.51.100.1 -j DROP", {ACCEPT}),
        ("-m owner --uid-owner 33 -j DROP", BOTH),
    ],
)
def test_a_rule_of_iptables_for_what_goes_out(line: str, expected: t.AbstractSet[str]) -> None:
    text = f"*filter\n:INPUT DROP [0:0]\n:OUTPUT ACCEPT [0:0]\n-A OUTPUT {line}\nCOMMIT\n"
    (table,) = iptables_rules.tables(text, "ipv4", nft_rules.HOOKS)
    own, peer = ipaddress.ip_network("192.0.2.5"), ipaddress.ip_network("203.0.113.9")
    decisions = table.decide(Packet("tcp", (443, 443), own, peer, "eth0", outgoing=True))
    assert set(decisions) == expected
    assert decisions.get(DENY, f"-A OUTPUT {line}") == f"-A OUTPUT {line}"


def test_what_one_chain_denies_no_other_accepts() -> None:
    assert verdict.together([{ACCEPT: "a"}, {DENY: "b"}, {ACCEPT: "c"}]) == {DENY: "b"}
    assert verdict.together([{ACCEPT: "a", DENY: "b"}, {ACCEPT: "c"}]) == {ACCEPT: "a", DENY: "b"}
    assert verdict.together([{DENY: "a"}, {ACCEPT: "", "redirect": "b"}]) == {ACCEPT: "", "redirect": "b"}
    assert verdict.together([]) == {ACCEPT: ""}
