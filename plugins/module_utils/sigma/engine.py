# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which rules match an event."""

from __future__ import annotations

import re
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils.sigma.conditions import (
    Condition,
    Values,
    texts_of,
)
from ansible_collections.bulwark.servers.plugins.module_utils.sigma.fields import fields_of
from ansible_collections.bulwark.servers.plugins.module_utils.sigma.index import Index
from ansible_collections.bulwark.servers.plugins.module_utils.sigma.model import (
    Compiled,
    Node,
    Rule,
    View,
    rules_of,
)
from ansible_collections.bulwark.servers.plugins.module_utils.sigma.narrowing import Narrowing, never
from ansible_collections.bulwark.servers.plugins.module_utils.sigma.search_timeout import TooLongError
from ansible_collections.bulwark.servers.plugins.module_utils.sigma.threats import Indicator, Listed, ThreatList
from ansible_collections.bulwark.servers.plugins.module_utils.sigma.wording import message_of, subject_of

_NO_FIELDS: frozenset[str] = frozenset()
# Of the fields that many rules ask for, the one with the fewest values.
_COMMON_FIELD = "Image"


# Rules by their numbers, with what says whether a view matches.
Checks = t.Tuple[t.Tuple[int, Condition], ...]


class RuleSet:
    """Compiled rules, ready to match. Made once in a process; it keeps nothing of what it matched.

    Raises ValueError for what is not compiled.
    """

    def __init__(self, compiled: Compiled) -> None:
        self._rules = rules_of(compiled)
        self._conditions: list[Condition] = []
        self._indexes: dict[str, Index] = {}
        self._fields: dict[str, frozenset[str]] = {}
        self._listed: dict[int, Listed] = {}
        self._narrowing = Narrowing(_COMMON_FIELD)
        self._unusable: dict[int, str] = {}
        # How often it took too long to find out whether a rule matches.
        self.given_up: dict[int, int] = {}
        lists = [ThreatList(entry) for entry in compiled.get("lists", ())]
        for number, entry in enumerate(compiled["rules"]):
            source, node = entry["source"], entry["condition"]
            if node[0] == "listed":
                self._listed[number] = Listed(lists[node[1]], node[2])
            self._conditions.append(self._condition(number, node))
            self._indexes.setdefault(source, Index()).add(number, entry.get("prefilter"))
            asked = fields_of(node) | frozenset(entry.get("fields", ()))
            self._fields[source] = self._fields.get(source, _NO_FIELDS) | asked
        for index in self._indexes.values():
            index.seal()

    def _condition(self, number: int, node: Node) -> Condition:
        if number in self._listed:
            return self._listed[number].seen
        try:
            return self._narrowing.add(number, node)
        except re.error as error:
            self._refuse(number, error)
            return never

    def __len__(self) -> int:
        return len(self._rules)

    @property
    def sources(self) -> frozenset[str]:
        """The sources that there are rules for."""
        return frozenset(self._indexes)

    def fields(self, source: str) -> frozenset[str]:
        """Return the names of all fields that a rule of the source reads, or that its finding shows.

        ``"*"`` is among them when a rule looks for keywords in any field.
        """
        return self._fields.get(source, _NO_FIELDS)

    def match(self, source: str, view: View) -> tuple[int, ...]:
        """Return the numbers of the rules that match, in ascending order."""
        index = self._indexes.get(source)
        if index is None:
            return ()
        values = Values(view)
        return self._true(index.candidates(values), values)

    def indexed(self, source: str) -> tuple[str, ...]:
        """Return the fields that say which rules of a source have to be tried, with ``candidates``.

        ``match`` is the same as to ``try_rules`` that are ``always`` candidates, and those of all these fields. Who
        keeps what was found for some of the fields can so leave out to ask for them again.
        """
        index = self._indexes.get(source)
        return index.names if index is not None else ()

    def always(self, source: str) -> frozenset[int]:
        """Return the rules of a source that have to be tried with each view."""
        index = self._indexes.get(source)
        return index.always if index is not None else frozenset()

    def candidates(self, source: str, field: str, value: t.Any) -> frozenset[int]:
        """Return the rules that have to be tried because of the value that a field of ``indexed`` has."""
        if value.__class__ is str:
            return self._indexes[source].of(field, value.lower())
        return self._indexes[source].of(field, [text.lower() for text in texts_of(value)])

    def try_rules(self, numbers: t.Collection[int], view: View) -> tuple[int, ...]:
        """Return which of these rules match, in ascending order."""
        return self._true(numbers, Values(view))

    def checks(self, numbers: t.Iterable[int]) -> Checks:
        """Return the conditions of rules, for ``matching``."""
        return tuple((number, self._conditions[number]) for number in sorted(numbers))

    def rest(self, number: int, values: Values, known: t.AbstractSet[str]) -> Condition | None:
        """Return what is left of a rule's condition for views that have the same values in the known fields.

        None where it is false for all of them.
        """
        if number in self._listed:
            return self._conditions[number]
        try:
            left = self._narrowing.rest(number, values, known)
        except (TooLongError, re.error):
            return self._conditions[number]
        return None if left is never else left

    def matching(self, checks: Checks, values: Values) -> list[int]:
        """Return the rules of which the conditions are that match, in their order."""
        found = []
        for number, check in checks:
            try:
                if check(values):
                    found.append(number)
            except TooLongError:  # noqa: PERF203 - one rule's trouble is not another's
                self._give_up(number)
            except re.error as error:
                self._refuse(number, error)
        return found

    def _give_up(self, number: int) -> None:
        self.given_up[number] = self.given_up.get(number, 0) + 1

    def _refuse(self, number: int, error: re.error) -> None:
        # The controller's Python took it; an older one on a host may not.
        self._unusable[number] = "rule '%s' has a regular expression that the host's Python can't use: %s" % (
            self._rules[number].title,
            error,
        )

    def _true(self, numbers: t.Collection[int], values: Values) -> tuple[int, ...]:
        found = []
        conditions = self._conditions
        known = self._narrowing.known(numbers, values)
        for number in numbers:
            try:
                check = conditions[number]
                if known is not None:
                    check = known.get(number) or self._narrowing.narrow(number, values, check, known)
                if check(values):
                    found.append(number)
            except TooLongError:  # noqa: PERF203 - one rule's trouble is not another's
                self._give_up(number)
            except re.error as error:
                self._refuse(number, error)
        found.sort()
        return tuple(found)

    @property
    def problems(self) -> list[str]:
        """A sentence for each rule that this host's Python can't use, or that took too long for some events."""
        return list(self._unusable.values()) + [
            "rule '%s' took too long for %d events, and was not matched with them: its regular expression is slow, or "
            "somebody attacked it" % (self._rules[number].title, count)
            for number, count in self.given_up.items()
        ]

    def rule(self, number: int) -> Rule:
        """Return what a rule, or a correlation that the correlator reported, says."""
        return self._rules[number]

    def indicators(self, number: int, view: View) -> tuple[Indicator, ...]:
        """Return the entries of a threat list that a rule saw in a view; none where it is no rule of a threat list."""
        listed = self._listed.get(number)
        return listed.found(Values(view)) if listed is not None else ()

    def subject(self, number: int, view: View) -> str:
        """Return what the finding of a match is about; for correlations, view is the match's."""
        return subject_of(self._rules[number], self._explained(number, view))

    def message(self, number: int, view: View) -> str | None:
        """Return the sentence that a rule has for a match, None where it has none."""
        message = message_of(self._rules[number], self._explained(number, view))
        note = next((indicator.note for indicator in self.indicators(number, view)), "")
        return "%s (%s)" % (message, note) if message and note else message

    def _explained(self, number: int, view: View) -> View:
        found = self.indicators(number, view)
        return {**view, "Indicator": found[0].value} if found else view
