# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Packets that a simulation sent to this host, so that they are no findings once the simulation is over.

A set of the kernel has one counter for each source and port, and anybody can send packets with the source of a
simulation. So nothing is removed from the set, and its counter decides with each look: a source is simulated only while
the kernel has counted the noted packets and no other one. These agree: the number of packets, their bytes, the time of
the last one, and the boot. The size of each packet is a random number, which is noted here and sent to nobody else.
"""

from __future__ import annotations

import json
import math
import os
import time
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils._boot import boot_id
from ansible_collections.bulwark.servers.plugins.module_utils._state import StateDirectory, StateError
from ansible_collections.bulwark.servers.plugins.module_utils.firewall.nft import Element

FILE = "simulated.json"
# The newest packets that are kept. If there are more within the memory of the kernel, they are findings.
_MOST = 100
_LONGEST = 1 << 20
# Seconds by which a time of the kernel may differ: it is in whole seconds.
_TOLERANCE = 2.0


class Packet(t.NamedTuple):
    """A packet. boot: the id of the boot. size: in bytes, as the kernel counts it.

    begin, end: between these times it came, in seconds of CLOCK_MONOTONIC, which like the timeouts of nftables stands
    still while the machine is suspended.
    """

    boot: str
    source: str
    protocol: str
    port: int
    size: int
    begin: float
    end: float


class SimulatedPackets:
    """Decides about elements of a set, which are read after this is made.

    kept: seconds for which the set keeps them. since: when this is made, in seconds of CLOCK_MONOTONIC. clock: returns
    that time; on a busy host nft takes seconds.
    """

    def __init__(
        self, packets: t.Sequence[Packet], kept: int, since: float, clock: t.Callable[[], float] = time.monotonic
    ) -> None:
        self._packets, self._kept, self._since, self._clock = packets, kept, since, clock

    @classmethod
    def read(cls, where: StateDirectory | None, kept: int) -> SimulatedPackets:
        """Return those that a capability has noted in its directory."""
        return cls(_read(where), kept, time.monotonic())

    def are_all_of(self, element: Element) -> bool:
        """Return whether everything that an element counts was sent by simulations."""
        number = element.packets or 0
        own = [each for each in self._packets if (each.source, each.protocol, str(each.port)) == element.key]
        if element.left is None or not 0 < number <= len(own):
            return False
        sent, age = own[-number:], self._kept - element.left
        is_in_time = sent[-1].begin - _TOLERANCE <= self._clock() - age
        is_in_time = is_in_time and self._since - age <= sent[-1].end + _TOLERANCE
        return is_in_time and element.bytes == sum(each.size for each in sent)


def note(where: StateDirectory, fields: t.Mapping[str, t.Any]) -> None:
    """Note a packet. fields: those of ``Packet``. Raises StateError, and ValueError for a packet that is none."""
    packet = _packet(fields)
    packets = _read(where)
    if packet not in packets:
        content = json.dumps([each._asdict() for each in [*packets, packet][-_MOST:]])
        with where.written(FILE) as stream:
            stream.write(content.encode("ascii"))


def _read(where: StateDirectory | None) -> list[Packet]:
    """Return the packets of this boot, the newest last; none if they can't be read, so that they are findings."""
    try:
        descriptor = where.open_file(FILE) if where is not None else None
        if descriptor is None:
            return []
        with os.fdopen(descriptor, "rb") as stream:
            packets = [_packet(each) for each in json.loads(stream.read(_LONGEST))]
        boot = boot_id()
    except (StateError, OSError, ValueError, TypeError, RecursionError):
        return []
    return [each for each in packets if each.boot == boot]


def _packet(fields: t.Mapping[str, t.Any]) -> Packet:
    try:
        packet = Packet(**fields)
    except TypeError as error:
        raise ValueError("the note of a packet is damaged: %s" % error) from error
    kinds: t.Mapping[str, t.Any] = t.get_type_hints(Packet)
    is_right = all(
        isinstance(value, kinds[name]) and not isinstance(value, bool) for name, value in packet._asdict().items()
    )
    if not is_right or not math.isfinite(packet.begin) or not math.isfinite(packet.end):
        raise ValueError("the note of a packet is damaged")
    return packet
