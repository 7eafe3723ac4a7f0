# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What was counted in the kernel becomes attempts, and those one detection for each port."""

from __future__ import annotations

import pytest
from ansible_collections.bulwark.servers.plugins.module_utils.firewall.nft import Element
from ansible_collections.bulwark.servers.plugins.module_utils.firewall.simulated import Packet, SimulatedPackets
from ansible_collections.bulwark.servers.plugins.module_utils.jit_access import detect
from ansible_collections.bulwark.servers.plugins.plugin_utils import catalogue
from ansible_collections.bulwark.servers.plugins.plugin_utils.ocsf import events

NOW = 1_800_000_000.0


def tried(source: str, port: int, packets: int, left: int = 86400, protocol: str = "tcp") -> Element:
    return Element((source, protocol, str(port)), 86400, left, packets, packets * 60)


def test_an_attempt_was_when_its_element_was_renewed() -> None:
    (found,) = detect.attempts([tried("192.0.2.7", 22, 5, left=86000)], NOW)
    assert found == {
        "source": "192.0.2.7",
        "protocol": "tcp",
        "port": 22,
        "packets": 5,
        "last": NOW - 400,
        "simulated": False,
    }


def test_what_only_a_simulation_sent_is_no_finding_and_is_still_returned() -> None:
    packet = Packet("boot", "203.0.113.1", "tcp", 22, 60, 99.0, 99.1)
    simulated = SimulatedPackets([packet], 86400, 100.0, lambda: 100.0)
    own, other = tried("203.0.113.1", 22, 1), tried("192.0.2.7", 22, 1)
    attempts = list(detect.attempts([own, other], NOW, simulated))
    assert [one["simulated"] for one in attempts] == [True, False]
    assert detect.attempted(attempts[:1]) == []
    (found,) = detect.attempted(attempts)
    assert (found["count"], [one["src_endpoint"]["ip"] for one in found["evidences"]]) == (1, ["192.0.2.7"])
    again = list(detect.attempts([tried("203.0.113.1", 22, 2)], NOW, simulated))
    assert [one["count"] for one in detect.attempted(again)] == [2]


@pytest.mark.parametrize("key", [("192.0.2.7",), ("192.0.2.7", "tcp", "ssh"), ("192.0.2.7", "tcp")])
def test_what_is_no_attempt_is_left_out(key: tuple[str, ...]) -> None:
    assert list(detect.attempts([Element(key)], NOW)) == []


def test_each_port_is_one_detection_with_its_sources() -> None:
    elements = [tried(f"192.0.2.{number}", 22, number, left=86400 - number) for number in range(1, 101)]
    elements.append(tried("2001:db8::1", 53, 3, protocol="udp"))
    attempts = sorted(detect.attempts(elements, NOW), key=lambda one: -one["packets"])
    ssh, dns = detect.attempted(attempts)
    assert (ssh["subject"], ssh["count"], ssh["last_time"]) == ("tcp/22", 5050, NOW - 1)
    assert ssh["message"] == (
        "5050 packets to the locked port 22 (tcp) from 100 sources within a day of each other: "
        "192.0.2.100 (100), 192.0.2.99 (99), 192.0.2.98 (98) and 97 more."
    )
    assert len(ssh["evidences"]) == 50
    assert (dns["subject"], dns["message"]) == (
        "udp/53",
        "3 packets to the locked port 53 (udp) from 1 source within a day of each other: 2001:db8::1 (3).",
    )
    # And the controller makes findings of them, with nothing left out.
    findings = events.findings([ssh, dns], catalogue.load(), events.Device("web1"), NOW)
    assert [finding["severity"] for finding in findings] == ["Low", "Low"]
    assert findings[0]["evidences"][0]["src_endpoint"] == {"ip": "192.0.2.100"}
    assert findings[0]["evidences"][0]["data"]["port"] == 22
    assert "left out" not in str(findings)
