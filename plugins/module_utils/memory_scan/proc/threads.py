# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where the threads of a process are: proc_pid_syscall(5) of each. None of them is stopped for that."""

from __future__ import annotations

import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils import _proc_status, _procfs
from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan.model import Thread

_MOST_THREADS = 4096
_TRIES = 3


class Threads(t.NamedTuple):
    """waiting: those of which it is known. cut: whether there are more than are looked at."""

    waiting: tuple[Thread, ...]
    cut: bool


def read(directory: int) -> Threads:
    """Return where threads wait, with the directory of their process; OSError where that can't be read.

    A thread that runs whenever it is asked is nowhere in particular, and is left out. So is one that ends meanwhile.
    """
    numbers = sorted(map(int, _procfs.listed(b"task", directory)))
    waiting = []
    asked = numbers[:_MOST_THREADS]
    for _try in range(_TRIES):
        running = []
        for number in asked:
            try:
                call = _proc_status.parse_syscall(_procfs.once(b"task/%d/syscall" % number, directory))
            except (FileNotFoundError, ProcessLookupError):
                continue
            if call is None:
                running.append(number)
            else:
                waiting.append(Thread(number, *call))
        asked = running
    return Threads(tuple(waiting), len(numbers) > _MOST_THREADS)
