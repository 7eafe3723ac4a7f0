# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the rules say of an event, asked only once for events that are the same to them.

An event's key is made of the raw bytes that most rules look at: the program, its arguments, paths, an address. What the
rules asked beside those is noted with their verdict (``lazy``), and compared with what the next event of the same key has
there. So the verdict is exactly what the rules would say, and a command that is repeated costs a look into a dictionary.
"""

from __future__ import annotations

import re
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils.auditlog import activity, views
from ansible_collections.bulwark.servers.plugins.module_utils.auditlog.activity import Activity
from ansible_collections.bulwark.servers.plugins.module_utils.auditlog.events import Event
from ansible_collections.bulwark.servers.plugins.module_utils.auditlog.lazy import LazyView
from ansible_collections.bulwark.servers.plugins.module_utils.auditlog.processes import Processes
from ansible_collections.bulwark.servers.plugins.module_utils.sigma.engine import RuleSet
from ansible_collections.bulwark.servers.plugins.module_utils.sigma.wording import message_of, subject_of

# Of one generation; when it is full, the one before it is forgotten.
_MOST_KEYS = 30_000
_MOST_BYTES = 12 * 1024 * 1024

# The names in PATH records; one with a blank in it is hexadecimal.
_PATHS = re.compile(rb"\n(?:node=\S+ )?type=PATH msg=\S+ item=\d+ name=(\S+)(?: [^\x1d\n]*?(?:name|obj)type=(\w+))?")
_ADDRESS = re.compile(rb"\n(?:node=\S+ )?type=SOCKADDR msg=\S+ +saddr=(\w+)")
_DIRECTORY = re.compile(rb"\n(?:node=\S+ )?type=CWD msg=\S+ +cwd=(\S+)")
_TITLE = re.compile(rb"\n(?:node=\S+ )?type=PROCTITLE msg=\S+ proctitle=(\S+)")
# What is another one each time in a record of user space: the process, and the session.
_MESSAGE = re.compile(
    rb"(?:node=\S+ )?type=\S+ msg=\S+ +(?:user )?(?:pid=\d+ )?(.*?)(?: ses=\d+)?( .*)?\n\Z", re.DOTALL
)

_CALL_KEY = frozenset(
    "Image Comm Key Syscall Success Architecture TargetFilename SourceFilename Action DestinationIp DestinationPort "
    "DestinationPath SourceIp SourcePort SourcePath Protocol Initiated Paths".split()
)
_EXECUTION_KEY = _CALL_KEY | {"CommandLine", "Argv", "OriginalImage"}
_RECORD_KEY = frozenset(("type", "arch", "syscall", "SYSCALL", "success", "comm", "exe", "key"))
# What a kernel's record can have beside what is in the key; anything else it never has.
_RECORD_FIELDS = {
    "PATH": frozenset("item dev mode ouid ogid rdev obj OUID OGID cap_fp cap_fi cap_fe cap_fver cap_frootid".split()),
    "CWD": frozenset(("cwd",)),
    "PROCTITLE": frozenset(("proctitle",)),
    "SOCKADDR": frozenset(),
    "EXECVE": frozenset(),
}
_MESSAGE_KEY = frozenset(
    "type Type Op Result Account Image Comm CommandLine CurrentDirectory Address Hostname Terminal User AuditUser "
    "OldAuditUser Key Unit".split()
)
_MESSAGE_EXTRA = frozenset(("ProcessId", "LogonId", "Message", "pid", "ses"))


class Hit(t.NamedTuple):
    """A rule that an event matches. place: of the view among the event's."""

    rule: int
    place: int
    subject: str
    message: str | None


Verdict = t.Tuple[Hit, ...]
_NO_HITS: Verdict = ()


class _Known:
    """What is known of one key. asked: places and names of what the rules looked at beside the key."""

    __slots__ = ("asked", "verdicts")

    def __init__(self) -> None:
        self.asked: tuple[tuple[int, str], ...] = ()
        self.verdicts: dict[tuple[t.Any, ...], Verdict] = {}


