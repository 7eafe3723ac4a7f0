# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How a finding's status changes: pure functions from what the store has to what it should have.

A state of things (``lifecycle: state``) is gone when a run looked and it isn't there. An event has happened, and
stays until a person resolves it. Suppression lies over the status: it hides the finding until it ends.
"""

from __future__ import annotations

import dataclasses
import typing as t

from ansible_collections.bulwark.servers.plugins.plugin_utils.ocsf.events import SEVERITIES_BY_ID
from ansible_collections.bulwark.servers.plugins.plugin_utils.ocsf.statuses import ACTIVE
from ansible_collections.bulwark.servers.plugins.plugin_utils.store.events import Observation
from ansible_collections.bulwark.servers.plugins.plugin_utils.store.model import StatusChange, Suppression
from ansible_collections.bulwark.servers.plugins.plugin_utils.store.patterns import matches


@dataclasses.dataclass
class State:
    """The columns of a finding that change, besides its event.

    observed: the keys of its observables in the index, as in ``Observation``; None if it is not in the index.
    simulation: the id of the simulation that all of it is of, None for a real one.
    """

    uid: str
    host: str
    alert: str
    lifecycle: str
    scope: str
    subject: str
    severity_id: int
    status: str
    status_since: float
    status_by: str | None
    status_reason: str | None
    suppressed_at: float | None
    suppressed_until: float | None
    suppressed_by: str | None
    suppressed_reason: str | None
    suppressed_severity: int | None
    first_seen: float
    last_seen: float
    occurred: float
    last_run: str
    count: int
    reopened: int
    observed: str | None
    simulation: str | None

    def effective(self, now: float) -> str:
        """Return the status that people see."""
        if self.status == "resolved" or not self.is_suppressed(now):
            return self.status
        return "suppressed"

    def may_have_changed_since(self, time: float) -> bool:
        """Return False only if nothing that is in its history happened at or after a time."""
        return max(self.first_seen, self.last_seen, self.status_since, self.suppressed_at or 0) >= time

    def is_suppressed(self, now: float) -> bool:
        return self.suppressed_at is not None and (self.suppressed_until is None or self.suppressed_until > now)


class Then(t.NamedTuple):
    """A finding right after a step, as much of it as an exported event says. status: that people see."""

    alert: str
    status: str
    reason: str | None
    severity_id: int
    first_seen: float
    last_seen: float
    runs: int


@dataclasses.dataclass(frozen=True)
class Step:
    """One entry for the history, its severities as in ``HistoryEntry`` but numbers.

    then: the finding right after it; later steps of the same transaction change the state. seen: what a run observed,
    None for a step that happened without that: the stored event belongs to it.
    """

    at: float
    uid: str
    host: str
    action: str
    before_severity: int | None
    after_severity: int | None
    by: str | None
    reason: str | None
    run_id: str | None
    then: Then
    seen: Observation | None


def first_seen(seen: Observation, run_id: str, rules: t.Sequence[Suppression], now: float) -> tuple[State, list[Step]]:
    """Return a finding that the store doesn't have yet."""
    state = State(
        uid=seen.uid,
        host=seen.host,
        alert=seen.alert,
        lifecycle=seen.lifecycle,
        scope=seen.scope,
        subject=seen.subject,
        severity_id=seen.severity_id,
        status="new",
        status_since=now,
        status_by=None,
        status_reason=None,
        suppressed_at=None,
        suppressed_until=None,
        suppressed_by=None,
        suppressed_reason=None,
        suppressed_severity=None,
        first_seen=now,
        last_seen=now,
        occurred=seen.occurred,
        last_run=run_id,
        count=1,
        reopened=0,
        observed=seen.observed,
        simulation=seen.simulation,
    )
    steps = [_step(state, now, "new", None, seen.severity_id, run_id=run_id, seen=seen)]
    return state, steps + _suppress_by_rule(state, rules, now, seen)


def seen_again(state: State, seen: Observation, run_id: str, rules: t.Sequence[Suppression], now: float) -> list[Step]:
    """Change a stored finding that a run saw, and return what to write in its history."""
    # It happened before this run saw anything, to the finding as it was until now.
    steps = lift_ended(state, now)
    is_simulated = state.simulation is not None
    if seen.simulation is None:
        state.simulation = None
    # A simulated finding says nothing about real ones.
    is_known = not is_simulated or state.simulation is not None
    is_same_event = state.lifecycle == "event" and seen.occurred <= state.occurred and is_known
    is_new_run = state.last_run != run_id
    before = state.severity_id
    was = state.effective(now)
    state.scope, state.severity_id, state.observed = seen.scope, seen.severity_id, seen.observed
    state.occurred = max(state.occurred, seen.occurred)
    state.count += is_new_run
    state.last_run = run_id
    state.last_seen = max(state.last_seen, now)
    if was == "resolved":
        # A log that is read again has the same event again; it was resolved for what it was.
        if not is_same_event:
            steps += _reopen(state, run_id, rules, now, seen)
    elif was == "suppressed":
        steps += _lift_worse(state, now, seen)
    else:
        if was == "new" and is_new_run:
            state.status, state.status_since = "open", now
        if seen.severity_id != before:
            steps.append(_step(state, now, "severity_changed", before, seen.severity_id, run_id=run_id, seen=seen))
    return steps


