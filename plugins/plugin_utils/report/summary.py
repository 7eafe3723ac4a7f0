# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The findings added up: what needs attention first, then by host and by capability."""

from __future__ import annotations

import collections
import dataclasses
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils import _finding
from ansible_collections.bulwark.servers.plugins.plugin_utils.ocsf.host import FLEET
from ansible_collections.bulwark.servers.plugins.plugin_utils.ocsf.statuses import ACTIVE, STATUSES
from ansible_collections.bulwark.servers.plugins.plugin_utils.report import benchmark, coverage, model, secure_score
from ansible_collections.bulwark.servers.plugins.plugin_utils.report.shown import counted, format_time, visible

if t.TYPE_CHECKING:
    from ansible_collections.bulwark.servers.plugins.plugin_utils.store import Finding


@dataclasses.dataclass(frozen=True)
class Issue:
    """Active findings of one alert, which one remedy is likely to serve. fresh: how many the newest run found first."""

    alert: str
    severity: str
    findings: int
    fresh: int
    hosts: tuple[str, ...]
    subjects: tuple[str, ...]
    last_seen: float


@dataclasses.dataclass(frozen=True)
class Row:
    """A host or a capability: its score, active findings by severity (as ``model.SEVERITIES``), and its coverage.

    checked and partly: how many of all its scopes. dark: how many of its controls (a capability on a host) were not
    checked at all, so that their scopes are not known. time: when something was last looked at, 0 for never.
    """

    name: str
    points: secure_score.Points | None
    counts: tuple[int, ...]
    checked: int
    partly: int
    scopes: int
    dark: int
    time: float

    @property
    def total(self) -> int:
        return sum(self.counts)


def simulated(data: model.ReportData) -> str:
    """Return a sentence about simulated attacks, which count nowhere; nothing where there were none."""
    if not data.simulations:
        return ""
    hosts = counted(len({simulation.host for simulation in data.simulations}), "host")
    findings = counted(sum(simulation.findings for simulation in data.simulations), "finding")
    newest = data.simulations[0]
    return (
        f"{counted(len(data.simulations), 'simulation')} on {hosts}, the newest by {visible(newest.by, 80)} at"
        f" {format_time(newest.started)} UTC: {findings} of simulated attacks, resolved and counted nowhere else."
    )


def severity_counts(findings: t.Iterable[Finding]) -> tuple[int, ...]:
    """Return how many findings have each severity, in the order of ``model.SEVERITIES``."""
    counts = collections.Counter(finding.severity for finding in findings)
    return tuple(counts[severity] for severity in model.SEVERITIES)


def score(data: model.ReportData, statuses: t.Container[str] = ACTIVE) -> secure_score.SecureScore | None:
    """Return the secure score where findings of these statuses count."""
    return secure_score.secure_score(
        ((entry.host, entry.capability, entry.status) for entry in data.coverage),
        ((finding.host, finding.capability, finding.severity) for finding in scored(data, statuses)),
        benchmark.judged(data),
    )


def scored(data: model.ReportData, statuses: t.Container[str] = ACTIVE) -> t.Iterator[Finding]:
    """Yield the findings of these statuses that the score counts by their severity."""
    # The score of a benchmark already counts the findings of its controls.
    controls = {(state.host, state.capability, state.control) for state in data.controls}
    for finding in data.findings:
        is_counted = (finding.host, finding.capability, finding.alert) not in controls
        if finding.status in statuses and finding.host != FLEET and is_counted:
            yield finding


def limits(data: model.ReportData) -> str:
    """Return what the report was narrowed to in a sentence, or nothing."""
    if not data.limits:
        return ""
    return f"Limited to {', '.join(f'{name}: {visible(values, 200)}' for name, values in data.limits)}."


