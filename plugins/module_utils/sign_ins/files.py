# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read a log file and its rotated predecessors on from where the last run stopped: every line once.

The place is known by device and inode, and by a digest of what the file began with: so it is found again in whatever
the file was renamed, copied or compressed to, and a file that was emptied and written anew is not taken for the old one.
"""

from __future__ import annotations

import bz2
import errno
import gzip
import hashlib
import lzma
import os
import re
import stat
import typing as t

_OPEN = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
_CHUNK = 1 << 20
_HEAD = 1024
# What a line may have: more than any daemon writes. What comes after it is skipped.
LINE_LIMIT = 16_384
_MOST_FILES = 400
_ROTATED = re.compile(r"[.-](\d{1,4}|\d{8}(?:[-_T]?\d{2,10})?|old)(\.(?:gz|xz|bz2|zst|Z))?\Z")
_MAGIC = ((b"\x1f\x8b", gzip.GzipFile), (b"\xfd7zXZ\0", lzma.LZMAFile), (b"BZh", bz2.BZ2File))
_UNREADABLE = (OSError, EOFError, lzma.LZMAError, ValueError)


class Place(t.NamedTuple):
    """Where reading stopped.

    head: the digest of the first ``head_bytes``. skipping: within a line that is too long. modified: when the file was
    last written then, in seconds since the epoch.
    """

    device: int
    inode: int
    offset: int
    head: str
    head_bytes: int
    skipping: bool = False
    modified: float = 0.0


# Takes bytes; returns pairs of an item and how many bytes it took, and the bytes that are no whole item yet.
Splitter = t.Callable[[bytes], t.Tuple[t.List[t.Tuple[bytes, int]], bytes]]


def whole_lines(content: bytes) -> tuple[list[tuple[bytes, int]], bytes]:
    lines = content.split(b"\n")
    rest = lines.pop()
    return [(line, len(line) + 1) for line in lines], rest


def matching_lines(pattern: t.Pattern[bytes]) -> Splitter:
    """Return a splitter that leaves out the lines that a pattern doesn't find; faster than to look at each."""

    def split(content: bytes) -> tuple[list[tuple[bytes, int]], bytes]:
        end = content.rfind(b"\n") + 1
        found: list[tuple[bytes, int]] = []
        position = 0
        for line in pattern.finditer(content, 0, end):
            found.append((line.group(), line.end() - position))
            position = line.end()
        if end:
            found.append((b"", end - position))
        return found, content[end:]

    return split


def records(size: int) -> Splitter:
    """Return a splitter into records of this many bytes."""

    def split(content: bytes) -> tuple[list[tuple[bytes, int]], bytes]:
        end = len(content) // size * size
        return [(content[start : start + size], size) for start in range(0, end, size)], content[end:]

    return split


class _File:
    """One file that belongs to a log: opened once, so that it can't be exchanged while it is looked at."""

    def __init__(self, path: str, live: bool) -> None:
        self.path, self.live = path, live
        descriptor = os.open(path, _OPEN)
        self.raw = os.fdopen(descriptor, "rb", buffering=0)
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            self.raw.close()
            raise OSError(errno.EINVAL, "it is no regular file")
        self.device, self.inode, self.size, self.modified = (
            status.st_dev,
            status.st_ino,
            status.st_size,
            status.st_mtime,
        )
        magic = self.raw.read(6)
        self.raw.seek(0)
        kind = next((opened for start, opened in _MAGIC if magic.startswith(start)), None)
        self.compressed = kind is not None
        self.content = t.cast("t.BinaryIO", kind(self.raw) if kind else self.raw)
        if magic.startswith(b"\x28\xb5\x2f\xfd"):
            self.close()
            raise OSError(errno.EINVAL, "it is compressed with zstd, which cannot be read here")

    def close(self) -> None:
        self.content.close()
        self.raw.close()

    def head(self, length: int) -> tuple[str, int]:
        """Return the digest of the first bytes, and how many there were."""
        self.content.seek(0)
        start = b""
        while len(start) < length:
            part = self.content.read(length - len(start))
            if not part:
                break
            start += part
        return hashlib.sha256(start).hexdigest(), len(start)

    def is_at(self, place: Place) -> bool:
        """Say whether this is the file in which reading stopped, however it is called and kept now."""
        same = (self.device, self.inode) == (place.device, place.inode)
        if not self.compressed and self.size < place.offset:
            return False
        if not place.head_bytes:
            return same
        return self.head(place.head_bytes) == (place.head, place.head_bytes)


