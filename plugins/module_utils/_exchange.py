# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Exchange of two names in a file system."""

from __future__ import annotations

import ctypes
import errno
import os

# renameat2(2)
_AT_FDCWD = -100
_RENAME_EXCHANGE = 2
# The kernel or the file system has no renameat2, or not this flag.
_NO_EXCHANGE = frozenset((errno.ENOSYS, errno.EINVAL, errno.EOPNOTSUPP))
_SPARE = ".bulwark-spare"


def exchange(first: str, second: str) -> None:
    """Exchange two names, at once if the host can do that. Raises OSError."""
    Exchanger().exchange(first, second)


class Exchanger:
    """Exchanges names at once if the host can do that, else by three renames. Once made, it opens nothing."""

    def __init__(self) -> None:
        # glibc has it since 2.28.
        self._renameat2 = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)

    def exchange(self, first: str, second: str) -> None:
        """Exchange two names. Raises OSError."""
        if self._renameat2 is not None:
            names = os.fsencode(first), os.fsencode(second)
            if not self._renameat2(_AT_FDCWD, names[0], _AT_FDCWD, names[1], _RENAME_EXCHANGE):
                return
            code = ctypes.get_errno()
            if code not in _NO_EXCHANGE:
                raise OSError(code, os.strerror(code), first)
        spare = first + _SPARE
        os.rename(first, spare)
        os.rename(second, first)
        os.rename(spare, second)
