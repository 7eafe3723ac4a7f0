# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read who signed in from what a host logs: auth log, journal and wtmp."""

from __future__ import annotations

import dataclasses
import re
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils import _safe_fs
from ansible_collections.bulwark.servers.plugins.module_utils._finding import printable
from ansible_collections.bulwark.servers.plugins.module_utils.investigation import journal_window, log_window, logs
from ansible_collections.bulwark.servers.plugins.module_utils.investigation.budget import Budget
from ansible_collections.bulwark.servers.plugins.module_utils.investigation.host import Host
from ansible_collections.bulwark.servers.plugins.module_utils.sign_ins import (
    model,
    programs,
    sshd,
    stamps,
    syslog,
    utmp,
)
from ansible_collections.bulwark.servers.plugins.module_utils.sign_ins.model import Line

MOST_SIGN_INS = 2_000
_AUTH_LOGS = (b"/var/log/auth.log", b"/var/log/secure")
_WTMP, _BTMP, _LASTLOG = b"/var/log/wtmp", b"/var/log/btmp", b"/var/log/lastlog"
_UTMP_LIMIT = 4 << 20
_USER_PROCESS, _DEAD_PROCESS = 7, 8
# Words of lines about sign-ins, failures, and changes of the account.
_USEFUL = re.compile(
    rb"Accepted |New session |session opened|Failed |COMMAND=|ROOT LOGIN|LOGIN ON|auth succeeded|ccessful su"
)
_PROGRAMS = (*sorted(sshd.PROGRAMS), "sudo", "su", "login", "doas", "dropbear", "systemd-logind")
_KEY = re.compile(r" ssh2: (\S{1,60}) ((?:SHA256|MD5):[\w+/:=]{16,64})")
_NEW_SESSION = re.compile(r"New session (\w{1,20}) of user (.{1,256}?)\.?(?: with class .*)?\Z")
# Newer versions write no TTY if there is no terminal. A refused command has the reason in front of it.
_SUDO = re.compile(
    r"\s*(\S{1,256}) : (?:[A-Z]{1,20}=\S{1,200} ; )??(?:TTY=(\S+) ; )?PWD=(.*?) ; USER=(\S+) ; (?:.{1,500} ; )?"
    r"COMMAND=(.*)\Z",
    re.DOTALL,
)
# Two logs of the same sign-in; logind makes the session right after it.
_TOGETHER = 5.0
_MOST_FAILED = 10_000
_MOST_COMPARED = 500


@dataclasses.dataclass
class SignIn:
    """Somebody signed in. session: of logind, "" if unknown. key: its fingerprint as sshd logs it. end: of wtmp."""

    time: float
    user: str
    source: str
    service: str
    pid: int = 0
    port: str = ""
    method: str = ""
    key: str = ""
    session: str = ""
    terminal: str = ""
    end: float | None = None
    by: list[str] = dataclasses.field(default_factory=list)


class Became(t.NamedTuple):
    """An account ran a command as another one (sudo)."""

    time: float
    user: str
    target: str
    command: str
    terminal: str
    by: str


@dataclasses.dataclass
class Found:
    """failed: how many sign-ins of a source and an account failed."""

    sign_ins: list[SignIn] = dataclasses.field(default_factory=list)
    became: list[Became] = dataclasses.field(default_factory=list)
    failed: dict[tuple[str, str], int] = dataclasses.field(default_factory=dict)


def read(host: Host, ranges: t.Iterable[tuple[float, float]], budget: Budget) -> Found:
    """Return who signed in, in some ranges of time that don't overlap; the first are read first."""
    reader = _Reader(budget)
    for first, last in ranges:
        _read_range(host, first, last, reader, budget)
    return reader.end()


def _read_range(host: Host, first: float, last: float, reader: _Reader, budget: Budget) -> None:
    clock = stamps.Clock(host.now)
    for path in _AUTH_LOGS:
        for time, raw in log_window.lines(host, path, first, last, logs.system_stamp, budget):
            budget.examined += 1
            line = syslog.parse(raw.decode("utf-8", "surrogateescape"), clock) if _USEFUL.search(raw) else None
            if line is not None:
                reader.take(line._replace(time=time), "auth log")
    for entry in journal_window.read(host, first, last, budget, _PROGRAMS):
        budget.examined += 1
        # Anybody may write in the name of sshd; the journal says who did.
        if entry.uid == 0 and _USEFUL.search(entry.message.encode("utf-8", "replace")):
            reader.take(Line(entry.time, entry.program, entry.pid or 0, entry.message), "journal")
    for sign_in in _sign_in_records(host, first, last, budget):
        reader.add(sign_in)
    for failed in _parsed(host, _BTMP, True, budget):
        if first <= failed.time <= last:
            reader.fail(failed)


