# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tell a log that sign-ins still come to from one that nobody writes to any more.

A scan that came over SSH, or became root, within the last hour has to be in the logs itself. A connection that is older
(ControlPersist), or a local one, causes no entry. Then the scan sends a message to the log daemon, with the facility
that sign-ins have, and a random number that tells it from any before; it has to come to the log. No such message comes
to the audit log, which the audit daemon has to have open for writing.
"""

from __future__ import annotations

import os
import re
import socket
import time
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils import _own_session
from ansible_collections.bulwark.servers.plugins.module_utils._own_session import Event
from ansible_collections.bulwark.servers.plugins.module_utils.audit_records import alive
from ansible_collections.bulwark.servers.plugins.module_utils.sign_ins import model, programs, stamps, syslog
from ansible_collections.bulwark.servers.plugins.module_utils.sign_ins.model import Line

# What is older proves that a log was alive then, and not that it is now.
FRESH = 3_600.0
# Between the start of sshd's process and the sign-in: LoginGraceTime, and some.
GRACE = 150.0
# A clock that was set while the scan ran, and fractions that a log leaves out.
_LATER = 60.0
_SOONER = 3.0
# What a busy host logs in an hour is more; the entry of a scan is near the end.
_TAIL = 8 * 1024 * 1024
_CHUNK = 256 * 1024
# Log daemons write with delay.
_PATIENCE = 2.5
_STEP = 0.1
_SOCKET = "/dev/log"
# authpriv.info of syslog(3), as PAM uses it, and in the name of the program whose sign-ins are looked for: a rule that
# drops what that says has to drop this, too.
_MARK_PROGRAM = "sshd"
_MARK = "<86>%%s %s[%%d]: op=bulwark-log-check mark=%%s" % _MARK_PROGRAM
_OPEN = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC

_AUDIT = re.compile(
    rb"type=(?:USER_(?:AUTH|ACCT|START|LOGIN|CMD)|CRED_(?:ACQ|REFR)|CRYPTO_SESSION) msg=audit"
    rb"\((\d{1,12})\.[^)]{0,40}\): ?pid=(\d{1,10}) "
)

_SIGN_INS = (model.ACCEPTED, model.SESSION)

Written = t.Callable[[t.Collection[t.Tuple[int, int]]], bool]
Send = t.Callable[[], t.Optional[str]]


class Sought(t.NamedTuple):
    """What one of a source's entries has to be: of one of the events, or with the mark in it where there is one."""

    events: t.Sequence[Event]
    mark: str


Holds = t.Callable[[Sought], bool]


class Source:
    """A log that has to be alive. holds: says whether it has what is sought.

    files: those that are written now, of a log to which no message of a scan comes; else None.
    """

    def __init__(self, name: str, holds: Holds, files: t.Sequence[str] | None = None) -> None:
        self.name = name
        self.holds = holds
        self.files = files


class Own:
    """What this scan causes, or has caused. events: the newest first; send: sends a message and returns its mark."""

    def __init__(self, events: t.Sequence[Event], send: Send, written: Written) -> None:
        self.events = events
        self.written = written
        self._send: Send | None = send
        self._mark: str | None = None

    def mark(self) -> str | None:
        """Return what is in the message that was sent, None where nobody takes one; it is sent once."""
        if self._send is not None:
            self._mark, self._send = self._send(), None
        return self._mark


class Verdict(t.NamedTuple):
    """Whether one of the sources is alive, and what shows it, in one sentence."""

    is_alive: bool
    reason: str


def judge(sources: t.Sequence[Source], own: Own, now: float) -> Verdict:
    """Say whether one of the sources is alive. sources: logs that hold the same."""
    fresh = [event for event in own.events if now - event.started < FRESH]
    if fresh:
        if _any_holds(sources, Sought(fresh, "")):
            return Verdict(True, "This scan's own %s is in the logs." % _named(fresh))
        return Verdict(False, "it does not hold this scan's own %s: nothing is logged there now" % _named(fresh))
    files = [path for source in sources for path in source.files or ()]
    if files:
        if _is_written(files, own.written):
            return Verdict(True, "This scan caused no sign-in; instead, the audit daemon has the log open for writing.")
        return Verdict(False, "no running audit daemon has it open for writing: nothing is logged there now")
    mark = own.mark()
    if mark is None:
        return Verdict(False, "no log daemon listens at %s: nothing is logged there now" % _SOCKET)
    if _any_holds(sources, Sought((), mark)):
        return Verdict(True, "This scan caused no sign-in; instead, a message that it sent arrived in the logs.")
    return Verdict(
        False, "a message that this scan sent to the log daemon did not arrive in it: nothing is logged there now"
    )


def is_audited(files: t.Collection[tuple[int, int]]) -> bool:
    """Say whether the audit daemon writes to one of the files. files: device and inode of each.

    Anybody may have a file open. A container that has the daemon's log does not reach the kernel's audit system; there,
    any process counts.
    """
    by_daemon = alive.daemon_writes(files)
    return _own_session.is_written(files) if by_daemon is None else by_daemon


