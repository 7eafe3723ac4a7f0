# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Judge what a look observed: which programs become detections, which are explained, and which findings end."""

from __future__ import annotations

import collections
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils._finding import ScopeCoverage
from ansible_collections.bulwark.servers.plugins.module_utils._program import PRESENT, VERIFIED, Program
from ansible_collections.bulwark.servers.plugins.module_utils.app_control import package_scripts
from ansible_collections.bulwark.servers.plugins.module_utils.app_control.allowlist import Allowlist, Verdict
from ansible_collections.bulwark.servers.plugins.module_utils.app_control.folding import Identity, folded, gather
from ansible_collections.bulwark.servers.plugins.module_utils.app_control.judge import (
    CHANGED_ALERT,
    OWN,
    STOPPED_ALERT,
    Judge,
    subject,
)
from ansible_collections.bulwark.servers.plugins.module_utils.app_control.observed import Record
from ansible_collections.bulwark.servers.plugins.module_utils.app_control.package_scripts import (
    PackageScripts,
    Provenance,
)
from ansible_collections.bulwark.servers.plugins.module_utils.app_control.upgrades import Upgrades, is_doubted
from ansible_collections.bulwark.servers.plugins.module_utils.app_control.violations import (
    Violation,
    directory_detection,
    scripts_detection,
    violation_detection,
)

# More programs than these, of as many as a directory may have, become one finding for their directory.
_MOST_FINDINGS = 300
_MOST_OF_DIRECTORY = 20
_SHOWN_IMAGES = 5
# Of a program that runs and should, and that fapolicyd would stop if it enforced.
REHEARSED_SEVERITY = "medium"
_CANARY = "A canary of the collection, which shows whether programs are refused"


