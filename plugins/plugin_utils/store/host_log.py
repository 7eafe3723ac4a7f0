# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the results of one host change, collected in memory: read with few statements, and written with few."""

from __future__ import annotations

import collections
import contextlib
import dataclasses
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils._finding import NOT_CHECKED, PARTIAL
from ansible_collections.bulwark.servers.plugins.module_utils._program import Sighting
from ansible_collections.bulwark.servers.plugins.plugin_utils.ocsf import evidence
from ansible_collections.bulwark.servers.plugins.plugin_utils.ocsf.statuses import ACTIVE
from ansible_collections.bulwark.servers.plugins.plugin_utils.store import (
    acceptance,
    checkpoints,
    control_results,
    coverage,
    events,
    findings,
    lifecycle,
    observables,
    product_alerts,
    program_results,
    runs,
    seals,
    simulations,
    suppressions,
)
from ansible_collections.bulwark.servers.plugins.plugin_utils.store.control_log import ControlLog
from ansible_collections.bulwark.servers.plugins.plugin_utils.store.errors import StoreError
from ansible_collections.bulwark.servers.plugins.plugin_utils.store.model import (
    CapabilityResult,
    RecordResult,
    StatusChange,
    Suppression,
)
from ansible_collections.bulwark.servers.plugins.plugin_utils.store.outbox import Outbox
from ansible_collections.bulwark.servers.plugins.plugin_utils.store.program_log import ProgramLog
from ansible_collections.bulwark.servers.plugins.plugin_utils.store.simulation_model import Simulation

with contextlib.suppress(ImportError):  # Store.open says what is missing
    import sqlalchemy as sa

# What is kept of one capability on one host: far more than a person can look at, and too little for a compromised
# host to fill the disk.
_FINDINGS_LIMIT = 20_000
# Beside them, of those that are severe: a flood of others takes no place of theirs.
_SEVERE_LIMIT = 2_000
# Of those that others report of it, who may be in an attacker's hands: the host's own have the rest.
REPORTED_LIMIT = 10_000
_SEVERE = 4
_BYTES_LIMIT = 64 * 1024 * 1024
_REASON_LIMIT = 2_000

_Seen = tuple[lifecycle.State, events.Observation]
# Capability and uid: a finding that two capabilities claim is left to the database to refuse.
_Key = tuple[str, str]


