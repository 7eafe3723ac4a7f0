# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reading files past the page cache: the bytes are right, and only what was cached before stays."""

from __future__ import annotations

import os
import pathlib
import tempfile
import typing as t

import pytest
from ansible_collections.bulwark.servers.plugins.module_utils import _page_cache

_MIB = 1 << 20
_PAGE = os.sysconf("SC_PAGE_SIZE")
# Others on the machine may drop a page or two.
_FEW = 16 * _PAGE

Make = t.Callable[[int], int]


@pytest.fixture
def make() -> t.Iterator[Make]:
    """Return what makes a file on a disk of which nothing is cached, and opens it."""
    opened = []
    with tempfile.TemporaryDirectory(prefix="bulwark-cache-", dir="/var/tmp") as name:

        def made(size: int) -> int:
            path = pathlib.Path(name) / str(len(opened))
            with path.open("wb") as stream:
                stream.write(os.urandom(size))
                os.fsync(stream.fileno())
                os.posix_fadvise(stream.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
            opened.append(os.open(path, os.O_RDONLY))
            return opened[-1]

        yield made
        for descriptor in opened:
            os.close(descriptor)


def cached(descriptor: int) -> int:
    """Return how many bytes are cached, in whole pages."""
    size = os.fstat(descriptor).st_size
    whole = -(-size // _PAGE) * _PAGE
    return whole - sum(end - start for start, end in _page_cache._absent(descriptor, 0, size))


def load(descriptor: int, length: int, place: int) -> None:
    other = os.open(f"/proc/self/fd/{descriptor}", os.O_RDONLY)
    os.posix_fadvise(other, 0, 0, os.POSIX_FADV_RANDOM)
    os.pread(other, length, place)
    os.close(other)


def content(descriptor: int) -> bytes:
    return os.pread(descriptor, 1 << 30, 0)


@pytest.mark.parametrize("size", [1, _PAGE, 5 * _MIB + 7, 21 * _MIB])
def test_a_file_that_is_read_from_its_beginning_is_not_kept(size: int, make: Make) -> None:
    descriptor = make(size)
    read = b"".join(_page_cache.pieces(descriptor, size, 300_000))
    assert cached(descriptor) <= _FEW
    assert read == content(descriptor)


def test_what_was_cached_before_stays(make: Make) -> None:
    descriptor = make(30 * _MIB)
    load(descriptor, _MIB, 3 * _MIB + _MIB // 2)
    load(descriptor, _PAGE, 17 * _MIB)
    before = cached(descriptor)
    assert before == _MIB + _PAGE
    for _piece in _page_cache.pieces(descriptor, 30 * _MIB, _MIB):
        pass
    assert abs(cached(descriptor) - before) <= _FEW
    held = _page_cache._absent(descriptor, 3 * _MIB + _MIB // 2, 4 * _MIB)
    assert sum(end - start for start, end in held) <= _FEW


def test_what_others_have_the_kernel_read_ahead_is_not_kept(make: Make) -> None:
    """Who reads a file from its beginning leaves a mark in it; at that the kernel reads ahead for the next one, too."""
    descriptor = make(40 * _MIB)
    with open(f"/proc/self/fd/{descriptor}", "rb", buffering=0) as other:
        other.read(2 * _MIB)
    for _piece in _page_cache.pieces(descriptor, 40 * _MIB, _MIB):
        pass
    # What the other one had the kernel read ahead was there before, up to 8 MB on large disks.
    assert cached(descriptor) <= 20 * _MIB


def test_an_end_before_the_end_of_the_file_leaves_nothing_either(make: Make) -> None:
    descriptor = make(20 * _MIB)
    restorer = _page_cache.Restorer(descriptor, 20 * _MIB)
    restorer.move_to(0)
    os.pread(descriptor, 8 * _MIB, 0)
    restorer.close()
    assert cached(descriptor) <= _FEW


def test_a_read_at_a_place_is_not_kept(make: Make) -> None:
    descriptor = make(2 * _MIB)
    load(descriptor, _PAGE, 10 * _PAGE)
    read = _page_cache.pread(descriptor, 4 * _PAGE, 8 * _PAGE + 100)
    assert cached(descriptor) == _PAGE
    assert read == os.pread(descriptor, 4 * _PAGE, 8 * _PAGE + 100)


@pytest.mark.parametrize(("length", "place"), [(10, 1 << 40), (10, 95)])
def test_a_read_past_the_end_returns_what_is_there(length: int, place: int, make: Make) -> None:
    assert len(_page_cache.pread(make(100), length, place)) == (5 if place == 95 else 0)


@pytest.mark.parametrize("refused", [None, OSError, NotImplementedError])
def test_a_small_file_is_read_as_a_whole(
    refused: type[Exception] | None, make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = os.preadv

    def preadv(descriptor: int, views: t.Sequence[memoryview], place: int, flags: int = 0) -> int:
        if flags and refused is not None:
            raise refused
        return whole(descriptor, views, place, flags)

    monkeypatch.setattr(os, "preadv", preadv)
    descriptor = make(50_001)
    view = memoryview(bytearray(60_000))
    count = _page_cache.read_small(descriptor, view)
    left = cached(descriptor)
    assert (count, bytes(view[:count])) == (50_001, content(descriptor))
    # A disk that is quicker than the call makes a file count as cached; that is rare.
    assert left in (0, 13 * _PAGE)
    assert _page_cache.read_small(descriptor, view) == 50_001
    assert cached(descriptor) == 13 * _PAGE


def test_another_program_leaves_nothing_either(make: Make) -> None:
    descriptor = make(9 * _MIB)
    with _page_cache.restored(descriptor, 9 * _MIB):
        load(descriptor, 9 * _MIB, 0)
        assert cached(descriptor) == 9 * _MIB
    assert cached(descriptor) <= _FEW
