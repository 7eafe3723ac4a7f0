# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which processes are looked at."""

from __future__ import annotations

import fnmatch
import os
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils._finding import printable
from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan.model import Process
from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan.proc import processes


class Choice(t.NamedTuple):
    """pids, names (with * and ?), users (numbers): those that are to be looked at.

    is_everything: whether all are. Names of accounts that aren't there choose nothing, and leave the rest empty.
    """

    pids: frozenset[int]
    names: tuple[str, ...]
    users: frozenset[int]
    excluded: frozenset[int]
    is_everything: bool

    @property
    def is_pids_only(self) -> bool:
        """Say whether nothing has to be known of any other process."""
        return bool(self.pids) and not self.names and not self.users

    def takes(self, process: Process) -> bool:
        """Say whether a process is one of them."""
        return process.pid not in self.excluded and self.wants(process)

    def wants(self, process: Process) -> bool:
        """Say whether a process is one of them, or would be if it were not excluded."""
        return has_memory(process) and (
            self.is_everything
            or process.pid in self.pids
            or process.users[0] in self.users
            or process.users[1] in self.users
            or any(_is_called(process, name) for name in self.names)
        )


def has_memory(process: Process) -> bool:
    """Say whether there is anything to look at.

    Kernel threads, and what has ended and only waits to be noticed by its parent, have no memory and no executable.
    """
    ended = process.state in processes.ENDED_STATES and process.threads <= 1
    return not process.is_kernel_thread and not ended


def _is_called(process: Process, pattern: str) -> bool:
    names = [process.name]
    if process.executable is not None:
        names.append(os.path.basename(process.executable))
    return any(fnmatch.fnmatchcase(printable(name), pattern) for name in names)
