# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Look at a host's audit events since the last run."""

from __future__ import annotations

import gc
import time
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils._argspec import check_options
from ansible_collections.bulwark.servers.plugins.module_utils._finding import ScopeCoverage, printable
from ansible_collections.bulwark.servers.plugins.module_utils._logfiles import (
    UNREADABLE,
    Follower,
    LogFile,
    damage,
)
from ansible_collections.bulwark.servers.plugins.module_utils._run import Deadline
from ansible_collections.bulwark.servers.plugins.module_utils.audit.detection.model import subject_on
from ansible_collections.bulwark.servers.plugins.module_utils.audit.events.reader import SCOPE, Reader
from ansible_collections.bulwark.servers.plugins.module_utils.audit.explain.make import explainers_of
from ansible_collections.bulwark.servers.plugins.module_utils.audit.log_scan import LogScan, simulated_sessions
from ansible_collections.bulwark.servers.plugins.module_utils.audit_records import alive, daemon_settings
from ansible_collections.bulwark.servers.plugins.module_utils.audit_records.alive import Proof
from ansible_collections.bulwark.servers.plugins.module_utils.audit_records.hosts import Host
from ansible_collections.bulwark.servers.plugins.module_utils.audit_records.missing import (
    evidences,
    missing,
    sentence_of,
)
from ansible_collections.bulwark.servers.plugins.module_utils.audit_records.not_understood import Amounts
from ansible_collections.bulwark.servers.plugins.module_utils.audit_rule_files import netlink

if t.TYPE_CHECKING:
    from ansible_collections.bulwark.servers.plugins.module_utils.audit_records.running_processes import Running

NAME = "audit_events"
DEFAULT_PATHS = ("/var/log/audit/audit.log",)
# What is not below it may have been brought here from another host.
_OWN_LOGS = "/var/log/"
_VERSION = 1
_DEPLOY = "install auditd and deploy audit rules with the playbook bulwark.servers.protect"
# Logs; a host has one.
_MOST_LIVE = 20
# What is made of events has no cycles: to look for them in all that is remembered takes a tenth of the time.
_COLLECT_AFTER = 200_000


def collect(params: t.Mapping[str, t.Any], check_mode: bool) -> dict[str, t.Any]:
    """Return the result of the module. Raises UsageError, HostError and StateError."""
    check_options(params, ("state_dir", "paths"), {"max_findings": 1, "time_budget": 0})
    started = time.monotonic()
    paths = params["paths"] if params["paths"] is not None else list(DEFAULT_PATHS)
    gc.set_threshold(_COLLECT_AFTER)
    scan = LogScan(params, check_mode, NAME, _VERSION, SCOPE)
    run = scan.start(lambda rules, state: _Run(params, rules, state, scan.scope))
    gc.freeze()
    try:
        # Before the files are opened, so that what this makes is read, too.
        run.prove(paths)
        run.read(paths, Deadline(params["time_budget"]))
        run.count_missing(params["since"], params["paths"] is not None)
        # A log that is named, and not of a recorded run, may be of another host.
        if params["paths"] is None or params["_advance"]:
            run.judge_unrecorded(params)
        detections = scan.detections(run.reader.tally)
        run.describe(paths)
        scan.save(run.state())
    finally:
        run.close()
    return scan.result(detections, audit_events=run.figures(time.monotonic() - started))


