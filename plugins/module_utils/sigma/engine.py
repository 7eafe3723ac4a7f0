# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which rules match an event."""

from __future__ import annotations

from ansible_collections.bulwark.servers.plugins.module_utils.sigma.conditions import Condition, Values, condition
from ansible_collections.bulwark.servers.plugins.module_utils.sigma.fields import fields_of
from ansible_collections.bulwark.servers.plugins.module_utils.sigma.index import Index
from ansible_collections.bulwark.servers.plugins.module_utils.sigma.model import Compiled, Rule, View, rules_of

_NO_FIELDS: frozenset[str] = frozenset()


class RuleSet:
    """Compiled rules, ready to match. Made once in a process; it keeps nothing of what it matched."""

    def __init__(self, compiled: Compiled) -> None:
        self._rules = rules_of(compiled)
        self._conditions: list[Condition] = []
        self._indexes: dict[str, Index] = {}
        self._fields: dict[str, frozenset[str]] = {}
        for number, entry in enumerate(compiled["rules"]):
            source = entry["source"]
            self._conditions.append(condition(entry["condition"]))
            self._indexes.setdefault(source, Index()).add(number, entry.get("prefilter"))
            asked = fields_of(entry["condition"]) | frozenset(entry.get("fields", ()))
            self._fields[source] = self._fields.get(source, _NO_FIELDS) | asked
        for index in self._indexes.values():
            index.seal()

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
        conditions = self._conditions
        return tuple(sorted(number for number in index.candidates(values) if conditions[number](values)))

    def rule(self, number: int) -> Rule:
        """Return what a rule, or a correlation that the correlator reported, says."""
        return self._rules[number]
