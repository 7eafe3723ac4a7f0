# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Programs that no allowlist covers as detections: who ran what, from where, and why it is not covered."""

from __future__ import annotations

import posixpath
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils._finding import ALLOWED, BLOCKED, detection
from ansible_collections.bulwark.servers.plugins.module_utils._program import GONE, Program
from ansible_collections.bulwark.servers.plugins.module_utils.app_control.allowlist import Verdict
from ansible_collections.bulwark.servers.plugins.module_utils.app_control.folding import folded
from ansible_collections.bulwark.servers.plugins.module_utils.app_control.judge import STOPPED_ALERT, subject
from ansible_collections.bulwark.servers.plugins.module_utils.app_control.observed import Denials, Execution, Record
from ansible_collections.bulwark.servers.plugins.module_utils.automation.simulated import simulation_of

# OCSF: type_id of a regular file, algorithm_id of SHA-256.
_FILE, _SHA256 = 1, 3
_MOST_ANCESTORS = 8
_MOST_SENTENCES = 8
_SHOWN_PROGRAMS = 5
# Of a process id. int() refuses thousands.
_MOST_DIGITS = 10


class Violation(t.NamedTuple):
    """A program that is not allowed. is_explained: whether known automation ran it, and nobody else."""

    record: Record
    verdict: Verdict
    is_explained: bool

    @property
    def severity(self) -> str | None:
        """Return the severity, None for that of the alert."""
        return "informational" if self.is_explained else self.verdict.severity

    @property
    def disposition(self) -> str:
        """Return whether all that was seen of it was blocked."""
        record = self.record
        has_run = record.new_executions or record.is_running
        return BLOCKED if record.denials.blocked and not has_run else ALLOWED

    @property
    def times(self) -> int:
        """Return how often it ran, or was refused."""
        return max(1, self.record.new_executions + self.record.denials.blocked)


def _simulation(violations: t.Sequence[Violation]) -> str | None:
    """Return the id of the simulation in which all that is new of these programs ran, None without a single one."""
    simulations: set[str] = set()
    for record in (each.record for each in violations):
        if not record.new_executions or record.denials.total or record.is_running:
            return None
        simulated = 0
        for sentence, count in record.explanations.items():
            simulation = simulation_of(sentence) if count > 0 else None
            if simulation is not None:
                simulations.add(simulation)
                simulated += count
        if simulated < record.new_executions:
            return None
    return simulations.pop() if len(simulations) == 1 else None


def violation_detection(violation: Violation, scope: str) -> dict[str, t.Any]:
    """Return the detection of one program."""
    record, verdict = violation.record, violation.verdict
    execution = record.newest_unexplained or record.newest or record.newest_denied
    return detection(
        verdict.alert,
        subject(record.program),
        scope,
        [evidence(record, execution, verdict)],
        severity=violation.severity,
        first_time=execution.time if record.reported and execution else record.first,
        last_time=record.last,
        count=violation.times,
        message=_message(violation, execution),
        disposition=violation.disposition,
        simulation=_simulation([violation]),
    )


def scripts_detection(
    violations: t.Sequence[Violation], about: str, package: str, reason: str, scope: str
) -> dict[str, t.Any]:
    """Return the detection of a package's maintainer scripts, for which nothing vouches. about: the subject."""
    records = [each.record for each in violations]
    evidences = [
        evidence(each.record, each.record.newest or each.record.newest_denied, each.verdict) for each in violations
    ]
    return detection(
        "app_unapproved_script",
        about,
        scope,
        evidences,
        severity="low",
        first_time=min(record.first for record in records),
        last_time=max(record.last for record in records),
        count=sum(each.times for each in violations),
        disposition=_disposition(violations),
        message="Scripts of the package %s ran, for which nothing vouches: %s." % (package, reason),
    )


def directory_detection(directory: str, violations: t.Sequence[Violation], scope: str) -> dict[str, t.Any]:
    """Return the detection of a directory with so many programs that each of them can't be a finding."""
    records = [each.record for each in violations]
    shown = violations[:_SHOWN_PROGRAMS]
    is_explained = all(each.is_explained for each in violations)
    return detection(
        violations[0].verdict.alert,
        folded(directory),
        scope,
        [evidence(each.record, each.record.newest or each.record.newest_denied, each.verdict) for each in shown],
        severity="informational" if is_explained else None,
        first_time=min(record.first for record in records),
        last_time=max(record.last for record in records),
        count=len(records),
        message=_message_of_directory(violations),
        disposition=_disposition(violations),
        simulation=_simulation(violations),
    )


def evidence(record: Record, execution: Execution | None, verdict: Verdict) -> dict[str, t.Any]:
    """Return the OCSF evidence of a program and of one execution of it."""
    program = record.program
    fields: dict[str, t.Any] = {"file": _file(program), "data": _data(record, verdict)}
    if execution is not None:
        fields["process"] = _process(program, execution)
        if execution.user:
            fields["actor"] = {"user": {"name": execution.user}}
    return fields


