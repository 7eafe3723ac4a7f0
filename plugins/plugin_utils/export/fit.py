# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Bring an event below the size that a receiver takes, in whatever format, and say in the event what it lost.

First the long lists lose entries from their end: evidences, then vulnerabilities (the most serious comes first and
stays), then the names of further vulnerabilities, then the scopes of a run's capabilities (those that were not checked
come first, and all capabilities stay). Then long texts are cut at a character, the longest first. Ids,
severity, host, times and remediation stay whole; an event that is too large with these alone is refused.
"""

from __future__ import annotations

import dataclasses
import typing as t

from ansible_collections.bulwark.servers.plugins.plugin_utils.export import shortening
from ansible_collections.bulwark.servers.plugins.plugin_utils.export.receiver import UnfitError

Event = t.Mapping[str, t.Any]

# The shortest that a text is cut to. Below that it says nothing, and cutting hundreds of such texts is no use.
_SHORTEST = 24
# What is never cut: members by their names, wherever they are, with everything in them ...
_WHOLE = frozenset({"metadata", "device", "remediation", "notes", "cve", "advisory", "analytic", "attacks"})
# ... and single texts, which identify something, or of which a half has another meaning.
_WHOLE_TEXTS = frozenset(
    {
        *("uid", "hostname", "ip", "type", "severity", "status", "disposition", "action", "title", "value"),
        *("activity_name", "category_name", "class_name", "type_name"),
        *("alert", "capability", "kind", "change", "run", "before_severity", "lifecycle", "status_code"),
    }
)


@dataclasses.dataclass(frozen=True)
class Rendered:
    """An event in a format. shortened: how many values are not whole, as the format's own limits are lower.

    counted: the bytes that count against the limit, where these are not those of the body.
    """

    body: bytes
    shortened: int = 0
    counted: int | None = None

    @property
    def size(self) -> int:
        return len(self.body) if self.counted is None else self.counted


@dataclasses.dataclass(frozen=True)
class Fitted:
    """An event in a format, at most as large as asked.

    removed: how many entries of its evidences, or of its other lists, had to go. shortened: how many values were cut.
    """

    body: bytes
    removed: int = 0
    shortened: int = 0


class _List(t.NamedTuple):
    """A list of an event that can lose entries: its path, how many always stay whole, and its name in a note.

    lost: the only member that the other entries lose, "" where they go as a whole.
    """

    path: tuple[str, ...]
    least: int
    name: str
    lost: str = ""


_LISTS = (
    _List(("evidences",), 0, "evidences"),
    _List(("unmapped", "evidences"), 0, "evidences"),
    _List(("vulnerabilities",), 1, "vulnerabilities"),
    _List(("unmapped", "vulnerability_ids"), 0, "lines of vulnerability ids"),
    _List(("unmapped", "coverage"), 0, "capabilities' scopes", "scopes"),
)


def fit(event: Event, limit: int | None, render: t.Callable[[Event], Rendered]) -> Fitted:
    """Return an event as ``render`` gives it, in at most ``limit`` bytes; raise UnfitError.

    limit: None for no limit. render: is called again with an event that has less, whenever it is too large.
    """
    rendered = render(event)
    if limit is None or rendered.size <= limit:
        return Fitted(rendered.body, 0, rendered.shortened)
    removed = 0
    for shrinkable in _LISTS:
        entries = _at(event, shrinkable.path)
        if not isinstance(entries, list) or len(entries) <= shrinkable.least:
            continue
        event, rendered, gone = _fewer(event, entries, shrinkable, limit, render)
        removed += gone
        if rendered.size <= limit:
            return Fitted(rendered.body, removed, rendered.shortened)
    event, rendered, shortened = _shorter(event, limit, render)
    return Fitted(rendered.body, removed, shortened + rendered.shortened)


def _fewer(
    event: Event, entries: list[t.Any], shrinkable: _List, limit: int, render: t.Callable[[Event], Rendered]
) -> tuple[Event, Rendered, int]:
    """Return an event with as many entries of a list as fit, the least where even those are too large."""

    def attempt(number: int) -> tuple[Event, Rendered]:
        note = f"export: {len(entries) - number} of {len(entries)} {shrinkable.name} left out, the store has all"
        reduced = _noted(_with(event, shrinkable.path, entries[:number] + _rest(entries[number:], shrinkable)), note)
        return reduced, render(reduced)

    stays = shrinkable.least
    best = attempt(stays)
    if best[1].size <= limit:
        too_many = len(entries)
        while too_many - stays > 1:
            middle = (stays + too_many) // 2
            tried = attempt(middle)
            if tried[1].size <= limit:
                stays, best = middle, tried
            else:
                too_many = middle
    return *best, len(entries) - stays


def _rest(entries: t.Sequence[t.Any], shrinkable: _List) -> list[t.Any]:
    """Return what stays of the entries that are too many."""
    if not shrinkable.lost:
        return []
    return [
        {name: value for name, value in entry.items() if name != shrinkable.lost}
        for entry in entries
        if isinstance(entry, dict)
    ]


def _shorter(event: Event, limit: int, render: t.Callable[[Event], Rendered]) -> tuple[Event, Rendered, int]:
    """Return an event whose long texts are cut to the greatest length with which it fits; raise UnfitError."""

    def attempt(longest: int) -> tuple[Event, Rendered, int]:
        shortener = _Shortener(longest)
        reduced = shortener.cut(event)
        if shortener.number:
            reduced = _noted(reduced, f"export: {shortener.number} values shortened, the store has all")
        return reduced, render(reduced), shortener.number

    fits = _SHORTEST
    best = attempt(fits)
    if best[1].size > limit:
        raise UnfitError(
            f"it has {best[1].size} bytes without evidences and long texts, and the limit is {limit} bytes"
        )
    # A character has one byte at least, so no longer text fits.
    too_long = limit + 1
    while too_long - fits > max(1, fits // 64):
        middle = (fits + too_long) // 2
        tried = attempt(middle)
        if tried[1].size <= limit:
            fits, best = middle, tried
        else:
            too_long = middle
    return best


class _Shortener:
    """Cut the long texts of an event, and count them."""

    def __init__(self, longest: int) -> None:
        self._longest = longest
        self.number = 0

    def cut(self, event: Event) -> dict[str, t.Any]:
        return {key: self._member(key, value) for key, value in event.items()}

    def _member(self, key: t.Any, value: t.Any) -> t.Any:
        return value if key in _WHOLE else self._value(key, value)

    def _value(self, key: t.Any, value: t.Any) -> t.Any:
        if isinstance(value, str):
            if len(value) <= self._longest or key in _WHOLE_TEXTS:
                return value
            self.number += 1
            return shortening.cut(value, self._longest)
        if isinstance(value, dict):
            return {name: self._member(name, member) for name, member in value.items()}
        if isinstance(value, (list, tuple)):
            return [self._value(key, item) for item in value]
        return value


def _at(event: Event, path: tuple[str, ...]) -> t.Any:
    value: t.Any = event
    for name in path:
        value = value.get(name) if isinstance(value, dict) else None
    return value


def _with(event: Event, path: tuple[str, ...], entries: list[t.Any]) -> dict[str, t.Any]:
    """Return the event with another list; an empty one goes, as OCSF's lists have entries."""
    name, *rest = path
    if rest:
        return {**event, name: _with(event[name], tuple(rest), entries)}
    changed = {**event, name: entries}
    if not entries:
        del changed[name]
    return changed


def _noted(event: Event, note: str) -> dict[str, t.Any]:
    unmapped = event.get("unmapped")
    unmapped = unmapped if isinstance(unmapped, dict) else {}
    notes = unmapped.get("notes")
    return {**event, "unmapped": {**unmapped, "notes": [*(notes if isinstance(notes, list) else []), note]}}
