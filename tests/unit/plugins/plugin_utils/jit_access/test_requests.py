# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a person asks for is checked before it is stored."""

from __future__ import annotations

import typing as t

import pytest
from ansible_collections.bulwark.servers.plugins.plugin_utils.jit_access import requests
from ansible_collections.bulwark.servers.plugins.plugin_utils.store import JitActor, JitRequest, JitWanted

ALICE = JitActor("alice", "root", "al", "AWX job 7 of alice")
OPTIONS: dict[str, t.Any] = {
    "ports": ["22"],
    "protocol": "tcp",
    "sources": ["192.0.2.7"],
    "duration": "3h",
    "requested_for": None,
    "justification": "CHG-1",
    "valid_for": "1d",
    "policy": None,
}
POLICY = [
    {"port": 22, "sources": ["192.0.2.0/24", "2001:db8::/32"], "max_duration": 7200},
    {"port": "8000-8100", "protocol": "both"},
]


def wanted(address: str | None = None, **options: t.Any) -> JitWanted:
    return requests.wanted({**OPTIONS, **options}, "web1", ALICE, address)


def test_a_request_is_read_from_options() -> None:
    assert wanted(
        ports=["8000-8100", " 443", "22", ""],
        protocol="both",
        sources=["2001:DB8::/48", "192.0.2.7/32", "192.0.2.6"],
        duration="90m",
        requested_for=" carol ",
        justification="  CHG-1:\n the disk\r\nis full ",
        valid_for="600",
    ) == JitWanted(
        host="web1",
        ports=("22", "443", "8000-8100"),
        protocol="both",
        sources=("192.0.2.6/31", "2001:db8::/48"),
        duration=5400,
        requested_by="alice",
        requested_for="carol",
        justification="CHG-1: the disk is full",
        valid_for=600,
        requested_account="root",
        requested_login="al",
        requested_asserted="AWX job 7 of alice",
    )


def test_without_sources_it_is_where_whoever_asks_sits() -> None:
    assert wanted("192.0.2.99", sources=None).sources == ("192.0.2.99",)
    assert wanted("192.0.2.99", sources=[""]).sources == ("192.0.2.99",)
    assert wanted("192.0.2.99").sources == ("192.0.2.7",)
    with pytest.raises(requests.RequestError) as error:
        wanted(None, sources=None)
    assert str(error.value) == "the address of the requester is not known here: give 'sources', as in 192.0.2.7"


@pytest.mark.parametrize(
    ("environment", "address"),
    [
        ({"SSH_CONNECTION": "192.0.2.9 51234 192.0.2.1 22", "SSH_CLIENT": "192.0.2.8 1 22"}, "192.0.2.9"),
        ({"SSH_CLIENT": "2001:db8::9 51234 22"}, "2001:db8::9"),
        ({"SSH_CONNECTION": "fe80::1%eth0 51234 fe80::2 22"}, "fe80::1"),
        ({"SSH_CONNECTION": "::ffff:192.0.2.9 51234 ::ffff:192.0.2.1 22"}, "192.0.2.9"),
        ({"SSH_CONNECTION": "", "SSH_CLIENT": "UNKNOWN 1 22"}, None),
        ({}, None),
    ],
)
def test_sshd_says_where_somebody_sits(environment: dict[str, str], address: str | None) -> None:
    assert requests.client_address(environment) == address


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"ports": ["ssh"]}, "ports: 'ssh' is not a port; use a number from 1 to 65535, or a range such as 8000-8100"),
        ({"ports": [" "]}, "ports is empty; name the ports that are to be opened"),
        (
            {"sources": ["office"]},
            "sources: 'office' is not an address or prefix; write one such as 192.0.2.7, 192.0.2.0/24 or 2001:db8::/48",
        ),
        (
            {"duration": "soon"},
            "'duration' is 'soon': write 300 to 86400 seconds, as a number or as in 90m, 3h, 1d",
        ),
        ({"duration": "2d"}, "'duration' is '2d': write 300 to 86400 seconds, as a number or as in 90m, 3h, 1d"),
        (
            {"duration": "2026-05-31"},
            "'duration' is '2026-05-31': write 300 to 86400 seconds, as a number or as in 90m, 3h, 1d",
        ),
        ({"duration": "299"}, "'duration' is '299': write 300 to 86400 seconds, as a number or as in 90m, 3h, 1d"),
        ({"valid_for": "5w"}, "'valid_for' is '5w': write 300 to 2592000 seconds, as a number or as in 90m, 3h, 1d"),
        ({"justification": " \n"}, "'justification' is empty; say why in a sentence, or name the ticket"),
        ({"justification": "x" * 1001}, "'justification' has more than 1000 characters; say it shorter"),
        ({"requested_for": "x" * 257}, "'requested_for' is not a name of 1 to 256 characters; say which"),
    ],
)
def test_what_is_wrong_is_named(options: dict[str, t.Any], message: str) -> None:
    with pytest.raises(requests.RequestError) as error:
        wanted(**options)
    assert str(error.value) == message


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"ports": ["23"]}, "ports: the policy does not lock TCP port 23; it locks 22, 8000-8100"),
        ({"protocol": "udp"}, "ports: the policy does not lock UDP port 22; it locks 8000-8100"),
        (
            {"duration": "7201"},
            "duration is 7201 seconds, and the policy allows at most 7200 for port 22 (tcp); ask for less",
        ),
    ],
)
def test_what_the_policy_does_not_allow_is_refused(options: dict[str, t.Any], message: str) -> None:
    with pytest.raises(requests.RequestError) as error:
        wanted(**{"duration": "1h", "policy": POLICY, **options})
    assert str(error.value).startswith("the policy of web1 does not allow that: ")
    assert message.removesuffix(" (tcp); ask for less") in str(error.value)


