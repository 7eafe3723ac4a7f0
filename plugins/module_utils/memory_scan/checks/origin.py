# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Executed from memory, or gone: executables that aren't where programs are.

ATT&CK T1620, T1070.004, T1564. Interpreters that run what has no file are in ``piped.py``.
"""

from __future__ import annotations

import hashlib
import os
import posixpath
import stat
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils import _page_cache
from ansible_collections.bulwark.servers.plugins.module_utils._finding import printable
from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan.identity import (
    mounted_over,
    piped,
    places,
    programs,
    standing,
    surroundings,
)
from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan.identity.standing import Standing
from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan.identity.surroundings import Surroundings
from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan.model import Mapping, Process, Sign
from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan.proc import details
from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan.view import Host, View

# Runtimes of containers run a copy of themselves in memory, so that a container can't overwrite them (CVE-2019-5736).
_RUNTIMES = (b"runc", b"crun", b"youki", b"lxc-start", b"lxc-execute", b"lxc-attach", b"docker-runc", b"buildkit-runc")
_RUNTIME_DIRECTORIES = (b"/usr/bin", b"/usr/sbin", b"/usr/local/bin", b"/usr/local/sbin")
_LARGEST_RUNTIME = 1 << 27
_PIECE = 1 << 20

_ORDINARY_USERS = 1000
_NOBODY = 65534


def check(view: View, host: Host) -> t.Iterator[Sign]:
    """Yield what is wrong with where a process's program came from."""
    process = view.process
    if process.executable is None or process.is_kernel_thread:
        return
    around = surroundings.of(host)
    where = of_executable(view, host, around)
    if where is not None:
        yield where
    elif programs.is_loader(process):
        yield from _loaded(view)
    yield from piped.signs(process, host, around, view.skip)


def of_executable(view: View, host: Host, around: Surroundings) -> Sign | None:
    """Return what is wrong with the place of an executable; None for most, after a look at what is known already."""
    process = view.process
    path = process.executable or b""
    if standing.is_memory(process):
        return _in_memory(view, host)
    if standing.is_detached(process):
        return _detached(process, around)
    if standing.is_deleted(process):
        return _deleted(view, standing.of(process, host, around))
    if standing.is_temporary(process, around):
        return _temporary(process, host, around)
    if places.is_hidden_system(path) and standing.of(process, host, around).kind == "system":
        return Sign("hidden_executable", "it runs %s, which a listing of its directory doesn't show" % _shown(path))
    return _covered(view, host, around) or mounted_over.sign(view, host, around)


def _covered(view: View, host: Host, around: Surroundings) -> Sign | None:
    """Return what a program is that was mounted over a packaged one, whose path it goes by (ATT&CK T1564.013)."""
    path = view.process.executable or b""
    if not places.is_packaged(path) or standing.elsewhere(view.process, around) or not around.is_covered(path):
        return None
    owner = host.owner(path)
    descriptor = view.open_executable() if owner is not None else None
    if descriptor is None:
        return None
    try:
        if host.as_packaged(path, descriptor) is not None:
            return None
    finally:
        os.close(descriptor)
    if not host.has_digests(path):
        detail = "it runs a file mounted over %s, and %s does not record the original" % (
            _shown(path),
            printable(owner or ""),
        )
        return Sign("covered_executable", detail, severity="low")
    detail = "it runs a file mounted over %s, which is not as %s ships it" % (_shown(path), printable(owner or ""))
    return Sign("covered_executable", detail)


def _detached(process: Process, around: Surroundings) -> Sign:
    """Return what a program is whose file system was unmounted while it runs.

    What the initial RAM disk has started for good, to serve the root file system, runs from what isn't there any more,
    and says so by an "@" (systemd's "Storage Daemons for the Root File System"). In other mount namespaces roots are
    changed.
    """
    expected = standing.elsewhere(process, around) or b"".join(process.arguments[:1]).startswith(b"@")
    detail = "it runs %s, from a file system that is mounted nowhere any more" % _shown(process.executable or b"")
    return Sign("detached_executable", detail, severity="low" if expected else None)


def _in_memory(view: View, host: Host) -> Sign | None:
    path = view.process.executable or b""
    copy_of = _runtime(view, host)
    if copy_of is not None:
        runtime, owner = copy_of
        if owner is not None:
            return None
        detail = "it runs a copy in memory of %s, which no package owns" % _shown(runtime)
        return Sign("runtime_in_memory", detail)
    detail = "its executable is %s, a file in memory that has no place in any file system" % _shown(path)
    return Sign("memfd_executable", detail)


def _runtime(view: View, host: Host) -> tuple[bytes, str | None] | None:
    """Return the container runtime of this host that an executable in memory is a copy of, and its package.

    By its content: the name of such a file is whatever the program that made it likes.
    """
    status = view.process.status
    if status is None or not 0 < status.size <= _LARGEST_RUNTIME:
        return None
    # What starts containers may have come with its own runtime, and that lies beside it (k3s, snaps).
    above = [one.executable or b"" for one in programs.ancestors(view.process, host.processes)]
    beside = [posixpath.dirname(path) for path in above if places.is_system(path)]
    paths = [directory + b"/" + name for directory in (*_RUNTIME_DIRECTORIES, *beside) for name in _RUNTIMES]
    # Packages know a file by its own name, and not by those that links give it.
    for path in dict.fromkeys(map(os.path.realpath, paths)):
        if not _is_roots(path, status.size):
            continue
        descriptor = view.open_executable()
        if descriptor is None:
            view.skip("its executable, which is in memory, can't be read")
            return None
        try:
            owner = host.as_packaged(path, descriptor)
            if owner is not None or _same_content(descriptor, path, status.size):
                return path, owner
        finally:
            os.close(descriptor)
    return None


