# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The host as the checks see it."""

from __future__ import annotations

import os
import pwd
import time
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils._finding import printable
from ansible_collections.bulwark.servers.plugins.module_utils._net_sockets import Socket
from ansible_collections.bulwark.servers.plugins.module_utils._run import Deadline
from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan.content import Content
from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan.detect import Seen
from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan.model import Process
from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan.options import Options
from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan.proc import sockets
from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan.view import Host
from ansible_collections.bulwark.servers.plugins.module_utils.packages.files import Files

_MOST_PARENTS = 10


class LinuxHost(Host):
    """Reads sockets and packages when they are first asked for."""

    def __init__(
        self, processes: t.Mapping[int, Process], content: Content, deadline: Deadline, options: Options
    ) -> None:
        self._options = options
        self._processes = processes
        self._content = content
        self._deadline = deadline
        self._sockets: sockets.Table | None = None
        self._ticks = os.sysconf("SC_CLK_TCK")
        # Both clocks are read one after the other: a suspended host's time is in both.
        self._boot = time.time() - time.clock_gettime(time.CLOCK_BOOTTIME)
        self._remembered: dict[t.Hashable, t.Any] = {}
        self.files = Files()
        self.notes: list[str] = []

    @property
    def processes(self) -> t.Mapping[int, Process]:
        return self._processes

    @property
    def content(self) -> Content:
        return self._content

    @property
    def options(self) -> Options:
        return self._options

    @property
    def boot_time(self) -> float:
        return self._boot

    @property
    def machine(self) -> str:
        return os.uname().machine

    def started(self, process: Process) -> float:
        """Return when a process was started, in seconds since the epoch."""
        return self._boot + process.started / self._ticks

    def sockets_of(self, process: Process) -> t.Sequence[Socket]:
        return self.socket_table.of(process)

    @property
    def socket_table(self) -> sockets.Table:
        if self._sockets is None:
            self._sockets = sockets.read(self._processes)
        return self._sockets

    def parents(self, process: Process) -> list[Process]:
        """Return the processes that it comes from, the nearest first."""
        found: dict[int, Process] = {}
        above = self._processes.get(process.parent)
        # What is read while processes end and pids are used again may lead in a circle.
        while above is not None and above.pid not in found and len(found) < _MOST_PARENTS:
            found[above.pid] = above
            above = self._processes.get(above.parent)
        return list(found.values())

    def owner(self, path: bytes) -> str | None:
        return self.files.owner(path)

    def has_digests(self, path: bytes) -> bool:
        return self.files.has_digests(path)

    def as_packaged(self, path: bytes, descriptor: int) -> str | None:
        return self.files.as_packaged(path, descriptor)

    def is_packaged(self, one: Seen) -> bool:
        """Say whether a package owns the executable of a process, as far as its path tells."""
        path = one.process.executable
        return path is not None and not one.process.container and self.owner(path) is not None

    def user(self, number: int) -> str | None:
        """Return the name of an account."""
        return t.cast("str | None", self.remember(("host", "user", number), lambda: _account(number)))

    def seconds_left(self) -> float:
        left = self._deadline.remaining(0)
        return float("inf") if left is None else left

    def note(self, text: str) -> None:
        self.notes.append(text)

    def remember(self, key: t.Hashable, make: t.Callable[[], t.Any]) -> t.Any:
        if key not in self._remembered:
            self._remembered[key] = make()
        return self._remembered[key]


def _account(number: int) -> str | None:
    try:
        return printable(pwd.getpwuid(number).pw_name)
    except KeyError:
        return None
