# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Executables of processes: their digests, and the packages that ship them."""

from __future__ import annotations

import hashlib
import os
import stat
import time
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils import _page_cache
from ansible_collections.bulwark.servers.plugins.module_utils.packages import databases
from ansible_collections.bulwark.servers.plugins.module_utils.packages.model import Owned

_CHUNK = 1 << 20
# The largest executables are browsers and language models' runtimes of some hundred megabytes.
MOST_BYTES = 1 << 30
# Nanoseconds.
_TICK = 2_000_000_000


# Device, inode, size, and the times of content and inode in nanoseconds.
FileKey = t.Tuple[int, int, int, int, int]


class Files:
    """Answers each question once. Nothing is read before the first one.

    known: digests of files that were read before, by device, inode, size and times.
    """

    def __init__(self, root: bytes = b"/", known: t.Mapping[FileKey, dict[str, str]] | None = None) -> None:
        self._root = root
        self._known = known or {}
        self._packages: databases.PackageDatabases | None = None
        self._owners: dict[bytes, str | None] = {}
        self._digests: dict[FileKey, dict[str, str] | None] = {}

    def owner(self, path: bytes) -> str | None:
        """Return name and version of the package that owns a path of the host."""
        if path not in self._owners:
            owned = self.owned(path)
            self._owners[path] = owned.label if owned is not None else None
        return self._owners[path]

    def as_packaged(self, path: bytes, descriptor: int) -> str | None:
        """Return name and version of the package that ships this content under this path."""
        owned = self.owned(path)
        digests = self.digests(descriptor) if owned is not None and owned.digests else None
        return owned.label if owned is not None and digests and owned.has_content(digests) else None

    def has_digests(self, path: bytes) -> bool:
        """Say whether the package that owns a path records what is in it."""
        owned = self.owned(path)
        return owned is not None and bool(owned.digests)

    def digests(self, descriptor: int) -> dict[str, str] | None:
        """Return the digests of an open file by algorithm; None for one that is too large or no regular file.

        sha256 is always there, and what packages of this host record.
        """
        status = os.fstat(descriptor)
        key = (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)
        if key not in self._digests:
            readable = stat.S_ISREG(status.st_mode) and status.st_size <= MOST_BYTES
            wanted = {"sha256", *self.packages.digest_algorithms()}
            known = self._known.get(key)
            if known is not None and known.keys() >= wanted:
                self._digests[key] = known
            else:
                self._digests[key] = _hashed(descriptor, status.st_size, wanted) if readable else None
        return self._digests[key]

    def read_digests(self) -> dict[FileKey, dict[str, str]]:
        """Return the digests that were asked for, of files that show it if they are written from now on.

        Times of files come from a clock that ticks slowly: what was written just now could be written unseen.
        """
        settled = time.time_ns() - _TICK
        return {key: digests for key, digests in self._digests.items() if digests and max(key[3:]) < settled}

    def notes(self) -> list[tuple[str, str]]:
        """Return (subject, reason) of what can't be told by packages, if they were asked at all."""
        return self._packages.coverage_notes() if self._packages is not None else []

    def owned(self, path: bytes) -> Owned | None:
        """Return what the package that owns a path of the host records of it."""
        return self.packages.owner(path) if path.startswith(b"/") else None

    @property
    def packages(self) -> databases.PackageDatabases:
        if self._packages is None:
            self._packages = databases.load_packages(self._root)
        return self._packages


def _hashed(descriptor: int, size: int, algorithms: t.Iterable[str]) -> dict[str, str] | None:
    # What a package manager compares with is not a matter of security here; FIPS mode would refuse it otherwise.
    hashes = {name: hashlib.new(name) for name in algorithms}
    try:
        for data in _page_cache.pieces(descriptor, size, _CHUNK):
            for digest in hashes.values():
                digest.update(data)
    except OSError:
        return None
    return {name: digest.hexdigest() for name, digest in hashes.items()}
