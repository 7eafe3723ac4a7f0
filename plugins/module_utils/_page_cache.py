# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read files and leave the page cache as it was: what was not in it before is dropped again, what was in it stays.

A scan reads gigabytes once. Kept, they would push the data of the host's own services out of memory. mincore(2) on a
mapping that nobody touches says which pages are cached; posix_fadvise(2) with POSIX_FADV_DONTNEED drops pages. Since
Linux 5.2 mincore answers only who owns a file or may write to it, as root may; for others every page counts as cached,
and nothing is dropped. RWF_DONTCACHE does the same in the kernel, but only from Linux 6.14 on and on few file systems.
"""

from __future__ import annotations

import contextlib
import ctypes
import functools
import mmap
import os
import re
import typing as t

_PAGE = mmap.PAGESIZE
# Pages are dropped once so many bytes were read, and asked for that many bytes before they are read.
_WINDOW = 4 << 20
# Whether a page is cached is found out so many bytes before it is read. Who read the file before has left a mark at
# which the kernel reads ahead once more, as far as read_ahead_kb of the disk allows (page_cache_async_ra).
_LOOKED_UP = 64 << 20
# The kernel reads less of a larger range (force_page_cache_ra of mm/readahead.c).
_PREFETCHED = 128 << 10
_MOST_RESTORED = 1 << 30
_FAILED = ctypes.c_void_p(-1).value
_ABSENT = re.compile(rb"\0+")
# linux/fs.h; Python names it only where it was built with such a header.
_RWF_NOWAIT = 8

_Ranges = t.List[t.Tuple[int, int]]


class Restorer:
    """Restores the page cache of one file, of ``size`` bytes, while it is read from its beginning to its end.

    Call ``move_to`` before each read, and ``close`` at the end, also after an error.
    """

    def __init__(self, descriptor: int, size: int) -> None:
        self._descriptor = descriptor
        self._size = size
        self._absent: _Ranges = []
        self._known = 0
        self._asked = 0
        self._next = 0
        os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_RANDOM)

    def move_to(self, place: int) -> None:
        """Say where the next read begins: at or after the end of the last one. It may have 4 MB."""
        if place < self._next:
            return
        window = place - place % _WINDOW
        self._drop_before(window)
        self._next = window + _WINDOW
        end = min(window + _LOOKED_UP, self._size)
        for start in range(max(self._known, window), end, _WINDOW):
            self._absent.extend(_absent(self._descriptor, start, min(start + _WINDOW, end)))
        self._known = max(self._known, end)
        # How far the kernel would read ahead is not known, so the next window is asked for.
        asked, self._asked = max(self._asked, window), self._next + _WINDOW
        _prefetch(self._descriptor, [one for one in self._absent if asked <= one[0] < self._asked])

    def close(self) -> None:
        """Drop all that was not cached before."""
        self._drop_before(self._known)

    def _drop_before(self, place: int) -> None:
        for start, end in self._absent:
            if start < place:
                _drop(self._descriptor, start, end)
        self._absent = [one for one in self._absent if one[0] >= place]


def pread(descriptor: int, length: int, place: int) -> bytes:
    """Read as os.pread does, somewhere in a regular file."""
    # Without reading ahead: then only the pages of these bytes come into the cache.
    os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_RANDOM)
    end = min(place + length, os.fstat(descriptor).st_size)
    absent = _absent(descriptor, place - place % _PAGE, end) if 0 <= place < end else []
    try:
        return os.pread(descriptor, length, place)
    finally:
        for start, end in absent:
            _drop(descriptor, start, end)


def pieces(descriptor: int, size: int, length: int) -> t.Iterator[bytes]:
    """Yield a regular file from its beginning in pieces of at most ``length`` bytes, up to ``size`` bytes of it."""
    restorer = Restorer(descriptor, size)
    place = 0
    try:
        while place < size:
            restorer.move_to(place)
            data = os.pread(descriptor, min(length, size - place), place)
            if not data:
                return
            yield data
            place += len(data)
    finally:
        restorer.close()


@contextlib.contextmanager
def restored(descriptor: int, size: int) -> t.Iterator[None]:
    """Drop at the end what another program brought into the cache of a regular file's first GiB."""
    windows = range(0, min(size, _MOST_RESTORED), _WINDOW)
    absent = [one for start in windows for one in _absent(descriptor, start, min(start + _WINDOW, size))]
    try:
        yield
    finally:
        for start, end in absent:
            _drop(descriptor, start, end)


def read_small(descriptor: int, view: memoryview) -> int:
    """Fill a view of some kB with a whole regular file; return how many bytes that are.

    One system call for a file that is cached: RWF_NOWAIT (preadv2(2), Linux 4.14) reads nothing else. It may have the
    kernel read ahead, though, and where a disk is quicker than the call returns, a file counts as cached (1 of 1,000).
    What lies behind the first page that is not cached counts as not cached.
    """
    try:
        cached = os.preadv(descriptor, [view], 0, _RWF_NOWAIT)
    except BlockingIOError:
        cached = 0
    except (OSError, NotImplementedError):
        # Neither all file systems nor all C libraries can.
        data = b"".join(pieces(descriptor, len(view), len(view)))
        view[: len(data)] = data
        return len(data)
    done = cached
    try:
        while done < len(view):
            count = os.preadv(descriptor, [view[done:]], done)
            if not count:
                break
            done += count
    finally:
        if cached < done:
            _drop(descriptor, cached, done)
    return done


def _absent(descriptor: int, start: int, end: int) -> _Ranges:
    """Return the ranges of a file that are not cached, of those from ``start``, where a page begins."""
    pages = (end - start + _PAGE - 1) // _PAGE
    length = pages * _PAGE
    libc = _libc()
    address = libc.mmap(None, length, mmap.PROT_READ, mmap.MAP_SHARED, descriptor, start)
    if address == _FAILED:
        return []
    try:
        found = ctypes.create_string_buffer(pages)
        if libc.mincore(address, length, found):
            return []
    finally:
        libc.munmap(address, length)
    return [(start + one.start() * _PAGE, start + one.end() * _PAGE) for one in _ABSENT.finditer(found.raw)]


def _prefetch(descriptor: int, ranges: _Ranges) -> None:
    for start, end in ranges:
        for place in range(start, end, _PREFETCHED):
            os.posix_fadvise(descriptor, place, min(_PREFETCHED, end - place), os.POSIX_FADV_WILLNEED)


def _drop(descriptor: int, start: int, end: int) -> None:
    """Drop the pages of a range, the last one whole; pages that are mapped or dirty stay (posix_fadvise(2))."""
    start += -start % _PAGE
    end += -end % _PAGE
    if start < end:
        os.posix_fadvise(descriptor, start, end - start, os.POSIX_FADV_DONTNEED)


@functools.lru_cache(maxsize=None)
def _libc() -> t.Any:
    """Return the C library; mmap64 of glibc takes offsets of 64 bits on every architecture, as mmap of musl does."""
    libc: t.Any = ctypes.CDLL(None)
    if hasattr(libc, "mmap64"):
        libc.mmap = libc.mmap64
    libc.mmap.restype = ctypes.c_void_p
    libc.mmap.argtypes = (
        ctypes.c_void_p,
        ctypes.c_size_t,
        ctypes.c_int,
        ctypes.c_int,
        ctypes.c_int,
        ctypes.c_int64,
    )
    libc.mincore.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_char_p)
    libc.munmap.argtypes = (ctypes.c_void_p, ctypes.c_size_t)
    return libc
