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

from ansible_collections.bulwark.servers.plugins.module_utils import _proc_net, _safe_fs
from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan.model import OpenFile, Process, Socket
from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan.proc import procfs

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


class Table(t.NamedTuple):
    """sockets: by inode. skipped: networks or files of them that could not be read to the end, with the reason."""

    sockets: dict[int, Socket]
    skipped: list[tuple[str, str]]

    def of(self, process: Process) -> list[Socket]:
        """Return the sockets that a process has open."""
        numbers = (inode_of(file) for file in process.files)
        return [self.sockets[number] for number in numbers if number in self.sockets]


def inode_of(file: OpenFile) -> int:
    """Return the number of the socket that a descriptor stands for; 0 where it is none."""
    found = _SOCKET.match(file.target)
    return int(found.group(1)) if found else 0


def read(processes: t.Mapping[int, Process], root: str = "/proc", most: int = MOST_SOCKETS) -> Table:
    """Return the sockets of each network that one of these processes is in, at most so many."""
    guides: dict[int, list[int]] = {}
    for process in processes.values():
        if "net" in process.namespaces:
            guides.setdefault(process.namespaces["net"], []).append(process.pid)
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
            directory = os.open(os.path.join(root, str(pid)), procfs.DIRECTORY)
        except OSError as error:
            reason = _safe_fs.reason(error)
            continue
        try:
            found = _NAMESPACE.match(os.readlink(b"ns/net", dir_fd=directory))
            if found and int(found.group(1)) == network:
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
                found = parse_packet(line, network) if name == _PACKET else parse(line, name.rstrip("6"), network)
                if found is None:
                    continue
                if len(table.sockets) >= most and found.inode not in table.sockets:
                    return "there are more than %d sockets" % most
                table.sockets[found.inode] = found
        except FileNotFoundError:
            continue  # a kernel without that protocol
        except OSError as error:
            failed = "%s: %s" % (name, _safe_fs.reason(error))
    return failed


def _lines(name: bytes, directory: int) -> t.Iterator[str]:
    rest = b""
    for piece in procfs.read_pieces(name, directory):
        lines = (rest + piece).split(b"\n")
        rest = lines.pop()[:_MOST_LINE]
        for line in lines:
            yield line.decode("ascii", "replace")


def parse(line: str, protocol: str, network: int) -> Socket | None:
    """Return the socket of a line of proc_net_tcp(5) or its like; None for one that no process can have open."""
    found = _proc_net.parse(line)
    if found is None or not found.inode:
        return None
    try:
        local, remote = _proc_net.endpoint(found.local), _proc_net.endpoint(found.remote)
    except ValueError:
        return None
    here, there = (str(local[0]), local[1]), (str(remote[0]), remote[1])
    connected = bool(remote[1]) or not remote[0].is_unspecified
    state = _STATES.get(found.state.upper(), "unknown")
    return Socket(protocol, state, here, there if connected else None, found.inode, found.user, network)


def parse_packet(line: str, network: int) -> Socket | None:
    """Return the socket of a line of /proc/net/packet, which sees what passes the interfaces (packet(7))."""
    words = line.split(None, 9)
    if len(words) < 9 or not words[7].isdigit() or not words[8].isdigit() or words[8] == "0":
        return None
    return Socket("packet", "unconnected", None, None, int(words[8]), int(words[7]), network)
