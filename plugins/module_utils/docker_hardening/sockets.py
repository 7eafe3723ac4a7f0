# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The sockets that a process listens on, by proc(5): what it has open, and what the kernel lists of its networks."""

from __future__ import annotations

import contextlib
import ipaddress
import os
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils import _net_sockets, _proc_net
from ansible_collections.bulwark.servers.plugins.module_utils.docker_hardening.processes import Daemon

_MOST_FILES = 100_000
# That one engine listens on; each is asked and compared with what containers mount.
_MOST_SOCKETS = 500
_MOST_BYTES = 32 * 1024 * 1024
# __SO_ACCEPTCON of linux/net.h: it listens.
_LISTENS = 0x10000
_STREAM = "0001"
_HERE = "self"


class Sockets(t.NamedTuple):
    """Where a process listens. tcp: addresses as ``0.0.0.0:2376``. problem: why not all.

    unix: the paths of each socket: one, unless somebody made up a line.
    """

    unix: tuple[tuple[str, ...], ...] = ()
    tcp: tuple[str, ...] = ()
    problem: str | None = None


class Tables:
    """What the kernel lists of sockets that listen, read once for each network namespace."""

    def __init__(self) -> None:
        self._known: dict[str, tuple[list[tuple[int, str]], list[tuple[int, str]]]] = {}

    def of_process(self, pid: int) -> Sockets:
        """Return where a process listens, as far as the namespaces of it and of this process show that."""
        inodes: set[int] = set()
        try:
            with os.scandir("/proc/%d/fd" % pid) as entries:
                for _number, entry in zip(range(_MOST_FILES), entries):
                    with contextlib.suppress(OSError):
                        inode = _net_sockets.inode_of(os.readlink(os.fsencode(entry.path)))
                        if inode:
                            inodes.add(inode)
        except OSError as error:
            return Sockets(problem="its open files cannot be read: %s" % error.strerror)
        unix: dict[int, set[str]] = {}
        tcp: set[str] = set()
        # Sockets that systemd opened for it may be of another network namespace.
        for whose in _views(pid):
            paths, addresses = self._tables(whose)
            for inode, path in paths:
                if inode in inodes:
                    unix.setdefault(inode, set()).add(path)
            tcp.update(address for inode, address in addresses if inode in inodes)
        if len(unix) + len(tcp) > _MOST_SOCKETS:
            return Sockets(problem="it listens on more than %d sockets" % _MOST_SOCKETS)
        return Sockets(tuple(tuple(sorted(paths)) for _inode, paths in sorted(unix.items())), tuple(sorted(tcp)))

    def unix_listeners(self) -> frozenset[str]:
        """Return the paths of the unix sockets of this network namespace that somebody listens on."""
        return frozenset(path for _inode, path in self._tables(_HERE)[0])

    def _tables(self, whose: str) -> tuple[list[tuple[int, str]], list[tuple[int, str]]]:
        if whose not in self._known:
            addresses = [
                line for table in ("tcp", "tcp6") for line in parse_tcp(_read("/proc/%s/net/%s" % (whose, table)))
            ]
            self._known[whose] = list(parse_unix(_read("/proc/%s/net/unix" % whose))), addresses
        return self._known[whose]


def inherits(daemon: Daemon) -> bool:
    """Say whether systemd passed sockets to a process (sd_listen_fds(3))."""
    return daemon.environment.get("LISTEN_PID") == str(daemon.pid)


def parse_unix(text: str) -> t.Iterator[tuple[int, str]]:
    """Yield inode and path of the sockets that listen.

    Whoever makes a socket chooses its path, with any character, so that a line may be made up: a socket that is used
    has to be asked who listens there (SO_PEERCRED).
    """
    for line in text.split("\n"):
        if " 00010000 " not in line:
            continue
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
        return [_HERE]
    return [_HERE] if same else [str(pid), _HERE]


def has_own_network(pid: int) -> bool:
    return len(_views(pid)) > 1


def _read(path: str) -> str:
    with contextlib.suppress(OSError), open(path, "rb") as stream:
        return os.fsdecode(stream.read(_MOST_BYTES))
    return ""