def send_mark() -> str | None:
    """Send a message to the log daemon; return what tells it from others, None where no daemon takes it."""
    mark = os.urandom(12).hex()
    stamp = time.strftime("%b %e %H:%M:%S", time.localtime())
    message = (_MARK % (stamp, os.getpid(), mark)).encode("ascii")
    sent = _send(socket.SOCK_DGRAM, message) or _send(socket.SOCK_STREAM, message + b"\0")
    return mark if sent else None


def _send(kind: socket.SocketKind, message: bytes) -> bool:
    try:
        with socket.socket(socket.AF_UNIX, kind) as daemon:
            daemon.settimeout(_PATIENCE)
            daemon.connect(_SOCKET)
            daemon.sendall(message)
    except OSError:
        return False
    return True


def _any_holds(sources: t.Sequence[Source], sought: Sought) -> bool:
    end = time.monotonic() + _PATIENCE
    while True:
        if any(source.holds(sought) for source in sources):
            return True
        if time.monotonic() >= end:
            return False
        time.sleep(_STEP)


def _is_written(files: t.Sequence[str], written: Written) -> bool:
    """Say whether one of the files is written, waiting for the end of a rotation."""
    end = time.monotonic() + alive.SECONDS_TO_ROTATE
    while not written(_identities(files)):
        if time.monotonic() >= end:
            return False
        time.sleep(_STEP)
    return True


def _named(events: t.Sequence[Event]) -> str:
    names = dict.fromkeys("sign-in by SSH" if event.program == "sshd" else event.program for event in events)
    return " or ".join(names)


def _identities(files: t.Sequence[str]) -> set[tuple[int, int]]:
    identities = set()
    for path in files:
        try:
            status = os.stat(path)
        except OSError:
            continue
        identities.add((status.st_dev, status.st_ino))
    return identities


def of_text(name: str, paths: t.Sequence[str]) -> Source:
    """Return a log of syslogd. paths: of the files that are written now."""
    return Source(name, lambda sought: any(_text_holds(path, sought) for path in paths))


def of_audit(name: str, paths: t.Sequence[str]) -> Source:
    """Return an audit log."""
    return Source(name, lambda sought: any(_audit_holds(path, sought.events) for path in paths), paths)


def of_journal(holds: Holds) -> Source:
    """Return the journal."""
    return Source("journal", holds)


def _text_holds(path: str, sought: Sought) -> bool:
    words = [sought.mark.encode()] if sought.mark else [event.program.encode() for event in sought.events]
    for content, modified in _tails(path):
        clock = stamps.Clock(modified)
        for raw in content.split(b"\n"):
            if not any(word in raw for word in words):
                continue
            line = syslog.parse(raw[: syslog.LINE_LIMIT].decode("utf-8", "surrogateescape"), clock)
            if line is None:
                continue
            # A mark in a line whose form is not understood proves nothing of the others.
            if line.program == _MARK_PROGRAM if sought.mark else any(_is_of(line, event) for event in sought.events):
                return True
    return False


def _is_of(line: Line, event: Event) -> bool:
    """Say whether a program of this scan's own has logged a line: by its process, or at its time if it names none."""
    if not is_sign_in(line) or not line.program.startswith(event.program):
        return False
    if line.pid:
        return line.pid in event.pids and is_at(line.time, event)
    return line.time is not None and event.started - _SOONER <= line.time <= time.time() + _LATER


def is_sign_in(line: Line) -> bool:
    """Say whether somebody has signed in: a daemon that listens logs other things with its own number."""
    fact = programs.parse(line)
    return "session opened for user" in line.message or (fact is not None and fact.kind in _SIGN_INS)


def is_at(moment: float | None, event: Event) -> bool:
    """Say whether an entry of one of the processes of an event can be of it, and not of a process before it."""
    return moment is None or event.started - GRACE <= moment <= time.time() + _LATER


def _audit_holds(path: str, events: t.Sequence[Event]) -> bool:
    for content, _modified in _tails(path):
        for record in _AUDIT.finditer(content):
            moment, pid = float(record.group(1)), int(record.group(2))
            if any(pid in event.pids and is_at(moment, event) for event in events):
                return True
    return False


def _tails(path: str) -> t.Iterator[tuple[bytes, float]]:
    """Return the end of a log, piece by piece, the last one first, each with when its file was last written.

    What was rotated a moment ago is beside it.
    """
    left = _TAIL
    for name in (path, path + ".1", path + ".0"):
        try:
            descriptor = os.open(name, _OPEN)
        except OSError:
            continue
        try:
            status = os.fstat(descriptor)
            end = status.st_size
            while end > 0 and left > 0:
                start = max(0, end - _CHUNK)
                # What begins before the piece is read with the one before it, too.
                content = os.pread(descriptor, min(end - start + syslog.LINE_LIMIT, status.st_size - start), start)
                yield content, status.st_mtime
                left -= end - start
                end = start
        except OSError:
            continue
        finally:
            os.close(descriptor)
