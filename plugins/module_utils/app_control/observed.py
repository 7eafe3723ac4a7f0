# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The records of a look: programs that the host remembers, and executions that are new since the last recorded look."""

from __future__ import annotations

import dataclasses
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils._program import Program

if t.TYPE_CHECKING:
    from ansible_collections.bulwark.servers.plugins.module_utils.audit_records.processes import Process

# The image of a container that was gone before anybody could ask for its image. No allowlist should name it.
UNKNOWN_IMAGE = "?"
# Stands before the path of a file that ran in another root directory or mount namespace, if no path of the host leads
# to it. There is no such file, and nobody can make one there.
OTHER_ROOT = "/proc/other-root"
# The last part of the path of a record that stands for files of a directory that ran seldom and are gone. A real file
# of that name is shown with an escape.
FOLDED = "*"


class Execution(t.NamedTuple):
    """One execution, or a running process in place of one. All texts are printable.

    time: seconds since the epoch. user: the login account, or that of the process; parent: the program that started it;
    ancestors: those above it, the nearest first. cwd, terminal, session: "" where they are unknown. explanation: the
    sentence of what explains it, "" for nothing. path, script: what was executed, and for a script its path, else "".
    pid: "" where it is unknown. process: the entry of the process table with the chain of its parents, as the audit log
    has them; for explanations during the look, never saved.
    """

    time: float
    user: str
    parent: str
    ancestors: tuple[str, ...]
    cwd: str
    terminal: str
    session: str
    explanation: str = ""
    path: str = ""
    script: str = ""
    pid: str = ""
    process: Process | None = None


class Denials(t.NamedTuple):
    """Decisions of fapolicyd against a file.

    blocked: how many the kernel carried out. rehearsed: how many it would have, if the daemon were not permissive.
    explained: of both, by known automation. rule: the number of the newest one's rule, 0 where it is unknown.
    """

    blocked: int = 0
    rehearsed: int = 0
    explained: int = 0
    rule: int = 0

    @property
    def total(self) -> int:
        return self.blocked + self.rehearsed

    def joined(self, other: Denials) -> Denials:
        """Return both together; ``other`` is the newer one."""
        return Denials(
            self.blocked + other.blocked,
            self.rehearsed + other.rehearsed,
            self.explained + other.explained,
            other.rule or self.rule,
        )


@dataclasses.dataclass
class Record:
    """One program as the host remembers it.

    days: in days since the epoch, without doubles. The fields that begin with ``new_`` count since the last recorded
    look; new_days are those that ``days`` did not have. explanations: of new executions, how many each sentence
    explains. newest, newest_unexplained: executions of this look, None for none. is_running: whether a process runs it
    now. reported: the alert that a look made of it, "" for none; set it, and the record is never forgotten.
    before: the program as the look before had it, None for one that is new. is_altered: whether any fact is new or
    other than then. is_postponed: set it, and the next look goes on counting ``new_``. denials, newest_denied: of this
    look, by fapolicyd.

    Looks keep two more programs, remembered like ``reported``. reported_program: the program as it was when it was
    reported. genuine: as it was before its content changed while the version of its package did not.
    """

    program: Program
    first: float
    last: float
    days: list[int]
    executions: int = 0
    explained: int = 0
    users: list[str] = dataclasses.field(default_factory=list)
    parents: list[str] = dataclasses.field(default_factory=list)
    new_executions: int = 0
    new_explained: int = 0
    new_days: list[int] = dataclasses.field(default_factory=list)
    explanations: dict[str, int] = dataclasses.field(default_factory=dict)
    newest: Execution | None = None
    newest_unexplained: Execution | None = None
    reported: str = ""
    is_running: bool = False
    is_altered: bool = False
    denials: Denials = dataclasses.field(default_factory=Denials)
    newest_denied: Execution | None = None
    is_postponed: bool = False
    before: Program | None = None
    reported_program: Program | None = None
    genuine: Program | None = None

    @property
    def has_run(self) -> bool:
        """Say whether it ever ran, as far as this host remembers; else it was refused each time."""
        return bool(self.executions or self.days)
