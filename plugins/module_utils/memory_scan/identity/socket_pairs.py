# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which Unix sockets are connected with each other, and which way data can go: the kernel says it (sock_diag(7)).

/proc/net/unix doesn't. The kernel says it of the network namespace that asks: each container has its own.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import socket
import struct
import sys
import typing as t

_NETLINK_SOCK_DIAG, _SOCK_DIAG_BY_FAMILY = 4, 20
_REQUEST_DUMP = 0x301
_DONE, _ERROR = 3, 2
_SHOW_PEER = 4
_PEER, _SHUT = 2, 6
# Of sk_shutdown (include/net/sock.h).
_RECEIVES_NO_MORE, _SENDS_NO_MORE = 1, 2
_ALL_STATES = 0xFFFFFFFF
_HEADER = struct.Struct("=IHHII")
_ASKED = struct.Struct("=BBHIIIII")
_TOLD = struct.Struct("=BBBBIII")
_ATTRIBUTE = struct.Struct("=HHI")
_SECONDS = 2
_ROOM = 1 << 20
_CLONE_NEWNET = 0x40000000


class Half(t.NamedTuple):
    """A connected socket. peer: the inode of the other one. receives, sends: whether shutdown(2) has left it that."""

    peer: int
    receives: bool
    sends: bool


def halves(processes: t.Iterable[int] = ()) -> tuple[dict[int, Half], bool]:
    """Return the connected Unix sockets by inode, and whether the kernel has told all of them.

    processes: one of each other network namespace that is asked.
    """
    found: dict[int, Half] = {}
    told = _ask(found, None)
    for pid in processes:
        told = _ask(found, pid) and told
    return found, told


def _ask(found: dict[int, Half], pid: int | None) -> bool:
    """Add what the kernel tells of the network of a process, None for its own; return whether it told all."""
    asked = _ASKED.pack(socket.AF_UNIX, 0, 0, _ALL_STATES, 0, _SHOW_PEER, 0, 0)
    try:
        with _socket(pid) as kernel:
            kernel.settimeout(_SECONDS)
            kernel.send(_HEADER.pack(_HEADER.size + len(asked), _SOCK_DIAG_BY_FAMILY, _REQUEST_DUMP, 1, 0) + asked)
            while not _take(kernel.recv(_ROOM), found):
                pass
    except (OSError, struct.error):
        return False
    return True


def _socket(pid: int | None) -> socket.socket:
    """Return a socket that asks of the network of a process: it stays in the one that it was made in (setns(2))."""
    with contextlib.ExitStack() as resources:
        if pid is not None:
            own = os.open("/proc/self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
            resources.callback(os.close, own)
            other = os.open("/proc/%d/ns/net" % pid, os.O_RDONLY | os.O_CLOEXEC)
            resources.callback(os.close, other)
            _enter(other)
            resources.callback(_enter, own)
        return socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, _NETLINK_SOCK_DIAG)


def _enter(namespace: int) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.setns(namespace, _CLONE_NEWNET) != 0:
        raise OSError(ctypes.get_errno(), "setns")


def _take(data: bytes, found: dict[int, Half]) -> bool:
    """Add what an answer tells; return whether it is the last."""
    for kind, message in _messages(data):
        if kind == _ERROR:
            raise OSError(None, "the kernel doesn't tell it")
        if kind == _DONE:
            return True
        inode = _TOLD.unpack_from(message)[4]
        values: dict[int, int] = {}
        at = _TOLD.size
        while at + _ATTRIBUTE.size <= len(message):
            length, name, value = _ATTRIBUTE.unpack_from(message, at)
            values[name] = value
            at += max(length + 3 & ~3, 4)
        if _PEER in values:
            # One byte.
            shut = values.get(_SHUT, 0).to_bytes(4, sys.byteorder)[0]
            found[inode] = Half(values[_PEER], not shut & _RECEIVES_NO_MORE, not shut & _SENDS_NO_MORE)
    return not data


def _messages(data: bytes) -> t.Iterator[tuple[int, bytes]]:
    at = 0
    while at + _HEADER.size <= len(data):
        length, kind, _flags, _number, _port = _HEADER.unpack_from(data, at)
        if length < _HEADER.size:
            return
        yield kind, data[at + _HEADER.size : at + length]
        at += length + 3 & ~3
