# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The severity-over-time picture: active findings by severity, from each finding's own status history.

Steps, not slopes: between two runs nothing is known to have changed, so nothing is drawn as if it had.
"""

from __future__ import annotations

import dataclasses
import typing as t

from ansible_collections.bulwark.servers.plugins.plugin_utils.report import model

if t.TYPE_CHECKING:
    from ansible_collections.bulwark.servers.plugins.plugin_utils.store import HistoryEntry, Run

WIDTH, HEIGHT = 720, 200
_POINTS = 120
_LAST = 48


class _Timed(t.Protocol):
    @property
    def time(self) -> float: ...


Moment = t.TypeVar("Moment", bound=_Timed)


@dataclasses.dataclass(frozen=True)
class Point:
    """How many findings of each severity (in the order of ``model.SEVERITIES``) were active from this time on."""

    time: float
    counts: tuple[int, ...]

    @property
    def total(self) -> int:
        return sum(self.counts)


@dataclasses.dataclass(frozen=True)
class Picture:
    """areas: (severity, path data of an SVG ``<path>``), the most severe at the bottom. top: the count there, even."""

    points: tuple[Point, ...]
    areas: tuple[tuple[str, str], ...]
    top: int


def points(histories: t.Iterable[t.Sequence[HistoryEntry]], runs: t.Iterable[Run]) -> tuple[Point, ...]:
    """Return the active findings over time, oldest first, at most ``_POINTS`` moments.

    A run is a moment too, also when it changed nothing: that nothing was found then is worth seeing.
    """
    changes: dict[float, list[int]] = {run.started: [0] * len(model.SEVERITIES) for run in runs}
    for history in histories:
        before = None
        for entry in history:
            deltas = changes.setdefault(entry.time, [0] * len(model.SEVERITIES))
            for severity, delta in ((before, -1), (entry.after, 1)):
                if severity is not None:
                    deltas[model.SEVERITIES.index(severity)] += delta
            before = entry.after
    timeline = []
    counts = [0] * len(model.SEVERITIES)
    for time in sorted(changes):
        counts = [count + delta for count, delta in zip(counts, changes[time], strict=True)]
        timeline.append(Point(time, tuple(counts)))
    return tuple(thinned(timeline))


def thinned(timeline: list[Moment]) -> list[Moment]:
    """Keep the last moment of each of ``_POINTS`` equal spans: the picture has no room for more."""
    if len(timeline) <= _POINTS:
        return timeline
    start, span = timeline[0].time, (timeline[-1].time - timeline[0].time) / _POINTS
    last_points = {min(int((point.time - start) / span), _POINTS - 1): point for point in timeline}
    return list(last_points.values())


def picture(timeline: tuple[Point, ...]) -> Picture | None:
    """Return the stacked areas, or None when there is no time to show."""
    if len(timeline) < 2:
        return None
    most = max(point.total for point in timeline)
    top = max(2, most + most % 2)
    scale = HEIGHT / top
    steps = edges([point.time for point in timeline])
    base = [0] * len(timeline)
    areas = []
    for column, severity in enumerate(model.SEVERITIES):
        above = [below + point.counts[column] for below, point in zip(base, timeline, strict=True)]
        if above != base:
            path = _area(steps, [HEIGHT - y * scale for y in base], [HEIGHT - y * scale for y in above])
            areas.append((severity, path))
        base = above
    return Picture(timeline, tuple(areas), top)


def edges(times: t.Sequence[float]) -> list[float]:
    """Return where the steps of two or more times begin, and where the last one ends.

    The picture depends on what is stored alone, not on the clock: the last step, which is how things are now, takes a
    fixed part of the width.
    """
    start, last = times[0], times[-1]
    return [(time - start) / (last - start) * (WIDTH - _LAST) for time in times] + [WIDTH]


def _area(steps: list[float], lower: list[float], upper: list[float]) -> str:
    forth = [f"H{right:.1f}V{y:.1f}" for right, y in zip(steps[1:], [*upper[1:], upper[-1]], strict=True)]
    back = [f"H{left:.1f}V{y:.1f}" for left, y in zip(steps[-2::-1], [*lower[-2::-1], lower[0]], strict=True)]
    return f"M0 {upper[0]:.1f}{''.join(forth)}V{lower[-1]:.1f}{''.join(back)}Z"
