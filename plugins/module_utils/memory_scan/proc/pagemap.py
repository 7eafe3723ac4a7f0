# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What of a process's addresses is in memory, by the entries of proc_pid_pagemap(5) or by its ioctl."""

from __future__ import annotations

import re
import sys
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan.model import Pages, Range

# Bytes of an entry.
ENTRY = 8
# Runs of pages of one mapping: more is no memory that a program came to use in the ordinary way.
MOST_RUNS = 65_536

# What the highest byte of an entry says: bits 63, 62 and 61.
_PRESENT, _SWAPPED, _OF_FILE = 0x80, 0x40, 0x20
_HIGHEST = slice(7, None, ENTRY) if sys.byteorder == "little" else slice(0, None, ENTRY)
_PRIVATE_MARK, _FILE_MARK, _SWAP_MARK, _NO_MARK = b"psx."[0], b"psx."[1], b"psx."[2], b"psx."[3]


def _mark(highest: int) -> int:
    if highest & _PRESENT:
        return _FILE_MARK if highest & _OF_FILE else _PRIVATE_MARK
    return _SWAP_MARK if highest & _SWAPPED else _NO_MARK


# One letter for each page: runs of the same can then be found without looking at each page in Python.
_MARKS = bytes(_mark(highest) for highest in range(256))
_RUN = re.compile(rb"p+|s+")
_NOTHING = bytes((_NO_MARK,))

# Categories of PAGEMAP_SCAN (linux/fs.h).
PAGE_IS_FILE = 1 << 2
PAGE_IS_PRESENT = 1 << 3
PAGE_IS_SWAPPED = 1 << 4
PAGE_IS_PFNZERO = 1 << 5


class Region(t.NamedTuple):
    """Pages that follow each other and are alike. categories: PAGE_IS_FILE and so on."""

    start: int
    end: int
    categories: int


def regions(entries: bytes, start: int, page: int) -> t.Iterator[Region]:
    """Yield what is in memory by the entries of a pagemap file from ``start``; page: the size of one, in bytes.

    What is swapped out comes as one region for all of it, of the right size. An entry that is cut counts for nothing.
    """
    whole = entries[: len(entries) // ENTRY * ENTRY]
    first = whole[:ENTRY]
    if first[_HIGHEST].translate(_MARKS) == _NOTHING and whole == first * (len(whole) // ENTRY):
        # Most of what is reserved and was never used is told by one comparison.
        return
    marks = whole[_HIGHEST].translate(_MARKS)
    for found in _RUN.finditer(marks):
        of_file = PAGE_IS_FILE if marks[found.start()] == _FILE_MARK else 0
        yield Region(start + found.start() * page, start + found.end() * page, PAGE_IS_PRESENT | of_file)
    swapped = marks.count(_SWAP_MARK)
    if swapped:
        yield Region(start, start + swapped * page, PAGE_IS_SWAPPED)


class Gathered:
    """Puts regions together that come in the order of their addresses. page: size of a page in bytes.

    cut: whether there were more than ``MOST_RUNS``, and the rest was left out.
    """

    def __init__(self, page: int, most: int = MOST_RUNS) -> None:
        self._page = page
        self._most = most
        self._present: list[Range] = []
        self._private: list[Range] = []
        self._swapped = 0
        self.cut = False

    def add(self, region: Region) -> None:
        if region.categories & PAGE_IS_SWAPPED:
            self._swapped += (region.end - region.start) // self._page
        elif region.categories & PAGE_IS_PRESENT:
            self._join(self._present, region)
            if not region.categories & PAGE_IS_FILE:
                self._join(self._private, region)

    def _join(self, runs: list[Range], region: Region) -> None:
        if runs and runs[-1].end == region.start:
            runs[-1] = Range(runs[-1].start, region.end)
        elif len(runs) < self._most:
            runs.append(Range(region.start, region.end))
        else:
            self.cut = True

    def pages(self, private_only: bool = False) -> Pages:
        """Return what there is; private_only: without what belongs to a file."""
        present = list(self._private) if private_only else self._present
        return Pages(present, self._private, self._swapped)


def pages(entries: bytes, start: int, page: int) -> Pages:
    """Return what a pagemap file says from ``start``; page: the size of one, in bytes."""
    gathered = Gathered(page)
    for region in regions(entries, start, page):
        gathered.add(region)
    return gathered.pages()
