# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The text for nft: what a policy and grants become in it."""

from __future__ import annotations

import dataclasses

from ansible_collections.bulwark.servers.plugins.module_utils.firewall.rectangles import Rectangle
from ansible_collections.bulwark.servers.plugins.module_utils.jit_access import table
from ansible_collections.bulwark.servers.plugins.module_utils.jit_access.policy import parse

TEN = 10 << 24


def test_only_what_the_policy_has_is_in_the_rules() -> None:
    lines = table.rules(parse([{"port": "22"}], [])).chains["input"]
    assert lines[:3] == ["meta iiftype loopback accept", "meta l4proto != { tcp } accept", "tcp dport != { 22 } accept"]
    assert lines[-1] == "counter drop"
    assert not [line for line in lines if "udp" in line or "cut" in line or "ip saddr {" in line]

    policy = parse(
        [{"port": "22", "close_connections": True}, {"port": "53", "protocol": "udp"}], ["10.0.0.0/8", "2001:db8::1"]
    )
    lines = table.rules(policy).chains["input"]
    assert "udp dport != { 53 } accept" in lines
    assert "ip saddr { 10.0.0.0/8 } accept" in lines
    assert "ip6 saddr { 2001:db8::1/128 } accept" in lines
    assert [line.split(" @")[0] for line in lines if "@cut" in line] == [
        "tcp dport { 22 } tcp flags & syn == 0x0 ip saddr . meta l4proto . th dport",
        "tcp dport { 22 } tcp flags & syn == 0x0 ip6 saddr . meta l4proto . th dport",
    ]


def test_what_is_only_passed_on_is_left_alone_and_what_is_published_is_not() -> None:
    plain = table.rules(parse([{"port": "22"}], []))
    assert list(plain.chains) == ["prerouting", "input", "output", "forward"]
    assert list(table.rules(parse([{"port": "53", "protocol": "udp"}], [])).chains) == ["prerouting", "input"]
    lines = plain.chains["prerouting"]
    # Looked up for packets to locked ports alone: a router forwards many.
    assert lines.index("fib daddr type != local accept") == lines.index("tcp dport != { 22 } accept") + 1
    decisions = [line for line in lines if not line.startswith("fib") and "@used" not in line and "@known" not in line]
    assert decisions == list(plain.chains["input"])

    cut = table.rules(parse([{"port": "22", "close_connections": True}], []))
    assert [line.split(" @")[0] for line in cut.chains["forward"] if "@cut" in line] == [
        f"ct status dnat meta l4proto tcp ct original proto-dst {{ 22 }} tcp flags & syn == 0x0 {source} . meta l4proto"
        " . ct original proto-dst"
        for source in ("ip saddr", "ip6 saddr")
    ]
    assert not [line for line in cut.chains["prerouting"] if "reject" in line], "kernels before 5.9 can't do that there"


def test_openings_let_nobody_in_on_trial_and_the_policy_stays_the_same() -> None:
    rules = table.rules(parse([{"port": "22"}], ["10.0.0.1"]))
    for hook in ("prerouting", "input"):
        assert [line for line in rules.chains[hook] if "@grants4" in line and line.endswith("accept")]
        assert {line.split()[-1] for line in rules.tried[hook] if "@grants" in line} == {"drop"}
        always = "ip saddr { 10.0.0.1/32 } accept"
        assert rules.chains[hook].index(always) == rules.tried[hook].index(always)
    assert dataclasses.replace(rules, tried={}).digest == rules.digest


def test_who_may_ask_is_not_in_the_kernel() -> None:
    one = parse([{"port": "22", "sources": ["10.0.0.0/8"], "max_duration": 600}], [])
    assert table.rules(one).digest == table.rules(parse([{"port": "22"}], [])).digest


def test_grants_take_the_place_of_what_is_in_the_sets_with_the_time_that_is_left() -> None:
    grants = [
        Rectangle(4, "tcp", 22, 22, TEN + 7, TEN + 7, 100.5),
        Rectangle(4, "udp", 8000, 8010, TEN, TEN + 255, 90.25),
        Rectangle(4, "tcp", 23, 23, TEN, TEN, 80.0),
        Rectangle(6, "tcp", 22, 22, 1, 1, 81.0),
    ]
    cut = [Rectangle(4, "tcp", 22, 22, TEN, TEN + 1, 0.0)]
    assert table.fill(grants, cut, 80.0).splitlines() == [
        "flush set inet bulwark_jit grants4",
        "add element inet bulwark_jit grants4 { %s }"
        % "10.0.0.7 . tcp . 22 timeout 20500ms, 10.0.0.0-10.0.0.255 . udp . 8000-8010 timeout 10250ms",
        "flush set inet bulwark_jit grants6",
        "add element inet bulwark_jit grants6 { ::1 . tcp . 22 timeout 1000ms }",
        "flush set inet bulwark_jit cut4",
        "add element inet bulwark_jit cut4 { 10.0.0.0-10.0.0.1 . tcp . 22 }",
        "flush set inet bulwark_jit cut6",
    ]
