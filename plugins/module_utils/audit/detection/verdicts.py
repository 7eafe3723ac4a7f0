# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the rules say of an event, asked only once for events that are the same to them.

An event's key is made of the raw bytes that most rules look at: the program, its arguments, paths, an address. A field
that isn't in the key, such as who the parent is, counts in two ways. Which rules have to be tried because of it is
looked up for its value. And where a rule that was tried asked for it (``lazy_view`` notes that), its value is compared.
So the verdict is exactly what the rules would say, and a command that is repeated costs a few looks into dictionaries.
"""

from __future__ import annotations

import functools
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils.audit.detection import callers, raw_fields
from ansible_collections.bulwark.servers.plugins.module_utils.audit.detection.call_shapes import CallShape, CallShapes
from ansible_collections.bulwark.servers.plugins.module_utils.audit.detection.known_verdicts import KnownVerdicts
from ansible_collections.bulwark.servers.plugins.module_utils.audit.detection.matching import Matcher
from ansible_collections.bulwark.servers.plugins.module_utils.audit.detection.messages import Messages
from ansible_collections.bulwark.servers.plugins.module_utils.audit.detection.model import (
    NOTHING,
    About,
    Hit,
    Looked,
    Views,
)
from ansible_collections.bulwark.servers.plugins.module_utils.audit.detection.raw_fields import Raw
from ansible_collections.bulwark.servers.plugins.module_utils.audit_records import activity, lenient_fields
from ansible_collections.bulwark.servers.plugins.module_utils.audit_records.activity import Activity
from ansible_collections.bulwark.servers.plugins.module_utils.audit_records.events import NEVER_FIRST, Event
from ansible_collections.bulwark.servers.plugins.module_utils.audit_records.not_understood import Unread
from ansible_collections.bulwark.servers.plugins.module_utils.audit_records.processes import Process, Processes
from ansible_collections.bulwark.servers.plugins.module_utils.sigma.engine import RuleSet

_MOST_VALUES = 5_000
_UNREADABLE = "system calls whose record is cut off, or in an unknown form"

# Records that a rule leaves out, or that somebody cut out: what is left has the number of the event, so that none is
# missing.
_WITHOUT_CALL = "parts of events, whose first record is not in the log"
_WITHOUT_ARGUMENTS = "executions whose EXECVE record is not in the log"
_WITHOUT_PATHS = "system calls whose PATH records are not in the log"
# What systemd makes for a service that it confines is below the host's own root directory.
_SYSTEMD = frozenset((b'"/usr/lib/systemd/systemd"', b'"/usr/lib/systemd/systemd-executor"', b'"/lib/systemd/systemd"'))
_MOST_REROOTED = 1_000
# The kernel hands a daemon that was just started the last records of an event that began before.
_STARTING = 2


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
        self._unread = unread or Unread()
        self._node = ""
        # Where an event may be there in part, as the log or the daemon began to write then.
        self.beginning = 0.0
        # The ids of processes with a root directory of their own, of this host, the latest last.
        self.rerooted: dict[bytes, None] = {}
        self._shapes = CallShapes(rules)
        self.matcher = Matcher(rules, compiled, self._shapes)
        self._messages = Messages(rules, compiled, self.matcher.record_rules)
        self._processes = processes
        self._known = KnownVerdicts()
        self._units: dict[t.Any, tuple[int, t.Any]] = {}
        self._paths: dict[t.Any, tuple[int, t.Any]] = {}
        self._count = 0
        self.commands = 0

    def enter(self, node: str) -> None:
        """Look at events of another host from now on; accounts of the same number are others there."""
        self._node = node
        self.matcher.enter(node)

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

    def _missing(self, shape: CallShape, success: bytes | None, raw: bytes) -> str | None:
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

    def _call(self, event: Event, parts: tuple[t.Any, ...]) -> Looked:
        raw = event.raw
        shape = self._shapes.get(parts[activity.ARCH], parts[activity.NUMBER], parts[activity.SUCCESS])
        missing = self._missing(shape, parts[activity.SUCCESS], raw)
        if missing:
            self._unread.event(lenient_fields.call_line(raw), missing)
        processes = self._processes
        pid, ppid = parts[activity.PID], parts[activity.PPID] or b""
        process = processes.get(pid)
        parent = processes.starter(pid, ppid) if shape.executes else processes.get(ppid)
        if parent is None and shape.executes:
            parent = processes.unknown(ppid, parts[activity.SES] or b"")
        bodies = activity.EXECVE.findall(raw) if shape.executes else ()
        # Whether the daemon wrote the accounts' names beside their numbers, which alone don't say what they are called;
        # those are each host's.
        names = self._node if b"\x1d" in raw else None
        key, paths, exe = self._key(shape, parts, raw, bodies, process, names)
        self._note(shape, (*parts[: activity.EXE], exe), raw, paths, bodies)
        raws = Raw(parts, process, parent, raw)
        beside = self._shapes.beside(shape, event, raws, names)
        verdict = self._known.get(key, beside, raws)
        if verdict is not None and not verdict:
            return NOTHING
        subject = Activity(event, parts, process, parent)
        about = About(event, "call", process, parent, {})
        if verdict is not None:
            return Looked(verdict, Views(about, functools.partial(self.matcher.views, subject)))
        if shape.executes:
            self.commands += 1
        match = self.matcher.match(shape, subject, paths, beside)
        if match.is_lasting:
            self._known.keep(key, len(raw), match.asked, beside, raws, match.hits)
        return Looked(match.hits, Views(about, lambda: match.seen)) if match.hits else NOTHING

    def _key(
        self,
        shape: CallShape,
        parts: tuple[t.Any, ...],
        raw: bytes,
        bodies: t.Sequence[bytes],
        process: Process | None,
        names: str | None,
    ) -> tuple[tuple[t.Any, ...], tuple[t.Any, ...], bytes]:
        """Return what most rules look at; paths and program as they are kept for all events that have the same."""
        paths = tuple(raw_fields.PATHS.findall(raw))
        # Few are different: in keys is their number, so that not each keeps its own.
        unit = parts[0], parts[1], parts[2], parts[15], parts[16], parts[18]
        unit_number, unit = self._units.get(unit) or self._numbered(self._units, unit)
        paths_number, paths = self._paths.get(paths) or self._numbered(self._paths, paths)
        lines = (names, raw.count(b"\n"))
        if shape.executes:
            relative = not paths or paths[0][0][:2] != b'"/'
            arguments = bodies[0] if len(bodies) == 1 else tuple(bodies) or _instead(raw, process)
            return (
                (unit_number, arguments, paths_number, raw_fields.directory(raw) if relative else None, lines),
                paths,
                unit[4],
            )
        directory = raw_fields.directory(raw) if paths else None
        argument = None if shape.argument is None else parts[shape.argument]
        return (unit_number, paths_number, directory, raw_fields.address(raw), argument, lines), paths, unit[4]

    def _message(self, event: Event) -> Looked:
        """Return what the rules say of records that stand alone."""
        matches, seen = self._messages.look(event)
        if not matches:
            return NOTHING
        about = About(event, "message", None, None, {})
        return Looked(tuple(Hit(*one) for one in matches), Views(about, lambda: seen))

    def _note(self, shape: CallShape, parts: t.Sequence[t.Any], raw: bytes, paths: t.Any, bodies: t.Any) -> None:
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

    def _numbered(self, table: dict[t.Any, tuple[int, t.Any]], value: t.Any) -> tuple[int, t.Any]:
        """Give a value a number, which no other had before, and keep both."""
        if len(table) >= _MOST_VALUES:
            table.clear()
        self._count += 1
        table[value] = self._count, value
        return table[value]


def _instead(raw: bytes, process: Process | None) -> tuple[t.Any, ...]:
    """Return what the arguments are taken from where an execution has no record of them, as ``Activity.argv`` does."""
    return raw_fields.title(raw), None if process is None else process.arguments
