# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Merge the events of all sources into one timeline in UTC."""

from __future__ import annotations

import bisect
import time
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils.investigation.model import Cut, Event

MOST_EVENTS = 500
_LONGEST_TEXT = 400
# Two logs that have the same message note it within this time: the journal passes it on to syslogd.
_SAME_SECONDS = 2.0
# So often the same text is shown; what is more is counted.
_MOST_REPEATED = 3
_DAY = 86_400.0


class Timeline(t.NamedTuple):
    """events: in the order of their times, UTC seconds. cuts: what was left out."""

    events: t.Sequence[Event]
    cuts: t.Sequence[Cut]


def merge(events: t.Iterable[Event], steps: t.Mapping[str, int], now: float, most: int = MOST_EVENTS) -> Timeline:
    """Return the events about the nodes of a result, each once, with all sources that have it.

    steps: how far each node of the result is away from the subject; the nearest stay if there are more than ``most``.
    now: seconds since the epoch. An event without a node of the result is left out.
    """
    about = [event for event in events if any(node in steps for node in event.nodes)]
    distinct = _folded(_joined(sorted(about, key=lambda event: (event.time, event.text, event.by))))
    shown_events = distinct
    cuts: list[Cut] = []
    if len(distinct) > most:
        # The events of the subject itself say when it happened.
        subject = sorted(event.time for event in distinct if _step(event, steps) == 0)
        ranked = sorted(distinct, key=lambda event: (_step(event, steps), _distance(event.time, subject), event.time))
        shown_events = sorted(ranked[:most], key=lambda event: event.time)
        left = len(distinct) - most
        cuts.append(Cut("events", "%d events that are further away from the subject are left out." % left, left))
    return Timeline([_checked(event, now) for event in shown_events], cuts)


def shown(event: Event) -> str:
    """Return an event as one line: time in UTC, source, text."""
    return "%s  %s  %s" % (utc(event.time), event.by, event.text)


def utc(seconds: float) -> str:
    """Return a time as RFC 3339 in UTC with milliseconds; times that no calendar has are shown as seconds."""
    whole, milliseconds = divmod(round(seconds * 1000), 1000)
    try:
        return "%s.%03dZ" % (time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(whole)), milliseconds)
    except (OverflowError, OSError, ValueError):
        return "%d s" % whole


def _step(event: Event, steps: t.Mapping[str, int]) -> int:
    return min(steps[node] for node in event.nodes if node in steps)


def _distance(at: float, others: t.Sequence[float]) -> float:
    index = bisect.bisect_left(others, at)
    return min((abs(at - other) for other in others[max(0, index - 1) : index + 1]), default=0.0)


def _joined(events: t.Iterable[Event]) -> list[Event]:
    """Join the same text of several sources within two seconds, and of one source at the same time."""
    joined: list[Event] = []
    latest: dict[str, int] = {}
    for event in events:
        index = latest.get(event.text)
        before = joined[index] if index is not None else None
        if before is not None and index is not None and _is_same(before, event):
            sources = sorted({*before.by.split(", "), event.by})
            nodes = tuple(dict.fromkeys((*before.nodes, *event.nodes)))
            joined[index] = before._replace(by=", ".join(sources), nodes=nodes)
            continue
        latest[event.text] = len(joined)
        joined.append(event)
    return joined


def _is_same(before: Event, event: Event) -> bool:
    if event.by in before.by.split(", "):
        return event.time == before.time
    return event.time - before.time <= _SAME_SECONDS


def _folded(events: t.Sequence[Event]) -> list[Event]:
    """Keep the first of equal lines of one source, and count the rest in one of them: floods fill no timeline."""
    counts: dict[tuple[str, str], int] = {}
    for event in events:
        counts[event.by, event.text] = counts.get((event.by, event.text), 0) + 1
    seen: dict[tuple[str, str], int] = {}
    last: dict[tuple[str, str], float] = {(event.by, event.text): event.time for event in events}
    folded = []
    for event in events:
        key = event.by, event.text
        seen[key] = seen.get(key, 0) + 1
        if counts[key] <= _MOST_REPEATED or seen[key] < _MOST_REPEATED:
            folded.append(event)
        elif seen[key] == _MOST_REPEATED:
            more = counts[key] - _MOST_REPEATED
            folded.append(event._replace(text="%s (%d more until %s)" % (event.text, more, utc(last[key]))))
    return folded


def _checked(event: Event, now: float) -> Event:
    text = event.text if len(event.text) <= _LONGEST_TEXT else event.text[: _LONGEST_TEXT - 1] + "…"
    if event.time > now + _DAY:
        text += " (this time is in the future: a clock was wrong, or somebody set it)"
    return event._replace(text=text)