class HostLog:
    """What a record of a host changes. results: those that ``add`` and ``refuse`` will be called with."""

    def __init__(
        self,
        connection: sa.Connection,
        run_id: str,
        host: str,
        results: t.Sequence[CapabilityResult],
        now: float,
        is_reported: bool = False,
    ) -> None:
        """is_reported: whether somebody else than the host reports this of it."""
        self._is_reported = is_reported
        self._connection, self._run_id, self._host, self._now = connection, run_id, host, now
        capabilities = list(dict.fromkeys(result.capability for result in results))
        self._rules = suppressions.active(connection, now)
        self._stored = findings.of_host(connection, host, capabilities)
        # Not before the findings are locked (see ``outbox_destinations``).
        self._outbox = Outbox(connection, now, host)
        self._controls = ControlLog(connection, run_id, host, results, now)
        self._programs = ProgramLog(connection, host)
        self._coverage = runs.recorded_coverage(connection, run_id, host, capabilities)
        has_checkpoint = any(result.checkpoint is not None for result in results)
        self._tokens = checkpoints.tokens(connection, host) if has_checkpoint else {}
        self._advanced: dict[str, tuple[str, str]] = {}
        self._checked: set[str] = set()
        self._covered: dict[str, t.Sequence[t.Mapping[str, t.Any]]] = {}
        self._added: dict[_Key, _Seen] = {}
        self._seen: dict[_Key, _Seen] = {}
        self._changed: dict[_Key, lifecycle.State] = {}
        # What the index has of findings that were seen, by uid.
        self._observed: dict[str, str | None] = {}
        self._steps: list[lifecycle.Step] = []

    def add(self, result: CapabilityResult) -> RecordResult:
        """Take the findings, the controls and the coverage of a result, and resolve what is gone; or refuse it."""
        capability = result.capability
        entries = coverage.checked(result.coverage, capability)
        try:
            advanced = checkpoints.advanced(self._tokens, result.checkpoint)
            is_news = result.checkpoint is None or advanced is not None
            reported = result.findings if is_news else ()
            observed = {seen.uid: seen for seen in (events.read(event, self._host, capability) for event in reported)}
            observed, simulated = simulations.judged(self._connection, self._host, observed, self._is_reported)
            containers = control_results.read_containers(result.containers, self._host)
            controls = control_results.read_controls(result.controls, self._host)
            facts, sightings = self._read_programs(result)
            ended = program_results.read_ended(result.ended if is_news else (), self._host)
            remediated = program_results.read_ended(result.remediated if is_news else (), self._host)
            self._controls.add_controls(capability, controls, entries)
        except StoreError as error:
            return self.refuse(result, str(error))
        unrecorded = 0
        if advanced is not None:
            name, token = advanced
            # What was read until this token is in the store already where a result is recorded again.
            if facts is not None and self._tokens.get(name) != token:
                unrecorded = self._programs.add(capability, facts, sightings)
            self._tokens[name] = token
            self._advanced[name] = (capability, token)
        self._controls.add_containers(capability, containers, entries)
        stored = self._stored[capability]
        most = min(_FINDINGS_LIMIT, REPORTED_LIMIT) if self._is_reported else _FINDINGS_LIMIT
        limited = _limited(observed, stored, most)
        if len(limited) < len(observed):
            words = f"findings were dropped: a host has at most {_FINDINGS_LIMIT} of a capability in the store"
            entries.append(_dropped_entry(capability, len(observed) - len(limited), words))
        if len(containers) < len(result.containers):
            words = f"containers were dropped: a host has at most {len(containers)} in the store"
            entries.append(_dropped_entry(capability, len(result.containers) - len(containers), words))
        if unrecorded:
            words = f"programs were dropped: a host has at most {program_results.SIGHTINGS_LIMIT} in the store"
            entries.append(_dropped_entry(capability, unrecorded, words))
        log = _ResultLog(self._run_id, self._now, self._rules, self._outbox)
        log.see(stored, limited, simulated)
        unseen = [state for state in stored.values() if state.uid not in observed]
        judged = {(each.control, each.subject): each for each in controls}
        # Nobody looked whether these are still there, though at the scope.
        unchecked = {key for key, each in judged.items() if each.status == NOT_CHECKED}
        gone = [
            state
            for state in unseen
            if is_news
            and state.lifecycle == "state"
            and state.status in ACTIVE
            and (state.alert, state.subject) not in unchecked
            and coverage.shows_gone(entries, state.scope, state.subject)
        ]
        if gone:
            since = min(state.last_seen for state in gone)
            accepted = seals.accepted_since(self._connection, self._host, capability, since)
            ends = {key: (None, reason) for key, reason in ended.items()}
            log.resolve(gone, accepted, {**ends, **{key: each.end for key, each in judged.items()}})
        log.end([state for state in unseen if state.lifecycle == "event" and state.status in ACTIVE], ended)
        if remediated:
            states = [*unseen, *(state for state, _seen in log.added + log.seen)]
            seen = {each.uid: each for each in limited}
            remediated |= product_alerts.dealt_with(self._connection, result.remediated, remediated, states, seen)
        log.end(log.active_events(unseen), remediated)
        log.age(unseen)
        self._take(capability, log)
        self._cover(capability, entries)
        return dataclasses.replace(log.result(dropped=len(observed) - len(limited)), is_news=is_news)

    def _read_programs(self, result: CapabilityResult) -> tuple[program_results.HostFacts | None, list[Sighting]]:
        sightings = program_results.read_sightings(result.programs, self._host, self._now)
        if result.program_host is None:
            if sightings:
                raise StoreError(f"the programs of {self._host} cannot be stored: the result has no program_host")
            return None, []
        return program_results.read_host(result.program_host, self._host, self._now), sightings

    def refuse(self, result: CapabilityResult, reason: str) -> RecordResult:
        """Take nothing of a result: what it looked at counts as not checked."""
        scopes = dict.fromkeys(entry["scope"] for entry in coverage.checked(result.coverage, result.capability))
        words = evidence.line(f"its result was refused: {reason}", _REASON_LIMIT)
        self._cover(result.capability, [coverage.refused(scope, words) for scope in scopes])
        return RecordResult(
            new=0,
            seen_again=0,
            resolved=0,
            reopened=0,
            suppressed=0,
            simulated=0,
            dropped=0,
            changes=(),
            refused=reason,
            is_news=False,
        )

    def write_dropped(self, capability: str, others: t.Mapping[str, int]) -> None:
        """Write in the coverage how many findings of other hosts there was no room for, by host."""
        number = sum(others.values())
        if number:
            words = "findings of other hosts were dropped, as these have too many that were reported of them"
            self._cover(capability, [_dropped_entry(capability, number, words)])
            runs.write_coverage(self._connection, self._run_id, self._host, self._covered, self._now)

    def write(self) -> None:
        """Write what was taken."""
        connection, host, now = self._connection, self._host, self._now
        self.write_findings()
        self._controls.write()
        self._programs.write()
        checkpoints.write(connection, host, self._advanced, now)
        runs.write_coverage(connection, self._run_id, host, self._covered, now)
        runs.mark_checked(connection, host, self._checked, now)

    def write_findings(self) -> None:
        """Write the findings that were taken, and nothing about how far anybody looked."""
        connection, added, seen = self._connection, list(self._added.values()), list(self._seen.values())
        self._outbox.take_host(self._run_id, self._steps, added, seen, self._capability_of)
        findings.insert(connection, added)
        findings.update_seen(connection, seen)
        findings.update(connection, list(self._changed.values()))
        findings.add_history(connection, self._steps)
        observables.write(connection, self._host, self._observed_changes([*added, *seen]))
        self._outbox.write()

    def _observed_changes(self, seen: t.Iterable[_Seen]) -> dict[str, observables.Change]:
        changes = {state.uid: (self._observed[state.uid], state.observed) for state, _observation in seen}
        return {uid: change for uid, change in changes.items() if change[0] != change[1]}

    def _capability_of(self, uid: str) -> str:
        return next(capability for capability, stored in self._stored.items() if uid in stored)

    def _take(self, capability: str, log: _ResultLog) -> None:
        """Take what one result changes; a finding that several change is written once, as the last leaves it."""
        self._steps += log.steps
        for uid, observed in log.observed.items():
            self._observed.setdefault(uid, observed)
        for state, seen in log.added:
            self._added[capability, state.uid] = (state, seen)
        for state, seen in log.seen:
            key = (capability, state.uid)
            (self._added if key in self._added else self._seen)[key] = (state, seen)
            self._changed.pop(key, None)
        for state in log.changed:
            key = (capability, state.uid)
            if key not in self._added and key not in self._seen:
                self._changed[key] = state
        if log.added:
            # As the next result would read them from the store.
            stored = {**self._stored[capability], **{state.uid: state for state, _seen in log.added}}
            self._stored[capability] = dict(sorted(stored.items()))

    def _cover(self, capability: str, entries: list[coverage.Entry]) -> None:
        before = self._covered.get(capability) or self._coverage.get(capability, [])
        self._covered[capability] = coverage.merged(before, entries)
        if coverage.summary(self._covered[capability]) != NOT_CHECKED:
            self._checked.add(capability)


