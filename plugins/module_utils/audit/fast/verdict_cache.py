# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What rules say of an execution that they may match, asked once for those that are the same to them.

Of one program there are few sets of rules that are left to try, and for each of them it is known what is left of their
conditions once the program is.
"""

from __future__ import annotations

import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils.audit.detection import raw_fields, views
from ansible_collections.bulwark.servers.plugins.module_utils.audit.detection.known_verdicts import KeyVerdicts
from ansible_collections.bulwark.servers.plugins.module_utils.audit.detection.lazy_view import LazyView
from ansible_collections.bulwark.servers.plugins.module_utils.audit.detection.lru_cache import LruCache
from ansible_collections.bulwark.servers.plugins.module_utils.audit.detection.matching import Matcher
from ansible_collections.bulwark.servers.plugins.module_utils.audit.detection.model import (
    NOTHING,
    About,
    Hit,
    Looked,
    Verdict,
    Views,
)
from ansible_collections.bulwark.servers.plugins.module_utils.audit.detection.raw_fields import Getter, Raw
from ansible_collections.bulwark.servers.plugins.module_utils.audit.fast.execution_candidates import (
    SHAPE_FIELDS,
    SOURCE,
    Candidates,
    Numbers,
)
from ansible_collections.bulwark.servers.plugins.module_utils.audit_records import activity, decode
from ansible_collections.bulwark.servers.plugins.module_utils.audit_records.activity import Activity
from ansible_collections.bulwark.servers.plugins.module_utils.audit_records.events import Event, event_of
from ansible_collections.bulwark.servers.plugins.module_utils.audit_records.processes import Process
from ansible_collections.bulwark.servers.plugins.module_utils.sigma.conditions import Condition, Values
from ansible_collections.bulwark.servers.plugins.module_utils.sigma.engine import Checks, RuleSet
from ansible_collections.bulwark.servers.plugins.module_utils.sigma.sieve import Facts

# What is longer than this is not kept.
LONGEST = 4_096
_MOST_VERDICTS = 12_000
_MOST_BYTES = 6 * 1024 * 1024
_MOST_WAYS = 2_000
_MOST_ASKED = 4_000
# Rules of one set; hostile programs could be for sets of all of them.
_ASKED_SIZE = 64
# About what is left of a condition, with its parts.
_REST_SIZE = 400
_MOST_RESTS = 10_000
_MOST_ASKED_BYTES = 4 * 1024 * 1024
# It is worth it to find out what is left of rules for a program when there were so many events of it.
_WORTH_IT = 3
# What is another one in each execution; of the line as ``record_regex`` knows it.
_OWN = {activity.PPID: (b" ppid=", b" pid="), activity.PID: (b" pid=", b" auid="), activity.SES: (b" ses=", b" comm=")}
_IN_KEY = SHAPE_FIELDS | {"CommandLine", "Argv", "OriginalImage", "Paths", "CalledAs"}

Match = t.Match[bytes]


class Shape:
    """What is the same in many events: which call of which program, by whom."""

    __slots__ = ("exe", "image", "image_lower", "mixed", "parts", "rules", "tried", "values")

    def __init__(self, subject: Activity, view: LazyView, facts: Facts) -> None:
        self.values = {field: view.get(field) for field in SHAPE_FIELDS}
        self.parts = subject.parts
        self.exe: bytes = subject.parts[activity.EXE] or b""
        self.image = subject.exe
        self.image_lower = subject.exe.lower()
        self.rules, self.mixed = facts
        self.tried = 0


class Execution(t.NamedTuple):
    """An event, and what is known of it. paths: the same object for the same paths."""

    found: Match
    shape: Shape
    arguments: bytes
    paths: t.Any
    parent: Process | None

    def decided(self, rules: int, asked: tuple[Getter, ...]) -> t.Any:
        """Return what decides a verdict beside program, arguments and paths, if rules ask for nothing else."""
        if not asked:
            return rules
        parts = list(self.shape.parts)
        ppid, pid, ses, cwd = self.found.group("ppid", "pid", "ses", "cwd")
        parts[activity.PPID], parts[activity.PID], parts[activity.SES] = ppid, pid, ses
        raws = Raw(parts, None, self.parent, b"\ntype=CWD msg=x " + cwd)
        return (rules, *(raw_fields.value(getter, raws) for getter in asked))


class _Asked(t.NamedTuple):
    """What is left to ask for a program and a set of rules: of the process, and of its EXECVE record."""

    process: Checks
    arguments: Checks


class Judge:
    """Asks the rules, and keeps what they say."""

    def __init__(self, rules: RuleSet, candidates: Candidates, matcher: Matcher) -> None:
        self._rules = rules
        self._candidates = candidates
        self._matcher = matcher
        # A number: the rules that do not match, whatever else an event has.
        self._known: LruCache[t.Any, KeyVerdicts | int] = LruCache(_MOST_VERDICTS, _MOST_BYTES)
        self._asked: LruCache[tuple[Shape, int], _Asked] = LruCache(_MOST_ASKED, _MOST_ASKED_BYTES)
        # What is left of a rule's condition for a shape; () where that is false.
        self._rests: LruCache[tuple[Shape, int], Condition | tuple[()]] = LruCache(_MOST_RESTS, _MOST_ASKED_BYTES)

    def judge(self, execution: Execution, rules: int) -> Looked:
        """Return what rules say, of which others are known not to match."""
        _found, shape, arguments, paths, _parent = execution
        asked = self._asked.newer.get((shape, rules)) or self._asked.get((shape, rules))
        if asked is not None and not asked.process and not asked.arguments:
            return NOTHING
        key = (shape, arguments, paths)
        known = self._known.newer.get(key) or self._known.get(key)
        if isinstance(known, KeyVerdicts):
            verdict = known.verdicts.get(execution.decided(rules, known.asked))
            if verdict is not None:
                return self._looked(verdict, execution)
        elif known == rules:
            return NOTHING
        return self._ask(execution, rules, asked, known)

    def _ask(self, execution: Execution, rules: int, asked: _Asked | None, known: KeyVerdicts | int | None) -> Looked:
        found, shape, arguments, paths, parent = execution
        view = LazyView(SOURCE, views.EXECUTION, Later(found, parent))
        view.know(shape.values)
        values = Values(view)
        lower = values.lower
        line = activity.line_of(arguments)
        values["CommandLine"], lower["CommandLine"] = line, line.lower()
        values["Image"], lower["Image"] = shape.image, shape.image_lower
        if asked is None:
            asked = self._to_ask(shape, rules, values)
        ask = self._rules
        matching = ask.matching(asked.process, values)
        of_arguments = ask.matching(asked.arguments, _argument_values(arguments)) if asked.arguments else ()
        key = (shape, arguments, paths)
        if known is None and not matching and not of_arguments and view.asked.keys() <= _IN_KEY:
            if len(arguments) <= LONGEST:
                self._known.keep(key, rules, len(arguments))
            return NOTHING
        hits = [Hit(number, 0, ask.subject(number, view), ask.message(number, view)) for number in matching]
        if of_arguments:
            subject = activity.activity_of(event_of(found), None, parent)
            self._matcher.try_arguments(frozenset(of_arguments), subject, hits)
        verdict = tuple(hits)
        others = [name for name in view.asked if name not in _IN_KEY and view.has(name)]
        if len(arguments) <= LONGEST and all(name in raw_fields.CALL for name in others):
            self._keep(key, known, tuple(raw_fields.CALL[name] for name in others), rules, execution, verdict)
        return self._looked(verdict, execution)

    def _to_ask(self, shape: Shape, rules: int, values: Values) -> _Asked:
        """Return what there is to ask; what is left of it for the program, and kept, where there were more of that."""
        ask, candidates = self._rules, self._candidates
        if shape.tried <= _WORTH_IT:
            shape.tried += 1
            if shape.tried > _WORTH_IT:
                numbers = candidates.numbers(shape.rules)[0]
                left = {number for number, _check in self._left(shape, numbers, values)}
                shape.rules = candidates.without(shape.rules, numbers - left)
        numbers, of_arguments = candidates.numbers(rules)
        if shape.tried <= _WORTH_IT:
            return _Asked(ask.checks(numbers), ask.checks(of_arguments))
        asked = _Asked(self._left(shape, numbers, values), ask.checks(of_arguments))
        self._asked.keep((shape, rules), asked, _ASKED_SIZE * (len(asked.process) + len(asked.arguments) + 1))
        return asked

    def _left(self, shape: Shape, numbers: Numbers, values: Values) -> Checks:
        """Return what is left of the conditions of rules for a shape, of those that it does not make false."""
        rests = self._rests
        left = []
        for number in sorted(numbers):
            check = rests.get((shape, number))
            if check is None:
                check = self._rules.rest(number, values, SHAPE_FIELDS) or ()
                rests.keep((shape, number), check, _REST_SIZE)
            if check:
                left.append((number, check))
        return tuple(left)

    def _keep(
        self,
        key: t.Any,
        known: KeyVerdicts | int | None,
        asked: tuple[Getter, ...],
        rules: int,
        execution: Execution,
        verdict: Verdict,
    ) -> None:
        if known is None and not asked and not verdict:
            self._known.keep(key, rules, len(key[1]))
            return
        if not isinstance(known, KeyVerdicts):
            before, known = known, KeyVerdicts()
            if before is not None:
                known.verdicts[before] = ()
            self._known.keep(key, known, len(key[1]))
        if not set(asked) <= set(known.asked):
            # The rules took another way this time: what they said before is compared with that, too, from now on.
            known.asked = tuple(dict.fromkeys(known.asked + asked))
            known.verdicts.clear()
        if len(known.verdicts) < _MOST_WAYS:
            known.verdicts[execution.decided(rules, known.asked)] = verdict

    def _looked(self, verdict: Verdict, execution: Execution) -> Looked:
        if not verdict:
            return NOTHING
        # The event, since what was found holds a whole block of the log in memory.
        event = event_of(execution.found)
        about = About(event, "execution", None, execution.parent, execution.shape.values)
        return Looked(verdict, ExecutionViews(about, self._matcher))


def _argument_values(arguments: bytes) -> Values:
    """Return the fields of an EXECVE record, as ``record_views.argument_fields`` does."""
    fields = {"type": "EXECVE"}
    fields.update(("a%d" % number, value) for number, value in enumerate(activity.arguments_of(arguments)))
    return Values(fields)


class Later:
    """An activity that is made when something of it is asked for."""

    __slots__ = ("_found", "_subject", "parent")

    def __init__(self, found: Match | Event, parent: Process | None) -> None:
        self._found = found
        self._subject: Activity | None = None
        self.parent = parent

    @property
    def itself(self) -> Activity:
        if self._subject is None:
            found = self._found
            self._subject = activity.activity_of(
                found if isinstance(found, Event) else event_of(found), None, self.parent
            )
        return self._subject

    @property
    def _raw(self) -> bytes:
        return self._found.raw if isinstance(self._found, Event) else self._found.group()

    def part(self, number: int) -> str:
        """Return a part of the call; what correlations ask for without all the others."""
        if self._subject is not None or number not in _OWN:
            return self.itself.part(number)
        raw = self._raw
        name, following = _OWN[number]
        end = raw.find(following)
        return decode.text(raw[raw.rfind(name, 0, end) + len(name) : end])

    @property
    def cwd(self) -> str:
        return activity.directory_in(self._raw)

    @property
    def command_line(self) -> str:
        if self._subject is None:
            arguments = activity.EXECVE.search(self._raw)
            if arguments is not None:
                return activity.line_of(arguments.group(1))
        return self.itself.command_line

    def __getattr__(self, name: str) -> t.Any:
        return getattr(self.itself, name)


class ExecutionViews(Views):
    """The views of an execution; most ask for the first, which is made by itself."""

    __slots__ = ("_first",)

    def __init__(self, about: About, matcher: Matcher) -> None:
        subject = Later(about.event, about.parent)
        super().__init__(about, lambda: matcher.views(subject.itself))
        self._first = LazyView(SOURCE, views.EXECUTION, subject)
        self._first.know(about.known)

    def __getitem__(self, place: int) -> LazyView:
        return super().__getitem__(place) if place else self._first
