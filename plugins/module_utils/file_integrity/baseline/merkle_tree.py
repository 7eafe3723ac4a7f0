# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The baseline file: a Merkle tree of directories, verified piece by piece as it is used.

Layout: a first line with the version; for each directory one block (``lines``, sorted by name, joined by newlines); the
index, one line for each directory with the offset, size and SHA-256 of its block, and its status digest and stamp
(``status_digests``); the header (JSON); and a last line of fixed length with the offsets of index and header. The seal
is SHA-256 over first line, header and index: it covers every block through the index. The header has a SHA-256 of all
blocks, too, for a run that uses few of them. The first 32 bytes and the last line never change their form, so that any
version can compute the seal of any other's file.

A reader opens the file once. Index and header are verified against the seal and kept in memory; a block
is verified against the index when it is used. So there is no moment between verifying and using in which someone
could exchange the content, and memory stays small however large the tree.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils._safe_fs import read_at
from ansible_collections.bulwark.servers.plugins.module_utils._state import DamagedError, NewerError
from ansible_collections.bulwark.servers.plugins.module_utils.file_integrity.baseline import lines, status_digests

FORMAT = 1
_MAGIC = b"bulwark file integrity "
_FIRST_LINE = 32
_LAST_LINE = re.compile(rb"end (\d{20}) (\d{20}) (\d{20}) ([0-9a-f]{64})\n")
_LAST_LINE_LENGTH = 4 + 3 * 21 + 65
# An index for ten million directories; a file that claims more is none of ours.
_INDEX_LIMIT = 2 << 30
_HEADER_LIMIT = 1 << 30
_PIECE = 1 << 20


class IndexEntry(t.NamedTuple):
    """The location of a directory's block. pending: why the directory was not recorded, otherwise None.

    status_digest, stamp: see ``status_digests``; None if each entry has to be compared, or the directory listed.
    """

    offset: int
    length: int
    entries: int
    content: int
    digest: bytes
    pending: str | None = None
    status_digest: bytes | None = None
    stamp: bytes | None = None


class Writer:
    """Writes a baseline front to back. stream: an empty file. covers: which change times vouch for entries, if any."""

    def __init__(self, stream: t.BinaryIO, covers: status_digests.Covers | None = None) -> None:
        self._stream = stream
        self._covers = covers
        self._first = _first_line(FORMAT)
        stream.write(self._first)
        self._offset = len(self._first)
        self._index: list[bytes] = []
        self._blocks = hashlib.sha256()
        self.entries = 0

    def keep(self, directory: bytes, block: bytes, indexed: IndexEntry) -> None:
        """Append a directory as it is in another baseline."""
        self.add(directory, block, indexed.entries, indexed.content, indexed.stamp, indexed.status_digest)

    def add(
        self,
        directory: bytes,
        block: bytes,
        entries: int,
        content: int,
        stamp: bytes | None = None,
        status_digest: bytes | None = None,
    ) -> None:
        """Append a directory. content: bytes in its files, by which checks are scheduled. status_digest: if known."""
        self._stream.write(block)
        self._blocks.update(block)
        covers = self._covers
        if covers is None:
            stamp = status_digest = None
        else:
            status_digest = status_digest or status_digests.digest_of_block(block, covers)
            stamp = stamp if stamp is not None and covers(status_digests.change_time_of(stamp)) else None
        digest = hashlib.sha256(block).hexdigest()
        indexed = b"%d %d %d %d %s" % (self._offset, len(block), entries, content, digest.encode())
        self._index.append(
            b" ".join((lines.escape(directory), indexed, status_digest or lines.NONE, stamp or lines.NONE))
        )
        self._offset += len(block)
        self.entries += entries

    def add_pending(self, directory: bytes, reason: str) -> None:
        """Note a directory that is watched but could not be recorded."""
        self._index.append(lines.escape(directory) + b" - " + lines.escape(reason.encode("utf-8", "replace")))

    def finish(self, header: t.Mapping[str, t.Any]) -> str:
        """Write index and header; return the seal."""
        self._index.sort()
        index = b"\n".join(self._index)
        known = {**header, "entries": self.entries, "blocks": self._blocks.hexdigest()}
        text = json.dumps(known, sort_keys=True, separators=(",", ":")).encode("ascii")
        seal = _seal(self._first, text, index)
        self._stream.write(index)
        self._stream.write(text)
        self._stream.write(b"end %020d %020d %020d %s\n" % (self._offset, len(index), len(text), seal.encode()))
        return seal


