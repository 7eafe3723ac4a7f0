# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reading: from the bytes of audit logs to detections."""

from __future__ import annotations

import functools
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils.audit.detection.evidence import evidence_of
from ansible_collections.bulwark.servers.plugins.module_utils.audit.detection.model import (
    Looked,
    Views,
    subject_on,
)
from ansible_collections.bulwark.servers.plugins.module_utils.audit.detection.tally import Tally
from ansible_collections.bulwark.servers.plugins.module_utils.audit.detection.verdicts import Verdicts
from ansible_collections.bulwark.servers.plugins.module_utils.audit.explain.matched_act import MatchedAct
from ansible_collections.bulwark.servers.plugins.module_utils.audit.fast.fast_verdicts import FastVerdicts
from ansible_collections.bulwark.servers.plugins.module_utils.audit_records import daemon_settings
from ansible_collections.bulwark.servers.plugins.module_utils.audit_records.events import (
    Event,
    event_of,
    mended,
    sorted_out,
)
from ansible_collections.bulwark.servers.plugins.module_utils.audit_records.hosts import Host, Hosts
from ansible_collections.bulwark.servers.plugins.module_utils.audit_records.line_forms import HOSTS, with_numbers
from ansible_collections.bulwark.servers.plugins.module_utils.audit_records.not_understood import Unread
from ansible_collections.bulwark.servers.plugins.module_utils.audit_records.processes import Processes
from ansible_collections.bulwark.servers.plugins.module_utils.automation.explainer import Explainer, Explainers
from ansible_collections.bulwark.servers.plugins.module_utils.sigma.correlator import Correlator, Match
from ansible_collections.bulwark.servers.plugins.module_utils.sigma.engine import RuleSet
from ansible_collections.bulwark.servers.plugins.module_utils.sigma.model import SIMULATION, Explanation, Rule
from ansible_collections.bulwark.servers.plugins.module_utils.sigma.wording import message_of, subject_of

