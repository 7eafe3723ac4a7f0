# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where the executable of a process stands: shipped by a package, made by somebody, in memory, or gone.

What a deleted executable means depends on what is at its path now. A package manager puts the new file in the place of
the old one, which goes on running (dpkg and rpm rename(2) over it); developers and programs that update themselves do
the same. Attackers delete what they have started so that nobody finds it.
"""

from __future__ import annotations

import os
import re
import stat
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan.identity import places
from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan.identity.surroundings import (
    Surroundings,
    UnknownError,
)
from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan.model import Process
from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan.proc import details
from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan.view import Host

# Kinds of standing, from the best known to the least.
PACKAGED = "packaged"  # a package owns the path
UPGRADED = "upgraded"  # deleted, and a package has put another file there since
SYSTEM = "system"  # an administrator's, no package's
LOCAL = "local"  # somebody's own
FOREIGN = "foreign"  # of another mount namespace, such as a container's image
REPLACED = "replaced"  # deleted, another file of the same owner is there now
REMOVED = "removed"  # deleted, and packages were installed or removed since
RESTORED = "restored"  # deleted, a package's file is there now, but was not installed since
GONE = "gone"  # deleted, nothing is there, or something else
TEMPORARY = "temporary"
MEMORY = "memory"
DETACHED = "detached"  # its file system is mounted nowhere any more
UNKNOWN = "unknown"

# Where no program of the system and hardly any of a user is run from.
SUSPICIOUS = frozenset((TEMPORARY, MEMORY, GONE, RESTORED, DETACHED))
# What an administrator has put there, or nobody can tell.
TRUSTED = frozenset((PACKAGED, UPGRADED))

_TICKS = os.sysconf("SC_CLK_TCK")
# Both start and change are exact to a tick or two; clocks are set right in small steps.
_TOLERANCE = 2.0
# What dpkg and rpm call a file while they put it in its place.
_TRANSIENT = re.compile(
    rb"(?:\.dpkg-(?:tmp|new|old|dist)|;[0-9a-f]{8}|\.rpm(?:new|save|orig)|\.apk\.[0-9a-f]{20,50})\Z"
)
_UNDER_WAY = (b".dpkg-new", b".dpkg-tmp")
_MEMORY_PREFIXES = (b"/memfd:", b"/SYSV", b"/dev/zero")


class Standing(t.NamedTuple):
    """kind: one of the above. owner: the package where one is known. reason: why it is ``UNKNOWN``."""

    kind: str
    owner: str | None = None
    reason: str | None = None


def started(process: Process, host: Host) -> float:
    """Return when a process was started, in seconds since the epoch."""
    return host.boot_time + process.started / _TICKS


def of(process: Process, host: Host, around: Surroundings) -> Standing:
    """Return the standing of a process's executable, of which there is one."""
    path = process.executable or b""
    if is_memory(process):
        return Standing(MEMORY)
    if is_detached(process):
        return Standing(DETACHED)
    if is_deleted(process):
        return _deleted(process, path, host, around)
    if is_temporary(process, around):
        return Standing(TEMPORARY)
    return _there(process, path, host, around)


def is_memory(process: Process) -> bool:
    """Say whether the executable is a file in memory, which never had a place in a file system (memfd_create(2))."""
    if process.status is not None and process.status.file_system == "memfd":
        return True
    return is_deleted(process) and (process.executable or b"").startswith(_MEMORY_PREFIXES)


def is_detached(process: Process) -> bool:
    """Say whether the executable's file system was taken from its place: the path of the executable leads nowhere."""
    return process.executable is not None and process.unreadable.get("status") == details.NOT_MOUNTED


def is_deleted(process: Process) -> bool:
    """Say whether the executable has no name any more, or another than the one it was started by."""
    return process.executable_deleted or (
        process.status is not None
        and process.status.links == 0
        and not process.status.file_system.startswith(("fuse", "overlay"))
    )


