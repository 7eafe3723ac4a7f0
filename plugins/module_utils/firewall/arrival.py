# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Find out how the connection came in that started this process, for a trial that it is to confirm.

Several sessions can share one connection of SSH, which may be older than the rules that it is to prove. Each connection
has a process of its own on the host: it was started when the connection was accepted (proc_pid_stat(5), starttime), and
its socket is in /proc/net/tcp.
"""

from __future__ import annotations

import ipaddress
import os
import struct
import typing as t

# It began after the rules were proposed, and came from another host.
NEW = "new"
OLD = "old"
# From this host to itself, by the interface lo, which no rule denies.
LOCAL = "local"
UNKNOWN = "unknown"
_ESTABLISHED = "01"
_MOST_ANCESTORS = 64
# Seconds: the kernel tells hundredths.
_GRAIN = 0.02


class Connection(t.NamedTuple):
    """pid, started: of the process that has it; in seconds since boot. ends: the addresses here and there."""

    pid: int
    started: float
    ends: t.Sequence[tuple[t.Any, t.Any]]

    @property
    def is_local(self) -> bool:
        return any(there.is_loopback or there == here for here, there in self.ends)


def how(since: float, process: int | None = None) -> str:
    """Return how the connection came in. since: when the rules were proposed, in seconds since boot."""
    found = next(connections(process), None)
    if found is None:
        return UNKNOWN
    if found.is_local:
        return LOCAL
    return NEW if found.started >= since - _GRAIN else OLD


def connections(process: int | None = None) -> t.Iterator[Connection]:
    """Yield the connections of a process, this one if none is named, and of its ancestors: its own come first."""
    sockets = _established()
    for started, pid in _ancestors(os.getpid() if process is None else process):
        ends = [sockets[inode] for inode in _sockets(pid) if inode in sockets]
        if ends:
            yield Connection(pid, started, ends)


def _ancestors(pid: int) -> t.Iterator[tuple[float, int]]:
    """Yield when a process was started, in seconds since boot, and its number; then the same of its ancestors."""
    ticks = os.sysconf("SC_CLK_TCK")
    for _number in range(_MOST_ANCESTORS):
        if pid <= 1:
            return
        try:
            with open("/proc/%d/stat" % pid, "rb") as stream:
                fields = stream.read(4096).rpartition(b")")[2].split()
            parent, started = int(fields[1]), int(fields[19])
        except (OSError, ValueError, IndexError):
            return
        yield started / ticks, pid
        pid = parent


def _sockets(pid: int) -> list[str]:
    directory = "/proc/%d/fd" % pid
    found = []
    try:
        for name in os.listdir(directory):
            target = os.readlink(os.path.join(directory, name))
            if target.startswith("socket:["):
                found.append(target[len("socket:[") : -1])
    except OSError:
        pass  # It has ended, or is not ours to look at.
    return found


def _established() -> dict[str, tuple[t.Any, t.Any]]:
    """Return the addresses of both ends of each established connection of TCP, by the number of its socket."""
    found = {}
    for line in [*_lines("/proc/thread-self/net/tcp"), *_lines("/proc/thread-self/net/tcp6")]:
        fields = line.split()
        if len(fields) > 9 and fields[3] == _ESTABLISHED:
            found[fields[9]] = (_address(fields[1]), _address(fields[2]))
    return found


def _lines(path: str) -> list[str]:
    try:
        with open(path, encoding="ascii") as stream:
            return stream.readlines()
    except OSError:
        return []  # a kernel without IPv6


def _address(text: str) -> t.Any:
    """Return the address of "0100007F:0016", whose words of four bytes are in the order of the machine."""
    digits = text.partition(":")[0]
    words = [int(digits[start : start + 8], 16) for start in range(0, len(digits), 8)]
    address = ipaddress.ip_address(struct.pack("=%dI" % len(words), *words))
    return getattr(address, "ipv4_mapped", None) or address