class Judgement:
    """Judges the records of one look. now: seconds since the epoch."""

    def __init__(
        self, allowlist: Allowlist, scope: ScopeCoverage, scripts: PackageScripts, upgrades: Upgrades, now: float
    ) -> None:
        self._judge = Judge(allowlist, now)
        self._scope = scope
        self._scripts = scripts
        self._upgrades = upgrades
        self._trusted: t.Mapping[str, str] = {}
        self._since = 0.0
        self._canaries: t.Container[str] = ()
        self._own: t.Mapping[str, str] = {}
        self._not_judged: collections.Counter[str] = collections.Counter()
        self._explained: dict[str, list[tuple[str, int]]] = {}

    def know(
        self, trusted: t.Mapping[str, str], canaries: t.Container[str], own: t.Mapping[str, str], since: float
    ) -> None:
        """Take in what is enforced on this host.

        trusted: the digest of each file that the policy trusts, by its path. canaries: paths of programs that the
        collection tries to run, in order to see them refused. own: the digest of each program that the collection
        leaves on this host, by its path. since: when the policy was deployed, in seconds since the epoch.
        """
        self._trusted, self._canaries, self._own, self._since = trusted, canaries, own, since

    def detections(self, records: t.Iterable[Record]) -> list[dict[str, t.Any]]:
        """Return the detections of programs that ran since the last scan; note in the records what was reported."""
        violations: list[Violation] = []
        of_scripts: dict[tuple[str, str, str], list[Violation]] = {}
        for record in records:
            if not _is_news(record) or self._is_canary(record) or self._is_own(record):
                continue
            if not self._judge.is_judged(record.program):
                self._not_judged[record.program.image] += 1
                continue
            provenance, violation = self._judged(record)
            if violation is None:
                continue
            if provenance is not None and violation.verdict.alert != CHANGED_ALERT:
                key = provenance.subject, provenance.package, provenance.reason
                of_scripts.setdefault(key, []).append(violation)
            else:
                violations.append(violation)
        scope = self._scope.scope
        detections = []
        for group, directory in self._bounded(violations):
            if directory is None:
                detections.append(violation_detection(group[0], scope))
            else:
                detections.append(directory_detection(directory, group, scope))
            if group[0].verdict.alert == STOPPED_ALERT:
                # That the allowlist has it ends nothing.
                continue
            if directory is None:
                _remember(group)
            else:
                _remember(group, folded(group[0].record.program.path.rpartition("/")[0]))
        for key, group in of_scripts.items():
            detections.append(scripts_detection(group, *key, scope))
            _remember(group, key[0])
        for by, examples in sorted(self._explained.items()):
            self._scope.explain(by, sum(count for _path, count in examples), [path for path, _count in examples])
        return detections

    def ended(self, records: t.Iterable[Record]) -> list[dict[str, str]]:
        """Return the findings whose programs people allowed since; what only the host changed ends none."""
        reasons: dict[tuple[str, str], list[str]] = {}
        reported: dict[tuple[str, str], list[Record]] = {}
        for record in records:
            program = record.reported_program
            if not record.reported or program is None or not self._judge.is_judged(program):
                continue
            key = record.reported, subject(program)
            reported.setdefault(key, []).append(record)
            if self._is_as_written(program) and not record.denials.total:
                reasons.setdefault(key, []).append("Allowed: %s" % OWN)
                continue
            # The finding may be about a directory, or about all scripts of a package.
            for each in (program, program._replace(path=record.program.path)):
                verdict = self._judge.judge(each, record.users, record.reported == CHANGED_ALERT)
                if verdict.allowed:
                    reasons.setdefault(key, []).append("Allowed: %s" % verdict.by)
                    break
        ended = []
        for (alert, about), some in reported.items():
            allowed = reasons.get((alert, about), [])
            if len(allowed) == len(some):
                ended.append({"alert": alert, "subject": about, "reason": allowed[0]})
                for record in some:
                    record.reported, record.reported_program = "", None
        return ended

    def describe_containers(self) -> str:
        """Return which containers were not judged, "" for none."""
        if not self._not_judged:
            return ""
        images = [image for image, _count in self._not_judged.most_common(_SHOWN_IMAGES)]
        more = len(self._not_judged) - len(images)
        named = ", ".join(images) + (" and %d more" % more if more else "")
        return "Not judged, as no allowlist has rules for the image: %d programs of %s." % (
            sum(self._not_judged.values()),
            named,
        )

    def _is_canary(self, record: Record) -> bool:
        """Say whether a record is about a canary of ours, of which nothing ran."""
        if record.program.path not in self._canaries or record.has_run or record.is_running:
            return False
        self._explain(_CANARY, record.program.path, record.denials.total)
        return True

    def _is_own(self, record: Record) -> bool:
        """Say whether a record is about a program of ours, as this collection writes it, that nobody refuses."""
        program = record.program
        if not self._is_as_written(program) or record.denials.total:
            return False
        self._explain("A program of the collection", program.path, max(1, record.new_executions))
        return True

    def _is_as_written(self, program: Program) -> bool:
        is_there = program.content == PRESENT and not program.image
        return is_there and bool(program.sha256) and self._own.get(program.path) == program.sha256

    def _judged(self, record: Record) -> tuple[Provenance | None, Violation | None]:
        """Return what is wrong with a program, None for nothing, and of a maintainer script what vouches for it."""
        by_packages = self._by_packages(record)
        now, program = record.program, self._upgrades.settled(record)
        if record.before is not None and program.version == record.before.version != record.program.version:
            # What ran is what the look before saw. Later looks at a process that goes on running have to know.
            record.program = program._replace(content=record.program.content)
            record.is_altered = record.program != record.before
        verdict = self._judge.judge(program, record.users, is_doubted(record))
        if verdict.allowed:
            if program.content != now.content:
                # Root can set up the times and versions that say so.
                by = "claimed by %s %s" % (now.package, now.version)
                self._explain(by, now.path, max(1, record.new_executions))
            return None, self._stopped(record, verdict.by)
        if record.denials.total and program.sha256 and self._trusted.get(program.path) == program.sha256:
            return None, self._stopped(record, "the policy on this host trusts this content")
        provenance = self._scripts.of_record(record)
        if provenance is not None and provenance.level == package_scripts.CONTRADICTED:
            verdict = Verdict(False, "%s of its name" % provenance.reason, CHANGED_ALERT)
        elif provenance is not None and provenance.level != package_scripts.UNKNOWN:
            self._explain(provenance.by, record.program.path, max(1, record.new_executions))
            return None, None
        elif provenance is not None and self._is_allowed_as(provenance.subject, record):
            return None, None
        elif by_packages and record.newest_unexplained is None:
            for sentence, count in by_packages.items():
                self._explain(sentence, record.program.path, count)
            return None, None
        return provenance, Violation(record, verdict, _is_explained(record))

    def _stopped(self, record: Record, by: str) -> Violation | None:
        """Return what is wrong with a program that should run: that fapolicyd is against it. None for nothing."""
        if not record.denials.total:
            return None
        severity = None if record.denials.blocked else REHEARSED_SEVERITY
        if record.newest_denied is not None and record.newest_denied.time < self._since:
            severity, by = "informational", "%s. That was before the policy was deployed that is in force now" % by
        return Violation(record, Verdict(False, by, STOPPED_ALERT, severity), False)

    def _is_allowed_as(self, path: str, record: Record) -> bool:
        """Say whether people allowed all scripts of a package, by the path that their finding has."""
        return self._judge.judge(record.program._replace(path=path), record.users).allowed

    def _by_packages(self, record: Record) -> dict[str, int]:
        """Return how many executions of this look scripts of packages explain, nothing if others did any.

        A script runs what it finds by its name, and that may be somebody else's: what it started must be as its package
        says.
        """
        program = record.program
        own = {by: count for by, count in record.explanations.items() if self._scripts.is_script(by, program)}
        started = {
            by: count for by, count in record.explanations.items() if by not in own and self._scripts.is_started(by)
        }
        if started and program.verification != VERIFIED:
            record.explained -= sum(started.values())
            record.new_explained -= sum(started.values())
            record.newest_unexplained = record.newest_unexplained or record.newest
            record.explanations = {by: count for by, count in record.explanations.items() if by not in started}
            started = {}
        by_scripts = {**own, **started}
        return by_scripts if len(by_scripts) == len(record.explanations) else {}

    def _explain(self, by: str, path: str, count: int) -> None:
        self._explained.setdefault(by, []).append((path, count))

    def _bounded(self, violations: t.Sequence[Violation]) -> t.Iterator[tuple[list[Violation], str | None]]:
        """Yield each program alone; where these are too many, directories that have many, with all their programs."""
        others = list(violations)
        if len(violations) > _MOST_FINDINGS:
            groups: dict[tuple[str, str], list[Violation]] = {}
            for each in violations:
                directory = subject(each.record.program).rpartition("/")[0]
                groups.setdefault((each.verdict.alert, directory), []).append(each)
            others = [each for group in groups.values() if len(group) <= _MOST_OF_DIRECTORY for each in group]
            others.sort(key=lambda each: (each.is_explained, each.verdict.alert != CHANGED_ALERT))
            yield from (
                (group, directory) for (_alert, directory), group in groups.items() if len(group) > _MOST_OF_DIRECTORY
            )
        if len(others) > _MOST_FINDINGS:
            # Whoever floods makes directories, too.
            others = yield from _gathered(others)
        if len(others) > _MOST_FINDINGS:
            self._scope.skip("findings", "%d more programs ran that no allowlist has" % (len(others) - _MOST_FINDINGS))
        yield from (([each], None) for each in others[:_MOST_FINDINGS])


