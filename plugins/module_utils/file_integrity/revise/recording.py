# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A run that records: the host read, the blocks written, programs compared with their packages."""

from __future__ import annotations

import functools
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils import _run
from ansible_collections.bulwark.servers.plugins.module_utils._finding import printable
from ansible_collections.bulwark.servers.plugins.module_utils.file_integrity.baseline.merkle_tree import Reader
from ansible_collections.bulwark.servers.plugins.module_utils.file_integrity.classify import classifier
from ansible_collections.bulwark.servers.plugins.module_utils.file_integrity.coverage import RunCoverage
from ansible_collections.bulwark.servers.plugins.module_utils.file_integrity.detect import mounts
from ansible_collections.bulwark.servers.plugins.module_utils.file_integrity.detect.review import Review
from ansible_collections.bulwark.servers.plugins.module_utils.file_integrity.model import (
    Context,
    FileChange,
    Verdict,
    Watch,
)
from ansible_collections.bulwark.servers.plugins.module_utils.file_integrity.options import Options
from ansible_collections.bulwark.servers.plugins.module_utils.file_integrity.revise.write import Recording
from ansible_collections.bulwark.servers.plugins.module_utils.file_integrity.scan.record import Record
from ansible_collections.bulwark.servers.plugins.module_utils.file_integrity.scan.results import Block, Report
from ansible_collections.bulwark.servers.plugins.module_utils.file_integrity.scan.survey import ScannedHost, survey
from ansible_collections.bulwark.servers.plugins.module_utils.file_integrity.watches.plan import Plan
from ansible_collections.bulwark.servers.plugins.module_utils.packages import databases


class RecordingRun:
    """One run over ``watches``. sealed: the package snapshot of the baseline that is extended, None for a first one."""

    def __init__(
        self,
        options: Options,
        deadline: _run.Deadline,
        watches: t.Sequence[Watch],
        databases: databases.PackageDatabases,
        sealed: dict[str, dict[str, str]] | None,
    ) -> None:
        self._options = options
        self._deadline = deadline
        self._watches = watches
        self._sealed = sealed
        self.host = ScannedHost.read()
        self._packages = databases
        self.coverage = RunCoverage(watches)
        self.host.note_problems(watches, self.coverage)
        self._review = Review(watches, self._classify, options.max_changes)

    def run(self, plan: Plan, make_scan: t.Callable[[], Record], recording: Recording, reader: Reader | None) -> None:
        """Read what ``make_scan`` asks for and give its blocks to ``recording``."""
        # The databases are loaded before the workers are forked, so that all share one copy.
        self._packages.owner(b"/")

        def receive(report: Report) -> None:
            for difference in report.differences:
                self._review.add(difference)
            for block in report.blocks:
                recording.add(block)

        def lost(directory: bytes, reason: str) -> None:
            indexed = reader.index_entry(directory) if reader else None
            is_recorded = indexed is not None and indexed.pending is None
            recording.add(Block(directory, None, pending=None if is_recorded else reason))

        self._note_hiding(plan)
        survey(self._options, self._deadline, plan, make_scan, reader, self.coverage, receive, lost)
        self._note_changes(plan)
        self._review.finish()
        self.coverage.add_packages(self._packages)

    def _note_hiding(self, plan: Plan) -> None:
        """Name the mounts that keep from view what is below them."""
        for point, mount, numbers in mounts.hiding(plan, self.host.mounts):
            for watch in numbers:
                reason = "%s is mounted over it; what lies below it cannot be seen" % mounts.describe(mount)
                self.coverage.note(watch, "%s: %s" % (printable(point), reason))

    def _note_changes(self, plan: Plan) -> None:
        """Name what was mounted or unmounted while files were read."""
        now = self.host.table.read() if self.host.table.has_changed() else self.host.mounts
        self.host.table.close()
        for change in mounts.find_changes(self.host.mounts, now, plan, lambda _point: True):
            for watch in change.watches:
                self.coverage.withhold(watch, change.point, "it was %s while files were read" % change.kind)

    def result(self) -> dict[str, t.Any]:
        return {
            "detections": self._review.detections(),
            "coverage": self.coverage.entries(),
            "statistics": self.coverage.statistics(self._options.workers),
        }

    def _classify(self, change: FileChange) -> Verdict:
        return classifier.classify(change, self._context, None)

    @functools.cached_property
    def _context(self) -> Context:
        return Context(
            packages=self._packages,
            snapshot=self._packages.snapshot(),
            baseline_snapshot=self._sealed or {},
            watches={watch.name: watch for watch in self._watches},
            first_run=True,
            derived=self._options.derived_rules(),
        )