def _is_roots(path: bytes, size: int) -> bool:
    try:
        found = os.stat(path)
    except OSError:
        return False
    writable = found.st_mode & (stat.S_IWGRP | stat.S_IWOTH)
    return stat.S_ISREG(found.st_mode) and found.st_uid == 0 and not writable and found.st_size == size


def _same_content(descriptor: int, path: bytes, size: int) -> bool:
    try:
        other = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        return _digest(descriptor, size) == _digest(other, size)
    except OSError:
        return False
    finally:
        os.close(other)


def _digest(descriptor: int, size: int) -> bytes:
    digest = hashlib.sha256()
    for data in _page_cache.pieces(descriptor, size, _PIECE):
        digest.update(data)
    return digest.digest()


def _deleted(view: View, found: Standing) -> Sign | None:
    process = view.process
    path = process.executable or b""
    shown = _shown(path)
    temporary = places.is_temporary(path)
    if found.kind == standing.UPGRADED:
        return None
    if found.kind == standing.UNKNOWN:
        view.skip("the file at the path of its deleted executable: %s" % found.reason)
        kind = "deleted_executable" if temporary else "executable_removed"
        return Sign(kind, "its executable %s was deleted, and the file there now is unknown" % shown)
    if found.kind == standing.RESTORED:
        detail = "its executable %s was deleted; the file of %s is there now, which was not installed since" % (
            shown,
            printable(found.owner or ""),
        )
        return Sign("executable_replaced", detail, severity="medium")
    if found.kind == standing.REPLACED:
        severity = "medium" if temporary or places.is_hidden_system(path) else None
        return Sign("executable_replaced", "another file is at %s now, with the same owner" % shown, severity=severity)
    if found.kind == standing.REMOVED:
        return Sign("executable_removed", "its executable %s was deleted, packages were changed since" % shown)
    if _is_own(process) and not temporary:
        return Sign("executable_removed", "its executable %s, the user's own, was deleted" % shown)
    return Sign("deleted_executable", "its executable %s was deleted, and is there no more" % shown)


def _is_own(process: Process) -> bool:
    """Say whether an ordinary user runs a file of their own, as developers and programs that update themselves do."""
    user = process.users[1]
    return _ORDINARY_USERS <= user != _NOBODY and process.status is not None and process.status.user == user


def _temporary(process: Process, host: Host, around: Surroundings) -> Sign:
    path = process.executable or b""
    where = "which is on a file system in memory" if not places.is_temporary(path) else "where everybody may write"
    detail = "it runs %s, %s" % (_shown(path), where)
    if places.is_app_image(path) and details.is_on_fuse(process) and process.users[1] != 0:
        return Sign("temporary_executable", "it runs %s, as AppImages do" % _shown(path), severity="informational")
    raised = _raised(process, path, host)
    if raised is not None:
        return Sign("temporary_executable", "%s, and %s" % (detail, raised), severity="medium")
    if process.users[1] != 0 or standing.elsewhere(process, around):
        builder = _builder(process, host)
        if builder is not None:
            detail = "%s, started by %s" % (detail, printable(builder.name))
            return Sign("temporary_executable", detail, severity="informational")
    return Sign("temporary_executable", detail)


def _raised(process: Process, path: bytes, host: Host) -> str | None:
    """Return what makes a program in a temporary place more than somebody's trial."""
    if places.is_hidden(path):
        return "is hidden there"
    if path.startswith(b"/dev/") or not places.is_temporary(path):
        return "keeps nothing on a disk"
    if 0 < process.users[1] < _ORDINARY_USERS or process.users[1] == _NOBODY:
        return "is of a service's account"
    if any(one.remote is not None and piped.is_remote(one.remote[0]) for one in host.sockets_of(process)):
        return "has a connection to another host"
    return None


def _builder(process: Process, host: Host) -> Process | None:
    for above in programs.ancestors(process, host.processes):
        if programs.is_builder(above) and not places.is_temporary(above.executable or b"/tmp/"):
            return above
    return None


def _loaded(view: View) -> t.Iterator[Sign]:
    """Yield what the dynamic loader was told to run: a file need not be executable, or on a mount that allows it."""
    process = view.process
    named = programs.loaded(process.arguments)
    if named is not None and not named.startswith(b"/"):
        named = posixpath.normpath(posixpath.join(process.directory or b"/", named))
    found = next((one.path for one in view.maps if one.executable and _is_doubtful(one)), None)
    if found is None and named is not None and (places.is_temporary(named) or _is_descriptor(named)):
        found = named
    if found is None:
        return
    severity = "informational" if places.is_app_image(found) and process.users[1] != 0 else None
    detail = "the dynamic loader runs %s, which need not be executable for that" % _shown(found)
    yield Sign("loader_runs_program", detail, severity=severity)


def _is_doubtful(mapping: Mapping) -> bool:
    path = mapping.path
    return places.is_temporary(path) or (mapping.deleted and path.startswith(b"/memfd:"))


def _is_descriptor(path: bytes) -> bool:
    return path.startswith(b"/proc/") and b"/fd/" in path


def _shown(path: bytes) -> str:
    return printable(path[:300])
