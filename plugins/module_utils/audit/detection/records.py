# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which rules that are written for records match those of a call; remembered for each record, as most come again."""

from __future__ import annotations

import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils.audit.detection import raw_fields, record_views
from ansible_collections.bulwark.servers.plugins.module_utils.audit.detection.lazy_view import LazyView, RecordView
from ansible_collections.bulwark.servers.plugins.module_utils.audit.detection.record_rules import RecordRules
from ansible_collections.bulwark.servers.plugins.module_utils.audit_records import activity
from ansible_collections.bulwark.servers.plugins.module_utils.audit_records.activity import Activity
from ansible_collections.bulwark.servers.plugins.module_utils.sigma.engine import RuleSet

_MOST_VALUES = 5_000

Numbers = t.FrozenSet[int]
_NONE: Numbers = frozenset()


class Records:
    """Asks the rules about records. node: the host that they are of; names of accounts are each host's."""

    def __init__(self, rules: RuleSet, record_rules: RecordRules, anywhere: Numbers) -> None:
        """anywhere: the rules that may match because of whatever field."""
        self._rules = rules
        self._record_rules = record_rules
        self._anywhere = anywhere
        self.node = ""
        self._known: dict[t.Any, tuple[Numbers, bool]] = {}
        self._calls: dict[t.Any, tuple[Numbers, Numbers | None, bool]] = {}

    def forget(self) -> None:
        self._known.clear()
        self._calls.clear()

    def of_call(self, subject: Activity, call: LazyView) -> tuple[Numbers, Numbers | None, bool]:
        """Return the rules to try for the SYSCALL record of an event; where that is known without, also which match.

        And whether they asked for the accounts, which the key of an event has not.
        """
        parts = subject.parts
        names = self.node if b"\x1d" in subject.event.raw else None
        unit = (parts[0], parts[1], parts[2], parts[15], parts[16], parts[18], parts[10], names)
        return self._calls.get(unit) or self._calls_for(unit, call)

    def of_record(self, kind: bytes, unit: bytes) -> tuple[Numbers, bool]:
        """Return the rules that match a record, and whether they do so for all events whose key has it."""
        relevant = self._record_rules.relevant(kind)
        constant = self._record_rules.constant(kind)
        if not relevant:
            return constant, True
        known = self._known.get((kind, unit))
        if known is None:
            view = RecordView("auditd", record_views.record_fields(kind, unit))
            numbers = self._rules.always("auditd").union(
                *(self._rules.candidates("auditd", name, view.get(name)) for name in self._record_rules.names(kind))
            )
            numbers = (numbers | self._anywhere) & relevant
            # Nothing that was asked for to find them counts, where there are none.
            matching = frozenset(self._rules.try_rules(numbers, view)) if numbers else _NONE
            known = constant | matching, not raw_fields.beside_key(kind, set(view.asked))
            if len(self._known) >= _MOST_VALUES:
                self._known.clear()
            self._known[kind, unit] = known
        return known

    def _calls_for(self, unit: t.Any, call: LazyView) -> tuple[Numbers, Numbers | None, bool]:
        rules = self._rules
        names = [name for name in rules.indexed("auditd") if name in raw_fields.RECORD_KEY]
        found = rules.always("auditd").union(*(rules.candidates("auditd", name, call.get(name)) for name in names))
        found = (found | self._anywhere) & self._record_rules.relevant(b"SYSCALL")
        call.asked.clear()
        matching: Numbers | None = frozenset(rules.try_rules(found, call))
        asked = {name for name in call.asked if call.has(name)} - raw_fields.RECORD_KEY
        if not all(raw_fields.RECORD.get(name) == activity.IDS for name in asked):
            matching = None
        if len(self._calls) >= _MOST_VALUES:
            self._calls.clear()
        self._calls[unit] = found, matching, bool(asked)
        return self._calls[unit]
