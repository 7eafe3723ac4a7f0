# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Events with the same undecoded parts: decoded once, and counted together."""

from __future__ import annotations

import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils.app_control import interpreters
from ansible_collections.bulwark.servers.plugins.module_utils.app_control.executed import Executed
from ansible_collections.bulwark.servers.plugins.module_utils.app_control.tally import Occurrence, Tally, Target
from ansible_collections.bulwark.servers.plugins.module_utils.audit_records.processes import Process


class Group:
    """Events with the same undecoded parts. exe, original: for the process table; the latter only of a script.

    is_quick: whether -c as the first argument says that the program gets code, and no script. count, first, newest,
    days and parents: of executions that nothing explains, since they were taken.
    """

    __slots__ = (
        "account",
        "count",
        "counts",
        "days",
        "exe",
        "first",
        "is_interpreter",
        "is_quick",
        "newest",
        "operands",
        "original",
        "parents",
        "script",
        "targets",
        "terminal",
    )

    def __init__(self, event: Executed | None, exe: bytes, original: bytes, targets: t.Sequence[Target]) -> None:
        self.exe = exe
        self.original = original
        self.targets = targets
        self.counts = Tally(targets[0] if targets else Target("", b""))
        self.account = event.account if event is not None else b""
        self.terminal = event.terminal if event is not None else b""
        self.script = next((target.path for target in targets if target.interpreter), b"")
        self.is_interpreter = event is not None and interpreters.is_interpreter(event.exe)
        self.is_quick = event is not None and interpreters.takes_code(event.exe)
        self.operands: dict[tuple[bytes, bytes], t.Sequence[Tally]] = {}
        self.count = 0
        self.first = 0.0
        self.newest: Newest | None = None
        self.days: set[int] = set()
        self.parents: dict[bytes, None] = {}

    def occurrence(self, newest: Newest) -> Occurrence:
        time, parent, cwd, session, pid, script = newest
        return Occurrence(time, self.account, parent, cwd, self.terminal, session, pid, self.script or script)

    def taken(self) -> Tally:
        """Return what was counted."""
        if self.newest is not None:
            newest = self.occurrence(self.newest)
            self.counts.add_unexplained(self.count, self.first, newest, self.days, self.parents)
            self.newest = None
        return self.counts


# Time, parent, working directory, session and process id of an execution, and the script that its arguments name.
Newest = t.Tuple[float, t.Optional[Process], bytes, bytes, bytes, bytes]

# Stands for groups that depend on the working directory.
RELATIVE = Group(None, b"", b"", ())
