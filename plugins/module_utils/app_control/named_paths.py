# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tell whether an account other than root chose where the name of a file leads.

A script that the arguments of an interpreter name has no inode in the log. Where a link of an intruder led to another
file when it ran, the link may lead to a packaged one now.
"""

from __future__ import annotations

import os
import stat

_MOST_LINKS = 40


def is_led_by_others(name: bytes, cwd: bytes) -> bool:
    """Say whether a link, or a directory before ``..``, on the way to a file belongs to another account than root.

    name: relative to cwd, which the kernel wrote, so that there are no links in it. A missing file counts as another's.
    """
    current = b"" if name.startswith(b"/") else cwd.rstrip(b"/")
    is_of_kernel = not name.startswith(b"/")
    left = name.split(b"/")
    links = 0
    while left:
        part = left.pop(0)
        if part in (b"", b"."):
            continue
        if part == b"..":
            if not is_of_kernel and not _is_of_root(current or b"/"):
                return True
            current = os.path.dirname(current).rstrip(b"/")
            continue
        is_of_kernel = False
        path = current + b"/" + part
        try:
            status = os.lstat(path)
            target = os.readlink(path) if stat.S_ISLNK(status.st_mode) else None
        except (OSError, ValueError):
            return True
        if target is None:
            current = path
            continue
        links += 1
        if status.st_uid or links > _MOST_LINKS or not _is_of_root(current or b"/"):
            return True
        left = target.split(b"/") + left
        if target.startswith(b"/"):
            current = b""
    return False


def _is_of_root(directory: bytes) -> bool:
    try:
        return not os.lstat(directory).st_uid
    except (OSError, ValueError):
        return False
