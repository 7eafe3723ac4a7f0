# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the rules say of an event, asked only once for events that are the same to them.

An event's key is made of the raw bytes that most rules look at: the program, its arguments, paths, an address. A field
that isn't in the key, such as who the parent is, counts in two ways. Which rules have to be tried because of it is
looked up for its value. And where a rule that was tried asked for it (``lazy`` notes that), its value is compared. So
the verdict is exactly what the rules would say, and a command that is repeated costs a few looks into dictionaries.
"""

from __future__ import annotations

import functools
import itertools
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils.audit.detection import callers, raw_fields, views
from ansible_collections.bulwark.servers.plugins.module_utils.audit.detection.lazy_view import LazyView, RecordView
from ansible_collections.bulwark.servers.plugins.module_utils.audit.detection.messages import Messages
from ansible_collections.bulwark.servers.plugins.module_utils.audit.detection.raw_fields import Getter, Raw
from ansible_collections.bulwark.servers.plugins.module_utils.audit.detection.record_rules import (
    ArgumentIndex,
    RecordRules,
)
from ansible_collections.bulwark.servers.plugins.module_utils.audit.detection.records import Records
from ansible_collections.bulwark.servers.plugins.module_utils.audit_records import (
    activity,
    architectures,
    lenient_fields,
)
from ansible_collections.bulwark.servers.plugins.module_utils.audit_records.activity import Activity
from ansible_collections.bulwark.servers.plugins.module_utils.audit_records.events import NEVER_FIRST, Event
from ansible_collections.bulwark.servers.plugins.module_utils.audit_records.not_understood import Unread
from ansible_collections.bulwark.servers.plugins.module_utils.audit_records.processes import Process, Processes
from ansible_collections.bulwark.servers.plugins.module_utils.sigma.engine import RuleSet
from ansible_collections.bulwark.servers.plugins.module_utils.sigma.fields import ALL_FIELDS, fields_of
from ansible_collections.bulwark.servers.plugins.module_utils.sigma.model import Explanation

# Of one generation; when it is full, the one before it is forgotten.
_MOST_KEYS = 20_000
_MOST_BYTES = 12 * 1024 * 1024
_MOST_WAYS = 2_000
_MOST_VALUES = 5_000
_LONGEST_VALUE = 256
# Places before this one are for views of what a call means; this one is its SYSCALL record, then come the others.
_CALL = 8

_UNREADABLE = "system calls whose record is cut off, or in an unknown form"

# Records that a rule leaves out, or that somebody cut out: what is left has the number of the event, so that none is
# missing.
_WITHOUT_CALL = "parts of events, whose first record is not in the log"
_WITHOUT_ARGUMENTS = "executions whose EXECVE record is not in the log"
_WITHOUT_PATHS = "system calls whose PATH records are not in the log"
# Calls after which the kernel writes paths as a process sees them, below a directory that may be anywhere. What systemd
# makes for a service that it confines is the host's own.
REROOTS = frozenset(("chroot", "pivot_root"))
_SYSTEMD = frozenset((b'"/usr/lib/systemd/systemd"', b'"/usr/lib/systemd/systemd-executor"', b'"/lib/systemd/systemd"'))
_MOST_REROOTED = 1_000
# The kernel hands a daemon that was just started the last records of an event that began before.
_STARTING = 2

_ACCOUNTS = frozenset((activity.UID, activity.AUID, activity.IDS))

Numbers = t.FrozenSet[int]
_NONE: Numbers = frozenset()
# What is another one each time, of what rules for records may ask for.
_VARYING = frozenset((activity.A0, activity.A1, activity.A2, activity.A3, activity.SES, activity.PID, activity.PPID))


class Hit(t.NamedTuple):
    """A rule that an event matches. place: of the view among the event's."""

    rule: int
    place: int
    subject: str
    message: str | None


Verdict = t.Tuple[Hit, ...]


class About(t.NamedTuple):
    """What the views of an event are made of. kind: execution, call or message.

    process, parent: of an event of a system call, as they were then; of an execution the process is not needed.
    known: fields of an execution that were made already. node: the host that it was on, empty for the log's own.
    """

    event: Event
    kind: str
    process: Process | None
    parent: Process | None
    known: t.Mapping[str, t.Any]
    node: str = ""