def _gathered(
    violations: t.Sequence[Violation],
) -> t.Generator[tuple[list[Violation], str | None], None, list[Violation]]:
    """Yield the deepest directories that have many programs somewhere below them; return the other violations."""
    by_place: dict[Identity, list[Violation]] = {}
    for each in violations:
        program = each.record.program
        by_place.setdefault((program.image, each.verdict.alert, program.path), []).append(each)
    for (image, _alert, path), places in gather(by_place, _MOST_OF_DIRECTORY):
        group = [each for place in places for each in by_place.pop(place)]
        directory = path.rpartition("/")[0]
        yield group, "%s: %s" % (image, directory) if image else directory
    return [each for group in by_place.values() for each in group]


def _remember(violations: t.Iterable[Violation], path: str | None = None) -> None:
    """Note in the records of programs what they were reported as. path: that of the finding, where it is another."""
    for each in violations:
        program = each.record.program
        each.record.reported = each.verdict.alert
        each.record.reported_program = program if path is None else program._replace(path=path)


def _is_news(record: Record) -> bool:
    return record.newest is not None or record.is_running or bool(record.denials.total)


def _is_explained(record: Record) -> bool:
    """Say whether something explains all new executions; of a process that goes on running, all earlier ones."""
    if record.denials.explained < record.denials.total:
        return False
    if record.new_executions:
        return record.new_explained >= record.new_executions
    if record.denials.total and not record.is_running:
        return True
    return record.explained >= record.executions > 0
