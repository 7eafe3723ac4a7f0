# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rights that a process should not have: root below an ordinary user, capabilities, packet sockets, eBPF programs.

ATT&CK T1068, T1548, T1205.002, T1014.
"""

from __future__ import annotations

import os
import stat
import struct
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils import _bpf as bpf
from ansible_collections.bulwark.servers.plugins.module_utils._finding import printable
from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan.checks import disguise
from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan.identity import (
    places,
    programs,
    standing,
    surroundings,
)
from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan.identity.surroundings import Surroundings
from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan.model import Process, Sign
from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan.view import Host, View

# Numbers and names of capabilities(7) with which one can become root or read everything; then what listens and sends.
_POWERS: t.Mapping[int, str] = {
    1: "dac_override",
    2: "dac_read_search",
    3: "fowner",
    6: "setgid",
    7: "setuid",
    8: "setpcap",
    16: "sys_module",
    17: "sys_rawio",
    19: "sys_ptrace",
    21: "sys_admin",
    31: "setfcap",
    33: "mac_admin",
    38: "perfmon",
    39: "bpf",
}
_NETWORK: t.Mapping[int, str] = {12: "net_admin", 13: "net_raw"}
_ALL = {**_POWERS, **_NETWORK}
_POWERS_MASK = sum(1 << number for number in _POWERS)
_ALL_MASK = sum(1 << number for number in _ALL)
_SETUID = 1 << 7
_FILE_CAPABILITIES = "security.capability"

# Programs that start others as root for whoever may ask them, and their helpers that do it are gone then.
_STARTERS = frozenset((b"dbus-daemon", b"dbus-broker-launch", b"xinit", b"gdm-x-session", b"startx"))
_BY_WRAPPER = frozenset((b"Xorg", b"X"))
_SCREENS = frozenset((b"screen", b"tmux"))
# Those of the kernel's own that nobody holds: they come with it, before the first program is started.
_KERNEL_PROGRAMS = (b"hid_", b"dump_bpf_", b"bpf_iter_")


def check(view: View, host: Host) -> t.Iterator[Sign]:
    """Yield what a process may do, or listens to, that it should not."""
    process = view.process
    if process.executable is None or process.is_kernel_thread:
        return
    if process.users[1] == 0:
        yield from _root(process, host)
    elif (process.capabilities.effective | process.capabilities.permitted) & _ALL_MASK:
        yield from _capable(view, host)
    yield from _packets(process, host)
    if any(one.target in bpf.HELD for one in process.files):
        yield from _holds_programs(process, host)


# Root


def _root(process: Process, host: Host) -> t.Iterator[Sign]:
    """Yield how it can't have become root, or by what it should not have."""
    around = surroundings.of(host)
    if not _is_ours(process, around):
        return
    status = process.status
    if status is not None and status.user == 0 and status.mode & stat.S_ISUID:
        if process.users[0] != 0:
            yield from _set_user(process, host, around)
        return
    parent = host.processes.get(process.parent)
    if parent is None or parent.pid <= 1 or parent.is_kernel_thread or 0 in parent.users[:3]:
        return
    # A parent that may change its user may have done so for its child.
    if not _is_ours(parent, around) or (parent.capabilities.effective | parent.capabilities.permitted) & _SETUID:
        return
    yield from _below_user(process, parent, host, around)


def _is_ours(process: Process, around: Surroundings) -> bool:
    """Say whether its rights are those of the host's users: in other user namespaces everybody may have all rights."""
    return process.namespaces.get("user", around.user_namespace) == around.user_namespace


def _set_user(process: Process, host: Host, around: Surroundings) -> t.Iterator[Sign]:
    versatile = programs.is_versatile(process) and programs.base(process.executable) not in _SCREENS
    found = standing.of(process, host, around)
    if found.kind not in standing.SUSPICIOUS and found.kind != standing.LOCAL and not versatile:
        return
    if found.kind == standing.LOCAL and programs.base(process.executable) == b"chrome-sandbox":
        return
    detail = "user %d runs %s as root, which is set-uid" % (process.users[0], _shown(process))
    yield Sign("set_user_program", detail)


