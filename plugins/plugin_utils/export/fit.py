# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Bring an event below the size that a receiver takes, in whatever format, and say in the event what it lost.

First a text that is longer than a quarter of the limit is cut to that, so that no list has to go for it. Then the long
lists lose entries from their end: observables, then evidences, then vulnerabilities (the most serious comes first and
stays), then the names of further vulnerabilities, then the scopes of a run's capabilities (those that were not checked
come first, and all capabilities stay). Then long texts are cut at a character, the longest first. Ids, severity, host,
times and remediation stay whole; an event that is too large with these alone is refused.
"""

from __future__ import annotations

import typing as t

from ansible_collections.bulwark.servers.plugins.plugin_utils.export import event_lists, event_texts
from ansible_collections.bulwark.servers.plugins.plugin_utils.export.receiver import UnfitError

Event = t.Mapping[str, t.Any]

# The shortest that a text is cut to. Below that it says nothing, and cutting hundreds of such texts is no use.
_SHORTEST = 24


class Rendered(t.NamedTuple):
    """An event in a format. shortened: how many values are not whole, as the format's own limits are lower.

    counted: the bytes that count against the limit, where these are not those of the body.
    """

    body: bytes
    shortened: int = 0
    counted: int | None = None

    @property
    def size(self) -> int:
        return len(self.body) if self.counted is None else self.counted


class Fitted(t.NamedTuple):
    """An event in a format, at most as large as asked.

    removed: how many entries of its evidences, or of its other lists, had to go. shortened: how many values were cut.
    """

    body: bytes
    removed: int = 0
    shortened: int = 0


def fit(event: Event, limit: int | None, render: t.Callable[[Event], Rendered]) -> Fitted:
    """Return an event as ``render`` gives it, in at most ``limit`` bytes; raise UnfitError.

    limit: None for no limit. render: is called again with an event that has less, whenever it is too large.
    """
    rendered = render(event)
    if limit is None or rendered.size <= limit:
        return Fitted(rendered.body, 0, rendered.shortened)
    return _Fitting(limit, render).fit(event)


class _Fitting:
    """Makes one event smaller, step by step."""

    def __init__(self, limit: int, render: t.Callable[[Event], Rendered]) -> None:
        self._limit = limit
        self._render = render
        self._notes: list[str] = []
        self._removed = 0

    def fit(self, event: Event) -> Fitted:
        # No list has to go for one value that is a large part of the limit by itself.
        large = max(_SHORTEST, self._limit // 4)
        event, shortened = event_texts.shortened(event, large)
        if shortened:
            attempt = self._attempt(event, shortened)
            if attempt is not None:
                return attempt
        for shrinkable in event_lists.LISTS:
            entries = event_lists.at(event, shrinkable.path)
            if isinstance(entries, list) and len(entries) > shrinkable.least:
                event, attempt = self._with_fewer(event, entries, shrinkable, shortened)
                if attempt is not None:
                    return attempt
        return self._with_shorter(event, large)

    def _attempt(self, event: Event, shortened: int, *notes: str) -> Fitted | None:
        """Return an event with notes on what it lost, None if it is too large."""
        rendered = self._rendered(event, shortened, *notes)
        if rendered.size > self._limit:
            return None
        return Fitted(rendered.body, self._removed, shortened + rendered.shortened)

    def _rendered(self, event: Event, shortened: int, *notes: str) -> Rendered:
        lost = [*self._notes, *notes]
        if shortened:
            lost.append(f"export: {shortened} values shortened, the store has all")
        return self._render(_noted(event, lost))

    def _with_fewer(
        self, event: Event, entries: list[t.Any], shrinkable: event_lists.Shrinkable, shortened: int
    ) -> tuple[Event, Fitted | None]:
        """Return the event with as many entries of a list as fit, the least where even those are too large."""

        def reduced(number: int) -> tuple[Event, str]:
            note = f"export: {len(entries) - number} of {len(entries)} {shrinkable.name} left out, the store has all"
            return event_lists.fewer(event, entries, shrinkable, number), note

        def attempt(number: int) -> Fitted | None:
            fewer, note = reduced(number)
            return self._attempt(fewer, shortened, note)

        stays, too_many = shrinkable.least, len(entries)
        best = attempt(stays)
        while best is not None and too_many - stays > 1:
            middle = (stays + too_many) // 2
            tried = attempt(middle)
            if tried is None:
                too_many = middle
            else:
                stays, best = middle, tried
        self._removed += len(entries) - stays
        if best is not None:
            return event, best._replace(removed=self._removed)
        fewer, note = reduced(stays)
        self._notes.append(note)
        return fewer, None

    def _with_shorter(self, event: Event, too_long: int) -> Fitted:
        """Return the event with its long texts cut to the greatest length with which it fits; raise UnfitError."""
        fits = _SHORTEST
        best = self._attempt(*event_texts.shortened(event, fits))
        if best is None:
            size = self._rendered(*event_texts.shortened(event, fits)).size
            raise UnfitError(
                f"it has {size} bytes without evidences and long texts, and the limit is {self._limit} bytes"
            )
        while too_long - fits > max(1, fits // 64):
            middle = (fits + too_long) // 2
            tried = self._attempt(*event_texts.shortened(event, middle))
            if tried is None:
                too_long = middle
            else:
                fits, best = middle, tried
        return best


def _noted(event: Event, lost: t.Sequence[str]) -> Event:
    """Return the event with notes after its own."""
    if not lost:
        return event
    unmapped = event.get("unmapped")
    unmapped = unmapped if isinstance(unmapped, dict) else {}
    notes = unmapped.get("notes")
    return {**event, "unmapped": {**unmapped, "notes": [*(notes if isinstance(notes, list) else []), *lost]}}