def ahead(data: model.ReportData) -> str:
    """Return in a sentence that the clock of some run's controller was fast, or nothing."""
    runs = [run for run in data.runs if run.started > data.generated]
    if not runs:
        return ""
    latest = max(runs, key=lambda run: run.started)
    return (
        f"The store has {counted(len(runs), 'run')} from the future, the latest of {format_time(latest.started)} UTC by"
        f" {visible(latest.controller, 80)}: that controller's clock was fast, or this one's is slow."
    )


def failed_exports(data: model.ReportData) -> list[str]:
    """Return a sentence for each destination that the last export did not reach."""
    return [
        f"The last export to {visible(each.destination, 80)} failed, and {counted(each.waiting, 'change')}"
        f"{f' since {format_time(each.since)} UTC' if each.since else ''} did not arrive yet: "
        f"{visible(each.error, 300).rstrip('.')}."
        for each in data.failed_exports
    ]


def lost(points: secure_score.Points) -> str:
    """Return where the points that are missing from 100 went."""
    return f"{points.lost_to_findings:.1f} lost to findings, {points.lost_to_coverage:.1f} to what was not checked"


def ordered(findings: t.Iterable[Finding]) -> list[Finding]:
    """Return findings as people should read them: active first, then the most severe, new before known, newest."""
    return sorted(
        findings,
        key=lambda finding: (
            not finding.is_active,
            model.SEVERITIES.index(finding.severity),
            STATUSES.index(finding.status),
            -finding.last_seen,
            finding.host,
            finding.subject,
        ),
    )


def issues(findings: t.Iterable[Finding]) -> list[Issue]:
    """Return the active findings by alert: the most severe first, then new before known, then on the most hosts."""
    alike: dict[str, list[Finding]] = collections.defaultdict(list)
    for finding in ordered(finding for finding in findings if finding.is_active):
        alike[finding.alert].append(finding)
    found = [
        Issue(
            alert,
            same[0].severity,
            len(same),
            sum(finding.status == "new" for finding in same),
            tuple(dict.fromkeys(finding.host for finding in same)),
            tuple(dict.fromkeys(finding.subject for finding in same)),
            max(finding.last_seen for finding in same),
        )
        for alert, same in alike.items()
    ]
    rank = model.SEVERITIES.index
    return sorted(found, key=lambda issue: (rank(issue.severity), not issue.fresh, -len(issue.hosts), issue.alert))


def host_rows(data: model.ReportData, points: secure_score.SecureScore | None) -> list[Row]:
    """Return every host of the report, the one with the most severe findings first, then the lowest score."""
    rows = _rows(data, lambda item: item.host, points.hosts if points else {})
    return [row for row in rows if row.name != FLEET]


def capability_rows(data: model.ReportData, points: secure_score.SecureScore | None) -> list[Row]:
    """Return every capability of the report in the same order."""
    return _rows(data, lambda item: item.capability, points.capabilities if points else {})


def _rows(
    data: model.ReportData,
    name: t.Callable[[Finding | model.Coverage], str],
    points: t.Mapping[str, secure_score.Points],
) -> list[Row]:
    active: dict[str, list[Finding]] = collections.defaultdict(list)
    for finding in data.findings:
        active[name(finding)].extend([finding] if finding.is_active else [])
    entries: dict[str, list[model.Coverage]] = collections.defaultdict(list)
    for entry in data.coverage:
        entries[name(entry)].append(entry)
    rows = [
        Row(
            key,
            points.get(key),
            severity_counts(active.get(key, ())),
            sum(entry.status == _finding.CHECKED for entry in entries.get(key, ())),
            sum(entry.status == _finding.PARTIAL for entry in entries.get(key, ())),
            sum(not entry.whole for entry in entries.get(key, ())),
            len(_dark(entries.get(key, ()))),
            max((entry.time or 0 for entry in entries.get(key, ())), default=0.0),
        )
        for key in {*active, *entries}
    ]
    return sorted(
        rows, key=lambda row: (tuple(-count for count in row.counts), row.points.score if row.points else 0, row.name)
    )


