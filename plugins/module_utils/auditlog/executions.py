# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The quick way for what most events of a log are: a program was executed, and no rule is for it.

What such an event has, program, command line, paths and parent, each was there before in most, even where all of it
together was not. So for each is kept which rules it lets match (``sieve``), and only those that all of it lets match
are tried. What the quick way can't tell exactly is left to ``verdicts``, which is the slow way.
"""

from __future__ import annotations

import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils.auditlog import activity, rawfields, views
from ansible_collections.bulwark.servers.plugins.module_utils.auditlog.activity import Activity
from ansible_collections.bulwark.servers.plugins.module_utils.auditlog.candidates import (
    SHAPE_FIELDS,
    SOURCE,
    Candidates,
    Command,
)
from ansible_collections.bulwark.servers.plugins.module_utils.auditlog.events import Event, event_of
from ansible_collections.bulwark.servers.plugins.module_utils.auditlog.kept import Kept
from ansible_collections.bulwark.servers.plugins.module_utils.auditlog.lazy import LazyView
from ansible_collections.bulwark.servers.plugins.module_utils.auditlog.processes import Process, Processes
from ansible_collections.bulwark.servers.plugins.module_utils.auditlog.rawfields import Getter, Raw
from ansible_collections.bulwark.servers.plugins.module_utils.auditlog.verdicts import (
    NOTHING,
    About,
    Hit,
    Looked,
    Verdicts,
    Views,
)
from ansible_collections.bulwark.servers.plugins.module_utils.auditlog.wholes import NEXT
from ansible_collections.bulwark.servers.plugins.module_utils.sigma.conditions import Values
from ansible_collections.bulwark.servers.plugins.module_utils.sigma.engine import RuleSet
from ansible_collections.bulwark.servers.plugins.module_utils.sigma.sieve import Facts

# Of each kind; what is longer than this is not kept.
_MOST_KEPT = 4_000
_LONGEST = 4_096
_MOST_VERDICTS = 12_000
_MOST_BYTES = 6 * 1024 * 1024
_MOST_WAYS = 2_000
# It is worth it to find out which rules are never for a program when there were so many events of it.
_WORTH_IT = 3
# Names are slower.
_PARTS = tuple(
    NEXT.groupindex[name]
    for name in ("head", "ppid", "pid", "ids", "rest", "arguments", "cwd", "path0", "path1", "path2")
)
_IN_KEY = SHAPE_FIELDS | {"CommandLine", "Argv", "OriginalImage", "Paths"}

Match = t.Match[bytes]
Verdict = t.Tuple[Hit, ...]


class _Shape:
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


class _Paths:
    """What follows from the paths of an event. original: what was executed."""

    __slots__ = ("mixed", "original", "rules")

    def __init__(self, original: bytes, facts: Facts) -> None:
        self.original = original
        self.rules, self.mixed = facts


class _Known:
    """What rules said of events with the same program, command line and paths, by what else they asked for."""

    __slots__ = ("asked", "verdicts")

    def __init__(self) -> None:
        self.asked: tuple[Getter, ...] = ()
        self.verdicts: dict[t.Any, Verdict] = {}


class _Later:
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

    def __getattr__(self, name: str) -> t.Any:
        return getattr(self.itself, name)


class _Around(t.NamedTuple):
    """What an event has beside program, command line and paths."""

    found: Match
    shape: _Shape
    parent: Process | None

    def values(self, rules: int, asked: tuple[Getter, ...]) -> t.Any:
        """Return what decides a verdict, if rules ask for nothing else."""
        if not asked:
            return rules
        parts = list(self.shape.parts)
        ppid, pid, ses, cwd = self.found.group("ppid", "pid", "ses", "cwd")
        parts[activity.PPID], parts[activity.PID], parts[activity.SES] = ppid, pid, ses
        raws = Raw(parts, None, self.parent, b"\ntype=CWD msg=x " + cwd)
        return (rules, *(rawfields.value(getter, raws) for getter in asked))


class Executions:
    """Looks at executions; keeps the process table up to date on the way."""

    def __init__(
        self, rules: RuleSet, compiled: t.Mapping[str, t.Any], processes: Processes, verdicts: Verdicts
    ) -> None:
        self._rules = rules
        self._processes = processes
        self._verdicts = verdicts
        self._candidates = Candidates(compiled, verdicts.of_arguments)
        self._shapes: dict[tuple[bytes, bytes, bytes], _Shape | None] = {}
        self._paths: dict[t.Any, _Paths | None] = {}
        self._directories: dict[bytes, Facts] = {}
        # A number: the rules that do not match, whatever else an event has.
        self._known: Kept[t.Any, _Known | int] = Kept(_MOST_VERDICTS, _MOST_BYTES)
        self.commands = 0

    def look(self, found: Match) -> Looked | None:
        """Return what the rules say of an execution that ``wholes.NEXT`` found; None where the slow way has to be."""
        head, ppid, pid, ids, rest, arguments, cwd, path0, path1, path2 = found.group(*_PARTS)
        try:
            shape, paths = self._shapes[head, ids, rest], self._paths[path0, path1, path2]
        except KeyError:
            shape, paths = self._new(found)
        if shape is None or paths is None:
            return None
        candidates, processes = self._candidates, self._processes
        command = candidates.commands.newer.get(arguments) or self._command(arguments)
        directory = self._directories.get(cwd) or self._directory(cwd, found)
        parent = processes.get(ppid)
        above = candidates.orphan if parent is None else parent.facts or candidates.parent(parent)
        processes.executed(pid, ppid, shape.exe, arguments, paths.original)
        rules: int = shape.rules & command[0] & paths.rules & directory[0] & above[0]
        if rules:
            rules &= candidates.unmixed | shape.mixed | command[1] | paths.mixed | directory[1] | above[1]
        if not rules:
            return NOTHING
        around = _Around(found, shape, parent)
        key = (shape, arguments, paths)
        known = self._known.newer.get(key) or self._known.get(key)
        if known is None:
            return self._judge(key, None, rules, around)
        if isinstance(known, int):
            return NOTHING if known == rules else self._judge(key, known, rules, around)
        verdict = known.verdicts.get(around.values(rules, known.asked))
        return self._judge(key, known, rules, around) if verdict is None else _looked(verdict, around, self._verdicts)

    def _judge(self, key: t.Any, known: _Known | int | None, rules: int, around: _Around) -> Looked:
        """Try rules, and keep what they say."""
        found, shape, parent = around
        view = LazyView(SOURCE, views.EXECUTION, _Later(found, parent))
        view.know(shape.values)
        values = Values(view)
        line = " ".join(activity.arguments_of(key[1]))
        values["CommandLine"], values.lower["CommandLine"] = line, line.lower()
        values["Image"], values.lower["Image"] = shape.image, shape.image_lower
        if shape.tried <= _WORTH_IT:
            shape.tried += 1
            if shape.tried > _WORTH_IT:
                numbers = self._candidates.numbers(shape.rules)[0]
                shape.rules = self._candidates.without(shape.rules, self._rules.excluded(numbers, values))
        numbers, of_arguments = self._candidates.numbers(rules)
        ask = self._rules
        hits = [
            Hit(number, 0, ask.subject(number, view), ask.message(number, view))
            for number in ask.try_values(numbers, values)
        ]
        if of_arguments:
            self._verdicts.try_arguments(of_arguments, activity.activity_of(event_of(found), None, parent), hits)
        verdict = tuple(hits)
        others = [name for name in view.asked if name not in _IN_KEY and view.has(name)]
        if len(key[1]) <= _LONGEST and all(name in rawfields.CALL for name in others):
            self._keep(key, known, tuple(rawfields.CALL[name] for name in others), rules, around, verdict)
        return _looked(verdict, around, self._verdicts)

    def _keep(
        self,
        key: t.Any,
        known: _Known | int | None,
        asked: tuple[Getter, ...],
        rules: int,
        around: _Around,
        verdict: Verdict,
    ) -> None:
        if known is None and not asked and not verdict:
            self._known.keep(key, rules, len(key[1]))
            return
        if not isinstance(known, _Known):
            before, known = known, _Known()
            if before is not None:
                known.verdicts[before] = ()
            self._known.keep(key, known, len(key[1]))
        if not set(asked) <= set(known.asked):
            # The rules took another way this time: what they said before is compared with that, too, from now on.
            known.asked = tuple(dict.fromkeys(known.asked + asked))
            known.verdicts.clear()
        if len(known.verdicts) < _MOST_WAYS:
            known.verdicts[around.values(rules, known.asked)] = verdict

    def note(self, found: Match) -> None:
        """Keep the process table up to date with an execution that somebody else looks at."""
        head, ppid, pid, ids, rest, arguments, _cwd, path0, path1, path2 = found.group(*_PARTS)
        try:
            shape, paths = self._shapes[head, ids, rest], self._paths[path0, path1, path2]
        except KeyError:
            shape, paths = self._new(found)
        if shape is None or paths is None:
            self._verdicts.note(event_of(found))
        else:
            self._processes.executed(pid, ppid, shape.exe, arguments, paths.original)

    def _new(self, found: Match) -> tuple[_Shape | None, _Paths | None]:
        head, _ppid, _pid, ids, rest, _arguments, cwd, path0, path1, path2 = found.group(*_PARTS)
        shape = (
            self._shapes[head, ids, rest]
            if (head, ids, rest) in self._shapes
            else self._shape((head, ids, rest), found)
        )
        names = (path0, path1, path2)
        if shape is None:
            return None, None
        return shape, self._paths[names] if names in self._paths else self._new_paths(names, cwd, found)

    def _shape(self, key: tuple[bytes, bytes, bytes], found: Match) -> _Shape | None:
        """Return what is the same; None where it has to be the slow way, as for a line that was cut off."""
        shape: _Shape | None = None
        verdicts = self._verdicts
        # Nothing is kept here of what the records of a directory and a title say.
        if verdicts.only_paths and activity.SYSCALL.search(found.group()) is not None:
            subject = activity.activity_of(event_of(found), None, None)
            if subject.syscall in views.EXECUTES and verdicts.ignores_call(subject):
                view = LazyView(SOURCE, views.EXECUTION, subject)
                shape = _Shape(subject, view, self._candidates.shape(view))
        return _kept(self._shapes, key, shape, key)

    def _new_paths(self, key: tuple[t.Any, ...], cwd: bytes, found: Match) -> _Paths | None:
        """Return what follows from paths; None where a rule is for one of their records."""
        raw = found.group()
        named = rawfields.PATHS.findall(raw)
        if not all(name[:2] == b'"/' for name, *_rest in named):
            # What was executed follows from the directory, too.
            key = (*key, cwd)
            if key in self._paths:
                return self._paths[key]
        paths: _Paths | None = None
        if named and self._verdicts.ignores_paths(raw):
            view = LazyView(SOURCE, views.EXECUTION, activity.activity_of(event_of(found), None, None))
            paths = _Paths(rawfields.original(raw, named[0][0]), self._candidates.paths(view))
        return _kept(self._paths, key, paths, filter(None, key))

    def _directory(self, cwd: bytes, found: Match) -> Facts:
        view = LazyView(SOURCE, views.EXECUTION, activity.activity_of(event_of(found), None, None))
        return _kept(self._directories, cwd, self._candidates.directory(view), (cwd,))

    def _command(self, arguments: bytes) -> Command:
        command = self._candidates.commands.get(arguments)
        if command is None:
            self.commands += 1
            command = self._candidates.command(arguments)
        return command


_T = t.TypeVar("_T")


def _kept(table: dict[t.Any, t.Any], key: t.Any, value: _T, texts: t.Iterable[bytes]) -> _T:
    if sum(map(len, texts)) <= _LONGEST:
        if len(table) >= _MOST_KEPT:
            table.clear()
        table[key] = value
    return value


def _looked(verdict: Verdict, around: _Around, verdicts: Verdicts) -> Looked:
    if not verdict:
        return NOTHING
    # The event, since what was found holds a whole block of the log in memory.
    return Looked(
        verdict,
        ExecutionViews(About(event_of(around.found), "execution", None, around.parent, around.shape.values), verdicts),
    )


class ExecutionViews(Views):
    """The views of an execution; most ask for the first, which is made by itself."""

    __slots__ = ("_first",)

    def __init__(self, about: About, verdicts: Verdicts) -> None:
        subject = _Later(about.event, about.parent)
        super().__init__(about, lambda: verdicts.views(subject.itself))
        self._first = LazyView(SOURCE, views.EXECUTION, subject)
        self._first.know(about.known)

    def __getitem__(self, place: int) -> LazyView:
        return super().__getitem__(place) if place else self._first
