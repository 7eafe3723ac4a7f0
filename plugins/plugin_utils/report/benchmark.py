# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A benchmark added up: its score by section, level and engine, and each control with the engines it was judged on.

*Engine* stands for what a benchmark judges: the subject of its controls, of which a host may have several.
"""

from __future__ import annotations

import collections
import dataclasses
import functools
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils import _control
from ansible_collections.bulwark.servers.plugins.plugin_utils import benchmark_score
from ansible_collections.bulwark.servers.plugins.plugin_utils.benchmarks import Benchmark, Control
from ansible_collections.bulwark.servers.plugins.plugin_utils.report import model, secure_score
from ansible_collections.bulwark.servers.plugins.plugin_utils.report.shown import key

if t.TYPE_CHECKING:
    from ansible_collections.bulwark.servers.plugins.plugin_utils.store.model import (
        BenchmarkRun,
        ControlState,
        Judgement,
    )

STATUS_WORDS: t.Mapping[str, str] = {
    _control.FAILED: "Failed",
    _control.MANUAL: "To be judged",
    _control.NOT_CHECKED: "Not checked",
    _control.EXCEPTED: "Excepted",
    _control.PASSED: "Passed",
    _control.NOT_APPLICABLE: "Not applicable",
}
# Of a control that another version of the collection has judged.
_UNKNOWN_SECTION = "Not in this version"


class Engine(t.NamedTuple):
    """What was judged: a host, and the subject of its controls."""

    host: str
    subject: str


@dataclasses.dataclass(frozen=True)
class Part:
    """How some controls did: of a section, a level, an engine or all.

    of_judged, of_applicable: means of the engines' scores, from 0 to 100, None where nothing was judged or applies.
    counts: of controls on engines, in the order of ``_control.STATUSES``.
    """

    name: str
    of_judged: float | None
    of_applicable: float | None
    counts: tuple[int, ...]

    def count(self, status: str) -> int:
        return self.counts[_control.STATUSES.index(status)]


@dataclasses.dataclass(frozen=True)
class Row:
    """A control with its results, one for each engine; the most urgent first."""

    control: Control
    number: str
    states: tuple[ControlState, ...]

    def engines(self, status: str) -> list[Engine]:
        return [engine(state) for state in self.states if state.status == status]

    @property
    def counts(self) -> list[tuple[str, int]]:
        """The statuses that it has, and how often."""
        found = collections.Counter(state.status for state in self.states)
        return [(status, found[status]) for status in _control.STATUSES if found[status]]

    @property
    def severity(self) -> str:
        """The highest of its failures; without one, what a failure would have."""
        failed = {state.severity for state in self.states if state.status == _control.FAILED}
        return next((severity for severity in model.SEVERITIES if severity in failed), self.control.severity)

    @property
    def urgency(self) -> int:
        """The weight of its failures, on all engines together."""
        failed = (state for state in self.states if state.status == _control.FAILED)
        return sum(benchmark_score.WEIGHTS[state.severity] for state in failed)


@dataclasses.dataclass(frozen=True)
class Sheet:
    """Everything that the report shows of one benchmark. parts of ``engines``: the worst first, by ``Part.name``."""

    benchmark: Benchmark
    editions: tuple[str, ...]
    total: Part
    sections: tuple[Part, ...]
    levels: tuple[Part, ...]
    engines: tuple[tuple[Engine, Part], ...]
    rows: tuple[Row, ...]
    judgements: tuple[Judgement, ...]
    runs: tuple[BenchmarkRun, ...]

    @functools.cached_property
    def states(self) -> tuple[ControlState, ...]:
        return tuple(state for row in self.rows for state in row.states)

    @property
    def hosts(self) -> frozenset[str]:
        return frozenset(engine.host for engine, _part in self.engines)

    @functools.cached_property
    def crowded(self) -> frozenset[str]:
        """The hosts with several engines, which their names alone do not tell apart."""
        engines = collections.Counter(engine.host for engine, _part in self.engines)
        return frozenset(host for host, count in engines.items() if count > 1)

    @property
    def to_do(self) -> list[Row]:
        """The controls that fail: critical ones first, then by the weight of the failures on all engines."""
        failed = [row for row in self.rows if row.urgency]
        return sorted(failed, key=lambda row: (row.severity != "critical", -row.urgency))

    @property
    def waiting(self) -> list[Row]:
        """The controls that a person has to judge on some engine, on the most engines first."""
        waiting = [row for row in self.rows if row.engines(_control.MANUAL)]
        return sorted(waiting, key=lambda row: -len(row.engines(_control.MANUAL)))


def engine(state: ControlState | BenchmarkRun | Judgement) -> Engine:
    return Engine(state.host, state.subject)


def sheets(data: model.ReportData) -> list[Sheet]:
    """Return the benchmarks that anything of the report was judged by."""
    found: dict[str, list[ControlState]] = collections.defaultdict(list)
    for state in data.controls:
        found[state.benchmark].append(state)
    return [
        _sheet(data, data.benchmarks.get(name) or _unknown_benchmark(states[0]), states)
        for name, states in sorted(found.items())
    ]


def judged(data: model.ReportData) -> dict[tuple[str, str], secure_score.Judged]:
    """Return for each host and capability with controls how they did."""
    skipped: dict[tuple[str, str], set[str]] = collections.defaultdict(set)
    for entry in data.coverage:
        skipped[entry.host, entry.capability].update(subject for subject, _reason in entry.skipped)
    return {
        name: secure_score.Judged(
            checked(engines, skipped[name]),
            benchmark_score.mean(map(benchmark_score.of_judged, engines.values())),
        )
        for name, engines in weights(data).items()
    }


def weights(data: model.ReportData) -> dict[tuple[str, str], dict[str, collections.Counter[str]]]:
    """Return the weights of controls by status, for each engine of each host and capability."""
    sums: dict[tuple[str, str], dict[str, collections.Counter[str]]] = {}
    for state in data.controls:
        engines = sums.setdefault((state.host, state.capability), {})
        engines.setdefault(state.subject, collections.Counter())[state.status] += weight(state, data.benchmarks)
    return sums


def weight(state: ControlState, benchmarks: t.Mapping[str, Benchmark]) -> int:
    """Return the weight of a control in the score of its engine."""
    return benchmark_score.WEIGHTS[_severity(state, benchmarks)]


def checked(engines: t.Mapping[str, t.Mapping[str, int]], skipped: t.Collection[str]) -> float:
    """Return the share of a host's controls that were checked, from 0 to 1: the mean of its engines.

    An engine that was skipped has none, whatever an earlier run knew of it. ``PART of ENGINE`` is in its controls.
    """
    parts = tuple(f" of {name}" for name in engines)
    dark = [name for name in skipped if name not in engines and not name.endswith(parts)]
    shares = [0.0 if name in skipped else benchmark_score.checked(weights) for name, weights in engines.items()]
    return sum(shares) / (len(shares) + len(dark))


def _severity(state: ControlState, benchmarks: t.Mapping[str, Benchmark]) -> str:
    known = benchmarks.get(state.benchmark)
    control = known.controls.get(state.control) if known else None
    return control.severity if control else state.severity


def _sheet(data: model.ReportData, benchmark: Benchmark, states: t.Sequence[ControlState]) -> Sheet:
    by_control: dict[str, list[ControlState]] = collections.defaultdict(list)
    for state in states:
        by_control[state.control].append(state)
    rows = [_row(benchmark, same) for same in by_control.values()]
    rows.sort(key=lambda row: (_by_number(row.number), row.control.id))
    sums = _Sums()
    for row in rows:
        for state in row.states:
            sums.add(row.control, state)
    engines = [(found, sums.part(("engine", found), found.host)) for found in sums.engines]
    sections = [*benchmark.sections, *dict.fromkeys(row.control.section for row in rows)]
    return Sheet(
        benchmark=benchmark,
        editions=tuple(sorted({state.edition for state in states}, key=_by_number, reverse=True)),
        total=sums.part(("all",), "All"),
        sections=tuple(
            sums.part(("section", section), _section_words(benchmark, section))
            for section in dict.fromkeys(sections)
            if ("section", section) in sums.weights
        ),
        levels=tuple(
            sums.part(("level", level), f"Level {level}" if level else _UNKNOWN_SECTION)
            for level in sorted({row.control.level for row in rows})
        ),
        engines=tuple(sorted(engines, key=_badness)),
        rows=tuple(rows),
        judgements=tuple(each for each in data.judgements if each.benchmark == benchmark.id),
        runs=tuple(each for each in data.benchmark_runs if each.benchmark == benchmark.id),
    )


class _Sums:
    """Weights and counts of controls, by what they are added up for."""

    def __init__(self) -> None:
        self.engines: dict[Engine, None] = {}
        self.weights: dict[tuple[t.Any, ...], dict[Engine, collections.Counter[str]]] = {}
        self.counts: dict[tuple[t.Any, ...], collections.Counter[str]] = {}

    def add(self, control: Control, state: ControlState) -> None:
        judged = engine(state)
        self.engines[judged] = None
        weight = benchmark_score.WEIGHTS[control.severity]
        for name in (("all",), ("section", control.section), ("level", control.level), ("engine", judged)):
            weights = self.weights.setdefault(name, {})
            weights.setdefault(judged, collections.Counter())[state.status] += weight
            self.counts.setdefault(name, collections.Counter())[state.status] += 1

    def part(self, name: tuple[t.Any, ...], words: str) -> Part:
        weights = self.weights[name].values()
        return Part(
            words,
            percent(benchmark_score.mean(map(benchmark_score.of_judged, weights))),
            percent(benchmark_score.mean(map(benchmark_score.of_applicable, weights))),
            tuple(self.counts[name][status] for status in _control.STATUSES),
        )


def percent(score: float | None) -> float | None:
    """Return a score from 0 to 1 as one from 0 to 100."""
    return None if score is None else 100 * score


def _badness(found: tuple[Engine, Part]) -> tuple[t.Any, ...]:
    """Sort the lowest score first, and last what was not judged at all."""
    name, part = found
    return (part.of_judged is None, part.of_judged or 0, part.of_applicable or 0, name)


def _row(benchmark: Benchmark, states: t.Sequence[ControlState]) -> Row:
    ordered = sorted(states, key=lambda state: (_urgency(state), state.host, state.subject))
    numbers = collections.Counter(state.number for state in states)
    number = min(numbers, key=lambda number: (-numbers[number], number))
    return Row(benchmark.controls.get(states[0].control) or _unknown_control(states[0]), number, tuple(ordered))


def _urgency(state: ControlState) -> tuple[int, int]:
    return _control.STATUSES.index(state.status), model.SEVERITIES.index(state.severity)


def _by_number(number: str) -> tuple[tuple[int, str], ...]:
    """Sort 5.9 before 5.10."""
    return tuple((int(part), "") if part.isdecimal() and len(part) < 10 else (0, part) for part in number.split("."))


def _section_words(benchmark: Benchmark, section: str) -> str:
    return f"{section} {benchmark.sections[section]}" if section in benchmark.sections else _UNKNOWN_SECTION


def _unknown_benchmark(state: ControlState) -> Benchmark:
    title = key(state.benchmark.replace("_", " "))
    return Benchmark(state.benchmark, title, state.capability, (state.edition,), {}, {})


def _unknown_control(state: ControlState) -> Control:
    return Control(
        id=state.control,
        numbers={},
        section="",
        title=key(state.control),
        level=0,
        profile="",
        method="",
        severity=state.severity,
        evidence="",
        parameter=None,
        question=None,
    )
