# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Audit events: the records that share a time and a serial number, put together from the lines of a log.

Records of an event usually follow each other, and are found with one match of a regular expression. Where the kernel
wrote several events at once their records are mixed; those wait in a table until the event is complete: the kernel
ends each with PROCTITLE or EOE, records of user space stand alone, and what was cut off is complete when the log is two
seconds further (the time that the audit tools allow).
"""

from __future__ import annotations

import re
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils.audit_records import line_forms
from ansible_collections.bulwark.servers.plugins.module_utils.audit_records.not_understood import Unread
from ansible_collections.bulwark.servers.plugins.module_utils.audit_records.record_regex import NEXT, WHOLE
from ansible_collections.bulwark.servers.plugins.module_utils.audit_records.serials import Numbers, Serials

# The kernel's timestamps have three digits of milliseconds.
RUN = re.compile(rb"type=(\S{1,64}) msg=(audit\((\d{1,10})\.(\d{1,6}):(\d{1,20})\):?)(.*)\n(?:type=\S+ msg=\2.*\n)*")
Match = t.Match[bytes]
_LINE = re.compile(rb"type=(\S+) msg=audit\((\d+)\.(\d+):(\d+)\):? ?(.*)\Z", re.DOTALL)
_SIGNED_IN = re.compile(rb"pid=\d{1,10} uid=\d{1,10} auid=(?!4294967295 )\d{1,10} ")
# What a crash leaves in a log: between two records, or in the middle of one.
_HOLE = re.compile(rb"\0+")
_TIME = tuple(NEXT.groupindex[name] for name in ("s", "ms", "n"))
_ANY = tuple(NEXT.groupindex[name] for name in ("first", "any", "any_s", "any_ms", "any_n"))
_SECONDS, _SERIAL = _TIME[0], _TIME[2]
_LAST = (b"type=PROCTITLE ", b"type=EOE ")

# Where one of these comes first, the log is out of order, and the call is still to come.
NEVER_FIRST = frozenset((b"PROCTITLE", b"EOE", b"PATH", b"CWD", b"EXECVE"))

# All others come before them.
_PLACES = {kind: place for place, kind in enumerate((b"SOCKADDR", b"EXECVE", b"CWD", b"PATH", b"PROCTITLE", b"EOE"), 1)}
_ITEM = re.compile(rb" item=(\d{1,9})\b")

COMPLETE_AFTER = 2
# An attacker's events must not fill the memory by never being complete.
_MOST_PENDING = 10_000
_MOST_PENDING_BYTES = 16 * 1024 * 1024
# Of one event: a command line of 2 MB is some 300 records.
MOST_EVENT_BYTES = 8 * 1024 * 1024

# Records of these types belong to an event of others; all but them that come first stand alone.
_MULTIPLE = re.compile(
    rb"(?:SYSCALL|PATH|CWD|EXECVE|PROCTITLE|SOCKADDR|SOCKETCALL|IPC|IPC_SET_PERM|FD_PAIR|MMAP|OBJ_PID|BPRM_FCAPS|CAPSET|"
    rb"MQ_\w+|NETFILTER_CFG|KERN_MODULE|CONTAINER_ID|URINGOP|OPENAT2|BPF|TIME_INJOFFSET|TIME_ADJNTPVAL|EOE|EVENT_LISTENER|"
    rb"FANOTIFY|CONFIG_CHANGE|LOGIN|AVC\w*|SECCOMP|MAC_\w+|ANOM_(?:PROMISCUOUS|ABEND|LINK|CREAT)|INTEGRITY_\w+|"
    rb"FEATURE_CHANGE|SELINUX_ERR|APPARMOR\w*|KERNEL_OTHER|REPLACE|FS_RELABEL|UNKNOWN\[\d+\])\Z"
)


class Event(t.NamedTuple):
    """One event. raw: its lines, each with its end. first: the type of the first record, ``SYSCALL`` mostly."""

    seconds: int
    milliseconds: int
    serial: int
    first: bytes
    raw: bytes

    @property
    def time(self) -> float:
        return self.seconds + self.milliseconds / 1000

    def records(self) -> t.Iterator[tuple[bytes, bytes]]:
        """Return each record's type and body, of lines that are whole."""
        for line in self.raw.split(b"\n"):
            found = _LINE.match(line)
            if found:
                yield found.group(1), found.group(5)


