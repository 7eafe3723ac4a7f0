# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the template is given: the report's data, added up and cut to what a page can hold."""

from __future__ import annotations

import typing as t

from ansible_collections.bulwark.servers.plugins.plugin_utils import capabilities, finding_commands
from ansible_collections.bulwark.servers.plugins.plugin_utils.ocsf.statuses import ACTIVE, STATUSES
from ansible_collections.bulwark.servers.plugins.plugin_utils.report import (
    alike,
    app_control_tables,
    benchmark,
    benchmark_view,
    cards,
    coverage,
    explained,
    model,
    openings,
    score_view,
    secure_score,
    summary,
    trend,
    upgrades,
)
from ansible_collections.bulwark.servers.plugins.plugin_utils.report.shown import (
    capability_name,
    counted,
    format_time,
    listed,
    visible,
)

_STATIC_LIMIT = 50
_ATTENTION_LIMIT = 8
_HOST_LIMIT = 100
_MATRIX_LIMIT = 60
# With more capabilities a column for each is wider than most windows.
_WIDE_FROM = 6
_GAP_LIMIT = 60
_EXPLAINED_LIMIT = 300
_RUN_LIMIT = 20
_SIMULATION_LIMIT = 50
# Characters, as in types.js: a longer text is folded behind its beginning.
_FOLD_LIMIT = 240
_FOLD_PREVIEW = 160

_COVERAGE_WORDS = {
    "checked": "Checked",
    "partial": "Partly",
    "not_checked": "Not checked",
    coverage.NEVER_CHECKED: "Never checked",
    coverage.NEVER: "Never run",
}


def context(data: model.ReportData) -> dict[str, t.Any]:
    """Return the names that the template uses."""
    matrix = coverage.matrix(data.coverage, data.findings)
    listed = summary.ordered(finding for finding in data.findings if data.listed(finding))
    score = summary.score(data)
    sheets = benchmark.sheets(data)
    gaps = coverage.gaps(data.coverage, matrix)
    found, looked = summary.verdict(data, matrix)
    return {
        "data": data,
        "generated": format_time(data.generated),
        "verdict_found": found,
        "verdict_looked": looked,
        "provenance": _provenance(data, matrix),
        "ahead": summary.ahead(data),
        "limits": summary.limits(data),
        "simulated": summary.simulated(data),
        "failed_exports": summary.failed_exports(data),
        "severities": list(zip(model.SEVERITIES, _active_counts(data), strict=True)),
        "statuses": STATUSES,
        "coverage_words": _COVERAGE_WORDS,
        "matrix": matrix,
        "matrix_limit": _MATRIX_LIMIT,
        "wide_from": _WIDE_FROM,
        "alike_cells": coverage.alike_cells,
        "never_run": _never_run(matrix),
        "gaps": coverage.alike_gaps(gaps),
        "gap_limit": _GAP_LIMIT,
        "scope_words": coverage.scope_words,
        "explained": explained.groups(data.coverage),
        "explained_words": explained.sentence(data.coverage),
        "explained_limit": _EXPLAINED_LIMIT,
        **_score(data, score),
        **score_view.context(data, matrix),
        **_attention(data, gaps, sheets),
        **_trend(data),
        **benchmark_view.context(data, sheets),
        **app_control_tables.context(data),
        **upgrades.context(data.upgrades),
        "capability_rows": summary.capability_rows(data, score),
        "host_rows": summary.host_rows(data, score),
        "host_limit": _HOST_LIMIT,
        "cards": [data.cards[finding.uid] for finding in listed if finding.uid in data.cards],
        "findings_total": len(listed),
        "static_limit": _STATIC_LIMIT,
        "fold_limit": _FOLD_LIMIT,
        "fold_preview": _FOLD_PREVIEW,
        "simulation_limit": _SIMULATION_LIMIT,
        "run_limit": _RUN_LIMIT,
        "investigations": data.investigations,
        "openings": openings.rows(data.openings, data.store),
        "store_option": finding_commands.store_option(data.store),
        "opening_limit": openings.LIMIT,
        "empty_card": cards.Card(),
        "empty_alert": cards.alert_text(data, ""),
    }


def _never_run(matrix: coverage.Matrix) -> dict[str, int]:
    """Return the number of hosts on which each capability was never run."""
    numbers = dict.fromkeys(matrix.capabilities, 0)
    for row in matrix.rows:
        for capability, cell in zip(matrix.capabilities, row.cells, strict=True):
            numbers[capability] += len(row.hosts) if cell.status == coverage.NEVER else 0
    return numbers


def _active_counts(data: model.ReportData) -> tuple[int, ...]:
    return summary.severity_counts(finding for finding in data.findings if finding.is_active)


def _provenance(data: model.ReportData, matrix: coverage.Matrix) -> str:
    hosts = sum(len(row.hosts) for row in matrix.rows)
    words = [counted(hosts, "host"), counted(len(matrix.capabilities), "capability", "capabilities")]
    if data.runs:
        words.append(_newest_run(data, matrix))
    return " · ".join(words)


