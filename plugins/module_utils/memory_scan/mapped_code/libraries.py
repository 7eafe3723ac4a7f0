# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The files that a process has loaded beside its executable, and what speaks for them."""

from __future__ import annotations

import os
import re
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan.identity import surroundings
from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan.identity.surroundings import UnknownError
from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan.mapped_code import images
from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan.mapped_code.images import File
from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan.model import Mapping, Process
from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan.view import Host, View

# Where everybody can put files, or where they don't outlive the next start.
TEMPORARY = (
    b"/tmp/",
    b"/var/tmp/",
    b"/dev/",
    b"/run/shm/",
    b"/run/user/",
    b"/run/lock/",
    b"/var/lock/",
    b"/var/crash/",
)
# What package managers call a file while they put another in its place.
_REPLACED = re.compile(rb"(?:\.dpkg-(?:tmp|new|old)|;[0-9a-f]{8}|\.rpm(?:new|save|orig)|\.#prelink#\.\w+)\Z")
_OTHERS_WRITE = 0o002


def mapped(view: View) -> list[Mapping]:
    """Return the first executable mapping of each file beside the executable."""
    found: dict[tuple[t.Any, ...], Mapping] = {}
    for mapping in view.maps:
        if mapping.executable and not mapping.anonymous and not images.is_executable(view, mapping):
            found.setdefault((mapping.device, mapping.inode, mapping.path), mapping)
    return list(found.values())


def began(view: View, host: Host) -> float:
    """Return when a process was started, in seconds since the epoch."""
    return host.boot_time + view.process.started / os.sysconf("SC_CLK_TCK")


def is_temporary(path: bytes) -> bool:
    return path.startswith(TEMPORARY)


def package_of(host: Host, path: bytes, status: os.stat_result) -> str | None:
    """Return the package that a file is of; None where the file that is open isn't the one that has this name here.

    In a container, and wherever else something is mounted over it, another file may have it.
    """
    return _package_at(host, path, status.st_dev, status.st_ino)


def package_of_executable(host: Host, process: Process) -> str | None:
    """Return the package that a process's executable is of, as far as its name and number tell."""
    if process.executable is None or process.executable_deleted or process.status is None:
        return None
    return _package_at(host, process.executable, process.status.device, process.status.inode)


def _package_at(host: Host, path: bytes, device: int, inode: int) -> str | None:
    owner = host.owner(path)
    return owner if owner is not None and _is_at(host, path, device, inode) else None


def is_hosts(host: Host, mapping: Mapping, status: os.stat_result) -> bool:
    """Say whether the file that is open is the one that has this name here, on the host."""
    return _is_at(host, mapping.path, status.st_dev, status.st_ino)


def _is_at(host: Host, path: bytes, device: int, inode: int) -> bool:
    here = _status_at(host, path)
    return here is not None and (here.st_dev, here.st_ino) == (device, inode)


def was_replaced(view: View, host: Host, mapping: Mapping) -> bool:
    """Say whether a file that has no name any more made room for the one of an upgraded package.

    That one came after the process began, or else the process would have loaded it, and its package was installed
    since: anybody with rights can have a file look changed. The old one was nobody's to write but root's.
    """
    path = _REPLACED.sub(b"", mapping.path)
    owner = host.owner(path) if view.process.container is None else None
    here = _status_at(host, path)
    file = images.look_at(view, host, mapping)
    since = began(view, host) - 1
    if owner is None or here is None or file is None or here.st_ctime < since:
        return False
    if file.status.st_uid != 0 or is_loose(file):
        return False
    around = surroundings.of(host)
    return around.installed_since(owner, since) or around.is_dpkg_at_work()


def has_follower(view: View, host: Host, mapping: Mapping) -> bool:
    """Say whether another file has the name now that one had, as where a program brings its own upgrade.

    A package's file comes from its package alone.
    """
    path = _REPLACED.sub(b"", mapping.path)
    own = view.process.container is None and host.owner(path) is None
    here = _status_at(host, path) if own else None
    return here is not None and here.st_ino != mapping.inode


def is_loose(file: File) -> bool:
    """Say whether everybody can write a file."""
    return bool(file.status.st_mode & _OTHERS_WRITE)


def is_foreign(view: View, file: File) -> bool:
    """Say whether a file is of somebody who is neither root nor who runs the process.

    In a user namespace of its own, a process's root has another number here: there it is not known.
    """
    process = view.process
    own = os.stat("/proc/self/ns/user").st_ino
    if process.namespaces.get("user", own) != own:
        return False
    return file.status.st_uid not in (0, *process.users)


def _status_at(host: Host, path: bytes) -> os.stat_result | None:
    """Return what is at a path that the kernel gave, in which no link is; None, too, where nobody may answer."""
    try:
        return surroundings.of(host).status(path)
    except (UnknownError, ValueError):
        return None
