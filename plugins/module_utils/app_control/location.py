# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tell whether a file that ran is the host's at that path, and find it, if it is another's.

A file on the device that the host has at the path is the host's, or was until somebody put another there: that is for
``files`` to say. Only what was there before is another file. A file on any other device is never the host's.
"""

from __future__ import annotations

import os
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils.app_control.executed import FileId
from ansible_collections.bulwark.servers.plugins.module_utils.app_control.observed import OTHER_ROOT
from ansible_collections.bulwark.servers.plugins.module_utils.app_control.roots import Roots

_OTHER_ROOT = OTHER_ROOT.encode("ascii")
# Seconds. Times of events are cut off to whole ones.
_GRAIN = 1.0


class Location(t.NamedTuple):
    """Where a file lies. path: on this host; below ``OTHER_ROOT`` for one that no path of the host leads to.

    root: what stands before the path that the process sees, b"" where it is the same. opened: a path in proc(5) that
    leads to a file of another root, b"" for none.
    """

    path: bytes
    root: bytes = b""
    opened: bytes = b""


def locate(roots: Roots, path: bytes, file: FileId | None, time: float | None) -> Location:
    """Return where a file of no container lies that ran as a path.

    time: when it ran, in seconds since the epoch; None if the path may lead over links, which may be others now.
    """
    if file is None or not path.startswith(b"/") or roots.is_foreign(path):
        return Location(path)
    status = _status(path)
    if status is not None and _is_it(roots, path, file, status):
        return Location(path)
    opened = b""
    for candidate in roots.others.candidates(path, file[:2]):
        if candidate.is_own and roots.is_foreign(candidate.path):
            continue
        other = _status(candidate.path)
        if other is None:
            continue
        if candidate.is_own and _is_it(roots, candidate.path, file, other):
            is_below = candidate.path.endswith(path)
            return Location(candidate.path, candidate.path[: -len(path)] if is_below else b"")
        if not candidate.is_own and file == (os.major(other.st_dev), os.minor(other.st_dev), other.st_ino):
            opened = candidate.path
            break
    if not opened and roots.has_device(path, file[:2]):
        is_of_host = status is None or time is None or _is_newer(path, time - _GRAIN)
        if is_of_host:
            return Location(path)
    return Location(_OTHER_ROOT + path, _OTHER_ROOT, opened)


def _is_it(roots: Roots, path: bytes, file: FileId, status: os.stat_result) -> bool:
    return status.st_ino == file[2] and roots.is_on(path, file[:2], status)


def _is_newer(path: bytes, time: float) -> bool:
    """Say whether a file, or a directory above it, may have come to its place since."""
    while path:
        status = _status(path)
        if status is None or status.st_ctime >= time:
            return True
        path = path.rpartition(b"/")[0]
    return False


def _status(path: bytes) -> os.stat_result | None:
    try:
        return os.lstat(path)
    except (OSError, ValueError):
        return None