def _below_user(process: Process, parent: Process, host: Host, around: Surroundings) -> t.Iterator[Sign]:
    found = standing.of(process, host, around)
    owned = process.status is None or process.status.user == 0
    detail = "it runs %s as root below %s of user %d, and neither is set-uid" % (
        _shown(process),
        _shown(parent),
        parent.users[1],
    )
    ways = around.ways_to_root() or standing.elsewhere(process, around)
    adopted = _is_adopted(process, parent)
    if found.kind in standing.SUSPICIOUS:
        yield Sign("root_without_way", detail)
    elif found.kind in (standing.LOCAL, standing.REPLACED):
        if owned and ways:
            yield Sign("root_below_user", detail, severity="low")
        else:
            yield Sign("root_without_way", detail, severity="medium" if adopted else None)
    elif _is_same_program(process, parent) or _is_explained(process, parent):
        # A service that leaves its rights, all but a helper that it keeps for what needs them.
        return
    elif adopted:
        yield Sign("root_below_user", "%s, by which it may have been adopted" % detail)
    elif _is_suspicious(parent, host, around):
        yield Sign("root_without_way", detail)
    elif not ways:
        yield Sign("root_below_user", detail, severity="medium")
    elif programs.is_versatile(process) and not (around.has_doas() or standing.elsewhere(process, around)):
        yield Sign("root_below_user", detail, severity="low")
    else:
        yield Sign("root_below_user", detail)


def _is_adopted(process: Process, parent: Process) -> bool:
    """Say whether a parent takes in what others leave behind, so that its user says nothing (prctl(2), subreapers)."""
    return programs.base(parent.executable) in (b"systemd", b"tini", b"docker-init", b"dumb-init", b"catatonit") or (
        process.session != parent.session and process.session != process.pid
    )


def _is_same_program(process: Process, parent: Process) -> bool:
    """Say whether a process is a copy of its parent, which may have left its rights after that.

    Of interpreters, only those that run the same script; shells don't do this.
    """
    spoken = programs.language(process)
    if spoken is not None and (spoken.name == "shell" or process.arguments != parent.arguments):
        return False
    mine, other = process.status, parent.status
    if mine is None or other is None:
        return process.executable == parent.executable
    return (mine.device, mine.inode) == (other.device, other.inode)


def _is_explained(process: Process, parent: Process) -> bool:
    return (programs.base(parent.executable) in _STARTERS and programs.language(process) is None) or programs.base(
        process.executable
    ) in _BY_WRAPPER


def _is_suspicious(parent: Process, host: Host, around: Surroundings) -> bool:
    path = parent.executable
    if path is None or places.is_app_image(path):
        return False
    return standing.of(parent, host, around).kind in standing.SUSPICIOUS


# Capabilities


def _capable(view: View, host: Host) -> t.Iterator[Sign]:
    """Yield rights that an ordinary user's process has although it isn't root, and how it got them."""
    process = view.process
    around = surroundings.of(host)
    if not _is_ours(process, around) or 0 in process.users[:3]:
        return
    found = standing.of(process, host, around)
    versatile = programs.is_versatile(process)
    if found.kind in standing.TRUSTED and not versatile:
        return
    has = (process.capabilities.effective | process.capabilities.permitted) & _ALL_MASK
    powers = has & _POWERS_MASK
    by_file = _of_file(view) & has == has
    by_start = process.capabilities.ambient & has == has
    how = "its file gives them" if by_file else "it was started with them" if by_start else "it kept them"
    names = ", ".join(name for number, name in sorted(_ALL.items()) if has >> number & 1)
    detail = "user %d runs %s with the capabilities %s: %s" % (process.users[1], _shown(process), names, how)
    if found.kind in standing.SUSPICIOUS:
        yield Sign("capabilities_without_way", detail)
    elif versatile and by_file and powers:
        yield Sign("interpreter_with_capabilities", detail)
    else:
        # Services are started with the rights that their unit names; administrators give them to programs of their own.
        ordinary = (by_start and ".service" in process.cgroup) or (by_file and found.kind == standing.SYSTEM)
        if ordinary or not powers or found.kind in (standing.FOREIGN, standing.UPGRADED):
            severity = None
        else:
            severity = "medium" if found.kind == standing.LOCAL and not by_file else "low"
        yield Sign("unexpected_capabilities", detail, severity=severity)


def _of_file(view: View) -> int:
    """Return the capabilities that the executable's file gives (struct vfs_cap_data of linux/capability.h)."""
    descriptor = view.open_executable()
    if descriptor is None:
        view.skip("whether its executable has capabilities can't be read")
        return 0
    try:
        return file_capabilities(os.getxattr(descriptor, _FILE_CAPABILITIES))
    except OSError:
        return 0
    finally:
        os.close(descriptor)


def file_capabilities(value: bytes) -> int:
    """Return the permitted capabilities of an extended attribute; 0 where it is none that the kernel would take."""
    if len(value) < 12 or struct.unpack_from("<I", value)[0] >> 24 not in (1, 2, 3):
        return 0
    permitted: int = struct.unpack_from("<I", value, 4)[0]
    if len(value) >= 20:
        permitted |= struct.unpack_from("<I", value, 12)[0] << 32
    return permitted


