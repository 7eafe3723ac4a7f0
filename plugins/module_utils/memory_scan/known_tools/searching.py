# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What signatures are looked for in, in pieces that fit into the processor's cache: files and memory."""

from __future__ import annotations

import contextlib
import os
import stat
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils import _page_cache
from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan.known_tools.signatures_search import (
    Chunk,
)
from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan.model import Mapping, Range
from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan.view import Host, View

PIECE = 1 << 18
# Shown by the kernel in each process, and no process's own.
_KERNELS = (b"[vdso", b"[vvar", b"[vsyscall", b"[uprobes", b"[sigpage")


class OutOfTimeError(Exception):
    """The time budget ended while something was read."""


class File(t.NamedTuple):
    """An open regular file. identity: what changes when it does."""

    descriptor: int
    size: int
    identity: tuple[int, ...]


def regular(descriptor: int) -> File | None:
    """Return what is known of an open file; None where it is none that can be read at a place."""
    found = os.fstat(descriptor)
    if not stat.S_ISREG(found.st_mode):
        return None
    identity = (found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns)
    return File(descriptor, found.st_size, identity)


def of_file(file: File, most: int, host: Host) -> t.Iterator[Chunk]:
    """Yield a file from its beginning, as far as it can be read. Raises OutOfTimeError."""
    place = 0
    with contextlib.suppress(OSError):
        for data in _page_cache.pieces(file.descriptor, min(file.size, most), PIECE):
            if host.seconds_left() <= 0:
                raise OutOfTimeError
            yield place, data
            place += len(data)


def own_memory(mappings: t.Iterable[Mapping]) -> list[Mapping]:
    """Return the memory that has no file, or none with a name: code first, then the heap, stacks, and the rest."""
    found = [
        one for one in mappings if (one.anonymous or one.deleted) and one.readable and not one.path.startswith(_KERNELS)
    ]
    return sorted(found, key=_order)


def of_memory(view: View, ranges: t.Sequence[Range], host: Host) -> t.Iterator[Chunk]:
    """Yield memory that is present. It ends where the read budget does, which the view says. Raises OutOfTimeError."""
    for start, end in ranges:
        place = start
        while place < end:
            if host.seconds_left() <= 0:
                raise OutOfTimeError
            data = view.read(place, min(PIECE, end - place))
            if not data:
                break
            yield place, data
            place += len(data)


def present(view: View, mappings: t.Iterable[Mapping], most: int) -> tuple[list[Range], bool]:
    """Return what of mappings is in memory, up to so many bytes, and whether that is all of it."""
    found: list[Range] = []
    left = most
    for mapping in mappings:
        for start, end in view.pages(mapping).present:
            if left <= 0:
                return found, False
            found.append(Range(start, min(end, start + left)))
            left -= end - start
    return found, left >= 0


def _order(mapping: Mapping) -> tuple[int, int]:
    if mapping.executable:
        return 0, mapping.start
    if mapping.path == b"[heap]":
        return 1, mapping.start
    return (2 if mapping.path.startswith(b"[stack") else 3), mapping.start
