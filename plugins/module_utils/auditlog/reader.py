# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reading: from the bytes of audit logs to detections."""

from __future__ import annotations

import functools
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils.auditlog import telling
from ansible_collections.bulwark.servers.plugins.module_utils.auditlog.calls import Calls
from ansible_collections.bulwark.servers.plugins.module_utils.auditlog.events import Event, Joiner, event_of
from ansible_collections.bulwark.servers.plugins.module_utils.auditlog.evidence import evidence_of
from ansible_collections.bulwark.servers.plugins.module_utils.auditlog.executions import Executions
from ansible_collections.bulwark.servers.plugins.module_utils.auditlog.judging import ExecutionViews
from ansible_collections.bulwark.servers.plugins.module_utils.auditlog.processes import Processes
from ansible_collections.bulwark.servers.plugins.module_utils.auditlog.running import Running
from ansible_collections.bulwark.servers.plugins.module_utils.auditlog.serials import Hole, Serials
from ansible_collections.bulwark.servers.plugins.module_utils.auditlog.shares import Share
from ansible_collections.bulwark.servers.plugins.module_utils.auditlog.tally import Tally
from ansible_collections.bulwark.servers.plugins.module_utils.auditlog.telling import Judged, Told
from ansible_collections.bulwark.servers.plugins.module_utils.auditlog.verdicts import (
    NOTHING,
    About,
    Looked,
    Verdicts,
    Views,
)
from ansible_collections.bulwark.servers.plugins.module_utils.auditlog.wholes import ARGUMENTS
from ansible_collections.bulwark.servers.plugins.module_utils.sigma.correlator import Correlator, Match
from ansible_collections.bulwark.servers.plugins.module_utils.sigma.engine import RuleSet
from ansible_collections.bulwark.servers.plugins.module_utils.sigma.wording import message_of, subject_of

SCOPE = "events"
_STATE_VERSION = 1
# An event that is larger than this is shown at once, not kept until it is.
_KEPT_BYTES = 16_384

State = t.Dict[str, t.Any]


