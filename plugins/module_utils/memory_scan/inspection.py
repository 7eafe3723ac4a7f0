# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Looking at one process after the other with every check."""

from __future__ import annotations

import collections
import dataclasses
import functools
import os
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils import _crash
from ansible_collections.bulwark.servers.plugins.module_utils._finding import ScopeCoverage, printable
from ansible_collections.bulwark.servers.plugins.module_utils._process import stat
from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan import allowlist, detect
from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan.allowlist import Identity
from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan.choosing import has_memory
from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan.detect import Seen
from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan.host import LinuxHost
from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan.lineage import Lineages, program
from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan.model import MEMORY, Process, Sign
from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan.options import Allowed
from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan.proc.budget import (
    Budget,
)
from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan.proc.processes import ENDED_STATES, Collected
from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan.proc.reader import (
    ProcessView,
)
from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan.progress import Progress, nothing
from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan.view import Check, GoneError

# Checks that look further at processes of which others have seen something.
DeepCheck = t.Callable[[ProcessView, LinuxHost, t.Sequence[Sign]], t.Iterator[Sign]]


# A process may run one program after the other.
_LOOKS = 3
_MOST_NAMED = 5
# What is missing from a process that is about to end is no sign of anything.
_ABSENT = frozenset(("executable_not_mapped",))
_ENDED = "; the process ended before the rest of it was scanned"


class _View(ProcessView):
    """One process. pinned: a descriptor of its executable, which is there when the process has ended; None for most."""

    def __init__(self, pinned: int | None, *arguments: t.Any) -> None:
        super().__init__(*arguments)
        self._pinned_executable = pinned

    def _is_same_program(self, directory: int, image: tuple[int, int, int]) -> bool:
        process = self._process
        # A program that is just being loaded has not all of its mappings.
        is_other = process.code_start > 1 and image[:2] != (process.code_start, process.stack_start)
        return not is_other and super()._is_same_program(directory, image)

    def open_executable(self) -> int | None:
        if self._pinned_executable is None:
            return super().open_executable()
        return self._reopened(self._pinned_executable, None)