def is_old_news(state: State, run_id: str) -> bool:
    """Return whether an event was new in an earlier run, and is in this one only what is still to be looked at."""
    return state.lifecycle == "event" and state.status == "new" and state.last_run != run_id


def age(state: State, now: float) -> None:
    """Change an event that is news no more; that it waits to be resolved is nothing that happened to it."""
    state.status, state.status_since = "open", now


def resolve(
    state: State, now: float, by: str | None, reason: str, run_id: str | None = None, seen: Observation | None = None
) -> list[Step]:
    """Change a finding that is not there any more, or that a person is done with. seen: as the same run saw it."""
    steps = lift_ended(state, now)
    before = state.severity_id if state.effective(now) in ACTIVE else None
    state.status, state.status_since, state.status_by, state.status_reason = "resolved", now, by, reason
    steps.append(_step(state, now, "resolved", before, None, by, reason, run_id, seen))
    return steps


def end_simulated(
    state: State, seen: Observation, was: str | None, now: float, by: str, reason: str, run_id: str
) -> list[Step]:
    """Resolve a finding whose events were all simulated. was: its status before they were seen.

    One that was open before stays open: it is about something real as well.
    """
    if state.status == "resolved" or (state.simulation is None and was not in (None, "resolved")):
        return []
    if state.simulation is not None:
        state.simulation = seen.simulation
    return resolve(state, now, by, reason, run_id, seen)


def suppress(
    state: State, now: float, by: str, reason: str, until: float | None, seen: Observation | None = None
) -> list[Step]:
    """Change a finding that a person doesn't want to be told of any more. seen: the observation that this is about."""
    steps = lift_ended(state, now)
    before = state.severity_id if state.effective(now) in ACTIVE else None
    state.suppressed_at, state.suppressed_until = now, until
    state.suppressed_by, state.suppressed_reason = by, reason
    state.suppressed_severity = state.severity_id
    if state.status == "new":
        # It has been looked at: once the suppression is over, it isn't news.
        state.status, state.status_since = "open", now
    steps.append(_step(state, now, "suppressed", before, None, by, reason, seen=seen))
    return steps


def lift(state: State, now: float, by: str | None, reason: str, seen: Observation | None = None) -> list[Step]:
    """End a suppression; the finding is what it was under it. seen: the observation that ended it."""
    state.suppressed_at = state.suppressed_until = state.suppressed_by = state.suppressed_reason = None
    state.suppressed_severity = None
    after = None if state.status == "resolved" else state.severity_id
    if after is not None:
        state.status_since = now
    return [_step(state, now, "unsuppressed", None, after, by, reason, seen=seen)]


def lift_ended(state: State, now: float) -> list[Step]:
    """End a suppression whose time is over, at the time when it was."""
    if state.suppressed_until is None or state.suppressed_until > now:
        return []
    return lift(state, state.suppressed_until, by=None, reason="the suppression ended")


def change(state: State, before: str | None, now: float) -> StatusChange:
    severity = SEVERITIES_BY_ID[state.severity_id]
    return StatusChange(state.uid, state.host, state.alert, state.subject, severity, before, state.effective(now))


def _lift_worse(state: State, now: float, seen: Observation) -> list[Step]:
    """End a suppression that was decided about something less severe."""
    decided = state.suppressed_severity
    if decided is None or state.severity_id <= decided:
        return []
    reason = f"its severity rose from {SEVERITIES_BY_ID[decided]} to {SEVERITIES_BY_ID[state.severity_id]}"
    return lift(state, now, by=None, reason=reason, seen=seen)


def _reopen(state: State, run_id: str, rules: t.Sequence[Suppression], now: float, seen: Observation) -> list[Step]:
    steps = _lift_worse(state, now, seen)
    state.status, state.status_since, state.status_by, state.status_reason = "open", now, None, None
    state.reopened += 1
    after = None if state.is_suppressed(now) else state.severity_id
    steps.append(_step(state, now, "reopened", None, after, run_id=run_id, seen=seen))
    if not state.is_suppressed(now) and len(steps) == 1:
        steps += _suppress_by_rule(state, rules, now, seen)
    return steps


def _suppress_by_rule(state: State, rules: t.Sequence[Suppression], now: float, seen: Observation) -> list[Step]:
    for rule in rules:
        if applies(rule, state):
            return suppress(state, now, rule.actor, rule.reason, rule.until, seen)
    return []


def _step(
    state: State,
    at: float,
    action: str,
    before: int | None,
    after: int | None,
    by: str | None = None,
    reason: str | None = None,
    run_id: str | None = None,
    seen: Observation | None = None,
) -> Step:
    """Return the step that led to a state."""
    status = state.effective(at)
    why = state.suppressed_reason if status == "suppressed" else state.status_reason
    then = Then(state.alert, status, why, state.severity_id, state.first_seen, state.last_seen, state.count)
    return Step(at, state.uid, state.host, action, before, after, by, reason, run_id, then, seen)


def applies(rule: Suppression, state: State) -> bool:
    fields = ((rule.alert, state.alert), (rule.host, state.host), (rule.subject, state.subject))
    return all(matches(pattern, text) for pattern, text in fields)