class Reader:
    """Takes chunks of logs in their order. ``state`` is what the next run goes on from."""

    def __init__(
        self,
        compiled: t.Mapping[str, t.Any],
        state: t.Mapping[str, t.Any],
        since: float | None = None,
        running: t.Sequence[Running] = (),
    ) -> None:
        """compiled: the rules. since: nothing before this time is looked at. Raises ValueError for what is no rules.

        running: the processes of the host that the log is from, if that is this one.
        """
        self._rules = RuleSet(compiled)
        self._since = since
        self.problems: list[str] = []
        kept = state if state.get("version") == _STATE_VERSION else {}
        try:
            self._correlator = Correlator(compiled, kept.get("correlations"))
        except (ValueError, KeyError, TypeError) as error:
            self._correlator = Correlator(compiled)
            self.problems.append("what correlations knew was given up: %s" % error)
        self._joiner = Joiner(kept.get("pending", ()), Serials(kept.get("serials")))
        processes = Processes(kept.get("processes", ()))
        self._processes = processes
        self._running = running
        self._verdicts = Verdicts(self._rules, compiled, processes)
        self._calls = Calls(compiled, processes, self._verdicts)
        self._executions = Executions(self._rules, compiled, processes, self._verdicts)
        self._others_commands = 0
        self.tally = Tally(SCOPE)
        self.events = 0
        self.first_time: float | None = None
        self.last_time: float = kept.get("last_time", 0.0)

    @property
    def rules(self) -> int:
        return len(self._rules)

    @property
    def damaged(self) -> int:
        """How many lines were no audit records."""
        return self._joiner.damaged

    @property
    def lost(self) -> list[Hole]:
        """What was recorded, and is not in the log, which has to be one host's from beginning to end."""
        return self._joiner.serials.lost

    @property
    def commands(self) -> int:
        """How many different commands were looked at, as far as that was remembered."""
        return self._verdicts.commands + self._executions.commands + self._others_commands

    def read(self, chunk: bytes) -> None:
        """Look at the events in a chunk of whole lines."""
        self._take(self._look_at(self._joiner.found(chunk)))

    def judge(self, chunk: bytes, share: Share) -> tuple[list[Judged], dict[int, int]]:
        """Look at a share of the events of a chunk, and note the others.

        Return what is found, as ``take`` takes it, and how often rules were given up, as ``others`` takes it.
        """
        given_up = self._rules.given_up
        before = dict(given_up)
        given_up.clear()
        found = self._look_at(self._joiner.found(chunk), share)
        judged = [(self.events, event.time, looked) for event, looked in found]
        new = dict(given_up)
        given_up.clear()
        given_up.update(before)
        return judged, new

    def tell(self, judged: t.Sequence[Judged]) -> list[Told]:
        """Return what was judged, as ``told`` takes it in another process."""
        return telling.tell(judged, self._rules.rule, self._correlator.wants)

    def _note(self, one: Event | t.Match[bytes]) -> None:
        """Do with an event what has to be done for those after it: somebody else looks at it."""
        if self._since is None and self.first_time is not None and not isinstance(one, Event):
            if one.group(ARGUMENTS) is None:
                self._calls.note(one)
            else:
                self._executions.note(one)
            return
        event = one if isinstance(one, Event) else event_of(one)
        if self._wanted(event):
            self._verdicts.note(event)

    def take(self, judged: t.Iterable[Judged]) -> None:
        """Take in what ``judge`` returned, of all shares, in the order of the events."""
        for _number, time, looked in judged:
            self._found(time, looked)

    def told(self, told: t.Iterable[Told]) -> list[Judged]:
        """Return what another process judged and told."""
        return [(number, time, Looked(hits, self._again(about))) for number, time, hits, about in told]

    def _again(self, about: About | None) -> Views | None:
        if about is None:
            return None
        return ExecutionViews(about, self._verdicts) if about.kind == "execution" else self._verdicts.again(about)

    def others(self, given_up: t.Mapping[int, int], commands: int) -> None:
        """Add how often another process gave up, and the commands that it looked at."""
        self._others_commands += commands
        for number, count in given_up.items():
            self._rules.given_up[number] = self._rules.given_up.get(number, 0) + count

    def copy(self) -> tuple[t.Any, ...]:
        """Return what ``restore`` needs to go back to here, to look at what comes then again."""
        return self._joiner.copy(), self._processes.copy(), (self.events, self.first_time, self.last_time)

    def restore(self, copied: tuple[t.Any, ...]) -> None:
        joined, processes, (self.events, self.first_time, self.last_time) = copied
        self._joiner.restore(joined)
        self._processes.restore(processes)

    def finish(self, now: float) -> None:
        """Look at the events that are complete because time has passed. now: in seconds since the epoch."""
        self._take(self._look_at(self._joiner.rest(now)))
        self.problems += [*self._rules.problems, *self._correlator.problems()]

    def state(self) -> State:
        return {
            "version": _STATE_VERSION,
            "pending": self._joiner.state(),
            "serials": self._joiner.serials.state(),
            "processes": self._processes.state(),
            "correlations": _made(self._correlator.state(self.last_time)),
            "last_time": self.last_time,
        }

    def _take(self, looked: t.Iterable[tuple[Event, Looked]]) -> None:
        for event, one in looked:
            self._found(event.time, one)

    def _look_at(
        self, found: t.Iterable[Event | t.Match[bytes]], share: Share | None = None
    ) -> t.Iterator[tuple[Event, Looked]]:
        since, look_at_execution, look_at_call = self._since, self._executions.look, self._calls.look
        look = self._verdicts.look
        one: Event | t.Match[bytes] | None = None
        for one in found:
            self.events += 1
            if share is not None and one not in share:
                self._note(one)
            elif isinstance(one, Event) or since is not None or self.first_time is None:
                event = one if isinstance(one, Event) else event_of(one)
                if self._wanted(event):
                    for looked in look(event):
                        yield event, looked
            elif one.group(ARGUMENTS) is None:
                for looked in look_at_call(one):
                    yield event_of(one), looked
            else:
                looked_at = look_at_execution(one)
                if looked_at is None:
                    event = event_of(one)
                    for looked in look(event):
                        yield event, looked
                elif looked_at is not NOTHING:
                    yield event_of(one), looked_at
        self._at(one)

    def _wanted(self, event: Event) -> bool:
        if self._since is not None and event.time < self._since:
            return False
        if self.first_time is None:
            self.first_time = event.time
            # In a first look, a process that is younger than the log may have the id that another had before it. Later
            # looks go on from what the one before knew, and most of what only forked since is still there.
            resumed = bool(self.last_time)
            self._processes.run(one.process for one in self._running if resumed or one.started <= event.time)
        return True

    def _at(self, last: Event | t.Match[bytes] | None) -> None:
        if last is not None:
            self.last_time = max(self.last_time, (last if isinstance(last, Event) else event_of(last)).time)

    def _found(self, time: float, looked: Looked) -> None:
        evidence: t.Any = None
        large = looked.views is not None and len(looked.views.about.event.raw) > _KEPT_BYTES
        for hit in looked.hits:
            rule = self._rules.rule(hit.rule)
            evidence = functools.partial(_evidence, looked.views, hit.place)
            if large:
                evidence = evidence()
            if not rule.component:
                self.tally.add(
                    rule.alert,
                    hit.subject,
                    evidence,
                    time,
                    severity=rule.severity,
                    techniques=rule.techniques,
                    message=hit.message,
                )
            if looked.views is not None and self._correlator.wants(hit.rule):
                for match in self._correlator.feed(hit.rule, time, looked.views[hit.place], evidence):
                    self._correlated(match)

    def _correlated(self, match: Match) -> None:
        rule = self._rules.rule(match.rule)
        subject = subject_of(rule, match.view)
        evidences = match.evidences[-1:] if match.continued else match.evidences
        for place, evidence in enumerate(evidences):
            last = place == len(evidences) - 1
            self.tally.add(
                rule.alert,
                subject,
                evidence,
                match.first_time,
                match.last_time,
                count=match.events if last else 0,
                severity=rule.severity,
                techniques=rule.techniques,
                message=message_of(rule, match.view),
            )


def _evidence(views: Views | None, place: int) -> dict[str, t.Any]:
    if views is None:
        return {}
    view = views.shown(place)
    return evidence_of(view, view.parent)


def _made(value: t.Any) -> t.Any:
    """Return a correlator's state with the evidence that was not made yet."""
    if isinstance(value, dict):
        return {name: _made(one) for name, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [_made(one) for one in value]
    return value() if callable(value) else value
