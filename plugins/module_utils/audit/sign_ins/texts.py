# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read the text files that hold sign-ins: those of syslogd and the audit log."""

from __future__ import annotations

import contextlib
import glob
import math
import os
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils._finding import printable
from ansible_collections.bulwark.servers.plugins.module_utils._logfiles import (
    UNREADABLE,
    Follower,
    LogFile,
    damage,
)
from ansible_collections.bulwark.servers.plugins.module_utils.audit.sign_ins import audit
from ansible_collections.bulwark.servers.plugins.module_utils.audit.sign_ins.attempts import Attempts
from ansible_collections.bulwark.servers.plugins.module_utils.audit.sign_ins.understanding import (
    FORM,
    UNENDED,
    Understanding,
)
from ansible_collections.bulwark.servers.plugins.module_utils.sign_ins import programs, stamps, syslog
from ansible_collections.bulwark.servers.plugins.module_utils.sign_ins.model import Fact, Line, SignIn

if t.TYPE_CHECKING:
    from ansible_collections.bulwark.servers.plugins.module_utils.automation.simulated import SimulatedSessions
    from ansible_collections.bulwark.servers.plugins.module_utils.sigma.model import Explanation

_DAY = 86_400.0
_MOST_NAMES = 1_000
_MOST_SIMULATED = 20_000
_BEGINNINGS = (b"type=", b"node=")
_OTHERWISE = "it is compressed with something other than gzip, which is not read"

OnLine = t.Callable[[Line, float], None]


class Reading:
    """What all readers of a run share. passed: says when to stop; since: nothing before it counts; now: in seconds.

    sessions: those of simulated attacks on this host. simulated: the sign-ins that were read of them.
    """

    def __init__(
        self, passed: t.Callable[[], bool], since: float, now: float, sessions: SimulatedSessions | None = None
    ) -> None:
        self.passed, self.since, self.now = passed, since, now
        self.sessions = sessions
        self.simulated: list[tuple[SignIn, Explanation]] = []
        self.cut_short = False

    def over(self) -> bool:
        self.cut_short = self.cut_short or self.passed()
        return self.cut_short

    def moment(self, found: float | None, otherwise: float) -> float:
        """Return the moment of a line: no clock that was wrong makes it one of the future."""
        return min(otherwise if found is None else found, self.now + _DAY)


