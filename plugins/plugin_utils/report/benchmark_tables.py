# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tables about a benchmark: what changed since the last run, what is excepted, and what people judged."""

from __future__ import annotations

import collections
import dataclasses
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils import _control
from ansible_collections.bulwark.servers.plugins.plugin_utils import benchmark_score
from ansible_collections.bulwark.servers.plugins.plugin_utils.report import alike
from ansible_collections.bulwark.servers.plugins.plugin_utils.report.benchmark import Engine, Row, Sheet, engine
from ansible_collections.bulwark.servers.plugins.plugin_utils.report.shown import listed, visible

if t.TYPE_CHECKING:
    from ansible_collections.bulwark.servers.plugins.plugin_utils.store.model import (
        BenchmarkRun,
        ControlState,
        Judgement,
    )

EXAMPLES_SHOWN = 3


@dataclasses.dataclass(frozen=True)
class Change:
    """A control that got another status on some engines since the run before, or more evidence for the one it has.

    before, after: the statuses, the same for new evidence. items: how many of the listed evidences are new.
    """

    row: Row
    before: str
    after: str
    engines: tuple[Engine, ...]
    items: int

    @property
    def is_new_evidence(self) -> bool:
        return self.before == self.after

    @property
    def is_worse(self) -> bool:
        return self.after == _control.FAILED and not self.is_new_evidence

    @property
    def is_better(self) -> bool:
        """Whether a failure is gone; one that could not be checked again may still be there."""
        return self.before == _control.FAILED and self.after not in (_control.FAILED, _control.NOT_CHECKED)


@dataclasses.dataclass(frozen=True)
class EngineChange:
    """An engine that no run before judged, or that is judged no longer. failed: how many controls, when last judged."""

    engine: Engine
    is_new: bool
    failed: int
    time: float


@dataclasses.dataclass(frozen=True)
class Unchecked:
    """Controls that could not be checked for one reason."""

    reason: str
    rows: tuple[Row, ...]
    engines: tuple[Engine, ...]


@dataclasses.dataclass(frozen=True)
class Excepted:
    """What exceptions cover of a control. count: exact. reasons, examples, ends: of the listed evidences."""

    row: Row
    count: int
    engines: tuple[Engine, ...]
    reasons: tuple[str, ...]
    examples: tuple[str, ...]
    ends: tuple[str, ...]


@dataclasses.dataclass(frozen=True)
class Judged:
    """A person's judgement. state: whether it counts, in words."""

    number: str
    title: str
    judgement: Judgement
    state: str
    is_in_force: bool


def changes(sheet: Sheet) -> list[Change]:
    """Return what changed since the run before: what fails now, what fails no longer, and last new evidence."""
    found: dict[tuple[str, str, str], list[ControlState]] = collections.defaultdict(list)
    rows = {row.control.id: row for row in sheet.rows}
    for state in sheet.states:
        if state.previous_status is None:
            continue
        if state.previous_status != state.status or (state.status == _control.FAILED and new_items(state)):
            found[state.control, state.previous_status, state.status].append(state)
    changed = [
        Change(rows[control], before, after, tuple(map(engine, same)), sum(map(new_items, same)))
        for (control, before, after), same in found.items()
    ]
    return sorted(changed, key=_urgency)


def new_items(state: ControlState) -> int:
    """Return how many of the listed evidences the run before did not have; a first run has nothing to compare."""
    return 0 if state.previous_status is None else sum(bool(item.get("is_new")) for item in state.evidences)


def _urgency(change: Change) -> tuple[bool, bool, bool, int, int]:
    weight = benchmark_score.WEIGHTS[change.row.severity] * len(change.engines)
    return (
        change.is_new_evidence,
        not change.is_worse,
        not change.is_better,
        _control.STATUSES.index(change.after),
        -weight,
    )


def split(changed: t.Sequence[Change], limit: int) -> tuple[list[Change], list[Change]]:
    """Return what to show at once and what to fold: what fails now hides nothing of what fails no longer."""
    worse = [change for change in changed if change.is_worse]
    better = [change for change in changed if change.is_better]
    others = [change for change in changed if not change.is_worse and not change.is_better]
    shown = [*worse[:limit], *better[:limit]]
    room = max(0, limit - len(shown))
    return [*shown, *others[:room]], [*worse[limit:], *better[limit:], *others[room:]]


def engine_changes(sheet: Sheet) -> list[EngineChange]:
    """Return the engines that the run before of their host did not judge, then those that only it did."""
    first = min(sheet.runs, key=lambda run: run.time, default=None)
    states: dict[Engine, list[ControlState]] = collections.defaultdict(list)
    for state in sheet.states:
        states[engine(state)].append(state)
    new = [
        EngineChange(name, True, sum(state.status == _control.FAILED for state in same), same[0].time)
        for name, same in states.items()
        if first is not None
        and first.time < same[0].time
        and first.run_id != same[0].run_id
        and all(state.previous_status is None for state in same)
    ]
    gone = [
        EngineChange(engine(run), False, run.statuses.get(_control.FAILED, 0), run.time)
        for run in _runs_before(sheet)
        if engine(run) not in states
    ]
    return [*sorted(new, key=lambda change: (-change.failed, change.engine)), *sorted(gone, key=lambda c: c.engine)]


