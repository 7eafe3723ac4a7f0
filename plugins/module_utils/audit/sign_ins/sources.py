# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which logs of a host hold sign-ins, and what is remembered of each."""

from __future__ import annotations

import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils import _own_session
from ansible_collections.bulwark.servers.plugins.module_utils.audit.sign_ins import (
    binaries,
    journal,
    liveness,
    sshd_config,
)
from ansible_collections.bulwark.servers.plugins.module_utils.audit.sign_ins.texts import OnLine, Reading, TextLog
from ansible_collections.bulwark.servers.plugins.module_utils.sign_ins import journal_entries
from ansible_collections.bulwark.servers.plugins.module_utils.sign_ins.model import SignIn

# The first kind holds sign-ins where there is any of it; else the second does.
AUTH_LOGS = ("/var/log/auth.log", "/var/log/secure")
GENERAL_LOGS = ("/var/log/messages", "/var/log/syslog")
# What only rules that look at lines are interested in.
OTHER_LOGS = ("/var/log/cron", "/var/log/cron.log", "/var/log/daemon.log")
AUDIT_LOGS = ("/var/log/audit/audit.log",)
# A file that nothing was written to for so long is no longer the place where sign-ins are logged.
_STALE = 86_400.0

AUTO, ALWAYS, NEVER = "auto", "always", "never"


class Places(t.NamedTuple):
    """Where to look. paths: None for the usual ones. journal_directory: None for the system's.

    events, send, written: what shows that a log is alive (see ``liveness``).
    """

    paths: t.Sequence[str] | None = None
    audit_paths: t.Sequence[str] | None = None
    journal: str = AUTO
    journal_directory: str | None = None
    wtmp: str = binaries.WTMP
    btmp: str = binaries.BTMP
    lastlog: str = binaries.LASTLOG
    wtmpdb: str = binaries.WTMPDB
    lastlog2: str = binaries.LASTLOG2
    sshd_config: str = sshd_config.FILE
    events: t.Callable[[], t.Sequence[_own_session.Event]] = _own_session.events
    send: liveness.Send = liveness.send_mark
    written: liveness.Written = liveness.is_audited


