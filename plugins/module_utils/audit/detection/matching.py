# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Match the views of an event against the rules, and note what the rules asked for."""

from __future__ import annotations

import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils.audit.detection import raw_fields, record_views, views
from ansible_collections.bulwark.servers.plugins.module_utils.audit.detection.call_shapes import (
    NO_NUMBERS,
    CallShape,
    CallShapes,
    Numbers,
)
from ansible_collections.bulwark.servers.plugins.module_utils.audit.detection.lazy_view import LazyView, RecordView
from ansible_collections.bulwark.servers.plugins.module_utils.audit.detection.model import Hit
from ansible_collections.bulwark.servers.plugins.module_utils.audit.detection.raw_fields import Getter
from ansible_collections.bulwark.servers.plugins.module_utils.audit.detection.record_rules import (
    ArgumentIndex,
    RecordRules,
)
from ansible_collections.bulwark.servers.plugins.module_utils.audit.detection.records import Records
from ansible_collections.bulwark.servers.plugins.module_utils.audit_records import activity
from ansible_collections.bulwark.servers.plugins.module_utils.audit_records.activity import Activity
from ansible_collections.bulwark.servers.plugins.module_utils.sigma.engine import RuleSet
from ansible_collections.bulwark.servers.plugins.module_utils.sigma.fields import ALL_FIELDS, fields_of

_MOST_VALUES = 5_000
_LONGEST_VALUE = 256
# Places before this one are for views of what a call means; this one is its SYSCALL record, then come the others.
_CALL = 8
# What is another one each time, of what rules for records may ask for.
_VARYING = frozenset((activity.A0, activity.A1, activity.A2, activity.A3, activity.SES, activity.PID, activity.PPID))


class CallMatch(t.NamedTuple):
    """What rules say of a call. asked: fields beside the key. is_lasting: whether it holds for all with the same."""

    hits: tuple[Hit, ...]
    seen: list[LazyView]
    asked: tuple[Getter, ...]
    is_lasting: bool


