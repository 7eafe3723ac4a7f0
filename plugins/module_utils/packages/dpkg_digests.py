# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The MD5 digests that dpkg has of packaged files, read package by package when they are asked for."""

from __future__ import annotations

import os
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils.packages import dpkg_files as files
from ansible_collections.bulwark.servers.plugins.module_utils.packages.model import read_state
from ansible_collections.bulwark.servers.plugins.module_utils.packages.path_index import PathIndex

_SIZE = 16
_UNKNOWN = bytes(_SIZE)


class DpkgDigests:
    """Digests by ordinal of a ``PathIndex``. stems: how each package's files in ``directory`` start, by group.

    problems: (position of the package, reason) of each file that could not be read, filled as they are asked for.
    """

    def __init__(self, directory: bytes, stems: t.Sequence[bytes], index: PathIndex) -> None:
        self._directory = directory
        self._stems = stems
        self._index = index
        self._digests = bytearray(_SIZE * len(index))
        self._read: set[int] = set()
        self.problems: list[tuple[int, str]] = []

    def of(self, group: int, ordinal: int) -> bytes | None:
        """Return the 16 bytes of one path of a package, None where there are none."""
        self._load(group)
        md5 = bytes(self._digests[ordinal * _SIZE : (ordinal + 1) * _SIZE])
        return None if md5 == _UNKNOWN else md5

    def paths_with(self, md5: bytes, groups: t.Iterable[int]) -> t.Iterator[int]:
        """Yield the ordinals of all paths of these packages with this digest."""
        for group in groups:
            self._load(group)
        position = self._digests.find(md5) if len(md5) == _SIZE and md5 != _UNKNOWN else -1
        while position >= 0:
            ordinal, offset = divmod(position, _SIZE)
            if not offset:  # else it only looks like the digest, across two others
                yield ordinal
            position = self._digests.find(md5, position + 1)

    def md5sums(self, group: int) -> bytes:
        """Return a package's md5sums file, empty when there is none or it can't be read."""
        try:
            return read_state(self._path(group))
        except FileNotFoundError:
            return b""
        except OSError as error:
            self.problems.append((group, "the package's digests (md5sums) can't be read: %s" % error))
            return b""

    def lack(self, group: int) -> str | None:
        """Return why a package has no digests at all: there is no md5sums file, or it is empty. None when it has."""
        try:
            return None if os.stat(self._path(group)).st_size else "the package's file of digests (md5sums) is empty"
        except FileNotFoundError:
            return "the package came without digests (md5sums)"

    def _load(self, group: int) -> None:
        if group in self._read:
            return
        self._read.add(group)
        digests = files.parse_md5sums(self.md5sums(group))
        for member in self._index.members(group):
            md5 = digests.get(self._index.path(member), _UNKNOWN)
            self._digests[member * _SIZE : (member + 1) * _SIZE] = md5

    def _path(self, group: int) -> bytes:
        return os.path.join(self._directory, self._stems[group] + b".md5sums")
