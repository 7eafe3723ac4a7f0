# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Locks of package managers: while one unpacks packages and runs their scripts, no policy comes into force."""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils._argspec import HostError

# apt has the first from its beginning to its end, and dpkg the second.
PATHS = (
    "/var/lib/dpkg/lock-frontend",
    "/var/lib/dpkg/lock",
    "/usr/lib/sysimage/rpm/.rpm.lock",
    "/var/lib/rpm/.rpm.lock",
)
_POLL = 0.2


@contextlib.contextmanager
def held(seconds: float, paths: t.Iterable[str] = PATHS) -> t.Iterator[None]:
    """Hold the locks that the host has. Raises HostError where another process keeps one so long, and OSError."""
    end = time.monotonic() + seconds
    with contextlib.ExitStack() as stack:
        for path in paths:
            with contextlib.suppress(FileNotFoundError):
                descriptor = os.open(path, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
                stack.callback(os.close, descriptor)
                _lock(descriptor, path, end)
        yield


def _lock(descriptor: int, path: str, end: float) -> None:
    while True:
        try:
            fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            pass
        else:
            return
        if time.monotonic() >= end:
            raise HostError(
                "packages are being changed on this host (another process has %s): wait, or raise lock_timeout" % path
            )
        time.sleep(_POLL)
