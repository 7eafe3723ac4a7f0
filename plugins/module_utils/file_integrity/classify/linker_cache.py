# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read the dynamic linker's cache, ld.so.cache: which library a program gets for a name.

The format is that of glibc's sysdeps/generic/dl-cache.h.
"""

from __future__ import annotations

import posixpath
import struct
import typing as t

_MAGIC = b"glibc-ld.so.cache1.1"
_COUNT = struct.Struct("=20sII")
_HEADER_SIZE = 48
_ENTRY = struct.Struct("=iIIIQ")
# Libraries of the distribution. Whatever comes or changes there is a finding of its own, unless a watch leaves it out.
_WATCHED = (
    b"/lib/",
    b"/lib32/",
    b"/lib64/",
    b"/libx32/",
    b"/usr/lib/",
    b"/usr/lib32/",
    b"/usr/lib64/",
    b"/usr/libx32/",
)
# An administrator's libraries, watched likewise.
_LOCAL = (b"/usr/local/lib/", b"/usr/local/lib64/")


def leads_to_watched(cache: bytes, is_read: t.Callable[[bytes], bool]) -> bool:
    """Say whether each name leads to a file of this name in a directory of libraries, whose content is compared."""
    try:
        magic, count, _strings = _COUNT.unpack_from(cache)
        if magic != _MAGIC or not count or _HEADER_SIZE + count * _ENTRY.size > len(cache):
            return False
        entries = _ENTRY.iter_unpack(cache[_HEADER_SIZE : _HEADER_SIZE + count * _ENTRY.size])
        pairs = ((_text(cache, key), _text(cache, value)) for _flags, key, value, _os, _hwcap in entries)
        return all(_is_ordinary(name, path) and is_read(path) for name, path in pairs)
    except (struct.error, ValueError):
        return False


def _is_ordinary(name: bytes, path: bytes) -> bool:
    is_watched = posixpath.normpath(path) == path and path.startswith((*_WATCHED, *_LOCAL))
    return is_watched and posixpath.basename(path) == name


def _text(cache: bytes, offset: int) -> bytes:
    return cache[offset : cache.index(b"\0", offset)]
