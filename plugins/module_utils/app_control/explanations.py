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
from ansible_collections.bulwark.servers.plugins.module_utils.app_control.tally import Occurrence, Target
from ansible_collections.bulwark.servers.plugins.module_utils.audit_records import activity, decode
from ansible_collections.bulwark.servers.plugins.module_utils.audit_records.events import Event, event_of
from ansible_collections.bulwark.servers.plugins.module_utils.audit_records.processes import Process
from ansible_collections.bulwark.servers.plugins.module_utils.automation.explainer import Act, Explainers
from ansible_collections.bulwark.servers.plugins.module_utils.automation.explainer import (
    Explainer as AutomationExplainer,
)
from ansible_collections.bulwark.servers.plugins.module_utils.sigma.model import EXPLANATIONS, SIMULATION

_KINDS = (*EXPLANATIONS, SIMULATION)
_MOST_KEPT = 10_000
# Seconds of the log for which an answer about a session counts.
_KEPT_FOR = 60.0
_INIT = b"1"
_MOST_ANCESTORS = 16
_CWD = re.compile(rb"cwd=(\"[^\"]*\"|[^\s\x1d]+)")


class Explainer(t.NamedTuple):
    """An explanation that a look brings itself. It must believe only what the kernel or a verified file says.

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
        self._explainers = tuple(explainers)
        self.has_automation = bool(automation)
        self.has_explainers = bool(explainers)
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

    def automated(
        self,
        time: float,
        ids: bytes,
        session: bytes,
        parent: Process | None,
        pid: bytes,
        source: Event | t.Match[bytes],
    ) -> str:
        """Return the sentence of the automation that executed something, "" for none."""
        if not 0 <= time - self._sessions_since < _KEPT_FOR or len(self._sessions) >= _MOST_KEPT:
            self._sessions.clear()
            self._sessions_since = time
        # What init or an unknown process starts may itself be the main process of a service.
        starter = pid if parent is None or parent.pid == _INIT else parent
        key = ids, session, starter
        sentence = self._sessions.get(key)
        if sentence is None:
            event = source if isinstance(source, Event) else event_of(source)
            explanation = self._automation.explain(_KINDS, _Act(event, parent))
            sentence = self._sessions[key] = explanation.sentence if explanation is not None else ""
        return sentence

    def above(self, process: Process) -> t.Sequence[Explainer]:
        """Return the explainers that are of interest below a process, which remembers them as its ``facts``."""
        pending: list[Process] = []
        above: Process | None = process
        while above is not None and above.facts is None and len(pending) < _MOST_ANCESTORS:
            pending.append(above)
            above = above.parent
        relevant: tuple[Explainer, ...] = () if above is None or above.facts is None else above.facts
        for each in reversed(pending):
            for explainer in self._explainers:
                if explainer not in relevant and (
                    explainer.ancestors.search(each.exe) or explainer.ancestors.search(each.original)
                ):
                    relevant = (*relevant, explainer)
            each.facts = relevant
        return relevant

    def below(self, explainers: t.Sequence[Explainer], target: Target, occurrence: Occurrence, lineage: Lineage) -> str:
        """Return the sentence of the first of these explainers that explains an execution, "" for none."""
        for explainer in explainers:
            key = explainer, target.identity, occurrence.script, occurrence.parent
            if key not in self._others:
                if len(self._others) >= _MOST_KEPT:
                    self._others.clear()
                self._others[key] = explainer.explain(execution(target, occurrence, lineage.get(occurrence.pid)))
            if self._others[key]:
                return self._others[key]
        return ""


def execution(target: Target, occurrence: Occurrence, process: Process | None) -> Execution:
    """Return an execution with everything decoded."""
    parents = [program_name(each) for each in _upwards(occurrence.parent)]
    session = decode.text(occurrence.session)
    return Execution(
        occurrence.time,
        account(occurrence.account),
        parents[0] if parents else "",
        tuple(parents[1:]),
        printable(_directory(occurrence.cwd)),
        printable(occurrence.terminal),
        "" if session == decode.UNSET_ID else printable(session),
        occurrence.explanation,
        shown(target.path),
        shown(occurrence.script),
        printable(occurrence.pid),
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
    match = _CWD.match(cwd)
    return decode.unquoted(match.group(1)) if match else cwd


def _upwards(process: Process | None) -> t.Iterator[Process]:
    for _level in range(_MOST_ANCESTORS):
        if process is None:
            return
        yield process
        process = process.parent
