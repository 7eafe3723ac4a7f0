# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a look observed of the programs of this host: remembered ones, and what is new since the last recorded look."""

from __future__ import annotations

import dataclasses
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils._program import Program


class Execution(t.NamedTuple):
    """One execution, or a running process in place of one. All texts are printable.

    time: seconds since the epoch. user: the login account, or that of the process; parent: the program that started it;
    ancestors: those above it, the nearest first. cwd, terminal, session: "" where they are unknown. explanation: the
    sentence of what explains it, "" for nothing.
    """

    time: float
    user: str
    parent: str
    ancestors: tuple[str, ...]
    cwd: str
    terminal: str
    session: str
    explanation: str = ""


@dataclasses.dataclass
class Record:
    """One program as the host remembers it.

    days: in days since the epoch, without doubles. The fields that begin with ``new_`` count since the last recorded
    look. explanations: of new executions, how many each sentence explains. newest, newest_unexplained: executions of
    this look, None for none. reported: the alert that a look made of it, "" for none. former: the program before its
    content changed in this look, None where it did not.

    before: the program as the look before had it, None for one that is new.

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
    former: Program | None = None
    before: Program | None = None
    reported_program: Program | None = None
    genuine: Program | None = None
