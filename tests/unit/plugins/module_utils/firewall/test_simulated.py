# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A source is simulated only while the kernel has counted the packets of simulations and no other one."""

from __future__ import annotations

import pathlib
import time
import typing as t

import pytest
from ansible_collections.bulwark.servers.plugins.module_utils._boot import boot_id
from ansible_collections.bulwark.servers.plugins.module_utils._state import StateDirectory
from ansible_collections.bulwark.servers.plugins.module_utils.firewall import simulated
from ansible_collections.bulwark.servers.plugins.module_utils.firewall.nft import Element
from ansible_collections.bulwark.servers.plugins.module_utils.firewall.simulated import Packet, SimulatedPackets

KEPT, NOW = 86400, 5000.0
KEY = ("203.0.113.1", "tcp", "22")
FIRST = Packet("boot", "203.0.113.1", "tcp", 22, 700, 4000.0, 4000.1)
SECOND = FIRST._replace(size=333, begin=4900.0, end=4900.1)
OTHER_PORT = FIRST._replace(port=23)


def counted(packets: int | None, size: int | None, since: float, key: tuple[str, ...] = KEY) -> Element:
    """Return an element whose last packet came at a time of CLOCK_MONOTONIC."""
    return Element(key, KEPT, int(KEPT - (NOW - since)), packets, size)


@pytest.mark.parametrize(
    ("element", "expected"),
    [
        (counted(1, 333, 4900.1), True),
        (counted(2, 1033, 4900.1), True),
        # The kernel had forgotten the first one. Its time is in whole seconds.
        (counted(1, 333, 4899.2), True),
        # Somebody else came, too, or instead.
        (counted(3, 1093, 4900.1), False),
        (counted(2, 760, 4900.1), False),
        (counted(1, 60, 4900.1), False),
        # Of the same size, but later or earlier.
        (counted(1, 333, 4905.0), False),
        (counted(2, 1033, 4990.0), False),
        (counted(1, 700, 4000.0), False),
        # Another source, port or protocol.
        (counted(1, 333, 4900.1, ("203.0.113.2", "tcp", "22")), False),
        (counted(1, 333, 4900.1, ("203.0.113.1", "tcp", "24")), False),
        (counted(1, 333, 4900.1, ("203.0.113.1", "udp", "22")), False),
        (counted(1, 333, 4900.1, ("203.0.113.1",)), False),
        # A kernel that doesn't say it.
        (counted(None, 333, 4900.1), False),
        (counted(0, 0, 4900.1), False),
        (counted(1, None, 4900.1), False),
        (Element(KEY, None, None, 1, 333), False),
    ],
)
def test_number_bytes_and_time_of_all_packets_must_agree(element: Element, expected: bool) -> None:
    assert SimulatedPackets([FIRST, OTHER_PORT, SECOND], KEPT, NOW, lambda: NOW).are_all_of(element) is expected


def test_a_slow_look_does_not_know_exactly_when_a_packet_came() -> None:
    element = counted(1, 333, 4900.0)
    assert SimulatedPackets([SECOND], KEPT, NOW - 30, lambda: NOW).are_all_of(element)
    assert SimulatedPackets([SECOND], KEPT, NOW, lambda: NOW + 30).are_all_of(element)
    assert not SimulatedPackets([SECOND], KEPT, NOW + 10, lambda: NOW + 30).are_all_of(element)
    assert not SimulatedPackets([SECOND], KEPT, NOW - 30, lambda: NOW - 10).are_all_of(element)


def test_nothing_is_simulated_without_notes() -> None:
    assert not SimulatedPackets([], KEPT, NOW).are_all_of(counted(1, 333, 4900.1))


@pytest.fixture
def where(tmp_path: pathlib.Path) -> t.Iterator[StateDirectory]:
    state = StateDirectory.open(str(tmp_path / "state"), "jit", create=True)
    assert state is not None
    yield state
    state.close()


def packet(size: int = 700) -> Packet:
    now = time.monotonic()
    return FIRST._replace(boot=boot_id(), size=size, begin=now, end=now)


def is_simulated(where: StateDirectory | None, packets: int, size: int) -> bool:
    return SimulatedPackets.read(where, KEPT).are_all_of(Element(KEY, KEPT, KEPT - 1, packets, size))


def test_noted_packets_are_read_again(where: StateDirectory) -> None:
    assert not is_simulated(None, 1, 700)
    assert not is_simulated(where, 1, 700)
    first = packet()
    for _time in range(2):
        # A run that was cut off notes the same once more.
        simulated.note(where, first._asdict())
    simulated.note(where, packet(333)._asdict())
    assert is_simulated(where, 2, 1033)
    assert not is_simulated(where, 3, 1733)


def test_packets_of_another_boot_do_not_count(where: StateDirectory) -> None:
    simulated.note(where, packet()._replace(boot="another")._asdict())
    assert not is_simulated(where, 1, 700)


def test_only_the_newest_packets_are_kept(where: StateDirectory) -> None:
    for _number in range(102):
        simulated.note(where, packet(1)._asdict())
    assert is_simulated(where, 100, 100)
    assert not is_simulated(where, 101, 101)


@pytest.mark.parametrize("content", ["", "{}", "7", "[7]", '[{"boot": "x"}]', "[" * 5000])
def test_damaged_notes_silence_nothing_and_are_replaced(where: StateDirectory, content: str) -> None:
    path = pathlib.Path(where.path, simulated.FILE)
    path.write_text(content)
    path.chmod(0o600)
    assert not is_simulated(where, 1, 700)
    simulated.note(where, packet()._asdict())
    assert is_simulated(where, 1, 700)


@pytest.mark.parametrize(
    "changes", [{"size": "700"}, {"port": True}, {"begin": float("nan")}, {"end": float("inf")}, {"more": 1}]
)
def test_a_packet_of_the_wrong_kind_is_not_noted(where: StateDirectory, changes: dict[str, t.Any]) -> None:
    with pytest.raises(ValueError, match="the note of a packet is damaged"):
        simulated.note(where, {**packet()._asdict(), **changes})
    assert not where.exists(simulated.FILE)
