# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A policy that can be used comes back as it was written; each that can't is refused with one sentence."""

from __future__ import annotations

import typing as t

import pytest
from ansible_collections.bulwark.servers.plugins.module_utils.firewall import words
from ansible_collections.bulwark.servers.plugins.module_utils.jit_access.policy import PolicyError, parse


def item(**changes: t.Any) -> dict[str, t.Any]:
    return {
        "port": "22",
        "protocol": "tcp",
        "sources": None,
        "max_duration": 10800,
        "close_connections": False,
        **changes,
    }


def test_a_policy_is_put_in_one_form() -> None:
    policy = parse(
        [
            item(
                port="8000 - 8100",
                protocol="both",
                sources=["10.0.1.0/24", "10.0.0.0/24", "2001:DB8::1"],
                close_connections=True,
            ),
            item(),
        ],
        ["192.0.2.1/32"],
    )
    assert policy.fields() == {
        "ports": [
            {"port": "22", "protocol": "tcp", "sources": None, "max_duration": 10800, "close_connections": False},
            {
                "port": "8000-8100",
                "protocol": "both",
                "sources": ["10.0.0.0/23", "2001:db8::1"],
                "max_duration": 10800,
                "close_connections": True,
            },
        ],
        "always_allow": ["192.0.2.1"],
    }
    assert parse(policy.fields()["ports"], policy.fields()["always_allow"]) == policy


@pytest.mark.parametrize(
    ("ports", "always", "message"),
    [
        ([], [], "ports is empty; list the ports to lock, or remove everything with state=absent"),
        (
            [item(), item(port="0")],
            [],
            "ports, item 2: '0' is not a port; use a number from 1 to 65535, or a range such as 8000-8100",
        ),
        ([item(port="70000")], [], "ports, item 1: '70000' is not a port; use a number from 1 to 65535, or"),
        ([item(port="ssh")], [], "ports, item 1: 'ssh' is not a port; use a number from 1 to 65535, or"),
        ([item(port="22,23")], [], "ports, item 1: '22,23' is not a port; use a number from 1 to 65535, or"),
        ([item(port="22-")], [], "ports, item 1: '22-' is not a port; use a number from 1 to 65535, or"),
        ([item(port=None)], [], "ports, item 1: 'None' is not a port; use a number from 1 to 65535, or"),
        (
            [item(port="90-80")],
            [],
            "ports, item 1: the range '90-80' ends before it begins; write the lower port first",
        ),
        ([item(protocol="sctp")], [], "ports, item 1: protocol 'sctp' is not one of tcp, udp and both"),
        (
            [item(max_duration=299)],
            [],
            "ports, item 1: max_duration is 299; use 300 (5 minutes) to 86400 seconds (1 day)",
        ),
        (
            [item(max_duration=86401)],
            [],
            "ports, item 1: max_duration is 86401; use 300 (5 minutes) to 86400 seconds (1 day)",
        ),
        (
            [item(sources=["10.0.0.5/24"])],
            [],
            "ports, item 1: sources: '10.0.0.5/24' has more bits than its prefix is long; write 10.0.0.0/24",
        ),
        (
            [item(sources=["gateway"])],
            [],
            "ports, item 1: sources: 'gateway' is not an address or prefix; write one such as 192.0.2.7, 192.0.2.0/24",
        ),
        (
            [item(sources=["010.0.0.1"])],
            [],
            "ports, item 1: sources: '010.0.0.1' is not an address or prefix; write one such as",
        ),
        (
            [item(sources=[])],
            [],
            "ports, item 1: sources is empty, so nobody could request access; name prefixes, or leave it out",
        ),
        (
            [item()],
            ["0.0.0.0/0"],
            "always_allow: 0.0.0.0/0 is everybody, so nothing would be locked; name fewer",
        ),
        (
            [item()],
            ["0.0.0.0/1", "128.0.0.0/1"],
            "always_allow: 0.0.0.0/0 is everybody, so nothing would be locked",
        ),
        (
            [item()],
            ["::ffff:192.0.2.1"],
            "always_allow: '::ffff:192.0.2.1' is an IPv4 address in IPv6 clothes; write it as IPv4",
        ),
        (
            [item(port="80-90"), item(port="85", protocol="both")],
            [],
            "ports: 80-90 (tcp) and 85 (both) have TCP ports in common; name each port once",
        ),
        (
            [item(port="1-100"), item(port="5"), item(port="90", protocol="udp")],
            [],
            "ports: 1-100 (tcp) and 5 (tcp) have TCP ports in common; name each port once",
        ),
        ([item()] * 501, [], "ports has 501 items; use at most 500, with ranges of ports in them"),
    ],
)
def test_what_is_wrong_is_said_in_one_sentence(ports: list[dict[str, t.Any]], always: list[str], message: str) -> None:
    with pytest.raises(PolicyError) as caught:
        parse(ports, always)
    assert str(caught.value).startswith(message)
    assert "\n" not in str(caught.value)


def test_the_same_port_of_two_protocols_is_two_ports() -> None:
    policy = parse([item(port="53", protocol="tcp"), item(port="53", protocol="udp", max_duration=600)], [])
    assert [str(lock) for lock in policy.locks] == ["53 (tcp)", "53 (udp)"]


@pytest.mark.parametrize(
    ("inner", "outer", "answer"),
    [
        ("10.0.0.7", ["10.0.0.0/24"], True),
        ("10.0.0.0/24", ["10.0.0.0/24"], True),
        ("10.0.0.0/23", ["10.0.0.0/24"], False),
        ("10.0.1.7", ["10.0.0.0/24", "10.0.1.0/24"], True),
        ("::a00:7", ["10.0.0.0/24"], False),
        ("10.0.0.7", ["::/0"], False),
        ("2001:db8::/48", ["::/0"], True),
        ("0.0.0.0/0", ["0.0.0.0/0"], True),
    ],
)
def test_a_prefix_is_within_another(inner: str, outer: list[str], answer: bool) -> None:
    assert words.within(words.network(inner, "it"), words.networks(outer, "they")) is answer
