# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One group of a correlation: the events of, say, one address, and whether they make up what the correlation is about.

Only what can still change an answer is kept: of an event count the newest events, of a value count the newest event of
each value, of sequences the newest events of each part. Events may come late: those of twice the time span are there.
"""

from __future__ import annotations

import bisect
import typing as t

# For sequences: as many events of one part are remembered.
_PER_PART = 16
_SPARE = 16
# Distinct values that are remembered beyond those that the condition needs.
_MOST_VALUES = 1000


class Entry(t.NamedTuple):
    """An event: when, for which part of the correlation, its value where values are counted, and for how many."""

    time: float
    part: int
    value: str
    events: int


class Condition(t.NamedTuple):
    """When a correlation is true; see plugin_utils/sigma/correlate.py for what the fields are."""

    kind: str
    span: float
    parts: int
    operator: str
    threshold: int
    expression: t.Any


Found = t.Optional[t.List[Entry]]


def add(entries: list[Entry], entry: Entry, condition: Condition) -> int:
    """Put an event in, sorted by time, and drop what can't matter any more.

    Return how many events were dropped for want of room.

    entries: those of one group; it is changed.
    """
    if condition.kind in ("value_count", "temporal"):
        entry = _merged(entries, entry, condition)
    bisect.insort(entries, entry)
    oldest = entries[-1].time - 2 * condition.span
    expired = bisect.bisect_left(entries, Entry(oldest, -1, "", 0))
    del entries[:expired]
    return _shrink(entries, entry.part, condition)


def _merged(entries: list[Entry], entry: Entry, condition: Condition) -> Entry:
    """Return the entry together with the one it makes superfluous, which is taken out."""
    for place in range(len(entries) - 1, -1, -1):
        other = entries[place]
        if other.value == entry.value and other.part == entry.part:
            if abs(other.time - entry.time) > condition.span:
                return entry
            del entries[place]
            return entry._replace(time=max(entry.time, other.time), events=entry.events + other.events)
    return entry


def _shrink(entries: list[Entry], added: int, condition: Condition) -> int:
    if condition.kind == "event_count":
        # More than twice those that make the condition true don't make it any truer.
        del entries[: max(0, len(entries) - 2 * condition.threshold - _SPARE)]
        return 0
    if condition.kind == "temporal_ordered":
        return _shrink_part(entries, added, condition)
    most = _PER_PART * condition.parts
    if condition.kind == "value_count":
        most = max(_MOST_VALUES, 2 * condition.threshold)
    surplus = max(0, len(entries) - most)
    del entries[:surplus]
    return surplus


def _shrink_part(entries: list[Entry], part: int, condition: Condition) -> int:
    """Drop the oldest event of a part that has too many, whatever there is of the others.

    A flood of failures before a success is what sequences are for: of two parts, only the newest of the first can
    matter to an event of the second that is still to come.
    """
    places = [place for place, entry in enumerate(entries) if entry.part == part]
    if len(places) <= _PER_PART:
        return 0
    del entries[places[0]]
    return 1 if condition.parts > 2 else 0


def satisfied(entries: t.Sequence[Entry], time: float, condition: Condition) -> Found:
    """Return the events that make the condition true in a time span with an event at ``time``; None where none do."""
    start = bisect.bisect_left(entries, Entry(time, -1, "", 0))
    for last in range(len(entries) - 1, start - 1, -1):
        end = entries[last].time
        if end - time > condition.span:
            continue
        first = bisect.bisect_left(entries, Entry(end - condition.span, -1, "", 0))
        window = list(entries[first : last + 1])
        if _true(window, condition):
            return window
    return None


def _true(window: t.Sequence[Entry], condition: Condition) -> bool:
    if condition.kind == "event_count":
        return _compare(sum(entry.events for entry in window), condition)
    if condition.kind == "value_count":
        return _compare(len({entry.value for entry in window}), condition)
    if condition.kind == "temporal_ordered":
        return _in_order(window, condition.parts)
    there = {entry.part for entry in window}
    if condition.expression is not None:
        return _expression(condition.expression, there)
    return _compare(len(there), condition)


def _compare(number: int, condition: Condition) -> bool:
    if condition.operator == "gt":
        return number > condition.threshold
    if condition.operator == "eq":
        return number == condition.threshold
    return number >= condition.threshold


def _in_order(window: t.Sequence[Entry], parts: int) -> bool:
    """Return whether there is an event of each part after one of the part before; times may be equal."""
    wanted = 0
    pending = list(window)
    while wanted < parts:
        place = next((place for place, entry in enumerate(pending) if entry.part == wanted), None)
        if place is None:
            return False
        time = pending[place].time
        pending = [entry for other, entry in enumerate(pending) if entry.time >= time and other != place]
        wanted += 1
    return True


def _expression(node: t.Any, there: t.Collection[int]) -> bool:
    kind, operand = node
    if kind == "part":
        return operand in there
    if kind == "not":
        return not _expression(operand, there)
    results = (_expression(part, there) for part in operand)
    return all(results) if kind == "and" else any(results)
