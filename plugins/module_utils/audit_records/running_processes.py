# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The processes that run now, from proc(5), as the audit log would have them.

Daemons were started, and bound to their ports, before a log begins, or get their sockets from systemd; and what only
forked is in no log. Each read is bounded, and what is gone or can't be read is left out.
"""

from __future__ import annotations

import contextlib
import os
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils import _proc_net, _process
from ansible_collections.bulwark.servers.plugins.module_utils.audit_records.processes import Process

_MOST_PROCESSES = 8_000
_MOST_DESCRIPTORS = 100_000
_MOST_NETWORKS = 200
_MOST_SOCKETS_BYTES = 4 * 1024 * 1024
_MOST_BYTES = 2_048
_NO_SESSION = b"4294967295"


class Running(t.NamedTuple):
    """A process, and when it was started, in seconds since the epoch."""

    started: float
    process: Process


def running(proc: str = "/proc") -> list[Running]:
    """Return the processes that run programs, parents before their children."""
    booted = _booted(proc)
    if booted is None:
        return []
    ticks = os.sysconf("SC_CLK_TCK")
    sockets = _Sockets(proc)
    entries = []
    for pid in sorted(int(name) for name in _names(proc) if name.isdigit())[:_MOST_PROCESSES]:
        stat = _process.stat(pid)
        exe = _link("%s/%d/exe" % (proc, pid))
        if stat is not None and exe:
            entries.append((stat.started, pid, stat.parent, exe))
    known: dict[int, Process] = {}
    found = []
    for started, pid, ppid, exe in sorted(entries):
        parent = known.get(ppid)
        folder = "%s/%d" % (proc, pid)
        title = _read(folder + "/cmdline", _MOST_BYTES).rstrip(b"\0")
        session = _read(folder + "/sessionid", 32).strip() or _NO_SESSION
        known[pid] = process = Process(
            b"%d" % pid,
            _recorded(exe),
            title.hex().upper().encode("ascii"),
            b"",
            parent,
            0 if parent is None else parent.depth + 1,
            session,
            sockets.listens(pid),
        )
        found.append(Running(booted + started / ticks, process))
    return found


class _Sockets:
    """The sockets of this host and its containers that take connections over IPv4 and IPv6."""

    def __init__(self, proc: str) -> None:
        self._proc = proc
        self._listening: dict[bytes, frozenset[bytes]] = {}
        self._left = _MOST_DESCRIPTORS

    def listens(self, pid: int) -> bool:
        folder = "%s/%d" % (self._proc, pid)
        listening = self._of(folder)
        if not listening:
            return False
        for name in _names(folder + "/fd"):
            self._left -= 1
            if self._left < 0:
                return False
            if _link("%s/fd/%s" % (folder, name)) in listening:
                return True
        return False

    def _of(self, folder: str) -> frozenset[bytes]:
        """Return the sockets of the network that a process is in, as its descriptors name them."""
        network = _link(folder + "/ns/net")
        listening = self._listening.get(network)
        if listening is None:
            listening = frozenset()
            if network and len(self._listening) < _MOST_NETWORKS:
                listening = frozenset((*_listening(folder + "/net/tcp"), *_listening(folder + "/net/tcp6")))
            self._listening[network] = listening
        return listening


def _listening(path: str) -> t.Iterator[bytes]:
    for line in _read(path, _MOST_SOCKETS_BYTES).decode("ascii", "replace").splitlines():
        socket = _proc_net.parse(line)
        if socket is not None and socket.state == _proc_net.LISTEN and socket.inode:
            yield b"socket:[%d]" % socket.inode


def _booted(proc: str) -> float | None:
    """Return when the host was booted, in seconds since the epoch."""
    for line in _read(proc + "/stat", _MOST_SOCKETS_BYTES).splitlines():
        if line.startswith(b"btime ") and line[6:].strip().isdigit():
            return float(line[6:])
    return None


def _recorded(exe: bytes) -> bytes:
    """Return a program as audit_log_untrustedstring() of linux/kernel/audit.c writes it."""
    if any(byte < 0x21 or byte > 0x7E or byte == 0x22 for byte in exe):
        return exe.hex().upper().encode("ascii")
    return b'"' + exe + b'"'


def _names(path: str) -> list[str]:
    try:
        return os.listdir(path)
    except OSError:
        return []


def _link(path: str) -> bytes:
    with contextlib.suppress(OSError):
        return os.readlink(os.fsencode(path))
    return b""


def _read(path: str, most: int) -> bytes:
    """Return the beginning of a file of proc(5), nothing where it can't be read."""
    with contextlib.suppress(OSError), open(path, "rb") as stream:
        return stream.read(most)
    return b""
