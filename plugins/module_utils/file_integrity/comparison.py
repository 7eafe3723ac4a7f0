# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One comparison of a host with its baseline, for file_integrity_info and for accepting."""

from __future__ import annotations

import functools
import hashlib
import os
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils import _run
from ansible_collections.bulwark.servers.plugins.module_utils._finding import printable
from ansible_collections.bulwark.servers.plugins.module_utils._state import DamagedError
from ansible_collections.bulwark.servers.plugins.module_utils.file_integrity import coverage
from ansible_collections.bulwark.servers.plugins.module_utils.file_integrity.baseline import header, lines
from ansible_collections.bulwark.servers.plugins.module_utils.file_integrity.detect import mounts
from ansible_collections.bulwark.servers.plugins.module_utils.file_integrity.model import (
    LIBRARY,
    Context,
    Entry,
    FileChange,
    Verdict,
)
from ansible_collections.bulwark.servers.plugins.module_utils.file_integrity.options import Options
from ansible_collections.bulwark.servers.plugins.module_utils.file_integrity.scan.change_times import TrustedTimes
from ansible_collections.bulwark.servers.plugins.module_utils.file_integrity.scan.compare import Compare, by_name
from ansible_collections.bulwark.servers.plugins.module_utils.file_integrity.scan.results import Report
from ansible_collections.bulwark.servers.plugins.module_utils.file_integrity.scan.survey import ScannedHost, survey
from ansible_collections.bulwark.servers.plugins.module_utils.file_integrity.state import NO_SEAL, Opened
from ansible_collections.bulwark.servers.plugins.module_utils.file_integrity.watches import definitions
from ansible_collections.bulwark.servers.plugins.module_utils.file_integrity.watches.plan import NOBODY, Plan, parent

if t.TYPE_CHECKING:
    from ansible_collections.bulwark.servers.plugins.module_utils.file_integrity.detect.review import Review
    from ansible_collections.bulwark.servers.plugins.module_utils.file_integrity.revise.acceptance import Acceptance
    from ansible_collections.bulwark.servers.plugins.module_utils.packages.databases import (
        PackageDatabases,
        PackageEdit,
    )
    from ansible_collections.bulwark.servers.plugins.module_utils.packages.model import Snapshot

# On the host every module is compiled anew by each run. What the workers don't need is imported where it is used: once
# they are busy, or where something changed.

# A program may be a link to an alternative, which leads to another link.
_MOST_LINKS = 8
_PART_DAMAGED = "a part of the baseline on the host does not match its seal"


