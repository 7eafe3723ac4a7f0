# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Dotted paths into an OCSF event, compiled once and then used for many events.

``a.b`` is a member of a member. ``[0]`` after a name takes one item of a list, ``[]`` all items, and
``[algorithm_id=3]`` those whose member reads so. With ``[]`` or a condition a path has a list of values. ``$`` is the
whole event.
"""

from __future__ import annotations

import re
import typing as t

Getter = t.Callable[[t.Any], t.Any]

_STEP = re.compile(r"(?P<name>[A-Za-z_][A-Za-z0-9_]*)(?:\[(?P<item>[0-9]*|[A-Za-z_][A-Za-z0-9_]*=[^\[\]]+)\])?")


class PathError(ValueError):
    """A path is none; the message says why."""


def compiled(path: str) -> Getter:
    """Return a function that gives the value of ``path`` in an event, None where it has none; raise PathError."""
    if path == "$":
        return lambda event: event
    steps = _steps(path)
    if all(item is None for _name, item in steps):
        return _members([name for name, _item in steps])
    return _general(steps)


def text(value: t.Any) -> str:
    """Return a scalar as conditions and translations write it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


def _steps(path: str) -> list[tuple[str, str | None]]:
    steps: list[tuple[str, str | None]] = []
    position = 0
    while True:
        step = _STEP.match(path, position)
        if step is None:
            raise PathError(f"the path '{path}' is wrong at character {position + 1}")
        steps.append((step["name"], step["item"]))
        position = step.end()
        if position == len(path):
            return steps
        if path[position] != ".":
            raise PathError(f"the path '{path}' is wrong at character {position + 1}")
        position += 1


def _members(names: t.Sequence[str]) -> Getter:
    """Return a getter for the usual paths, which have no lists; most of an export's time goes into these."""
    if len(names) == 1:
        (only,) = names
        return lambda event: event.get(only)
    *parents, last = names

    def get(event: t.Any) -> t.Any:
        for name in parents:
            event = event.get(name)
            if not isinstance(event, dict):
                return None
        return event.get(last)

    return get


def _general(steps: t.Sequence[tuple[str, str | None]]) -> Getter:
    is_list = any(item is not None and not item.isdigit() for _name, item in steps)

    def get(event: t.Any) -> t.Any:
        values = [event]
        for name, item in steps:
            values = [
                value
                for parent in values
                if isinstance(parent, dict)
                for value in _taken(parent.get(name), item)
                if value is not None
            ]
        return values if is_list else (values[0] if values else None)

    return get


def _taken(value: t.Any, item: str | None) -> t.Sequence[t.Any]:
    if item is None:
        return (value,)
    if not isinstance(value, (list, tuple)):
        return ()
    if not item:
        return value
    if item.isdigit():
        return value[int(item) : int(item) + 1]
    name, _equals, wanted = item.partition("=")
    return [entry for entry in value if isinstance(entry, dict) and name in entry and text(entry[name]) == wanted]
