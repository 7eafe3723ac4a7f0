# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Records sent to the kernel's audit system as sshd and others do, with CAP_AUDIT_WRITE (audit(7), linux/audit.h)."""

from __future__ import annotations

import socket
import struct

_NETLINK_AUDIT = 9
_REQUEST, _ACKNOWLEDGE, _ERROR = 1, 4, 2
_HEADER = struct.Struct("=IHHII")
_SECONDS = 10


def send(kind: int, text: str) -> None:
    """Send one record; OSError when the kernel doesn't take it. It adds who sent it, which can't be forged so."""
    payload = text.encode("utf-8") + b"\0"
    padded = payload + bytes(-len(payload) % 4)
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, _NETLINK_AUDIT) as connection:
        connection.settimeout(_SECONDS)
        connection.bind((0, 0))
        connection.send(_HEADER.pack(_HEADER.size + len(padded), kind, _REQUEST | _ACKNOWLEDGE, 1, 0) + padded)
        answer = connection.recv(1 << 16)
    _length, answered, _flags, _sequence, _pid = _HEADER.unpack_from(answer)
    number = -struct.unpack_from("=i", answer, _HEADER.size)[0] if answered == _ERROR else 0
    if number:
        raise OSError(number, "the kernel refused the record")
