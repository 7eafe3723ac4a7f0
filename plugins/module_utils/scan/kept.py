# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Keep code, texts and answers on the host, in the directory that the module ``host_scan`` reads.

What is read back is named and checked by its digest, so that a file that others could change harms nobody.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import stat
import time
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils._state import StateDirectory, StateError

NAME = "scan"
CODE, TEXT, ANSWERS = "code-", "text-", "answers-"
# Files that stay although this scan does not need them: of other interpreters, controllers and versions.
_MOST = {CODE: 4, TEXT: 16, ANSWERS: 8}
_OLDEST_ANSWERS = 86_400.0
_LARGEST_ANSWERS = 256 << 20
_PATIENCE = 10.0
_POLL = 0.1


class Kept:
    """What this account keeps. descriptor: its directory, in which nobody else can write."""

    def __init__(self, descriptor: int, path: str) -> None:
        self._descriptor = descriptor
        self.path = path

    def add(self, prefix: str, data: bytes) -> str:
        """Keep bytes under their digest, durably; return that. Raises OSError."""
        digest = hashlib.sha256(data).hexdigest()
        temporary = ".%s.%d" % (digest, os.getpid())
        with contextlib.suppress(FileNotFoundError):
            # Of a process with the same number that was killed, as it is in containers.
            os.unlink(temporary, dir_fd=self._descriptor)
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        descriptor = os.open(temporary, flags, 0o600, dir_fd=self._descriptor)
        try:
            with os.fdopen(descriptor, "wb") as stream:
                stream.write(data)
                stream.flush()
                os.fsync(descriptor)
            self._clear(prefix + digest)
            os.rename(temporary, prefix + digest, src_dir_fd=self._descriptor, dst_dir_fd=self._descriptor)
        except BaseException:
            with contextlib.suppress(OSError):
                os.unlink(temporary, dir_fd=self._descriptor)
            raise
        os.fsync(self._descriptor)
        return digest

    def _clear(self, name: str) -> None:
        """Move a directory aside, which is the one thing that a file cannot take the place of."""
        with contextlib.suppress(FileNotFoundError):
            if stat.S_ISDIR(os.stat(name, dir_fd=self._descriptor, follow_symlinks=False).st_mode):
                aside = ".%s.%d" % (name, time.time_ns())
                os.rename(name, aside, src_dir_fd=self._descriptor, dst_dir_fd=self._descriptor)

    def mark_used(self, prefix: str, digest: str) -> None:
        """Have a file outlive those that were not used for longer."""
        with contextlib.suppress(OSError):
            os.utime(prefix + digest, dir_fd=self._descriptor, follow_symlinks=False)

    def remove(self, name: str) -> None:
        with contextlib.suppress(OSError):
            os.unlink(name, dir_fd=self._descriptor)

    def prune(self, needed: t.Collection[str]) -> None:
        """Remove old files; needed: the names of those that stay however many there are."""
        files = self._files()
        now = time.time()
        for prefix, most in _MOST.items():
            names = sorted((name for name in files if name.startswith(prefix)), key=lambda name: -files[name])
            for number, name in enumerate(names):
                is_old = prefix == ANSWERS and files[name] < now - _OLDEST_ANSWERS
                if name not in needed and (number >= most or is_old):
                    self.remove(name)
        for name, modified in files.items():
            if name.startswith(".") and modified < now - _OLDEST_ANSWERS:
                self.remove(name)

    def _files(self) -> dict[str, float]:
        """Return the names in the directory, and when each was last modified."""
        found = {}
        for name in os.listdir(self._descriptor):
            with contextlib.suppress(OSError):
                found[name] = os.stat(name, dir_fd=self._descriptor, follow_symlinks=False).st_mtime
        return found

    def answers(self, request: str, end: float | None) -> Answers:
        """Return the answers to a request, as far as there are any. Raises OSError, StateError.

        They are locked: whoever asks again, as the connection ended, waits until ``end`` (of the monotonic clock) for
        the first one to finish.
        """
        flags = os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        descriptor = os.open(ANSWERS + request, flags, 0o600, dir_fd=self._descriptor)
        try:
            _check_private(descriptor, os.path.join(self.path, ANSWERS + request))
            while not _is_locked(descriptor) and (end is None or time.monotonic() < end):
                time.sleep(_POLL)
            return Answers(descriptor)
        except BaseException:
            os.close(descriptor)
            raise


class Answers:
    """The answers to one request, line by line, until the controller acknowledges that it has them."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self.lines = self._read()

    def add(self, line: t.Mapping[str, t.Any]) -> None:
        """Append a line; a full disk costs what a lost connection cannot take away otherwise."""
        with contextlib.suppress(OSError):
            os.write(self._descriptor, json.dumps(line).encode("ascii") + b"\n")

    def _read(self) -> list[dict[str, t.Any]]:
        with os.fdopen(os.dup(self._descriptor), "rb") as stream:
            stream.seek(0)
            data = stream.read(_LARGEST_ANSWERS)
        whole = data.rfind(b"\n") + 1
        if whole < len(data):
            # Whoever wrote the rest was ended in the middle.
            os.ftruncate(self._descriptor, whole)
        lines = []
        for line in data[:whole].splitlines():
            with contextlib.suppress(ValueError):
                lines.append(json.loads(line))
        return [line for line in lines if isinstance(line, dict)]


def make(root: str) -> None:
    """Make the directory below a capability's state. Raises StateError."""
    directory = StateDirectory.open(root, NAME, create=True)
    if directory is None:
        raise StateError("%s cannot be made" % os.path.join(root, NAME))
    directory.close()


def _check_private(descriptor: int, path: str) -> None:
    status = os.fstat(descriptor)
    if not stat.S_ISREG(status.st_mode) or status.st_uid != os.geteuid() or status.st_mode & 0o077:
        raise StateError("%s is not a private file; remove it" % path)


def _is_locked(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
