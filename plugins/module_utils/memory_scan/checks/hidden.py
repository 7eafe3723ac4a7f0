# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Processes that are there and not listed, and sockets that nobody has open.

Processes: what the kernel lists itself, the control groups, the parents and tracers of others, and every number as far
as time goes, against the directory that every tool reads (T1014); and mounts over a process's directory (T1564.013).

Sockets: a network connection or a listening port belongs to a descriptor of some process. If it doesn't, its owner is
hidden, or the kernel has it: for a network file system, a tunnel or a block device of its own; or it is on its way from
one process to another. A file without an owner can't be seen like that: nothing lists which files are open but the
descriptors of processes themselves.
"""

from __future__ import annotations

import contextlib
import os
import re
import time
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils import _mountinfo, _proc_status, _procfs
from ansible_collections.bulwark.servers.plugins.module_utils._finding import printable
from ansible_collections.bulwark.servers.plugins.module_utils._net_sockets import Socket
from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan.model import Process, Sign
from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan.proc import (
    listing,
    processes,
    sockets,
    uncovered,
)
from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan.proc.owners import Owners
from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan.view import Host

# Seconds of processor time for trying numbers, and for searching owners.
SWEEP, SEARCH = 0.5, 0.5
_LOOKS = 3
_PAUSE = 0.03
_MOST_SIGNS = 50
# PROC_PID_INIT_INO of linux/proc_ns.h: the namespace in which every process has a number.
_FIRST_NAMESPACE = b"pid:[4026531836]"
_HIDEPID = re.compile(rb" /proc [^\n]* - proc [^\n]*hidepid=(?!0|off)", re.ASCII)
_MODULES = "/sys/module"
# Parts of the kernel that have sockets of their own, on any port.
_TCP_USERS = """
    9pnet ceph cifs dlm drbd iscsi_target_mod iscsi_tcp ksmbd libceph lockd nbd nfs nfsd nvme_tcp nvmet_tcp
    ocfs2_nodemanager orangefs rbd rds_tcp siw smc sunrpc
"""
_UDP_USERS = """
    amt bareudp batman_adv fou geneve gtp ip_vs l2tp_core openvswitch ovpn pfcp rdma_rxe rxrpc sunrpc tipc vxlan
    wireguard
"""
_USERS = {"tcp": _TCP_USERS.split(), "udp": _UDP_USERS.split()}

Found = t.Iterator[t.Tuple[str, Sign]]
Skip = t.Callable[[str], None]
Read = t.Callable[[int], t.Optional[Process]]


def check_host(host: Host, skip: Skip, read: Read | None = None) -> Found:
    """Look for what is hidden on the whole host. read: is asked for a process that is not listed."""
    yield from _covered(host)
    root = os.open(uncovered.PROC, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield from _unlisted(host, root, skip, read or read_unlisted)
        yield from _without_owner(host, root, skip)
    finally:
        os.close(root)


def _covered(host: Host) -> Found:
    for pid, kind in sorted(uncovered.covered(_mountinfo.own()).items())[:_MOST_SIGNS]:
        there = "" if listing.exists(pid) else ", which has ended"
        detail = "a file system (%s) is mounted over the directory in /proc of process %d%s" % (
            printable(kind),
            pid,
            there,
        )
        process = host.processes.get(pid)
        yield _subject(process), Sign("process_covered", detail, data={"pid": pid, "file_system": printable(kind)})


def _unlisted(host: Host, root: int, skip: Skip, read: Read) -> Found:
    refusal = _refusal(root)
    if refusal is not None:
        skip("processes that are not listed were not searched: %s" % refusal)
        return
    ways = _ways(host, root, skip)
    hidden = sorted(confirmed(set().union(*ways.values()), root))
    for pid in hidden[:_MOST_SIGNS]:
        known_by = [way for way, pids in ways.items() if pid in pids]
        process = host.processes.get(pid) or read(pid)
        name = "" if process is None else " (%s)" % printable(process.name)
        detail = "process %d%s is not listed in /proc, and is known by %s" % (pid, name, ", ".join(known_by))
        yield _subject(process), Sign("process_hidden", detail, data={"pid": pid, "known_by": known_by})
    if len(hidden) > _MOST_SIGNS:
        skip("%d more processes that are not listed are left out" % (len(hidden) - _MOST_SIGNS))


def _refusal(root: int) -> str | None:
    """Return why numbers of processes can't be compared with what is listed; None where they can."""
    own = None
    with contextlib.suppress(OSError):
        own = _proc_status.parse_status(_procfs.once(b"self/status", root))
    if own is None or len(own.pids) > 1:
        return "/proc is that of another namespace of processes"
    if os.geteuid() != 0 and _HIDEPID.search(_mountinfo.own()):
        return "/proc hides the processes of others (hidepid); run as root (become: true, or sudo make scan)"
    return None


