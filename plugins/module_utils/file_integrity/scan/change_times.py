# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The file systems and spans of time in which ``rehash: changed`` believes change times."""

from __future__ import annotations

import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils import _safe_fs
from ansible_collections.bulwark.servers.plugins.module_utils.file_integrity.watches.plan import innermost, parent

Mounts = t.Mapping[bytes, str]

# vfat and exfat keep no change time. Older kernels don't change that of F2FS with extended attributes, such as a
# program's capabilities (linux, "f2fs: fix to update i_ctime in __f2fs_setxattr()"). Nothing writes back what is in
# memory only: a file there that was mapped before can be written to at any time later without its times telling
# (mmap(2)).
_TELL_NOTHING = frozenset(("exfat", "f2fs", "hugetlbfs", "msdos", "ntfs", "ntfs3", "ramfs", "tmpfs", "vfat"))
# Here a directory's change time follows each name in it. In a directory of an overlay it is that of the upper layer,
# while names come from the lower ones, too.
_STAMP_NAMES = frozenset(("bcachefs", "btrfs", "ext2", "ext3", "ext4", "xfs", "zfs"))


def tells(file_system: str) -> bool:
    """Say whether change times of a file system are the kernel's own and follow each change of content."""
    return not (file_system in _TELL_NOTHING or _safe_fs.is_foreign(file_system) or file_system.startswith("fuse"))


class TrustedTimes:
    """What is believed of the entries of a baseline whose status is as recorded.

    racy: spans of nanoseconds in which files were being read for the baseline, see ``Header.reading_times``. recorded:
    the mounts when the baseline was made, None if it doesn't say. now: those of now. What a file system holds that
    was mounted since is another file, whatever it says of itself: anybody who may mount can choose what that is.
    """

    def __init__(self, racy: t.Sequence[tuple[int, int]], recorded: Mounts | None, now: Mounts) -> None:
        self._racy = tuple(racy)
        self._first = min((start for start, _end in racy), default=0)
        self._usable = {
            point: tells(kind) and (recorded is None or recorded.get(point) == kind) for point, kind in now.items()
        }
        self._stamping = {point for point, kind in now.items() if kind in _STAMP_NAMES and self._usable[point]}
        self._above: bytes | None = None
        self._point = b"/"

    def holds_in(self, directory: bytes) -> bool:
        """Say whether change times of the files in a directory can be believed."""
        return self._usable.get(self._mount(directory), True)

    def stamps_in(self, directory: bytes) -> bool:
        """Say whether a directory's own change time can be believed."""
        return self._mount(directory) in self._stamping

    def _mount(self, directory: bytes) -> bytes:
        if directory in self._usable:
            return directory
        above = parent(directory)
        if above != self._above:
            # Most often the next that is asked for is beside this one.
            self._above = above
            self._point = innermost(above, self._usable)
        return self._point

    def covers(self, changed: int) -> bool:
        """Say whether a change time vouches for what did not change since."""
        return changed < self._first or not any(start <= changed <= end for start, end in self._racy)
