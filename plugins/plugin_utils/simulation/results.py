# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What came of a simulation: for each alert, whether it was seen, with what evidence, and what came with it."""

from __future__ import annotations

import dataclasses
import json
import re
import textwrap
import typing as t

from ansible_collections.bulwark.servers.plugins.plugin_utils.simulation import evidence
from ansible_collections.bulwark.servers.plugins.plugin_utils.simulation.content import SIGN_IN, Simulation

SEEN, MISSING, SKIPPED, FAILED, NONE = "seen", "missing", "skipped", "failed", "none"
# In check mode.
FORESEEN = "foreseen"
_BAD = (MISSING, FAILED)
# Alerts with these results and the same reason share a line if they are more than a few.
_GROUPED = (SKIPPED, NONE, FORESEEN)
_FEW = 3
# Characters of a line of names.
_LINE = 110


@dataclasses.dataclass(frozen=True)
class Outcome:
    """One row of the matrix. others: alerts that came, too, and are not expected. problems: one sentence each."""

    alert: str
    status: str
    count: int
    others: tuple[str, ...]
    problems: tuple[str, ...]
    reason: str | None

    @property
    def good(self) -> bool:
        return self.status not in _BAD and not self.others and not self.problems


class Finding(t.NamedTuple):
    """What matters of a finding. text: all its evidence. first, last: seconds since the epoch."""

    alert: str
    text: str
    pids: frozenset[int]
    first: float
    last: float
    times: int


def outcomes(
    simulations: t.Sequence[Simulation],
    simulated: t.Sequence[t.Mapping[str, t.Any]],
    findings: t.Sequence[t.Mapping[str, t.Any]],
    unwatched: t.Sequence[str] = (),
) -> list[Outcome]:
    """Return one row for each simulation, in their order.

    simulated: what the module said it did. findings: OCSF events of what was seen since it began. A finding belongs to
    a simulation when it is of the same time, and names something that only that simulation had. unwatched: paths that
    are missing on the host, so that what is made in them is not recorded.
    """
    seen = [_finding(finding) for finding in findings]
    done = {str(entry.get("alert")): entry for entry in simulated}
    return [_outcome(simulation, done.get(simulation.alert), seen, unwatched) for simulation in simulations]


def _outcome(
    simulation: Simulation,
    entry: t.Mapping[str, t.Any] | None,
    seen: t.Sequence[Finding],
    unwatched: t.Sequence[str],
) -> Outcome:
    alert = simulation.alert
    if simulation.none is not None:
        return Outcome(alert, NONE, 0, (), (), simulation.none)
    if entry is None:
        return Outcome(alert, FAILED, 0, (), (), "the host returned no result for it")
    left = tuple(str(why) for why in entry.get("left") or ())
    if entry.get("status") == FORESEEN:
        return Outcome(alert, FORESEEN, 0, (), (), None)
    if entry.get("status") != "done":
        status = SKIPPED if entry.get("status") == "skipped" else FAILED
        return Outcome(alert, status, 0, (), left, str(entry.get("reason")))
    own = [finding for finding in seen if _belongs(finding, entry)]
    expected = [finding for finding in own if finding.alert == alert]
    others = {finding.alert for finding in own} - {alert, SIGN_IN} - set(simulation.also)
    if entry.get("refused") and not expected:
        # Whoever looks for what a program does sees nothing of one that did not run.
        return Outcome(alert, SKIPPED, 0, tuple(sorted(others)), left, str(entry["refused"]))
    missing = tuple(_missing(simulation, expected)) if expected else ()
    return Outcome(
        alert,
        SEEN if expected else MISSING,
        sum(finding.times for finding in expected),
        tuple(sorted(others)),
        left + missing,
        None if expected else _unwatched(simulation, unwatched),
    )


def _unwatched(simulation: Simulation, unwatched: t.Sequence[str]) -> str | None:
    """Return why what was done can't have been recorded, None where that isn't known."""
    runs = simulation.steps.get("runs") or ()
    fields = [field for run in runs for call in run.get("calls") or () for field in call.values()]
    paths = [f"{field[name]}/" for field in fields for name in ("path", "to") if name in field]
    for missing in unwatched:
        if any(path.startswith(f"{missing}/") for path in paths):
            return (
                f"the host has no {missing}, so that no audit rule watches it: make it, run bulwark.servers.protect,"
                " and simulate again"
            )
    return None


