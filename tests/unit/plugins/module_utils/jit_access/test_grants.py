# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Requests that the policy allows, and those that it refuses with one sentence."""

from __future__ import annotations

import typing as t

import pytest
from ansible_collections.bulwark.servers.plugins.module_utils.jit_access import grants
from ansible_collections.bulwark.servers.plugins.module_utils.jit_access.policy import parse

POLICY = parse(
    [
        {"port": "22", "protocol": "tcp", "sources": ["10.0.0.0/8", "2001:db8::/32"], "max_duration": 3600},
        {"port": "8000-8049", "protocol": "both", "max_duration": 7200},
        {"port": "8050-8100", "protocol": "tcp", "max_duration": 600},
    ],
    [],
)


def asked(**changes: t.Any) -> grants.Request:
    fields = {
        "requested_for": "ada",
        "requested_by": None,
        "reason": "a ticket",
        "ports": ["22"],
        "protocol": "tcp",
        "sources": ["10.1.2.3"],
        "duration": 600,
    }
    return grants.request({**fields, **changes})


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"duration": 3600},
        {"sources": ["10.0.0.0/8", "2001:db8::7"]},
        {"ports": ["8000-8100"], "sources": ["192.0.2.7"]},
        {"ports": ["8001", "8003-8005"], "protocol": "both", "duration": 7200},
    ],
)
def test_what_the_policy_has_is_allowed(changes: dict[str, t.Any]) -> None:
    grants.check(POLICY, asked(**changes))
    assert grants.allows(POLICY, asked(**changes))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"ports": ["23"]}, "ports: the policy does not lock TCP port 23; it locks 22, 8000-8049, 8050-8100"),
        ({"ports": ["21-22"]}, "ports: the policy does not lock TCP port 21; it locks"),
        ({"ports": ["22-23"]}, "ports: the policy does not lock TCP port 23; it locks"),
        ({"protocol": "udp"}, "ports: the policy does not lock UDP port 22; it locks 8000-8049"),
        ({"ports": ["8050"], "protocol": "both"}, "ports: the policy does not lock UDP port 8050; it locks"),
        ({"duration": 3601}, "duration is 3601 seconds, and the policy allows at most 3600 for port 22; ask for less"),
        (
            {"ports": ["8000-8100"], "duration": 601},
            "duration is 601 seconds, and the policy allows at most 600 for port 8050-8100; ask for less",
        ),
        ({"duration": 299}, "duration is 299 seconds; ask for 300 (5 minutes) or more"),
        (
            {"sources": ["192.0.2.7"]},
            "sources: 192.0.2.7 may not request port 22; the policy allows 10.0.0.0/8, 2001:db8::/32",
        ),
        ({"sources": ["10.1.2.3", "8.0.0.0/5"]}, "sources: 8.0.0.0/5 may not request port 22; the policy allows"),
        ({"sources": ["2001:db9::1"]}, "sources: 2001:db9::1 may not request port 22; the policy allows"),
    ],
)
def test_what_it_has_not_is_refused_with_one_sentence(changes: dict[str, t.Any], message: str) -> None:
    with pytest.raises(grants.RefusedError) as caught:
        grants.check(POLICY, asked(**changes))
    assert str(caught.value).startswith(message)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"ports": []}, "ports is empty; name the ports that are to be opened"),
        ({"sources": []}, "sources is empty; name the addresses or prefixes that the ports are to be opened for"),
        ({"ports": ["x"]}, "ports: 'x' is not a port; use a number from 1 to 65535, or a range such as 8000-8100"),
        ({"sources": ["10.0.0.1/8"]}, "sources: '10.0.0.1/8' has more bits than its prefix is long; write 10.0.0.0/8"),
        ({"protocol": "icmp"}, "protocol: protocol 'icmp' is not one of tcp, udp and both"),
    ],
)
def test_what_is_no_request_is_said_in_one_sentence(changes: dict[str, t.Any], message: str) -> None:
    with pytest.raises(ValueError) as caught:  # noqa: PT011 - the message is looked at
        asked(**changes)
    assert str(caught.value) == message


def test_the_longest_time_is_that_of_all_ports() -> None:
    assert grants.longest(POLICY, asked()) == 3600
    assert grants.longest(POLICY, asked(ports=["8000-8100"])) == 600


def test_a_newer_request_replaces_one_for_the_same() -> None:
    opened = grants.Grant("a", asked(), 1.0, 2.0, 3.0)
    same = asked(ports=["22", "22-22"], sources=["10.1.2.3/32"], duration=900, reason="another", requested_by="bob")
    assert grants.replaced([opened], same) == [opened]
    for changes in ({"requested_for": "bob"}, {"ports": ["8000"]}, {"sources": ["10.1.2.4"]}):
        assert grants.replaced([opened], asked(**changes)) == []


def test_a_grant_comes_back_from_the_state_as_it_was() -> None:
    one = grants.Grant("a", asked(sources=["10.0.0.0/24", "2001:db8::1"], ports=["22", "8000-8049"]), 1.5, 2.5, 3.5)
    assert grants.grant(one.fields()) == one


def test_a_grant_opens_each_source_and_port() -> None:
    one = grants.Grant(
        "a", asked(sources=["10.0.0.0/31", "2001:db8::1"], ports=["8000-8001"], protocol="both"), 0.0, 0.0, 9.0
    )
    found = [
        (r.version, r.protocol, r.first_port, r.last_port, r.last - r.first, r.end) for r in grants.rectangles([one])
    ]
    assert sorted(found) == [
        (4, "tcp", 8000, 8001, 1, 9.0),
        (4, "udp", 8000, 8001, 1, 9.0),
        (6, "tcp", 8000, 8001, 0, 9.0),
        (6, "udp", 8000, 8001, 0, 9.0),
    ]
