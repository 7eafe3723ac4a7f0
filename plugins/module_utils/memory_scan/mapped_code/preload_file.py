# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""/etc/ld.so.preload: libraries that the loader puts into every program that starts (ld.so(8))."""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
import platform
import re
import stat
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils import _procfs, _safe_fs
from ansible_collections.bulwark.servers.plugins.module_utils._finding import printable
from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan.model import Process, Sign
from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan.proc import details
from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan.proc.mounts import Mounts
from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan.view import Host

PATH = b"/etc/ld.so.preload"
_MOST_BYTES = 1 << 16
_MOST_NAMES = 64
# Links are followed, as the loader does, and where one leads to what never answers no program starts any more.
_FLAGS = os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
_AT_FDCWD = -100
# openat(2) by machine, as uname(2) names it. Of others only the C library's function is known.
_OPENAT = {"x86_64": 257, "aarch64": 56, "riscv64": 56, "ppc64le": 286, "ppc64": 286, "s390x": 288}
_SEPARATORS = re.compile(rb"[\s:]+")


def check(host: Host, skip: t.Callable[[str], None], path: bytes = PATH) -> t.Iterator[tuple[str, Sign]]:
    """Yield what the file names, and that it is hidden from us where it is. skip: takes that there is more.

    What is put into every program is in ours, too. The usual rootkits of this kind replace the C library's functions
    that open files, to deny that this one is there; the kernel itself, asked past them, does not.
    """
    real = _opened_past_library(path)
    shown = _opened(path)
    try:
        if real is not None and shown is None and _is_there(path):
            yield printable(path), Sign("preload_file_hidden", "%s is there, and hidden" % printable(path))
        descriptor = real if real is not None else shown
        names, is_whole = _listed(descriptor) if descriptor is not None else ([], True)
        if not is_whole:
            skip(
                "%s has more than %d names or %d bytes: only the first were read; check the file"
                % (printable(path), _MOST_NAMES, _MOST_BYTES)
            )
        for name in names:
            package = _package(host, name)
            subtype = "preload_file" if package is not None else "preload_file_unpackaged"
            data = {"package": package} if package is not None else {}
            detail = "%s makes every program load %s" % (printable(path), printable(name))
            yield "%s: %s" % (printable(path), printable(name)), Sign(subtype, detail, data=data)
    finally:
        for descriptor in (shown, real):
            if descriptor is not None:
                os.close(descriptor)


def of_host(host: Host) -> frozenset[bytes]:
    """Return the names, without directories, that the file of this mount namespace lists now."""

    def listed() -> frozenset[bytes]:
        descriptor = _opened(PATH)
        if descriptor is None:
            return frozenset()
        try:
            return frozenset(map(os.path.basename, _names(descriptor)))
        finally:
            os.close(descriptor)

    found: frozenset[bytes] = host.remember(("preload_file", "listed"), listed)
    return found


def of_namespace(host: Host, process: Process) -> frozenset[bytes]:
    """Return the names, without directories, that such a file of the process's own mount namespace lists.

    Nothing where it shares ours, or sees the same file: what that lists is told once, of the host. The names say
    nothing of the process unless it has loaded them.
    """
    own: int = host.remember(("preload_file", "own"), lambda: os.stat("/proc/self/ns/mnt").st_ino)
    namespace = process.namespaces.get("mnt", own)
    if namespace == own:
        return frozenset()
    key = ("preload_file", namespace)
    names: frozenset[bytes] = host.remember(
        key, lambda: frozenset(os.path.basename(one) for one in _elsewhere(process))
    )
    return names


def _elsewhere(process: Process) -> list[bytes]:
    """Return what is listed below the root of a process.

    No link is followed, which would lead out of it, and no file system is asked that may never answer.
    """
    with contextlib.ExitStack() as opened:

        def taken(descriptor: int) -> int:
            opened.callback(os.close, descriptor)
            return descriptor

        try:
            own = taken(os.open(b"/proc/%d" % process.pid, _procfs.DIRECTORY))
            known = Mounts()
            opened.callback(known.close)
            known.add(process.namespaces["mnt"], own)
            reached = taken(os.open(b"root", _procfs.DIRECTORY, dir_fd=own))
            for name in PATH.strip(b"/").split(b"/"):
                if details.not_asked(known.of_open(reached)) is not None:
                    return []
                reached = taken(_safe_fs.pin(name, reached))
            if details.not_asked(known.of_open(reached)) is not None:
                return []
            status = os.fstat(reached)
            if not stat.S_ISREG(status.st_mode) or _is_own(status):
                return []
            return _names(taken(os.open(_safe_fs.pinned_path(reached), _FLAGS)))
        except OSError:
            return []


def _is_own(status: os.stat_result) -> bool:
    try:
        own = os.stat(PATH)
    except OSError:
        return False
    return (own.st_dev, own.st_ino) == (status.st_dev, status.st_ino)


def _is_there(path: bytes) -> bool:
    """Ask once more: it may have been removed between two questions."""
    descriptor = _opened_past_library(path)
    if descriptor is not None:
        os.close(descriptor)
    return descriptor is not None


def _package(host: Host, name: bytes) -> str | None:
    """Return the package that ships a library just as it is here."""
    directories = [b""] if b"/" in name else [directory + b"/" for directory in _directories()]
    for directory in directories:
        path = os.path.realpath(directory + name)
        descriptor = _opened(path) if host.owner(path) is not None else None
        if descriptor is not None:
            try:
                return host.as_packaged(path, descriptor)
            finally:
                os.close(descriptor)
    return None


def _directories() -> list[bytes]:
    """Return where the loader looks for a name without a directory, as distributions have it."""
    triplet = os.fsencode("%s-linux-gnu" % platform.machine())
    return [b"/lib/" + triplet, b"/usr/lib/" + triplet, b"/lib64", b"/usr/lib64", b"/lib", b"/usr/lib"]


def parse(text: bytes) -> list[bytes]:
    """Return the names that the loader takes from such a file: a # begins a comment, spaces and colons part names."""
    words: list[bytes] = []
    for line in text.split(b"\n"):
        words.extend(word for word in _SEPARATORS.split(line.partition(b"#")[0]) if word)
    return list(dict.fromkeys(words))


def _names(descriptor: int) -> list[bytes]:
    return _listed(descriptor)[0]


def _listed(descriptor: int) -> tuple[list[bytes], bool]:
    """Return the first names that a file has, and whether these are all."""
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            return [], True
        names = parse(os.pread(descriptor, _MOST_BYTES, 0))
    except OSError:
        return [], True
    return names[:_MOST_NAMES], status.st_size <= _MOST_BYTES and len(names) <= _MOST_NAMES


def _opened(path: bytes) -> int | None:
    try:
        return os.open(path, _FLAGS)
    except OSError:
        return None


def _opened_past_library(path: bytes) -> int | None:
    """Open a file by the number of the system call; None where it isn't there, or the number isn't known."""
    number = _OPENAT.get(platform.machine())
    if number is None:
        return None
    call = ctypes.CDLL(None, use_errno=True).syscall
    while True:
        descriptor: int = call(
            ctypes.c_long(number), ctypes.c_int(_AT_FDCWD), path, ctypes.c_int(_FLAGS), ctypes.c_int(0)
        )
        if descriptor >= 0:
            return descriptor
        if ctypes.get_errno() != errno.EINTR:
            return None
