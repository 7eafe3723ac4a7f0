# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Know who started what, without making an entry of the process table for each execution.

Few of a hundred executed programs start another one. Only those get an entry, and the newest.
"""

from __future__ import annotations

import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils.audit_records.processes import Process, Processes

if t.TYPE_CHECKING:
    from ansible_collections.bulwark.servers.plugins.module_utils.audit_records.running_processes import Running

# After so many, those before them are forgotten.
_MOST = 8_000
# As many as are worth to be known in the next look.
_MOST_SETTLED = 2_000

# Parent, program, arguments, script and session, as the table takes them.
_Execution = t.Tuple[t.Optional[Process], bytes, bytes, bytes, bytes]


class Lineage:
    """The processes of a log, by their ids."""

    def __init__(self, processes: Processes) -> None:
        self._processes = processes
        self.known = processes.get
        # What ``Reader`` asks itself, as a call for each event would take longer than the answer. Two tables, as the
        # first entries of a large dictionary are found slowly once others before them were deleted.
        self.recent: dict[bytes, _Execution] = {}
        self.older: dict[bytes, _Execution] = {}
        # What listens may be executed anew, and is the parent of what it executes then.
        self.listening: frozenset[bytes] = frozenset()

    def run(self, running: t.Iterable[Running]) -> None:
        """Take in the processes that run now."""
        processes = [each.process for each in running]
        self._processes.run(processes)
        self.listening = frozenset(process.pid for process in processes if process.listens)

    def starter(self, pid: bytes, ppid: bytes) -> Process | None:
        """Return who started the program that a process executes now."""
        self._enter(ppid)
        return self._processes.starter(pid, ppid)

    def execute(
        self, pid: bytes, parent: Process | None, exe: bytes, arguments: bytes, original: bytes, session: bytes
    ) -> None:
        """Note that a process executed a program. parent: as ``starter`` says. Call ``forget`` now and then."""
        self.recent[pid] = (parent, exe, arguments, original, session)
        if pid in self.listening:
            self._enter(pid)

    def former(self, pid: bytes) -> _Execution | None:
        """Return what a process executed last, if it started nothing since."""
        return self.recent.get(pid) or self.older.get(pid)

    def forget(self) -> None:
        """Forget the oldest executions where there are too many."""
        if len(self.recent) > _MOST:
            self.older, self.recent = self.recent, {}

    def get(self, pid: bytes) -> Process | None:
        """Return the program that a process executed last."""
        self._enter(pid)
        return self._processes.get(pid)

    def settle(self) -> None:
        """Make entries of the newest executions, so that the next look knows them."""
        for pid in list({**self.older, **self.recent})[-_MOST_SETTLED:]:
            self._enter(pid)
        self.recent.clear()
        self.older.clear()

    def _enter(self, pid: bytes) -> None:
        """Make an entry of what a process executed last, if it has none yet."""
        older = self.older.pop(pid, None)
        execution = self.recent.pop(pid, None) or older
        if execution is not None:
            parent, exe, arguments, original, session = execution
            self._processes.executed(pid, parent, exe, arguments, original, session)
