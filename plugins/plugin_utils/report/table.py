# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The findings and the coverage as lines of plain text, for a terminal or a job's log."""

from __future__ import annotations

import dataclasses
import textwrap
import typing as t

from ansible_collections.bulwark.servers.plugins.plugin_utils.ocsf.statuses import STATUSES
from ansible_collections.bulwark.servers.plugins.plugin_utils.report import alike, coverage, explained, model, summary
from ansible_collections.bulwark.servers.plugins.plugin_utils.report.columns import Column, aligned, wrapped
from ansible_collections.bulwark.servers.plugins.plugin_utils.report.shown import (
    capability_name,
    counted,
    visible,
)

MINIMUM_WIDTH = 60
_MATRIX_LIMIT = 40
_GAP_LIMIT = 40
_STATUS_WORDS = {
    "checked": "checked",
    "partial": "partly",
    "not_checked": "not checked",
    coverage.NEVER_CHECKED: "never checked",
    coverage.NEVER: "never run",
}


@dataclasses.dataclass(frozen=True)
class Row:
    """What the table shows of a finding."""

    severity: str
    status: str
    host: str
    title: str
    subject: str


_FINDING_COLUMNS = (
    Column("SEVERITY", 13),
    Column("STATUS", 10),
    Column("HOST", 28, middle=True),
    Column("FINDING", 60, shrinks=True),
    Column("SUBJECT", 200, shrinks=True, middle=True),
)
_COVERAGE_COLUMNS = (
    Column("HOSTS", 40, middle=True),
    Column("CAPABILITY", 24),
    Column("COVERAGE", 13),
    Column("SCOPES", 12),
    Column("REASON", 200, shrinks=True),
)


def lines(
    rows: t.Sequence[Row], entries: t.Sequence[model.Coverage], width: int = 120, limit: int = 50, unlisted: int = 0
) -> list[str]:
    """Return the table: findings with the most severe first, coverage with reasons, and last what was not checked.

    rows: the findings to show, at most ``limit`` of them; how many more there are is said. unlisted: how many active
    findings were not asked for. No line is wider than ``width`` columns, which are at least ``MINIMUM_WIDTH``.
    """
    width = max(width, MINIMUM_WIDTH)
    matrix = coverage.matrix(entries)
    found = _findings(rows, width, limit) if rows else []
    if unlisted:
        found += textwrap.wrap(f"{counted(unlisted, 'active finding')} not listed here.", width)
    if not entries:
        return _uncovered(found, width)
    return [
        *(found or textwrap.wrap(_nothing(entries, matrix), width)),
        "",
        *_coverage(matrix, width),
        *_explained(entries, width),
        "",
        *_gaps(coverage.gaps(entries, matrix), width),
    ]


def _uncovered(found: t.Sequence[str], width: int) -> list[str]:
    """Return the lines without coverage: findings show that something was looked at, and not how much."""
    if not found:
        return textwrap.wrap("Nothing was found, and no coverage says what was looked at.", width)
    return [
        *found,
        "",
        *textwrap.wrap("No coverage was given: what was looked at, and what was not, is not known.", width),
    ]


def _nothing(entries: t.Sequence[model.Coverage], matrix: coverage.Matrix) -> str:
    return f"{summary.nothing(entries)} {summary.looked(entries, matrix)}"


def _findings(rows: t.Sequence[Row], width: int, limit: int) -> list[str]:
    ordered = sorted(
        rows,
        key=lambda row: (model.SEVERITIES.index(row.severity), STATUSES.index(row.status), row.host, row.subject),
    )
    cells = [(row.severity, row.status, row.host, row.title, row.subject) for row in ordered[:limit]]
    text = aligned(_FINDING_COLUMNS, cells, width)
    if len(ordered) > limit:
        left = [row.severity for row in ordered[limit:]]
        words = ", ".join(f"{left.count(severity):,} {severity}" for severity in model.SEVERITIES if severity in left)
        text += textwrap.wrap(f"and {len(left):,} more: {words}", width)
    return text


def _coverage(matrix: coverage.Matrix, width: int) -> list[str]:
    cells = [
        (
            alike.hosts([visible(host, 60) for host in row.hosts], 2),
            capability_name(capability),
            _STATUS_WORDS[cell.status],
            f"{cell.checked:,} of {cell.scopes:,}" if cell.scopes else "",
            cell.reason or cell.note,
        )
        for row in matrix.rows[:_MATRIX_LIMIT]
        for capability, cell in zip(matrix.capabilities, row.cells, strict=True)
    ]
    text = aligned(_COVERAGE_COLUMNS, cells, width)
    hidden = sum(len(row.hosts) for row in matrix.rows[_MATRIX_LIMIT:])
    return [*text, f"and {counted(hidden, 'host')} with fewer gaps"] if hidden else text


def _explained(entries: t.Sequence[model.Coverage], width: int) -> list[str]:
    words = explained.sentence(entries)
    return ["", *textwrap.wrap(f"{words}; the report lists them.", width)] if words else []


def _left_out(gap: coverage.Gap) -> str:
    """Return how much was left out, and the first of it, where the reason doesn't name it."""
    words = f"{counted(gap.skipped_count, 'subject')} skipped"
    subject = gap.skipped[0][1] if gap.skipped else ""
    if not subject or subject in gap.reason:
        return words
    return f"{words}: {'' if gap.skipped_count == 1 else 'such as '}{visible(subject, 120)}"


def _gaps(gaps: t.Sequence[coverage.Gap], width: int) -> list[str]:
    if not gaps:
        return ["Everything was checked."]
    text = ["Not checked:"]
    for gap in gaps[:_GAP_LIMIT]:
        about = filter(None, (capability_name(gap.capability), coverage.scope_words(gap.scopes, gap.every)))
        part = f" (partly; {_left_out(gap)})" if gap.status == "partial" else ""
        hosts = alike.hosts([visible(host, 60) for host in gap.hosts], 5)
        sentence = f"{hosts}: {', '.join(about)}{part}: {visible(gap.reason, 300)}"
        text += wrapped(sentence, width)
    if len(gaps) > _GAP_LIMIT:
        text.append(f"  and {counted(len(gaps) - _GAP_LIMIT, 'more reason')}")
    return text
