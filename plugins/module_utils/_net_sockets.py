# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The sockets of all networks in which a process was seen, and whose they are.

Each network namespace has its own files in /proc/PID/net, and they are read through a process that is in it. Left out
are sockets that speak to nobody outside (UNIX, netlink), those of no process, which are connections that are over, and
of SCTP, DCCP, vsock and Bluetooth, of which there is nothing in such files.
"""

from __future__ import annotations

import os
import re
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils import _proc_net, _procfs, _safe_fs

MOST_SOCKETS = 100_000
# Of a namespace, before it is given up as unreadable.
_MOST_GUIDES = 5
_MOST_LINE = 4096
_FILES = ("tcp", "tcp6", "udp", "udp6", "udplite", "udplite6", "raw", "raw6", "icmp", "icmp6")
_PACKET = "packet"
# As ss(8) calls them.
_STATES = {
    "01": "established",
    "02": "syn-sent",
    "03": "syn-recv",
    "04": "fin-wait-1",
    "05": "fin-wait-2",
    "06": "time-wait",
    "07": "unconnected",
    "08": "close-wait",
    "09": "last-ack",
    "0A": "listen",
    "0B": "closing",
    "0C": "syn-recv",
}
_SOCKET = re.compile(rb"socket:\[(\d{1,20})\]\Z", re.ASCII)
_NAMESPACE = re.compile(rb"net:\[(\d{1,20})\]\Z", re.ASCII)


class Socket(t.NamedTuple):
    """A socket of /proc/net. state: "listen", "established" and so on as ss(8) has them; of UDP "unconnected" too.

    network: number of the network namespace. local, remote: (address, port), None where it has none. user: its owner.
    """

    protocol: str
    state: str
    local: tuple[str, int] | None
    remote: tuple[str, int] | None
    inode: int
    user: int
    network: int


class Table(t.NamedTuple):
    """sockets: by inode. skipped: networks or files of them that could not be read to the end, with the reason."""

    sockets: dict[int, Socket]
    skipped: list[tuple[str, str]]


def inode_of(target: bytes) -> int:
    """Return the number of the socket that a descriptor's link in /proc names; 0 where it is none."""
    match = _SOCKET.match(target)
    return int(match.group(1)) if match else 0


def read(guides: t.Mapping[int, t.Sequence[int]], root: str = "/proc", most: int = MOST_SOCKETS) -> Table:
    """Return the sockets of networks, at most so many. guides: the pids of processes in each, by its number."""
    table = Table({}, [])
    if not guides:
        table.skipped.append(("sockets", "it is not known which network any process is in"))
    for network, pids in guides.items():
        reason = _read_through(table, network, pids[:_MOST_GUIDES], root, most)
        if reason is not None:
            table.skipped.append(("sockets of the network %d" % network, reason))
    return table


def _read_through(table: Table, network: int, pids: t.Sequence[int], root: str, most: int) -> str | None:
    """Read a network through the first of these processes that is still in it; return what is wrong."""
    reason = "the processes in it have ended"
    for pid in pids:
        try:
            directory = os.open(os.path.join(root, str(pid)), _procfs.DIRECTORY)
        except OSError as error:
            reason = _safe_fs.reason(error)
            continue
        try:
            match = _NAMESPACE.match(os.readlink(b"ns/net", dir_fd=directory))
            if match and int(match.group(1)) == network:
                return _read_all(table, network, directory, most)
        except OSError as error:
            reason = _safe_fs.reason(error)
        finally:
            os.close(directory)
    return reason


def _read_all(table: Table, network: int, directory: int, most: int) -> str | None:
    """Read the files of a network; return what of them could not be read."""
    failed = None
    for name in (*_FILES, _PACKET):
        try:
            for line in _lines(b"net/" + name.encode(), directory):
                socket = parse_packet(line, network) if name == _PACKET else parse(line, name.rstrip("6"), network)
                if socket is None:
                    continue
                if len(table.sockets) >= most and socket.inode not in table.sockets:
                    return "there are more than %d sockets" % most
                table.sockets[socket.inode] = socket
        except FileNotFoundError:
            continue  # a kernel without that protocol
        except OSError as error:
            failed = "%s: %s" % (name, _safe_fs.reason(error))
    return failed


def _lines(name: bytes, directory: int) -> t.Iterator[str]:
    rest = b""
    for piece in _procfs.read_pieces(name, directory):
        lines = (rest + piece).split(b"\n")
        rest = lines.pop()[:_MOST_LINE]
        for line in lines:
            yield line.decode("ascii", "replace")


def parse(line: str, protocol: str, network: int) -> Socket | None:
    """Return the socket of a line of proc_net_tcp(5) or its like; None for one that no process can have open."""
    fields = _proc_net.parse(line)
    if fields is None or not fields.inode:
        return None
    try:
        local, remote = _proc_net.endpoint(fields.local), _proc_net.endpoint(fields.remote)
    except ValueError:
        return None
    here, there = (str(local[0]), local[1]), (str(remote[0]), remote[1])
    connected = bool(remote[1]) or not remote[0].is_unspecified
    state = _STATES.get(fields.state.upper(), "unknown")
    return Socket(protocol, state, here, there if connected else None, fields.inode, fields.user, network)


def parse_packet(line: str, network: int) -> Socket | None:
    """Return the socket of a line of /proc/net/packet, which sees what passes the interfaces (packet(7))."""
    words = line.split(None, 9)
    if len(words) < 9 or not words[7].isdigit() or not words[8].isdigit() or words[8] == "0":
        return None
    return Socket("packet", "unconnected", None, None, int(words[8]), int(words[7]), network)