class _Reader:
    def __init__(self, budget: Budget) -> None:
        self.found = Found()
        self._budget = budget
        self._left_out = 0
        self._in_records: dict[tuple[str, str], int] = {}
        self._known: dict[tuple[str, str], list[SignIn]] = {}

    def end(self) -> Found:
        """Return the records, and add the omissions to the budget."""
        if self._left_out:
            text = "%d further sign-ins are left out." % self._left_out
            self._budget.cut("events", text, self._left_out)
        for key, count in self._in_records.items():
            self.found.failed[key] = max(count, self.found.failed.get(key, 0))
        return self.found

    def take(self, line: Line, by: str) -> None:
        """Record the message of a line."""
        if line.time is None:
            return
        session = _NEW_SESSION.match(line.message) if line.program.startswith("systemd-logind") else None
        if session:
            self._of_session(line.time, session.group(1), session.group(2))
            return
        if line.program == "sudo" and self._sudo(line, line.time, by):
            return
        fact = programs.parse(line)
        if fact is None:
            return
        if fact.kind in (model.FAILED, model.FAILED_KEY):
            self._count(self.found.failed, fact.source, fact.user, fact.times * line.repeated)
        elif fact.kind == model.ACCEPTED or (fact.kind == model.SESSION and fact.service in ("login", "su")):
            match = _KEY.search(line.message)
            self.add(
                SignIn(
                    line.time,
                    fact.user,
                    fact.source,
                    fact.service,
                    line.pid,
                    fact.port,
                    fact.method,
                    match.group(2) if match else "",
                    terminal=fact.terminal,
                    by=[by],
                )
            )

    def fail(self, failed: model.SignIn) -> None:
        """Count a failed sign-in of btmp, which most logs have as well."""
        self._count(self._in_records, failed.source, failed.user, 1)

    @staticmethod
    def _count(counts: dict[tuple[str, str], int], source: str, user: str, times: int) -> None:
        if (source, user) in counts or len(counts) < _MOST_FAILED:
            counts[source, user] = counts.get((source, user), 0) + times

    def add(self, sign_in: SignIn) -> None:
        """Note a sign-in, or that another log has it as well."""
        known = self._known.setdefault((sign_in.user, sign_in.source), [])
        for other in reversed(known[-_MOST_COMPARED:]):
            if abs(other.time - sign_in.time) <= _TOGETHER and not set(other.by) & set(sign_in.by):
                other.by += sign_in.by
                for name in ("key", "session", "terminal", "method", "port", "pid", "end"):
                    setattr(other, name, getattr(other, name) or getattr(sign_in, name))
                return
        if len(self.found.sign_ins) >= MOST_SIGN_INS:
            self._left_out += 1
            return
        known.append(sign_in)
        self.found.sign_ins.append(sign_in)

    def _of_session(self, time: float, number: str, user: str) -> None:
        for other in reversed(self.found.sign_ins):
            if other.user == user and not other.session and 0 <= time - other.time <= _TOGETHER:
                other.session = number
                return

    def _sudo(self, line: Line, time: float, by: str) -> bool:
        match = _SUDO.match(line.message)
        if match is None:
            return False
        user, terminal, _directory, target, command = match.groups()
        became = Became(time, user, target, command, terminal or "", by)
        is_known = any(
            abs(other.time - time) <= _TOGETHER and other[1:5] == became[1:5] and other.by != by
            for other in self.found.became[-50:]
        )
        if not is_known and len(self.found.became) < MOST_SIGN_INS:
            self.found.became.append(became)
        return True


def _records(host: Host, path: bytes, budget: Budget) -> t.Iterator[bytes]:
    """Yield the records of wtmp or btmp (utmp(5)), of the newest 4 MB."""
    size = utmp.layout().size
    try:
        with host.opened(path) as (descriptor, status):
            whole = status.st_size // size * size
            offset = max(0, whole - _UTMP_LIMIT // size * size)
            content = _safe_fs.read_at(descriptor, offset, whole - offset)
    except OSError as error:
        if error.errno not in _safe_fs.GONE:
            budget.skip(printable(path), _safe_fs.reason(error))
        return
    for start in range(0, len(content) - size + 1, size):
        yield content[start : start + size]


def _parsed(host: Host, path: bytes, failed: bool, budget: Budget) -> t.Iterator[model.SignIn]:
    form = utmp.layout()
    for record in _records(host, path, budget):
        parsed = utmp.parse(record, form, failed)
        if parsed is not None:
            yield parsed


def _sign_in_records(host: Host, first: float, last: float, budget: Budget) -> list[SignIn]:
    """Return the sign-ins of wtmp, with when each ended."""
    form = utmp.layout()
    sign_ins: list[SignIn] = []
    on_terminal: dict[bytes, SignIn] = {}
    for record in _records(host, _WTMP, budget):
        fields = form.unpack(record)
        kind, pid, line, seconds = fields[0], fields[1], fields[2], float(fields[9])
        if kind == _DEAD_PROCESS and line in on_terminal:
            on_terminal.pop(line).end = seconds
        parsed = utmp.parse(record, form, failed=False) if kind == _USER_PROCESS else None
        if parsed is not None and first <= parsed.time <= last:
            sign_in = SignIn(parsed.time, parsed.user, parsed.source, parsed.service, max(0, pid))
            sign_in.terminal, sign_in.by = parsed.terminal, ["wtmp"]
            on_terminal[line] = sign_in
            sign_ins.append(sign_in)
    return sign_ins


def last_sign_in(host: Host, uid: int) -> dict[str, t.Any] | None:
    """Return the last sign-in of an account of lastlog(8): time, terminal and source; None if it is not known."""
    form = utmp.lastlog_layout()
    try:
        with host.opened(_LASTLOG) as (descriptor, _status):
            record = _safe_fs.read_at(descriptor, uid * form.size, form.size)
    except (OSError, OverflowError):
        return None
    if len(record) < form.size:
        return None
    seconds, terminal, source = form.unpack(record)
    texts = (printable(raw.split(b"\0", 1)[0]) for raw in (terminal, source))
    return {"time": float(seconds), **dict(zip(("terminal", "source"), texts))} if seconds > 0 else None
