# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Look at files below a root, that of the host or of a process, whose links lead nowhere outside of it."""

from __future__ import annotations

import errno
import itertools
import os
import stat
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils import _safe_fs
from ansible_collections.bulwark.servers.plugins.module_utils.docker_hardening.facts import FileFact

if t.TYPE_CHECKING:
    from ansible_collections.bulwark.servers.plugins.module_utils.docker_hardening.accounts import Names

_PIN = os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC
_MOST_LINKS = 40
_MOST_STEPS = 500
_KINDS = {stat.S_IFREG: "file", stat.S_IFDIR: "directory", stat.S_IFSOCK: "socket"}


class NotAFileError(OSError):
    """What is in the place of a file is something else."""


class Root:
    """A directory that is / to what is below it: a path names the same there as to the process that it belongs to."""

    def __init__(self, path: str, names: Names) -> None:
        """OSError where there is no such directory, or it is not for us."""
        self._descriptor = os.open(path, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        self._reopener = _safe_fs.Reopener()
        self._names = names

    def close(self) -> None:
        os.close(self._descriptor)

    def fact(self, path: str) -> FileFact:
        """Return what is at an absolute path."""
        try:
            pinned, real, is_link = self.pin(path)
        except OSError as error:
            if error.errno in (errno.ENOENT, errno.ENOTDIR):
                return FileFact(path)
            return FileFact(path, problem=_safe_fs.reason(error))
        try:
            status = os.fstat(pinned)
        finally:
            os.close(pinned)
        return FileFact(
            path,
            _KINDS.get(stat.S_IFMT(status.st_mode), "other"),
            stat.S_IMODE(status.st_mode),
            status.st_uid,
            status.st_gid,
            self._names.user(status.st_uid),
            self._names.group(status.st_gid),
            real if is_link else "",
        )

    def status(self, path: str) -> os.stat_result:
        """Return the status of what a path leads to; OSError as it comes."""
        pinned, _real, _is_link = self.pin(path)
        try:
            return os.fstat(pinned)
        finally:
            os.close(pinned)

    def real(self, path: str) -> str:
        """Return a path without links; OSError where it leads nowhere."""
        pinned, real, _is_link = self.pin(path)
        os.close(pinned)
        return real

    def read(self, path: str, most: int) -> tuple[bytes, os.stat_result]:
        """Return a regular file; NotAFileError where it is something else or longer, OSError as it comes."""
        pinned, _real, _is_link = self.pin(path)
        try:
            status = os.fstat(pinned)
            if not stat.S_ISREG(status.st_mode):
                raise NotAFileError(errno.EINVAL, "it is not a regular file")
            descriptor = self._reopener.read(pinned)
        finally:
            os.close(pinned)
        try:
            data = _safe_fs.read_at(descriptor, 0, most + 1)
        finally:
            os.close(descriptor)
        if len(data) > most:
            raise NotAFileError(errno.EFBIG, "it is longer than %d bytes" % most)
        return data, status

    def names(self, path: str, most: int) -> list[str]:
        """Return what a directory holds, in order; OSError as it comes, also where there is more."""
        pinned, _real, _is_link = self.pin(path)
        try:
            descriptor = self._reopener.read(pinned) if stat.S_ISDIR(os.fstat(pinned).st_mode) else -1
        finally:
            os.close(pinned)
        if descriptor < 0:
            raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR))
        try:
            # Whoever owns it may have put millions there.
            with os.scandir(descriptor) as entries:
                found = [entry.name for entry in itertools.islice(entries, most + 1)]
        finally:
            os.close(descriptor)
        if len(found) > most:
            raise NotAFileError(errno.EFBIG, "it holds more than %d files" % most)
        return sorted(found)

    def pin(self, path: str) -> tuple[int, str, bool]:
        """Return a descriptor that stands for what a path leads to, its path without links, and whether it is a link.

        Nothing is opened by it. OSError as it comes.
        """
        waiting = [name for name in reversed(path.split("/")) if name not in ("", ".")]
        below: list[tuple[str, int]] = []
        links = steps = 0
        is_link = False
        try:
            while waiting:
                name = waiting.pop()
                steps += 1
                if steps > _MOST_STEPS or links > _MOST_LINKS:
                    raise OSError(errno.ELOOP, os.strerror(errno.ELOOP))
                if name == "..":
                    if below:
                        os.close(below.pop()[1])
                    continue
                directory = below[-1][1] if below else self._descriptor
                following = os.open(name, _PIN, dir_fd=directory)
                if not stat.S_ISLNK(os.fstat(following).st_mode):
                    below.append((name, following))
                    continue
                try:
                    target = os.readlink("", dir_fd=following)
                finally:
                    os.close(following)
                links += 1
                is_link = is_link or not waiting
                if target.startswith("/"):
                    _close(below)
                waiting += [part for part in reversed(target.split("/")) if part not in ("", ".")]
            real = "/" + "/".join(name for name, _descriptor in below)
            return below.pop()[1] if below else os.dup(self._descriptor), real, is_link
        finally:
            _close(below)


def _close(below: list[tuple[str, int]]) -> None:
    while below:
        os.close(below.pop()[1])