def _ways(host: Host, root: int, skip: Skip) -> dict[str, set[int]]:
    """Return the numbers of processes and threads by how they were learned."""
    seen = host.processes.values()
    ways = {
        "the kernel's own list": listing.by_system_call(root),
        "its control group": listing.by_control_groups(skip),
        "its children, or what it traces": {process.parent for process in seen} | {process.tracer for process in seen},
    }
    sweep = listing.Sweep(SWEEP)
    if sweep.tried < sweep.total:
        # The lists are complete without it; it is for those that something in the kernel makes shorter.
        host.note(
            "Beside the lists of processes, %d of the %d numbers that one can have were tried; each scan tries others."
            % (sweep.tried, sweep.total)
        )
    ways["a system call"] = sweep.found
    return ways


def confirmed(candidates: t.AbstractSet[int], root: int) -> set[int]:
    """Return which of these numbers are of a process or thread that is not listed, however often one looks.

    What has just begun or just ended is not in every list; what is there all the time has to be in each of these.
    """
    left = set(candidates) - {0}
    for look in range(_LOOKS):
        if look:
            time.sleep(_PAUSE)
        listed = {int(name) for name in os.listdir(root) if name.isdigit()}
        left -= listed
        left = {pid for pid in left - listing.threads_of(root, listed) if listing.exists(pid)} if left else left
        if not left:
            break
    return left


def read_unlisted(pid: int) -> Process | None:
    """Return a process that is not listed, if it can be read all the same."""
    with contextlib.suppress(OSError):
        collector = processes.Collector()
        try:
            return collector.read(pid)
        finally:
            collector.close()
            collector.mounts.close()
    return None


def _subject(process: Process | None) -> str:
    """Return a name that is the same the next time."""
    if process is None:
        return "hidden process"
    return printable(process.name if process.executable is None else process.executable)


def _without_owner(host: Host, root: int, skip: Skip) -> Found:
    if os.readlink(b"self/ns/pid", dir_fd=root) != _FIRST_NAMESPACE:
        skip("a scan inside a container cannot tell which process has a socket")
        return
    table = sockets.read(host.processes)
    for subject, reason in table.skipped:
        skip("%s: %s" % (subject, reason))
    for socket in _ownerless(table, host, root, skip):
        kernel = _possible_users(socket.protocol)
        where = _shown(socket)
        detail = "no process has the socket %s open" % where
        if kernel:
            detail += "; parts of the kernel that may have it are loaded: %s" % ", ".join(kernel)
        data = {"inode": socket.inode, "user": socket.user, "network": socket.network, "kernel": kernel}
        yield where, Sign("socket_without_owner", detail, severity="informational" if kernel else None, data=data)


def _ownerless(table: sockets.Table, host: Host, root: int, skip: Skip) -> list[Socket]:
    """Return the sockets that nobody was found to have, in two searches with the sockets read again after each."""
    holders = {process.pid: [sockets.inode_of(file) for file in process.files] for process in host.processes.values()}
    left = set(table.sockets).difference(*holders.values())
    for _look in range(2):
        if not left:
            break
        owners = Owners(left, root, SEARCH)
        listed = {int(name) for name in os.listdir(root) if name.isdigit()}
        # Who had sockets before has the new ones, too, as a rule; then the youngest.
        owners.search(sorted(listed, key=lambda pid: (not any(holders.get(pid, ())), -pid)))
        if owners.blind:
            number = len(owners.wanted)
            whose = "1 socket belongs" if number == 1 else "%d sockets belong" % number
            skip("it is not known to which process %s: %s" % (whose, owners.blind))
            return []
        left = owners.wanted & set(sockets.read(host.processes).sockets)
    if len(left) > _MOST_SIGNS:
        skip("%d more sockets that no process has open are left out" % (len(left) - _MOST_SIGNS))
    return [table.sockets[inode] for inode in sorted(left)[:_MOST_SIGNS]]


def _possible_users(protocol: str) -> list[str]:
    """Return the parts of this kernel that may have a socket of that protocol themselves."""
    return [name for name in _USERS.get(protocol, ()) if os.path.isdir(os.path.join(_MODULES, name))]


def _shown(socket: Socket) -> str:
    words = [socket.protocol]
    if socket.remote is not None:
        words.append("to %s:%d" % socket.remote)
    elif socket.local is not None:
        words.append("%s:%d" % socket.local)
    return " ".join(words)