class Sources:
    """The logs of a host, opened. problems: what is there and could not be read, with the reason."""

    def __init__(self, places: Places, saved: t.Mapping[str, t.Any], reading: Reading, on_line: OnLine | None) -> None:
        """saved: as ``state`` returned it; KeyError, TypeError, ValueError, AttributeError for anything else."""
        self._reading = reading
        self._on_line = on_line
        self._own = liveness.Own(places.events(), places.send, places.written)
        self.silence = sshd_config.silence(places.sshd_config)
        self._texts_verdict: liveness.Verdict | None = None
        self._saved = dict(saved)
        texts = saved.get("texts", {})
        usual = places.paths is None
        self.logs = [
            TextLog(path, texts.get(path, {}), reading) for path in (AUTH_LOGS if usual else places.paths or ())
        ]
        general = [TextLog(path, texts.get(path, {}), reading) for path in GENERAL_LOGS] if usual else []
        self._closing: list[t.Any] = [*self.logs, *general]
        self.only_lines: list[TextLog] = []
        if usual and not any(log.found or log.problems for log in self.logs):
            self.logs = general
        elif on_line is not None:
            self.only_lines = general
        if usual and on_line is not None:
            self.only_lines += [TextLog(path, texts.get(path, {}), reading) for path in OTHER_LOGS]
        self.audits = [TextLog(path, texts.get(path, {}), reading) for path in places.audit_paths or AUDIT_LOGS]
        records = saved.get("records", {})
        self.records = [
            binaries.RecordLog(places.wtmp, False, records.get("wtmp", []), reading),
            binaries.RecordLog(places.btmp, True, records.get("btmp", []), reading),
        ]
        self.last = binaries.LastSignIns(
            saved.get("last", {}), reading, {name: getattr(places, name) for name in ("lastlog", "wtmpdb", "lastlog2")}
        )
        self.journal = self._open_journal(places, saved.get("journal"))
        self._closing += [*self.only_lines, *self.audits, *self.records]

    def _open_journal(self, places: Places, cursor: str | None) -> journal.Journal | None:
        if places.journal == NEVER or not journal_entries.exists(places.journal_directory):
            return None
        is_all_in_files = not journal.has_namespaces(places.journal_directory)
        if (
            places.journal == AUTO
            and is_all_in_files
            and self._are_written(max((log.modified for log in self.logs), default=0.0))
        ):
            return None
        return journal.Journal(cursor, everything=self._on_line is not None, directory=places.journal_directory)

    def _are_written(self, newest: float) -> bool:
        """Say whether the files of syslogd are where sign-ins are logged. newest: when one was last written."""
        if newest < self._reading.now - _STALE:
            return False
        texts = [liveness.of_text(log.path, log.current) for log in self.logs if log.found]
        verdict = liveness.judge(texts, self._own, self._reading.now)
        self._texts_verdict = verdict
        return verdict.is_alive

    def close(self) -> None:
        for source in self._closing:
            source.close()

    def streams(self) -> list[t.Iterable[SignIn]]:
        """Return the sign-ins of each log; see ``merge.Merged.merge``."""
        found: list[t.Iterable[SignIn]] = [log.sign_ins(self._on_line) for log in self.logs]
        if self.journal is not None:
            found.append(self._journalled(self.journal))
        found += [log.audited() for log in self.audits]
        found += [log.sign_ins() for log in self.records]
        found.append(self.last.sign_ins())
        return found

    def liveness(self) -> list[tuple[str, liveness.Verdict]]:
        """Return the logs that sign-ins should come to, each with whether they do; nothing where there is no log.

        Files of syslogd and the journal hold the same: where files are old, the journal is enough. The audit log takes
        their place where there is neither.
        """
        texts = [liveness.of_text(log.path, log.current) for log in self.logs if log.found]
        verdicts: list[tuple[str, liveness.Verdict]] = []
        if self._texts_verdict is not None:
            verdicts = [(source.name, self._texts_verdict) for source in texts]
            texts = []
        if self.journal is not None and self.journal.problem is None:
            texts.append(liveness.of_journal(self.journal.holds))
        if not texts and not verdicts:
            texts = [liveness.of_audit(log.path, log.current) for log in self.audits if log.found]
        if texts:
            verdict = liveness.judge(texts, self._own, self._reading.now)
            verdicts += [(source.name, verdict) for source in texts]
        return verdicts

    def read_lines(self) -> None:
        """Tell the lines of the logs that are not read for sign-ins."""
        if self._on_line is not None:
            for log in self.only_lines:
                log.only_lines(self._on_line)

    def _journalled(self, source: journal.Journal) -> t.Iterator[SignIn]:
        from ansible_collections.bulwark.servers.plugins.module_utils.audit.sign_ins.attempts import Attempts
        from ansible_collections.bulwark.servers.plugins.module_utils.sign_ins import programs

        attempts = self._journal_attempts = Attempts(self._saved.get("journal_attempts", []))
        reading = self._reading
        # Where it takes the place of files, it begins where they end.
        newest = max((log.modified for log in self.logs if log.found), default=reading.now)
        begin = max(reading.since, min(float(self._saved.get("at", 0.0)), newest))
        for line in source.lines(reading.over, begin):
            moment = reading.moment(line.time, reading.now)
            if self._on_line is not None:
                self._on_line(line, moment)
            fact = programs.parse(line)
            if fact is None:
                source.understanding.check(line)
                continue
            for one in attempts.feed(moment, line.pid, line.repeated, fact):
                yield one._replace(family="journal")
        if not reading.cut_short:
            for one in attempts.settle(reading.now):
                yield one._replace(family="journal")

    def state(self) -> dict[str, t.Any]:
        """Return what the next run goes on from, as JSON can hold it."""
        texts = {log.path: log.state() for log in [*self.logs, *self.only_lines, *self.audits]}
        attempts = getattr(self, "_journal_attempts", None)
        return {
            "at": self._reading.now,
            "texts": {**self._saved.get("texts", {}), **texts},
            "records": {"wtmp": self.records[0].state(), "btmp": self.records[1].state()},
            "last": self.last.state(),
            # A journal that was not needed this time begins where the files end when it is needed again.
            "journal": self.journal.cursor if self.journal is not None else None,
            "journal_attempts": attempts.saved() if attempts is not None else [],
        }
