# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Take the values of many paths out of an event in one walk over it.

A mapping has a hundred paths, most of them into evidences, which an event has few members of. One walk over the
event's members takes a fifth of the time of a walk for each path.
"""

from __future__ import annotations

import dataclasses
import typing as t

from ansible_collections.bulwark.servers.plugins.plugin_utils.export import paths
from ansible_collections.bulwark.servers.plugins.plugin_utils.ocsf import json_event


@dataclasses.dataclass
class _Member:
    """The parts to read of a member: slots of its value and of its items, and of members of those."""

    slot: int | None = None
    members: dict[str, _Member] = dataclasses.field(default_factory=dict)
    item_slot: int | None = None
    item_members: dict[str, _Member] = dataclasses.field(default_factory=dict)


class Collector:
    """The paths that a mapping needs, each with a slot in what ``collect`` returns."""

    def __init__(self) -> None:
        self._slots: dict[str, int] = {}
        self._members: dict[str, _Member] = {}
        self._others: list[tuple[int, paths.Getter]] = []

    def slot(self, path: str) -> int:
        """Return the position of a path's value in a collection; raise PathError."""
        if path not in self._slots:
            self._slots[path] = len(self._slots)
            self._add(path, self._slots[path])
        return self._slots[path]

    def collect(self, event: t.Any) -> list[t.Any]:
        """Return the values of all paths; None for one that the event has no value for."""
        values: list[t.Any] = [None] * len(self._slots)
        event = json_event.decoded(event)
        if isinstance(event, dict):
            _walk(event, self._members, values, False)
            for slot, get in self._others:
                values[slot] = get(event)
        return values

    def _add(self, path: str, slot: int) -> None:
        steps = [] if path == "$" else paths.steps(path)
        if not steps or any("|" in name or item for name, item in steps):
            self._others.append((slot, paths.compiled(path)))
            return
        members = self._members
        for name, item in steps[:-1]:
            member = members.setdefault(name, _Member())
            members = member.members if item is None else member.item_members
        name, item = steps[-1]
        member = members.setdefault(name, _Member())
        if item is None:
            member.slot = slot
        else:
            member.item_slot = slot


def _walk(value: dict[str, t.Any], wanted: dict[str, _Member], values: list[t.Any], is_list: bool) -> None:
    """Put the wanted members of an object into their slots; below a list each slot has a list."""
    for key, content in value.items():
        member = wanted.get(key)
        if member is None or content is None:
            continue
        if member.slot is not None:
            if not is_list:
                values[member.slot] = content
            elif values[member.slot] is None:
                values[member.slot] = [content]
            else:
                values[member.slot].append(content)
        if isinstance(content, dict):
            if member.members:
                _walk(content, member.members, values, is_list)
        elif isinstance(content, (list, tuple)) and (member.item_members or member.item_slot is not None):
            _walk_items(content, member, values)


def _walk_items(items: t.Sequence[t.Any], member: _Member, values: list[t.Any]) -> None:
    if member.item_slot is not None:
        present = [item for item in items if item is not None]
        if values[member.item_slot] is None:
            values[member.item_slot] = present
        else:
            values[member.item_slot] += present
    if member.item_members:
        for item in items:
            if isinstance(item, dict):
                _walk(item, member.item_members, values, True)