def event_of(whole: Match) -> Event:
    """Return the event that ``record_regex`` took apart."""
    seconds, milliseconds, serial = whole.group(*_TIME)
    thousandths = int(milliseconds) if len(milliseconds) == 3 else _milliseconds(milliseconds)
    return Event(int(seconds), thousandths, int(serial), b"SYSCALL", whole.group())


def mended(chunk: bytes) -> bytes:
    """Return lines without what other systems and crashes add to them: carriage returns, and zeros between records."""
    if b"\r" in chunk:
        chunk = chunk.replace(b"\r\n", b"\n")
    if b"\0" in chunk:
        chunk = _HOLE.sub(b"\n", chunk)
    return chunk


_Key = t.TypeVar("_Key")


def sorted_out(chunk: bytes, unread: Unread, key: t.Callable[[bytes], _Key]) -> dict[_Key, bytes]:
    """Return the records in lines of any form, as the audit daemon writes them, each under the key of its node."""
    parts: dict[_Key, list[bytes]] = {}
    for raw in chunk.split(b"\n"):
        try:
            line = line_forms.read(raw)
        except line_forms.RefusedError as error:
            unread.line(raw, str(error))
            continue
        if line is not None:
            unread.by_syslog |= line.by_syslog
            parts.setdefault(key(line.node), []).append(line.record)
    return {each: b"\n".join(lines) + b"\n" for each, lines in parts.items()}