class Looked(t.NamedTuple):
    """An event with what the rules say of it. views: where something matches, the views that the hits' places name."""

    hits: Verdict
    views: t.Sequence[LazyView]


_NOTHING = Looked(_NO_HITS, ())


class _Shape(t.NamedTuple):
    """What has to be known of a system call to make a key. argument: of the one that decides what the event is."""

    executes: bool
    argument: int | None


class Verdicts:
    """Looks at events in their order; keeps the process table up to date on the way."""

    def __init__(self, rules: RuleSet, processes: Processes) -> None:
        self._rules = rules
        self._processes = processes
        self._sources = rules.sources
        self._with_records = "auditd" in rules.sources
        self._known: dict[t.Any, _Known] = {}
        self._older: dict[t.Any, _Known] = {}
        self._bytes = 0
        self._shapes: dict[tuple[t.Any, t.Any], _Shape] = {}
        self.commands = 0

    def look(self, event: Event) -> Looked:
        """Return what the rules say of the next event."""
        found = activity.SYSCALL.search(event.raw)
        if found is None:
            return self._message(event)
        looked = self._call(event, found.groups())
        if event.first == b"SYSCALL":
            return looked
        # What the kernel says by itself, such as CONFIG_CHANGE or LOGIN, comes before the call that caused it.
        said = self._message(event._replace(raw=event.raw[: found.start()]))
        if not said.hits:
            return looked
        offset = len(looked.views)
        moved = tuple(hit._replace(place=hit.place + offset) for hit in said.hits)
        return Looked(looked.hits + moved, [*looked.views, *said.views])

    def _call(self, event: Event, parts: tuple[t.Any, ...]) -> Looked:
        raw = event.raw
        shape = self._shapes.get((parts[0], parts[1])) or self._shape(parts[0], parts[1])
        paths = _PATHS.findall(raw)
        processes = self._processes
        pid, ppid, exe = parts[9], parts[8] or b"", parts[16]
        key: tuple[t.Any, ...]
        if shape.executes:
            bodies = activity.EXECVE.findall(raw)
            first = paths[0][0] if paths else b"/"
            relative = None if first[:2] == b'"/' else _DIRECTORY.search(raw)
            key = (
                parts[1],
                parts[2],
                exe,
                parts[15],
                parts[18],
                parts[0],
                bodies[0] if len(bodies) == 1 else tuple(bodies),
                tuple(paths),
                relative and relative.group(1),
            )
            process = processes.get(pid)
            parent = processes.get(ppid)
            if parts[2] != b"no":
                processes.executed(pid, ppid, exe, bodies[0] if bodies else b"")
        else:
            address = _ADDRESS.search(raw)
            directory = _DIRECTORY.search(raw) if paths else None
            key = (
                parts[1],
                parts[2],
                exe,
                parts[15],
                parts[18],
                parts[0],
                tuple(paths),
                directory and directory.group(1),
                address and address.group(1),
                None if shape.argument is None else parts[shape.argument],
            )
            process = processes.get(pid)
            if process is None:
                title = _TITLE.search(raw)
                processes.seen(pid, ppid, exe, title.group(1) if title else b"")
            parent = processes.get(ppid)
        if self._with_records:
            # Which records there are beside those in the key: their number says it, as the kernel has fixed orders.
            key += (raw.count(b"\n"),)
        known = self._known.get(key) or self._older.get(key)
        if known is not None:
            if not known.asked:
                verdict = known.verdicts.get(())
            else:
                subject = Activity(event, parts, process, parent)
                seen = self._views(subject, any(place >= _RECORDS for place, _name in known.asked))
                verdict = known.verdicts.get(tuple(seen[place].get(name) for place, name in known.asked))
            if verdict is not None:
                if not verdict:
                    return _NOTHING
                return Looked(verdict, self._views(Activity(event, parts, process, parent), True))
        subject = Activity(event, parts, process, parent)
        seen = self._views(subject, True)
        verdict = self._judged(seen)
        self._learn(key, len(raw), seen, verdict, _EXECUTION_KEY if shape.executes else _CALL_KEY, shape.executes)
        return Looked(verdict, seen) if verdict else _NOTHING

    def _message(self, event: Event) -> Looked:
        found = _MESSAGE.match(event.raw)
        key = (event.first, found.group(1), found.group(2)) if found and event.raw.count(b"\n") == 1 else event.raw
        known = self._known.get(key) or self._older.get(key)
        if known is not None and not known.asked:
            verdict = known.verdicts.get(())
            if verdict is not None and not verdict:
                return _NOTHING
        seen = [view for kind, body in event.records() for view in views.message_views(kind, body)]
        seen = [view for view in seen if view.source in self._sources]
        if known is not None:
            verdict = known.verdicts.get(tuple(seen[place].get(name) for place, name in known.asked))
            if verdict is not None:
                return Looked(verdict, seen)
        verdict = self._judged(seen)
        asked = tuple((place, name) for place, view in enumerate(seen) for name in view.asked if name in _MESSAGE_EXTRA)
        self._keep(key, len(event.raw), asked, seen, verdict)
        return Looked(verdict, seen)

    def _views(self, subject: Activity, with_records: bool) -> list[LazyView]:
        """Return the views of a call: those of its meaning, padded, and then those of its records.

        A place means the same view for every event with the same key.
        """
        found: list[LazyView] = views.views(subject)[: _RECORDS - 1]
        if self._with_records:
            found += [_EMPTY] * (_RECORDS - 1 - len(found))
            found += views.record_views(subject) if with_records else [views.call_record_view(subject)]
        return found

    def _judged(self, seen: t.Sequence[LazyView]) -> Verdict:
        hits = []
        for place, view in enumerate(seen):
            if view.source not in self._sources:
                continue
            for number in self._rules.match(view.source, view):
                rule = self._rules.rule(number)
                about = seen[_RECORDS - 1] if view.source == "auditd" and len(seen) >= _RECORDS else view
                hits.append(Hit(number, place, subject_of(rule, about), message_of(rule, view)))
        return tuple(hits)

    def _learn(
        self,
        key: t.Any,
        size: int,
        seen: t.Sequence[LazyView],
        verdict: Verdict,
        in_key: frozenset[str],
        executes: bool,
    ) -> None:
        if executes:
            self.commands += 1
        asked = []
        for place, view in enumerate(seen):
            if view.source != "auditd":
                asked += [(place, name) for name in view.asked if name not in in_key]
            elif place == _RECORDS - 1:
                asked += [(place, name) for name in view.asked if name not in _RECORD_KEY]
            else:
                possible = _RECORD_FIELDS.get(view.get("type"))
                asked += [
                    (place, name)
                    for name in view.asked
                    if name not in _RECORD_KEY and (possible is None or name in possible)
                ]
        self._keep(key, size, tuple(asked), seen, verdict)

    def _keep(
        self, key: t.Any, size: int, asked: tuple[tuple[int, str], ...], seen: t.Sequence[LazyView], verdict: Verdict
    ) -> None:
        known = self._known.get(key)
        if known is None:
            # A key is about a third of its event.
            self._bytes += size // 3
            if len(self._known) >= _MOST_KEYS or self._bytes > _MOST_BYTES:
                self._older, self._known = self._known, {}
                self._bytes = size // 3
            known = self._known[key] = self._older.get(key) or _Known()
            known.asked = known.asked or asked
        if not set(asked) <= set(known.asked):
            # The rules took another way this time: what they said before is compared with that, too, from now on.
            known.asked = tuple(dict.fromkeys(known.asked + asked))
            known.verdicts.clear()
        if len(known.verdicts) < _MOST_WAYS:
            known.verdicts[tuple(seen[place].get(name) for place, name in known.asked)] = verdict

    def _shape(self, architecture: bytes, number: bytes) -> _Shape:
        name = activity.syscall_name(architecture, number)
        shape = _Shape(name in views.EXECUTES, views.deciding_argument(name))
        if len(self._shapes) < 4096:
            self._shapes[architecture, number] = shape
        return shape


# Places before this one are for views of what a call means, but the last of them, which is its SYSCALL record.
_RECORDS = 9
_MOST_WAYS = 2_000
_EMPTY = LazyView("", {}, None)
