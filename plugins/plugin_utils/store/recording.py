# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Record what capabilities found on one host in one run."""

from __future__ import annotations

import collections
import contextlib
import json
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils._finding import NOT_CHECKED, PARTIAL
from ansible_collections.bulwark.servers.plugins.plugin_utils.ocsf import evidence
from ansible_collections.bulwark.servers.plugins.plugin_utils.ocsf.statuses import ACTIVE
from ansible_collections.bulwark.servers.plugins.plugin_utils.store import (
    acceptance,
    checkpoints,
    coverage,
    events,
    explained,
    failures,
    findings,
    lifecycle,
    pins,
    runs,
    seals,
    sql,
    suppressions,
)
from ansible_collections.bulwark.servers.plugins.plugin_utils.store.errors import StoreError
from ansible_collections.bulwark.servers.plugins.plugin_utils.store.model import (
    CapabilityResult,
    RecordResult,
    StatusChange,
    Suppression,
)
from ansible_collections.bulwark.servers.plugins.plugin_utils.store.schema import tables

with contextlib.suppress(ImportError):  # Store.open says what is missing
    import sqlalchemy as sa

# What is kept of one capability on one host: far more than a person can look at, and too little for a compromised
# host to fill the disk.
_FINDINGS_LIMIT = 20_000
_BYTES_LIMIT = 64 * 1024 * 1024
_REASON_LIMIT = 2_000


def record(connection: sa.Connection, run_id: str, host: str, result: CapabilityResult, now: float) -> RecordResult:
    """Store the findings and the coverage of a result, and resolve what is gone; see ``Store.record``."""
    _begin(connection, run_id, host, [result.capability], now)
    return _record(connection, run_id, host, result, now)


def record_host(
    connection: sa.Connection,
    run_id: str,
    host: str,
    results: t.Sequence[CapabilityResult],
    pinned: t.Mapping[str, str] | None,
    now: float,
) -> list[RecordResult]:
    """Store all results of a host, each as if it were alone; see ``Store.record_host``."""
    _begin(connection, run_id, host, sorted({result.capability for result in results}), now)
    recorded = []
    for result in results:
        try:
            with connection.begin_nested():
                recorded.append(_record(connection, run_id, host, result, now))
        except StoreError as error:
            recorded.append(_refuse(connection, run_id, host, result, str(error), now))
        except (sa.exc.DataError, sa.exc.IntegrityError) as error:
            reason = f"the store {failures.explained(error.orig or error)}"
            recorded.append(_refuse(connection, run_id, host, result, reason, now))
    if pinned is not None:
        pins.replace(connection, host, pinned)
    return recorded


def _begin(connection: sa.Connection, run_id: str, host: str, capabilities: t.Sequence[str], now: float) -> None:
    """Lock what records of a host change, in the order in which all writers do: else they lock each other out."""
    runs.require(connection, run_id)
    sql.lock(connection, "record", host)
    runs.mark_latest(connection, run_id, [(host, capability) for capability in capabilities], now)
    if len(capabilities) > 1:
        columns = tables().findings.c
        findings.lock(connection, columns.host == host, columns.capability.in_(capabilities))


def _record(connection: sa.Connection, run_id: str, host: str, result: CapabilityResult, now: float) -> RecordResult:
    capability, reported = result.capability, result.findings
    is_news = result.checkpoint is None or checkpoints.advance(connection, host, capability, result.checkpoint, now)
    if not is_news:
        reported = ()
    observed = {seen.uid: seen for seen in (events.read(event, host, capability) for event in reported)}
    entries = coverage.checked(result.coverage, capability)
    columns = tables().findings.c
    stored = {
        state.uid: state
        for state in findings.locked(connection, columns.host == host, columns.capability == capability)
    }
    limited = _limited(observed, stored)
    if len(limited) < len(observed):
        entries.append(_dropped_entry(capability, len(observed) - len(limited)))
    log = _Log(run_id, now, suppressions.active(connection, now))
    log.see(stored, limited)
    gone = [
        state
        for state in stored.values()
        if is_news
        and state.uid not in observed
        and state.lifecycle == "state"
        and state.status in ACTIVE
        and coverage.shows_gone(entries, state.scope, state.subject)
    ]
    if gone:
        since = min(state.last_seen for state in gone)
        log.resolve(gone, seals.accepted_since(connection, host, capability, since))
    log.age(state for state in stored.values() if state.uid not in observed)
    log.write(connection)
    _write_coverage(connection, run_id, host, capability, entries, now)
    return log.result(dropped=len(observed) - len(limited))


def _refuse(
    connection: sa.Connection, run_id: str, host: str, result: CapabilityResult, reason: str, now: float
) -> RecordResult:
    """Note that nothing of a result was recorded: what it looked at counts as not checked."""
    scopes = dict.fromkeys(entry["scope"] for entry in coverage.checked(result.coverage, result.capability))
    words = evidence.line(f"its result was refused: {reason}", _REASON_LIMIT)
    entries = [coverage.refused(scope, words) for scope in scopes]
    _write_coverage(connection, run_id, host, result.capability, entries, now)
    return RecordResult(
        new=0, seen_again=0, resolved=0, reopened=0, suppressed=0, dropped=0, changes=(), refused=reason
    )


