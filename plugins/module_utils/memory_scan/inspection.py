# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Looking at one process after the other with every check."""

from __future__ import annotations

import functools
import os
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils._finding import ScopeCoverage, printable
from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan import allowlist, findings
from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan.allowlist import Identity
from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan.findings import Seen
from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan.host import LinuxHost
from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan.model import MEMORY, Process, Sign
from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan.options import Allowed
from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan.proc.processes import Collected
from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan.proc.reader import Budget, ProcessView
from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan.progress import Progress, nothing
from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan.view import Check, GoneError

# Checks that look further at processes of which others have seen something.
DeepCheck = t.Callable[[ProcessView, LinuxHost, t.Sequence[Sign]], t.Iterator[Sign]]


class Inspection:
    """Gathers what is seen. coverage: takes what could not be looked at. progress: is told which process is read."""

    def __init__(
        self,
        host: LinuxHost,
        checks: t.Sequence[Check],
        deep: t.Sequence[DeepCheck],
        allowed: t.Sequence[Allowed],
        budget: Budget,
        coverage: ScopeCoverage,
        there: Collected,
        progress: Progress = nothing,
    ) -> None:
        self._host = host
        self._checks = checks
        self._deep = deep
        self._allowed = allowed
        self._there = there
        self._progress = progress
        self.budget = budget
        self._coverage = coverage
        self.seen: list[Seen] = []
        self.ended = 0
        # By entry of the allowlist, the processes of which it covers something.
        self.covered: dict[Allowed, list[str]] = {}

    def take(self, process: Process) -> bool:
        """Look at a process; return False where it ended, or runs another program by now."""
        skip = functools.partial(self._coverage.skip, _named(process))
        if MEMORY in process.unreadable:
            # Of a process without arguments and mappings, checks would say just that.
            skip(process.unreadable[MEMORY])
            return True
        self._progress(process.pid)
        view = ProcessView(process, self.budget, skip, self._there.mounts, self._there.root)
        try:
            signs = self._signs(view)
            if signs:
                signs = self._counting(view, signs)
                if signs:
                    self._keep(view, signs)
        except GoneError:
            self.ended += 1
            return False
        finally:
            view.close()
        self._coverage.examined += 1
        return True

    def _signs(self, view: ProcessView) -> list[Sign]:
        for what, reason in view.process.unreadable.items():
            view.skip("%s: %s" % (what, reason))
        found: list[Sign] = []
        for check in self._checks:
            found.extend(self._tried(view, check.__module__, functools.partial(check, view, self._host)))
        for deep in self._deep:
            found.extend(self._tried(view, deep.__module__, functools.partial(deep, view, self._host, tuple(found))))
        return found

    def _tried(self, view: ProcessView, name: str, check: t.Callable[[], t.Iterator[Sign]]) -> list[Sign]:
        """Return what a check sees. A mistake in it, or what somebody made to provoke one, hides nothing else."""
        found: list[Sign] = []
        try:
            found.extend(check())
        except GoneError:
            # What was seen of it before it ended is true all the same.
            if not found:
                raise
        # The coverage says it; the process counts as looked at in part.
        except Exception as error:  # noqa: BLE001
            view.skip("the check '%s' failed (%r); report this" % (name.rpartition(".")[2], error))
        return found

    def _counting(self, view: ProcessView, signs: t.Sequence[Sign]) -> list[Sign]:
        identity = Identity(lambda: self._sha256(view), lambda: self._package(view))
        counting, allowed = allowlist.split(self._allowed, self._host.content, view.process, signs, identity)
        for entry, sign in allowed:
            title = self._host.content.subtypes[sign.subtype].title
            self.covered.setdefault(entry, []).append("%s: %s" % (findings.subject(view.process), title))
        return counting

    def _keep(self, view: ProcessView, signs: t.Sequence[Sign]) -> None:
        process = view.process
        self.seen.append(self.described(process, signs, self._sha256(view)))

    def described(self, process: Process, signs: t.Sequence[Sign] = (), sha256: str | None = None) -> Seen:
        """Return a process with what is told of it."""
        return Seen(
            process,
            signs,
            self._host.parents(process),
            self._host.user(process.users[1]),
            self._host.started(process),
            sha256,
            self._host.sockets_of(process),
        )

    def _sha256(self, view: ProcessView) -> str | None:
        descriptor = view.open_executable()
        if descriptor is None:
            return None
        try:
            digests = self._host.files.digests(descriptor)
        finally:
            os.close(descriptor)
        return digests["sha256"] if digests else None

    def _package(self, view: ProcessView) -> str | None:
        path, descriptor = view.process.executable, view.open_executable()
        if descriptor is None:
            return None
        try:
            return self._host.as_packaged(path, descriptor) if path is not None else None
        finally:
            os.close(descriptor)


def _named(process: Process) -> str:
    what = process.executable if process.executable is not None else process.name
    return "%d %s" % (process.pid, printable(what))
