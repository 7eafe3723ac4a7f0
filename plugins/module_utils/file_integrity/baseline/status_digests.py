# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One digest for all that ``rehash: changed`` compares of a directory's entries.

A status digest is made of the lines of a block when a baseline is written, and of the directory itself when it is
compared. Where both are the same, no line has to be compared. It covers the names, of each entry what stat(2) tells,
and of directories all of their lines. So it says neither more nor less than comparing each line would, in fewer steps.

A stamp is the inode and change time that a directory had before it was recorded. A directory that still has them has
the same names in it, and the same attributes itself: as nobody can set the change time, of a file its content.
"""

from __future__ import annotations

import hashlib
import os
import stat
import struct
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils.file_integrity.baseline import lines

# Entries are taken this many at a time, so that a directory of any size needs little memory.
_TOGETHER = 1000
# Half of SHA-256 is enough: nobody can choose what stat(2) says so as to look for two that are alike.
_HEX_DIGITS = 32

# Mode with type, inode, links, owner, group, size, modification and change time in nanoseconds, device number.
_row = struct.Struct("=IQQIIQqqQ").pack
_DEVICES = (b"c", b"b")
_TYPE = 0o170000

# Says of a change time, in nanoseconds, whether it vouches for what did not change since.
Covers = t.Callable[[int], bool]


class NoStatusDigestError(Exception):
    """There can be no status digest for a directory: each of its entries has to be compared."""


def stamp(status: os.stat_result) -> bytes:
    """Return the inode and change time of a directory, which are the same while its names are."""
    return b"%d:%d" % (status.st_ino, status.st_ctime_ns)


def change_time_of(text: bytes) -> int:
    """Return the change time of a stamp."""
    return int(text.partition(b":")[2])


def digest_of_block(block: bytes, covers: Covers) -> bytes | None:
    """Return the status digest of a block; None when stat(2) cannot vouch for each of its entries."""
    digest = hashlib.sha256()
    recorded = block.split(b"\n") if block else []
    try:
        for start in range(0, len(recorded), _TOGETHER):
            part = recorded[start : start + _TOGETHER]
            _add(
                digest,
                [lines.unescape(lines.name_of(line)) for line in part],
                [_status_of(line, covers) for line in part],
            )
    except (NoStatusDigestError, struct.error):
        return None
    return _hex(digest)


def digest_of_directory(
    descriptor: int,
    device: int,
    names: t.Sequence[bytes],
    state_of: t.Callable[[bytes, os.stat_result], bytes],
    check: t.Callable[[], None],
) -> tuple[bytes, list[bytes]]:
    """Return the status digest of these names in an open directory, and those of them that are directories.

    device: of the directory. state_of: returns the state of a directory in it. check: called now and then, so that it
    can end this. Raises OSError for what is gone, and NoStatusDigestError: also where something is mounted on a name.
    """
    digest = hashlib.sha256()
    directories = []
    try:
        for start in range(0, len(names), _TOGETHER):
            check()
            part = names[start : start + _TOGETHER]
            states = []
            for name in part:
                status = os.stat(name, dir_fd=descriptor, follow_symlinks=False)
                mode, inode, entry_device, links, owner, group, size = status[:7]
                if entry_device != device:
                    raise NoStatusDigestError
                if mode & _TYPE == stat.S_IFDIR:
                    directories.append(name)
                    states.append(state_of(name, status))
                else:
                    times = status.st_mtime_ns, status.st_ctime_ns
                    states.append(_row(mode, inode, links, owner, group, size, *times, status.st_rdev))
            _add(digest, part, states)
    except struct.error as error:
        raise NoStatusDigestError from error
    return _hex(digest), directories


def _status_of(line: bytes, covers: Covers) -> bytes:
    """Return the part of a line that a status digest covers, in the form of ``digest_of_directory``."""
    kind, mode, *numbers, device = line.split(b" ", 11)[1:11]
    if kind == b"d":
        return lines.state_of(line)
    if kind in _DEVICES:
        numbers.append(device)
    if mode == lines.NONE or lines.NONE in numbers or not lines.is_settled(line):
        raise NoStatusDigestError
    owner, group, size, inode, links, modified, changed, *number = map(int, numbers)
    if not covers(changed):
        raise NoStatusDigestError
    return _row(int(mode, 8), inode, links, owner, group, size, modified, changed, number[0] if number else 0)


def _add(digest: t.Any, names: t.Sequence[bytes], states: t.Iterable[bytes]) -> None:
    # No name has a zero in it, and the state of an entry has a fixed length or is a line: so nothing is ambiguous.
    digest.update(b"%d:%s\0%s\n" % (len(names), b"\0".join(names), b"\n".join(states)))


def _hex(digest: t.Any) -> bytes:
    text: str = digest.hexdigest()
    return text[:_HEX_DIGITS].encode()