class Joiner:
    """Puts the events of one host together from chunks of whole lines.

    left: of the last chunk, what comes from the first line on that is not as the audit daemon of one host writes it.
    """

    def __init__(
        self,
        waiting: t.Sequence[str] = (),
        serials: Serials | None = None,
        unread: Unread | None = None,
        hosts: int = 1,
    ) -> None:
        """waiting: as ``state`` returned it. serials: what is to know which events were there.

        unread: counts what is not understood. hosts: how many share the memory.
        """
        self.serials = serials or Serials()
        self.unread = unread or Unread()
        self.left = b""
        self._pending: dict[bytes, list[bytes]] = {}
        self._pending_bytes = 0
        self._most = _MOST_PENDING // hosts, _MOST_PENDING_BYTES // hosts
        self._newest = 0
        self.cut = 0
        for text in waiting:
            raw = text.encode("latin-1")
            found = RUN.match(raw)
            if found:
                self._wait(found.group(2), raw)

    @property
    def damaged(self) -> int:
        """How many lines were not understood, of all hosts of the log."""
        return self.unread.lines

    @property
    def waits(self) -> bool:
        """Whether there are events that are not complete."""
        return bool(self._pending)

    def state(self) -> list[str]:
        """Return the events that are not complete, for the next run."""
        return [b"".join(parts).decode("latin-1") for parts in self._pending.values()]

    def events(self, chunk: bytes) -> t.Iterator[Event]:
        """Return the events that are complete now. chunk: lines, each with its end, of any form and of one host."""
        for one in self.found(mended(chunk)):
            yield one if isinstance(one, Event) else event_of(one)
        for part in sorted_out(self.left, self.unread, lambda _node: "").values():
            for one in self.found(part):
                yield one if isinstance(one, Event) else event_of(one)

    def found(self, chunk: bytes) -> t.Iterator[Event | Match]:  # noqa: C901 - it is what takes the time
        """Return the same, but those that ``record_regex`` took apart as matches of it.

        It ends before the first line that is not as the audit daemon of one host writes it; ``left`` begins there.
        """
        pending, is_multiple = self._pending, _MULTIPLE.match
        numbers = Numbers()
        number = numbers.serials.append
        position = 0
        self.left = b""
        newest = first = milliseconds = serial = b""
        for found in NEXT.finditer(chunk):
            start, end = found.span()
            if start != position:
                break
            position = end
            identity, seconds, serial = found.group(WHOLE, _SECONDS, _SERIAL)
            whole = identity is not None
            if whole:
                number(serial)
            else:
                first, identity, seconds, milliseconds, serial = found.group(*_ANY)
                if not first.startswith(b"DAEMON_"):
                    number(serial)
                    # Nobody has signed in to what systemd starts at a boot; the kernel says so itself.
                    numbers.booted |= first == b"SYSTEM_BOOT" and _SIGNED_IN.search(chunk, start, end) is None
                elif first == b"DAEMON_START":
                    numbers.starts.append((len(numbers.serials), int(seconds)))
                elif first == b"DAEMON_END":
                    numbers.ends.append((len(numbers.serials), int(seconds)))
            if seconds != newest:
                newest = seconds
                now = int(seconds)
                numbers.times.append((len(numbers.serials) - 1, now))
                if now > self._newest:
                    if pending:
                        # By the time before this event: its log may be a little out of order.
                        yield from self._late()
                    self._newest = now
            if identity in pending:
                self._wait(identity, chunk[start:end])
                if chunk.startswith(_LAST, chunk.rfind(b"\n", start, end - 1) + 1 or start):
                    yield self._joined(identity)
            elif whole:
                yield found
            elif is_multiple(first) is None or (
                first not in NEVER_FIRST and chunk.startswith(_LAST, chunk.rfind(b"\n", start, end - 1) + 1 or start)
            ):
                yield Event(int(seconds), _milliseconds(milliseconds), int(serial), first, chunk[start:end])
            else:
                self._wait(identity, chunk[start:end])
                if len(pending) > self._most[0] or self._pending_bytes > self._most[1]:
                    yield self._joined(next(iter(pending), identity))
        self.serials.take(numbers)
        if position != len(chunk):
            self.left = chunk[position:]

    def rest(self, now: float) -> t.Iterator[Event]:
        """Return the events to which nothing can come any more at a time, in seconds since the epoch."""
        self._newest = max(self._newest, int(now))
        self.serials.finish(now)
        yield from self._late()

    def _late(self) -> t.Iterator[Event]:
        oldest = self._newest - COMPLETE_AFTER
        late = [identity for identity in self._pending if int(identity[6:].partition(b".")[0]) < oldest]
        for identity in late:
            yield self._joined(identity)

    def _wait(self, identity: bytes, raw: bytes) -> None:
        parts = self._pending.setdefault(identity, [])
        if sum(map(len, parts)) + len(raw) > MOST_EVENT_BYTES:
            self.cut += 1
            self.unread.line(raw, line_forms.TOO_LONG)
            return
        parts.append(raw)
        self._pending_bytes += len(raw)

    def _joined(self, identity: bytes) -> Event:
        parts = self._pending.pop(identity)
        raw = b"".join(parts)
        self._pending_bytes -= len(raw)
        found = RUN.match(raw)
        if found is not None and found.group(1) in NEVER_FIRST:
            raw = _ordered(raw)
            found = RUN.match(raw)
        if found is None:
            raise ValueError("an event that waited has no records")
        return Event(int(found.group(3)), _milliseconds(found.group(4)), int(found.group(5)), found.group(1), raw)


def _ordered(raw: bytes) -> bytes:
    """Return an event's records in the order of the kernel; ausearch writes them the other way round."""
    lines = [line + b"\n" for line in raw.split(b"\n")[:-1]]
    lines.sort(key=_place)
    return b"".join(lines)


def _place(line: bytes) -> tuple[int, int]:
    kind = line[len(b"type=") : line.find(b" ")]
    item = _ITEM.search(line) if kind == b"PATH" else None
    return _PLACES.get(kind, 0), int(item.group(1)) if item else 0


def _milliseconds(fraction: bytes) -> int:
    """Return the milliseconds of the fraction of a second, which programs other than the kernel write in any width."""
    return int(fraction) if len(fraction) == 3 else int(fraction[:3].ljust(3, b"0"))