# Packet sockets


def _packets(process: Process, host: Host) -> t.Iterator[Sign]:
    """Yield who listens to all packets (packet(7)), or sends ones of its own making (raw(7)), and should not."""
    if not any(one.target.startswith(b"socket:") for one in process.files):
        return
    kinds = {one.protocol for one in host.sockets_of(process) if one.protocol.startswith(("packet", "raw"))}
    if not kinds:
        return
    around = surroundings.of(host)
    found = standing.of(process, host, around)
    detail = "%s has a %s socket" % (_shown(process), " and a ".join(sorted(kinds)))
    if found.kind in standing.SUSPICIOUS:
        yield Sign("packet_socket", detail)
    elif disguise.is_disguised(process) or any(disguise.claims(process, host, around)):
        yield Sign("packet_socket", "%s, under a name that isn't its own" % detail)
    elif "packet" in kinds and (
        found.kind == standing.LOCAL or (programs.is_versatile(process) and not process.container)
    ):
        yield Sign("packet_socket_unpackaged", detail)


# eBPF programs


def _holds_programs(process: Process, host: Host) -> t.Iterator[Sign]:
    around = surroundings.of(host)
    found = standing.of(process, host, around)
    disguised = disguise.is_disguised(process) or any(disguise.claims(process, host, around))
    if found.kind in standing.TRUSTED and not disguised and not programs.is_versatile(process):
        return
    kernel: bpf.Kernel = host.remember("privilege.bpf", bpf.Kernel)
    names = []
    for number in sorted(kernel.held_by(process)):
        try:
            program = kernel.program(number)
        except bpf.RefusedError:
            program = None
            names.append("of number %d" % number)
        if program is not None:
            names.append("'%s' (%s, %s)" % (printable(program.name), program.kind, program.tag))
    if not names:
        return
    more = ", and %d more" % (len(names) - 5) if len(names) > 5 else ""
    detail = "%s holds the eBPF programs %s%s" % (_shown(process), ", ".join(names[:5]), more)
    if found.kind in standing.SUSPICIOUS or disguised:
        yield Sign("bpf_program_of_suspect", detail)
    else:
        yield Sign("bpf_program", detail, severity="low" if found.kind == standing.LOCAL else None)


def check_host(host: Host, skip: t.Callable[[str], None]) -> t.Iterator[tuple[str, Sign]]:
    """Yield eBPF programs that no process is seen to hold and that have no name either."""
    kernel: bpf.Kernel = host.remember("privilege.bpf", bpf.Kernel)
    try:
        there = kernel.programs()
    except bpf.RefusedError as refused:
        skip("eBPF programs: %s" % refused)
        return
    if not there:
        return
    if not surroundings.of(host).sees_all_processes:
        skip("eBPF programs: those who hold them can't all be seen from within this pid namespace")
        return
    known = kernel.pinned()
    for process in host.processes.values():
        if "files" in process.unreadable:
            skip(
                "eBPF programs: what process %d has open isn't known (%s)" % (process.pid, process.unreadable["files"])
            )
            return
        known |= kernel.held_by(process)
    for program in unheld(there, known, host.processes.values()):
        subject = "eBPF program %s %s" % (printable(program.name), program.tag)
        detail = "nobody holds the %s program '%s' (%s), which user %d loaded, and it has no name in /sys/fs/bpf" % (
            program.kind,
            printable(program.name),
            program.tag,
            program.user,
        )
        # What is attached to a network device or a socket stays without a holder.
        low = program.kind in bpf.NETWORK or program.kind == "socket_filter"
        yield subject, Sign("bpf_program_unheld", detail, severity="low" if low else None)


def unheld(
    there: t.Sequence[bpf.Program], known: t.Collection[int], processes: t.Iterable[Process]
) -> t.Iterator[bpf.Program]:
    """Yield programs that nobody is known to hold; without the kernel's own, and what came while it was looked.

    Programs that share a map with one that is held belong to it: they are called by it.
    """
    ticks = os.sysconf("SC_CLK_TCK")
    starts = [one.started / ticks for one in processes if not one.is_kernel_thread and one.pid != 1]
    first, last = min(starts, default=0.0), max(starts, default=0.0)
    shared = {number for program in there if program.id in known for number in program.maps}
    for program in there:
        if program.id in known or program.loaded >= last or shared.intersection(program.maps):
            continue
        if program.loaded < first and program.user == 0 and program.name.startswith(_KERNEL_PROGRAMS):
            continue
        yield program


def _shown(process: Process) -> str:
    return printable((process.executable or process.name)[:300])
