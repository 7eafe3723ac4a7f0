# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""State that a capability keeps on the host: private, locked, and replaced as a whole or not at all."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import stat
import time
import typing as t

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE = os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
_LOCK_POLL = 0.1
# As the kernel does (path_resolution(7)): more links than this are a loop.
_MOST_LINKS = 40


class StateError(Exception):
    """State on the host can't be used; the message is one sentence that names it and what to do."""


class DamagedError(StateError):
    """A state file is cut off, or isn't one."""


class NewerError(StateError):
    """A state file was written by a newer version of the collection."""


def default_root(environment: t.Mapping[str, str], uid: int) -> str:
    """Return where state is kept when nothing else was asked for: system-wide for root, in the home for others."""
    if uid == 0:
        return "/var/lib/bulwark"
    base = environment.get("XDG_STATE_HOME", "")
    if not os.path.isabs(base):  # which the XDG Base Directory Specification says to ignore
        base = os.path.join(environment.get("HOME", "/"), ".local", "state")
    return os.path.join(base, "bulwark")


def open_root(root: str, create: bool) -> int | None:
    """Return a descriptor of the directory that holds all state; None when it doesn't exist and ``create`` is false.

    Nobody else can exchange it, or a directory above it. Raises StateError.
    """
    root = os.path.normpath(root)
    _check_way(root)
    if create:
        with _explained(root):
            os.makedirs(os.path.dirname(root), 0o755, exist_ok=True)
        # Below a sticky directory, somebody else may have made what was not there a moment ago.
        _check_way(root)
    return _open_private(None, root, root, create)


class StateDirectory:
    """One capability's directory. Everything is done relative to its descriptor, so nothing can be slipped under it."""

    def __init__(self, descriptor: int, path: str) -> None:
        self._descriptor = descriptor
        self.path = path

    @classmethod
    def open(cls, root: str, capability: str, create: bool) -> StateDirectory | None:
        """Return ``ROOT/CAPABILITY``; None when it doesn't exist and ``create`` is false. Raises StateError.

        What is made gets the mode 0700. What is there keeps its mode, as it may be somebody's, and must have that
        mode where something is to be made in it.
        """
        root = os.path.normpath(root)
        outer = open_root(root, create)
        if outer is None:
            return None
        try:
            path = os.path.join(root, capability)
            inner = _open_private(outer, capability, path, create)
        finally:
            os.close(outer)
        return cls(inner, path) if inner is not None else None

    def close(self) -> None:
        os.close(self._descriptor)

    def open_file(self, name: str) -> int | None:
        """Return a descriptor for reading a state file, None when there is none. Raises StateError, DamagedError."""
        path = os.path.join(self.path, name)
        with _explained(path):
            try:
                descriptor = os.open(name, os.O_RDONLY | _FILE, dir_fd=self._descriptor)
            except FileNotFoundError:
                return None
            except OSError as error:
                if error.errno in (errno.ELOOP, errno.ENXIO):
                    message = "%s is not a regular file; find out who made it, and remove it"
                    raise DamagedError(message % path) from error
                raise
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode) or status.st_uid not in (0, os.geteuid()):
            os.close(descriptor)
            raise DamagedError(
                "%s is not a regular file of root or the account that runs this; find out who made it" % path
            )
        return descriptor

    @contextlib.contextmanager
    def locked(self, name: str, timeout: float) -> t.Iterator[None]:
        """Keep other writers out while the block runs; StateError when another one is still at it after ``timeout`` s.

        Readers need no lock: they open a file once, and a writer replaces the name, never the content.
        """
        with _explained(os.path.join(self.path, name)):
            descriptor = self._open_lock(name)
        try:
            self._lock(descriptor, timeout)
            yield
        finally:
            os.close(descriptor)

    def _open_lock(self, name: str) -> int:
        try:
            return os.open(name, os.O_RDWR | os.O_CREAT | _FILE, 0o600, dir_fd=self._descriptor)
        except OSError as error:
            if error.errno != errno.EROFS or not self.exists(name):
                raise
            # A file system that went read-only keeps nobody from closing what is open; whatever is written fails later.
            return os.open(name, os.O_RDONLY | _FILE, dir_fd=self._descriptor)

    def _lock(self, descriptor: int, timeout: float) -> None:
        end = time.monotonic() + timeout
        while not _locked_now(descriptor):
            if time.monotonic() >= end:
                raise StateError(
                    "another run is writing in %s and did not end within %g s; wait for it, or raise lock_timeout"
                    % (self.path, timeout)
                )
            time.sleep(_LOCK_POLL)

    @contextlib.contextmanager
    def written(self, name: str) -> t.Iterator[t.BinaryIO]:
        """Give a file to write that becomes ``name``, durably, when the block ends without an exception.

        Needs the lock: the temporary file has a fixed name, so that what a killed run left is overwritten by
        the next. A full disk raises StateError and leaves ``name`` as it was.
        """
        temporary = ".%s.tmp" % name
        self.remove(temporary)
        try:
            with _explained(os.path.join(self.path, name)):
                descriptor = os.open(
                    temporary, os.O_RDWR | os.O_CREAT | os.O_EXCL | _FILE, 0o600, dir_fd=self._descriptor
                )
                with os.fdopen(descriptor, "wb", buffering=1 << 20) as stream:
                    yield stream
                    stream.flush()
                    os.fsync(stream.fileno())
                self.rename(temporary, name)
        except BaseException:
            with contextlib.suppress(OSError):
                self.remove(temporary)
            raise

    def rename(self, old: str, new: str) -> None:
        """Let ``old`` take the place of ``new``, durably."""
        with _explained(os.path.join(self.path, new)):
            os.rename(old, new, src_dir_fd=self._descriptor, dst_dir_fd=self._descriptor)
            os.fsync(self._descriptor)

    def exists(self, name: str) -> bool:
        try:
            os.stat(name, dir_fd=self._descriptor, follow_symlinks=False)
        except FileNotFoundError:
            return False
        return True

    def modified(self) -> dict[str, float]:
        """Return what is in the directory, and when each was last changed, in seconds since the epoch."""
        found = {}
        with _explained(self.path):
            for name in os.listdir(self._descriptor):
                with contextlib.suppress(FileNotFoundError):
                    found[name] = os.stat(name, dir_fd=self._descriptor, follow_symlinks=False).st_mtime
        return found

    def remove(self, name: str) -> bool:
        """Remove a file; return whether it was there."""
        with _explained(os.path.join(self.path, name)):
            try:
                os.unlink(name, dir_fd=self._descriptor)
            except FileNotFoundError:
                return False
            os.fsync(self._descriptor)
        return True


