# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ask statx(2) what lstat(2) does not say: when a file was made, which no program can set, and its flags."""

from __future__ import annotations

import ctypes
import struct
import typing as t

_AT_EMPTY_PATH, _AT_STATX_DONT_SYNC = 0x1000, 0x4000
_STATX_BTIME = 0x800
# struct statx of linux/stat.h; the attributes have the numbers of the inode flags of ioctl_iflags(2).
_SIZE = 256
_MASK, _ATTRIBUTES, _ATTRIBUTES_KNOWN, _BTIME = (struct.Struct(form) for form in ("=I", "=Q", "=Q", "=qI"))
_ATTRIBUTES_AT, _ATTRIBUTES_KNOWN_AT, _BTIME_AT = 8, 56, 80
_FLAGS = ((0x10, "immutable"), (0x20, "append_only"))


class Extra(t.NamedTuple):
    """born: nanoseconds since the epoch, None if the file system keeps no birth. flags: ``immutable``, ``append_only``.

    flags is None if the file system has none of them.
    """

    born: int | None = None
    flags: tuple[str, ...] | None = None


class Statx:
    """Asks the kernel; a C library without statx says nothing."""

    def __init__(self) -> None:
        self._statx: t.Any = getattr(ctypes.CDLL(None), "statx", None)
        self._buffer = ctypes.create_string_buffer(_SIZE)

    def ask(self, descriptor: int) -> Extra:
        """Return the status of an open or pinned file."""
        if self._statx is None:
            return Extra()
        flags = ctypes.c_int(_AT_EMPTY_PATH | _AT_STATX_DONT_SYNC)
        if self._statx(ctypes.c_int(descriptor), b"", flags, ctypes.c_uint(_STATX_BTIME), self._buffer) != 0:
            return Extra()
        born = None
        if self._field(_MASK, 0) & _STATX_BTIME:
            seconds, nanoseconds = _BTIME.unpack_from(self._buffer, _BTIME_AT)
            born = int(seconds) * 1_000_000_000 + int(nanoseconds)
        attributes, known = (
            self._field(_ATTRIBUTES, _ATTRIBUTES_AT),
            self._field(_ATTRIBUTES_KNOWN, _ATTRIBUTES_KNOWN_AT),
        )
        names = tuple(name for bit, name in _FLAGS if attributes & bit)
        return Extra(born, names if any(known & bit for bit, _name in _FLAGS) else None)

    def _field(self, form: struct.Struct, offset: int) -> int:
        return int(form.unpack_from(self._buffer, offset)[0])
