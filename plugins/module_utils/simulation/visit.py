# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A packet that comes in for the host as if from the network, although none leaves it.

A cable is made of which the host has both ends (veth(4)). What is written into one end comes in at the other.
"""

from __future__ import annotations

import ipaddress
import secrets
import socket
import struct
import time
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils import _command
from ansible_collections.bulwark.servers.plugins.module_utils._boot import boot_id
from ansible_collections.bulwark.servers.plugins.module_utils._finding import printable

# RFC 5737: for documentation, as are the addresses that visitors have.
HERE = "198.51.100.1"
_SECONDS = 20.0
_MOST_OUTPUT = 1 << 16
_FROM_PORT = 40000
_FLAGS_SYN = 0x02
_NUMBERS = {"tcp": 6, "udp": 17}
_IPV4 = 0x0800
# Bytes of the head of a frame.
_ETHERNET = 14
# What the kernel says of when a packet came is in whole seconds, and must not be before this began.
_GRAIN = 1.1
# Bytes that a packet carries, at least and at most: with them its size is a number that nobody can guess or repeat by
# chance, and it fits into one frame.
_LEAST, _MOST = 100, 1400


class VisitError(Exception):
    """The host can't be visited; the message says why."""


def visit(cable: str, source: str, protocol: str, port: int) -> dict[str, t.Any]:
    """Have the first packet of a connection come in, and return what tells it from all others.

    That has the fields of ``firewall.simulated.Packet``. cable: what its ends are named after. Raises VisitError.
    """
    payload = bytes(_LEAST + secrets.randbelow(_MOST - _LEAST))
    outside, inside = ends(cable)
    time.sleep(_GRAIN)
    _ip("link", "add", outside, "type", "veth", "peer", "name", inside)
    try:
        _ip("address", "add", HERE, "peer", source, "dev", inside)
        for end in (outside, inside):
            _ip("link", "set", end, "up")
        packet = frame(_hardware(inside), _hardware(outside), source, HERE, protocol, port, payload)
        begin = _passed(outside, inside, packet)
        return {
            "boot": boot_id(),
            "source": source,
            "protocol": protocol,
            "port": port,
            "size": len(packet) - _ETHERNET,
            "begin": begin,
            "end": time.monotonic(),
        }
    except OSError as error:
        raise VisitError("no packet came through %s: %s" % (outside, error.strerror or error)) from error
    finally:
        remove(cable)


def _passed(outside: str, inside: str, packet: bytes) -> float:
    """Send a packet into one end and return when, once it has come out of the other: a busy host takes its time.

    Raises OSError and VisitError.
    """
    with _end(outside) as sender, _end(inside) as receiver:
        receiver.settimeout(_SECONDS)
        begin = time.monotonic()
        sender.send(packet)
        while receiver.recv(len(packet)) != packet:
            if time.monotonic() - begin > _SECONDS:
                raise VisitError("the packet that was sent into %s did not come out of %s" % (outside, inside))
    # What sees packets here (packet(7)) does so just before the firewall.
    time.sleep(0.1)
    return begin


def _end(interface: str) -> socket.socket:
    opened = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
    opened.bind((interface, _IPV4))
    return opened


def ends(cable: str) -> tuple[str, str]:
    """Return the interfaces of a cable."""
    return cable + "o", cable + "i"


def remove(cable: str) -> None:
    """Take a cable away, if it is there, with the address that it has. Raises VisitError."""
    outside, _inside = ends(cable)
    if _is_there(outside):
        _ip("link", "delete", outside)


def frame(
    to: bytes, whence: bytes, source: str, destination: str, protocol: str, port: int, payload: bytes = b""
) -> bytes:
    """Return the first packet of a connection, as it is on a cable: IEEE 802.3, RFC 791, RFC 9293, RFC 768.

    to, whence: the hardware addresses.
    """
    addresses = b"".join(ipaddress.IPv4Address(text).packed for text in (source, destination))
    if protocol == "tcp":
        content = struct.pack(">HHIIBBHHH", _FROM_PORT, port, 1, 0, 5 << 4, _FLAGS_SYN, 1024, 0, 0) + payload
        place = 16
    else:
        content = struct.pack(">HHHH", _FROM_PORT, port, 8 + len(payload), 0) + payload
        place = 6
    check = _checksum(addresses + struct.pack(">HH", _NUMBERS[protocol], len(content)) + content)
    content = content[:place] + check + content[place + 2 :]
    # 64 hops at most, and no fragments.
    head = struct.pack(">BBHHHBB", 4 << 4 | 5, 0, 20 + len(content), 0, 1 << 14, 64, _NUMBERS[protocol])
    return to + whence + struct.pack(">H", _IPV4) + head + _checksum(head + addresses) + addresses + content


def _checksum(data: bytes) -> bytes:
    """Return the checksum of RFC 1071."""
    data += bytes(len(data) % 2)
    total = sum(struct.unpack(">%dH" % (len(data) // 2), data))
    while total > 0xFFFF:
        total = (total & 0xFFFF) + (total >> 16)
    return struct.pack(">H", ~total & 0xFFFF)


def _hardware(interface: str) -> bytes:
    with _end(interface) as asked:
        address: bytes = asked.getsockname()[4]
    return address


def _is_there(interface: str) -> bool:
    try:
        socket.if_nametoindex(interface)
    except OSError:
        return False
    return True


def _ip(*arguments: str) -> None:
    """Run ip(8). Raises VisitError."""
    try:
        done = _command.run(("ip", *arguments), _SECONDS, _MOST_OUTPUT)
    except _command.CommandError as error:
        raise VisitError(str(error)) from error
    if done.returncode:
        raise VisitError("'ip %s' failed: %s" % (" ".join(arguments), printable(done.stderr.strip())[:200]))