if t.TYPE_CHECKING:
    from ansible_collections.bulwark.servers.plugins.module_utils.audit_records.running_processes import Running
    from ansible_collections.bulwark.servers.plugins.module_utils.automation.simulated import SimulatedSessions

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
        explainers: t.Sequence[Explainer[MatchedAct]] = (),
        names: t.Collection[str] | None = None,
        running: t.Sequence[Running] = (),
        simulated: SimulatedSessions | None = None,
    ) -> None:
        """compiled: the rules. since: nothing before this time is looked at. Raises ValueError for what is no rules.

        explainers: what is asked for each hit of a rule that can be explained, on the host that the log is of.
        names: how that host may be called in it; without, this host is that.
        running: the processes of that host, if it is this one. simulated: the sessions of simulated attacks on it.
        """
        self._compiled = compiled
        self._rules = RuleSet(compiled)
        self._since = since
        self.problems: list[str] = []
        kept = state if state.get("version") == _STATE_VERSION else {}
        self.unread = Unread()
        self.hosts = Hosts(kept, daemon_settings.own_names() if names is None else names, self.unread)
        nodes = {name: each.get("correlations") for name, each in kept.get("nodes", {}).items()}
        self._correlators = {
            name: self._correlator_from(each) for name, each in {"": kept.get("correlations"), **nodes}.items()
        }
        self._host = self.hosts.own
        processes = Processes()
        self._processes = processes
        processes.become(self._host.processes)
        self._verdicts = Verdicts(self._rules, compiled, processes, self.unread)
        self._verdicts.rerooted.update((pid.encode(), None) for pid in kept.get("rerooted", ()))
        self._running = running
        self._simulated = simulated
        self._fast = FastVerdicts(self._rules, compiled, processes, self._verdicts)
        self._explainers = Explainers(explainers, kept.get("explainers"))
        self.problems += self._explainers.problems
        self._noted = self._explainers.records
        # Which kinds of explanations matter, by the number of the rule.
        self._kinds = [self._kinds_of(number) for number in range(len(self._rules))] if explainers else []
        self.tally = Tally(SCOPE)
        self.events = 0
        self.first_time: float | None = None
        self.last_time: float = kept.get("last_time", 0.0)

    @property
    def rules(self) -> int:
        return len(self._rules)

    @property
    def rule_set(self) -> RuleSet:
        return self._rules

    @property
    def damaged(self) -> int:
        """How many lines were not understood."""
        return self.unread.lines

    @property
    def waits(self) -> bool:
        """Whether there are events that are not complete."""
        return any(host.joiner.waits for host in self.hosts)

    @property
    def commands(self) -> int:
        """How many different commands were looked at, as far as that was remembered."""
        return self._fast.commands

    @property
    def notes(self) -> list[str]:
        """Sentences on what could not be explained, and why."""
        return self._explainers.notes()

    def read(self, chunk: bytes) -> None:
        """Look at the events in a chunk of whole lines."""
        self._take(self._look_at_hosts(chunk))

    def finish(self, now: float) -> None:
        """Look at the events that are complete because time has passed. now: in seconds since the epoch."""
        for host in self.hosts:
            self._take(self._look_at_host(host, host.joiner.rest(now)))
        self._enter(self.hosts.own)
        self.problems += self._rules.problems
        for correlator in self._correlators.values():
            self.problems += correlator.problems()

    def state(self) -> State:
        state = self.hosts.state()
        for host in self.hosts:
            kept = state["nodes"][host.name] if host.name else state
            if host.name in self._correlators:
                kept["correlations"] = _made(self._correlators[host.name].state(host.last_time))
        state["explainers"] = self._explainers.state()
        rerooted = [pid.decode() for pid in self._verdicts.rerooted]
        return {**state, "version": _STATE_VERSION, "last_time": self.last_time, "rerooted": rerooted}

    def _correlator_from(self, state: t.Any) -> Correlator:
        try:
            return Correlator(self._compiled, state)
        except (ValueError, KeyError, TypeError) as error:
            self.problems.append("the state of correlations was discarded: %s" % error)
            return Correlator(self._compiled)

    def _enter(self, host: Host) -> None:
        """Look at the events of a host from now on."""
        self._host = host
        self._processes.become(host.processes)
        self._verdicts.enter(host.name)

    def _look_at_hosts(self, chunk: bytes) -> t.Iterator[tuple[Event, Looked]]:
        """Look at the events in a chunk; where it has lines of others, those of each host after another."""
        own = self.hosts.own
        yield from self._look_at_host(own, own.joiner.found(mended(chunk)))
        if not own.joiner.left:
            return
        for host, part in sorted_out(own.joiner.left, self.unread, self.hosts.of).items():
            if host is not None:
                records = with_numbers(part) if host.name else part
                yield from self._look_at_host(host, host.joiner.found(records))
            else:
                for line in part.splitlines():
                    self.unread.line(line, HOSTS)
        self._enter(own)

    def _look_at_host(self, host: Host, found: t.Iterable[Event | t.Match[bytes]]) -> t.Iterator[tuple[Event, Looked]]:
        if host is not self._host:
            self._enter(host)
        before = self.events
        looked = self._look_at(found)
        yield from looked if not host.name else ((event, one.on(host.name)) for event, one in looked)
        host.events += self.events - before

    def _take(self, looked: t.Iterable[tuple[Event, Looked]]) -> None:
        for event, one in looked:
            self._found(event.time, one)

    def _look_at(self, found: t.Iterable[Event | t.Match[bytes]]) -> t.Iterator[tuple[Event, Looked]]:
        since, look, noted, explained = self._since, self._fast.look, self._noted, self._explained
        one: Event | t.Match[bytes] | None = None
        for one in found:
            self.events += 1
            if noted and isinstance(one, Event) and one.first in noted and not self._host.name:
                self._explainers.note(one)
            # Of the first event, and with a beginning, the time decides whether it is looked at.
            if since is not None or self.first_time is None:
                event = _event(one)
                for looked in look(event) if self._wanted(event) else ():
                    yield event, explained(looked)
            else:
                for looked in look(one):
                    yield _event(one), explained(looked)
        self._at(one)

    def _kinds_of(self, number: int) -> frozenset[str]:
        return frozenset(self._rules.rule(number).explained_by) | self._correlators[""].kinds(number)

    def _explained(self, looked: Looked) -> Looked:
        """Ask what explains the hits of an event whose rules can be explained."""
        # Sessions, units and packages are those of the host that the log is of.
        if self._host.name or not looked.hits or looked.views is None:
            return looked
        views = looked.views
        simulated = self._simulated.explain(views.about) if self._simulated is not None else None
        if simulated is not None:
            return looked._replace(explained=(simulated,) * len(looked.hits))
        if not self._kinds or not any(self._kinds[hit.rule] for hit in looked.hits):
            return looked
        explained = tuple(
            self._explainers.explain(self._kinds[hit.rule], MatchedAct(views.about, views[hit.place]))
            if self._kinds[hit.rule]
            else None
            for hit in looked.hits
        )
        return looked._replace(explained=explained) if any(explained) else looked

    def _wanted(self, event: Event) -> bool:
        if self._since is not None and event.time < self._since:
            return False
        if self.first_time is None:
            self.first_time = event.time
            if not self.last_time:
                self._verdicts.beginning = event.time
            # In a first look, a process that is younger than the log may have the id that another had before it. Later
            # looks go on from what the one before knew, and most of what only forked since is still there.
            resumed = bool(self.last_time)
            own = self.hosts.own.processes
            own.run(one.process for one in self._running if resumed or one.started <= event.time)
        return True

    def _at(self, last: Event | t.Match[bytes] | None) -> None:
        if last is not None:
            time = _event(last).time
            self.last_time = max(self.last_time, time)
            self._host.last_time = max(self._host.last_time, time)

    def _found(self, time: float, looked: Looked) -> None:
        evidence: t.Any = None
        large = looked.views is not None and len(looked.views.about.event.raw) > _KEPT_BYTES
        for hit, explanation in looked.each():
            rule = self._rules.rule(hit.rule)
            evidence = functools.partial(_evidence, looked.views, hit.place, explanation)
            if large:
                evidence = evidence()
            if not rule.component:
                severity, counts = _severity(rule, explanation)
                self.tally.add(
                    rule.alert,
                    hit.subject,
                    evidence,
                    time,
                    severity=severity,
                    techniques=rule.techniques,
                    message=hit.message,
                    explanation=counts,
                )
            if looked.views is not None and self._correlators[""].wants(hit.rule):
                node = looked.views.about.node
                if node not in self._correlators:
                    self._correlators[node] = Correlator(self._compiled)
                for match in self._correlators[node].feed(
                    hit.rule, time, looked.views[hit.place], evidence, explanation
                ):
                    self._correlated(match, node)

    def _correlated(self, match: Match, node: str) -> None:
        rule = self._rules.rule(match.rule)
        subject = subject_on(subject_of(rule, match.view), node)
        severity, explanation = _severity(rule, match.explained)
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
                severity=severity,
                techniques=rule.techniques,
                message=message_of(rule, match.view),
                explanation=explanation,
            )


def _event(found: Event | t.Match[bytes]) -> Event:
    return found if isinstance(found, Event) else event_of(found)


def _evidence(views: Views | None, place: int, explanation: Explanation | None) -> dict[str, t.Any]:
    if views is None:
        return {}
    view = views.shown(place)
    evidence = evidence_of(view, view.parent)
    if explanation is not None:
        evidence["data"] = {**evidence.get("data", {}), "Explanation": explanation.sentence}
    return evidence


def _severity(rule: Rule, explanation: Explanation | None) -> tuple[str | None, Explanation | None]:
    """Return a rule's severity, and what explains the event where that counts for this rule."""
    if explanation is not None and explanation.kind == SIMULATION:
        return rule.severity, explanation if rule.alert in explanation.alerts else None
    if explanation is None or explanation.kind not in rule.explained_by:
        return rule.severity, None
    return rule.explained_by[explanation.kind], explanation


def _made(value: t.Any) -> t.Any:
    """Return a correlator's state with the evidence that was not made yet."""
    if isinstance(value, dict):
        return {name: _made(one) for name, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [_made(one) for one in value]
    return value() if callable(value) else value
