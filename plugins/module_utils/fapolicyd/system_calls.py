# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""System calls on mounts that Python has no function for; each raises OSError that names the path."""

from __future__ import annotations

import ctypes
import os

BIND, NO_SUID, NO_DEVICES, PRIVATE, RECURSIVE = 1 << 12, 2, 4, 1 << 18, 1 << 14
_NEW_NAMESPACE, _DETACH = 0x00020000, 2


def mount(source: str, target: str, kind: str | None, flags: int) -> None:
    """Mount something (mount(2)). kind: the type of the file system, None where the flags need none."""
    named = None if kind is None else kind.encode()
    code = _library().mount(os.fsencode(source), os.fsencode(target), named, ctypes.c_ulong(flags), None)
    _check(code, target)


def detach(path: bytes) -> None:
    """Unmount what lies on top at a path, at once for whoever comes later (umount2(2))."""
    _check(_library().umount2(path, _DETACH), os.fsdecode(path))


def leave_mounts() -> None:
    """Give this process a mount namespace of its own, whose mounts nobody else sees (unshare(2))."""
    _check(_library().unshare(_NEW_NAMESPACE), "/")
    mount("none", "/", None, PRIVATE | RECURSIVE)


def _library() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


def _check(code: int, path: str) -> None:
    if code:
        number = ctypes.get_errno()
        raise OSError(number, "%s: %s" % (path, os.strerror(number)))
