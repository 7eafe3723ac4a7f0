# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the template is given of each benchmark."""

from __future__ import annotations

import functools
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils import _control
from ansible_collections.bulwark.servers.plugins.plugin_utils import benchmark_score
from ansible_collections.bulwark.servers.plugins.plugin_utils.report import (
    benchmark,
    benchmark_data,
    benchmark_tables,
    benchmark_trend,
    model,
    trend,
)
from ansible_collections.bulwark.servers.plugins.plugin_utils.report.shown import counted, format_time

LIMIT = 100
TO_DO_LIMIT = 10
ENGINE_LIMIT = 10
CHANGE_LIMIT = 10
UNCHECKED_LIMIT = 12
NUMBER_LIMIT = 20

METHOD_WORDS = {
    "machine": "Judged from what the host shows.",
    "parameter": "Judged with a variable that says what you want.",
    "person": "Judged by a person.",
}


def context(data: model.ReportData, sheets: t.Sequence[benchmark.Sheet]) -> dict[str, t.Any]:
    """Return the names that the template of the benchmarks uses."""
    return {
        "sheets": sheets,
        "benchmarks": [_benchmark(data, sheet) for sheet in sheets],
        "status_words": benchmark.STATUS_WORDS,
        "control_statuses": _control.STATUSES,
        "method_words": METHOD_WORDS,
        "weights": [(severity, benchmark_score.WEIGHTS[severity]) for severity in model.SEVERITIES],
        "trend_size": (trend.WIDTH, trend.HEIGHT),
        "benchmark_limit": LIMIT,
        "engine_limit": ENGINE_LIMIT,
        "change_limit": CHANGE_LIMIT,
        "unchecked_limit": UNCHECKED_LIMIT,
        "number_limit": NUMBER_LIMIT,
        "example_limit": benchmark_tables.EXAMPLES_SHOWN,
    }


def _benchmark(data: model.ReportData, sheet: benchmark.Sheet) -> dict[str, t.Any]:
    timeline = benchmark_trend.points(sheet)
    picture = benchmark_trend.picture(timeline)
    to_do = sheet.to_do
    changes = benchmark_tables.changes(sheet)
    shown, folded = benchmark_tables.split(changes, CHANGE_LIMIT)
    engine_changes = benchmark_tables.engine_changes(sheet)
    return {
        "sheet": sheet,
        "title": title(sheet),
        "about": about(sheet),
        "to_do": to_do[:TO_DO_LIMIT],
        "ranks": {row.control.id: at for at, row in enumerate(to_do)},
        "to_do_more": len(to_do) - TO_DO_LIMIT,
        "nothing_to_do": _nothing_to_do(sheet.total),
        "engine_words": functools.partial(benchmark_tables.engine_words, crowded=sheet.crowded),
        "changes": shown,
        "folded_changes": folded,
        "engine_changes": engine_changes,
        "changes_words": benchmark_tables.change_words(changes),
        "is_first": not _has_run_before(sheet) and not engine_changes,
        "unchecked": benchmark_tables.unchecked(sheet),
        "excepted": benchmark_tables.excepted(sheet),
        "judged": benchmark_tables.judged(sheet, data.generated),
        "held": benchmark_data.held(sheet),
        "picture": picture,
        "picture_words": _picture_words(picture),
    }


def title(sheet: benchmark.Sheet) -> str:
    """Return the name of a benchmark with its editions."""
    return f"{sheet.benchmark.title} {', '.join(sheet.editions)}"


def about(sheet: benchmark.Sheet) -> str:
    """Return how much was judged, and when."""
    engines = counted(len(sheet.engines), "engine")
    times = [state.time for state in sheet.states]
    first, last = format_time(min(times)), format_time(max(times))
    when = f"{last} UTC" if first == last else f"{first} to {last} UTC"
    return f"{engines} on {counted(len(sheet.hosts), 'host')}, judged {when}"


def sentences(data: model.ReportData) -> list[str]:
    """Return for each benchmark its scores and what is left to do, for a terminal."""
    return [
        f"{title(sheet)}, {counted(len(sheet.engines), 'engine')}: {score_words(sheet.total)}. {_left(sheet)}"
        for sheet in benchmark.sheets(data)
    ]


def _has_run_before(sheet: benchmark.Sheet) -> bool:
    return any(state.previous_status is not None for state in sheet.states)


def _left(sheet: benchmark.Sheet) -> str:
    failed, waiting, dark = (
        sheet.total.count(status) for status in (_control.FAILED, _control.MANUAL, _control.NOT_CHECKED)
    )
    better = sum(len(change.engines) for change in benchmark_tables.changes(sheet) if change.is_better)
    parts = [
        f"{failed:,} failed",
        *([f"{better:,} {'fails' if better == 1 else 'fail'} no longer"] if _has_run_before(sheet) else []),
        f"{waiting:,} {'waits' if waiting == 1 else 'wait'} for a person",
        f"{dark:,} could not be checked",
    ]
    return f"{', '.join(parts)}."


def _nothing_to_do(part: benchmark.Part) -> str:
    dark = part.count(_control.NOT_CHECKED)
    return f"No control is known to fail, and {dark:,} could not be checked." if dark else "No control fails."


def score_words(part: benchmark.Part) -> str:
    """Return both scores in words."""
    if part.of_applicable is None:
        return "no control applies"
    judged = "nothing was judged" if part.of_judged is None else f"{part.of_judged:.0f} of 100 of what was judged"
    return f"{judged}, {part.of_applicable:.0f} of 100 of what applies"


def _picture_words(picture: benchmark_trend.Picture | None) -> str:
    if picture is None:
        return "One run is recorded; the picture starts with the second."
    first, last = picture.points[0], picture.points[-1]
    return (
        f"Score from {format_time(first.time)} to {format_time(last.time)} UTC:"
        f" of what was judged {_number(first.of_judged)} to {_number(last.of_judged)},"
        f" of what applies {_number(first.of_applicable)} to {_number(last.of_applicable)}."
    )


def _number(score: float | None) -> str:
    return "none" if score is None else f"{score:.0f}"
