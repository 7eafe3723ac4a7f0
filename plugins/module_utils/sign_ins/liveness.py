# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tell a log that sign-ins still come to from one that nobody writes to any more.

A scan that came over SSH, or became root, within the last hour has to be in the logs itself. A connection that is older
(ControlPersist), or a local one, causes no entry: the log has to be open for writing in a running process then.
"""

from __future__ import annotations

import glob
import os
import re
import time
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils._own_session import Event
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
_STEP = 0.25
_OPEN = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC

_AUDIT = re.compile(
    rb"type=(?:USER_(?:AUTH|ACCT|START|LOGIN|CMD)|CRED_(?:ACQ|REFR)|CRYPTO_SESSION) msg=audit"
    rb"\((\d{1,12})\.[^)]{0,40}\): ?pid=(\d{1,10}) "
)

_SIGN_INS = (model.ACCEPTED, model.SESSION)

Written = t.Callable[[t.Collection[t.Tuple[int, int]]], bool]
Holds = t.Callable[[t.Sequence[Event]], bool]


class Source:
    """A log that has to be alive. files: those that are written now; holds: says whether it has one of the events."""

    def __init__(self, name: str, files: t.Sequence[str], holds: Holds) -> None:
        self.name = name
        self.files = files
        self.holds = holds


class Verdict(t.NamedTuple):
    """Whether one of the sources is alive, and what shows it, in one sentence."""

    is_alive: bool
    reason: str


def judge(sources: t.Sequence[Source], events: t.Sequence[Event], written: Written, now: float) -> Verdict:
    """Say whether one of the sources is alive.

    sources: logs that hold the same. events: what this scan caused, the newest first.
    """
    fresh = [event for event in events if now - event.started < FRESH]
    if fresh:
        if _any_holds(sources, fresh):
            return Verdict(True, "This scan's own %s is in the logs." % _named(fresh))
        return Verdict(False, "it does not hold this scan's own %s: nothing is logged there now" % _named(fresh))
    if written(_identities(sources)):
        return Verdict(True, "This scan caused no sign-in; instead, a running process has the log open for writing.")
    return Verdict(
        False,
        "no running process has it open for writing, and this scan caused no entry that would show that it is alive:"
        " nothing is logged there now",
    )


def _any_holds(sources: t.Sequence[Source], events: t.Sequence[Event]) -> bool:
    end = time.monotonic() + _PATIENCE
    while True:
        if any(source.holds(events) for source in sources):
            return True
        if time.monotonic() >= end:
            return False
        time.sleep(_STEP)


def _named(events: t.Sequence[Event]) -> str:
    names = dict.fromkeys("sign-in by SSH" if event.program == "sshd" else event.program for event in events)
    return " or ".join(names)


def _identities(sources: t.Sequence[Source]) -> set[tuple[int, int]]:
    identities = set()
    for source in sources:
        for path in source.files:
            try:
                status = os.stat(path)
            except OSError:
                continue
            identities.add((status.st_dev, status.st_ino))
    return identities


def of_text(path: str) -> Source:
    """Return a log of syslogd."""
    return Source(path, [path], lambda events: _text_holds(path, events))


def of_audit(path: str) -> Source:
    """Return an audit log."""
    return Source(path, [path], lambda events: _audit_holds(path, events))


def of_journal(directories: t.Iterable[str], holds: Holds) -> Source:
    """Return the journal. directories: where its files are."""
    files = [
        path
        for directory in directories
        for pattern in ("*.journal", os.path.join("*", "*.journal"))
        for path in glob.glob(os.path.join(glob.escape(directory), pattern))
        if "@" not in os.path.basename(path)  # which is closed
    ]
    return Source("journal", files, holds)


def _text_holds(path: str, events: t.Sequence[Event]) -> bool:
    for content, modified in _tails(path):
        clock = stamps.Clock(modified)
        for raw in content.split(b"\n"):
            if any(event.program.encode() in raw for event in events):
                line = syslog.parse(raw[: syslog.LINE_LIMIT].decode("utf-8", "surrogateescape"), clock)
                if line is not None and any(_is_of(line, event) for event in events):
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
