# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the checks of a process's identity ask the host's file system."""

from __future__ import annotations

import errno
import os
import posixpath
import re
import stat

from ansible_collections.bulwark.servers.plugins.module_utils import _page_cache, _procfs, _safe_fs
from ansible_collections.bulwark.servers.plugins.module_utils._mountinfo import file_systems
from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan.identity import places
from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan.identity.package_managers import (
    PackageManagers,
)
from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan.model import OpenFile, Process
from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan.proc import maps
from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan.view import Host

_KEY = "surroundings"
_MOST_MOUNTINFO = 1 << 22
# Of terminals (devices.txt): the major number of pseudo-terminals' slaves, the device that masters are, and that which
# stands for whatever terminal controls a process. What says a master's number.
_SLAVES, _MASTERS, _OWN = 136, os.makedev(5, 2), os.makedev(5, 0)
_TTY = re.compile(rb"^tty-index:\s*(\d+)$", re.MULTILINE)
_MOST_FDINFO, _MOST_STAT = 1 << 12, 1 << 12
# What of two programs is compared.
_SAMPLES, _SAMPLE = 32, 1 << 8
_MOST_LINKS = 40  # as many as the kernel follows (path_resolution(7))
# Where an overlay is mounted, and the directory for what is written to it; of another form than plain is none.
_OVERLAY = re.compile(rb"\d+ \d+ \d+:\d+ \S+ (\S+) .* - overlay \S+ (?:\S*,)?upperdir=(/[^, \\]*)")
# Programs that become root and then run another one in their own place, so that nothing in between is left of them.
_DOAS = (b"/usr/bin/doas", b"/usr/local/bin/doas", b"/run/wrappers/bin/doas")
_WAYS = (
    *_DOAS,
    b"/usr/bin/pkexec",
    b"/usr/bin/sudo",
    b"/usr/bin/sudo-rs",
    b"/usr/lib/dbus-1.0/dbus-daemon-launch-helper",
    b"/usr/libexec/dbus-1/dbus-daemon-launch-helper",
    b"/usr/libexec/dbus-daemon-launch-helper",
    b"/usr/lib/xorg/Xorg.wrap",
    b"/usr/libexec/Xorg.wrap",
    b"/run/wrappers/bin/sudo",
    b"/run/wrappers/bin/pkexec",
)


class UnknownError(Exception):
    """What is at a path can't be asked: who keeps it may never answer. The text says why."""


