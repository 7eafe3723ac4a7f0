# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a scan of a host comes to: for each look a record for the store, or why there is nothing to record."""

from __future__ import annotations

import dataclasses
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils._finding import not_checked
from ansible_collections.bulwark.servers.plugins.plugin_utils import failure_reasons
from ansible_collections.bulwark.servers.plugins.plugin_utils.report.shown import visible
from ansible_collections.bulwark.servers.plugins.plugin_utils.scan.questions import Asked, Question
from ansible_collections.bulwark.servers.plugins.plugin_utils.store import CapabilityResult, result_of_module


class Investigated(t.NamedTuple):
    """An investigation as ``Store.record_investigation`` takes it. finding: "" without one. summary: its sentences."""

    subject: str
    finding: str
    summary: t.Sequence[str]
    result: t.Mapping[str, t.Any]


class Record(t.NamedTuple):
    """One result as the store takes it. problem: why it is none; is_usage_error: whether the options are the reason.

    investigation: what an investigation returned, None for any other look.
    """

    result: CapabilityResult
    problem: str | None = None
    is_usage_error: bool = False
    investigation: Investigated | None = None


def of_capability(asked: Asked, hidden: dict[str, t.Any] | None = None) -> list[Record]:
    """Return the records of a capability whose questions have been answered, in the order of its looks.

    hidden: the coverage entry of what no capability sees on the host, None if nothing is out of sight.
    """
    if asked.problem is not None:
        return [_failed(asked.capability, asked.capability, asked.problem, asked.is_usage_error)]
    records = [
        Record(CapabilityResult(asked.capability, (), [not_checked(look.scope, reason)]))
        for look, reason in asked.omitted
    ]
    for question in asked.questions:
        record = of_look(question)
        if record is not None:
            records.append(record)
    if hidden is not None and records:
        records.append(Record(CapabilityResult(asked.capability, (), [hidden])))
    return records


def of_look(question: Question) -> Record | None:
    """Return the record of one look; None for one that has nothing of its own to record."""
    result = question.result or {}
    if not question.look.is_recorded:
        return None
    if result.get("failed"):
        return _failed(question.capability, question.look.scope, reason_of(question, result), _is_usage_error(result))
    # A look that returned no coverage covered nothing.
    recorded = result_of_module(question.capability, {**result, "coverage": result.get("coverage") or ()})
    return Record(recorded, investigation=_investigated(result))


def _investigated(result: t.Mapping[str, t.Any]) -> Investigated | None:
    """Return the investigation of a result, None without one or if it names nothing."""
    # Only an action has it, after it checked what the host returned.
    if "investigated" not in result or not result["investigation"]["nodes"]:
        return None
    about = result["investigated"]
    return Investigated(about["subject"], about["finding"], about["summary"], result["investigation"])


def of_follow_up(question: Question, result: t.Mapping[str, t.Any]) -> list[Record]:
    """Return what is to be recorded of what was done after a look; nothing where it went well."""
    if not result.get("failed"):
        return []
    return [_failed(question.capability, question.look.scope, reason_of(question, result), _is_usage_error(result))]


def refused(record: Record, reason: str) -> Record:
    """Return a record in place of one that the store refused, for the same scopes."""
    capability = record.result.capability
    scopes = [str(entry.get("scope")) for entry in record.result.coverage if isinstance(entry, dict)]
    entries = [not_checked(scope, reason) for scope in scopes or [capability]]
    return Record(CapabilityResult(capability, (), entries), reason)


def noted(found: t.Sequence[Record], notes: t.Sequence[str]) -> list[Record]:
    """Return the records with what is to be noted of the scan itself, in the first coverage entry that there is."""
    marked = list(found)
    for position, record in enumerate(marked if notes else []):
        coverage = record.result.coverage
        if record.problem is None and isinstance(coverage, list) and coverage:
            note = " ".join(filter(None, (coverage[0].get("note"), *(visible(f"{note}.") for note in notes))))
            changed = dataclasses.replace(record.result, coverage=[{**coverage[0], "note": note}, *coverage[1:]])
            marked[position] = record._replace(result=changed)
            break
    return marked


def reason_of(question: Question, failure: t.Mapping[str, t.Any]) -> str:
    return failure_reasons.reason(failure, question.capability, question.look.subject, question.variables)


def _is_usage_error(result: t.Mapping[str, t.Any]) -> bool:
    return bool(result.get("usage_error"))


def _failed(capability: str, scope: str, reason: str, is_usage_error: bool) -> Record:
    return Record(CapabilityResult(capability, (), [not_checked(scope, reason)]), reason, is_usage_error)