@pytest.mark.parametrize("source", ["192.0.3.1", "192.0.0.0/16", "2001:db9::1", "::/0"])
def test_who_may_not_ask_from_there_is_refused(source: str) -> None:
    with pytest.raises(requests.RequestError, match="may not request port 22"):
        wanted(policy=POLICY, duration="1h", sources=[source])
    assert wanted(policy=POLICY, duration="1h", sources=["192.0.2.128/25"]).sources == ("192.0.2.128/25",)


def test_everybody_is_asked_for_with_the_consent_of_the_policy_alone() -> None:
    with pytest.raises(requests.RequestError) as error:
        wanted(policy=POLICY, ports=["8000"], sources=["0.0.0.0/0"], duration="1h")
    assert str(error.value) == (
        "the policy of web1 does not allow that: sources: 0.0.0.0/0 are too many addresses, as the policy does not "
        "limit the sources of port 8000-8100; request fewer, or name them in the policy's sources"
    )
    named = [{"port": "8000-8100", "sources": ["0.0.0.0/0"]}]
    assert wanted(policy=named, ports=["8000"], sources=["0.0.0.0/0"], duration="1h").sources == ("0.0.0.0/0",)


def test_a_policy_that_is_none_is_named() -> None:
    with pytest.raises(
        requests.RequestError, match=r"^'policy' cannot be used: ports, item 1: 'ssh' is not a port; use"
    ):
        wanted(policy=[{"port": "ssh"}])
    with pytest.raises(requests.RequestError, match=r"^'policy' is empty, so nothing may be requested; give"):
        wanted(policy=[])


def test_what_people_write_cannot_deceive_who_decides() -> None:
    found = wanted(justification="ok\x1b[2J\u202egnp.exe", requested_for="carol\x07")
    assert (found.justification, found.requested_for) == ("ok\\x1b[2J\\u202egnp.exe", "carol\\x07")


def test_a_digest_that_a_host_already_has_stays_the_same() -> None:
    asked = {"ports": ("22",), "protocol": "tcp", "sources": ("192.0.2.7",), "duration": 60, "justification": "x"}
    people = {"requested_by": "bob", "requested_for": "ada", "decided_by": "eve"}
    found = JitRequest(id="r", host="web1", requested_at=1.0, valid_until=2.0, state="open", **asked, **people)
    assert requests.digest(found) == "0cd0202931e4fbd51049716953ebcb25e8838f4d037631f9083fce5e81c99f61"
