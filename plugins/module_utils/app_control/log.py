# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read the executions in the audit log since the last recorded look, and tell since when they are complete."""

from __future__ import annotations

import time
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils._finding import ScopeCoverage, printable
from ansible_collections.bulwark.servers.plugins.module_utils._logfiles import (
    UNREADABLE,
    Follower,
    LogFile,
    damage,
)
from ansible_collections.bulwark.servers.plugins.module_utils._run import Deadline
from ansible_collections.bulwark.servers.plugins.module_utils.app_control import exec_rules
from ansible_collections.bulwark.servers.plugins.module_utils.audit_records import alive, daemon_settings
from ansible_collections.bulwark.servers.plugins.module_utils.audit_records.alive import Proof
from ansible_collections.bulwark.servers.plugins.module_utils.audit_records.missing import missing

if t.TYPE_CHECKING:
    from ansible_collections.bulwark.servers.plugins.module_utils.app_control.reading import Reader

DEFAULT_PATHS = ("/var/log/audit/audit.log",)
_DAY = 86_400
_MOST_LIVE = 20
_MOST_DAYS = 1_000
_NOT_INSTALLED = (
    "there is no audit log at %s, so only running processes are seen; install auditd and deploy the rule group exec"
    " with the playbook bulwark.servers.protect"
)


class ExecutionLog:
    """The audit log of this host, followed from where the last recorded look stopped.

    since: from when on executions are known, 0 for never. until: the newest. days: those of which every execution is
    known, in days since the epoch.
    """

    def __init__(self, paths: t.Sequence[str], state: t.Mapping[str, t.Any]) -> None:
        """state: as ``state`` returned it."""
        self._paths = paths
        self._follower = Follower(state.get("files", ()))
        self._live: list[str] = list(state.get("live", ()))
        self._proof = Proof(False, None)
        self._files = 0
        self._problem: str | None = None
        self.since: float = state.get("since", 0.0)
        self.until: float = state.get("until", 0.0)
        self.days: set[int] = set(state.get("days", ()))
        self._incomplete: set[int] = set(state.get("incomplete", ()))

    def state(self) -> dict[str, t.Any]:
        return {
            "files": self._follower.state(),
            "live": self._live,
            "since": self.since,
            "until": self.until,
            "days": sorted(self.days)[-_MOST_DAYS:],
            "incomplete": sorted(self._incomplete)[-_MOST_DAYS:],
        }

    def prove(self) -> None:
        """Find out whether the log is written now. Before it is read, so that what this makes is read, too."""
        current = self._follower.present(self._paths)
        if current:
            own = {*DEFAULT_PATHS, daemon_settings.log_file(), *self._live}
            self._proof = alive.prove(current, not own.isdisjoint(current))
            if self._proof.path is not None and self._proof.path not in self._live:
                self._live = [*self._live, self._proof.path][-_MOST_LIVE:]

    @property
    def is_own(self) -> bool:
        """Return whether it is the log of this host: process ids of others are other ones."""
        return self._proof.live

    def read(self, reader: Reader, scope: ScopeCoverage, deadline: Deadline) -> None:
        """Read what is new, and say in the coverage what was not."""
        opened = time.time()
        try:
            files = self._follower.open(self._paths)
            self._files = len(files)
            for position, file in enumerate(files):
                if file.rewritten:
                    reason = "was changed in the part that was read before; read again from the start"
                    scope.skip(printable(file.path), reason)
                if not _read(file, reader, scope, deadline):
                    left = len(files) - position
                    reason = "%s with %d log files left; the next scan continues there" % (deadline.reason, left)
                    scope.skip("newer executions", reason)
                    break
            else:
                reader.finish(opened)
            reader.close()
        finally:
            self._follower.close()
        self._note_days(reader, scope)

    def _note_days(self, reader: Reader, scope: ScopeCoverage) -> None:
        """Note of which days all executions are known, and say which events are missing."""
        if reader.first_execution:
            self.since = min(self.since or reader.first_execution, reader.first_execution)
            self.until = max(self.until, reader.last_time)
        own = reader.hosts.own
        losses = missing(own.joiner.serials.lost, own.events or reader.events, None)
        for sentence in losses.sentences:
            scope.skip("executions", sentence)
        for hole in losses.alert:
            first, last = int(hole.after) // _DAY, int(hole.before) // _DAY
            self._incomplete.update(range(first, min(last, first + _MOST_DAYS) + 1))
        self._problem = exec_rules.problem() if self.is_own else None
        self.days = (self.days if self._problem else self.days | reader.days) - self._incomplete

    def describe(self, reader: Reader, scope: ScopeCoverage) -> list[str]:
        """Say in the coverage what could not be read; return notes."""
        follower = self._follower
        for path, reason in (*follower.skipped, *follower.doubts):
            scope.skip(printable(path), reason)
        for path in follower.lost:
            scope.skip(printable(path), "was removed after it was read; entries written in between were not read")
        lines, events = reader.unread.take()
        for amounts in (lines, events):
            for reason, amount in amounts.items():
                scope.skip("audit log", "%d not understood (%s); the first: %s" % (amount.number, reason, amount.first))
        where = " and ".join(map(printable, self._paths))
        if not self._files:
            if not follower.skipped:
                scope.skip("executions", _NOT_INSTALLED % where)
            return []
        if self._proof.reason is not None:
            scope.skip(where, self._proof.reason)
        notes = []
        if self._problem is not None:
            scope.skip("executions", self._problem)
        if reader.others:
            notes.append("%d lines of the log are of other hosts." % reader.others)
        if reader.unread.by_syslog:
            notes.append("Some lines came through syslog, to which every account of the host can write.")
        if self.since:
            days = "1 day" if len(self.days) == 1 else "%d days" % len(self.days)
            notes.append("Executions are known since %s, on %s without a gap." % (_time(self.since), days))
        else:
            notes.append("The audit log has no executions.")
        return [*notes, *reader.explanations.notes()]


def _read(file: LogFile, reader: Reader, scope: ScopeCoverage, deadline: Deadline) -> bool:
    """Read what is new in a file; return whether there was time for all of it."""
    try:
        for chunk in file.chunks():
            reader.read(chunk)
            if deadline.passed():
                return False
    except UNREADABLE as error:
        scope.skip(printable(file.path), "cannot be read to its end: %s" % damage(error))
    return True


def _time(seconds: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))
