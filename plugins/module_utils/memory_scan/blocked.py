# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which processes hold up whoever asks for their memory, found out for many of them at once.

What hangs one process hangs all that use the same file server. Each of these would cost a scan its patience; threads
can ask for all of them, and those that do not come back say which it are.
"""

from __future__ import annotations

import collections
import contextlib
import os
import threading
import time
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils import _procfs

_TOGETHER, _MOST_THREADS = 32, 1024
_SECONDS_EACH = 1.5
_PAUSE = 0.02
# The kernel reads both under the lock of the process's memory.
_FILES = (b"cmdline", b"environ")


class _Asking(threading.Thread):
    """Asks one process after the other. at: which one, 0 for none. since: when it began to."""

    def __init__(self, waiting: collections.deque[int], root: int) -> None:
        super().__init__(daemon=True)
        self._waiting = waiting
        self._root = root
        self.at = 0
        self.since = 0.0

    def run(self) -> None:
        while True:
            try:
                pid = self._waiting.popleft()
            except IndexError:
                return
            self.since = time.monotonic()
            self.at = pid
            with contextlib.suppress(OSError):
                directory = _procfs.open_process(self._root, pid)
                try:
                    for name in _FILES:
                        _procfs.once(name, directory)
                finally:
                    os.close(directory)


def find(pids: t.Iterable[int], root: int, seconds: float) -> set[int]:
    """Return which of these processes give no answer; root: an open /proc. It ends after so many seconds.

    The threads that ask them go on waiting, so this is for a process that is ended soon.
    """
    waiting = collections.deque(pids)
    asking: list[_Asking] = []
    end = time.monotonic() + seconds
    while True:
        now = time.monotonic()
        asking = [one for one in asking if one.is_alive()]
        hanging = [one for one in asking if now - one.since > _SECONDS_EACH]
        if now >= end or (len(hanging) == len(asking) and (not waiting or len(asking) >= _MOST_THREADS)):
            # Who comes back after all finds nothing more to do.
            waiting.clear()
            return {one.at for one in hanging} - {0}
        if len(hanging) == len(asking):
            asking.extend(_started(waiting, root))
        time.sleep(_PAUSE)


def _started(waiting: collections.deque[int], root: int) -> t.Iterator[_Asking]:
    for _number in range(_TOGETHER):
        one = _Asking(waiting, root)
        one.since = time.monotonic()
        try:
            one.start()
        except RuntimeError:  # as many as there may be
            return
        yield one