class Log:
    """A log file of this name and what it was rotated to. After ``lines``: ``place``, and what could not be read."""

    def __init__(self, path: str, place: Place | None, split: Splitter = whole_lines) -> None:
        """split: takes the items off the front of some bytes; see ``whole_lines``."""
        self.path = path
        self.place = place
        self._split = split
        self.skipped: list[tuple[str, str]] = []
        self.lines_read = 0
        self.lines_cut = 0
        self.exists = False
        # When the newest of the files was last written, in seconds since the epoch.
        self.modified = 0.0
        self.lost: str | None = None

    def lines(self, passed: t.Callable[[], bool], since: float = 0.0) -> t.Iterator[tuple[bytes, float]]:
        """Return each new line without its end, and the moment after which it can't have been written.

        passed: says when to stop; what is left then comes the next time. since: files that were last written before
        are not read where reading begins.
        """
        files = self._files()
        if not files:
            return
        self.exists = True
        self.modified = max(file.modified for file in files)
        try:
            for file, offset in self._unread(files, since):
                skipping = bool(self.place and self.place.skipping and offset == self.place.offset and offset)
                yield from self._of(file, offset, skipping, passed)
                if passed():
                    return
        finally:
            for file in files:
                file.close()

    def _files(self) -> list[_File]:
        """Return the files of this log, the oldest first."""
        directory, name = os.path.split(self.path)
        try:
            names = [
                entry.name
                for entry in os.scandir(directory or "/")
                if entry.name == name or (entry.name.startswith(name) and _ROTATED.match(entry.name, len(name)))
            ]
        except OSError as error:
            if error.errno != errno.ENOENT:
                self.skipped.append((self.path, _reason(error)))
            return []
        found = []
        for one in sorted(names)[:_MOST_FILES]:
            path = os.path.join(directory, one)
            try:
                found.append(_File(path, live=one == name))
            except OSError as error:
                if error.errno != errno.ENOENT:
                    self.skipped.append((path, _reason(error)))
        return sorted(found, key=lambda file: (file.live, file.modified, file.path))

    def _unread(self, files: t.Sequence[_File], since: float) -> list[tuple[_File, int]]:
        place = self.place
        heads: set[tuple[str, int]] = set()
        found: list[tuple[_File, int]] = []
        following = list(files)
        if place is not None:
            number = self._continued(files, place)
            if number is None:
                self.lost = (
                    "where the last run stopped is not in any of its files; what was logged after that may be lost"
                )
                since = place.modified
            else:
                found.append((files[number], place.offset))
                heads.add(files[number].head(_HEAD))
                following = following[number + 1 :]
        for file in following:
            if not found and file.modified < since:
                continue
            try:
                head = file.head(_HEAD)
            except _UNREADABLE as error:
                self.skipped.append((file.path, _reason(error)))
                continue
            # A rotated file and its compressed copy, while the one is made of the other.
            if head[1] and head in heads and not file.live:
                continue
            heads.add(head)
            found.append((file, 0))
        return found

    def _continued(self, files: t.Sequence[_File], place: Place) -> int | None:
        """Return which of the files reading stopped in, None when it is none of them."""
        known = sorted(
            range(len(files)), key=lambda n: (files[n].device, files[n].inode) != (place.device, place.inode)
        )
        for number in known:
            try:
                if files[number].is_at(place):
                    return number
            except _UNREADABLE:
                continue
        return None

    def _of(
        self, file: _File, offset: int, skipping: bool, passed: t.Callable[[], bool]
    ) -> t.Iterator[tuple[bytes, float]]:
        digest, length = "", 0
        content, rest, position = file.content, b"", offset
        limit = None if file.compressed else file.size

        def note(consumed: int, in_line: bool) -> None:
            nonlocal digest, length
            wanted = min(consumed, _HEAD)
            if length < wanted:
                here = content.tell()
                digest, length = file.head(wanted)
                content.seek(here)
            self.place = Place(file.device, file.inode, consumed, digest, length, in_line, file.modified)

        try:
            content.seek(offset)
            while not passed():
                # What is appended meanwhile is the next run's: a log that grows faster than it is read has no end.
                chunk = content.read(_CHUNK if limit is None else max(0, min(_CHUNK, limit - position - len(rest))))
                if not chunk:
                    break
                items, rest = self._split(rest + chunk)
                for line, taken in items:
                    position += taken
                    if skipping:
                        skipping = False
                        continue
                    if not line:
                        continue
                    self.lines_read += 1
                    if len(line) > LINE_LIMIT:
                        self.lines_cut += 1
                        line = line[:LINE_LIMIT]
                    yield line, file.modified
                if len(rest) > LINE_LIMIT:
                    if not skipping:
                        self.lines_read += 1
                        self.lines_cut += 1
                        yield rest[:LINE_LIMIT], file.modified
                    position += len(rest)
                    rest, skipping = b"", True
                note(position, skipping)
            if rest and not file.live and not passed():
                position += len(rest)
                if not skipping:
                    self.lines_read += 1
                    yield rest, file.modified
            note(position, skipping)
        except _UNREADABLE as error:
            # A damaged archive stays as it is: the next run goes on with the file after it.
            self.skipped.append((file.path, _reason(error)))


def _reason(error: BaseException) -> str:
    if isinstance(error, OSError) and error.errno == errno.ELOOP:
        return "it is a symbolic link, which is not followed: name its target in paths"
    said = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return "it cannot be read: %s" % said
