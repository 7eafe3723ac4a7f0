# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ask what explains an execution: known automation, and what the look itself knows of package managers.

An explanation never drops an execution. It is counted, so that a program that only automation ran is less urgent.
"""

from __future__ import annotations

import re
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils._finding import printable
from ansible_collections.bulwark.servers.plugins.module_utils.app_control.folding import shown
from ansible_collections.bulwark.servers.plugins.module_utils.app_control.lineage import Lineage
from ansible_collections.bulwark.servers.plugins.module_utils.app_control.observed import Execution
from ansible_collections.bulwark.servers.plugins.module_utils.app_control.tally import Moment, Target
from ansible_collections.bulwark.servers.plugins.module_utils.audit_records import activity, decode
from ansible_collections.bulwark.servers.plugins.module_utils.audit_records.events import Event, event_of
from ansible_collections.bulwark.servers.plugins.module_utils.audit_records.processes import Process
from ansible_collections.bulwark.servers.plugins.module_utils.automation.explainer import Act, Explainers
from ansible_collections.bulwark.servers.plugins.module_utils.automation.explainer import (
    Explainer as AutomationExplainer,
)
from ansible_collections.bulwark.servers.plugins.module_utils.sigma.model import EXPLANATIONS

_MOST_KEPT = 10_000
# Seconds of the log for which an answer about a session counts.
_KEPT_FOR = 60.0
_INIT = b"1"
_MOST_ANCESTORS = 16
_CWD = re.compile(rb"cwd=(\"[^\"]*\"|[^\s\x1d]+)")


class Explainer(t.NamedTuple):
    """What a look knows itself. It must believe only what the kernel or a verified file says.

    ancestors: is searched in the program and in the script of each process above an execution, as the log has them (in
    quotes, or hexadecimal); ``explain`` is asked only where it matches. explain: returns the sentence of what explains
    an execution, "" for nothing; asked once for all executions of a file by one process.
    """

    ancestors: t.Pattern[bytes]
    explain: t.Callable[[Execution], str]


class _Act(t.NamedTuple):
    event: Event
    parent: Process | None
    kind: str = "execution"


class Explanations:
    """All explainers of a look, and what they said. Answers are kept as long as nothing can have changed them."""

    def __init__(
        self, automation: t.Sequence[AutomationExplainer[Act]], explainers: t.Sequence[Explainer], state: t.Any
    ) -> None:
        """state: as ``state`` returned it."""
        self._automation = Explainers(automation, state)
        self._has_automation = bool(automation)
        self._explainers = tuple(explainers)
        self.are_asked = bool(automation) or bool(explainers)
        self._sessions: dict[t.Any, str] = {}
        self._sessions_since = 0.0
        self._others: dict[t.Any, str] = {}

    @property
    def problems(self) -> list[str]:
        return self._automation.problems

    def notes(self) -> list[str]:
        """Return sentences for the coverage: why nothing could be explained."""
        return self._automation.notes()

    def state(self) -> dict[str, t.Any]:
        return self._automation.state()

    def note(self, event: Event) -> None:
        """Take in an event that may be about a session."""
        if event.first in self._automation.records:
            self._automation.note(event)
            self._sessions.clear()

    def of(self, target: Target, moment: Moment, ids: bytes, found: Event | t.Match[bytes], lineage: Lineage) -> str:
        """Return the sentence that explains an execution, "" for none."""
        if self._has_automation:
            sentence = self._automated(moment, ids, found)
            if sentence:
                return sentence
        parent = moment.parent
        for number, explainer in enumerate(self._explainers):
            if parent is not None and self._is_below(parent, number, explainer.ancestors):
                key = number, target.identity, moment.script, parent
                if key not in self._others:
                    if len(self._others) >= _MOST_KEPT:
                        self._others.clear()
                    self._others[key] = explainer.explain(execution(target, moment, lineage.get(moment.pid)))
                if self._others[key]:
                    return self._others[key]
        return ""

    def _automated(self, moment: Moment, ids: bytes, found: Event | t.Match[bytes]) -> str:
        if not 0 <= moment.time - self._sessions_since < _KEPT_FOR or len(self._sessions) >= _MOST_KEPT:
            self._sessions.clear()
            self._sessions_since = moment.time
        parent = moment.parent
        # What init or an unknown process starts may itself be the main process of a service.
        starter = moment.pid if parent is None or parent.pid == _INIT else parent
        key = ids, moment.session, starter
        if key not in self._sessions:
            event = found if isinstance(found, Event) else event_of(found)
            explanation = self._automation.explain(EXPLANATIONS, _Act(event, parent))
            self._sessions[key] = explanation.sentence if explanation is not None else ""
        return self._sessions[key]

    def _is_below(self, process: Process, number: int, pattern: t.Pattern[bytes]) -> bool:
        """Return whether a process, or one above it, is of interest. Each process remembers it."""
        known: dict[int, bool] | None = process.facts
        if known is None:
            known = process.facts = {}
        if number not in known:
            known[number] = any(
                pattern.search(each.exe) is not None or pattern.search(each.original) is not None
                for each in _upwards(process)
            )
        return known[number]


def execution(target: Target, moment: Moment, process: Process | None) -> Execution:
    """Return an execution with everything decoded."""
    parents = [program_name(each) for each in _upwards(moment.parent)]
    session = decode.text(moment.session)
    return Execution(
        moment.time,
        account(moment.account),
        parents[0] if parents else "",
        tuple(parents[1:]),
        printable(_directory(moment.cwd)),
        printable(moment.terminal),
        "" if session == decode.UNSET_ID else printable(session),
        moment.explanation,
        shown(target.path),
        shown(moment.script),
        printable(moment.pid),
        process,
    )


def account(number: bytes) -> str:
    """Return the name of an account, or its number."""
    return printable(activity.user_name(number)) if number else ""


def program_name(process: Process) -> str:
    """Return what a process runs: the script, else the program."""
    return printable(decode.unquoted(process.original or process.exe))


def _directory(cwd: bytes) -> bytes:
    """Return a directory, which may still be the body of a record."""
    found = _CWD.match(cwd)
    return decode.unquoted(found.group(1)) if found else cwd


def _upwards(process: Process | None) -> t.Iterator[Process]:
    for _level in range(_MOST_ANCESTORS):
        if process is None:
            return
        yield process
        process = process.parent
