# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read the dynamic linker's cache, ld.so.cache, which maps names to libraries.

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


def leads_to_libraries(cache: bytes, is_library: t.Callable[[bytes], bool]) -> bool:
    """Say whether each name leads to a file of this name that is a watched library."""
    try:
        magic, count, _strings = _COUNT.unpack_from(cache)
        if magic != _MAGIC or not count or _HEADER_SIZE + count * _ENTRY.size > len(cache):
            return False
        entries = _ENTRY.iter_unpack(cache[_HEADER_SIZE : _HEADER_SIZE + count * _ENTRY.size])
        pairs = ((_text(cache, key), _text(cache, value)) for _flags, key, value, _os, _hwcap in entries)
        return all(_names(path, name) and is_library(path) for name, path in pairs)
    except (struct.error, ValueError):
        return False


def _names(path: bytes, name: bytes) -> bool:
    return posixpath.normpath(path) == path and posixpath.basename(path) == name


def _text(cache: bytes, offset: int) -> bytes:
    return cache[offset : cache.index(b"\0", offset)]