class Reader:
    """An open baseline whose index and header are consistent. Raises DamagedError or NewerError when they aren't.

    seal: what they hash to; whether that is the seal that was agreed on is for the caller to compare, before it
    believes anything else. The descriptor belongs to the reader and is shared with forked workers (pread(2) only).
    """

    def __init__(self, descriptor: int, path: str) -> None:
        self._descriptor = descriptor
        self._path = path
        first, header, index, stored = self._read_parts()
        self.seal = _seal(first, header, index)
        self._version = first
        self._header = header
        self._index = index
        if stored != self.seal:
            raise DamagedError("the baseline %s is damaged: its digest is not that of its content" % path)

    def load(self) -> Reader:
        """Take in what the seal covers, once that is trusted; return self."""
        if self._version != _first_line(FORMAT):
            version = self._version[len(_MAGIC) :].split(b" ", 1)[0]
            raise NewerError(
                "the baseline %s has format %s, this version of the collection reads %d; update the collection"
                % (self._path, version.decode("ascii", "replace"), FORMAT)
            )
        try:
            self.header: dict[str, t.Any] = json.loads(self._header)
        except ValueError as error:
            raise DamagedError("the baseline %s is damaged: its header is not JSON" % self._path) from error
        self.directories: dict[bytes, bytes] = {}
        for line in self._index.split(b"\n") if self._index else ():
            name, _separator, indexed = line.partition(b" ")
            self.directories[lines.unescape(name)] = indexed
        self._header = self._index = b""
        return self

    def close(self) -> None:
        os.close(self._descriptor)

    def index_entry(self, directory: bytes) -> IndexEntry | None:
        """Return the location of a directory's block, None for a directory that the baseline doesn't know."""
        text = self.directories.get(directory)
        return None if text is None else self._parsed(text)

    def stamp(self, directory: bytes) -> bytes | None:
        """Return a directory's stamp; None, or what no stamp is like, where it has none."""
        text = self.directories.get(directory)
        return None if text is None else text[text.rindex(b" ") + 1 :]

    def index_entries(self) -> t.Iterator[tuple[bytes, IndexEntry]]:
        """Yield every directory that the baseline knows, and the location of its block."""
        for directory, text in self.directories.items():
            yield directory, self._parsed(text)

    def sizes(self) -> t.Iterator[tuple[bytes, int, int]]:
        """Yield every directory that the baseline knows, with the numbers of its entries and of bytes in its files."""
        for directory, text in self.directories.items():
            fields = text.split(b" ", 4)
            yield (directory, 0, 0) if fields[0] == b"-" else (directory, int(fields[2]), int(fields[3]))

    @staticmethod
    def _parsed(text: bytes) -> IndexEntry:
        fields = text.split(b" ")
        if fields[0] == b"-":
            return IndexEntry(0, 0, 0, 0, b"", lines.unescape(fields[1]).decode("utf-8", "replace"))
        offset, length, entries, content = map(int, fields[:4])
        # A baseline of before there were any has neither status digest nor stamp.
        status_digest, stamp = (None if field == lines.NONE else field for field in (fields[5:] or (lines.NONE,) * 2))
        return IndexEntry(offset, length, entries, content, fields[4], None, status_digest, stamp)

    def block(self, indexed: IndexEntry) -> bytes:
        """Return a block's content; DamagedError when it is not what the seal covers."""
        data = read_at(self._descriptor, indexed.offset, indexed.length)
        if hashlib.sha256(data).hexdigest().encode() != indexed.digest:
            raise DamagedError("a part of the baseline %s does not match its seal" % self._path)
        return data

    def has_all_blocks(self) -> bool:
        """Say whether all blocks together are what the seal covers; True for a baseline that has no digest of them.

        In one go, that takes a small part of the time of asking for each of them.
        """
        expected = self.header.get("blocks")
        if expected is None:
            return True
        digest = hashlib.sha256()
        for offset in range(len(self._version), self._end, _PIECE):
            digest.update(read_at(self._descriptor, offset, min(_PIECE, self._end - offset)))
        return bool(digest.hexdigest() == expected)

    def damaged_blocks(self) -> t.Iterator[bytes]:
        """Yield the directories whose blocks are not what the seal covers."""
        for directory, indexed in self.index_entries():
            if indexed.pending is None and not self._is_whole(indexed):
                yield directory

    def _is_whole(self, indexed: IndexEntry) -> bool:
        try:
            self.block(indexed)
        except DamagedError:
            return False
        return True

    def _read_parts(self) -> tuple[bytes, bytes, bytes, str]:
        size = os.fstat(self._descriptor).st_size
        first = read_at(self._descriptor, 0, _FIRST_LINE)
        if not first.startswith(_MAGIC) or not first.endswith(b"\n"):
            raise DamagedError("%s is not a baseline of this collection" % self._path)
        last = _LAST_LINE.fullmatch(read_at(self._descriptor, max(0, size - _LAST_LINE_LENGTH), _LAST_LINE_LENGTH))
        if last is None:
            raise DamagedError("the baseline %s is damaged: its end is missing" % self._path)
        offset, index_length, header_length = (int(last.group(number)) for number in (1, 2, 3))
        self._end = offset
        fits = offset + index_length + header_length + _LAST_LINE_LENGTH == size
        if not fits or index_length > _INDEX_LIMIT or header_length > _HEADER_LIMIT:
            raise DamagedError("the baseline %s is damaged: its parts do not add up" % self._path)
        try:
            index = read_at(self._descriptor, offset, index_length)
            header = read_at(self._descriptor, offset + index_length, header_length)
        except MemoryError as error:
            raise DamagedError(
                "the baseline %s is larger than the memory, so this collection did not write it" % self._path
            ) from error
        return first, header, index, last.group(4).decode("ascii")


def _first_line(version: int) -> bytes:
    return (_MAGIC + b"%d" % version).ljust(_FIRST_LINE - 1) + b"\n"


def _seal(first: bytes, header: bytes, index: bytes) -> str:
    digest = hashlib.sha256(first)
    for part in (header, index):
        digest.update(b"%d:" % len(part))
        digest.update(part)
    return digest.hexdigest()
