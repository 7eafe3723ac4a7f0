# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A /proc in which nothing is covered.

Who may mount can put anything over /proc/PID, and the process is gone for everybody who looks there. The kernel gives
an instance of proc(5) that is mounted nowhere, in which nobody can have covered anything (fsopen(2), Linux 5.2). It is
gone when its descriptor is closed, and asked for only where something is covered.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import re

from ansible_collections.bulwark.servers.plugins.module_utils import _mountinfo

PROC = "/proc"

# These have the same numbers on every architecture, and the C library may have no functions for them.
_FSOPEN, _FSCONFIG, _FSMOUNT = 430, 431, 432
_CLOSE_ON_EXEC = 1
_CREATE = 6  # FSCONFIG_CMD_CREATE of linux/mount.h
_POINT = re.compile(rb"(\d{1,10})(?:/|\Z)", re.ASCII)


def root(point: str = PROC) -> str:
    """Return a path to a /proc in which nothing is covered, good until this program ends; ``point`` where it can't."""
    with contextlib.suppress(OSError):
        if covered(_mountinfo.own(), point):
            return "/proc/self/fd/%d" % _instance()
    return point


def covered(text: bytes, point: str = PROC) -> dict[int, str]:
    """Return the pids of which the directory in /proc, or something in it, lies below a mount, with the type of that.

    text: of proc_pid_mountinfo(5).
    """
    found: dict[int, str] = {}
    start = os.fsencode(point) + b"/"
    for path, kind in _mountinfo.file_systems(text).items():
        match = _POINT.match(path[len(start) :]) if path.startswith(start) else None
        if match:
            found[int(match.group(1))] = kind
    return found


def _instance() -> int:
    """Return a descriptor of a /proc of our own. OSError where the kernel has no such thing, or does not give it."""
    call = ctypes.CDLL(None, use_errno=True).syscall
    context = _answer(call(_FSOPEN, b"proc", _CLOSE_ON_EXEC))
    try:
        _answer(call(_FSCONFIG, context, _CREATE, None, None, 0))
        return _answer(call(_FSMOUNT, context, _CLOSE_ON_EXEC, 0))
    finally:
        os.close(context)


def _answer(number: int) -> int:
    if number < 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
    return number
