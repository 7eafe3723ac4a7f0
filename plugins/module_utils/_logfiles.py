# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Following log files that are rotated, compressed, copied and cut off, without missing or doubling a line.

A file is known again by its beginning, whatever it is called and wherever it is by then; that it was not rewritten
before the place where reading stopped, by the bytes before that. What is read is bounded by the size that a file has
when it is opened, and ends with a whole line.
"""

from __future__ import annotations

import errno
import fnmatch
import glob
import gzip
import hashlib
import os
import re
import stat
import time
import typing as t
import zlib

from ansible_collections.bulwark.servers.plugins.module_utils._safe_fs import reason
from ansible_collections.bulwark.servers.plugins.module_utils._trust import doubts

_HEAD = 1_024
_TAIL = 256
_CHUNK = 1024 * 1024
# A line without an end must not fill the memory.
_MOST_LINE = 16 * 1024 * 1024
# Each is open until the end, and a process may have 1,024.
_MOST_FILES = 400
# A rotation of a hundred files takes milliseconds, on a busy machine a few hundred.
_ATTEMPTS = 10
_PAUSE = 0.02
# To what nobody has written for so many seconds, the end of the last line doesn't come any more.
_IDLE = 60
_OPEN = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
# How many places in files that are gone are remembered: they may come back from an archive.
_MOST_POSITIONS = 200
# What reading a file can end with.
UNREADABLE = (OSError, EOFError, zlib.error)

Position = t.Dict[str, t.Any]


class LogFile:
    """An open log file. offset: where to go on, of its content (that of a compressed file is what is in it).

    is_doubtful: others than root can change it.
    """

    def __init__(self, path: str, descriptor: int, status: os.stat_result, rotated: bool, doubtful: bool) -> None:
        self.path = path
        self.rotated = rotated
        self.size = status.st_size
        self.modified = status.st_mtime
        self.inode = status.st_ino
        self.device = status.st_dev
        self.compressed = path.endswith(".gz")
        self.offset = 0
        self.rewritten = False
        self.known = False
        self.is_doubtful = doubtful
        self._tail = self._tail_before = b""
        self._tail_digest = ""
        self._finished = False
        self._damage: Exception | None = None
        self._raw = t.cast("t.IO[bytes]", os.fdopen(descriptor, "rb", buffering=0))
        self._stream = self._raw
        if self.compressed:
            self._stream = t.cast("t.IO[bytes]", gzip.GzipFile(fileobj=self._raw, mode="rb"))
        try:
            self.head = self._read(_HEAD)
        except UNREADABLE:
            self.head = b""
        self._place = len(self.head)

    def close(self) -> None:
        self._stream.close()
        self._raw.close()

    def _read(self, size: int) -> bytes:
        """Return what comes next; of a damaged file what comes before the damage, which is an error only then."""
        # With read, a compressed file returns nothing of what is before it.
        read: t.Callable[[int], bytes] = getattr(self._stream, "read1" if self.compressed else "read")
        parts = []
        while size > 0 and self._damage is None:
            try:
                part = read(size)
            except UNREADABLE as error:
                self._damage = error
                break
            if not part:
                break
            parts.append(part)
            size -= len(part)
        if self._damage is not None and not parts:
            raise self._damage
        return b"".join(parts)

    def starts_with(self, position: Position) -> bool:
        """Return whether this is the file of a position, by its beginning."""
        length: int = position["head_length"]
        return len(self.head) >= length > 0 and _digest(self.head[:length]) == position["head"]

    def go_on(self, position: Position) -> None:
        """Go to where reading stopped; ``rewritten`` where what was read before is not what is there now."""
        self.known = True
        offset = position["offset"]
        if self.compressed and position.get("finished") == [self.inode, self.size]:
            # Nothing comes to a compressed file; inflating it again would only say so.
            self.offset, self._finished = offset, True
            self._tail_digest = position["tail"]
            return
        try:
            tail = self._bytes_before(offset)
        except UNREADABLE:
            tail = b""
        if _digest(tail) != position["tail"]:
            self.rewritten = True
            self._seek(0)
            return
        self.offset, self._tail = offset, tail

    @property
    def is_inside_line(self) -> bool:
        """Return whether the place to go on is in the middle of a line, one without an end or longer than is read."""
        return bool(self._tail) and not self._tail.endswith(b"\n")

    def _bytes_before(self, offset: int) -> bytes:
        start = max(0, offset - _TAIL)
        self._seek(start)
        tail = self._read(offset - start)
        self._place = start + len(tail)
        return tail

    def _seek(self, place: int) -> None:
        self._damage = None
        self._stream.seek(place)
        self._place = place

    def chunks(self, record: int = 0) -> t.Iterator[bytes]:
        """Return what is new, in chunks of whole lines; ``offset`` is where each ended.

        Raises OSError, EOFError and zlib.error. record: the size of a record, for a file that has those and no lines.

        The last line of a file to which nothing comes any more may have no end: of a compressed one, and of one that
        nobody has written to for a while.
        """
        if self._finished:
            return
        if self._place != self.offset:
            self._seek(self.offset)
        kept = b""
        limit = None if self.compressed else self.size - self.offset
        while limit is None or limit > 0:
            part = self._read(_CHUNK if limit is None else min(_CHUNK, limit))
            if not part:
                break
            if limit is not None:
                limit -= len(part)
            chunk = kept + part
            end = len(chunk) // record * record if record else chunk.rfind(b"\n") + 1
            if not end and len(chunk) > _MOST_LINE:
                end = len(chunk)
            kept = chunk[end:]
            if end:
                self._advance(chunk[:end])
                yield chunk[:end]
        self._finished = self.compressed
        is_idle = not record and time.time() - self.modified > _IDLE
        if kept and (self.compressed or is_idle):
            self._advance(kept)
            yield kept + b"\n"

    def give_back(self, chunk: bytes, length: int) -> None:
        """Let the next run go on within the last chunk. length: of its whole lines that were read."""
        self.offset -= len(chunk) - length
        self._tail = (self._tail_before + chunk[:length])[-_TAIL:]
        self._finished = False

    def _advance(self, chunk: bytes) -> None:
        self._tail_before = self._tail
        self.offset += len(chunk)
        self._tail = (self._tail + chunk)[-_TAIL:] if len(chunk) < _TAIL else chunk[-_TAIL:]
        self._tail_digest = ""

    def position(self) -> Position:
        """Return what is needed to find this place again."""
        # No more of the beginning than was read: what comes later is not known yet.
        head = self.head[: min(len(self.head), self.offset)] if self.offset else b""
        return {
            "path": self.path,
            "inode": self.inode,
            "device": self.device,
            "offset": self.offset,
            "head": _digest(head),
            "head_length": len(head),
            "tail": self._tail_digest or _digest(self._tail),
            "rotated": self.rotated,
            "finished": [self.inode, self.size] if self._finished else None,
        }


def damage(error: Exception) -> str:
    """Return what is wrong with a file that could not be read, of the errors that reading it can end with."""
    if isinstance(error, EOFError):
        return "its compressed data end too early"
    if isinstance(error, OSError) and error.errno is not None:
        return reason(error)
    # What Python says of it quotes bytes and checksums.
    return "its name ends in .gz, but it is not compressed or is damaged"


def _reason(error: OSError) -> str:
    if error.errno == errno.ELOOP:
        return "it is a symbolic link, which is not followed: name its target in paths"
    return reason(error)


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:32]


class Follower:
    """The files of one reader. missing: positions of files that are not there any more; skipped: what can't be read.

    current: the paths of those that are written now.

    doubted: files and directories that others than root can change, and who; what was read there may not be all.
    """

    def __init__(self, positions: t.Sequence[Position] = ()) -> None:
        """positions: as ``state`` returned them."""
        self._positions = list(positions)
        self._files: list[LogFile] = []
        self.skipped: list[tuple[str, str]] = []
        self.doubted: dict[str, str] = {}
        self.missing: list[Position] = []
        self.current: set[str] = set()

    def open(self, paths: t.Sequence[str]) -> list[LogFile]:
        """Return the log files, the oldest first, each with the place to go on.

        paths: of the files that are written now; each is taken with its rotated ones beside it (``.1``, ``-20260131``,
        also ``.gz``). Glob patterns are allowed.
        """
        for _attempt in range(_ATTEMPTS):
            bases = self._bases(paths)
            listed = _found(bases)
            opened = self._open_all(bases, listed)
            if _unchanged(opened) and set(_found(bases)) == set(listed):
                break
            # A rotation while the files were opened: one may be there twice, and another not at all.
            for file in opened:
                file.close()
            self.skipped.clear()
            self.doubted.clear()
            time.sleep(_PAUSE)
        else:
            opened = self._open_all(bases, _found(bases))
        self._files = _distinct(opened)
        self._match()
        return self._files

    def present(self, paths: t.Sequence[str]) -> list[str]:
        """Return the files that are written now and exist, be it only as a rotated file. paths: as for ``open``.

        A daemon that rotates its log renames it first and creates the new one afterwards. In between, only the rotated
        files are there.
        """
        return [base for base in self._bases(paths) if any(map(os.path.lexists, _found([base])))]

    def close(self) -> None:
        for file in self._files:
            file.close()

    def state(self) -> list[Position]:
        """Return where the files were left, and the places in files that are gone, the newest last."""
        # That something may have been lost with a file is said once.
        gone = [{**position, "rotated": True} for position in self.missing]
        return (gone + [file.position() for file in self._files if file.offset])[-_MOST_POSITIONS:]

    def _bases(self, paths: t.Sequence[str]) -> list[str]:
        """Return the files that are written now, also one that matches a pattern and is missing during a rotation."""
        missing = (position["path"] for position in self._positions if not position["rotated"])
        matching = (path for path in missing if any(_matches(path, pattern) for pattern in paths))
        return list(dict.fromkeys((*_current_paths(paths), *matching)))

    def _open_all(self, bases: t.Sequence[str], listed: t.Sequence[str]) -> list[LogFile]:
        opened = []
        self.current = set(bases)
        # The newest, which come last.
        for path in listed[-_MOST_FILES:]:
            try:
                descriptor = os.open(path, _OPEN)
            except FileNotFoundError:
                continue
            except OSError as error:
                self.skipped.append((path, _reason(error)))
                continue
            status = os.fstat(descriptor)
            if not stat.S_ISREG(status.st_mode):
                os.close(descriptor)
                self.skipped.append((path, "not a regular file"))
                continue
            doubted = doubts(path, descriptor)
            self.doubted.update(doubted)
            opened.append(LogFile(path, descriptor, status, path not in self.current, bool(doubted)))
        return opened

    def _match(self) -> None:
        matched: set[int] = set()
        for file in self._files:
            fitting = [position for position in self._positions if file.starts_with(position)]
            if fitting:
                # Of a file that was read in several runs there is one; a shorter beginning may fit by chance.
                position = max(fitting, key=lambda one: (one["head_length"], one["offset"]))
                matched.update(id(one) for one in fitting)
                file.go_on(position)
        self.missing = [position for position in self._positions if id(position) not in matched]

    @property
    def doubts(self) -> list[tuple[str, str]]:
        """Return what others can change, and in one sentence what that means."""
        return [
            (path, "it can be written by %s, who may have changed its content" % who)
            for path, who in self.doubted.items()
        ]

    @property
    def lost(self) -> list[str]:
        """Return the files that are gone, and were still written when they were read."""
        return [position["path"] for position in self.missing if not position["rotated"]]


def _current_paths(paths: t.Sequence[str]) -> list[str]:
    """Return the files that are written now, of patterns those that there are."""
    found = (base for pattern in paths for base in sorted(glob.glob(pattern)) or [pattern])
    return list(dict.fromkeys(found))


def _matches(path: str, pattern: str) -> bool:
    """Say whether a path matches a glob pattern, whose wildcards match no slash."""
    return path.count("/") == pattern.count("/") and fnmatch.fnmatchcase(path, pattern)


def _found(bases: t.Sequence[str]) -> list[str]:
    """Return all files, the oldest first. bases: those that are written now."""
    found: dict[str, tuple[t.Any, ...]] = {}
    for base in bases:
        escaped = glob.escape(base)
        for path in [base, *glob.glob(escaped + ".*"), *glob.glob(escaped + "-*")]:
            order = rotation_order(path, base)
            if order is not None:
                found.setdefault(path, order)
    return sorted(found, key=lambda path: found[path])


def rotation_order(path: str, base: str) -> tuple[t.Any, ...] | None:
    """Return where a rotated file comes, the oldest first: by date, then by falling number, then the file itself."""
    if path == base:
        return (2, "", 0)
    rest = path[len(base) :]
    plain = rest[: -len(".gz")] if rest.endswith(".gz") else rest
    number = re.match(r"[.](\d{1,4})\Z", plain)
    if number:
        return (1, "", -int(number.group(1)))
    date = re.match(r"[.-](\d{6,14}(?:-\d+)?)\Z", plain)
    return (0, date.group(1), 0) if date else None


def _unchanged(files: t.Sequence[LogFile]) -> bool:
    for file in files:
        try:
            status = os.stat(file.path, follow_symlinks=False)
        except OSError:
            return False
        if (status.st_dev, status.st_ino) != (file.device, file.inode):
            return False
    return True


def _distinct(files: t.Sequence[LogFile]) -> list[LogFile]:
    """Leave out a second name of a file, and a compressed copy beside what it was made of."""
    kept: dict[t.Any, LogFile] = {}
    for file in files:
        key = file.head or (file.device, file.inode)
        before = kept.get(key)
        if before is None:
            kept[key] = file
        elif len(file.head) and before.compressed and not file.compressed:
            before.close()
            kept[key] = file
        else:
            file.close()
    return list(kept.values())