def is_temporary(process: Process, around: Surroundings) -> bool:
    """Say whether the executable is where everybody may write, or on a file system in memory."""
    path, status = process.executable or b"", process.status
    if places.is_temporary(path):
        return True
    if status is None or places.is_made(path):
        return False
    if status.file_system == "overlay" and process.container is None and status.device not in around.system_devices:
        return around.writes_to_memory(path, process.pid if elsewhere(process, around) else None)
    if status.file_system not in places.MEMORY_FILE_SYSTEMS:
        return False
    return status.device not in around.system_devices and not _is_on_own_root(process, status.device, around)


def _is_on_own_root(process: Process, device: int, around: Surroundings) -> bool:
    """Say whether a container's root is in memory as a whole; anybody may mount something over a part of it."""
    if process.container is None or not elsewhere(process, around):
        return False
    try:
        root = around.status(b"/", process.pid)
    except UnknownError:
        return False
    return root is not None and root.st_dev == device


def elsewhere(process: Process, around: Surroundings) -> bool:
    """Say whether a process sees other mounts than this one."""
    return process.namespaces.get("mnt", around.mount_namespace) != around.mount_namespace


def is_hosts(process: Process, around: Surroundings) -> bool:
    """Say whether an executable is the file that the host has at that path.

    Services have mount namespaces of their own for private directories, and still run the host's programs.
    """
    if not elsewhere(process, around):
        return True
    status = process.status
    return status is not None and around.same_file(process.executable or b"", status.device, status.inode)


def _there(process: Process, path: bytes, host: Host, around: Surroundings) -> Standing:
    if not is_hosts(process, around):
        return Standing(FOREIGN)
    owner = host.owner(path) if places.is_system(path) else None
    if owner is not None:
        return Standing(PACKAGED, owner)
    status = process.status
    own = status is None or (status.user == 0 and not status.mode & (stat.S_IWGRP | stat.S_IWOTH))
    return Standing(SYSTEM if own and (places.is_system(path) or places.is_made(path)) else LOCAL)


def _deleted(process: Process, path: bytes, host: Host, around: Surroundings) -> Standing:
    path = _TRANSIENT.sub(b"", path)
    if places.never_had_a_name(path):
        return Standing(GONE)
    other = elsewhere(process, around)
    try:
        # A mount namespace of its own doesn't make a service's programs others than the host's.
        now = around.status(path, process.pid if other else None)
        if not other or (now is not None and around.same_file(path, now.st_dev, now.st_ino)):
            return _on_host(process, path, now, host, around)
    except UnknownError as error:
        return Standing(UNKNOWN, reason=str(error))
    if places.is_temporary(path) or not places.is_system(path):
        return Standing(REPLACED if _is_successor(process, now) else GONE)
    # Which packages a container has can't be told from here.
    return Standing(REPLACED if _is_successor(process, now) else REMOVED)


def _on_host(process: Process, path: bytes, now: os.stat_result | None, host: Host, around: Surroundings) -> Standing:
    since = started(process, host) - _TOLERANCE
    owner = host.owner(path) if places.is_system(path) else None
    if owner is not None:
        # dpkg notes what it has installed after it has put all files there.
        under_way = around.is_dpkg_at_work() and any(around.status(path + end) is not None for end in _UNDER_WAY)
        if under_way or (now is not None and around.installed_since(owner, since)):
            return Standing(UPGRADED, owner)
        return Standing(RESTORED if now is not None else GONE, owner)
    if _is_successor(process, now):
        return Standing(REPLACED)
    status = process.status
    roots = status is not None and status.user == 0 and not status.mode & (stat.S_IWGRP | stat.S_IWOTH)
    if now is None and roots and places.is_packaged(path) and around.packages_changed_since(since):
        return Standing(REMOVED)
    return Standing(GONE)


def _is_successor(process: Process, now: os.stat_result | None) -> bool:
    """Say whether what is there now is a program of the same owner: what a build or an update leaves."""
    return (
        now is not None
        and stat.S_ISREG(now.st_mode)
        and bool(now.st_mode & 0o111)
        and now.st_size > 0
        and (process.status is None or process.status.user == now.st_uid)
    )
