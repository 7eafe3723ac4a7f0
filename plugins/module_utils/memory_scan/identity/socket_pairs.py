# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which Unix sockets are connected with each other, as the kernel says it (sock_diag(7)); /proc/net/unix doesn't."""

from __future__ import annotations

import socket
import struct
import typing as t

_NETLINK_SOCK_DIAG, _SOCK_DIAG_BY_FAMILY = 4, 20
_REQUEST_DUMP = 0x301
_DONE, _ERROR = 3, 2
_SHOW_PEER = 4
_PEER = 2
_ALL_STATES = 0xFFFFFFFF
_HEADER = struct.Struct("=IHHII")
_ASKED = struct.Struct("=BBHIIIII")
_TOLD = struct.Struct("=BBBBIII")
_ATTRIBUTE = struct.Struct("=HHI")
_SECONDS = 2
_ROOM = 1 << 20


def peers() -> dict[int, int]:
    """Return by inode of each connected Unix socket that of its peer; none where the kernel doesn't tell them."""
    asked = _ASKED.pack(socket.AF_UNIX, 0, 0, _ALL_STATES, 0, _SHOW_PEER, 0, 0)
    found: dict[int, int] = {}
    try:
        with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, _NETLINK_SOCK_DIAG) as kernel:
            kernel.settimeout(_SECONDS)
            kernel.send(_HEADER.pack(_HEADER.size + len(asked), _SOCK_DIAG_BY_FAMILY, _REQUEST_DUMP, 1, 0) + asked)
            while not _take(kernel.recv(_ROOM), found):
                pass
    except (OSError, struct.error):
        pass
    return found


def _take(data: bytes, found: dict[int, int]) -> bool:
    """Add what an answer tells; return whether it is the last."""
    for kind, message in _messages(data):
        if kind in (_DONE, _ERROR):
            return True
        inode = _TOLD.unpack_from(message)[4]
        at = _TOLD.size
        while at + _ATTRIBUTE.size <= len(message):
            length, name, value = _ATTRIBUTE.unpack_from(message, at)
            if name == _PEER:
                found[inode] = value
            at += max(length + 3 & ~3, 4)
    return not data


def _messages(data: bytes) -> t.Iterator[tuple[int, bytes]]:
    at = 0
    while at + _HEADER.size <= len(data):
        length, kind, _flags, _number, _port = _HEADER.unpack_from(data, at)
        if length < _HEADER.size:
            return
        yield kind, data[at + _HEADER.size : at + length]
        at += length + 3 & ~3
