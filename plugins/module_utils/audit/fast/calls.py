# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The fast way for system calls that execute nothing, and for most of which no rule is.

Who calls, the paths and the address of a call were there before in most, or rule out by themselves that any rule
matches. So for each is kept which rules it lets match (``call_candidates``), and only those that all of it lets match
are tried. What the fast way can't tell exactly is left to ``detection.verdicts``, the slow way.
"""

from __future__ import annotations

import re
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils.audit.detection import file_changes, raw_fields, views
from ansible_collections.bulwark.servers.plugins.module_utils.audit.detection.call_shapes import REROOTS
from ansible_collections.bulwark.servers.plugins.module_utils.audit.detection.lru_cache import LruCache
from ansible_collections.bulwark.servers.plugins.module_utils.audit.detection.matching import Matcher
from ansible_collections.bulwark.servers.plugins.module_utils.audit.detection.model import (
    About,
    Hit,
    Looked,
    Verdict,
    Views,
)
from ansible_collections.bulwark.servers.plugins.module_utils.audit.detection.raw_fields import Getter, Raw
from ansible_collections.bulwark.servers.plugins.module_utils.audit.fast.call_candidates import (
    ADDRESS_FIELDS,
    CHANGE_FIELDS,
    SHAPE_FIELDS,
    Asked,
    CallFacts,
)
from ansible_collections.bulwark.servers.plugins.module_utils.audit_records import activity, architectures, record_regex
from ansible_collections.bulwark.servers.plugins.module_utils.audit_records.activity import Activity
from ansible_collections.bulwark.servers.plugins.module_utils.audit_records.events import event_of
from ansible_collections.bulwark.servers.plugins.module_utils.audit_records.processes import Process, Processes
from ansible_collections.bulwark.servers.plugins.module_utils.sigma.sieve import Facts

_MOST_KEPT = 4_000
_LONGEST = 4_096
_MOST_VERDICTS = 12_000
_MOST_BYTES = 6 * 1024 * 1024
# About what an entry takes besides its texts.
_ENTRY = 400

# What varies from call to call, by what ``raw_fields`` knows it as.
_VARYING: t.Mapping[int, str] = {
    activity.EXIT: "exit",
    activity.A0: "a0",
    activity.A1: "a1",
    activity.A2: "a2",
    activity.A3: "a3",
    activity.PPID: "c_ppid",
    activity.PID: "c_pid",
    activity.SES: "c_ses",
}
_GROUPS = record_regex.NEXT.groupindex
_PLACES = tuple(_VARYING)
_VALUES = tuple(_GROUPS[name] for name in _VARYING.values())
_PARTS = tuple(
    _GROUPS[name]
    for name in ("c_head", "c_ids", "c_rest", "c_ppid", "c_pid", "c_ses", "saddr", "c_cwd")
    + ("c_path0", "c_path1", "c_path2", "c_path3")
)
_TITLE = _GROUPS["title"]
# Of what comes from other records than these calls have, there is nothing.
_IN_KEY = SHAPE_FIELDS | CHANGE_FIELDS | ADDRESS_FIELDS | {"Container", "Module", "TargetProcessId", "TargetComm"}
# A PATH record as linux/kernel/auditsc.c writes it. The number of its inode says nothing.
_PATH = re.compile(
    rb"(item=\d{1,9}) name=(\"[^\"\n\x1d]*\"|[0-9A-F]+|\(null\))"
    rb"(?: inode=\d+( dev=\S+ mode=\w+ ouid=\d+ ogid=\d+ rdev=\S+))?((?: obj=\S+)?) (?:name|obj)type=(\w+)"
    rb"((?: cap_\w+=\w+)*)"
    rb"(?:\x1d([^\n]*))?\Z"
)

Match = t.Match[bytes]
# Of a shape, paths and an address.
_Numbers = t.Tuple[int, int, int]


class _Shape:
    """What is the same in many calls: which call of which program, by whom.

    kind: what is done to the paths of a call follows from this and from argument, the group that decides it.
    listens: the call, if it is one by which a process may come to listen.
    """

    __slots__ = ("argument", "asked", "exe", "kind", "listens", "mixed", "number", "parts", "rules")

    def __init__(
        self,
        number: int,
        parts: t.Sequence[t.Any],
        argument: int | None,
        asked: t.Iterable[Asked],
        facts: Facts,
        listens: str | None,
    ) -> None:
        self.number = number
        self.parts = parts
        self.exe: bytes = parts[activity.EXE] or b""
        self.kind = parts[activity.ARCH], parts[activity.NUMBER], parts[activity.SUCCESS]
        self.argument = None if argument is None else _GROUPS[_VARYING[argument]]
        # What rules for the SYSCALL record ask of its arguments, by their groups.
        self.asked = [(_GROUPS[_VARYING[one.argument]], one) for one in asked]
        self.rules, self.mixed = facts
        self.listens = listens


class _Part(t.NamedTuple):
    """What follows from paths, or from an address. number: no other has it."""

    rules: int
    mixed: int
    number: int


class _Around(t.NamedTuple):
    """An event, and who did it."""

    found: Match
    shape: _Shape
    process: Process | None
    parent: Process | None

    def subject(self) -> Activity:
        return Activity(event_of(self.found), self._parts(), self.process, self.parent)

    def values(self, asked: tuple[Getter, ...]) -> t.Any:
        """Return what decides a verdict, if rules ask for nothing else."""
        if not asked:
            return ()
        raws = Raw(self._parts(), self.process, self.parent, self.found.group())
        return tuple(raw_fields.value(getter, raws) for getter in asked)

    def _parts(self) -> list[t.Any]:
        parts = list(self.shape.parts)
        for place, value in zip(_PLACES, self.found.group(*_VALUES)):
            parts[place] = value
        return parts


class Calls:
    """Looks at calls; keeps the process table up to date on the way."""

    def __init__(self, compiled: t.Mapping[str, t.Any], processes: Processes, matcher: Matcher) -> None:
        self._processes = processes
        self._matcher = matcher
        self._facts = CallFacts(compiled, matcher.record_rules)
        self._shapes: dict[t.Any, _Shape | None] = {}
        self._paths: LruCache[t.Any, _Part] = LruCache(_MOST_VERDICTS, _MOST_BYTES)
        self._parsed: LruCache[t.Any, _Part] = LruCache(_MOST_VERDICTS, _MOST_BYTES)
        self._addresses: LruCache[bytes | None, _Part] = LruCache(_MOST_VERDICTS, _MOST_BYTES)
        # What else rules asked for, by shape, paths and address; and what they said, by all of that and its values.
        self._asked: LruCache[_Numbers, tuple[Getter, ...]] = LruCache(_MOST_VERDICTS, _MOST_BYTES)
        self._said: LruCache[t.Any, Verdict] = LruCache(_MOST_VERDICTS, _MOST_BYTES)
        self._count = 0

    def look(self, found: Match) -> t.Sequence[Looked] | None:
        """Return what the rules say of a call that ``record_regex.NEXT`` found; None where the slow way has to."""
        head, ids, rest, ppid, pid, ses, saddr, cwd, path0, path1, path2, path3 = found.group(*_PARTS)
        try:
            shape = self._shapes[head, ids, rest]
        except KeyError:
            shape = self._shape((head, ids, rest), found)
        if shape is None:
            return None
        for group, asked_of in shape.asked:
            if asked_of.has(found.group(group)):
                return None
        key = (shape.kind, shape.argument and found.group(shape.argument), cwd, path0, path1, path2, path3)
        paths = self._paths.newer.get(key) or self._paths.get(key) or self._new_paths(key, shape, found)
        if paths is _SLOW:
            return None
        address = self._addresses.newer.get(saddr) or self._addresses.get(saddr) or self._address(saddr, shape, found)
        rules = shape.rules & paths.rules & address.rules
        if rules:
            rules &= self._facts.unmixed | shape.mixed | paths.mixed | address.mixed
        processes = self._processes
        process = processes.get(pid)
        if not rules:
            if process is None:
                processes.seen(pid, ppid, shape.exe, found.group(_TITLE), ses)
            if shape.listens is not None and raw_fields.has_port(shape.listens, saddr):
                processes.listens(pid)
            return ()
        around = _Around(found, shape, process, processes.get(ppid))
        if process is None:
            processes.seen(pid, ppid, shape.exe, found.group(_TITLE), ses)
        if shape.listens is not None and raw_fields.has_port(shape.listens, saddr):
            processes.listens(pid)
        numbers = (shape.number, paths.number, address.number)
        asked = self._asked.get(numbers)
        verdict = None if asked is None else self._said.get((numbers, asked, around.values(asked)))
        return self._judge(numbers, rules, around) if verdict is None else _looked(verdict, around)

    def _judge(self, key: _Numbers, rules: int, around: _Around) -> t.Sequence[Looked]:
        """Try rules, and keep what they say."""
        fresh: dict[Getter, None] = {}
        hits: list[Hit] = []
        comparable = True
        for place, view in enumerate(views.views(around.subject())):
            numbers = self._facts.numbers(rules, view.source)
            comparable &= self._matcher.try_rules(numbers, place, view, view, _IN_KEY, raw_fields.CALL, fresh, hits)
        verdict = tuple(hits)
        if comparable:
            asked = self._asked.get(key)
            if asked is None or not set(fresh) <= set(asked):
                # The rules took another way this time: all is compared with that, too, from now on.
                asked = tuple(dict.fromkeys((*(asked or ()), *fresh)))
                self._asked.keep(key, asked, _ENTRY)
            values = around.values(asked)
            size = sum(len(hit.subject) + len(hit.message or "") for hit in hits) + _size(values)
            self._said.keep((key, asked, values), verdict, _ENTRY + size)
        return _looked(verdict, around)

    def _shape(self, key: t.Any, found: Match) -> _Shape | None:
        """Return what is the same; None where it has to be the slow way, as for a line that was cut off."""
        shape: _Shape | None = None
        parsed = activity.SYSCALL.match(found.group())
        # Nothing is kept here of what the records of an address, a directory and a title say.
        if parsed is not None and self._matcher.only_paths:
            parts = parsed.groups()
            subject = Activity(event_of(found), parts, None, None)
            # The slow way counts the calls that are not known.
            known = architectures.unknown(parts[activity.ARCH], parts[activity.NUMBER]) is None
            if known and subject.syscall not in views.EXECUTES | REROOTS:
                argument = file_changes.deciding_argument(subject.syscall)
                facts = self._facts.shape(subject, parts[activity.SUCCESS] == b"no")
                asked = self._facts.asked(subject, facts)
                if asked is not None:
                    listens = raw_fields.listening(subject.syscall, parts[activity.SUCCESS])
                    shape = _Shape(self._next(), parts, argument, asked, self._facts.without_records(facts), listens)
        if sum(map(len, key)) <= _LONGEST:
            if len(self._shapes) >= _MOST_KEPT:
                self._shapes.clear()
            self._shapes[key] = shape
        return shape

    def _new_paths(self, key: t.Any, shape: _Shape, found: Match) -> _Part:
        """Return what follows from paths; ``_SLOW`` where a rule is for one of their records."""
        kind, argument, cwd, *bodies = key
        present = [body for body in bodies if body is not None]
        parsed = tuple(path for path in map(_path_of, present) if path is not None)
        size = _ENTRY + len(cwd or b"") + sum(map(len, present))
        if len(parsed) != len(present) or (cwd is not None and cwd[:1] == b'"' != cwd[-1:]):
            return _SLOW
        relative = not all(path[1][:2] == b'"/' for path in parsed)
        same = (kind, argument, cwd if relative else None, parsed)
        part = self._parsed.get(same)
        if part is None:
            subject = _Around(found, shape, None, None).subject()
            facts = self._facts.change(subject, [(path[1], path[4]) for path in parsed])
            asks = self._facts.asks_paths(facts)
            if asks and not self._matcher.ignores_paths(found.group()):
                part = _SLOW
            else:
                part = _Part(*self._facts.without_paths(facts), self._next())
                if not asks and size <= _LONGEST:
                    self._parsed.keep(same, part, size)
        if size <= _LONGEST:
            self._paths.keep(key, part, size)
        return part

    def _address(self, saddr: bytes | None, shape: _Shape, found: Match) -> _Part:
        facts = self._facts.address(_Around(found, shape, None, None).subject())
        part = _Part(*facts, self._next())
        if len(saddr or b"") <= _LONGEST:
            self._addresses.keep(saddr, part, _ENTRY + len(saddr or b""))
        return part

    def _next(self) -> int:
        self._count += 1
        return self._count


_SLOW = _Part(0, 0, 0)


def _looked(verdict: Verdict, around: _Around) -> t.Sequence[Looked]:
    if not verdict:
        return ()
    # Not what was found, which holds a whole block of the log in memory.
    subject = around.subject()
    about = About(subject.event, "call", around.process, around.parent, {})
    return (Looked(verdict, Views(about, lambda: views.views(subject))),)


def _size(value: t.Any) -> int:
    """Return how many bytes values have."""
    if isinstance(value, tuple):
        return sum(map(_size, value))
    return len(value) if isinstance(value, bytes) else 0


def _path_of(body: bytes) -> tuple[t.Any, ...] | None:
    """Return what a PATH record says; None for one that isn't as the kernel writes them."""
    found = _PATH.match(body)
    return None if found is None else found.groups()