class Views:
    """The views of an event in which something matches, by the places that hits name; made when one is asked for."""

    __slots__ = ("_made", "_make", "about")

    def __init__(self, about: About, make: t.Callable[[], t.Sequence[LazyView]]) -> None:
        self.about = about
        self._make: t.Callable[[], t.Sequence[LazyView]] | None = make
        self._made: t.Sequence[LazyView] = ()

    def __getitem__(self, place: int) -> LazyView:
        if self._make is not None:
            self._made, self._make = self._make(), None
        return self._made[place]

    def shown(self, place: int) -> LazyView:
        """Return the view that says most of the event to people: what it means, not its records."""
        view = self[place]
        return self._made[0] if view.source == "auditd" and self._made[0].source else view


Explained = t.Tuple[t.Optional[Explanation], ...]


class Looked(t.NamedTuple):
    """What the rules say of an event. explained: what explains each hit, () where nothing does."""

    hits: Verdict
    views: Views | None
    explained: Explained = ()

    def each(self) -> t.Iterator[tuple[Hit, Explanation | None]]:
        """Return each hit with what explains it."""
        return zip(self.hits, self.explained or itertools.repeat(None))

    def on(self, node: str) -> Looked:
        """Return the same of an event on another host than the log's own."""
        if self.views is not None:
            self.views.about = self.views.about._replace(node=node)
        return self._replace(hits=tuple(hit._replace(subject=subject_on(hit.subject, node)) for hit in self.hits))


def subject_on(subject: str, node: str) -> str:
    """Return what a finding is about, with the host that it is on where that is not the log's own."""
    return "%s (node %s)" % (subject, node) if node else subject


NOTHING = Looked((), None)


class _Known:
    """What is known of one key. asked: the fields beside the key that rules looked at."""

    __slots__ = ("asked", "verdicts")

    def __init__(self) -> None:
        self.asked: tuple[Getter, ...] = ()
        self.verdicts: dict[t.Any, Verdict] = {}


# Of a key for which no rule ever matches, as long as nothing beside the key speaks for one: most are like that.
_NEVER = _Known()


class _Beside(t.NamedTuple):
    """A field beside the key that says which rules have to be tried. memo: which, by the field's raw value."""

    source: str
    name: str
    getter: Getter
    memo: dict[t.Any, Numbers]


class _Shape(t.NamedTuple):
    """What has to be known of a system call. argument: the one that decides what the event is, part of the key.

    listens: the call, if it is one by which a process may come to listen.
    reroots: whether it changes where the paths of a process begin.
    unknown: why it is not known what the call does, None where it is.
    """

    executes: bool
    listens: str | None
    reroots: bool
    argument: int | None
    beside: tuple[_Beside, ...]
    cached: bool
    unknown: str | None