class _Log:
    """What one record changes, collected before it is written."""

    def __init__(self, run_id: str, now: float, rules: t.Sequence[Suppression]) -> None:
        self._run_id, self._now, self._rules = run_id, now, rules
        self._added: list[tuple[lifecycle.State, events.Observation]] = []
        self._seen: list[tuple[lifecycle.State, events.Observation]] = []
        self._gone: list[lifecycle.State] = []
        self._aged: list[lifecycle.State] = []
        self._steps: list[lifecycle.Step] = []
        self._before: dict[str, tuple[str, int]] = {}

    def see(self, stored: t.Mapping[str, lifecycle.State], observed: t.Iterable[events.Observation]) -> None:
        for seen in observed:
            state = stored.get(seen.uid)
            if state is None:
                state, steps = lifecycle.first_seen(seen, self._run_id, self._rules, self._now)
                self._added.append((state, seen))
            else:
                self._note(state)
                steps = lifecycle.seen_again(state, seen, self._run_id, self._rules, self._now)
                self._seen.append((state, seen))
            self._steps += steps

    def resolve(self, gone: t.Sequence[lifecycle.State], accepted: acceptance.Acceptances) -> None:
        for state in gone:
            self._note(state)
            by, reason = accepted.end_of(state.subject, state.last_seen)
            self._steps += lifecycle.resolve(state, self._now, by=by, reason=reason, run_id=self._run_id)
            self._gone.append(state)

    def age(self, unseen: t.Iterable[lifecycle.State]) -> None:
        for state in unseen:
            if lifecycle.is_old_news(state, self._run_id):
                lifecycle.age(state, self._now)
                self._aged.append(state)

    def write(self, connection: sa.Connection) -> None:
        findings.insert(connection, self._added)
        findings.update_seen(connection, self._seen)
        findings.update(connection, self._gone + self._aged)
        findings.add_history(connection, self._steps)

    def result(self, dropped: int) -> RecordResult:
        outcomes = collections.Counter(
            self._outcome(state.uid, state.effective(self._now)) for state, _seen in self._added + self._seen
        )
        states = [state for state, _seen in self._added + self._seen]
        return RecordResult(
            new=outcomes["new"],
            seen_again=outcomes["seen_again"],
            resolved=len(self._gone),
            reopened=outcomes["reopened"],
            suppressed=outcomes["suppressed"],
            dropped=dropped,
            changes=tuple(self._changes(states + self._gone)),
        )

    def _outcome(self, uid: str, after: str) -> str:
        before, _severity_id = self._before.get(uid, (None, None))
        if after == "suppressed":
            return "suppressed"
        if before is None:
            return "new"
        return "reopened" if before == "resolved" and after == "open" else "seen_again"

    def _note(self, state: lifecycle.State) -> None:
        self._before[state.uid] = (state.effective(self._now), state.severity_id)

    def _changes(self, states: t.Iterable[lifecycle.State]) -> t.Iterator[StatusChange]:
        for state in states:
            before, severity_id = self._before.get(state.uid, (None, None))
            if (before, severity_id) != (state.effective(self._now), state.severity_id):
                yield lifecycle.change(state, before, self._now)


def _limited(observed: t.Mapping[str, events.Observation], stored: t.Collection[str]) -> list[events.Observation]:
    """Return the findings that there is room for, those that are stored already first, then the most severe."""
    limited: list[events.Observation] = []
    size, added = 0, 0
    for seen in sorted(observed.values(), key=lambda seen: (seen.uid not in stored, -seen.severity_id, seen.uid)):
        size += len(seen.event)
        added += seen.uid not in stored
        if size > _BYTES_LIMIT or (added and added + len(stored) > _FINDINGS_LIMIT):
            break
        limited.append(seen)
    return limited


def _dropped_entry(capability: str, number: int) -> coverage.Entry:
    return {
        "scope": capability,
        "status": PARTIAL,
        "reason": f"{number} findings were dropped: a host has at most {_FINDINGS_LIMIT} of a capability in the store",
        "examined": 0,
        "skipped": [],
        "skipped_count": number,
        "explained_count": 0,
        "explained": [],
        "note": None,
    }


def _write_coverage(
    connection: sa.Connection, run_id: str, host: str, capability: str, entries: list[coverage.Entry], now: float
) -> None:
    table = tables().coverage
    key = (run_id, host, capability)
    same = (table.c.run_id == run_id) & (table.c.host == host) & (table.c.capability == capability)
    stored = connection.execute(sa.select(table.c.entries).where(same, table.c.recorded.is_not(None))).scalar()
    before = explained.joined(json.loads(stored), explained.of(connection, key)) if stored else []
    merged = coverage.merged(before, entries)
    status = coverage.summary(merged)
    row = {
        "run_id": run_id,
        "host": host,
        "capability": capability,
        "status": status,
        "entries": json.dumps(explained.without(merged), ensure_ascii=False),
        "recorded": now,
    }
    sql.upsert(connection, table, [row], update=("status", "entries", "recorded"))
    explained.replace(connection, key, merged)
    if status != NOT_CHECKED:
        runs.mark_checked(connection, host, capability, now)