def _runs_before(sheet: Sheet) -> list[BenchmarkRun]:
    """Return what the last two runs of each host knew: one that is gone now was in the newest or in the one before."""
    times: dict[str, dict[str, float]] = collections.defaultdict(dict)
    for run in sheet.runs:
        times[run.host][run.run_id] = max(run.time, times[run.host].get(run.run_id, run.time))
    latest = {host: sorted(runs, key=runs.__getitem__)[-2:] for host, runs in times.items()}
    newest: dict[Engine, BenchmarkRun] = {}
    for run in sorted(sheet.runs, key=lambda run: run.time):
        if run.run_id in latest[run.host]:
            newest[engine(run)] = run
    return list(newest.values())


def change_words(changed: t.Sequence[Change]) -> str:
    """Return in a sentence how many results changed, and in which direction."""
    statuses = [change for change in changed if not change.is_new_evidence]
    worse = sum(len(change.engines) for change in statuses if change.is_worse)
    # What could not be checked may fail as before.
    dark = sum(len(change.engines) for change in statuses if change.after == _control.NOT_CHECKED)
    better = sum(len(change.engines) for change in statuses if change.is_better)
    others = sum(len(change.engines) for change in statuses) - worse - dark - better
    more = sum(len(change.engines) for change in changed if change.is_new_evidence)
    parts = [
        (worse, "fails now", "fail now"),
        (dark, "could not be checked", "could not be checked"),
        (better, "fails no longer", "fail no longer"),
        (others, "has another status", "have another status"),
        (more, "failed before and has new evidence", "failed before and have new evidence"),
    ]
    words = [f"{count:,} {one if count == 1 else many}" for count, one, many in parts if count]
    return f"Results of a control on an engine: {'; '.join(words)}."


def unchecked(sheet: Sheet) -> list[Unchecked]:
    """Return why controls could not be checked; first what most results have in common."""
    found: dict[str, list[tuple[Row, ControlState]]] = collections.defaultdict(list)
    for row in sheet.rows:
        for state in row.states:
            if state.status == _control.NOT_CHECKED:
                found[alike.reason(state.host, state.reason)].append((row, state))
    ordered = sorted(found.items(), key=lambda item: (-len(item[1]), item[0]))
    return [
        Unchecked(
            reason,
            tuple({row.control.id: row for row, _state in same}.values()),
            tuple(dict.fromkeys(engine(state) for _row, state in same)),
        )
        for reason, same in ordered
    ]


def excepted(sheet: Sheet) -> list[Excepted]:
    """Return the controls with exceptions, in their order."""
    found = []
    for row in sheet.rows:
        states = [state for state in row.states if state.excepted_count]
        items = [item for state in states for item in state.excepted]
        if states:
            found.append(
                Excepted(
                    row,
                    sum(state.excepted_count for state in states),
                    tuple(map(engine, states)),
                    tuple(dict.fromkeys(str(item.get("exception") or "") for item in items)),
                    tuple(dict.fromkeys(str(item.get("name") or "") for item in items)),
                    ends(items),
                )
            )
    return found


def ends(items: t.Iterable[t.Mapping[str, t.Any]]) -> tuple[str, ...]:
    """Return the last days of the exceptions that cover some items: the next first, and no end last."""
    return tuple(sorted({str(item.get("until") or "no end") for item in items}))


def judged(sheet: Sheet, now: float) -> list[Judged]:
    """Return what people judged: what counts first, then the newest."""
    rows = {row.control.id: row for row in sheet.rows}
    states = {(state.control, engine(state)): state for state in sheet.states}
    found = []
    for judgement in sheet.judgements:
        row = rows.get(judgement.control)
        number, title = (row.number, row.control.title) if row else ("", judgement.control)
        state = states.get((judgement.control, engine(judgement)))
        found.append(Judged(number, title, judgement, _standing(judgement, state, now), _counts(judgement, state)))
    return sorted(found, key=lambda each: (not each.is_in_force, -each.judgement.created))


def _counts(judgement: Judgement, state: ControlState | None) -> bool:
    """Return whether a judgement is the one that the newest result of the control comes from."""
    applied = state.judgement if state else None
    return applied is not None and (applied.created, applied.verdict) == (judgement.created, judgement.verdict)


def _standing(judgement: Judgement, state: ControlState | None, now: float) -> str:
    if judgement.ended is not None:
        return f"ended by {judgement.ended_by}: {judgement.ended_reason}"
    if judgement.until is not None and judgement.until <= now:
        return "its time is over"
    if state is None:
        return "its subject is gone"
    if _counts(judgement, state):
        return "counts"
    if judgement.digest == state.digest and state.status == _control.MANUAL:
        return "counts from the next run on"
    return "lapsed: the evidence changed"


def engine_words(engines: t.Iterable[Engine], crowded: t.Container[str], limit: int = 4) -> str:
    """Return engines by their hosts as ``web1..web8 (8 hosts)``; those of crowded hosts with their own names, too."""
    found = list(engines)
    hosts = [visible(name.host, 80) for name in found if name.host not in crowded]
    named = [f"{visible(name.host, 80)} {visible(name.subject, 120)}" for name in found if name.host in crowded]
    return ", ".join(filter(None, [alike.hosts(hosts, limit), listed(named, limit)]))