class Matcher:
    """Tries rules with the views of system calls; which ones, it looks up by the values of their fields."""

    def __init__(self, rules: RuleSet, compiled: t.Mapping[str, t.Any], shapes: CallShapes) -> None:
        self._rules = rules
        self._shapes = shapes
        self.record_rules = RecordRules(rules, compiled)
        # Whether of the records that most calls have only the paths can matter.
        self._only_paths = all(map(self.record_rules.ignores, (b"CWD", b"PROCTITLE", b"SOCKADDR")))
        self._sources = rules.sources
        self._numbers: dict[str, set[int]] = {}
        for number in range(len(rules)):
            self._numbers.setdefault(rules.rule(number).source, set()).add(number)
        # Paths and kinds of records for which no rule matches.
        self._quiet: set[t.Any] = set()
        self._images: dict[t.Any, Numbers] = {}
        self._narrow = {
            number
            for number, entry in enumerate(compiled["rules"])
            if entry["condition"][0] != "listed" and fields_of(entry["condition"]) == {"Image"}
        }
        # Rules that may match because of whatever field: they are tried with all views of their source.
        self._anywhere = frozenset(
            number
            for number, entry in enumerate(compiled["rules"])
            if any(field == ALL_FIELDS for _kind, field, _texts in entry.get("prefilter") or ())
        )
        self._records = Records(rules, self.record_rules, self._anywhere)
        self._arguments = ArgumentIndex(compiled)
        self._values: dict[tuple[str, str], dict[t.Any, Numbers]] = {}
        self._fields: dict[tuple[str, bool], tuple[frozenset[str], tuple[str, ...]]] = {}

    def enter(self, node: str) -> None:
        """Match events of another host from now on; accounts of the same number are others there."""
        self._records.node = node

    @property
    def only_paths(self) -> bool:
        """Whether of the records that executions have no others than calls, arguments and paths can matter."""
        return self._only_paths or "auditd" not in self._sources

    @property
    def of_arguments(self) -> Numbers:
        """The rules for which it matters what an EXECVE record holds."""
        return self.record_rules.relevant(b"EXECVE")

    def ignores_call(self, subject: Activity) -> bool:
        """Return whether no rule matches the SYSCALL record of an event, nor of others with the same accounts."""
        if "auditd" not in self._sources:
            return True
        parts = subject.parts
        shape = self._shapes.get(parts[0] or b"", parts[1] or b"", parts[2])
        call = record_views.call_record_view(subject)
        for beside in shape.beside:
            if beside.source == "auditd" and (
                beside.getter in _VARYING or self._rules.candidates("auditd", beside.name, call.get(beside.name))
            ):
                return False
        return shape.cached and self._records.of_call(subject, call)[1] == NO_NUMBERS

    def ignores_paths(self, raw: bytes) -> bool:
        """Return whether no rule matches a PATH record of an event."""
        if "auditd" not in self._sources:
            return True
        return not any(self._records.of_record(kind, body)[0] for kind, body in raw_fields.units(raw, True))

    def match(self, shape: CallShape, subject: Activity, paths: t.Any, beside: Numbers) -> CallMatch:
        """Ask the rules about a call. beside: those that have to be tried because of fields beside the key."""
        rules = self._rules
        seen: list[LazyView] = views.views(subject)[:_CALL]
        asked: dict[Getter, None] = {}
        hits: list[Hit] = []
        cached = shape.cached
        for place, view in enumerate(seen):
            source = view.source
            if source not in self._sources:
                continue
            in_key, names = self._in_key(source, shape.executes)
            numbers = set(rules.always(source)) | (self._anywhere & self._numbers[source])
            if beside:
                numbers |= beside & self._numbers[source]
            for name in names:
                numbers |= self._candidates(source, name, view.get(name))
            narrow = numbers & self._narrow
            if narrow:
                numbers = (numbers - narrow) | self._by_image(view, narrow)
            cached &= self.try_rules(numbers, place, view, view, in_key, raw_fields.CALL, asked, hits)
        if "auditd" in self._sources:
            cached &= self._judge_records(shape, subject, paths, beside, seen, asked, hits)
        return CallMatch(tuple(hits), seen, tuple(asked), cached)

    def _in_key(self, source: str, executes: bool) -> tuple[frozenset[str], tuple[str, ...]]:
        """Return the fields that follow from an event's key, and which say which rules to try.

        Those are of them, or of other records than most calls have; where one is of those nothing is remembered.
        """
        found = self._fields.get((source, executes))
        if found is None:
            in_key = raw_fields.in_key(source, executes)
            names = (name for name in self._rules.indexed(source) if name in in_key or name not in raw_fields.CALL)
            found = in_key, tuple(name for name in names if name != ALL_FIELDS)
            self._fields[source, executes] = found
        return found

    def _judge_records(
        self,
        shape: CallShape,
        subject: Activity,
        paths: t.Any,
        beside: Numbers,
        seen: list[LazyView],
        asked: dict[Getter, None],
        hits: list[Hit],
    ) -> bool:
        """Ask the rules that are written for records. Returns whether that holds for other events with the same key."""
        seen += [_EMPTY] * (_CALL - len(seen))
        call = record_views.call_record_view(subject)
        numbers, matching, by_ids = self._records.of_call(subject, call)
        seen.append(call)
        if by_ids:
            asked[activity.IDS] = None
        if beside:
            more = beside & self._numbers["auditd"]
            numbers, matching = numbers | more, None if more else matching
        cached = True
        if matching is None:
            cached = self.try_rules(numbers, _CALL, call, call, raw_fields.RECORD_KEY, raw_fields.RECORD, asked, hits)
        elif matching:
            cached = self.try_rules(matching, _CALL, call, call, raw_fields.RECORD_KEY, raw_fields.RECORD, asked, hits)
        usual = raw_fields.usual(subject.event.raw, paths)
        if usual not in self._quiet:
            is_quiet = True
            for kind, body in raw_fields.units(subject.event.raw, self._only_paths):
                numbers, lasting = self._records.of_record(kind, body)
                cached &= lasting
                is_quiet &= lasting and not numbers
                if numbers:
                    view = RecordView("auditd", record_views.record_fields(kind, body))
                    self._about_record(numbers, view, call, seen, hits)
            if is_quiet and self._only_paths and len(self._quiet) < _MOST_VALUES:
                self._quiet.add(usual)
        if shape.executes:
            self._judge_arguments(subject, call, seen, hits)
        return cached

    def _judge_arguments(self, subject: Activity, call: LazyView, seen: list[LazyView], hits: list[Hit]) -> None:
        """Ask the rules for EXECVE records; all that they may ask for is in the key."""
        numbers = self._arguments.candidates(subject.argv, subject.command_line)
        numbers &= self.record_rules.relevant(b"EXECVE")
        if numbers:
            view = RecordView("auditd", record_views.argument_fields(subject))
            matching = self._rules.try_rules(numbers, view)
            if matching:
                self._about_record(matching, view, call, seen, hits)

    def try_arguments(self, numbers: Numbers, subject: Activity, hits: list[Hit]) -> None:
        """Try rules for the EXECVE record of an event none of whose other records any rule is for."""
        view = RecordView("auditd", record_views.argument_fields(subject))
        matching = self._rules.try_rules(numbers, view)
        if matching:
            seen = [_EMPTY] * _CALL
            call = record_views.call_record_view(subject)
            seen.append(call)
            self._about_record(matching, view, call, seen, hits)

    def _about_record(
        self, numbers: t.Iterable[int], view: LazyView, call: LazyView, seen: list[LazyView], hits: list[Hit]
    ) -> None:
        """Note hits of a record; what the finding is about is in the call's, whose fields for that are in the key."""
        seen.append(view)
        for number in sorted(numbers):
            about = call if not self._rules.rule(number).subject else view
            hits.append(
                Hit(number, len(seen) - 1, self._rules.subject(number, about), self._rules.message(number, view))
            )

    def try_rules(
        self,
        numbers: t.Collection[int],
        place: int,
        view: LazyView,
        about: LazyView,
        in_key: frozenset[str],
        getters: t.Mapping[str, Getter],
        asked: dict[Getter, None],
        hits: list[Hit],
    ) -> bool:
        """Try rules, and note what they asked for. Returns whether all of that can be compared."""
        if not numbers:
            return True
        rules = self._rules
        view.asked.clear()
        hits += [
            Hit(number, place, rules.subject(number, about), rules.message(number, view))
            for number in rules.try_rules(numbers, view)
        ]
        comparable = True
        for name in view.asked:
            if name in in_key or not view.has(name):
                continue
            if name in getters:
                asked[getters[name]] = None
            else:
                comparable = False
        return comparable

    def views(self, subject: Activity) -> list[LazyView]:
        """Return the views of a call again, at the places that its verdict names."""
        seen: list[LazyView] = views.views(subject)[:_CALL]
        if "auditd" not in self._sources:
            return seen
        seen += [_EMPTY] * (_CALL - len(seen))
        seen.append(record_views.call_record_view(subject))
        for kind, unit in raw_fields.units(subject.event.raw, self._only_paths):
            if self._records.of_record(kind, unit)[0]:
                seen.append(RecordView("auditd", record_views.record_fields(kind, unit)))
        if subject.syscall in views.EXECUTES:
            seen.append(RecordView("auditd", record_views.argument_fields(subject)))
        return seen

    def _by_image(self, view: LazyView, narrow: t.AbstractSet[int]) -> Numbers:
        """Return which rules, of those that look at nothing but the program, match it."""
        key = view.get("Image"), frozenset(narrow)
        found = self._images.get(key)
        if found is None:
            found = frozenset(self._rules.try_rules(narrow, view))
            if len(self._images) >= _MOST_VALUES:
                self._images.clear()
            self._images[key] = found
        return found

    def _candidates(self, source: str, name: str, value: t.Any) -> Numbers:
        """Return which rules have to be tried because of a field's value; short ones are remembered."""
        if value is None:
            return NO_NUMBERS
        if name == "CommandLine":
            return self._rules.candidates(source, name, value)
        if value.__class__ is tuple:
            return NO_NUMBERS.union(*(self._candidates(source, name, text) for text in value))
        memo = self._values.get((source, name))
        if memo is None:
            memo = self._values[source, name] = {}
        numbers = memo.get(value)
        if numbers is None:
            numbers = self._rules.candidates(source, name, value)
            if len(value) < _LONGEST_VALUE:
                if len(memo) >= _MOST_VALUES:
                    memo.clear()
                memo[value] = numbers
        return numbers


_EMPTY = LazyView("", {}, None)
