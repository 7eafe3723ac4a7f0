# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Detections of the sources that the kernel remembers as refused."""

from __future__ import annotations

import pytest
from ansible_collections.bulwark.servers.plugins.module_utils.firewall.nft import Element
from ansible_collections.bulwark.servers.plugins.module_utils.firewall.simulated import Packet, SimulatedPackets
from ansible_collections.bulwark.servers.plugins.module_utils.network_hardening.rules import detect, refused, table
from ansible_collections.bulwark.servers.plugins.module_utils.network_hardening.rules.refused import (
    RefusedSource,
    RefusedSources,
)

NOW = 1_800_000_000.0


def test_first_and_last_come_from_the_time_that_is_left() -> None:
    key = ("192.0.2.7", "tcp", "22")
    last = [Element(key, left=table.KEPT - 60, packets=5), Element(("192.0.2.8", "udp", "53"), packets=None)]
    first = [Element(key, left=table.KEPT - 3600)]
    assert refused.join(last, first, NOW) == [
        RefusedSource("192.0.2.7", "tcp", 22, 5, NOW - 3600, NOW - 60),
        RefusedSource("192.0.2.8", "udp", 53, 0, None, NOW),
    ]


def test_what_only_a_simulation_sent_is_marked_and_no_finding() -> None:
    packet = Packet("boot", "203.0.113.2", "tcp", 22, 500, 99.0, 99.1)
    simulated = SimulatedPackets([packet], table.KEPT, 100.0, lambda: 100.0)
    elements = [
        Element((source, "tcp", "22"), left=table.KEPT - 1, packets=1, bytes=500)
        for source in ("203.0.113.2", "203.0.113.3")
    ]
    own, other = refused.join(elements, [], NOW, simulated)
    assert (own.simulated, other.simulated) == (True, False)
    (found,) = detect.detections(RefusedSources([own, other], [own], {}), "enforce", "denied")
    assert (found["alert"], found["count"]) == ("network_denied_traffic", 1)
    assert found["evidences"][0]["src_endpoint"] == {"ip": "203.0.113.3"}


def one(source: str, port: int = 22, packets: int = 1, first: float | None = NOW - 10) -> RefusedSource:
    return RefusedSource(source, "tcp", port, packets, first, NOW)


def test_there_is_one_finding_for_each_port() -> None:
    remembered = RefusedSources(
        denied=[one("198.51.100.1", packets=9), one("8.8.8.8", 25), one("9.9.9.9", packets=2, first=None)],
        blocked=[one("8.8.4.4", 23)],
        crowded={},
    )
    found = detect.detections(remembered, "enforce", "denied")
    assert [(each["alert"], each["subject"]) for each in found] == [
        ("network_denied_traffic", "tcp/22"),
        ("network_denied_traffic", "tcp/25"),
        ("network_blocked_traffic", "tcp/23"),
    ]
    ssh = found[0]
    assert ssh["count"] == 11
    assert ssh["first_time"] == NOW - 10
    assert ssh["message"] == (
        "11 packets to port 22 (tcp) from 2 sources that the network rules deny were dropped: 198.51.100.1 (9), "
        "9.9.9.9 (2)."
    )
    assert ssh["evidences"][0] == {
        "src_endpoint": {"ip": "198.51.100.1"},
        "data": {
            "port": 22,
            "protocol": "tcp",
            "packets": 9,
            "dropped": True,
            "first": "2027-01-15T07:59:50Z",
            "last": "2027-01-15T08:00:00Z",
        },
    }
    assert "first" not in ssh["evidences"][1]["data"]


@pytest.mark.parametrize(
    ("source", "mode", "what", "severity"),
    [
        ("8.8.8.8", "enforce", "denied", None),
        ("10.0.0.1", "enforce", "denied", "low"),
        ("fd00::1", "audit", "denied", "low"),
        ("8.8.8.8", "audit", "blocked", "medium"),
        ("8.8.8.8", "enforce", "blocked", None),
    ],
)
def test_the_severity_says_who_should_look(source: str, mode: str, what: str, severity: str | None) -> None:
    tries = {"denied": [], "blocked": [], what: [one(source)]}
    (found,) = detect.detections(RefusedSources(**tries, crowded={}), mode, "denied")
    assert found["severity"] == severity
    assert ("allowed, as the rules are in audit mode" in found["message"]) is (mode == "audit")


def test_of_very_many_some_are_named() -> None:
    tries = [one(f"8.8.{number // 250}.{number % 250}") for number in range(1000)]
    (found,) = detect.detections(RefusedSources(tries, [], {}), "enforce", "denied")
    assert len(found["evidences"]) == 50
    assert "and 997 more" in found["message"]