class Verdicts:
    """Looks at events in their order; keeps the process table up to date on the way."""

    def __init__(
        self,
        rules: RuleSet,
        compiled: t.Mapping[str, t.Any],
        processes: Processes,
        unread: Unread | None = None,
    ) -> None:
        """unread: counts what is not understood."""
        self._rules = rules
        self._unread = unread or Unread()
        self._node = ""
        # Where an event may be there in part, as the log or the daemon began to write then.
        self.beginning = 0.0
        # The ids of processes with a root directory of their own, of this host, the latest last.
        self.rerooted: dict[bytes, None] = {}
        self.record_rules = RecordRules(rules, compiled)
        self._messages = Messages(rules, compiled, self.record_rules)
        # Whether of the records that most calls have only the paths can matter.
        self._only_paths = all(map(self.record_rules.ignores, (b"CWD", b"PROCTITLE", b"SOCKADDR")))
        self._processes = processes
        self._sources = rules.sources
        self._numbers: dict[str, set[int]] = {}
        for number in range(len(rules)):
            self._numbers.setdefault(rules.rule(number).source, set()).add(number)
        self._known: dict[t.Any, _Known] = {}
        self._older: dict[t.Any, _Known] = {}
        self._bytes = 0
        self._shapes: dict[tuple[bytes, bytes, bytes | None], _Shape] = {}
        self._memos: dict[tuple[str, str], dict[t.Any, Numbers]] = {}
        self._units: dict[t.Any, tuple[int, t.Any]] = {}
        self._paths: dict[t.Any, tuple[int, t.Any]] = {}
        self._count = 0
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
        self.commands = 0

    def enter(self, node: str) -> None:
        """Look at events of another host from now on; accounts of the same number are others there."""
        self._node = self._records.node = node

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
        shape = self.shape(parts[0] or b"", parts[1] or b"", parts[2])
        call = views.call_record_view(subject)
        for beside in shape.beside:
            if beside.source == "auditd" and (
                beside.getter in _VARYING or self._rules.candidates("auditd", beside.name, call.get(beside.name))
            ):
                return False
        return shape.cached and self._records.of_call(subject, call)[1] == _NONE

    def ignores_paths(self, raw: bytes) -> bool:
        """Return whether no rule matches a PATH record of an event."""
        if "auditd" not in self._sources:
            return True
        return not any(self._records.of_record(kind, body)[0] for kind, body in raw_fields.units(raw, True))

    def look(self, event: Event) -> t.Sequence[Looked]:
        """Return what the rules say of the next event, nothing where none matches."""
        event, found = self._parsed(event)
        if found is None:
            self._count_parts(event)
            looked = self._message(event)
            return (looked,) if looked.hits else ()
        looked = self._call(event, found.groups())
        if event.first == b"SYSCALL":
            return (looked,) if looked.hits else ()
        # What the kernel says by itself, such as CONFIG_CHANGE or LOGIN, comes before the call that caused it.
        records = event.raw[: found.start()]
        if event.first in callers.KINDS:
            subject = self._subject(event, found.groups())
            records = callers.with_caller(records, subject, self._is_rerooted(subject))
        said = self._message(event._replace(raw=records))
        return [one for one in (said, looked) if one.hits]

    def _is_rerooted(self, subject: Activity) -> bool:
        """Return whether a process, or one that it comes from, has changed its root directory."""
        if self._node or not self.rerooted:
            return False
        ids = {subject.parts[activity.PID], subject.parts[activity.PPID]}
        process = subject.process or subject.parent
        while process is not None:
            ids.add(process.pid)
            process = process.parent
        return not ids.isdisjoint(self.rerooted)

    def _count_parts(self, event: Event) -> None:
        """Note where a log or the daemon begins, and count an event of which the beginning is missing elsewhere."""
        if event.first == b"DAEMON_START":
            self.beginning = event.time
        elif event.first in NEVER_FIRST and not self._node and event.time > self.beginning + _STARTING:
            self._unread.event(event.raw, _WITHOUT_CALL)

    def _missing(self, shape: _Shape, success: bytes | None, raw: bytes) -> str | None:
        """Return why it is not known what a call did, None where all is there that its first record promises."""
        if shape.unknown:
            return shape.unknown
        if shape.executes and success == b"yes" and b"\ntype=EXECVE " not in raw:
            return _WITHOUT_ARGUMENTS
        if b"\ntype=PATH " not in raw and b" items=0 " not in raw:
            return _WITHOUT_PATHS
        return None

    def _parsed(self, event: Event) -> tuple[Event, t.Match[bytes] | None]:
        """Return an event, as the kernel would write it where it is not, and the parts of its system call if any."""
        found = activity.SYSCALL.search(event.raw)
        if found is None:
            is_other = lenient_fields.has_call(event.raw)
        else:
            # Whether the call succeeded is missing where it did not return, or in another place.
            is_other = found.group(activity.SUCCESS + 1) is None and b" success=" in lenient_fields.call_line(event.raw)
        if not is_other:
            return event, found
        raw = lenient_fields.rewritten(event.raw)
        rewritten = activity.SYSCALL.search(raw) if raw is not None else None
        if raw is None or rewritten is None:
            self._unread.event(lenient_fields.call_line(event.raw), _UNREADABLE)
            return event, found
        return event._replace(raw=raw), rewritten

    def _subject(self, event: Event, parts: tuple[t.Any, ...]) -> Activity:
        processes = self._processes
        return Activity(event, parts, processes.get(parts[activity.PID]), processes.get(parts[activity.PPID] or b""))

    def _call(self, event: Event, parts: tuple[t.Any, ...]) -> Looked:  # noqa: C901 - it is what takes the time
        raw = event.raw
        shape = self._shapes.get((parts[0], parts[1], parts[2])) or self.shape(parts[0], parts[1], parts[2])
        missing = self._missing(shape, parts[activity.SUCCESS], raw)
        if missing:
            self._unread.event(lenient_fields.call_line(raw), missing)
        processes = self._processes
        pid, ppid = parts[9], parts[8] or b""
        process = processes.get(pid)
        parent = processes.starter(pid, ppid) if shape.executes else processes.get(ppid)
        if parent is None and shape.executes:
            parent = processes.unknown(ppid, parts[activity.SES] or b"")
        paths = tuple(raw_fields.PATHS.findall(raw))
        # Few are different: in keys is their number, so that not each keeps its own.
        unit = parts[0], parts[1], parts[2], parts[15], parts[16], parts[18]
        # Whether the daemon wrote the accounts' names beside their numbers, which alone don't say what they are called;
        # those are each host's.
        names = self._node if b"\x1d" in raw else None
        lines = (names, raw.count(b"\n"))
        unit_number, unit = self._units.get(unit) or self._numbered(self._units, unit)
        paths_number, paths = self._paths.get(paths) or self._numbered(self._paths, paths)
        key: tuple[t.Any, ...]
        if shape.executes:
            bodies: t.Sequence[bytes] = activity.EXECVE.findall(raw)
            relative = not paths or paths[0][0][:2] != b'"/'
            key = (
                unit_number,
                bodies[0] if len(bodies) == 1 else tuple(bodies) or _instead(raw, process),
                paths_number,
                raw_fields.directory(raw) if relative else None,
                lines,
            )
        else:
            bodies = ()
            key = (
                unit_number,
                paths_number,
                raw_fields.directory(raw) if paths else None,
                raw_fields.address(raw),
                None if shape.argument is None else parts[shape.argument],
                lines,
            )
        self._note(shape, (*parts[:16], unit[4]), raw, paths, bodies)
        raws = Raw(parts, process, parent, raw)
        beside = _NONE
        for source, name, getter, memo in shape.beside:
            value = parts[getter] if getter.__class__ is int else getter(raws)
            if getter in _ACCOUNTS:
                # They are called by their names where the daemon wrote those.
                value = value, names
            numbers = memo.get(value)
            if numbers is None:
                numbers = self._remembered(memo, value, source, name, event, raws)
            if numbers:
                beside |= numbers
        known = self._known.get(key) or self._older.get(key)
        if known is _NEVER and not beside:
            return NOTHING
        if known is not None and known is not _NEVER:
            values = (
                (beside, tuple(raw_fields.value(getter, raws) for getter in known.asked)) if known.asked else beside
            )
            verdict = known.verdicts.get(values)
            if verdict is not None:
                if not verdict:
                    return NOTHING
                subject = Activity(event, parts, process, parent)
                about = About(event, "call", process, parent, {})
                return Looked(verdict, Views(about, functools.partial(self.views, subject)))
        subject = Activity(event, parts, process, parent)
        if shape.executes:
            self.commands += 1
        return self._judge(key, paths, shape, subject, beside, raws)

    def _judge(self, key: t.Any, paths: t.Any, shape: _Shape, subject: Activity, beside: Numbers, raws: Raw) -> Looked:
        """Ask the rules, and keep what they say."""
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
        if cached:
            self._keep(key, len(subject.event.raw), tuple(asked), beside, raws, tuple(hits))
        about = About(subject.event, "call", subject.process, subject.parent, {})
        return Looked(tuple(hits), Views(about, lambda: seen)) if hits else NOTHING

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
        shape: _Shape,
        subject: Activity,
        paths: t.Any,
        beside: Numbers,
        seen: list[LazyView],
        asked: dict[Getter, None],
        hits: list[Hit],
    ) -> bool:
        """Ask the rules that are written for records. Returns whether that holds for other events with the same key."""
        seen += [_EMPTY] * (_CALL - len(seen))
        call = views.call_record_view(subject)
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
                    self._about_record(numbers, RecordView("auditd", views.record_fields(kind, body)), call, seen, hits)
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
            view = RecordView("auditd", views.argument_fields(subject))
            matching = self._rules.try_rules(numbers, view)
            if matching:
                self._about_record(matching, view, call, seen, hits)

    def try_arguments(self, numbers: Numbers, subject: Activity, hits: list[Hit]) -> None:
        """Try rules for the EXECVE record of an event none of whose other records any rule is for."""
        view = RecordView("auditd", views.argument_fields(subject))
        matching = self._rules.try_rules(numbers, view)
        if matching:
            seen = [_EMPTY] * _CALL
            call = views.call_record_view(subject)
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

    def _message(self, event: Event) -> Looked:
        """Return what the rules say of records that stand alone."""
        matches, seen = self._messages.look(event)
        if not matches:
            return NOTHING
        about = About(event, "message", None, None, {})
        return Looked(tuple(Hit(*one) for one in matches), Views(about, lambda: seen))

    def _note(self, shape: _Shape, parts: t.Sequence[t.Any], raw: bytes, paths: t.Any, bodies: t.Any) -> None:
        pid, ppid, exe, session = parts[9], parts[8] or b"", parts[16], parts[activity.SES] or b""
        processes = self._processes
        if not shape.executes:
            if shape.reroots and parts[2] != b"no" and exe not in _SYSTEMD and not self._node:
                self.rerooted.pop(pid, None)
                self.rerooted[pid] = None
                if len(self.rerooted) > _MOST_REROOTED:
                    del self.rerooted[next(iter(self.rerooted))]
            if processes.get(pid) is None:
                processes.seen(pid, ppid, exe, raw_fields.title(raw), session)
            if shape.listens is not None and raw_fields.has_port(shape.listens, raw_fields.address(raw)):
                processes.listens(pid)
        elif parts[2] != b"no":
            original = raw_fields.original(raw, paths[0][0]) if paths else b""
            parent = processes.starter(pid, ppid)
            processes.executed(pid, parent, exe, bodies[0] if bodies else b"", original, session)

    def views(self, subject: Activity) -> list[LazyView]:
        """Return the views of a call again, at the places that its verdict names."""
        seen: list[LazyView] = views.views(subject)[:_CALL]
        if "auditd" not in self._sources:
            return seen
        seen += [_EMPTY] * (_CALL - len(seen))
        seen.append(views.call_record_view(subject))
        for kind, unit in raw_fields.units(subject.event.raw, self._only_paths):
            if self._records.of_record(kind, unit)[0]:
                seen.append(RecordView("auditd", views.record_fields(kind, unit)))
        if subject.syscall in views.EXECUTES:
            seen.append(RecordView("auditd", views.argument_fields(subject)))
        return seen

    def _keep(
        self, key: t.Any, size: int, asked: tuple[Getter, ...], beside: Numbers, raws: Raw | None, verdict: Verdict
    ) -> _Known:
        known = self._known.get(key) or self._older.get(key)
        if key not in self._known:
            # A key is about a third of its event.
            self._bytes += size // 3
            if len(self._known) >= _MOST_KEYS or self._bytes > _MOST_BYTES:
                self._older, self._known = self._known, {}
                self._bytes = size // 3
        if known is None and not (asked or beside or verdict):
            self._known[key] = _NEVER
            return _NEVER
        if known is None or known is _NEVER:
            before, known = known, _Known()
            if before is _NEVER:
                known.verdicts[_NONE] = ()
        self._known[key] = known
        if asked and not set(asked) <= set(known.asked):
            # The rules took another way this time: what they said before is compared with that, too, from now on.
            known.asked = tuple(dict.fromkeys(known.asked + asked))
            known.verdicts.clear()
        if len(known.verdicts) < _MOST_WAYS:
            values: t.Any = beside
            if known.asked and raws is not None:
                values = (beside, tuple(raw_fields.value(getter, raws) for getter in known.asked))
            known.verdicts[values] = verdict
        return known

    def _numbered(self, table: dict[t.Any, tuple[int, t.Any]], value: t.Any) -> tuple[int, t.Any]:
        """Give a value a number, which no other had before, and keep both."""
        if len(table) >= _MOST_VALUES:
            table.clear()
        self._count += 1
        table[value] = self._count, value
        return table[value]

    def _remembered(
        self, memo: dict[t.Any, Numbers], value: t.Any, source: str, name: str, event: Event, raws: Raw
    ) -> Numbers:
        """Look up which rules have to be tried because of a field beside the key."""
        subject = Activity(event, raws.parts, raws.process, raws.parent)
        view = views.call_record_view(subject) if source == "auditd" else views.process_view(source, subject)
        numbers = self._rules.candidates(source, name, view.get(name))
        if len(memo) >= _MOST_VALUES:
            memo.clear()
        memo[value] = numbers
        return numbers

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
            return _NONE
        if name == "CommandLine":
            return self._rules.candidates(source, name, value)
        if value.__class__ is tuple:
            return _NONE.union(*(self._candidates(source, name, text) for text in value))
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

    def shape(self, architecture: bytes, number: bytes, success: bytes | None) -> _Shape:
        call = activity.syscall_name(architecture, number)
        beside = []
        cached = True
        for source in views.sources_of(call, success == b"no"):
            in_key = raw_fields.in_key(source, call in views.EXECUTES)
            getters = raw_fields.RECORD if source == "auditd" else raw_fields.CALL
            for name in self._rules.indexed(source):
                if name in in_key or not views.may_have(source, call, name):
                    continue
                if name not in getters:
                    cached = False
                    continue
                memo = self._memos.setdefault((source, name), {})
                beside.append(_Beside(source, name, getters[name], memo))
        unknown = architectures.unknown(architecture, number)
        listens = raw_fields.listening(call, success)
        shape = _Shape(
            call in views.EXECUTES,
            listens,
            call in REROOTS,
            views.deciding_argument(call),
            tuple(beside),
            cached,
            unknown,
        )
        if len(self._shapes) < _MOST_VALUES:
            self._shapes[architecture, number, success] = shape
        return shape


def _instead(raw: bytes, process: Process | None) -> tuple[t.Any, ...]:
    """Return what the arguments are taken from where an execution has no record of them, as ``Activity.argv`` does."""
    return raw_fields.title(raw), None if process is None else process.arguments


_EMPTY = LazyView("", {}, None)
