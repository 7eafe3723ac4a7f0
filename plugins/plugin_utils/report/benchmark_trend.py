# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A benchmark's score over time, as steps: between two runs nothing is known to have changed."""

from __future__ import annotations

import dataclasses
import typing as t

from ansible_collections.bulwark.servers.plugins.plugin_utils import benchmark_score
from ansible_collections.bulwark.servers.plugins.plugin_utils.report import benchmark, trend
from ansible_collections.bulwark.servers.plugins.plugin_utils.report.benchmark import Engine, Sheet, engine

if t.TYPE_CHECKING:
    from ansible_collections.bulwark.servers.plugins.plugin_utils.store.model import BenchmarkRun


@dataclasses.dataclass(frozen=True)
class Point:
    """The scores from this time on, from 0 to 100; None for none. engines: how many they are the mean of."""

    time: float
    of_judged: float | None
    of_applicable: float | None
    engines: int


@dataclasses.dataclass(frozen=True)
class Picture:
    """of_judged, of_applicable: path data of an SVG ``<path>``, empty without a score."""

    points: tuple[Point, ...]
    of_judged: str
    of_applicable: str


def points(sheet: Sheet) -> tuple[Point, ...]:
    """Return the scores over time, oldest first; each time is a run of one or more hosts.

    An engine counts with its newest score. One that is gone counts until the next run of its host.
    """
    present = {found for found, _part in sheet.engines}
    # The hosts of one run are recorded one after the other.
    started: dict[str, float] = {}
    for run in sheet.runs:
        started[run.run_id] = min(run.time, started.get(run.run_id, run.time))
    by_time: dict[float, list[BenchmarkRun]] = {}
    for run in sheet.runs:
        by_time.setdefault(started[run.run_id], []).append(run)
    newest: dict[Engine, BenchmarkRun] = {}
    timeline = []
    for time in sorted(by_time):
        hosts = {run.host for run in by_time[time]}
        newest = {name: run for name, run in newest.items() if name in present or name.host not in hosts}
        newest |= {engine(run): run for run in by_time[time]}
        weights = [run.weights for run in newest.values()]
        timeline.append(
            Point(
                time,
                benchmark.percent(benchmark_score.mean(map(benchmark_score.of_judged, weights))),
                benchmark.percent(benchmark_score.mean(map(benchmark_score.of_applicable, weights))),
                len(newest),
            )
        )
    return tuple(trend.thinned(timeline))


def picture(timeline: tuple[Point, ...]) -> Picture | None:
    """Return two lines, or None when there is no time to show. The last step takes a fixed part of the width."""
    if len(timeline) < 2:
        return None
    edges = trend.edges([point.time for point in timeline])
    return Picture(
        timeline,
        _line(edges, [point.of_judged for point in timeline]),
        _line(edges, [point.of_applicable for point in timeline]),
    )


def _line(edges: t.Sequence[float], scores: t.Sequence[float | None]) -> str:
    path = ""
    is_drawing = False
    for left, right, score in zip(edges, edges[1:], scores, strict=False):
        if score is not None:
            y = trend.HEIGHT * (1 - score / 100)
            path += f"{'V' if is_drawing else f'M{left:.1f} '}{y:.1f}H{right:.1f}"
        is_drawing = score is not None
    return path
