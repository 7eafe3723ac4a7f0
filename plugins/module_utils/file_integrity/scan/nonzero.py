# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A digest of what is not zero in a file, which costs nothing for the holes of a sparse one.

Anyone can make a file of a terabyte in an instant that takes minutes to hash. Such a file is hashed block by block,
each with its number, and blocks of zeros are left out. So the digest says as much of the content as an ordinary one,
whether zeros are holes (lseek(2)) or were written: a copy without holes, or on a file system that reports others, has
the same.
"""

from __future__ import annotations

import errno
import os
import typing as t

# What such a digest is recorded as: sha256-nonzero.
SUFFIX = "-nonzero"
# Files with more bytes than these in holes are hashed in this way; up to here an ordinary digest takes a tenth of a
# second.
_MOST_IN_HOLES = 128 << 20
# Fixed for all times, as digests in baselines depend on it.
_BLOCK = 64 << 10
_ZEROS = bytes(_BLOCK)


class NonZero:
    """A hash object that is given a file from its beginning, and leaves out what is zero."""

    def __init__(self, plain: t.Any) -> None:
        self._hash = plain
        self._number = 0
        self._size = 0
        self._begun = bytearray()

    def update(self, data: t.Any) -> None:
        view = memoryview(data)
        start = 0
        if self._begun:
            start = min(len(view), _BLOCK - len(self._begun))
            self._begun += view[:start]
            if len(self._begun) < _BLOCK:
                return
            self._add(bytes(self._begun))
            self._begun.clear()
        while len(view) - start >= _BLOCK:
            self._add(bytes(view[start : start + _BLOCK]))
            start += _BLOCK
        self._begun += view[start:]

    def skip(self, length: int) -> None:
        """Take as many zeros as ``length`` says."""
        if self._begun:
            count = min(length, _BLOCK - len(self._begun))
            self.update(_ZEROS[:count])
            length -= count
        self._number += length // _BLOCK
        self._size += length - length % _BLOCK
        self._begun += _ZEROS[: length % _BLOCK]

    def hexdigest(self) -> str:
        """Return the digest of all that was given; nothing more can be."""
        if self._begun:
            self._add(bytes(self._begun))
            self._begun.clear()
        # Zeros at the end are content, too.
        self._hash.update(b"%d" % self._size)
        digest: str = self._hash.hexdigest()
        return digest

    def _add(self, block: bytes) -> None:
        if block != _ZEROS[: len(block)]:
            self._hash.update(b"%d:" % self._number)
            self._hash.update(block)
        self._number += 1
        self._size += len(block)


def is_mostly_holes(descriptor: int, size: int) -> bool:
    """Say whether a file has so much in holes that it is hashed without its zeros. Raises OSError."""
    position = missing = 0
    while size - position > _MOST_IN_HOLES - missing:
        hole = seek(descriptor, position, os.SEEK_HOLE, size)
        position = seek(descriptor, hole, os.SEEK_DATA, size) if hole < size else size
        missing += position - hole
        if missing > _MOST_IN_HOLES:
            return True
    return False


def skips(update: t.Callable[[t.Any], None], length: int) -> bool:
    """Let what ``update`` belongs to skip zeros; return whether it can."""
    owner = getattr(update, "__self__", None)
    if not isinstance(owner, NonZero):
        return False
    owner.skip(length)
    return True


def seek(descriptor: int, position: int, what: int, size: int) -> int:
    """Return the next data or hole as lseek(2) does; the size where only a hole is left, or the file ends before."""
    try:
        return min(os.lseek(descriptor, position, what), size)
    except OSError as error:
        if error.errno == errno.ENXIO:
            return size
        raise
