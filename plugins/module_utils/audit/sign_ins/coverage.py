# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Say what of a host's sign-ins was seen, and what was not."""

from __future__ import annotations

import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils._finding import ScopeCoverage
from ansible_collections.bulwark.servers.plugins.module_utils.audit.sign_ins.sources import Sources

_NOTHING = (
    "no readable log on this host has sign-ins: there is no %s; install rsyslog, keep a journal"
    " (Storage=persistent in journald.conf), or run auditd"
)


def describe(scope: ScopeCoverage, sources: Sources) -> None:
    """Fill in the coverage of a run that has read its sources."""
    texts = [*sources.logs, *sources.audits]
    problems = [problem for log in [*texts, *sources.only_lines] for problem in log.problems]
    problems += [problem for log in sources.records for problem in log.problems] + sources.last.problems
    if sources.journal is not None and sources.journal.problem:
        problems.append(("journal", sources.journal.problem))
    doubts = [doubt for log in [*texts, *sources.only_lines] for doubt in log.doubts]
    doubts += [doubt for records_of in sources.records for doubt in records_of.doubts]
    for subject, reason in [*sorted(set(problems)), *sorted(set(doubts))]:
        scope.skip(subject, reason)
    if sources.silence is not None:
        scope.skip(*sources.silence)
    for log in texts:
        for path in log.lost:
            scope.skip(path, "it was removed after it was read; entries written in between were not read")
        for path in log.rewritten:
            scope.skip(
                path, "the part that was read before is missing: it was changed, and was read again from the start"
            )
    records = sum(log.records for log in sources.records) + sources.last.records
    lines = sum(log.lines for log in [*texts, *sources.only_lines])
    journalled = sources.journal.lines_read if sources.journal is not None else 0
    scope.examined = lines + records + journalled
    told = any(log.found for log in texts) or (sources.journal is not None and not sources.journal.problem)
    proof = ""
    if told:
        _describe_understanding(scope, sources)
        proof = _describe_liveness(scope, sources)
    else:
        _describe_without(scope, sources, records, problems)
    scope.note = _note(sources, records) + proof


def _describe_liveness(scope: ScopeCoverage, sources: Sources) -> str:
    """Name the logs that nothing is written to any more; return what shows that one is alive, for the note."""
    proofs: dict[str, None] = {}
    for name, verdict in sources.liveness():
        if verdict.is_alive:
            proofs[" " + verdict.reason] = None
        else:
            scope.skip(name, verdict.reason)
    return "".join(proofs)


def _describe_understanding(scope: ScopeCoverage, sources: Sources) -> None:
    """Say what was not understood; where nothing was in any log that had something, nothing was checked."""
    counts = [(log.path, "lines", log.understanding) for log in sources.logs]
    counts += [(log.path, "records", log.understanding) for log in sources.audits]
    counts += [(log.path, "records", log.understanding) for log in sources.records]
    if sources.journal is not None:
        counts.append(("journal", "messages", sources.journal.understanding))
    missed = [(path, count.describe(unit)) for path, unit, count in counts]
    for path, reason in missed:
        if reason:
            scope.skip(path, reason)
    # wtmp and the like say little of failures, whatever they hold.
    logs = [count for _path, unit, count in counts if unit != "records" and count.entries]
    logs += [log.understanding for log in sources.audits if log.understanding.entries]
    if logs and all(count.is_nothing for count in logs):
        scope.fail("nothing in the logs of sign-ins was understood; %s: %s" % next(one for one in missed if one[1]))


def _describe_without(
    scope: ScopeCoverage, sources: Sources, records: int, problems: t.Sequence[tuple[str, str]]
) -> None:
    """Nothing says which sign-ins failed, but btmp where it is written to."""
    names = ", ".join(log.path for log in sources.logs) or "log of syslogd"
    missing = "%s, no journal and no audit log" % names
    if records:
        scope.skip("sign-ins as programs log them", "only wtmp and btmp could be read: there is no %s" % missing)
    elif problems:
        scope.fail("the logs of sign-ins cannot be read; %s: %s" % min(problems))
    else:
        scope.fail(_NOTHING % missing)


def _note(sources: Sources, records: int) -> str:
    read = [log.path for log in sources.logs if log.found]
    if sources.journal is not None:
        read.append("the journal")
    read += [log.path for log in sources.audits if log.found]
    if records:
        read.append("wtmp, btmp and the like")
    parts = ["Read %s." % (", ".join(read) or "nothing")]
    if sources.journal is not None and sources.journal.forged:
        parts.append(
            "%d messages in the name of sshd or the like were sent by others, and not believed."
            % sources.journal.forged
        )
    return " ".join(parts)