def _missing(simulation: Simulation, expected: t.Sequence[Finding]) -> t.Iterator[str]:
    """Yield one sentence for each thing that evidence must have and hasn't."""
    for text in simulation.evidence:
        if not any(text in finding.text for finding in expected):
            yield f"the evidence doesn't have '{text}'"
    yield from evidence.missing(simulation.steps, [finding.text for finding in expected])


def _belongs(finding: Finding, entry: t.Mapping[str, t.Any]) -> bool:
    if finding.last < float(entry["from"]) or finding.first > float(entry["to"]):
        return False
    # A mark is whole: of two addresses, one may begin with the other.
    marked = any(re.search(rf"{re.escape(mark)}(?!\w)", finding.text) for mark in entry["marks"])
    return marked or not finding.pids.isdisjoint(entry["pids"])


def _finding(event: t.Mapping[str, t.Any]) -> Finding:
    first, last = (_seconds(event.get(name), event) for name in ("start_time", "end_time"))
    evidences = event.get("evidences") or []
    text = json.dumps([evidences, event.get("message"), event.get("unmapped")], ensure_ascii=False)
    return Finding(
        str(event["metadata"]["event_code"]),
        text,
        frozenset(_pids(evidences)),
        first,
        last,
        int(event.get("count") or 1),
    )


def _seconds(milliseconds: t.Any, event: t.Mapping[str, t.Any]) -> float:
    return float(milliseconds if milliseconds is not None else event["time"]) / 1000


def _pids(value: t.Any) -> t.Iterator[int]:
    """Yield the ids of all processes in evidence, parents too."""
    if isinstance(value, dict):
        if isinstance(value.get("pid"), int):
            yield value["pid"]
        for inner in value.values():
            yield from _pids(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _pids(inner)


def lines(rows: t.Sequence[Outcome]) -> list[str]:
    """Return the matrix as aligned lines, with the sums last.

    More than three alerts that are not simulated for the same reason are one line with their number. So many that can
    be simulated are a list of names below the table.
    """
    groups = [group for group in _groups(rows) if len(group) > _FEW]
    size = {row.alert: len(group) for group in groups for row in group}
    later = {row.alert for group in groups for row in group[1:]}
    names = [row.alert for row in rows if row.status == FORESEEN and row.alert in size]
    table = [
        (f"{size[row.alert]} alerts" if row.alert in size else row.alert, row)
        for row in rows
        if row.alert not in later and row.alert not in names
    ]
    width = max((len(label) for label, _row in table), default=5)
    shown = [f"{'alert':{width}}  result    times  remarks"] if table else []
    for label, row in table:
        remarks = [f"also {', '.join(row.others)}"] if row.others else []
        remarks += [*row.problems, *([row.reason] if row.reason else [])]
        shown.append(f"{label:{width}}  {row.status:8}  {row.count or '':>5}  {'; '.join(remarks)}".rstrip())
    if names:
        text = f"{FORESEEN}: {', '.join(names)}"
        shown += textwrap.wrap(text, _LINE, subsequent_indent="  ", break_on_hyphens=False)
    return [*shown, _sums(rows)]


def _groups(rows: t.Sequence[Outcome]) -> list[list[Outcome]]:
    """Return the rows that may share a line, together if their result and reason are the same."""
    groups: dict[tuple[str, str | None], list[Outcome]] = {}
    for row in rows:
        if row.status in _GROUPED and not row.others and not row.problems:
            groups.setdefault((row.status, row.reason), []).append(row)
    return list(groups.values())


def _sums(rows: t.Sequence[Outcome]) -> str:
    statuses = [row.status for row in rows]
    rest = f"{statuses.count(SKIPPED)} skipped, {statuses.count(NONE)} without a simulation"
    if FORESEEN in statuses:
        return f"{statuses.count(FORESEEN)} can be simulated, {rest}"
    seen = f"{statuses.count(SEEN)} seen, {statuses.count(MISSING)} missing, {statuses.count(FAILED)} failed"
    return f"{seen}, {rest}; {sum(bool(row.others) for row in rows)} with other alerts"
