# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A file of lines that several writers append to, each line whole and once, and that is rotated by its size."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pathlib
import stat
import typing as t

_END = b"\n"


class FullError(Exception):
    """There is no room for more lines of this writer unless earlier ones of it are removed."""


class RotatedFile:
    """Appends lines to a file; ``path.1`` is the newest of those that were full.

    max_size: bytes after which a file is full. files: how many there are at most, with the one that is written.
    remembered: bytes at the end in which a line is looked for before it is written again. spares_own: whether
    ``append`` raises FullError, and writes nothing, before it removes a file with lines of an earlier ``append``.
    """

    def __init__(
        self,
        path: pathlib.Path,
        mode: int,
        max_size: int,
        files: int,
        *,
        remembered: int,
        spares_own: bool = False,
    ) -> None:
        self._path, self._mode, self._max_size, self._files = path, mode, max_size, files
        self._remembered, self._spares_own = remembered, spares_own
        # Those of this writer since its first line, None before it.
        self._rotations: int | None = None
        self._descriptor: int | None = None

    def append(self, lines: t.Sequence[bytes]) -> None:
        """Write lines to the disk, those aside that another writer has just written; raise OSError, and write none."""
        with self._locked() as descriptor:
            # A writer that was killed, or too slow to say so, may have written what is due again.
            newest = self._newest(descriptor)
            missing = [line + _END for line in lines if line not in newest]
            size = _without_partial_line(descriptor)
            parts = list(_parts(missing, size, self._max_size))
            self._check_room(parts, size)
            for part in parts:
                if self._is_full(part, size):
                    descriptor = self._rotate(descriptor)
                    size = 0
                size = _write(descriptor, b"".join(part), size)
                self._rotations = self._rotations or 0

    def _is_full(self, part: t.Sequence[bytes], size: int) -> bool:
        return bool(size) and size + sum(map(len, part)) > self._max_size

    def _check_room(self, parts: t.Sequence[t.Sequence[bytes]], size: int) -> None:
        """Raise FullError if writing these parts would remove lines of this writer."""
        if self._spares_own and self._rotations is not None and parts:
            # Each part after the first one is in a file of its own.
            rotations = self._rotations + self._is_full(parts[0], size) + len(parts) - 1
            if rotations >= self._files:
                raise FullError

    def close(self) -> None:
        """Let go of the file."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    @contextlib.contextmanager
    def _locked(self) -> t.Iterator[int]:
        """Open the file that has the path and lock it; another writer may rotate it meanwhile."""
        try:
            while True:
                if self._descriptor is None:
                    self._descriptor = self._open()
                fcntl.flock(self._descriptor, fcntl.LOCK_EX)
                if _is_at(self._descriptor, self._path):
                    break
                self.close()
            yield self._descriptor
        finally:
            self.close()

    def _open(self) -> int:
        flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
        descriptor = os.open(self._path, flags, self._mode)
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            os.close(descriptor)
            raise OSError(0, "it is not a regular file")
        return descriptor

    def _rotate(self, full: int) -> int:
        """Move the files by one and return a new one, locked; the oldest goes."""
        if self._rotations is not None:
            self._rotations += 1
        names = [self._path, *(self._path.with_name(f"{self._path.name}.{n}") for n in range(1, self._files))]
        if len(names) == 1:
            os.ftruncate(full, 0)
            return full
        for older, newer in zip(reversed(names[1:]), reversed(names[:-1]), strict=True):
            with contextlib.suppress(FileNotFoundError):
                os.replace(newer, older)
        descriptor = self._open()
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        _sync_directory(self._path.parent)
        self.close()
        self._descriptor = descriptor
        return descriptor

    def _newest(self, descriptor: int) -> set[bytes]:
        """Return the lines at the end of the file, and of the one before if this one is shorter."""
        lines = _last_lines(descriptor, self._remembered)
        left = self._remembered - os.fstat(descriptor).st_size
        if left > 0 and self._files > 1:
            with contextlib.suppress(FileNotFoundError):
                older = os.open(self._path.with_name(f"{self._path.name}.1"), os.O_RDONLY | os.O_NOFOLLOW)
                try:
                    lines |= _last_lines(older, left)
                finally:
                    os.close(older)
        return lines


def _is_at(descriptor: int, path: pathlib.Path) -> bool:
    try:
        there = os.stat(path, follow_symlinks=False)
    except FileNotFoundError:
        return False
    return os.path.samestat(os.fstat(descriptor), there)


def _last_lines(descriptor: int, size: int) -> set[bytes]:
    end = os.fstat(descriptor).st_size
    return set(os.pread(descriptor, size, max(0, end - size)).split(_END))


def _without_partial_line(descriptor: int) -> int:
    """Cut the line that a killed writer did not finish, and return the size."""
    size = end = os.fstat(descriptor).st_size
    while end > 0:
        start = max(0, end - 65_536)
        position = os.pread(descriptor, end - start, start).rfind(_END)
        if position >= 0:
            end = start + position + 1
            break
        end = start
    if end < size:
        os.ftruncate(descriptor, end)
    return end


def _parts(lines: t.Sequence[bytes], size: int, most: int) -> t.Iterator[list[bytes]]:
    """Yield lines in parts that a file has room for: the first one the present file, each other one a new file."""
    part: list[bytes] = []
    for line in lines:
        if part and size + len(line) > most:
            yield part
            part, size = [], 0
        part.append(line)
        size += len(line)
    if part:
        yield part


def _write(descriptor: int, content: bytes, size: int) -> int:
    """Append to the disk and return the new size; raise OSError, and leave the file as it was."""
    try:
        left = memoryview(content)
        while left:
            left = left[os.write(descriptor, left) :]
        os.fsync(descriptor)
    except OSError:
        os.ftruncate(descriptor, size)
        raise
    return size + len(content)


def _sync_directory(path: pathlib.Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
