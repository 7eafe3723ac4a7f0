# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Take entries from the end of the long lists of an event."""

from __future__ import annotations

import typing as t


class Shrinkable(t.NamedTuple):
    """A list of an event that can lose entries: its path, how many always stay whole, and its name in a note.

    lost: the only member that the other entries lose, "" where they go as a whole.
    """

    path: tuple[str, ...]
    least: int
    name: str
    lost: str = ""


LISTS = (
    # They follow from the evidences.
    Shrinkable(("observables",), 0, "observables"),
    Shrinkable(("evidences",), 0, "evidences"),
    Shrinkable(("unmapped", "evidences"), 0, "evidences"),
    Shrinkable(("vulnerabilities",), 1, "vulnerabilities"),
    Shrinkable(("unmapped", "vulnerability_ids"), 0, "lines of vulnerability ids"),
    Shrinkable(("unmapped", "coverage"), 0, "capabilities' scopes", "scopes"),
)


def at(event: t.Mapping[str, t.Any], path: tuple[str, ...]) -> t.Any:
    """Return the member at a path of names, None where there is none."""
    value: t.Any = event
    for name in path:
        value = value.get(name) if isinstance(value, dict) else None
    return value


def fewer(event: t.Mapping[str, t.Any], entries: list[t.Any], shrinkable: Shrinkable, number: int) -> dict[str, t.Any]:
    """Return an event in whose list only so many entries are whole."""
    return _replaced(event, shrinkable.path, entries[:number] + _rest(entries[number:], shrinkable))


def _replaced(event: t.Mapping[str, t.Any], path: tuple[str, ...], entries: list[t.Any]) -> dict[str, t.Any]:
    """Return the event with another list; an empty one goes, as OCSF's lists have entries."""
    name, *rest = path
    if rest:
        return {**event, name: _replaced(event[name], tuple(rest), entries)}
    changed = {**event, name: entries}
    if not entries:
        del changed[name]
    return changed


def _rest(entries: t.Sequence[t.Any], shrinkable: Shrinkable) -> list[t.Any]:
    """Return what stays of the entries that are too many."""
    if not shrinkable.lost:
        return []
    return [
        {name: value for name, value in entry.items() if name != shrinkable.lost}
        for entry in entries
        if isinstance(entry, dict)
    ]