def open_at_least(counts: t.Sequence[int]) -> dict[str, int]:
    """Return for each severity how many active findings have it or a higher one."""
    return {severity: sum(counts[: column + 1]) for column, severity in enumerate(model.SEVERITIES)}


def verdict(data: model.ReportData, shown: coverage.Matrix) -> tuple[str, str]:
    """Return in two sentences what was found and how much was looked at; they are only shown together.

    Nothing is called clean while something was not checked.
    """
    if not shown.rows:
        return "Nothing is known.", "No run is recorded here, so nothing was checked."
    active = [finding for finding in data.findings if finding.is_active]
    return _found(active) if active else nothing(data.coverage), looked(data.coverage, shown)


def nothing(entries: t.Iterable[model.Coverage]) -> str:
    """Return what to say without an active finding: that nothing was found, if anything was looked at."""
    seen = any(entry.status != _finding.NOT_CHECKED for entry in entries)
    return "Nothing was found." if seen else "Nothing was checked."


def _found(active: t.Sequence[Finding]) -> str:
    grave = [
        f"{count:,} {severity}"
        for severity, count in zip(model.SEVERITIES, severity_counts(active), strict=True)
        if count and severity in ("critical", "high")
    ]
    many = counted(len(active), "active finding")
    return f"{many}: {', '.join(grave)}." if grave else f"{many}, none critical or high."


def _dark(entries: t.Iterable[model.Coverage]) -> set[tuple[str, str]]:
    """Return the hosts and capabilities of which nothing is known but that they were not checked."""
    return {(entry.host, entry.capability) for entry in entries if entry.whole}


def looked(entries: t.Sequence[model.Coverage], shown: coverage.Matrix) -> str:
    """Return how much was looked at: ``3 of 5 scopes were not checked: auditd is not running.``"""
    total = sum(not entry.whole for entry in entries)
    dark = [entry for entry in entries if entry.status == _finding.NOT_CHECKED]
    part = [entry for entry in entries if entry.status == _finding.PARTIAL]
    words = _gaps(dark, part, total, shown)
    if not words:
        return f"Every scope was checked ({total:,} of {total:,})."
    reasons = collections.Counter(coverage.gap_reason(entry) for entry in dark or part).most_common()
    numbers = f"{', '.join(words[:-1])}{' and ' if words[1:] else ''}{words[-1]}"
    if not reasons:
        return f"{numbers}."
    why = visible(reasons[0][0], 300).rstrip(".")
    if len(words) > 1:
        # After a colon it would be the reason for the last number.
        return f"{numbers}. The most frequent reason: {why}."
    return f"{numbers}: {why}{' (and other reasons)' if len(reasons) > 1 else ''}."


def _gaps(
    dark: t.Sequence[model.Coverage], part: t.Sequence[model.Coverage], total: int, shown: coverage.Matrix
) -> list[str]:
    words = []
    what = ("host", "") if len(shown.capabilities) == 1 else ("capability on a host", "capabilities on hosts")
    unknown = len(_dark(dark))
    if unknown:
        words.append(f"{unknown:,} of {counted(shown.controls, *what)} {_were(unknown)} not checked at all")
    scopes = sum(not entry.whole for entry in dark)
    if scopes:
        words.append(f"{scopes:,} of {counted(total, 'scope')} {_were(scopes)} not checked")
    if part:
        words.append(
            f"{len(part):,}{'' if scopes else ' of ' + counted(total, 'scope')} {_were(len(part))} checked only in part"
        )
    never = sum(len(row.hosts) for row in shown.rows for cell in row.cells if cell.status == coverage.NEVER)
    if never:
        words.append(
            f"{never:,} of {counted(shown.controls, 'capability on a host', 'capabilities on hosts')}"
            f" {_were(never)} never run"
        )
    return words


def _were(number: int) -> str:
    return "was" if number == 1 else "were"