def _locked_now(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _check_way(root: str) -> None:
    """Raise StateError where somebody else could put another directory in the place of ``root``, or of one above it.

    From the top: each directory is looked at when nobody else can exchange it any more. What isn't there yet will be
    made by the account that runs this.
    """
    if not os.path.isabs(root):
        raise StateError("%s is a relative path; set state_dir to an absolute one" % root)
    pending = [part for part in root.split("/") if part]
    above = "/"
    links = 0
    while pending:
        with _explained(above):
            try:
                _check_above(above, os.stat(above, follow_symlinks=False), root)
                part = pending.pop(0)
                # What leads here has no links any more, so that what is above it is what its name says.
                path = os.path.normpath(os.path.join(above, part))
                status = os.stat(path, follow_symlinks=False)
            except FileNotFoundError:
                return
        if pending and stat.S_ISLNK(status.st_mode):
            links += 1
            if status.st_uid not in (0, os.geteuid()) or links > _MOST_LINKS:
                raise StateError("%s is a symbolic link, which is not followed; set another state_dir" % path)
            with _explained(path):
                target = os.readlink(path)
            pending = [step for step in target.split("/") if step] + pending
            above = "/" if target.startswith("/") else above
        else:
            above = path


def _check_above(path: str, status: os.stat_result, root: str) -> None:
    """Raise StateError where others than root and this account can rename what is in a directory."""
    problem = None
    if status.st_uid not in (0, os.geteuid()):
        problem = "belongs to user %d" % status.st_uid
    elif status.st_mode & stat.S_ISVTX:
        return  # as /tmp: only the owners of what is in it can rename that, and these are looked at next
    elif status.st_mode & 0o002:
        problem = "can be written by others"
    elif status.st_mode & 0o020 and status.st_gid not in (0, os.getegid()):
        problem = "can be written by group %d" % status.st_gid
    if problem:
        raise StateError(
            "%s %s, who could replace %s in it: correct the permissions, or set another state_dir"
            % (path, problem, root)
        )


def _open_private(parent: int | None, name: str, path: str, create: bool) -> int | None:
    """Return a descriptor of a directory that only its owner can write in, made if need be; StateError otherwise.

    create: whether it is to be made, and to be written in, for which others must not be able to look into it either.
    """
    with _explained(path):
        if create:
            with contextlib.suppress(FileExistsError):
                os.mkdir(name, 0o700, dir_fd=parent)
        try:
            descriptor = os.open(name, _DIRECTORY, dir_fd=parent)
        except FileNotFoundError:
            return None
        except OSError as error:
            if error.errno in (errno.ELOOP, errno.ENOTDIR):
                raise StateError("%s is a symbolic link or no directory; remove it or set state_dir" % path) from error
            raise
    status = os.fstat(descriptor)
    problem = None
    if status.st_uid not in (0, os.geteuid()):
        problem = "belongs to user %d" % status.st_uid
    elif status.st_mode & 0o022:
        problem = "can be written by its group or by others"
    if problem:
        os.close(descriptor)
        message = "%s %s, who could forge state: correct the permissions, or set another state_dir"
        raise StateError(message % (path, problem))
    if create and status.st_mode & 0o077 and status.st_uid == os.geteuid():
        os.close(descriptor)
        raise StateError(
            "%s exists with mode %04o, so other accounts may use it: set state_dir to a new directory, or set the "
            "mode of this one to 0700 if it holds nothing else" % (path, stat.S_IMODE(status.st_mode))
        )
    return descriptor


@contextlib.contextmanager
def _explained(path: str) -> t.Iterator[None]:
    """Turn every error but that of a file that isn't there into a sentence."""
    try:
        yield
    except FileNotFoundError:
        raise
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise StateError(
                "no space left to write %s: free some space; the former content is unchanged" % path
            ) from error
        if error.errno in (errno.EROFS, errno.EACCES, errno.EPERM):
            raise StateError(
                "%s cannot be used: %s: make it writable, or set another state_dir; the former content is unchanged"
                % (path, error.strerror)
            ) from error
        raise StateError("%s cannot be used: %s" % (path, error.strerror or error)) from error
