# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The host's own addresses, and the ports that it listens on, as the kernel lists them in /proc/net.

The files are those of the network that this thread is in. Processes are found by the numbers of their sockets.
"""

from __future__ import annotations

import contextlib
import dataclasses
import ipaddress
import itertools
import os
import re
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils import _proc_net
from ansible_collections.bulwark.servers.plugins.module_utils._finding import printable

NETWORK = "/proc/thread-self/net"
PROCESSES = "/proc"
_MOST_PROCESSES = 100_000
_MOST_SOCKETS = 100_000
_MOST_LINES = 500_000
# Of TCP, in which a handshake was completed: all but SYN-SENT, SYN-RECEIVED, CLOSED and LISTEN.
_CONNECTED = frozenset(("01", "04", "05", "06", "08", "09", "0B"))
_FILES = {
    "tcp": ("tcp", _proc_net.LISTEN),
    "tcp6": ("tcp", _proc_net.LISTEN),
    "udp": ("udp", _proc_net.UNCONNECTED),
    "udp6": ("udp", _proc_net.UNCONNECTED),
}
_SOCKET = re.compile(r"socket:\[(\d+)\]\Z")
_LOCAL = re.compile(r"\|-- (\S+)\n\s+/32 host LOCAL")


class Listener(t.NamedTuple):
    """address: as the kernel has it. inode: of the socket, 0 for one of the kernel itself."""

    port: int
    protocol: str
    address: str
    inode: int


@dataclasses.dataclass
class Sockets:
    """listeners: what is listened on; of UDP, what is not connected. connected: peers and ports here of TCP.

    missing: files that could not be read, or not to their end.
    """

    listeners: list[Listener] = dataclasses.field(default_factory=list)
    connected: set[tuple[str, int]] = dataclasses.field(default_factory=set)
    missing: list[str] = dataclasses.field(default_factory=list)

    def services(self) -> set[tuple[int, str]]:
        """Return the ports that are listened on, with their protocols."""
        return {(one.port, one.protocol) for one in self.listeners}


def read(network: str = NETWORK) -> Sockets:
    """Return the sockets of this host."""
    found = Sockets()
    for name in _FILES:
        if not _read(found, network, name):
            found.missing.append(name)
    return found


def _read(found: Sockets, network: str, name: str) -> bool:
    """Take the sockets of a file; return whether those were all."""
    protocol, state = _FILES[name]
    try:
        with open(os.path.join(network, name), encoding="ascii", errors="replace") as stream:
            for line in itertools.islice(stream, _MOST_LINES):
                one = _proc_net.parse(line)
                if one is not None:
                    with contextlib.suppress(ValueError):
                        _add(found, one, protocol, state)
            return not stream.readline()
    except FileNotFoundError:
        return name.endswith("6")  # a kernel without IPv6
    except OSError:
        return False


def _add(found: Sockets, one: _proc_net.Line, protocol: str, state: str) -> None:
    """Take a socket; ValueError where its addresses are none."""
    if one.state == state:
        address, port = _proc_net.endpoint(one.local)
        if port:
            found.listeners.append(Listener(port, protocol, str(address), one.inode))
    elif one.state in _CONNECTED and protocol == "tcp":
        peer, _port = _proc_net.endpoint(one.remote)
        here, port = _proc_net.endpoint(one.local)
        # The host's own connections to itself are told by the same address at both ends.
        if not peer.is_loopback and peer != here:
            found.connected.add((str(peer), port))


def owners(inodes: t.Collection[int], processes: str = PROCESSES) -> dict[int, dict[str, t.Any]]:
    """Return pid, name and executable of the process of each socket, as far as they can be seen; the smallest pid."""
    wanted, found = set(inodes) - {0}, {}
    numbers = sorted(int(name) for name in os.listdir(processes) if name.isdigit())
    for pid in numbers[:_MOST_PROCESSES]:
        if not wanted:
            break
        mine = wanted & _sockets_of(os.path.join(processes, str(pid), "fd"))
        if mine:
            process = _process(processes, pid)
            found.update(dict.fromkeys(mine, process))
            wanted -= mine
    return found


def _sockets_of(directory: str) -> set[int]:
    found = set()
    with contextlib.suppress(OSError):
        for name in os.listdir(directory)[:_MOST_SOCKETS]:
            with contextlib.suppress(OSError):
                match = _SOCKET.match(os.readlink(os.path.join(directory, name)))
                if match:
                    found.add(int(match.group(1)))
    return found


def _process(processes: str, pid: int) -> dict[str, t.Any]:
    result: dict[str, t.Any] = {"pid": pid, "name": None, "executable": None}
    with contextlib.suppress(OSError), open(os.path.join(processes, str(pid), "comm"), "rb") as stream:
        result["name"] = printable(stream.read(256).rstrip(b"\n"))
    with contextlib.suppress(OSError):
        result["executable"] = printable(os.fsencode(os.readlink(os.path.join(processes, str(pid), "exe"))))
    return result


def addresses(network: str = NETWORK) -> list[str]:
    """Return the addresses of this host without those of the loopback interface; OSError as it comes."""
    found = set()
    # The tree of routes names each local address twice (fib_trie.txt of the kernel's documentation).
    with open(os.path.join(network, "fib_trie"), encoding="ascii", errors="replace") as stream:
        found.update(_LOCAL.findall(stream.read(1 << 26)))
    path = os.path.join(network, "if_inet6")
    with contextlib.suppress(FileNotFoundError), open(path, encoding="ascii", errors="replace") as stream:
        for line in stream:
            words = line.split()
            with contextlib.suppress(ValueError, IndexError):
                found.add(str(ipaddress.IPv6Address(bytes.fromhex(words[0]))))
    parsed = [ipaddress.ip_address(text) for text in found]
    return [str(one) for one in sorted(parsed, key=lambda one: (one.version, int(one))) if not one.is_loopback]