class Inspection:
    """Gathers what is seen. coverage: takes what could not be looked at. progress: is told which process is read.

    cheap: those of the checks that need no more than what was read of a process first. collect: reads it again.
    """

    def __init__(
        self,
        host: LinuxHost,
        cheap: t.Sequence[Check],
        checks: t.Sequence[Check],
        deep: t.Sequence[DeepCheck],
        allowed: t.Sequence[Allowed],
        budget: Budget,
        coverage: ScopeCoverage,
        there: Collected,
        collect: t.Callable[..., Collected],
        lineages: Lineages,
        progress: Progress = nothing,
    ) -> None:
        self._host = host
        self._cheap = cheap
        self._checks = [*cheap, *checks]
        self._deep = deep
        self._allowed = allowed
        self._there = there
        self._collect = collect
        self._lineages = lineages
        self._progress = progress
        self.budget = budget
        self._coverage = coverage
        self.skip = coverage.skip
        self._seen: list[Seen] = []
        # What is known of those that ended before they were judged, by program, of each the last.
        self._remains: dict[t.Hashable, Seen] = {}
        self.ended = there.ended
        self._ended_names: collections.Counter[str] = collections.Counter()
        # By entry of the allowlist, the processes of which it covers something.
        self.covered: dict[Allowed, list[str]] = {}

    def take(self, process: Process) -> None:
        """Look at a process, and again as another program where it began to run one."""
        for look in range(_LOOKS):
            if self._taken(process):
                return
            again = self._collect(chosen=[process.pid], known=self._host.processes).processes.get(process.pid)
            if again is None or not has_memory(again):
                return
            process = again
            if look == _LOOKS - 1:
                self._coverage.skip("process %d" % process.pid, "it ran one program after the other")

    def _taken(self, process: Process) -> bool:
        """Look at a process; return False where it ended, or runs another program by now."""
        skip = functools.partial(self._coverage.skip, _named(process))
        if MEMORY in process.unreadable:
            # Of a process without arguments and mappings, checks would say just that.
            skip(process.unreadable[MEMORY])
            return True
        self._progress(process.pid)
        view = self._view(process, skip)
        try:
            signs, complete = self._signs(view)
            if not complete:
                there = [sign for sign in signs if sign.subtype not in _ABSENT]
                signs = [dataclasses.replace(sign, detail=sign.detail + _ENDED) for sign in there]
            self._keep(view, signs, complete)
        finally:
            view.close()
        if complete:
            self._coverage.examined += 1
            self._lineages.judge(process)
        else:
            self.ended += 1
            self._ended_names[_named(process).partition(" ")[2]] += 1
            self._lineages.miss(process, is_copy=self._has_original(process))
        return complete

    def _has_original(self, process: Process) -> bool:
        """Say whether a process is a copy, by fork(2), of an older one that is still there to be looked at."""
        addresses = process.code_start, process.stack_start
        for other in self._host.processes.values():
            is_older = other.started < process.started and (other.code_start, other.stack_start) == addresses
            if is_older and program(other) == program(process):
                now = stat(other.pid)
                if now is not None and now.started == other.started and now.state not in ENDED_STATES:
                    return True
        return False

    def shows_something(self, process: Process) -> bool:
        """Say whether what was read of a process first is a sign of something."""
        self._progress(process.pid)
        view = self._view(process, _ignore)
        try:
            return any(self._tried(view, check, functools.partial(check, view, self._host))[0] for check in self._cheap)
        finally:
            view.close()

    def add(self, process: Process, signs: t.Sequence[Sign]) -> None:
        """Take what was seen of a process from outside of it."""
        view = self._view(process, _ignore)
        try:
            self._keep(view, signs, True)
        finally:
            view.close()

    def seen(self) -> list[Seen]:
        """Return what was seen, of those that ended only what was not seen of their program later."""
        known: dict[t.Hashable, set[str]] = {}
        for one in self._seen:
            known.setdefault(program(one.process), set()).update(sign.subtype for sign in one.signs)
        rest = [
            one
            for about, one in self._remains.items()
            if not {sign.subtype for sign in one.signs} <= known.get(about, set())
        ]
        return self._seen + rest

    def note_ended(self) -> str | None:
        """Return what people are told of those that ended before they were judged; None where there are none."""
        for process in self._lineages.unjudged():
            reason = "it continues in one process after the other, and each ended before it was scanned"
            self._coverage.skip(_named(process), reason)
        if not self.ended:
            return None
        most = self._ended_names.most_common(_MOST_NAMED)
        names = ", ".join("%s (%d)" % (name[:100], count) for name, count in most)
        such = ", such as %s" % names if names else ""
        return "%d processes ended before they were scanned%s." % (self.ended, such)

    def _view(self, process: Process, skip: t.Callable[[str], None]) -> _View:
        status = process.status
        pinned = None if status is None else self._there.pinned.get((status.device, status.inode))
        return _View(pinned, process, self.budget, skip, self._there.mounts, self._there.root)

    def _signs(self, view: ProcessView) -> tuple[list[Sign], bool]:
        """Return what all checks see, and whether the process was there for all of them."""
        for what, reason in view.process.unreadable.items():
            view.skip("%s: %s" % (what, reason))
        found: list[Sign] = []
        complete = True
        for check in self._checks:
            signs, done = self._tried(view, check, functools.partial(check, view, self._host))
            found.extend(signs)
            complete = complete and done
        for deep in self._deep:
            signs, done = self._tried(view, deep, functools.partial(deep, view, self._host, tuple(found)))
            found.extend(signs)
            complete = complete and done
        return found, complete

    def _tried(
        self, view: ProcessView, named: t.Any, check: t.Callable[[], t.Iterator[Sign]]
    ) -> tuple[list[Sign], bool]:
        """Return what a check sees, and False where the process ended: what was seen before is true all the same.

        A mistake in it, or what somebody made to provoke one, hides nothing else.
        """
        found: list[Sign] = []
        try:
            found.extend(check())
        except GoneError:
            return found, False
        # The coverage says it; the process counts as looked at in part.
        except Exception as error:  # noqa: BLE001 - a mistake with one process is in the coverage of that one
            name = named.__module__.rpartition(".")[2]
            view.skip("the check '%s' failed: %s; report this" % (name, _crash.summarize(error)))
        return found, True

    def _counting(self, view: ProcessView, signs: t.Sequence[Sign]) -> list[Sign]:
        identity = Identity(lambda: self._sha256(view), lambda: self._package(view))
        counting, allowed = allowlist.split(self._allowed, self._host.content, view.process, signs, identity)
        for entry, sign in allowed:
            title = self._host.content.subtypes[sign.subtype].title
            self.covered.setdefault(entry, []).append("%s: %s" % (detect.subject(view.process), title))
        return counting

    def _keep(self, view: ProcessView, signs: t.Sequence[Sign], complete: bool) -> None:
        counting = self._counting(view, signs) if signs else []
        if not counting:
            return
        seen = self.described(view.process, counting, self._sha256(view))
        if complete:
            self._seen.append(seen)
        else:
            self._remains[program(view.process)] = seen

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
        descriptor = _executable(view)
        if descriptor is None:
            return None
        try:
            digests = self._host.files.digests(descriptor)
        finally:
            os.close(descriptor)
        return digests["sha256"] if digests else None

    def _package(self, view: ProcessView) -> str | None:
        path, descriptor = view.process.executable, _executable(view)
        if descriptor is None:
            return None
        try:
            return self._host.as_packaged(path, descriptor) if path is not None else None
        finally:
            os.close(descriptor)


def _executable(view: ProcessView) -> int | None:
    """Return a descriptor of an executable; None where that can't be had, also as the process has ended."""
    try:
        return view.open_executable()
    except GoneError:
        return None


def _ignore(_reason: str) -> None:
    """Tell nobody."""


def _named(process: Process) -> str:
    what = process.executable if process.executable is not None else process.name
    return "%d %s" % (process.pid, printable(what))
