# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One run over the watched directories, by worker processes."""

from __future__ import annotations

import dataclasses
import os
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils import _run, _safe_fs
from ansible_collections.bulwark.servers.plugins.module_utils._argspec import HostError
from ansible_collections.bulwark.servers.plugins.module_utils._finding import printable
from ansible_collections.bulwark.servers.plugins.module_utils._mountinfo import MountTable, of_first_process
from ansible_collections.bulwark.servers.plugins.module_utils.file_integrity.baseline.merkle_tree import Reader
from ansible_collections.bulwark.servers.plugins.module_utils.file_integrity.coverage import RunCoverage
from ansible_collections.bulwark.servers.plugins.module_utils.file_integrity.detect.mounts import Mounts, kinds
from ansible_collections.bulwark.servers.plugins.module_utils.file_integrity.model import Watch
from ansible_collections.bulwark.servers.plugins.module_utils.file_integrity.options import Options
from ansible_collections.bulwark.servers.plugins.module_utils.file_integrity.scan.directory import Scan
from ansible_collections.bulwark.servers.plugins.module_utils.file_integrity.scan.pool import WorkerPool
from ansible_collections.bulwark.servers.plugins.module_utils.file_integrity.scan.results import Report
from ansible_collections.bulwark.servers.plugins.module_utils.file_integrity.scan.tasks import Tasks, cost
from ansible_collections.bulwark.servers.plugins.module_utils.file_integrity.watches import roots
from ansible_collections.bulwark.servers.plugins.module_utils.file_integrity.watches.plan import Plan, Root


@dataclasses.dataclass(frozen=True)
class ScannedHost:
    """What is asked of the host once for a run. mounts_of_first: see ``_mountinfo.of_first_process``."""

    homes: tuple[str, ...]
    mounts: Mounts
    mounts_of_first: Mounts | None
    table: MountTable
    problems: tuple[str, ...]

    @classmethod
    def read(cls) -> ScannedHost:
        problems = []
        homes: list[str] = []
        try:
            homes = roots.homes(roots.read_passwd())
        except OSError as error:
            problems.append("the home directories are unknown: /etc/passwd cannot be read: %s" % _safe_fs.reason(error))
        try:
            table = MountTable()
            mounted = table.read()
        except OSError as error:
            raise HostError(
                "the mounted file systems are unknown: /proc is not mounted (%s)" % error.strerror
            ) from error
        return cls(tuple(homes), mounted, of_first_process(), table, tuple(problems))

    def note_problems(self, watches: t.Sequence[Watch], coverage: RunCoverage) -> None:
        """Say of each watch of home directories why it doesn't know them."""
        for watch in watches:
            for problem in self.problems if any(path.startswith("~/") for path in watch.paths) else ():
                coverage.skip(watch.name, "~", problem)

    def roots(self, watches: t.Sequence[Watch]) -> tuple[Root, ...]:
        return tuple(roots.resolve(watches, self.homes))

    def plan(
        self, watches: t.Sequence[Watch], sealed: t.Iterable[Root], state: str, mounted_over: t.Iterable[bytes] = ()
    ) -> Plan:
        """Return the plan of watches: where they begin now, and where they began when the baseline was made.

        state: the directory of our own state. mounted_over: points with another mount than the baseline was made of.
        """
        both = dict.fromkeys((*sealed, *self.roots(watches)))
        hidden = [os.fsencode(os.path.realpath(state)), *mounted_over]
        return Plan(watches, both, kinds(self.mounts), hidden)


def survey(
    options: Options,
    deadline: _run.Deadline,
    plan: Plan,
    make_scan: t.Callable[[], Scan],
    reader: Reader | None,
    coverage: RunCoverage,
    receive: t.Callable[[Report], None],
    lost: t.Callable[[bytes, str], None] = lambda _directory, _reason: None,
    meanwhile: t.Callable[[], None] = lambda: None,
) -> None:
    """Read every directory that the baseline knows, and what is new; ``receive`` gets the reports after the coverage.

    lost: called with each directory whose worker died, after it was noted in the coverage of all watches it may hold.
    meanwhile: what this process does while the workers start reading.
    """
    known = [(cost(0, 0), b"/")]
    if reader is not None:
        reads = options.rehash == "always"
        known = [(cost(entries, content * reads), directory) for directory, entries, content in reader.sizes()]
    tasks = Tasks(known, options.workers)

    def take(report: Report) -> None:
        coverage.add(report)
        receive(report)

    def bury(share: list[bytes], reason: str) -> None:
        for directory in share:
            for watch in plan.rules(directory).watches:
                coverage.skip(plan.watches[watch].name, printable(directory), reason)
            lost(directory, reason)

    WorkerPool(options.workers, make_scan, deadline).run(tasks, take, bury, meanwhile)


def begin(options: Options) -> _run.Deadline:
    """Lower this process's priority when it was asked for, and return the deadline of its time budget."""
    if options.priority == "idle":
        _run.yield_to_others()
    return _run.Deadline(options.time_budget)
