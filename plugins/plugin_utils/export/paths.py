# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Dotted paths into an OCSF event, compiled once and then used for many events.

``a.b`` is a member of a member, ``a|b`` whichever of two members is there. ``[0]`` after a name takes one item of a
list, ``[]`` all items, and ``[algorithm_id=3]`` those whose member reads so. With ``[]`` or a condition a path has a
list of values. ``$`` is the whole event.
"""

from __future__ import annotations

import re
import typing as t

from ansible_collections.bulwark.servers.plugins.plugin_utils.ocsf.json_event import JsonEvent, decoded

Getter = t.Callable[[t.Any], t.Any]

_NAME = r"[A-Za-z_][A-Za-z0-9_]*"
_STEP = re.compile(rf"(?P<name>{_NAME}(?:\|{_NAME})*)(?:\[(?P<item>[0-9]*|{_NAME}=[^\[\]]+)\])?")


class PathError(ValueError):
    """A path is none; the message says why."""


def compiled(path: str) -> Getter:
    """Return a function that gives the value of ``path`` in an event, None where it has none; raise PathError."""
    if path == "$":
        return decoded
    return _general(steps(path))


def text(value: t.Any) -> str:
    """Return a scalar as conditions and translations write it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


def steps(path: str) -> list[tuple[str, str | None]]:
    """Return the names of a path, each with what is in brackets after it; raise PathError."""
    parsed: list[tuple[str, str | None]] = []
    position = 0
    while True:
        step = _STEP.match(path, position)
        if step is None:
            raise PathError(f"the path '{path}' is wrong at character {position + 1}")
        parsed.append((step["name"], step["item"]))
        position = step.end()
        if position == len(path):
            return parsed
        if path[position] != ".":
            raise PathError(f"the path '{path}' is wrong at character {position + 1}")
        position += 1


def _general(parsed: t.Sequence[tuple[str, str | None]]) -> Getter:
    is_list = any(item is not None and not item.isdigit() for _name, item in parsed)
    split = [(name.split("|"), item) for name, item in parsed]

    def get(event: t.Any) -> t.Any:
        values = [event]
        for names, item in split:
            values = [
                value
                for parent in values
                if isinstance(parent, (dict, JsonEvent))
                for value in _taken(_member(parent, names), item)
                if value is not None
            ]
        if not values:
            return None
        return values if is_list else values[0]

    return get


def _member(parent: t.Mapping[str, t.Any], names: t.Sequence[str]) -> t.Any:
    return next((parent[name] for name in names if parent.get(name) is not None), None)


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
