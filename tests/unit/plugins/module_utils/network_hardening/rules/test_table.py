# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the rules become in the kernel, and that the same is decided without it."""

from __future__ import annotations

import typing as t

import pytest
from ansible_collections.bulwark.servers.plugins.module_utils.network_hardening.rules import decide, policy, table

RULES = [
    {"port": "22", "protocol": "tcp", "prefixes": ["10.0.0.0/8", "2001:db8::/32"], "closed": False},
    {"port": "8000-8100", "protocol": "both", "prefixes": ["10.1.0.0/16"], "closed": False},
    {"port": "23", "protocol": "tcp", "prefixes": [], "closed": True},
]


def made(**changes: t.Any) -> policy.Policy:
    fields = {
        "mode": "enforce",
        "rules": RULES,
        "blocked": ["203.0.113.0/24"],
        "always_allow": ["192.0.2.1"],
        "log": False,
    }
    return policy.parse({**fields, **changes})


def test_the_rules_are_these() -> None:
    found = table.rules(made()).chains
    not_new = [
        "meta iiftype loopback accept",
        "meta l4proto != { tcp, udp } accept",
        "tcp flags & (syn | ack) != syn accept",
        "meta l4proto udp ct state established accept",
    ]
    source = "ip saddr . meta l4proto . th dport"
    source6 = "ip6 saddr . meta l4proto . th dport"
    blocked = "ip saddr { 203.0.113.0/24 }"
    decided = [
        "ip6 saddr fe80::/10 udp sport 547 udp dport 546 accept",
        "udp sport 67 udp dport 68 accept",
        "ip saddr { 192.0.2.1 } accept",
        f"{blocked} update @blocked4 {{ {source} counter }} add @blocked_since4 {{ {source} }} counter drop",
        f"{blocked} meta nfproto ipv4 add @blocked_crowded4 {{ meta l4proto counter }} counter drop",
        f"{source} @grants4 accept",
        f"{source6} @grants6 accept",
        "meta l4proto != { tcp, udp } accept",
        "tcp dport != { 22, 23, 8000-8100 } accept",
        "udp dport != { 8000-8100 } accept",
        "tcp dport 22 ip saddr { 10.0.0.0/8 } accept",
        "tcp dport 22 ip6 saddr { 2001:db8::/32 } accept",
        "tcp dport 8000-8100 ip saddr { 10.1.0.0/16 } accept",
        "udp dport 8000-8100 ip saddr { 10.1.0.0/16 } accept",
        f"update @denied4 {{ {source} counter }} add @denied_since4 {{ {source} }} counter drop",
        f"{source} @denied_waiting4 update @denied_again4 {{ {source} counter }} counter drop",
        f"add @denied_waiting4 {{ {source} }} add @denied_crowded4 {{ meta l4proto counter }} counter drop",
        "meta nfproto ipv4 add @denied_crowded4 { meta l4proto counter } counter drop",
        f"update @denied6 {{ {source6} counter }} add @denied_since6 {{ {source6} }} counter drop",
        f"{source6} @denied_waiting6 update @denied_again6 {{ {source6} counter }} counter drop",
        f"add @denied_waiting6 {{ {source6} }} add @denied_crowded6 {{ meta l4proto counter }} counter drop",
        "meta nfproto ipv6 add @denied_crowded6 { meta l4proto counter } counter drop",
        "counter drop",
    ]
    assert found["prerouting"] == [*not_new, "fib daddr type != local accept", *decided]
    before = "ct status & dnat == 0 fib daddr type { local, broadcast, multicast } accept"
    assert found["input"] == [*not_new, before, *decided]


def test_in_audit_mode_nothing_is_dropped_and_the_rest_is_the_same() -> None:
    audit, enforce = table.rules(made(mode="audit")), table.rules(made())
    for hook, lines in audit.chains.items():
        assert not [line for line in lines if "drop" in line or "reject" in line]
        same = [line.replace("audited_", "").replace("counter accept", "counter drop") for line in lines]
        assert same == enforce.chains[hook]
    assert {name for name in audit.sets if "grants" not in name}.isdisjoint(enforce.sets)


def test_a_line_of_the_log_is_limited_and_says_what_became_of_it() -> None:
    for mode, word in (("audit", "would have denied"), ("enforce", "denied")):
        (line,) = [line for line in table.rules(made(mode=mode, log=True)).chains["prerouting"] if "log" in line]
        assert line == f'limit rate 6/minute burst 10 packets log prefix "bulwark {word}: "'


def test_who_is_only_blocked_leaves_all_others_alone() -> None:
    lines = table.rules(made(rules=[])).chains["prerouting"]
    assert {line.partition(" }")[0] for line in lines if "drop" in line} == {"ip saddr { 203.0.113.0/24"}


def test_on_trial_openings_let_nobody_in_and_the_rules_do() -> None:
    rules = table.rules(made())
    for lines in rules.tried.values():
        (opened,) = [number for number, line in enumerate(lines) if "@grants4" in line]
        assert lines[opened].endswith(" drop")
        assert opened > lines.index("udp dport 8000-8100 ip saddr { 10.1.0.0/16 } accept")
        assert opened < min(number for number, line in enumerate(lines) if "@denied" in line)
    assert table.rules(made(mode="audit")).tried == {}, "it is on no trial"


@pytest.mark.parametrize(
    ("source", "protocol", "port", "outcome"),
    [
        ("10.2.3.4", "tcp", 22, decide.LET_IN),
        ("2001:db8::1", "tcp", 22, decide.LET_IN),
        ("11.0.0.0", "tcp", 22, decide.DENIED),
        ("9.255.255.255", "tcp", 22, decide.DENIED),
        ("2001:db9::", "tcp", 22, decide.DENIED),
        ("10.2.3.4", "udp", 22, decide.LEFT_ALONE),
        ("10.1.3.4", "udp", 8100, decide.LET_IN),
        ("10.2.3.4", "tcp", 8000, decide.DENIED),
        ("10.2.3.4", "tcp", 8101, decide.LEFT_ALONE),
        ("10.2.3.4", "tcp", 23, decide.DENIED),
        ("192.0.2.1", "tcp", 23, decide.ALWAYS),
        ("203.0.113.255", "tcp", 9999, decide.BLOCKED),
        ("::1", "tcp", 9999, decide.LEFT_ALONE),
    ],
)
def test_the_decision_is_that_of_the_rules(source: str, protocol: str, port: int, outcome: str) -> None:
    assert decide.Decision(made()).of(source, protocol, port) == outcome
