# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is left of conditions when some fields' values are known: most events are of few programs, and few accounts.

Of a rule for the shells, that it may be for any of twenty programs, there is nothing left for an event of gcc. So the
tests of that field are made once for each value, and not for each event.
"""

from __future__ import annotations

import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils.sigma.conditions import (
    Condition,
    Values,
    all_of,
    any_of,
    condition,
    negated,
)
from ansible_collections.bulwark.servers.plugins.module_utils.sigma.fields import fields_of
from ansible_collections.bulwark.servers.plugins.module_utils.sigma.model import Node

# A value is worth it when it was seen so often: somebody may give each event another one.
_WORTH_IT = 3
_MOST_SEEN = 5_000
_MOST_KEPT = 20_000

# A condition, or what it is whatever else an event has.
Rest = t.Union[Condition, bool]


def never(_values: Values) -> bool:
    return False


def _always(_values: Values) -> bool:
    return True


class _Part:
    """A node with its function and its fields."""

    __slots__ = ("check", "fields", "kind", "parts")

    def __init__(self, node: Node) -> None:
        self.kind: str = node[0]
        self.parts: tuple[_Part, ...] = ()
        if self.kind in ("and", "or"):
            self.parts = tuple(map(_Part, node[1]))
        elif self.kind == "not":
            self.parts = (_Part(node[1]),)
        of_parts: list[frozenset[str]] = [part.fields for part in self.parts]
        self.fields: frozenset[str] = frozenset().union(*of_parts) if of_parts else fields_of(node)
        checks: list[Condition] = [part.check for part in self.parts]
        self.check: Condition = _joined(self.kind, checks) if checks else condition(node)

    def rest(self, values: Values, known: t.AbstractSet[str]) -> Rest:
        """Return what is left of it for events that have the same in the known fields."""
        if self.fields and self.fields <= known:
            return self.check(values)
        if not self.parts or self.fields.isdisjoint(known):
            return self.check
        left: list[Condition] = []
        for part in self.parts:
            rest = part.rest(values, known)
            if rest is True or rest is False:
                if self.kind == "not":
                    return not rest
                if rest is (self.kind == "or"):
                    return rest
            else:
                left.append(rest)
        if not left:
            return self.kind == "and"
        return left[0] if len(left) == 1 and self.kind != "not" else _joined(self.kind, left)


def _joined(kind: str, checks: t.Sequence[Condition]) -> Condition:
    if kind == "not":
        return negated(checks[0])
    return all_of(checks) if kind == "and" else any_of(checks)


class Narrowing:
    """The conditions of a rule set, by the value of one field."""

    def __init__(self, field: str) -> None:
        """field: by whose values what is left is kept here."""
        self._field = field
        self._fields = frozenset((field,))
        self._all: dict[int, _Part] = {}
        self._parts: dict[int, _Part] = {}
        self._seen: dict[t.Any, int] = {}
        self._kept: dict[t.Any, dict[int, Condition]] = {}
        self._size = 0

    def add(self, number: int, node: Node) -> Condition:
        """Take a rule, and return its condition. Raises what ``conditions.condition`` does."""
        part = self._all[number] = _Part(node)
        if self._field in part.fields:
            self._parts[number] = part
        return part.check

    def known(self, numbers: t.Collection[int], values: Values) -> dict[int, Condition] | None:
        """Return the conditions that are known for a view's value, to be filled; None where that isn't worth it."""
        if self._parts.keys().isdisjoint(numbers):
            return None
        value = values[self._field]
        kept = self._kept.get(value)
        if kept is not None or not value:
            return kept
        times = self._seen.get(value, 0) + 1
        if len(self._seen) >= _MOST_SEEN:
            self._seen.clear()
        self._seen[value] = times
        if times < _WORTH_IT:
            return None
        if self._size >= _MOST_KEPT:
            self._kept.clear()
            self._size = 0
        kept = self._kept[value] = {}
        return kept

    def narrow(self, number: int, values: Values, whole: Condition, kept: dict[int, Condition]) -> Condition:
        """Return what is left of a rule's condition for a view's value, and keep it. whole: all of the condition."""
        part = self._parts.get(number)
        kept[number] = found = whole if part is None else _made(part.rest(values, self._fields))
        self._size += 1
        return found

    def rest(self, number: int, values: Values, known: t.AbstractSet[str]) -> Condition:
        """Return what is left of a rule's condition for views with the same in the known fields; nothing is kept."""
        part = self._all.get(number)
        return never if part is None else _made(part.rest(values, known))


def _made(rest: Rest) -> Condition:
    return _always if rest is True else never if rest is False else rest