class Surroundings(PackageManagers):
    """Ask the host's file system, as the process that scans sees it. Other mount namespaces are asked for by pid."""

    def __init__(self) -> None:
        self.mount_namespace = _namespace("mnt")
        self.user_namespace = _namespace("user")
        self.network_namespace = _namespace("net")
        # Whether all processes that there are can be seen. PROC_PID_INIT_INO of linux/proc_ns.h.
        self.sees_all_processes = _namespace("pid") == 0xEFFFFFFC
        # Where the system itself is in memory (live systems, hosts without a disk), that says nothing of a program.
        self.system_devices = frozenset(
            found.st_dev for found in map(_followed, (b"/", b"/usr", b"/usr/bin")) if found is not None
        )
        self._mounts: dict[int, dict[bytes, str]] = {}
        # Of each other mount namespace, a process to see it through.
        self._guides: dict[int, int] = {}
        self._set_user: dict[tuple[bytes, ...], bool] = {}

    def status(self, path: bytes, pid: int | None = None) -> os.stat_result | None:
        """Return what is at a path, links not followed; None where nothing is.

        pid: see it as that process does. Raises UnknownError where it is on a file system of another machine or of a
        user's program, or the process's directory can't be looked into.
        """
        self._refuse_foreign(path, pid)
        return self._status(path, pid)

    def _status(self, path: bytes, pid: int | None) -> os.stat_result | None:
        try:
            current = os.open(b"/" if pid is None else b"/proc/%d/root" % pid, _procfs.DIRECTORY)
        except OSError as error:
            raise UnknownError(_safe_fs.reason(error)) from error
        names = [name for name in path.split(b"/") if name]
        try:
            for name in names[:-1]:
                following = os.open(name, _procfs.DIRECTORY | os.O_NOFOLLOW, dir_fd=current)
                os.close(current)
                current = following
            return os.stat(names[-1], dir_fd=current, follow_symlinks=False) if names else os.fstat(current)
        except OSError as error:
            if error.errno in _safe_fs.GONE:
                return None
            raise UnknownError(_safe_fs.reason(error)) from error
        finally:
            os.close(current)

    def stream(self, process: Process, file: OpenFile) -> tuple[bytes, bytes] | None:
        """Return what tells this end of a FIFO or pseudo-terminal from others, and the end opposite; None for neither.

        The descriptor itself is asked, as the name may be gone, unless its file system may never answer. A FIFO has one
        name for both. The two ends of a pseudo-terminal have one number in a file system of such (pts(4)), and each
        container has its own of these. A master that isn't in it is beside it (devpts_mntget of fs/devpts/inode.c).
        """
        namespace = process.namespaces.get("mnt", self.mount_namespace)
        guide = None if namespace == self.mount_namespace else self._guides.setdefault(namespace, process.pid)
        path = maps.unmarked(file.target)[0]
        try:
            # Terminals are the kernel's own.
            is_inside = self._file_system(path, guide) == "devpts"
            if not is_inside:
                self._refuse_foreign(path, guide)
            found = os.stat(b"/proc/%d/fd/%d" % (process.pid, file.descriptor))
            if stat.S_ISFIFO(found.st_mode):
                return (b"fifo:%d:%d" % (found.st_dev, found.st_ino),) * 2
            if not stat.S_ISCHR(found.st_mode):
                return None
            if os.major(found.st_rdev) == _SLAVES:
                return _ends(found.st_dev, os.minor(found.st_rdev))
            if found.st_rdev not in (_MASTERS, _OWN):
                return None
            system = found.st_dev if is_inside else self._terminals_beside(path, guide)
            if found.st_rdev == _OWN:
                terminal = _controlling(process.pid)
                return _ends(system, os.minor(terminal)) if os.major(terminal) == _SLAVES else None
            with open(b"/proc/%d/fdinfo/%d" % (process.pid, file.descriptor), "rb") as stream:
                number = _TTY.search(stream.read(_MOST_FDINFO))
            return _ends(system, int(number.group(1)))[::-1] if number else None
        except (UnknownError, OSError):
            pass
        return None

    def _terminals_beside(self, path: bytes, pid: int | None) -> int:
        """Return the file system of pseudo-terminals that a device leads to; 0 where none is beside it."""
        self._refuse_foreign(posixpath.dirname(path), pid)
        terminals = posixpath.join(posixpath.dirname(path), b"pts")
        found = self._status(terminals, pid) if self._file_system(terminals, pid) == "devpts" else None
        return 0 if found is None else found.st_dev

    def access(self, pid: int, descriptor: int) -> tuple[bool, bool]:
        """Return whether a descriptor can be read and written: the mode of its link says it (proc_pid_fd(5))."""
        try:
            mode = os.lstat(b"/proc/%d/fd/%d" % (pid, descriptor)).st_mode
        except OSError:
            return True, True
        return bool(mode & stat.S_IRUSR), bool(mode & stat.S_IWUSR)

    def resembles(self, process: Process, path: bytes, size: int) -> bool:
        """Say whether an executable has most of what a file of the host has, in the same places; of some of them."""
        step = size // _SAMPLES
        try:
            with open(b"/proc/%d/exe" % process.pid, "rb", 0) as its, open(path, "rb", 0) as other:
                places = range(0, step * _SAMPLES, max(step, 1))
                pairs = [(os.pread(its.fileno(), _SAMPLE, at), os.pread(other.fileno(), _SAMPLE, at)) for at in places]
        except OSError:
            return False
        told = [one == known for one, known in pairs if known.strip(b"\0")]
        return sum(told) * 2 > len(told)

    def is_as_packaged(self, process: Process, host: Host) -> bool:
        """Say whether the executable of a process, of which there is no view, has the content that a package ships."""
        try:
            descriptor = os.open(b"/proc/%d/exe" % process.pid, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError:
            return False
        try:
            return host.as_packaged(process.executable or b"", descriptor) is not None
        finally:
            os.close(descriptor)

    def same_file(self, path: bytes, device: int, inode: int) -> bool:
        """Say whether a path of the host, where only root puts programs, leads to a file, links followed."""
        return places.is_system(path) and self.leads_to(path, device, inode)

    def leads_to(self, path: bytes, device: int, inode: int) -> bool:
        """Say whether a path of the host leads to a file, links followed."""
        resolved = self._resolved(path)
        found = _followed(resolved) if resolved is not None else None
        return found is not None and (found.st_dev, found.st_ino) == (device, inode)

    def program(self, path: bytes) -> bytes | None:
        """Return what a path of the host, where only package managers put programs, leads to; None for scripts."""
        if not places.is_packaged(path):
            return None
        resolved = self._resolved(path)
        if resolved is None:
            return None
        try:
            descriptor = os.open(resolved, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
        except (OSError, ValueError):
            return None
        try:
            regular = stat.S_ISREG(os.fstat(descriptor).st_mode)
            return resolved if regular and _page_cache.pread(descriptor, 4, 0) == b"\x7fELF" else None
        except OSError:
            return None
        finally:
            os.close(descriptor)

    def _resolved(self, path: bytes) -> bytes | None:
        """Return where a path of the host leads, links followed; None where that is nowhere, or isn't asked.

        A process says of itself what it likes: what it names may lead to a file system that never answers, or that
        would be mounted only because somebody asked (autofs).
        """
        names, at, links = path.split(b"/"), b"/", 0
        names.reverse()
        try:
            while names:
                name = names.pop()
                if name in (b"", b"."):
                    continue
                if name == b"..":
                    at = posixpath.dirname(at)
                    continue
                following = posixpath.join(at, name)
                self._refuse_foreign(following, None)
                target = _link(following)
                if target is None:
                    at = following
                    continue
                links += 1
                if links > _MOST_LINKS:
                    return None
                names.extend(reversed(target.split(b"/")))
                at = b"/" if target.startswith(b"/") else at
        except (UnknownError, OSError, ValueError):
            return None
        return at

    def ways_to_root(self) -> bool:
        """Say whether there is a program by which users become root without a trace in the tree of processes."""
        return self._any_set_user(_WAYS)

    def has_doas(self) -> bool:
        """Say whether there is doas(1), which never leaves such a trace."""
        return self._any_set_user(_DOAS)

    def _any_set_user(self, paths: tuple[bytes, ...]) -> bool:
        if paths not in self._set_user:
            found = [_followed(path) for path in paths]
            self._set_user[paths] = any(
                one is not None and one.st_uid == 0 and bool(one.st_mode & stat.S_ISUID) for one in found
            )
        return self._set_user[paths]

    def is_covered(self, path: bytes) -> bool:
        """Say whether something is mounted over a path, or over a directory above it but the system's own."""
        try:
            mounts = self._mounts_of(None)
        except UnknownError:
            return False
        point = path
        while point not in mounts and point != b"/":
            point = posixpath.dirname(point) or b"/"
        return point not in (b"/", b"/usr")

    def mount_point(self, path: bytes, pid: int | None = None) -> bytes:
        """Return where the file system is mounted that a path is on, seen as a process does. Raises UnknownError."""
        mounts = self._mounts_of(pid)
        while path not in mounts and path != b"/":
            path = posixpath.dirname(path) or b"/"
        return path

    def writes_to_memory(self, path: bytes, pid: int | None = None) -> bool:
        """Say whether the overlay that a path is on, seen as a process does, has what is written to it in memory."""
        try:
            point = self.mount_point(path, pid)
            uppers = [
                found.group(2)
                for found in map(_OVERLAY.match, _mountinfo(pid).split(b"\n"))
                if found is not None and found.group(1) == point
            ]
            upper = uppers[-1] if uppers else b""
            return self._mounts_of(pid).get(self.mount_point(upper, pid)) in places.MEMORY_FILE_SYSTEMS
        except UnknownError:
            return False

    def _refuse_foreign(self, path: bytes, pid: int | None) -> None:
        kind = self._file_system(path, pid)
        # Whoever mounts a FUSE file system says what it calls itself.
        if not kind or _safe_fs.is_foreign(kind) or kind.startswith("fuse"):
            raise UnknownError("what is there now is on a file system that isn't asked (%s)" % (kind or "unknown"))

    def _file_system(self, path: bytes, pid: int | None) -> str:
        return self._mounts_of(pid).get(self.mount_point(path, pid), "")

    def _mounts_of(self, pid: int | None) -> dict[bytes, str]:
        key = pid or 0
        if key not in self._mounts:
            self._mounts[key] = file_systems(_mountinfo(pid))
        return self._mounts[key]


def _ends(system: int, number: int) -> tuple[bytes, bytes]:
    """Return what tells the slave of a pseudo-terminal from others, and what its master."""
    return b"slave:%d:%d" % (system, number), b"master:%d:%d" % (system, number)


def _controlling(pid: int) -> int:
    """Return the device of the terminal that controls a process, 0 without one (tty_nr of proc_pid_stat(5))."""
    with open(b"/proc/%d/stat" % pid, "rb") as stream:
        fields = stream.read(_MOST_STAT).rpartition(b")")[2].split()
    return int(fields[4]) if len(fields) > 4 else 0


def _mountinfo(pid: int | None) -> bytes:
    try:
        directory = os.open(b"/proc/%d" % pid if pid else b"/proc/self", _procfs.DIRECTORY)
        try:
            return _procfs.whole(b"mountinfo", directory, _MOST_MOUNTINFO)[0]
        finally:
            os.close(directory)
    except OSError as error:
        raise UnknownError(_safe_fs.reason(error)) from error


def of(host: Host) -> Surroundings:
    """Return them, which are the same for a whole scan."""
    found: Surroundings = host.remember(_KEY, Surroundings)
    return found


def _namespace(kind: str) -> int:
    try:
        return os.stat("/proc/self/ns/%s" % kind).st_ino
    except OSError:
        return 0


def _followed(path: bytes) -> os.stat_result | None:
    try:
        return os.stat(path)
    except (OSError, ValueError):
        return None


def _link(path: bytes) -> bytes | None:
    """Return where a link leads; None for what is none. OSError where nothing is."""
    try:
        return os.readlink(path)
    except OSError as error:
        if error.errno == errno.EINVAL:
            return None
        raise