class _Run:
    """One look, with everything that it goes on from."""

    def __init__(
        self,
        params: t.Mapping[str, t.Any],
        rules: t.Mapping[str, t.Any],
        state: t.Mapping[str, t.Any],
        scope: ScopeCoverage,
    ) -> None:
        self._scope = scope
        # Logs that are known to be this host's; who can write the state can do worse.
        self._live: list[str] = list(state.get("live", ()))
        self._proof = Proof(False, None)
        self.reader = Reader(
            rules,
            state.get("reader", {}),
            params["since"],
            explainers_of(params),
            running=_running(params["paths"]),
            simulated=simulated_sessions(params),
        )
        self.follower = Follower(state.get("files", ()))
        self._bytes = 0
        self._files = 0
        self._is_empty = True
        self._first_reason = ""
        self._unrecorded: dict[str, t.Any] = state.get("unrecorded", {})

    def prove(self, paths: t.Sequence[str]) -> None:
        """Find out whether the log is written now."""
        current = self.follower.present(paths)
        if current:
            own = {*DEFAULT_PATHS, daemon_settings.log_file(), *self._live}
            self._proof = alive.prove(current, not own.isdisjoint(current))
            if self._proof.path is not None and self._proof.path not in self._live:
                self._live = [*self._live, self._proof.path][-_MOST_LIVE:]

    def read(self, paths: t.Sequence[str], deadline: Deadline) -> None:
        # What comes while the files are read is not in them.
        opened = time.time()
        files = self.follower.open(paths)
        for position, file in enumerate(files):
            self._files += 1
            if file.rewritten:
                self._rewritten(file)
            self._is_empty &= not file.head
            if not self._read(file, deadline):
                left = len(files) - position
                self._scope.skip(
                    "newer events", "%s with %d log files left; the next run continues there" % (deadline.reason, left)
                )
                break
        else:
            self.reader.finish(opened)
            if files:
                self._count_unread(files[-1].path, self.reader.events)

    def _read(self, file: LogFile, deadline: Deadline) -> bool:
        """Read what is new in a file; return whether there was time for all of it."""
        before = self.reader.events
        try:
            for chunk in file.chunks():
                self._bytes += len(chunk)
                self.reader.read(chunk)
                if deadline.passed():
                    return False
        except UNREADABLE as error:
            self._scope.skip(printable(file.path), "cannot be read to its end: %s" % damage(error))
        finally:
            self._count_unread(file.path, self.reader.events - before)
        if file.head and not file.offset:
            self._scope.skip(printable(file.path), "has no line that is complete yet")
        return True

    def _count_unread(self, path: str, events: int) -> None:
        """Say what of a file was not understood. events: how many were read in it."""
        lines, of_events = self.reader.unread.take()
        others = "%d event%s" % (events, " was" if events == 1 else "s were")
        for sentence in (*_sentences(lines, "line", others), *_sentences(of_events, "event", "")):
            self._first_reason = self._first_reason or sentence
            self._scope.skip(printable(path), sentence)

    def _rewritten(self, file: LogFile) -> None:
        reason = "%s was changed in the part that was read before" % printable(file.path)
        self._scope.skip(printable(file.path), reason + "; it was read again")
        self.reader.tally.add(
            "audit_log_rewritten",
            printable(file.path),
            {"data": {"problem": reason}},
            file.modified,
            message=reason + ".",
            is_own=True,
        )

    def count_missing(self, since: float | None, is_chosen: bool) -> None:
        """Say which events are not in the log, where that is one host's. is_chosen: whether its path was given."""
        # Those of several logs are numbered each for itself.
        if len(self.follower.current) != 1:
            return
        (path,) = map(printable, self.follower.current)
        # Whoever changes the configuration of the daemon does not make its log somebody's excerpt.
        is_own = self._proof.live or path in map(printable, self._live)
        is_chosen = is_chosen and not is_own and path not in (*DEFAULT_PATHS, printable(daemon_settings.log_file()))
        for host in self.reader.hosts:
            self._count_missing_of(host, subject_on(path, host.name), since, is_chosen)

    def _count_missing_of(self, host: Host, subject: str, since: float | None, is_chosen: bool) -> None:
        found = missing(host.joiner.serials.lost, host.events, since, is_chosen)
        for sentence in found.sentences:
            self._scope.skip(subject, sentence)
        for place, evidence in enumerate(evidences(found.alert)):
            self.reader.tally.add(
                "audit_events_missing",
                subject,
                evidence,
                min(hole.after for hole in found.alert),
                max(hole.before for hole in found.alert),
                count=found.events if place == 0 else 0,
                message="%s." % sentence_of(found.alert),
                is_own=True,
            )

    def judge_unrecorded(self, params: t.Mapping[str, t.Any]) -> None:
        """Judge what was made where no audit rule records it."""
        from ansible_collections.bulwark.servers.plugins.module_utils.audit.detection import unrecorded

        now = time.time()
        look, gaps, problem = unrecorded.start_look(params["state_dir"], self._unrecorded, params["since"])
        if problem:
            self._scope.skip("files where no audit rule was", problem)
        if gaps is not None:
            look.judge(gaps, self.reader.rule_set, self.reader.tally, self._scope)
            self._unrecorded = look.state(now)

    def close(self) -> None:
        self.follower.close()

    def describe(self, paths: t.Sequence[str]) -> None:
        """Say in the coverage what was read, and what could not be."""
        scope, reader, follower = self._scope, self.reader, self.follower
        scope.examined = reader.events
        for path, reason in (*follower.skipped, *follower.doubts):
            scope.skip(printable(path), reason)
        for path in follower.lost:
            scope.skip(printable(path), "was removed after it was read; entries written in between were not read")
        for problem in reader.problems:
            scope.skip("rules", problem)
        notes = [*reader.notes, *self._describe_life(paths)]
        if reader.unread.by_syslog:
            notes.append("Some lines came through syslog, to which every account of the host can write.")
        if not self._files and follower.skipped:
            path, reason = follower.skipped[-1]
            scope.fail("the audit log %s cannot be read: %s" % (printable(path), reason))
        elif not self._files:
            where = " and ".join(printable(path) for path in paths) or "no path"
            scope.fail("no audit log could be read at %s; %s" % (where, netlink.elsewhere() or _DEPLOY))
        elif self._is_empty:
            scope.fail("the audit log %s is empty" % " and ".join(printable(path) for path in paths))
        elif self._bytes and reader.events <= reader.unread.events and not reader.waits:
            scope.fail(
                "nothing of the audit log %s was understood; %s"
                % (" and ".join(printable(path) for path in paths), self._first_reason or "it has no lines")
            )
        elif not reader.rules:
            scope.fail("there are no rules to look with; give rule_paths, or leave own_rules on")
        scope.note = " ".join(notes) or None

    def _describe_life(self, paths: t.Sequence[str]) -> list[str]:
        """Say whether the log is written now; return notes."""
        ended = alive.ended(self.reader.last_time)
        if self._proof.reason is not None:
            where = " and ".join(printable(path) for path in paths)
            self._scope.skip(where, "; ".join(filter(None, (self._proof.reason, ended))))
        elif ended and not self._proof.live:
            return ["This is not the log that this host's audit daemon writes; %s." % ended]
        return []

    def state(self) -> dict[str, t.Any]:
        return {
            "version": _VERSION,
            "files": self.follower.state(),
            "reader": self.reader.state(),
            "live": self._live,
            "unrecorded": self._unrecorded,
        }

    def figures(self, seconds: float) -> dict[str, t.Any]:
        reader = self.reader
        return {
            "events": reader.events,
            "matches": reader.tally.events,
            "explained": reader.tally.explained,
            "commands": reader.commands,
            "damaged_lines": reader.damaged,
            "unknown_events": reader.unread.events,
            "log_active": self._proof.alive if self._proof.live else None,
            "files": self._files,
            "bytes": self._bytes,
            "rules": reader.rules,
            "first_time": reader.first_time,
            "last_time": reader.last_time or None,
            "seconds": round(seconds, 3),
        }


def _sentences(amounts: Amounts, noun: str, others: str) -> list[str]:
    """Return what to say of lines or events that were not understood, one sentence for each reason."""
    return [
        "%d %s%s not understood (%s)%s; the first: %s"
        % (
            amount.number,
            noun,
            " was" if amount.number == 1 else "s were",
            reason,
            others and ", " + others,
            amount.first,
        )
        for reason, amount in amounts.items()
    ]


def _running(paths: t.Sequence[str] | None) -> t.Sequence[Running]:
    """Return what runs now, where the logs are this host's: others' process ids are other ones."""
    if all(path.startswith(_OWN_LOGS) for path in paths or ()):
        from ansible_collections.bulwark.servers.plugins.module_utils.audit_records.running_processes import running

        return running()
    return ()
