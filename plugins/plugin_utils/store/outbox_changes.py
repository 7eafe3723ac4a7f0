# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Changes on their way into the outbox: rows of its tables, made of what happened to findings."""

from __future__ import annotations

import collections
import dataclasses
import typing as t

from ansible_collections.bulwark.servers.plugins.plugin_utils.store import outbox_filter
from ansible_collections.bulwark.servers.plugins.plugin_utils.store.events import Observation
from ansible_collections.bulwark.servers.plugins.plugin_utils.store.export_model import Destination
from ansible_collections.bulwark.servers.plugins.plugin_utils.store.lifecycle import State, Step

# Changes that are no step of a finding's history.
EVIDENCE = "evidence"
EXISTING = "existing"
COVERAGE = "coverage"

# The columns of ``bulwark_outbox_changes``, without its id.
COLUMNS = (
    *("key", "host", "capability", "change", "at", "instance", "before_severity", "by", "run_id"),
    *("status", "reason", "first_seen", "last_seen", "count", "event"),
)


@dataclasses.dataclass(frozen=True)
class Draft:
    """A change that no destination has yet. row: of ``bulwark_outbox_changes``, without its id.

    size: the bytes of its event, None for that of the stored finding. alert, severity_id: of the finding after the
    change, None for coverage.
    """

    row: dict[str, t.Any]
    size: int | None
    alert: str | None = None
    severity_id: int | None = None

    def is_for(self, destination: Destination) -> bool:
        row = self.row
        if self.alert is None or self.severity_id is None:
            return outbox_filter.takes_coverage(destination, row["host"])
        if row["change"] == EVIDENCE and not destination.evidence:
            return False
        return outbox_filter.takes_finding(
            destination.filter, row["host"], row["capability"], self.alert, self.severity_id, row["status"]
        )


def of_stored(step: Step, instance: str | None, capability: str, event: str | None) -> Draft:
    """Return the draft of a step that no observation belongs to.

    event: as it was stored, where the transaction replaces it; None if the change can refer to the finding.
    """
    return _of_step(step, instance, capability, event, None if event is None else byte_length(event))


def of_seen(step: Step, instance: str | None, seen: Observation, is_written: bool) -> Draft:
    """Return the draft of a step that came with an observation.

    is_written: whether the transaction leaves this observation as the stored event, which the change then refers to.
    """
    return _of_step(step, instance, seen.capability, None if is_written else seen.event, byte_length(seen.event))


def _of_step(step: Step, instance: str | None, capability: str, event: str | None, size: int | None) -> Draft:
    then = step.then
    # With a resolution, the reason is that of the status.
    reason = then.reason if then.status == "resolved" else step.reason or then.reason
    row = {
        "key": step.uid,
        "host": step.host,
        "capability": capability,
        "change": step.action,
        "at": step.at,
        "instance": instance,
        "before_severity": step.before_severity,
        "by": step.by,
        "run_id": step.run_id,
        "status": then.status,
        "reason": reason,
        "first_seen": then.first_seen,
        "last_seen": then.last_seen,
        "count": then.runs,
        "event": event,
    }
    return Draft(row, size, then.alert, then.severity_id)


def of_evidence(state: State, seen: Observation, digest: str, run_id: str, now: float) -> Draft:
    """Return the draft of a change that only adds evidence. digest: of the evidence, which tells such changes apart."""
    status = state.effective(now)
    row = {
        "key": state.uid,
        "host": state.host,
        "capability": seen.capability,
        "change": EVIDENCE,
        "at": now,
        "instance": f"{EVIDENCE} {digest}",
        "before_severity": None,
        "by": None,
        "run_id": run_id,
        "status": status,
        "reason": state.suppressed_reason if status == "suppressed" else state.status_reason,
        "first_seen": state.first_seen,
        "last_seen": state.last_seen,
        "count": state.count,
        "event": None,
    }
    return Draft(row, byte_length(seen.event), state.alert, state.severity_id)


def instances(steps: t.Sequence[Step], earlier: t.Iterable[tuple[str, float]]) -> list[str | None]:
    """Return what tells each step from others of the same finding in the same millisecond, None for the first.

    earlier: uids and times of steps that the history has already.
    """
    numbers = collections.Counter((uid, _millisecond(at)) for uid, at in earlier)
    named: list[str | None] = []
    for step in steps:
        key = (step.uid, _millisecond(step.at))
        named.append(str(numbers[key]) if numbers[key] else None)
        numbers[key] += 1
    return named


def byte_length(text: str) -> int:
    return len(text) if text.isascii() else len(text.encode())


def _millisecond(at: float) -> int:
    # As in events.
    return int(at * 1000)