class Comparison:
    """One comparison of the host with a baseline that is believed."""

    review: Review
    _plan: Plan

    def __init__(
        self,
        options: Options,
        opened: Opened,
        deadline: _run.Deadline,
        databases: PackageDatabases | None = None,
        acceptance: Acceptance | None = None,
    ) -> None:
        """databases: the host's, those that are installed when left out."""
        self._options = options
        self._opened = opened
        self._deadline = deadline
        self._reader, self._header = opened.believed()
        self._watches = definitions.with_meaning_of(self._header.watches, options.watches or ())
        self._given_packages = databases
        self._acceptance = acceptance
        self._edited: list[PackageEdit] = []
        self.coverage = coverage.RunCoverage(self._watches)
        self._damaged: set[bytes] = set()
        self._whole = True

    def run(self) -> None:
        """Compare everything; afterwards ``review`` and ``coverage`` are complete."""
        host = ScannedHost.read()
        host.note_problems(self._watches, self.coverage)
        self._table = host.table
        state = os.path.dirname(self._opened.path)
        plan = host.plan(self._watches, self._header.roots, state)
        takes = self._acceptance.takes if self._acceptance is not None else None
        self.mounts = mounts.MountReview(plan, self._header.mounts, host.mounts, self._has_recorded, takes)
        self.mounts.note_elsewhere(host.mounts_of_first)
        if self.mounts.points:
            plan = host.plan(self._watches, self._header.roots, state, self.mounts.points)
        self._plan = plan
        trust = None
        if self._options.rehash == "changed":
            recorded = None if self._header.mounts is None else mounts.kinds(self._header.mounts)
            trust = TrustedTimes(self._header.reading_times(), recorded, mounts.kinds(host.mounts))

        @functools.lru_cache(maxsize=None)
        def verifying() -> t.Sequence[str]:
            # Only asked where something changed: it loads the package databases, in the worker.
            return sorted(self._packages.digest_algorithms())

        def make_scan() -> Compare:
            return Compare(plan, self._reader, self._deadline, verifying, trust)

        survey(
            self._options,
            self._deadline,
            plan,
            make_scan,
            self._reader,
            self.coverage,
            self._receive,
            meanwhile=self._prepare_review,
        )
        self._note_mounts()
        if not self._whole:
            self._note_other_damage(plan)
        self.review.finish()
        # Where everything was deleted, that is the finding.
        self.coverage.note_unmatched(self._options.default_names | self.review.changed_watches())
        for watch, number in self.review.omitted().items():
            self.coverage.skip(
                watch,
                watch,
                "%d changes are counted, not listed: max_changes is %d" % (number, self._options.max_changes),
            )
        self.review.explain(self.coverage)

    def note_other_watches(self) -> None:
        """Say where the watches that were asked for are not those of the baseline."""
        sealed = {watch.name: definitions.recording(watch) for watch in self._header.watches}
        for watch in self._options.watches or ():
            if watch.name not in sealed:
                self.coverage.skip(
                    watch.name,
                    watch.name,
                    "it is not in the baseline yet; run bulwark.servers.file_integrity to add it",
                )
            elif sealed[watch.name] != definitions.recording(watch):
                self.coverage.skip(
                    watch.name,
                    watch.name,
                    "its definition changed after the baseline was made; run bulwark.servers.file_integrity",
                )

    def _judge_seal(self) -> None:
        """Say in the coverage whether the controller could tell that the baseline is the one it sealed."""
        if self._options.unsealed:
            self.coverage.doubt(NO_SEAL)
            self.coverage.add_seal(NO_SEAL)
        elif self._options.expected is not None:
            self.coverage.add_seal(_PART_DAMAGED if self._damaged else None)

    def result(self) -> dict[str, t.Any]:
        self._judge_seal()
        detections = self.mounts.detections() + self.review.detections() + self._package_detections()
        if self._damaged and self._options.expected:
            opened = self._opened._replace(problem=_PART_DAMAGED, alert="fim_baseline_tampered")
            detections = opened.detections(self._options.expected) + detections
        return {
            "detections": detections,
            "coverage": self.coverage.entries(),
            "changes": self.mounts.described() + self.review.changes(),
            "changes_count": len(self.mounts.described()) + self.review.count,
            "explained": self.review.explained(),
            "explained_count": self.review.explained_count,
            "claimed": self.review.claimed(),
            "claimed_count": self.review.claimed_count,
            "packages_changed": not self._options.unsealed and self.packages_to_seal() is not None,
            "baseline": header.summary(self._header, self._reader.seal),
            "statistics": self.coverage.statistics(self._options.workers),
        }

    def _receive(self, report: Report) -> None:
        if self._table.has_changed():
            self.mounts.note_now(self._table.read())
        for difference in report.differences:
            if not self.mounts.has_come_over(difference.path):
                self.review.add(difference)
        for watch, directory in report.damaged:
            self._note_damage(watch, directory)

    def _note_mounts(self) -> None:
        self._table.close()
        for watch, point, reason in self.mounts.notes():
            self.coverage.withhold(watch, point, reason)

    def _note_damage(self, watch: int, directory: bytes) -> None:
        self._damaged.add(directory)
        self.coverage.skip(self._watches[watch].name, printable(directory), _PART_DAMAGED)

    def _note_other_damage(self, plan: Plan) -> None:
        """Note what is damaged of the baseline although nothing of it was needed."""
        for directory in self._reader.damaged_blocks():
            for watch in plan.rules(directory).watches or {0} if directory not in self._damaged else ():
                self._note_damage(watch, directory)

    def _classify(self, change: FileChange) -> Verdict:
        from ansible_collections.bulwark.servers.plugins.module_utils.file_integrity.classify import classifier

        return classifier.classify(change, self._context, self._signed_context)

    def packages_to_seal(self, claimed: bool = False, edited: bool = False) -> Snapshot | None:
        """Return the packages as they are now, to be sealed in place of the baseline's; None when those are the same.

        Sealing them ends the time in which what the upgraded packages' programs generate is explained. It explains
        nothing that was not explained before. Of packages that no signature covers, the baseline's stay until what they
        claim is accepted, too (``claimed``). A version that is sealed keeps the digest of its metadata, unless what was
        ``edited`` is accepted. Where time ran out the old ones stay: what was not read yet may be explained by them.
        """
        if self._deadline.passed() or self._context.snapshot == self._header.packages:
            return None
        now = (self._context if claimed else self._signed_context).snapshot
        if not edited:
            now = header.merged_packages(self._header.packages, now)
        return None if now == self._header.packages else now

    def _package_detections(self) -> list[dict[str, t.Any]]:
        if not self._edited:
            return []
        from ansible_collections.bulwark.servers.plugins.module_utils.file_integrity.detect import evidence

        return [evidence.package_detection(edit, coverage.PACKAGES_SCOPE) for edit in self._edited]

    def _prepare_review(self) -> None:
        """Do what nothing needs before the first report of a worker arrives."""
        from ansible_collections.bulwark.servers.plugins.module_utils.file_integrity.detect.review import Review
        from ansible_collections.bulwark.servers.plugins.module_utils.packages import databases

        self._whole = self._reader.has_all_blocks()
        consider = self._acceptance.consider if self._acceptance is not None else None
        self.review = Review(self._watches, self._classify, self._options.max_changes, consider)
        self.coverage.add_packages(self._packages)
        self._edited = databases.edited_packages(self._context.baseline_snapshot, self._context.snapshot)

    @functools.cached_property
    def _packages(self) -> PackageDatabases:
        from ansible_collections.bulwark.servers.plugins.module_utils.packages import databases

        return self._given_packages or databases.load_packages()

    @functools.cached_property
    def _context(self) -> Context:
        return Context(
            packages=self._packages,
            snapshot=self._packages.snapshot(),
            baseline_snapshot=self._header.packages,
            watches={watch.name: watch for watch in self._watches},
            derived=self._options.derived_rules(),
            was_owned=self._was_owned,
            content=_content,
            keeps_severity=lambda key: key in self._guarded_packages,
            is_library=self._is_library,
        )

    @functools.cached_property
    def _signed_context(self) -> Context:
        from ansible_collections.bulwark.servers.plugins.module_utils.packages import signed_packages

        now = self._context.snapshot
        signed = signed_packages.SignedPackages(
            self._packages, self._is_sealed, self._header.packages, now, self._is_changed
        )
        return self._context._replace(packages=signed, snapshot=signed.snapshot(), signed_only=True)

    @functools.cached_property
    def _guarded_packages(self) -> frozenset[str]:
        """Return the packages that had files in the baseline by which accounts authenticate or something starts."""
        from ansible_collections.bulwark.servers.plugins.module_utils.file_integrity.classify import guarded_packages

        return guarded_packages.guarded_packages(self._plan, self._watches, self._reader.directories, self._lines)

    def _is_sealed(self, path: bytes, content: bytes) -> bool:
        """Say whether the baseline has a file with this content."""
        line = self._line(path)
        return line is not None and lines.digests_of(line).get("sha256") == hashlib.sha256(content).hexdigest()

    def _category(self, path: bytes) -> str | None:
        """Return the category of the watch that compares the content of a path; None if no watch does."""
        owner = self._plan.owner(path)
        is_compared = owner != NOBODY and "content" in self._watches[owner].attributes
        return self._watches[owner].category if is_compared else None

    def _is_library(self, path: bytes) -> bool:
        """Say whether a path is a watched library, by its own name and by where links lead.

        A link that nobody watches can lead elsewhere later; those of merged directories are watched themselves.
        """
        return self._category(self._packages.names(path)[0]) == self._category(_resolved(path)) == LIBRARY

    def _is_changed(self, program: str) -> bool:
        """Say whether a program is another than in the baseline; False where it was not compared with one."""
        path = os.fsencode(program)
        for _link in range(_MOST_LINKS):
            path = _resolved(path)
            if self.mounts.covers(path):
                return True
            if self._category(path) is None:
                return False
            line = self._line(path)
            try:
                if not os.path.islink(path):
                    with open(path, "rb") as stream:
                        digest = hashlib.sha256(stream.read()).hexdigest()
                    return line is None or lines.digests_of(line).get("sha256") != digest
                target = os.readlink(path)
            except OSError as error:
                return not isinstance(error, FileNotFoundError)
            if line is None or lines.parse(line, path, "").link_target != target:
                return True
            path = os.path.join(os.path.dirname(path), target)
        return True

    def _was_owned(self, path: bytes) -> bool:
        line = self._line(path)
        return line is not None and lines.is_owned(line)

    def _has_recorded(self, path: bytes) -> bool:
        """Say whether the baseline has an entry for a path, or anything in a directory of that path."""
        return path in self._reader.directories or self._line(path) is not None

    def _line(self, path: bytes) -> bytes | None:
        """Return the baseline's line of a path."""
        return self._lines(parent(path)).get(lines.escape(path[path.rindex(b"/") + 1 :]))

    def _lines(self, directory: bytes) -> t.Mapping[bytes, bytes]:
        """Return the baseline's lines of a directory by escaped name, nothing where there are none."""
        indexed = self._reader.index_entry(directory)
        if indexed is None or indexed.pending is not None:
            return {}
        try:
            return by_name(self._reader.block(indexed))
        except DamagedError:
            return {}


def _resolved(path: bytes) -> bytes:
    """Return a path without links on the way to its last component."""
    return os.path.join(os.path.realpath(os.path.dirname(path)), os.path.basename(path))


def _content(entry: Entry) -> bytes | None:
    """Return a file's content, None where it isn't the recorded one any more."""
    from ansible_collections.bulwark.servers.plugins.module_utils.packages.model import read_state

    try:
        content = read_state(entry.path)
    except OSError:
        return None
    return content if hashlib.sha256(content).hexdigest() == (entry.hashes or {}).get("sha256") else None
