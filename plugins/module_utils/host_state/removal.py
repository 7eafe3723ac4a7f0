# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Remove directories of the state, node by node, and leave whatever the collection did not make.

Each node is pinned before anything is decided about it, and removed by its name in a directory that nobody else can
write in. No link is followed and no mount is entered. The collection makes regular files and directories that only
their owner can read (see ``_state``): everything else is somebody else's.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import stat
import time
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils import _safe_fs
from ansible_collections.bulwark.servers.plugins.module_utils._finding import printable

_LOCK = b"lock"
_LOCK_POLL = 0.1
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
# Deeper than anything that the collection makes.
_DEEPEST = 16
_MOUNTED = "something is mounted there; unmount it and run this again"
_KINDS = {
    stat.S_IFLNK: "a symbolic link",
    stat.S_IFIFO: "a FIFO",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}


class Left(t.NamedTuple):
    """A node that stays. is_failure: it was to be removed; otherwise it does not belong to the collection."""

    path: bytes
    reason: str
    is_failure: bool


class Removal:
    """Removes nodes, or in check mode says which. removed: their paths, each before the directory that it is in."""

    def __init__(self, check_mode: bool, lock_timeout: float) -> None:
        self._check_mode = check_mode
        self._lock_timeout = lock_timeout
        self._end = time.monotonic() + lock_timeout
        self._reopener = _safe_fs.Reopener()
        self._flags = _safe_fs.FlagReader()
        self.removed: list[bytes] = []
        self.left: list[Left] = []
        self.files = self.bytes = 0

    def node(self, parent: int, name: bytes, path: bytes, depth: int = 0) -> bool:
        """Remove a child of an open directory, and all that is in it; return whether it is gone.

        path: of the child, for people.
        """
        try:
            pinned = _safe_fs.pin(name, parent)
        except FileNotFoundError:
            return True
        except OSError as error:
            return self._failed(path, _safe_fs.reason(error))
        try:
            status = os.fstat(pinned)
            if mount_id(pinned) != mount_id(parent):
                return self._failed(path, _MOUNTED)
            reason = foreign(status)
            if reason is not None:
                self.left.append(Left(path, reason, False))
                return False
            if not stat.S_ISDIR(status.st_mode):
                return self._unlink(parent, name, path, pinned, status)
            return self._directory(parent, name, path, pinned, depth)
        except OSError as error:
            return self._failed(path, _safe_fs.reason(error))
        finally:
            os.close(pinned)

    def _directory(self, parent: int, name: bytes, path: bytes, pinned: int, depth: int) -> bool:
        if depth == _DEEPEST:
            return self._failed(path, "it is in too many directories; find out why")
        with contextlib.ExitStack() as stack:
            directory = self._reopener.read(pinned)
            stack.callback(os.close, directory)
            children = sorted(_safe_fs.listed(directory))
            if not self._check_mode and not all(self._is_free(directory, name, stack) for name in children):
                return self._failed(
                    path,
                    "another run is writing there and did not end within %g s; wait for it, or raise lock_timeout"
                    % self._lock_timeout,
                )
            # All of them, whichever stays: what holds a lock is unlinked last.
            order = sorted(children, key=_is_lock)
            gone = [self.node(directory, child, os.path.join(path, child), depth + 1) for child in order]
        if not all(gone):
            return False
        return self._done(path) if self._check_mode else self._rmdir(parent, name, path)

    def _rmdir(self, parent: int, name: bytes, path: bytes) -> bool:
        try:
            os.rmdir(name, dir_fd=parent)
        except OSError as error:
            if error.errno == errno.ENOTEMPTY:
                return self._failed(path, "somebody has written there meanwhile; run this again")
            return self._failed(path, self._why(error, parent))
        return self._done(path)

    def _unlink(self, parent: int, name: bytes, path: bytes, pinned: int, status: os.stat_result) -> bool:
        if not self._check_mode:
            try:
                os.unlink(name, dir_fd=parent)
            except OSError as error:
                file = self._reopener.read(pinned)
                try:
                    return self._failed(path, self._why(error, file, parent))
                finally:
                    os.close(file)
        self.files += 1
        self.bytes += status.st_size
        return self._done(path)

    def _why(self, error: OSError, *descriptors: int) -> str:
        """Return why a node cannot be removed. descriptors: it, if it is a file, and the directory that it is in."""
        for descriptor in descriptors if error.errno == errno.EPERM else ():
            status = os.fstat(descriptor)
            if self._flags.flags(descriptor, status.st_dev):
                what = "the directory that it is in" if stat.S_ISDIR(status.st_mode) else "it"
                return "%s is immutable or append-only; remove that flag (chattr -ia) and run this again" % what
        return _safe_fs.reason(error)

    def _is_free(self, directory: int, name: bytes, stack: contextlib.ExitStack) -> bool:
        """Wait until no other process has locked a file; return whether that was so in time.

        What keeps writers out is locked until the stack is closed.
        """
        try:
            descriptor = os.open(name, _FILE, dir_fd=directory)
        except OSError:
            return True  # It is gone, or none of ours.
        with contextlib.ExitStack() as closing:
            (stack if _is_lock(name) else closing).callback(os.close, descriptor)
            return not stat.S_ISREG(os.fstat(descriptor).st_mode) or self._locked(descriptor)

    def _locked(self, descriptor: int) -> bool:
        while True:
            with contextlib.suppress(BlockingIOError):
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return True
            if time.monotonic() >= self._end:
                return False
            time.sleep(_LOCK_POLL)

    def _done(self, path: bytes) -> bool:
        self.removed.append(path)
        return True

    def _failed(self, path: bytes, reason: str) -> bool:
        self.left.append(Left(path, reason, True))
        return False


def foreign(status: os.stat_result) -> str | None:
    """Return why a node is none of the collection's; None where it is."""
    kind = _KINDS.get(stat.S_IFMT(status.st_mode))
    if kind is not None:
        return "it is %s, and the collection makes none" % kind
    if status.st_uid not in (0, os.geteuid()):
        return "it belongs to user %d" % status.st_uid
    if status.st_mode & 0o077:
        return "it has mode %04o, and the collection lets only the owner read what it makes" % stat.S_IMODE(
            status.st_mode
        )
    return None


def mount_id(descriptor: int) -> int:
    """Return which mount an open node is reached by (proc_pid_fdinfo(5)). Raises OSError."""
    with open("/proc/self/fdinfo/%d" % descriptor, "rb") as stream:
        for line in stream:
            name, _colon, value = line.partition(b":")
            if name == b"mnt_id":
                return int(value)
    raise OSError(errno.ENOSYS, "the kernel does not say which mount %s is on" % printable(str(descriptor)))


def _is_lock(name: bytes) -> bool:
    return name == _LOCK or name.endswith(b"." + _LOCK)