class _ResultLog:
    """What one result changes."""

    def __init__(self, run_id: str, now: float, rules: t.Sequence[Suppression], outbox: Outbox) -> None:
        self._run_id, self._now, self._rules, self._outbox = run_id, now, rules, outbox
        self.added: list[_Seen] = []
        self.seen: list[_Seen] = []
        self.changed: list[lifecycle.State] = []
        self.observed: dict[str, str | None] = {}
        self.steps: list[lifecycle.Step] = []
        self._simulated: set[str] = set()
        self._gone: list[lifecycle.State] = []
        self._before: dict[str, tuple[str, int]] = {}

    def see(
        self,
        stored: t.Mapping[str, lifecycle.State],
        observed: t.Iterable[events.Observation],
        simulated: t.Mapping[str, Simulation],
    ) -> None:
        """Take what a run saw. simulated: the simulations that some of it is of, by id."""
        for seen in observed:
            state = stored.get(seen.uid)
            was = None if state is None else state.effective(self._now)
            self.observed[seen.uid] = None if state is None else state.observed
            if state is None:
                state, steps = lifecycle.first_seen(seen, self._run_id, self._rules, self._now)
                self.added.append((state, seen))
            else:
                self._note(state)
                steps = lifecycle.seen_again(state, seen, self._run_id, self._rules, self._now)
                self.seen.append((state, seen))
            self.steps += steps
            if seen.simulation is not None:
                by, reason = simulated[seen.simulation].end
                self.steps += lifecycle.end_simulated(state, seen, was, self._now, by, reason, self._run_id)
                self._simulated.add(seen.uid)

    def resolve(
        self,
        gone: t.Sequence[lifecycle.State],
        accepted: acceptance.Acceptances,
        ends: t.Mapping[tuple[str, str], tuple[str | None, str]],
    ) -> None:
        """Resolve findings. ends: by alert and subject who ended them, and why, where that is known."""
        for state in gone:
            self._note(state)
            end = ends.get((state.alert, state.subject))
            by, reason = end or accepted.end_of(state.subject, state.last_seen)
            self.steps += lifecycle.resolve(state, self._now, by=by, reason=reason, run_id=self._run_id)
            self._gone.append(state)
            self.changed.append(state)

    def end(self, events: t.Iterable[lifecycle.State], reasons: t.Mapping[tuple[str, str], str]) -> None:
        """Resolve events that an allowlist ended, or a security product dealt with, by alert and subject."""
        observed = {state.uid: seen for state, seen in self.added + self.seen}
        for state in events:
            reason = reasons.get((state.alert, state.subject))
            if reason is not None:
                seen = observed.get(state.uid)
                if seen is None:
                    self._note(state)
                self.steps += lifecycle.resolve(state, self._now, None, reason, self._run_id, seen)
                self._gone.append(state)
                self.changed.append(state)

    def active_events(self, unseen: t.Sequence[lifecycle.State]) -> list[lifecycle.State]:
        """Return the events that are not resolved, those that were seen and others."""
        states = [*unseen, *(state for state, _seen in self.added + self.seen)]
        return [state for state in states if state.lifecycle == "event" and state.status in ACTIVE]

    def age(self, unseen: t.Iterable[lifecycle.State]) -> None:
        for state in unseen:
            if lifecycle.is_old_news(state, self._run_id):
                lifecycle.age(state, self._now)
                self.changed.append(state)

    def result(self, dropped: int) -> RecordResult:
        states = [state for state, _seen in self.added + self.seen]
        outcomes = collections.Counter(self._outcome(state.uid, state.effective(self._now)) for state in states)
        return RecordResult(
            new=outcomes["new"],
            seen_again=outcomes["seen_again"],
            resolved=len(self._gone),
            reopened=outcomes["reopened"],
            suppressed=outcomes["suppressed"],
            simulated=outcomes["simulated"],
            dropped=dropped,
            changes=tuple(self._changes({state.uid: state for state in states + self._gone}.values())),
        )

    def _outcome(self, uid: str, after: str) -> str:
        before, _severity_id = self._before.get(uid, (None, None))
        if uid in self._simulated:
            return "simulated"
        if after == "suppressed":
            return "suppressed"
        if before is None:
            return "new"
        return "reopened" if before == "resolved" and after == "open" else "seen_again"

    def _note(self, state: lifecycle.State) -> None:
        self._outbox.note(state)
        self._before[state.uid] = (state.effective(self._now), state.severity_id)

    def _changes(self, states: t.Iterable[lifecycle.State]) -> t.Iterator[StatusChange]:
        for state in states:
            before, severity_id = self._before.get(state.uid, (None, None))
            if (before, severity_id) != (state.effective(self._now), state.severity_id):
                yield lifecycle.change(state, before, self._now)


def _limited(
    observed: t.Mapping[str, events.Observation], stored: t.Collection[str], most: int
) -> list[events.Observation]:
    """Return the findings that there is room for, those that are stored already first, then the most severe.

    most: of the host in the store, beside severe ones.
    """
    limited: list[events.Observation] = []
    size, added = 0, 0
    for seen in sorted(observed.values(), key=lambda seen: (seen.uid not in stored, -seen.severity_id, seen.uid)):
        size += len(seen.event)
        added += seen.uid not in stored
        room = most + (_SEVERE_LIMIT if seen.severity_id >= _SEVERE else 0)
        if size > _BYTES_LIMIT or (added and added + len(stored) > room):
            break
        limited.append(seen)
    return limited


def _dropped_entry(capability: str, number: int, words: str) -> coverage.Entry:
    return {
        "scope": capability,
        "status": PARTIAL,
        "reason": f"{number} {words}",
        "examined": 0,
        "skipped": [],
        "skipped_count": number,
        "explained_count": 0,
        "explained": [],
        "note": None,
    }
