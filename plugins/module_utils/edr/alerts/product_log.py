# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read the alerts of one product from where the last run stopped."""

from __future__ import annotations

import os
import time
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils._command import CommandError
from ansible_collections.bulwark.servers.plugins.module_utils._finding import ScopeCoverage, printable
from ansible_collections.bulwark.servers.plugins.module_utils._logfiles import UNREADABLE, Follower, LogFile, damage
from ansible_collections.bulwark.servers.plugins.module_utils._run import Deadline
from ansible_collections.bulwark.servers.plugins.module_utils._state import StateError
from ansible_collections.bulwark.servers.plugins.module_utils.edr.alerts import (
    clamd_log,
    clamd_requests,
    clamd_settings,
    command,
    ecs,
    falco,
    mdatp,
    osquery,
    sysmon,
    wazuh,
)
from ansible_collections.bulwark.servers.plugins.module_utils.edr.alerts.clamd_alerts import Files
from ansible_collections.bulwark.servers.plugins.module_utils.edr.alerts.clamd_socket import Clamd
from ansible_collections.bulwark.servers.plugins.module_utils.edr.alerts.fields import NotUnderstoodError
from ansible_collections.bulwark.servers.plugins.module_utils.edr.alerts.fold import Fold
from ansible_collections.bulwark.servers.plugins.module_utils.edr.alerts.journal import Messages
from ansible_collections.bulwark.servers.plugins.module_utils.edr.alerts.lines import Splitter, Unread
from ansible_collections.bulwark.servers.plugins.module_utils.edr.alerts.source import Source
from ansible_collections.bulwark.servers.plugins.module_utils.edr.model import ProductAlert
from ansible_collections.bulwark.servers.plugins.module_utils.sign_ins import journal_entries

CAPABILITY = "edr"
_READERS: t.Mapping[str, t.Callable[[str, Source], t.Any]] = {
    "falco": falco.read,
    "wazuh": wazuh.read,
    "ecs": ecs.read,
    "osquery": osquery.read,
    "sysmon": sysmon.read,
}
# The forms whose alerts are about other hosts, too.
_OF_OTHERS = ("wazuh",)
# Lines of a file that other programs write to that can be left out unread.
_NEEDLES: t.Mapping[str, bytes] = {"sysmon": b"sysmon"}
# Entries of clamd's log in one run, up to the end of the chunk; the next run continues there.
_MOST_ENTRIES = 5_000
# Lines between two looks at the clock.
_BETWEEN_LOOKS = 64
_DAY = 86_400
# Products that begin a file a day, whose yesterday's is known until it is read.
_DAYS = 3


class Remedies:
    """Earlier findings of this host that a product has dealt with: alert, subject and reason of each."""

    def __init__(self) -> None:
        self.entries: list[dict[str, str]] = []


