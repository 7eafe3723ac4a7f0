# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""From where sshd has let somebody in, told by what nobody but root can write.

Everybody may write to syslog, in the name of sshd (logger(1)), so that a line of a log file proves nothing: it is a
hint. A proof is

- a message in systemd's journal whose sender was root and an executable of sshd, which the journal has from the kernel;
- a record of the audit system, for which the kernel wants CAP_AUDIT_WRITE;
- a record of wtmp with the address as a number, as sshd writes it: what utempter adds for any account has a name there;
  and a row of wtmpdb;

where the file can be changed by root only. Nothing is remembered: no look at the sign-ins misses any for this one.
"""

from __future__ import annotations

import contextlib
import dataclasses
import time
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils._argspec import check_options
from ansible_collections.bulwark.servers.plugins.module_utils._finding import ScopeCoverage
from ansible_collections.bulwark.servers.plugins.module_utils._run import Deadline, yield_to_others
from ansible_collections.bulwark.servers.plugins.module_utils.audit.sign_ins import binaries, journal
from ansible_collections.bulwark.servers.plugins.module_utils.audit.sign_ins.merge import Merged
from ansible_collections.bulwark.servers.plugins.module_utils.audit.sign_ins.sources import (
    AUDIT_LOGS,
    AUTH_LOGS,
    Places,
)
from ansible_collections.bulwark.servers.plugins.module_utils.audit.sign_ins.texts import Reading, TextLog
from ansible_collections.bulwark.servers.plugins.module_utils.sign_ins import journal_entries, model, sshd
from ansible_collections.bulwark.servers.plugins.module_utils.sign_ins.model import SignIn

SCOPE = "accepted_sign_ins"
MOST_SOURCES = 5_000
_DAY = 86_400
_SERVICES = ("sshd", *sorted(sshd.PROGRAMS))
_MATCHES = tuple("SYSLOG_IDENTIFIER=%s" % program for program in sorted(sshd.PROGRAMS))


@dataclasses.dataclass
class _Source:
    first: float
    last: float
    count: int = 0
    users: set[str] = dataclasses.field(default_factory=set)
    days: dict[int, int] = dataclasses.field(default_factory=dict)
    proofs: set[str] = dataclasses.field(default_factory=set)

    def result(self, source: str) -> dict[str, t.Any]:
        """Return it as sign_in_sources_info does; which accounts it were stays here."""
        return {
            "source": source,
            "service": "sshd",
            "port": None,
            "count": self.count,
            "users": len(self.users),
            "first": self.first,
            "last": self.last,
            "days": {time.strftime("%Y-%m-%d", time.gmtime(day * _DAY)): self.days[day] for day in sorted(self.days)},
            "proofs": sorted(self.proofs),
        }


class _Found:
    """Sources that somebody signed in from. unnamed: sign-ins whose source is no address. dropped: without a place."""

    def __init__(self) -> None:
        self.sources: dict[str, _Source] = {}
        self.unnamed = 0
        self.dropped = 0

    def add(self, one: SignIn) -> None:
        if not model.is_address(one.source):
            self.unnamed += 1
            return
        if one.source not in self.sources and len(self.sources) >= MOST_SOURCES:
            self.dropped += one.times
            return
        source = self.sources.setdefault(one.source, _Source(one.time, one.time))
        source.first, source.last = min(source.first, one.time), max(source.last, one.time)
        source.count += one.times
        source.users.add(one.user)
        day = int(one.time // _DAY)
        source.days[day] = source.days.get(day, 0) + one.times
        source.proofs.add(one.family)

    def results(self) -> list[dict[str, t.Any]]:
        ordered = sorted(self.sources, key=lambda source: (-self.sources[source].count, source))
        return [self.sources[source].result(source) for source in ordered]


def collect(params: t.Mapping[str, t.Any], check_mode: bool, places: Places | None = None) -> dict[str, t.Any]:
    """Return the result of sign_in_sources_info. places: for tests; otherwise the usual ones."""
    del check_mode
    check_options(params, (), {"days": 1, "time_budget": 0})
    if params["priority"] == "idle":
        yield_to_others()
    deadline, now = Deadline(params["time_budget"]), time.time()
    reading = Reading(deadline.passed, now - params["days"] * _DAY, now)
    where = places or Places()
    scope = ScopeCoverage(SCOPE)
    with contextlib.closing(_Logs(where, reading)) as logs:
        proven, hinted, failed = _Found(), _Found(), _Found()
        for one in Merged().merge(logs.proofs(scope)):
            (proven if one.outcome == model.SUCCESS else failed).add(one)
        observed = logs.observed()
        for one in logs.hints():
            if one.outcome == model.SUCCESS:
                hinted.add(one)
        logs.describe(scope)
    _describe(scope, proven, hinted)
    if reading.cut_short:
        scope.skip("logs", deadline.reason)
        observed = None
    return {
        "changed": False,
        "sign_ins": proven.results(),
        "observed": observed,
        "refused": [
            {"source": one["source"], "count": one["count"]}
            for one in failed.results()
            if one["source"] not in proven.sources
        ],
        "hints": [one for one in hinted.results() if one["source"] not in proven.sources],
        "coverage": [scope.entry()],
    }


class _Logs:
    """What a host logs of sign-ins, opened to be read from the beginning."""

    def __init__(self, places: Places, reading: Reading) -> None:
        self._reading = reading
        self._places = places
        self._audits = [TextLog(path, {}, reading) for path in places.audit_paths or AUDIT_LOGS]
        self._wtmp = binaries.RecordLog(places.wtmp, False, [], reading, only_addresses=True)
        self._wtmpdb = binaries.LastSignIns({}, reading, {"wtmpdb": places.wtmpdb})
        self._texts = [TextLog(path, {}, reading) for path in (AUTH_LOGS if places.paths is None else places.paths)]
        self._journal: journal.Journal | None = None
        if places.journal != "never" and journal_entries.exists(places.journal_directory):
            self._journal = journal.Journal(
                None, everything=False, directory=places.journal_directory, matches=_MATCHES, proven=True
            )
        # When the first that is complete begins: the journal or the audit log, where they have any sign-in of sshd.
        self._begins: list[float] = []

    def close(self) -> None:
        for log in [*self._audits, *self._texts]:
            log.close()
        self._wtmp.close()

    def proofs(self, scope: ScopeCoverage) -> list[t.Iterable[SignIn]]:
        """Return the sign-ins of each log that proves them; what others can write is left out and noted."""
        found: list[t.Iterable[SignIn]] = []
        if self._journal is not None:
            found.append(self._journalled(self._journal))
        found += [self._audited(log) for log in self._audits if not self._doubted(log.doubts, scope)]
        if not self._doubted(self._wtmp.doubts, scope):
            found.append(_of_sshd(self._wtmp.sign_ins()))
        found.append(_of_sshd(self._wtmpdb.sign_ins()))
        return found

    def hints(self) -> t.Iterator[SignIn]:
        for log in self._texts:
            yield from _of_sshd(log.sign_ins(None))

    def observed(self) -> list[float] | None:
        """Return from when to when all sign-ins are known, None where that is not known of any time."""
        begins = [max(begin, self._reading.since) for begin in self._begins]
        return [min(begins), self._reading.now] if begins else None

    def describe(self, scope: ScopeCoverage) -> None:
        """Say what was read, and what was not."""
        texts = [*self._audits, *self._texts]
        problems = [problem for log in texts for problem in log.problems] + self._wtmp.problems + self._wtmpdb.problems
        if self._journal is not None and self._journal.problem:
            problems.append(("journal", self._journal.problem))
        for subject, reason in sorted(set(problems)):
            scope.skip(subject, reason)
        journalled = self._journal.lines_read if self._journal is not None else 0
        scope.examined = journalled + sum(log.lines for log in texts) + self._wtmp.records + self._wtmpdb.records
        proving = [log for log in self._audits if log.found]
        if self._journal is None and not proving and not self._wtmp.found and not self._wtmpdb.found:
            scope.fail(
                "Nothing on this host proves a sign-in: there is no journal, audit log or wtmp that could be read; keep"
                " a journal (Storage=persistent in journald.conf), or run auditd."
            )

    @staticmethod
    def _doubted(doubts: t.Sequence[tuple[str, str]], scope: ScopeCoverage) -> bool:
        for subject, reason in doubts:
            scope.skip(subject, "%s; it proves nothing" % reason)
        return bool(doubts)

    def _journalled(self, source: journal.Journal) -> t.Iterator[SignIn]:
        any_of_sshd = False
        for line in source.lines(self._reading.over, self._reading.since):
            fact = sshd.parse(line.message)
            outcome = _outcome(fact) if fact is not None else None
            if fact is not None and outcome is not None:
                any_of_sshd = any_of_sshd or outcome == model.SUCCESS
                moment = self._reading.moment(line.time, self._reading.now)
                yield SignIn(moment, outcome, "sshd", fact.user, fact.source, fact.port, fact.method, family="journal")
        if any_of_sshd and source.problem is None:
            begin = journal.begins(self._places.journal_directory)
            if begin is not None:
                self._begins.append(begin)

    def _audited(self, log: TextLog) -> t.Iterator[SignIn]:
        any_of_sshd = False
        for one in _of_sshd(log.audited()):
            any_of_sshd = any_of_sshd or one.outcome == model.SUCCESS
            yield one
        if any_of_sshd and log.oldest is not None and not log.problems:
            self._begins.append(log.oldest)


def _outcome(fact: model.Fact) -> str | None:
    """Return what a message of sshd says of an attempt, None where another one says it."""
    if fact.kind == model.ACCEPTED:
        return model.SUCCESS
    failed = fact.kind in (model.FAILED, model.FAILED_KEY) or (fact.kind == model.HINT and fact.origin == "invalid")
    return model.FAILURE if failed else None


def _of_sshd(found: t.Iterable[SignIn]) -> t.Iterator[SignIn]:
    for one in found:
        if one.outcome in (model.SUCCESS, model.FAILURE) and one.service in _SERVICES and one.source:
            yield one


def _describe(scope: ScopeCoverage, proven: _Found, hinted: _Found) -> None:
    if proven.unnamed:
        scope.skip("sources", "%d sign-ins have a name in the place of the address (UseDNS of sshd)" % proven.unnamed)
    if proven.dropped:
        scope.skip("sources", "%d sign-ins are of more than %d sources" % (proven.dropped, MOST_SOURCES))
    only = len(set(hinted.sources) - set(proven.sources))
    scope.note = "Sign-ins from %d sources are proven." % len(proven.sources)
    if only:
        scope.note += " A log that anybody can write to names %d more, which are not believed." % only
