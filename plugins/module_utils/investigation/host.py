# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Access to the host for the sources of an investigation: reads only, follows no link, opens only regular files."""

from __future__ import annotations

import contextlib
import os
import stat
import time
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils import _safe_fs
from ansible_collections.bulwark.servers.plugins.module_utils.packages.aliases import MergedDirectories
from ansible_collections.bulwark.servers.plugins.module_utils.packages.files import Files

MOST_CONTENT = 1 << 20


class Host:
    """Reads one host.

    root: the directory that stands for /, without a slash at its end; b"" for the host itself. proc: where proc(5) is
    mounted. now: seconds since the epoch. packages: owners and digests of files, shared by all sources. boot: when the
    host was started, in seconds since the epoch. Paths are bytes from the host's root.
    """

    def __init__(self, root: bytes = b"", proc: str = "/proc", now: float | None = None) -> None:
        self.root = root
        self.proc = proc
        self.now = time.time() if now is None else now
        self.boot = time.time() - time.clock_gettime(time.CLOCK_BOOTTIME)
        self.packages = Files(root or b"/")
        # The files that the investigation itself brought.
        self.own_files: t.AbstractSet[bytes] = frozenset()
        self._merged = MergedDirectories(root or b"/")
        self._reopener = _safe_fs.Reopener()
        self._opener = _safe_fs.DirectoryOpener()

    def real(self, path: bytes) -> bytes:
        """Return the path by which a file has one name on a host with merged directories: /usr/bin/x for /bin/x."""
        return self._merged.real(path)

    @contextlib.contextmanager
    def pinned(self, path: bytes) -> t.Iterator[tuple[int, os.stat_result]]:
        """Hold a descriptor that stands for a node without having opened it, and its status. OSError if it is gone.

        The descriptor serves fstat(2), and ``_safe_fs.pinned_path`` of it the extended attributes.
        """
        directory = self._opener.open(self.root + (os.path.dirname(path) or b"/"))
        try:
            descriptor = _safe_fs.pin(os.path.basename(path) or b".", directory)
        finally:
            os.close(directory)
        try:
            yield descriptor, os.fstat(descriptor)
        finally:
            os.close(descriptor)

    def status(self, path: bytes) -> os.stat_result:
        """Return the status of a node itself, as lstat(2) does; OSError also if a directory above it is a link."""
        with self.pinned(path) as (_descriptor, status):
            return status

    @contextlib.contextmanager
    def opened(self, path: bytes) -> t.Iterator[tuple[int, os.stat_result]]:
        """Hold a regular file open for reading, with its status. OSError if it is gone, or something else."""
        with self.pinned(path) as (pinned, status):
            if not stat.S_ISREG(status.st_mode):
                raise OSError(None, "it is not a regular file")
            descriptor = self._reopener.read(pinned)
            try:
                yield descriptor, status
            finally:
                os.close(descriptor)

    def read(self, path: bytes, most: int = MOST_CONTENT) -> bytes:
        """Return the content of a regular file, at most so many bytes of its beginning."""
        with self.opened(path) as (descriptor, _status):
            return _safe_fs.read_at(descriptor, 0, most)

    def link(self, path: bytes) -> bytes:
        """Return the target of a symbolic link; OSError if there is none."""
        with self.pinned(path) as (descriptor, _status):
            return _safe_fs.link_target(descriptor)

    def names(self, path: bytes) -> list[bytes]:
        """Return the names in a directory, sorted; OSError if it is gone or a link is on the way."""
        descriptor = self._opener.open(self.root + path)
        try:
            return sorted(_safe_fs.listed(descriptor))
        finally:
            os.close(descriptor)