class Reading:
    """One product. lines: that were new; rewritten: logs that were changed where they had been read."""

    def __init__(
        self,
        source: Source,
        state: t.Mapping[str, t.Any],
        since: float,
        scope: ScopeCoverage,
        fold: Fold,
        deadline: Deadline,
    ) -> None:
        """state: as the run before returned it. since: alerts before are left out in the first run."""
        self.source = source
        self._state, self._scope, self._fold, self._deadline = dict(state), scope, fold, deadline
        self._since = None if state else since
        self._first = since
        self.unread = Unread()
        self.lines = 0
        self.old = 0
        self.is_there = False
        self.rewritten: list[str] = []
        self.notes: list[str] = []
        self._positions: list[t.Any] = list(state.get("files", ()))
        self._cursor: str | None = state.get("cursor")
        self._known: t.Mapping[str, t.Any] = state.get("known", {})
        self._taken: t.Sequence[t.Any] = state.get("taken", ())
        self._clamd_log = clamd_log.Reader(state.get("log"))
        self._entries: list[clamd_log.Entry] = []
        # Others than root can change what is read now.
        self._is_doubtful = False
        self.unbelieved = 0

    def read(self, root: str | None, remedies: Remedies) -> None:
        """Read what is new. root: the state directory, None where nothing may be kept."""
        source = self.source
        settings = clamd_settings.read() if source.form == "clamd" else None
        for path, reason in settings.problems if settings is not None else ():
            self._scope.skip(path, reason)
        if source.journal and self._has_journal():
            self._read_journal()
        elif self._is_expected():
            paths = [*source.paths, *(settings.logs if settings else ())]
            self._read_files(list(dict.fromkeys(_dated(paths))))
        self._is_doubtful = False
        if source.command:
            self._read_command()
        if source.form == "clamd" and (self._entries or self._known):
            self._judge_files(settings, root, remedies)
        self._describe()

    def state(self) -> dict[str, t.Any]:
        """Return what the next run goes on from."""
        if not self.is_there and not self._state:
            return {}
        return {
            "files": self._positions,
            "cursor": self._cursor,
            "known": self._known,
            "taken": self._taken,
            **({"log": self._clamd_log.state()} if self.source.form == "clamd" else {}),
            "seen": True,
        }

    def _is_expected(self) -> bool:
        """Say whether logs are to be opened. One that other programs write as well is there without the product."""
        source = self.source
        is_shared = source.form in _NEEDLES and bool(source.programs)
        return not is_shared or bool(self._state) or any(map(os.path.lexists, source.programs))

    def _has_journal(self) -> bool:
        # Only where the product is: every host has a journal.
        is_installed = any(map(os.path.lexists, self.source.programs))
        return bool(self._cursor) or (is_installed and journal_entries.exists())

    def _read_files(self, paths: t.Sequence[str]) -> None:
        follower = Follower(self._positions)
        try:
            for file in follower.open(paths):
                self.is_there = True
                if file.rewritten:
                    self.rewritten.append(printable(file.path))
                stopped = self._read_file(file)
                if stopped is not None:
                    self._scope.skip(
                        "newer alerts of %s" % self.source.name, "%s; the next run continues there" % stopped
                    )
                    break
            self._positions = follower.state()
            for path, reason in follower.skipped:
                self._scope.skip(printable(path), reason)
            self._describe_writers(follower)
            for path in follower.lost:
                self._scope.skip(
                    printable(path), "was removed after it was read; lines that were added in between were not seen"
                )
        finally:
            follower.close()

    def _describe_writers(self, follower: Follower) -> None:
        """Count logs that others can write as partly checked; that the product's own account can is usual."""
        own = {writer for name in self.source.accounts for writer in (name, "the group %s" % name)}
        for path, reason in follower.doubts:
            if own.issuperset(follower.doubted[path].split(", ")):
                self.notes.append("%s: %s." % (printable(path), reason))
            else:
                self._scope.skip(printable(path), reason)

    def _read_file(self, file: LogFile) -> str | None:
        """Read what is new in a file; return why not all of it was read, or None."""
        splitter = Splitter(file.is_inside_line)
        needle = _NEEDLES.get(self.source.form)
        self._is_doubtful = file.is_doubtful
        try:
            for chunk in file.chunks():
                for line in splitter.split(chunk):
                    if needle is None or needle in line:
                        self._take_line(line)
                    # Where lines take long, as an intruder can make them, a chunk would take minutes.
                    if self.lines % _BETWEEN_LOOKS == 0 and self._deadline.passed() and self._can_stop(chunk, splitter):
                        file.give_back(chunk, splitter.position)
                        return self._deadline.reason
                if self._deadline.passed():
                    return self._deadline.reason
                if len(self._entries) >= _MOST_ENTRIES:
                    return "clamd matched more than %d files" % _MOST_ENTRIES
        except UNREADABLE as error:
            self._scope.skip(printable(file.path), "cannot be read to its end: %s" % damage(error))
        if splitter.too_long:
            self.unread.add("longer than any alert of %s" % self.source.name, "", splitter.too_long)
        return None

    def _can_stop(self, chunk: bytes, splitter: Splitter) -> bool:
        """Say whether the next run can go on at a line: what clamd logs about one file may be several."""
        return self.source.form != "clamd" and splitter.position < len(chunk)

    def _read_journal(self) -> None:
        self.is_there = True
        messages = Messages(self.source.journal, self._cursor, self._first)
        for message in messages.read(self._deadline):
            self._take_line(message.encode("utf-8", "replace"))
        self._cursor = messages.cursor
        if messages.problem:
            self._scope.skip("journal of %s" % self.source.name, messages.problem)
        if messages.forged:
            self.notes.append(
                "%d messages in the journal in the name of %s are of other accounts, and were ignored."
                % (messages.forged, self.source.name)
            )

    def _read_command(self) -> None:
        name = self.source.command[0]
        try:
            output = command.output(self.source.command, self.source.packages)
            if output is None:
                if self._state:
                    self._scope.skip(
                        name, "it existed before, and is gone; if the product was not removed, find out why"
                    )
                return
            self.is_there = True
            alerts = mdatp.read_all(output, self.source)
            machine = (
                command.output(self.source.identify, self.source.packages) if alerts and self.source.identify else None
            )
            link = {"machine": machine.strip().strip('"')} if machine else {}
            for alert in alerts:
                self.lines += 1
                self._take(alert._replace(link=link))
        except (command.UntrustedError, CommandError) as error:
            self.is_there = True
            self._scope.skip(name, str(error))
        except NotUnderstoodError as error:
            self._scope.skip(name, "its alerts were not understood: %s" % error)

    def _take_line(self, line: bytes) -> None:
        self.lines += 1
        if self.source.form == "clamd":
            entry = self._clamd_log.read(line)
            if entry is not None:
                self._entries.append(entry)
            return
        text = line.decode("utf-8", "replace")
        try:
            read = _READERS[self.source.form](text, self.source)
        except NotUnderstoodError as error:
            self.unread.add(str(error), text)
            return
        except Exception as error:  # noqa: BLE001 - one line that somebody forged must not keep all others unread
            self.unread.add("%s in the reader" % type(error).__name__, text)
            return
        for alert in read if isinstance(read, list) else [read]:
            if alert is not None:
                self._take(alert)

    def _take(self, alert: ProductAlert) -> None:
        if self._since is not None and alert.time is not None and alert.time < self._since:
            self.old += 1
            return
        if self.source.form not in _OF_OTHERS:
            alert = alert._replace(host=())
        if self._is_doubtful and alert.outcome != "detected":
            # An account that can write the log may raise an alert, but not call one off.
            self.unbelieved += 1
            if alert.outcome == "remediated":
                return
            alert = alert._replace(outcome="detected")
        self._fold.add(alert, self.source)

    def _judge_files(self, settings: clamd_settings.Settings | None, root: str | None, remedies: Remedies) -> None:
        """Make alerts of what clamd's log has, with what the files are now."""
        sockets = settings.sockets if settings is not None and root is not None else ()
        clamd = Clamd(sockets[0], settings.accounts) if settings is not None and sockets else None
        files = Files(self.source, self._known, clamd, self._scope, self._deadline)
        names = [entry.signature for entry in self._entries] + [each["signature"] for each in self._known.values()]
        planned = clamd_requests.planned(names) if clamd is not None else []
        asked = clamd_requests.Asked(())
        try:
            if root is not None:
                asked = clamd_requests.Asked(clamd_requests.read(root, CAPABILITY), self._taken)
            if root is not None and planned:
                clamd_requests.write(root, CAPABILITY, planned)
            for alert in files.alerts(self._entries, asked):
                self._take(alert)
            if root is not None and planned:
                clamd_requests.write(root, CAPABILITY, files.asks, instead_of=planned)
        except StateError as error:
            self._scope.skip("clamd", str(error))
        self._known, self._taken = files.known, asked.taken
        remedies.entries += files.remediated

    def _describe(self) -> None:
        for sentence in self.unread.sentences():
            self._scope.skip("alerts of %s" % self.source.name, sentence)
        if self.old:
            self.notes.append(
                "%d alerts of %s are older than first_days, and were left out." % (self.old, self.source.name)
            )
        if self.unbelieved:
            self.notes.append(
                "%d alerts of %s that report something as blocked or remediated were not trusted, as others than root "
                "can write its log." % (self.unbelieved, self.source.name)
            )
        is_installed = any(map(os.path.lexists, self.source.programs))
        if is_installed and not self.is_there:
            where = " and ".join(self.source.paths) or "no path"
            self._scope.skip(
                self.source.name, "it is installed, and no log of its alerts is there (%s); make it write one" % where
            )


def _dated(paths: t.Sequence[str]) -> list[str]:
    """Return paths, those with a date in them for each of the last days, the oldest first."""
    dated = []
    for path in paths:
        if "%" not in path:
            dated.append(path)
            continue
        days = (time.localtime(time.time() - back * _DAY) for back in range(_DAYS - 1, -1, -1))
        dated += [_strftime(path, day) for day in days]
    return dated


def _strftime(path: str, when: time.struct_time) -> str:
    # Not by strftime: products name their directories in English.
    month = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")[when.tm_mon - 1]
    return path.replace("%Y", "%04d" % when.tm_year).replace("%b", month).replace("%d", "%02d" % when.tm_mday)
