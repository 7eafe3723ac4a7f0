# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The packet that comes in is a valid one, whatever it carries."""

from __future__ import annotations

import ipaddress
import struct

import pytest
from ansible_collections.bulwark.servers.plugins.module_utils.simulation import visit

SOURCE = "203.0.113.1"


def total(data: bytes) -> int:
    """Return the sum of RFC 1071 over data with its checksum, which is 0xFFFF if that is right."""
    data += bytes(len(data) % 2)
    number = sum(struct.unpack(f">{len(data) // 2}H", data))
    while number > 0xFFFF:
        number = (number & 0xFFFF) + (number >> 16)
    return number


@pytest.mark.parametrize(("protocol", "number", "head"), [("tcp", 6, 20), ("udp", 17, 8)])
@pytest.mark.parametrize("payload", [b"", b"abc", bytes(1399)])
def test_lengths_and_checksums_include_the_payload(protocol: str, number: int, head: int, payload: bytes) -> None:
    packet = visit.frame(b"t" * 6, b"f" * 6, SOURCE, visit.HERE, protocol, 22, payload)[14:]
    assert struct.unpack_from(">H", packet, 2) == (len(packet),)
    assert len(packet) == 20 + head + len(payload)
    assert total(packet[:20]) == 0xFFFF
    addresses = ipaddress.IPv4Address(SOURCE).packed + ipaddress.IPv4Address(visit.HERE).packed
    assert total(addresses + struct.pack(">HH", number, len(packet) - 20) + packet[20:]) == 0xFFFF
    assert packet[20 + head :] == payload
