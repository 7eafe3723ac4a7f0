# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The sockets that a process listens on, by proc(5): what it has open, and what the kernel lists of its networks."""

from __future__ import annotations

import contextlib
import ipaddress
import os
import re
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils import _proc_net

_SOCKET = re.compile(r"socket:\[([0-9]+)\]\Z")
_MOST_FILES = 100_000
_MOST_BYTES = 32 * 1024 * 1024
# __SO_ACCEPTCON of linux/net.h: it listens.
_LISTENS = 0x10000
_STREAM = "0001"
_FIRST_INHERITED = 3


class Sockets(t.NamedTuple):
    """Where a process listens. unix: paths of sockets, tcp: addresses as ``0.0.0.0:2376``. Each with its descriptor.

    problem: why this is not all.
    """

    unix: tuple[tuple[str, int], ...] = ()
    tcp: tuple[tuple[str, int], ...] = ()
    problem: str | None = None


def of_process(pid: int) -> Sockets:
    inodes: dict[int, int] = {}
    try:
        with os.scandir("/proc/%d/fd" % pid) as entries:
            for _number, entry in zip(range(_MOST_FILES), entries):
                with contextlib.suppress(OSError):
                    found = _SOCKET.match(os.readlink(entry.path))
                    if found:
                        inodes.setdefault(int(found.group(1)), int(entry.name))
    except OSError as error:
        return Sockets(problem="its open files cannot be read: %s" % error.strerror)
    # Sockets that systemd opened for it may be of another network namespace.
    unix: dict[str, int] = {}
    tcp: dict[str, int] = {}
    for whose in _views(pid):
        for inode, path in parse_unix(_read("/proc/%s/net/unix" % whose)):
            if inode in inodes:
                unix.setdefault(path, inodes[inode])
        for table in ("tcp", "tcp6"):
            for inode, address in parse_tcp(_read("/proc/%s/net/%s" % (whose, table))):
                if inode in inodes:
                    tcp.setdefault(address, inodes[inode])
    return Sockets(tuple(sorted(unix.items())), tuple(sorted(tcp.items())))


def is_inherited(descriptor: int, environment: t.Mapping[str, str], pid: int) -> bool:
    """Say whether a descriptor is one that systemd passed (sd_listen_fds(3))."""
    count = environment.get("LISTEN_FDS", "")
    if environment.get("LISTEN_PID") != str(pid) or not count.isdigit() or len(count) > 4:
        return False
    return _FIRST_INHERITED <= descriptor < _FIRST_INHERITED + int(count)


def unix_listeners() -> frozenset[str]:
    """Return the paths of the unix sockets of this network namespace that somebody listens on."""
    return frozenset(path for _inode, path in parse_unix(_read("/proc/self/net/unix")))


def parse_unix(text: str) -> t.Iterator[tuple[int, str]]:
    """Yield inode and path of the sockets that listen.

    Whoever makes a socket chooses its path, with any character, so that a line may be made up: a socket that is used
    has to be asked who listens there (SO_PEERCRED).
    """
    for line in text.split("\n"):
        words = line.split(None, 7)
        if len(words) == 8 and words[4] == _STREAM and words[6].isdigit() and words[7].startswith("/"):
            with contextlib.suppress(ValueError):
                if int(words[3], 16) & _LISTENS:
                    yield int(words[6]), words[7]


def parse_tcp(text: str) -> t.Iterator[tuple[int, str]]:
    """Yield inode and address of the sockets that listen."""
    for line in text.split("\n"):
        socket = _proc_net.parse(line) if " 0A " in line else None
        if socket is not None and socket.state == _proc_net.LISTEN:
            with contextlib.suppress(ValueError):
                address, port = _proc_net.endpoint(socket.local)
                brackets = isinstance(address, ipaddress.IPv6Address)
                yield socket.inode, ("[%s]:%d" if brackets else "%s:%d") % (address, port)


def _views(pid: int) -> list[str]:
    """Return whose tables to read: those of the process, and ours where it is in another network namespace."""
    try:
        same = os.readlink("/proc/%d/ns/net" % pid) == os.readlink("/proc/self/ns/net")
    except OSError:
        return ["self"]
    return ["self"] if same else [str(pid), "self"]


def has_own_network(pid: int) -> bool:
    return len(_views(pid)) > 1


def _read(path: str) -> str:
    with contextlib.suppress(OSError), open(path, "rb") as stream:
        return os.fsdecode(stream.read(_MOST_BYTES))
    return ""
