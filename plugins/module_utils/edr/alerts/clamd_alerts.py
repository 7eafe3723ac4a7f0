# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Make alerts of clamd's log: the files decide between names, and clamd scans each file again until it is gone."""

from __future__ import annotations

import os
import time
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils._finding import ScopeCoverage, printable, unprintable
from ansible_collections.bulwark.servers.plugins.module_utils._run import Deadline
from ansible_collections.bulwark.servers.plugins.module_utils.edr.alerts import clamd_files, evidence
from ansible_collections.bulwark.servers.plugins.module_utils.edr.alerts.clamd_files import GONE, INFECTED, Verdict
from ansible_collections.bulwark.servers.plugins.module_utils.edr.alerts.clamd_log import Entry
from ansible_collections.bulwark.servers.plugins.module_utils.edr.alerts.clamd_requests import Ask, Asked
from ansible_collections.bulwark.servers.plugins.module_utils.edr.alerts.clamd_socket import Clamd
from ansible_collections.bulwark.servers.plugins.module_utils.edr.alerts.fold import MALWARE, subject_of
from ansible_collections.bulwark.servers.plugins.module_utils.edr.alerts.source import Source
from ansible_collections.bulwark.servers.plugins.module_utils.edr.model import ProductAlert

_MOST_KNOWN = 500
_MOST_QUESTIONS = 300


class Files:
    """Files that matched a signature of clamd. known: those of the run before, by subject."""

    def __init__(
        self,
        source: Source,
        known: t.Mapping[str, t.Any],
        clamd: Clamd | None,
        scope: ScopeCoverage,
        deadline: Deadline,
    ) -> None:
        self._source, self._clamd, self._scope, self._deadline = source, clamd, scope, deadline
        self.known: dict[str, dict[str, t.Any]] = {subject: dict(entry) for subject, entry in known.items()}
        self.asks: list[Ask] = []
        self.remediated: list[dict[str, str]] = []
        self._verdicts: dict[bytes, Verdict] = {}
        self._problem: str | None = None

    def alerts(self, entries: t.Sequence[Entry], asked: Asked) -> list[ProductAlert]:
        """Return the alerts of new entries and of files that still match. asked: requests of earlier runs."""
        named: list[tuple[Entry, bytes | None]] = []
        covered: set[int] = set()
        own: set[int] = set()
        for entry in entries:
            name = None
            if entry.names:
                name, part_of_it = self._settle(entry, asked.names(entry.time, entry.signature))
                covered.update(part_of_it)
            if asked.take(entry.time, entry.signature, None if name is None else printable(name)):
                own.add(entry.number)
            named.append((entry, name))
        alerts = []
        for entry, name in named:
            if entry.number in covered or entry.number in own:
                continue
            alerts.append(self._alert(entry, name))
            if name is not None:
                self._remember(entry, name)
        if covered:
            self._scope.explain("names of files with newlines, as clamd confirmed", len(covered), [])
        alerts += self._look_again({subject_of(self._source.name, each.subject) for each in alerts})
        if self._problem:
            self._scope.skip("clamd", self._problem)
        return alerts

    def _settle(self, entry: Entry, asked: t.Container[str]) -> tuple[bytes, t.Sequence[int]]:
        """Return the name of a file, and the entries that are only lines of that name."""
        if len(entry.names) == 1:
            return entry.names[0], ()
        # clamd itself has confirmed these.
        confirmed = {each["path"] for each in self.known.values() if each.get("confirmed")}
        for name, part in zip(entry.names, entry.covers):
            if printable(name) in asked or printable(name) in confirmed:
                return name, part
        existing = [(name, part) for name, part in zip(entry.names, entry.covers) if clamd_files.exists(name)]
        for name, part in existing:
            verdict = self._examine(name)
            if verdict.status == INFECTED and verdict.signature == entry.signature:
                return name, part
        return (existing[0][0], ()) if existing else (entry.names[0], ())

    def _examine(self, name: bytes) -> Verdict:
        if name in self._verdicts:
            return self._verdicts[name]
        clamd = self._clamd
        if len(self.asks) >= _MOST_QUESTIONS or self._deadline.passed():
            clamd = None
        began = time.time()
        verdict = clamd_files.examine(name, clamd)
        if clamd is not None and verdict.status == INFECTED and verdict.signature:
            self.asks.append((began, time.time(), verdict.signature, printable(name)))
        if verdict.is_silent:
            # It gets no more requests if it does not answer.
            self._problem, self._clamd = verdict.reason, None
        self._verdicts[name] = verdict
        return verdict

    def _alert(self, entry: Entry, name: bytes | None) -> ProductAlert:
        return _alert(self._source, entry.signature, name, entry.time, entry.md5, entry.size)

    def _remember(self, entry: Entry, name: bytes) -> None:
        subject = subject_of(self._source.name, _subject(entry.signature, name))
        if subject not in self.known and len(self.known) < _MOST_KNOWN:
            self.known[subject] = {"path": printable(name), "signature": entry.signature, "present": False}
        if subject in self.known and entry.md5:
            self.known[subject].update(md5=entry.md5, size=entry.size)

    def _look_again(self, reported: t.Container[str]) -> list[ProductAlert]:
        """Ask about the files that are known; one that was there and is gone is dealt with."""
        alerts = []
        for subject, entry in list(self.known.items()):
            name = unprintable(entry["path"])
            verdict = self._examine(name)
            if verdict.status == GONE:
                if entry["present"]:
                    reason = "the file is gone"
                    self.remediated.append({"alert": MALWARE, "subject": subject, "reason": reason})
                del self.known[subject]
                continue
            if verdict.status == INFECTED or verdict.size is not None:
                entry["present"] = True
                entry["confirmed"] = entry.get("confirmed", False) or verdict.signature == entry["signature"]
            if verdict.status == INFECTED and verdict.signature == entry["signature"] and subject not in reported:
                # clamd names no digest on its socket; the one of its log is of the file while the size is the same.
                md5 = entry.get("md5") if verdict.size == entry.get("size") else None
                alerts.append(_alert(self._source, entry["signature"], name, time.time(), md5, verdict.size))
        return alerts


def _subject(signature: str, name: bytes | None, md5: str | None = None) -> str:
    if name is None:
        return "%s in a file that clamd got without its name%s" % (signature, " (MD5 %s)" % md5 if md5 else "")
    return "%s in %s" % (signature, os.fsdecode(name))


def _alert(
    source: Source, signature: str, name: bytes | None, when: float | None, md5: str | None, size: int | None
) -> ProductAlert:
    about = {"file": evidence.file(os.fsdecode(name), md5, size=size)} if name is not None else {}
    known = evidence.without_empty({"signature": signature, "md5": md5, "size": size})
    return ProductAlert(
        product=source.id,
        title=signature,
        subject=_subject(signature, name, md5),
        time=when,
        severity=source.severity("found"),
        own_severity="",  # It has none.
        rule=signature,
        malware=[signature],
        evidences=evidence.evidence(**about, data=evidence.data(known)),
    )