def _file(program: Program) -> dict[str, t.Any]:
    fields: dict[str, t.Any] = {"name": _name(program.path), "path": program.path, "type_id": _FILE}
    if program.sha256:
        fields["hashes"] = [{"algorithm_id": _SHA256, "algorithm": "SHA-256", "value": program.sha256}]
    if program.owner:
        fields["owner"] = {"name": program.owner}
    if program.content == GONE:
        fields["is_deleted"] = True
    return fields


def _process(program: Program, execution: Execution) -> dict[str, t.Any]:
    path = program.interpreter or program.path
    fields: dict[str, t.Any] = {"name": _name(path), "path": path}
    if execution.pid.isdigit() and len(execution.pid) <= _MOST_DIGITS:
        fields["pid"] = int(execution.pid)
    if execution.cwd:
        fields["working_directory"] = execution.cwd
    session = {"uid": execution.session, "terminal": execution.terminal}
    if any(session.values()):
        fields["session"] = {name: value for name, value in session.items() if value}
    if execution.user:
        fields["user"] = {"name": execution.user}
    above: dict[str, t.Any] | None = None
    for parent in reversed([execution.parent, *execution.ancestors][:_MOST_ANCESTORS]):
        if parent:
            entry: dict[str, t.Any] = {"name": _name(parent), "path": parent}
            above = entry if above is None else {**entry, "parent_process": above}
    if above is not None:
        fields["parent_process"] = above
    return fields


def _data(record: Record, verdict: Verdict) -> dict[str, t.Any]:
    program = record.program
    facts = {name: value for name, value in program._asdict().items() if value and name not in ("path", "owner")}
    explanations = sorted(record.explanations.items(), key=lambda each: -each[1])[:_MOST_SENTENCES]
    return {
        **facts,
        **({"writers": list(program.writers)} if program.writers else {}),
        "reason": verdict.by,
        "executions": record.new_executions,
        "explained": record.new_explained,
        "explanations": [{"by": sentence, "count": count} for sentence, count in explanations],
        "users": list(record.users),
        "parents": list(record.parents),
        "days": len(record.days),
        **_denials(record.denials),
    }


def _denials(denials: Denials) -> dict[str, int]:
    """Return the decisions of fapolicyd, without those that there are none of."""
    return {name: value for name, value in denials._asdict().items() if value and name != "explained"}


def _disposition(violations: t.Sequence[Violation]) -> str:
    return BLOCKED if all(each.disposition == BLOCKED for each in violations) else ALLOWED


def _message_of_directory(violations: t.Sequence[Violation]) -> str:
    number = len(violations)
    if violations[0].verdict.alert == STOPPED_ALERT:
        return "fapolicyd decided against %d files of this directory that should run." % number
    blocked = sum(each.disposition == BLOCKED for each in violations)
    if blocked == number:
        return "fapolicyd blocked %d programs of this directory, which no allowlist has." % number
    text = "%d programs of this directory ran that no allowlist has." % (number - blocked)
    return text + (" fapolicyd blocked %d more." % blocked if blocked else "")


def _message(violation: Violation, execution: Execution | None) -> str:
    record, reason = violation.record, violation.verdict.by
    if violation.verdict.alert == STOPPED_ALERT:
        return _message_of_stopped(record, reason, execution)
    if violation.disposition == BLOCKED:
        how_often = _times(record.denials.blocked)
        return "fapolicyd blocked it %s since the last scan%s: %s." % (how_often, _who(execution, ", tried "), reason)
    text = "It ran %s since the last scan%s: %s." % (_times(record.new_executions), _who(execution), reason)
    if violation.is_explained and record.explanations:
        text += " %s explains it." % max(record.explanations, key=lambda each: record.explanations[each]).rstrip(".")
    if record.denials.blocked:
        text += " fapolicyd blocked it %s." % _times(record.denials.blocked)
    if record.denials.rehearsed:
        text += " fapolicyd would have blocked it %s if it were not permissive." % _times(record.denials.rehearsed)
    return text


def _message_of_stopped(record: Record, reason: str, execution: Execution | None) -> str:
    """Return what an administrator has to know whose program does not run."""
    denials = record.denials
    decided = "blocked it %s" % _times(denials.blocked)
    if not denials.blocked:
        decided = "would have blocked it %s, if it were not permissive," % _times(denials.rehearsed)
    rule = " (rule %d of compiled.rules)" % denials.rule if denials.rule else ""
    who = _who(execution, ", tried ")
    return "fapolicyd %s since the last scan%s%s, though it should run: %s." % (decided, rule, who, reason)


def _times(count: int) -> str:
    return "once" if count <= 1 else "%d times" % count


def _who(execution: Execution | None, verb: str = " ") -> str:
    """Return who ran something, from where, as the middle of a sentence."""
    if execution is None:
        return ""
    by = "%sby %s" % (verb, execution.user) if execution.user else ""
    where = " in %s" % execution.cwd if execution.cwd else ""
    parent = ", started by %s" % execution.parent if execution.parent else ""
    return by + where + parent


def _name(path: str) -> str:
    return posixpath.basename(path) or path
