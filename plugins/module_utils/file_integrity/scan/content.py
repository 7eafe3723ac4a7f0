# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Digests of file contents: of any size, sparse or growing, within the time budget, past the page cache."""

from __future__ import annotations

import functools
import hashlib
import os
import time
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils import _page_cache, _run
from ansible_collections.bulwark.servers.plugins.module_utils.file_integrity.scan import nonzero

# Fits a second-level cache, so that hashing finds what reading has just written there.
_BUFFER = 256 << 10
_STAT_BLOCK = 512
# From this size on it is worth it to ask for holes in blocks that are kept for a file.
_LARGE = 4 << 20
# Of the time that is left one file may take this part, and at least so many seconds: the zeros of a sparse file that
# anyone can make in an instant take hours to hash, and everything else still has to be looked at.
_SHARE = 0.1
_SMALLEST_SHARE = 1.0
# Of the whole time budget all holes in one account's files may take this part, in each process, unless it is root's:
# they cost that account nothing, so that it could make as many as use up the time for everything else.
_ACCOUNT_SHARE = 0.1

_Updates = t.Sequence[t.Callable[[t.Any], None]]


class OutOfTimeError(Exception):
    """The time budget ended in the middle of something."""


class TooLongError(Exception):
    """A file took more than its share of the time budget; the message says so."""


@functools.lru_cache(maxsize=None)
def constructor(algorithm: str) -> t.Callable[[], t.Any]:
    """Return what makes a hash object; ValueError when this Python's OpenSSL has no such algorithm.

    ``usedforsecurity=False`` keeps MD5 available in FIPS mode: there it only tells apart what dpkg installed.
    """
    plain: t.Callable[[], t.Any] = getattr(hashlib, algorithm)
    make = functools.partial(plain, usedforsecurity=False)  # type: ignore[call-arg]
    try:
        make()
    except TypeError:  # Python 3.8 doesn't know the argument
        plain()
        return plain
    return make


class ContentReader:
    """Hashes open files. One for each process: it owns the buffer."""

    def __init__(self, deadline: _run.Deadline) -> None:
        self._deadline = deadline
        self._parent = os.getppid()
        self._buffer = memoryview(bytearray(_BUFFER))
        self._zeros = memoryview(bytes(_BUFFER))
        self._share: float | None = None
        self._share_end = 0.0
        # Seconds spent on holes, by the account that owns the file.
        self._spent: dict[int, float] = {}
        self.bytes_read = 0

    def digests(
        self, descriptor: int, status: os.stat_result, algorithms: t.Sequence[str], exactly: t.Iterable[str] = ()
    ) -> dict[str, str]:
        """Return the digests of the first ``status.st_size`` bytes, or of all when the file is shorter by now.

        Those of ``algorithms`` come first; of a file that is mostly holes they are those of ``nonzero``, and named so.
        exactly: algorithms or names of ``nonzero`` to compute besides, whatever the file is like: holes are hashed as
        the zeros they are, without reading them. Raises OSError, OutOfTimeError and TooLongError.
        """
        size = status.st_size
        suffix = nonzero.SUFFIX if algorithms and nonzero.is_mostly_holes(descriptor, size) else ""
        names = list(dict.fromkeys([*(algorithm + suffix for algorithm in algorithms), *exactly]))
        hashes = [_hash(name) for name in names]
        updates = [h.update for h in hashes]
        if size <= _BUFFER:
            self._small(descriptor, size, updates)
        else:
            self._large(descriptor, status, updates)
        return {name: h.hexdigest() for name, h in zip(names, hashes)}

    def _large(self, descriptor: int, status: os.stat_result, updates: _Updates) -> None:
        size = status.st_size
        remaining = self._deadline.remaining(0)
        self._share = None if remaining is None else max(_SMALLEST_SHARE, remaining * _SHARE)
        self._share_end = time.monotonic() + (self._share or 0)
        restorer = _page_cache.Restorer(descriptor, size)
        try:
            if _has_holes(descriptor, status):
                self._sparse(descriptor, status, updates, restorer)
                return
            self._dense(descriptor, 0, size, updates, restorer)
        finally:
            restorer.close()

    def _small(self, descriptor: int, size: int, updates: _Updates) -> None:
        if not size:
            return
        view = self._buffer[:size]
        count = _page_cache.read_small(descriptor, view)
        for update in updates:
            update(view[:count])
        self.bytes_read += count

    def _dense(self, descriptor: int, start: int, end: int, updates: _Updates, restorer: _page_cache.Restorer) -> int:
        """Hash from start to end; return where it really ended."""
        buffer = self._buffer
        while start < end:
            self._check()
            restorer.move_to(start)
            view = buffer if end - start >= _BUFFER else buffer[: end - start]
            count = os.preadv(descriptor, [view], start)
            if not count:
                break
            data = view if count == len(view) else view[:count]
            for update in updates:
                update(data)
            start += count
            self.bytes_read += count
        return start

    def _sparse(
        self, descriptor: int, status: os.stat_result, updates: _Updates, restorer: _page_cache.Restorer
    ) -> None:
        size = status.st_size
        position = 0
        while position < size:
            data = nonzero.seek(descriptor, position, os.SEEK_DATA, size)
            self._hole(data - position, status.st_uid, updates)
            end = nonzero.seek(descriptor, data, os.SEEK_HOLE, size) if data < size else size
            position = self._dense(descriptor, data, end, updates, restorer)
            if position < end:
                break

    def _hole(self, length: int, account: int, updates: _Updates) -> None:
        updates = [update for update in updates if not nonzero.skips(update, length)]
        if not updates:
            return
        spent = self._spent.get(account, 0.0)
        start = time.monotonic()
        end = self._holes_end(account, start - spent)
        try:
            while length > 0:
                self._check()
                if end is not None and time.monotonic() >= end:
                    raise TooLongError(
                        "the zeros of sparse files of user %d take longer than the part of the time budget that one "
                        "account may take" % account
                    )
                zeros = self._zeros if length >= _BUFFER else self._zeros[:length]
                for update in updates:
                    update(zeros)
                length -= len(zeros)
        finally:
            self._spent[account] = spent + time.monotonic() - start

    def _holes_end(self, account: int, start: float) -> float | None:
        """Return until when an account's holes may be hashed that have taken the time since ``start``."""
        if account == 0 or not self._deadline.seconds:
            return None
        return start + max(_SMALLEST_SHARE, self._deadline.seconds * _ACCOUNT_SHARE)

    def _check(self) -> None:
        if self._deadline.passed():
            raise OutOfTimeError
        if os.getppid() != self._parent:
            # Whoever started us was killed: nobody waits for the digest of a terabyte.
            raise OutOfTimeError
        if self._share is not None and time.monotonic() >= self._share_end:
            raise TooLongError(
                "reading it takes longer than the %.3g s that one file may take of the time budget" % self._share
            )


def _hash(name: str) -> t.Any:
    if name.endswith(nonzero.SUFFIX):
        return nonzero.NonZero(constructor(name[: -len(nonzero.SUFFIX)])())
    return constructor(name)()


def _has_holes(descriptor: int, status: os.stat_result) -> bool:
    """Say whether a file has holes, as far as that saves time: blocks that are kept for it can be some, too."""
    if status.st_blocks * _STAT_BLOCK < status.st_size:
        return True
    is_large = status.st_size >= _LARGE
    return is_large and nonzero.seek(descriptor, 0, os.SEEK_HOLE, status.st_size) < status.st_size
