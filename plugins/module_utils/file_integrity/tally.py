# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a run came to in each scope: counted while reports come in, and returned as coverage."""

from __future__ import annotations

import time
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils._finding import ScopeCoverage, not_checked, printable
from ansible_collections.bulwark.servers.plugins.module_utils.file_integrity.evidence import SEAL_SCOPE
from ansible_collections.bulwark.servers.plugins.module_utils.file_integrity.model import Packages, Watch
from ansible_collections.bulwark.servers.plugins.module_utils.file_integrity.results import Report

PACKAGES_SCOPE = "packages"
_NO_SEAL = "the controller holds no seal for this baseline and cannot tell whether it was edited; accept all to seal it"


class Tally:
    """Coverage and statistics of one run over the watches."""

    def __init__(self, watches: t.Sequence[Watch]) -> None:
        self.scopes = [ScopeCoverage(watch.name) for watch in watches]
        self._names = {scope.scope: scope for scope in self.scopes}
        self._others: list[dict[str, t.Any]] = []
        self._start = time.monotonic()
        self._directories = 0
        self._bytes_read = 0

    def add(self, report: Report) -> None:
        self._directories += report.directories_read
        self._bytes_read += report.bytes_read
        for watch, count in report.examined.items():
            self.scopes[watch].examined += count
        for watch, path, reason in report.skipped:
            self.scopes[watch].skip(printable(path), reason)

    def skip(self, watch: str, subject: str, reason: str) -> None:
        """Note something that a watch left out; a watch that isn't part of the run gets a scope that says so."""
        scope = self._names.get(watch)
        if scope is None:
            self._others.append(not_checked(watch, reason))
        else:
            scope.skip(subject, reason)

    def add_packages(self, packages: Packages) -> None:
        """Note what could not be verified with the host's packages."""
        scope = ScopeCoverage(PACKAGES_SCOPE)
        for subject, reason in packages.coverage_notes():
            scope.skip(subject, reason)
        self._others.append(scope.entry())

    def add_seal(self, expected: t.Sequence[str] | None) -> None:
        """Say whether the controller could tell that the baseline is the one it sealed."""
        self._others.extend(seal_coverage(expected))

    def entries(self) -> list[dict[str, t.Any]]:
        return [scope.entry() for scope in self.scopes] + self._others

    def statistics(self, workers: int) -> dict[str, t.Any]:
        return {
            "entries": sum(scope.examined for scope in self.scopes),
            "directories": self._directories,
            "bytes_read": self._bytes_read,
            "seconds": round(time.monotonic() - self._start, 3),
            "workers": workers,
        }


def seal_coverage(expected: t.Sequence[str] | None) -> list[dict[str, t.Any]]:
    """Return the scope of the seal of a baseline that was believed; none when no controller takes part."""
    if expected is None:
        return []
    if not expected:
        return [not_checked(SEAL_SCOPE, _NO_SEAL)]
    scope = ScopeCoverage(SEAL_SCOPE)
    scope.examined = 1
    return [scope.entry()]


def nothing_checked(watches: t.Sequence[Watch] | None, reason: str, seal_checked: bool) -> list[dict[str, t.Any]]:
    """Return the coverage of a run that had no baseline to believe.

    watches: what would have been compared, as far as it is known. seal_checked: the seal was looked at and is wrong.
    """
    names = [watch.name for watch in watches] if watches else ["file_integrity"]
    found = [not_checked(name, reason) for name in names]
    if seal_checked:
        scope = ScopeCoverage(SEAL_SCOPE)
        scope.examined = 1
        found.append(scope.entry())
    return found
