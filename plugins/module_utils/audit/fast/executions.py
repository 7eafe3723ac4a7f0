# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The fast way for what most events of a log are: a program was executed, and no rule is for it.

What such an event has, program, command line, paths and parent, each was there before in most, even where all of it
together was not. So for each is kept which rules it lets match (``sieve``), and only those that all of it lets match
are tried. What the fast way can't tell exactly is left to ``detection.verdicts``, the slow way.
"""

from __future__ import annotations

import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils.audit.detection import raw_fields, views
from ansible_collections.bulwark.servers.plugins.module_utils.audit.detection.lazy_view import LazyView
from ansible_collections.bulwark.servers.plugins.module_utils.audit.detection.matching import Matcher
from ansible_collections.bulwark.servers.plugins.module_utils.audit.detection.model import NOTHING, Looked
from ansible_collections.bulwark.servers.plugins.module_utils.audit.fast.execution_candidates import (
    SOURCE,
    Candidates,
    Command,
)
from ansible_collections.bulwark.servers.plugins.module_utils.audit.fast.verdict_cache import (
    LONGEST,
    Execution,
    Judge,
    Shape,
)
from ansible_collections.bulwark.servers.plugins.module_utils.audit_records import activity
from ansible_collections.bulwark.servers.plugins.module_utils.audit_records.events import event_of
from ansible_collections.bulwark.servers.plugins.module_utils.audit_records.processes import Processes
from ansible_collections.bulwark.servers.plugins.module_utils.audit_records.record_regex import NEXT
from ansible_collections.bulwark.servers.plugins.module_utils.sigma.engine import RuleSet
from ansible_collections.bulwark.servers.plugins.module_utils.sigma.sieve import Facts

# Of each kind.
_MOST_KEPT = 4_000
# Names are slower.
_PARTS = tuple(
    NEXT.groupindex[name]
    for name in ("head", "ppid", "pid", "ids", "ses", "rest", "arguments", "cwd", "path0", "path1", "path2")
)

Match = t.Match[bytes]


class _Paths:
    """What follows from the paths of an event. original: what was executed."""

    __slots__ = ("mixed", "original", "rules")

    def __init__(self, original: bytes, facts: Facts) -> None:
        self.original = original
        self.rules, self.mixed = facts


class Executions:
    """Looks at executions; keeps the process table up to date on the way."""

    def __init__(self, rules: RuleSet, compiled: t.Mapping[str, t.Any], processes: Processes, matcher: Matcher) -> None:
        self._processes = processes
        self._matcher = matcher
        self._candidates = Candidates(compiled, matcher.of_arguments)
        self._shapes: dict[tuple[bytes, bytes, bytes], Shape | None] = {}
        self._paths: dict[t.Any, _Paths | None] = {}
        self._directories: dict[bytes, Facts] = {}
        self._judge = Judge(rules, self._candidates, matcher)
        self.commands = 0

    def look(self, found: Match) -> Looked | None:
        """Return what the rules say of what ``record_regex.NEXT`` found; None where the slow way has to."""
        head, ppid, pid, ids, ses, rest, arguments, cwd, path0, path1, path2 = found.group(*_PARTS)
        try:
            shape, paths = self._shapes[head, ids, rest], self._paths[path0, path1, path2]
        except KeyError:
            shape, paths = self._new(found)
        if shape is None or paths is None:
            return None
        candidates, processes = self._candidates, self._processes
        command = candidates.commands.newer.get(arguments) or self._command(arguments)
        directory = self._directories.get(cwd) or self._directory(cwd, found)
        parent = processes.starter(pid, ppid)
        epoch = processes.epoch
        if parent is None:
            above = candidates.orphan
        else:
            above = parent.facts if parent.epoch == epoch else candidates.parent(parent, epoch)
        processes.executed(pid, parent, shape.exe, arguments, paths.original, ses)
        rules: int = shape.rules & command[0] & paths.rules & directory[0] & above[0]
        if rules:
            rules &= candidates.unmixed | shape.mixed | command[1] | paths.mixed | directory[1] | above[1]
        if rules & candidates.renamed and activity.is_under_own_name(arguments, shape.exe):
            rules &= ~candidates.renamed
        if not rules:
            return NOTHING
        if parent is None:
            parent = processes.unknown(ppid, ses)
        return self._judge.judge(Execution(found, shape, arguments, paths, parent), rules)

    def _new(self, found: Match) -> tuple[Shape | None, _Paths | None]:
        head, _ppid, _pid, ids, _ses, rest, _arguments, cwd, path0, path1, path2 = found.group(*_PARTS)
        shape = (
            self._shapes[head, ids, rest]
            if (head, ids, rest) in self._shapes
            else self._shape((head, ids, rest), found)
        )
        names = (path0, path1, path2)
        if shape is None:
            return None, None
        return shape, self._paths[names] if names in self._paths else self._new_paths(names, cwd, found)

    def _shape(self, key: tuple[bytes, bytes, bytes], found: Match) -> Shape | None:
        """Return what is the same; None where it has to be the slow way, as for a line that was cut off."""
        shape: Shape | None = None
        matcher = self._matcher
        # Nothing is kept here of what the records of a directory and a title say.
        if matcher.only_paths and activity.SYSCALL.search(found.group()) is not None:
            subject = activity.activity_of(event_of(found), None, None)
            if subject.syscall in views.EXECUTES and matcher.ignores_call(subject):
                view = LazyView(SOURCE, views.EXECUTION, subject)
                shape = Shape(subject, view, self._candidates.shape(view))
        return _kept(self._shapes, key, shape, key)

    def _new_paths(self, key: tuple[t.Any, ...], cwd: bytes, found: Match) -> _Paths | None:
        """Return what follows from paths; None where a rule is for one of their records."""
        raw = found.group()
        named = raw_fields.PATHS.findall(raw)
        if not all(name[:2] == b'"/' for name, *_rest in named):
            # What was executed follows from the directory, too.
            key = (*key, cwd)
            if key in self._paths:
                return self._paths[key]
        paths: _Paths | None = None
        if named and self._matcher.ignores_paths(raw):
            view = LazyView(SOURCE, views.EXECUTION, activity.activity_of(event_of(found), None, None))
            paths = _Paths(raw_fields.original(raw, named[0][0]), self._candidates.paths(view))
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
    if sum(map(len, texts)) <= LONGEST:
        if len(table) >= _MOST_KEPT:
            table.clear()
        table[key] = value
    return value
