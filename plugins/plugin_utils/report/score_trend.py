# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Compute the secure score at the end of each run, and the present one, by the rules of ``secure_score``.

At any time the newest coverage of each host and capability counts, the findings that were active then, and the newest
results of a benchmark. A host or capability counts from its first run on.
"""

from __future__ import annotations

import collections
import dataclasses
import itertools
import typing as t

from ansible_collections.bulwark.servers.plugins.plugin_utils import benchmark_score
from ansible_collections.bulwark.servers.plugins.plugin_utils.report import benchmark, model, secure_score, trend

if t.TYPE_CHECKING:
    from ansible_collections.bulwark.servers.plugins.plugin_utils.store import BenchmarkRun, HistoryEntry, Run
    from ansible_collections.bulwark.servers.plugins.plugin_utils.store.coverage_history import Look

# Results of all runs together. It is enough for 50 runs of a thousand hosts with ten capabilities.
_ROOM = 500_000
# Databases limit the number of parameters of a query.
_MOST_RUNS = 2_000
# A smaller change counts as unchanged.
LEAST = 0.05

Pair = tuple[str, str]


class Point(t.NamedTuple):
    """The score from this time on, from 0 to 100."""

    time: float
    score: float


@dataclasses.dataclass(frozen=True)
class Picture:
    """The score over time as a drawing. line: path data of an SVG ``<path>``."""

    points: tuple[Point, ...]
    line: str


def chosen(runs: t.Iterable[Run], now: float) -> list[Run]:
    """Return the newest runs within the limits, oldest first, without runs of the future."""
    newest = sorted((run for run in runs if run.started <= now), key=lambda run: -run.started)[:_MOST_RUNS]
    sizes = itertools.accumulate(sum(run.statuses.values()) for run in newest)
    return [run for run, size in zip(newest, sizes, strict=True) if size <= _ROOM][::-1]


def points(
    runs: t.Sequence[Run],
    looks: t.Iterable[Look],
    findings: t.Iterable[tuple[Pair, t.Sequence[HistoryEntry]]],
    results: t.Iterable[BenchmarkRun],
    now: float,
) -> tuple[Point, ...]:
    """Return the score at the end of each run, and the one now as the last.

    runs: oldest first. looks: of these runs and the newest of each host and capability, oldest first. findings: host
    and capability with the history of each finding whose severity counts. results: of benchmarks.
    """
    state = _State()
    changes = _Pending((change.time, change.make) for change in sorted(_changes(findings, results), key=_time))
    covered = _Pending((look.time, _look(look)) for look in looks)
    # A mapping by time merges runs that ended at the same time.
    timeline: dict[float, float | None] = {}
    ends = sorted(run.finished or run.started for run in runs)
    for time in ends:
        changes.apply(state, time)
        covered.apply(state, time)
        timeline[time] = state.score()
    # Later changes get a point at their own time, so that a report does not depend on when it is written.
    since = max(changes.apply(state, now), covered.apply(state, now))
    if since > (ends[-1] if ends else 0):
        timeline[since] = state.score()
    return tuple(Point(time, score) for time, score in timeline.items() if score is not None)


class _Change(t.NamedTuple):
    time: float
    make: t.Callable[[_State], None]


def _time(change: _Change) -> float:
    return change.time


class _Pending:
    """Pending changes in the order of their times."""

    def __init__(self, changes: t.Iterable[tuple[float, t.Callable[[_State], None]]]) -> None:
        self._changes = iter(changes)
        self._next = next(self._changes, None)

    def apply(self, state: _State, until: float) -> float:
        """Apply the changes until a time, and return the time of the last one, 0 for none."""
        time = 0.0
        while self._next is not None and self._next[0] <= until:
            time, make = self._next
            make(state)
            self._next = next(self._changes, None)
        return time


def picture(timeline: tuple[Point, ...]) -> Picture | None:
    """Return the drawing, None for fewer than two points."""
    timeline = tuple(trend.thinned(list(timeline)))
    if len(timeline) < 2:
        return None
    edges = trend.edges([point.time for point in timeline])
    heights = [trend.HEIGHT * (1 - point.score / 100) for point in timeline]
    steps = [f"V{y:.1f}H{right:.1f}" for right, y in zip(edges[1:], heights, strict=True)]
    return Picture(timeline, f"M0 {heights[0]:.1f}{''.join(steps)}")


def before_last_run(timeline: t.Sequence[Point], runs: t.Iterable[Run], now: float) -> Point | None:
    """Return the score at the end of the second newest run, None without such a run."""
    ends = sorted(run.finished or run.started for run in runs if run.started <= now)
    if len(ends) < 2:
        return None
    return next((point for point in reversed(timeline) if point.time <= ends[-2]), None)


def _changes(
    findings: t.Iterable[tuple[Pair, t.Sequence[HistoryEntry]]], results: t.Iterable[BenchmarkRun]
) -> t.Iterator[_Change]:
    for pair, history in findings:
        before = None
        for entry in history:
            if entry.after != before:
                yield _Change(entry.time, _severity_change(pair, before, entry.after))
            before = entry.after
    for result in results:
        yield _Change(result.time, _result(result))


def _severity_change(pair: Pair, before: str | None, after: str | None) -> t.Callable[[_State], None]:
    return lambda state: state.finding(pair, before, after)


def _look(look: Look) -> t.Callable[[_State], None]:
    return lambda state: state.look(look)


def _result(result: BenchmarkRun) -> t.Callable[[_State], None]:
    return lambda state: state.result(result)


class _State:
    """Everything that the score depends on, at one time."""

    def __init__(self) -> None:
        self._looks: dict[Pair, Look] = {}
        self._active: dict[Pair, collections.Counter[str]] = collections.defaultdict(collections.Counter)
        self._engines: dict[Pair, dict[str, BenchmarkRun]] = collections.defaultdict(dict)
        self._scores: dict[Pair, float] = {}
        self._changed: set[Pair] = set()

    def look(self, look: Look) -> None:
        self._looks[look.host, look.capability] = look
        self._changed.add((look.host, look.capability))

    def finding(self, pair: Pair, before: str | None, after: str | None) -> None:
        for severity, number in ((before, -1), (after, 1)):
            if severity is not None:
                self._active[pair][severity] += number
        self._changed.add(pair)

    def result(self, result: BenchmarkRun) -> None:
        pair = (result.host, result.capability)
        engines = self._engines[pair]
        # The next run has all engines of its host, so engines that it lacks are gone.
        for name in [name for name, known in engines.items() if known.run_id != result.run_id]:
            del engines[name]
        engines[result.subject] = result
        self._changed.add(pair)

    def score(self) -> float | None:
        for pair in self._changed:
            self._scores[pair] = self._score(pair)
        self._changed = set()
        counting = [pair for pair in self._scores if pair in self._looks or +self._active[pair]]
        if not counting:
            return None
        hosts, capabilities = {host for host, _name in counting}, {name for _host, name in counting}
        return sum(self._scores[pair] for pair in counting) / (len(hosts) * len(capabilities))

    def _score(self, pair: Pair) -> float:
        look = self._looks.get(pair)
        if look is None:
            return 0.0
        judged = self._judged(pair, look.skipped)
        numbers = zip(model.COVERAGE_STATUSES, (look.checked, look.partial, look.not_checked), strict=True)
        earned = [secure_score.credit(status, judged) for status, number in numbers for _scope in range(number)]
        active = [severity for severity, number in self._active[pair].items() if number > 0]
        health = min([secure_score.own_health(judged), *(secure_score.HEALTH[severity] for severity in active)])
        return secure_score.control(earned, health).score

    def _judged(self, pair: Pair, skipped: t.Collection[str]) -> secure_score.Judged | None:
        engines = {name: run.weights for name, run in self._engines[pair].items()}
        if not engines:
            return None
        health = benchmark_score.mean(map(benchmark_score.of_judged, engines.values()))
        return secure_score.Judged(benchmark.checked(engines, skipped), health)