def _newest_run(data: model.ReportData, matrix: coverage.Matrix) -> str:
    """Return when the newest run began and, if it was not about everything, what it was about."""
    newest = data.runs[0]
    about = ""
    # Runs are not limited to the hosts of a report.
    if not data.limits:
        if not set(matrix.capabilities) <= set(newest.capabilities):
            about += f" of {counted(len(newest.capabilities), 'capability', 'capabilities')}"
        if newest.hosts < len(matrix.hosts):
            about += f" on {counted(newest.hosts, 'host')}"
    return f"newest run {format_time(newest.started)} UTC{about}{'' if newest.finished else ', which did not finish'}"


def _score(data: model.ReportData, score: secure_score.SecureScore | None) -> dict[str, t.Any]:
    suppressed = sum(finding.status == "suppressed" for finding in data.findings)
    return {
        "score": score,
        "score_unsuppressed": summary.score(data, (*ACTIVE, "suppressed")),
        "suppressed_count": suppressed,
        "health": [(severity, int(100 * secure_score.HEALTH[severity])) for severity in model.SEVERITIES],
    }


def _attention(
    data: model.ReportData, gaps: t.Sequence[coverage.Gap], sheets: t.Sequence[benchmark.Sheet]
) -> dict[str, t.Any]:
    """Return what to show first: critical and high issues, then what nobody looked at, then medium issues.

    Low and informational ones are only counted, unless there is nothing else. All failures of a benchmark are one
    item, as they would leave no room for anything that happened.
    """
    failing = {row.control.id for sheet in sheets for row in sheet.to_do}
    issues = summary.issues(finding for finding in data.findings if finding.alert not in failing)
    pressing = [issue for issue in issues if issue.severity in ("critical", "high", "medium")]
    blind = [gap for gap in gaps if gap.status != "partial"]
    behind = [sheet for sheet in sheets if sheet.to_do]
    shown = (pressing or ([] if blind or behind else issues))[:_ATTENTION_LIMIT]
    rank = model.SEVERITIES.index
    items: list[tuple[float, dict[str, t.Any]]] = [(rank(issue.severity), _issue_item(data, issue)) for issue in shown]
    items += [(rank(_worst(sheet)) + 0.2, _benchmark_item(sheet)) for sheet in behind]
    if blind:
        items.append((rank("high") + 0.5, _blind_item(blind)))
    items.sort(key=lambda item: item[0])
    return {"attention": [item for _rank, item in items], "attention_more": len(issues) - len(shown)}


def _worst(sheet: benchmark.Sheet) -> str:
    return min((row.severity for row in sheet.to_do), key=model.SEVERITIES.index)


def _benchmark_item(sheet: benchmark.Sheet) -> dict[str, t.Any]:
    to_do = sheet.to_do
    engines = {found for row in to_do for found in row.engines("failed")}
    controls = counted(len(to_do), "control")
    return {
        "kind": "benchmark",
        "sheet": sheet,
        "severity": _worst(sheet),
        "title": f"{controls} of {sheet.benchmark.title} {'fails' if len(to_do) == 1 else 'fail'}"
        f" on {counted(len(engines), 'engine')}",
        "first": to_do[:3],
        "more": len(to_do) - 3,
    }


def _issue_item(data: model.ReportData, issue: summary.Issue) -> dict[str, t.Any]:
    text = cards.alert_text(data, issue.alert)
    return {
        "kind": "issue",
        "issue": issue,
        "title": text["title"],
        "subjects": listed([visible(subject, 120) for subject in issue.subjects], 2),
        "hosts": alike.named([visible(host, 80) for host in issue.hosts], 4),
        "remediation": text["remediation"],
    }


def _blind_item(gaps: t.Sequence[coverage.Gap]) -> dict[str, t.Any]:
    hosts = list(dict.fromkeys(host for gap in gaps for host in gap.hosts))
    # Nobody can make a capability know another platform, so other reasons come first.
    ordered = sorted(gaps, key=lambda gap: not gap.scopes and capabilities.is_unknown_platform(gap.reason))
    same: dict[tuple[tuple[str, ...], str], list[str]] = {}
    for gap in ordered:
        same.setdefault((gap.hosts, gap.reason), []).append(capability_name(gap.capability))
    return {
        "kind": "blind",
        "title": f"{counted(len(hosts), 'host')} {'has' if len(hosts) == 1 else 'have'} a blind spot",
        "reasons": [
            (listed(names, 3), counted(len(where), "host"), visible(reason, 200))
            for (where, reason), names in list(same.items())[:3]
        ],
        "more": len(same) - 3,
        "hosts": alike.named([visible(host, 80) for host in hosts], 6),
    }


def _trend(data: model.ReportData) -> dict[str, t.Any]:
    points = trend.points(map(data.history, data.findings), data.runs)
    picture = trend.picture(points) if len(data.runs) > 1 else None
    if picture is None:
        words = "No run is recorded." if not data.runs else "One run is recorded; the picture starts with the second."
        return {"picture": None, "trend_words": words}
    last = points[-1]
    now = ", ".join(f"{count:,} {name}" for name, count in zip(model.SEVERITIES, last.counts, strict=True) if count)
    words = (
        f"Active findings from {format_time(points[0].time)} to {format_time(last.time)} UTC: at most"
        f" {max(point.total for point in points):,}, at the end {now or 'none'}."
    )
    return {"picture": picture, "trend_words": words}