class TextLog:
    """One log file with its rotated ones, followed from where it was left.

    problems: what could not be read, and why. doubts: what others than root can change, and who. rewritten: files that
    are not what they were where they had been read.
    lost: files that are gone, and may have had more than was read. oldest: of an audit log, when its first record was.
    """

    def __init__(self, path: str, saved: t.Mapping[str, t.Any], reading: Reading) -> None:
        """saved: as ``state`` returned it; KeyError, TypeError or ValueError where it is anything else."""
        self.path = path
        self._reading = reading
        self._follower = Follower(saved.get("positions", []))
        self._latest = self._known_until = float(saved.get("latest", 0.0))
        self._attempts = Attempts(saved.get("attempts", []))
        self._simulated: dict[Explanation, Attempts] = {}
        self._files = self._follower.open([path])
        self.problems = [(printable(name), said(reason)) for name, reason in self._follower.skipped]
        self.doubts = [(printable(name), reason) for name, reason in self._follower.doubts]
        if not saved:  # later, what is in them was read before it was compressed
            self.problems += [(printable(name), _OTHERWISE) for name in _compressed_otherwise(path, reading.since)]
        self.rewritten: list[str] = []
        self.lost = [printable(name) for name in self._follower.lost]
        self.lines = 0
        self.understanding = Understanding()
        self.oldest: float | None = None

    @property
    def found(self) -> bool:
        return bool(self._files)

    @property
    def current(self) -> list[str]:
        """The paths of the files that are written now."""
        return sorted(self._follower.current)

    @property
    def modified(self) -> float:
        return max((file.modified for file in self._files), default=0.0)

    def close(self) -> None:
        self._follower.close()

    def state(self) -> dict[str, t.Any]:
        return {
            "positions": self._follower.state(),
            "latest": self._latest,
            "attempts": self._attempts.saved(),
        }

    def sign_ins(self, on_line: OnLine | None) -> t.Iterator[SignIn]:
        """Return the sign-ins that lines of a system log tell. on_line: is told each line."""
        previous: Line | None = None
        for line, moment in self._lines():
            if on_line is not None:
                on_line(line, moment)
            if syslog.tells_again(line):
                if previous is None:
                    continue
                line = previous._replace(repeated=line.repeated)
            previous = line
            fact = programs.parse(line)
            if fact is None:
                self.understanding.check(line)
                continue
            for one in self._attempts.feed(moment, line.pid, line.repeated, fact):
                yield from self._counted(one, "log")
        yield from self._settled("log")

    def only_lines(self, on_line: OnLine) -> None:
        """Tell each line, of a log that is not read for sign-ins."""
        for line, moment in self._lines():
            on_line(line, moment)

    def audited(self) -> t.Iterator[SignIn]:
        """Return the sign-ins that records of an audit log tell."""
        sessions = self._reading.sessions
        for chunk, file in self._chunks():
            known_until = self._known_until if file.rewritten else 0.0
            if self.oldest is None:
                first = audit.TIME.search(chunk)
                self.oldest = float(first.group(1)) if first else None
            self._take_records(chunk)
            for record in audit.WANTED.finditer(chunk):
                self.lines += 1
                told = audit.parse(record.group())
                if told is None:
                    continue
                moment, pid, fact = told
                moment = self._reading.moment(moment, file.modified)
                if moment <= known_until:
                    continue
                self._latest = max(self._latest, moment)
                if sessions is not None:
                    explanation = sessions.explain_record(record.group(), told[0])
                    if explanation is not None:
                        self._simulate(moment, pid, fact, explanation)
                        continue
                for one in self._attempts.feed(moment, pid, 1, fact):
                    yield from self._counted(one, "audit")
        yield from self._settled("audit")
        for explanation, attempts in self._simulated.items():
            # Nothing more comes of a simulation: what it left waits for no next run.
            for sign_in in attempts.settle(math.inf):
                self._take_simulated(sign_in, explanation)

    def _simulate(self, time: float, pid: int, fact: Fact, explanation: Explanation) -> None:
        """Take in a record of a simulated sign-in, apart from all that is real."""
        attempts = self._simulated.setdefault(explanation, Attempts())
        for sign_in in attempts.feed(time, pid, 1, fact):
            self._take_simulated(sign_in, explanation)

    def _take_simulated(self, sign_in: SignIn, explanation: Explanation) -> None:
        if sign_in.time >= self._reading.since and len(self._reading.simulated) < _MOST_SIMULATED:
            self._reading.simulated.append((sign_in._replace(family="audit"), explanation))

    def _take_records(self, chunk: bytes) -> None:
        """Count the records of an audit log; the lines that are none are looked for only when there are any."""
        entries, understanding = chunk.count(b"\n"), self.understanding
        understanding.entries += entries
        begun = chunk.startswith(_BEGINNINGS) + sum(chunk.count(b"\n" + beginning) for beginning in _BEGINNINGS)
        if entries == begun == chunk.count(audit.RECORD):
            return
        for line in chunk.split(b"\n"):
            if line.strip() and not (line.startswith(_BEGINNINGS) and audit.RECORD in line):
                understanding.miss(line[: syslog.LINE_LIMIT].decode("utf-8", "surrogateescape"), FORM)

    def _lines(self) -> t.Iterator[tuple[Line, float]]:
        since, now = self._reading.since, self._reading.now
        # What comes to a log after a line that counts is newer than it, whatever the clock was set to then.
        has_begun = self._known_until >= since > 0
        for chunk, file in self._chunks():
            # Of a file that was written anew, what was read of the old one is known.
            known_until = self._known_until if file.rewritten else 0.0
            clock = stamps.Clock(min(file.modified, self._reading.now))
            for raw in chunk.split(b"\n"):
                if not raw:
                    continue
                self.lines += 1
                text = raw[: syslog.LINE_LIMIT].decode("utf-8", "surrogateescape")
                line = syslog.parse(text, clock)
                if line is None or line.time is None:
                    self.understanding.take(text, line)
                    if line is None:
                        continue
                else:
                    self.understanding.entries += 1
                moment = self._reading.moment(line.time, file.modified)
                if moment <= known_until:
                    continue
                if moment < since:
                    if not has_begun:
                        continue
                    moment = since
                elif line.time is not None and line.time <= now:
                    has_begun = True
                self._latest = max(self._latest, moment)
                yield line, moment

    def _chunks(self) -> t.Iterator[tuple[bytes, LogFile]]:
        for file in self._files:
            if file.rewritten:
                self.rewritten.append(printable(file.path))
            if not file.known and file.modified < self._reading.since:
                continue
            try:
                for chunk in file.chunks():
                    yield chunk, file
                    if self._reading.over():
                        return
                self._take_unended(file)
            except UNREADABLE as error:
                self.problems.append((printable(file.path), said(damage(error))))

    def _take_unended(self, file: LogFile) -> None:
        """Count what has no line end: a daemon is about to write it, but not at the very beginning, and not so much."""
        left = 0 if file.compressed else file.size - file.offset
        if left > syslog.LINE_LIMIT or (left > 0 and not file.offset):
            self.understanding.entries += 1
            beginning = "" if file.offset else file.head.decode("utf-8", "surrogateescape")
            self.understanding.miss(beginning, UNENDED)

    def _settled(self, family: str) -> t.Iterator[SignIn]:
        if not self._reading.cut_short:
            for one in self._attempts.settle(self._reading.now):
                yield from self._counted(one, family)

    def _counted(self, one: SignIn, family: str) -> t.Iterator[SignIn]:
        if one.time >= self._reading.since:
            yield one._replace(family=family)


def _compressed_otherwise(path: str, since: float) -> list[str]:
    """Return the rotated files of a log that can't be read, and were written to since then."""
    found = []
    for name in sorted(glob.glob(glob.escape(path) + "[.-]*"))[:_MOST_NAMES]:
        with contextlib.suppress(OSError):
            if name.endswith((".xz", ".bz2", ".zst", ".Z")) and os.lstat(name).st_mtime >= since:
                found.append(name)
    return found


def said(reason: str) -> str:
    if "ermission denied" in reason:
        return "it cannot be read by this account: run with become"
    if "symbolic link" in reason:
        return reason
    return "it cannot be read: %s" % reason
