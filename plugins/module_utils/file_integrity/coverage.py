# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The coverage and statistics of a run, counted while reports come in."""

from __future__ import annotations

import time
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils._finding import ScopeCoverage, not_checked, printable
from ansible_collections.bulwark.servers.plugins.module_utils.file_integrity.model import Packages, Watch
from ansible_collections.bulwark.servers.plugins.module_utils.file_integrity.scan.results import Report
from ansible_collections.bulwark.servers.plugins.module_utils.file_integrity.watches import globs

PACKAGES_SCOPE = "packages"
SEAL_SCOPE = "baseline_seal"
_TAKEN = "A baseline was taken: the host as it is now is what later scans compare it with."
# A sentence names so many watches.
_LISTED_WATCHES = 20
_UNMATCHED = "nothing on the host matches it; correct the watch's paths, or leave the watch out for this host"


class RunCoverage:
    """Coverage and statistics of one run over the watches."""

    def __init__(self, watches: t.Sequence[Watch]) -> None:
        self._watches = watches
        self.scopes = [ScopeCoverage(watch.name) for watch in watches]
        self._names = {scope.scope: scope for scope in self.scopes}
        self._packages: ScopeCoverage | None = None
        self._others: list[dict[str, t.Any]] = []
        self._added: dict[int, int] = {}
        self._doubt: str | None = None
        self._start = time.monotonic()
        self._directories = 0
        self._bytes_read = 0

    def add(self, report: Report) -> None:
        self._directories += report.directories_read
        self._bytes_read += report.bytes_read
        for watch, count in report.examined.items():
            self.scopes[watch].examined += count
        for watch, count in report.added.items():
            self._added[watch] = self._added.get(watch, 0) + count
        for watch, path, reason in report.skipped:
            self.scopes[watch].skip(printable(path), reason)

    def skip(self, watch: str, subject: str, reason: str) -> None:
        """Note something that a watch left out; a watch that isn't part of the run gets a scope that says so."""
        scope = self._names.get(watch)
        if scope is None:
            self._others.append(not_checked(watch, reason))
        else:
            scope.skip(subject, reason)

    def note(self, watch: int, sentence: str) -> None:
        """Say something of what was checked of a watch; the first that is said stays."""
        scope = self.scopes[watch]
        scope.note = scope.note or sentence

    def note_added(self) -> str | None:
        """Say of each watch how many entries were added that nothing was compared with; return a warning of all."""
        for watch, count in self._added.items():
            note = "New entries in the baseline, accepted without a comparison: %d" % count
            scope = self.scopes[watch]
            scope.note = note if scope.note is None else "%s. %s" % (scope.note.rstrip("."), note)
        if not self._added:
            return None
        listed = [
            "%d of watch '%s'" % (count, self.scopes[watch].scope)
            for watch, count in sorted(self._added.items())[:_LISTED_WATCHES]
        ]
        more = len(self._added) - len(listed)
        return (
            "new entries in the baseline were accepted without a comparison: %s%s. Changes before this run cannot be "
            "seen; review the entries of a watch that was off for a while"
            % (", ".join(listed), " and of %d more watches" % more if more else "")
        )

    def withhold(self, watch: int, path: bytes, reason: str) -> None:
        """Note what another mount keeps from a watch; where that is all of it, nothing of the watch is checked.

        Asked when everything was read.
        """
        scope = self.scopes[watch]
        scope.skip(printable(path), reason)
        if not scope.examined:
            scope.fail("%s: %s" % (printable(path), reason))

    def note_unmatched(self, default_names: t.AbstractSet[str]) -> None:
        """Say of each watch that a user wrote that nothing matched it: its paths are misspelt, or not on this host."""
        for watch, scope in zip(self._watches, self.scopes):
            if scope.examined or scope.skipped_count or watch.name in default_names:
                continue
            for path in watch.paths:
                scope.skip(printable(globs.to_bytes(path)), _UNMATCHED)

    def add_packages(self, packages: Packages) -> None:
        """Note what could not be verified with the host's packages."""
        self._packages = ScopeCoverage(PACKAGES_SCOPE)
        for subject, reason in packages.coverage_notes():
            self._packages.skip(subject, reason)

    def doubt(self, reason: str) -> None:
        """Say that nothing counts as checked, whatever was compared: what it was compared with proves nothing."""
        self._doubt = reason

    def explain(self, watch: str, by: str, count: int, examples: t.Sequence[str]) -> None:
        """Note changes of a watch that are no findings, and what explains them."""
        self._names[watch].explain(by, count, examples)

    def add_seal(self, problem: str | None = None, taken: bool = False) -> None:
        """Add the scope of the seal: that the baseline is the one that the controller sealed, or why it is not.

        taken: it is sealed by the run that took it.
        """
        scope = ScopeCoverage(SEAL_SCOPE)
        scope.examined = 1
        if problem is not None:
            scope.fail(problem)
        scope.note = _TAKEN if taken else None
        self._others.append(scope.entry())

    def entries(self) -> list[dict[str, t.Any]]:
        scopes = [*self.scopes, *([self._packages] if self._packages else [])]
        if self._doubt is not None:
            for scope in scopes:
                scope.fail(self._doubt)
        return [scope.entry() for scope in scopes] + self._others

    def statistics(self, workers: int) -> dict[str, t.Any]:
        return {
            "entries": sum(scope.examined for scope in self.scopes),
            "directories": self._directories,
            "bytes_read": self._bytes_read,
            "seconds": round(time.monotonic() - self._start, 3),
            "workers": workers,
        }


def nothing_checked(watches: t.Sequence[Watch] | None, reason: str, sealed: bool) -> list[dict[str, t.Any]]:
    """Return the coverage of a run that had no baseline to believe.

    watches: what would have been compared, as far as it is known. sealed: a baseline should have been there, and a
    controller that knows its seal.
    """
    names = [watch.name for watch in watches] if watches else ["file_integrity"]
    return [not_checked(name, reason) for name in [*names, *([SEAL_SCOPE] if sealed else [])]]
