# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rules that can be used come back as they were written; each that can't is refused with one sentence."""

from __future__ import annotations

import typing as t

import pytest
from ansible_collections.bulwark.servers.plugins.module_utils.network_hardening.rules import policy
from ansible_collections.bulwark.servers.plugins.module_utils.network_hardening.rules.policy import PolicyError


def item(**changes: t.Any) -> dict[str, t.Any]:
    return {"port": "22", "protocol": "tcp", "prefixes": ["10.0.0.0/8"], "closed": False, **changes}


def fields(**changes: t.Any) -> dict[str, t.Any]:
    return {"mode": "audit", "rules": [item()], "blocked": [], "always_allow": [], "log": False, **changes}


def test_a_policy_is_put_in_one_form() -> None:
    found = policy.parse(
        fields(
            rules=[
                item(port="8000 - 8100", protocol="both", prefixes=["10.0.1.0/24", "10.0.0.0/24", "2001:DB8::1"]),
                item(port=23, prefixes=[], closed=True),
                item(prefixes=["0.0.0.0/0"]),
            ],
            blocked=["203.0.113.1/32", "203.0.113.0"],
            always_allow=["192.0.2.1"],
            log=True,
        )
    )
    assert found.fields() == {
        "mode": "audit",
        "rules": [
            {"port": "22", "protocol": "tcp", "prefixes": ["0.0.0.0/0"], "closed": False},
            {"port": "23", "protocol": "tcp", "prefixes": [], "closed": True},
            {"port": "8000-8100", "protocol": "both", "prefixes": ["10.0.0.0/23", "2001:db8::1"], "closed": False},
        ],
        "blocked": ["203.0.113.0/31"],
        "always_allow": ["192.0.2.1"],
        "log": True,
    }
    assert policy.parse(found.fields()) == found


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"rules": []},
            "rules is empty; list the ports and their allowed prefixes, or remove everything with state=absent",
        ),
        ({"mode": "block"}, "mode 'block' is not one of audit and enforce"),
        (
            {"rules": [item(), item(port="0")]},
            "rules, item 2: '0' is not a port; use a number from 1 to 65535, or a range such as 8000-8100",
        ),
        (
            {"rules": [item(prefixes=[])]},
            "rules, item 1: prefixes is empty, which would close port 22 for everybody; say closed=true if",
        ),
        (
            {"rules": [item(closed=True)]},
            "rules, item 1: closed is true, but prefixes is not empty; leave one of them out",
        ),
        (
            {"rules": [item(prefixes=["10.0.0.0/33"])]},
            "rules, item 1: prefixes: '10.0.0.0/33' is not an address or prefix; write one such as 192.0.2.7,",
        ),
        (
            {"rules": [item(prefixes=["10.0.0.1/8"])]},
            "rules, item 1: prefixes: '10.0.0.1/8' has more bits than its prefix is long; write 10.0.0.0/8",
        ),
        (
            {"rules": [item(port="20-30"), item(protocol="both")]},
            "rules: 20-30 (tcp) and 22 (both) have TCP ports in common; name each port once",
        ),
        (
            {"rules": [item(port=str(number)) for number in range(1, 202)]},
            "rules has 201 items; use at most 200, and join ports to ranges",
        ),
        (
            {"rules": [item(prefixes=[f"10.0.{part // 128}.{part % 128 * 2}" for part in range(257)])]},
            "rules, item 1: prefixes has 257 items; use at most 256, and name wider ones",
        ),
        (
            {"blocked": ["0.0.0.0/0"]},
            "blocked: 0.0.0.0/0 is too wide to be meant; use a length of 8 or more",
        ),
        ({"blocked": ["::/0"]}, "blocked: ::/0 is too wide to be meant; use a length of 16 or more"),
        ({"blocked": ["fe80::/64"]}, "blocked: fe80::/64 is nobody's address on the network; leave it out"),
        ({"blocked": ["127.0.0.1"]}, "blocked: 127.0.0.1 is nobody's address on the network; leave it out"),
        ({"blocked": ["host.example"]}, "blocked: 'host.example' is not an address or prefix; write one such as"),
        ({"blocked": ["10.0.0.1"] * 4097}, "blocked has 4097 items; use at most 4096, and block wider prefixes"),
        (
            {"always_allow": ["::/0"]},
            "always_allow: ::/0 is everybody, so nothing would be denied; name fewer",
        ),
        (
            {"rules": [item(prefixes=["10.0.0.0/8", "192.0.2.7"])], "blocked": ["192.0.2.0/24"]},
            "rules, item 1: 192.0.2.7 is within 192.0.2.0/24 of blocked, so it would never be allowed; remove one",
        ),
    ],
)
def test_what_is_wrong_is_named(changes: dict[str, t.Any], message: str) -> None:
    with pytest.raises(PolicyError) as caught:
        policy.parse(fields(**changes))
    assert str(caught.value).startswith(message)


def test_a_part_of_who_is_let_in_may_be_blocked() -> None:
    found = policy.parse(fields(blocked=["10.1.2.3"], always_allow=["10.1.0.0/16"]))
    assert policy.without_effect(found) == ["10.1.2.3 of blocked is within always_allow, so that it is not blocked"]


def test_people_read_what_becomes_of_both_versions_of_ip() -> None:
    found = policy.parse(
        fields(
            mode="enforce",
            rules=[
                item(),
                item(port="23", prefixes=[], closed=True),
                item(port="24", prefixes=["2001:db8::/32"]),
                item(port="25", prefixes=["10.0.0.0/8", "2001:db8::/32"]),
            ],
            blocked=["203.0.113.7"],
            always_allow=["192.0.2.1"],
            log=True,
        )
    )
    assert policy.lines(found) == [
        "mode enforce: denies",
        "port 22 (tcp): let in 10.0.0.0/8",
        "port 22 (tcp): deny everybody else, and everybody by IPv6",
        "port 23 (tcp): deny everybody, by IPv4 and by IPv6",
        "port 24 (tcp): let in 2001:db8::/32",
        "port 24 (tcp): deny everybody else, and everybody by IPv4",
        "port 25 (tcp): let in 10.0.0.0/8",
        "port 25 (tcp): let in 2001:db8::/32",
        "port 25 (tcp): deny everybody else",
        "all ports: block 203.0.113.7",
        "all ports: never deny 192.0.2.1",
        "write some of what is denied to the kernel's log",
    ]
