# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One change of the baseline: made for the first time, with changes accepted, or extended for other watches."""

from __future__ import annotations

import os
import time
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils import _run
from ansible_collections.bulwark.servers.plugins.module_utils._argspec import UsageError
from ansible_collections.bulwark.servers.plugins.module_utils._finding import printable
from ansible_collections.bulwark.servers.plugins.module_utils._state import StateDirectory
from ansible_collections.bulwark.servers.plugins.module_utils.file_integrity.baseline.header import (
    Event,
    Header,
    doubtful_since,
    summary,
)
from ansible_collections.bulwark.servers.plugins.module_utils.file_integrity.baseline.merkle_tree import Writer
from ansible_collections.bulwark.servers.plugins.module_utils.file_integrity.comparison import Comparison
from ansible_collections.bulwark.servers.plugins.module_utils.file_integrity.detect import mounts
from ansible_collections.bulwark.servers.plugins.module_utils.file_integrity.model import Watch
from ansible_collections.bulwark.servers.plugins.module_utils.file_integrity.options import Options
from ansible_collections.bulwark.servers.plugins.module_utils.file_integrity.revise import diff
from ansible_collections.bulwark.servers.plugins.module_utils.file_integrity.revise.acceptance import Acceptance
from ansible_collections.bulwark.servers.plugins.module_utils.file_integrity.revise.recording import RecordingRun
from ansible_collections.bulwark.servers.plugins.module_utils.file_integrity.revise.write import Recording, rewrite
from ansible_collections.bulwark.servers.plugins.module_utils.file_integrity.scan.change_times import TrustedTimes
from ansible_collections.bulwark.servers.plugins.module_utils.file_integrity.scan.record import Extend, Record
from ansible_collections.bulwark.servers.plugins.module_utils.file_integrity.state import Opened
from ansible_collections.bulwark.servers.plugins.module_utils.file_integrity.watches import definitions
from ansible_collections.bulwark.servers.plugins.module_utils.packages import databases
from ansible_collections.bulwark.servers.plugins.module_utils.packages.model import Snapshot

_KEPT_PATHS = 100


class _NothingNewError(Exception):
    """What was being written turned out to be what is there."""


def _check_news(news: bool) -> None:
    """Leave the writing of a file that would be the one that is there."""
    if not news:
        raise _NothingNewError


class Revision:
    """What ``state: present`` makes of the baseline that was found.

    account: who runs this. now: seconds since the epoch.
    """

    def __init__(self, options: Options, opened: Opened, deadline: _run.Deadline, account: str, now: float) -> None:
        self._options = options
        self._opened = opened
        self._deadline = deadline
        self._account = account
        self._now = now
        self._packages = databases.load_packages()

    @property
    def needed(self) -> bool:
        """Say whether anything has to be read or written: without ``accept``, a baseline that is as asked for stays."""
        return bool(self._opened.header is None or self._options.accept or self._other_watches() or self._has_gaps())

    def preview(self) -> dict[str, t.Any]:
        """Return the result of check mode: nothing is written, and only what accepting needs is read."""
        if self._options.accept:
            acceptance, packages_now, _mounted, result = self._compared()
            return {**self.unchanged(), **result, "changed": bool(acceptance.count or packages_now)}
        return {**self.unchanged(), "changed": self.needed}

    def write(self, state: StateDirectory, name: str) -> dict[str, t.Any]:
        """Write the baseline as file ``name``; return the result, with its seal as ``written`` if it is a new one."""
        if self._opened.reader is None:
            return self._create(state, name)
        if self._options.accept:
            return {**self.unchanged(), **self._accept(state, name)}
        if self.needed:
            return {**self.unchanged(), **self._extend(state, name)}
        return self.unchanged()

    def unchanged(self) -> dict[str, t.Any]:
        """Return the result where the baseline stays as it is."""
        header = self._opened.header
        return {
            "changed": False,
            "detections": [],
            "coverage": [],
            "baseline": summary(header, self._opened.seal),
            "diff": diff.watches_diff(header, self._options.watches),
        }

    def _create(self, state: StateDirectory, name: str) -> dict[str, t.Any]:
        wanted = self._options.watches or ()
        if not wanted:
            raise UsageError("there is nothing to watch; set 'watches', or leave default_watches on")
        run = RecordingRun(self._options, self._deadline, wanted, self._packages, None)
        plan = run.host.plan(wanted, (), os.path.dirname(self._opened.path))
        snapshot = self._packages.snapshot()

        def make_scan() -> Record:
            return Record(plan, (), self._deadline, self._packages)

        trust = TrustedTimes((doubtful_since(self._now),), None, {})
        with state.written(name) as stream:
            writer = Writer(stream, trust.covers)
            run.run(plan, make_scan, Recording(writer, None), None)
            run.coverage.note_unmatched(self._options.default_names)
            event = self._event("created", self._options.reason or "Taken.")
            # Also those of places that nobody watches yet: a new account may have its home there.
            header = Header(tuple(wanted), plan.roots, snapshot, (event,), mounts=run.host.mounts)
            seal = writer.finish(header.to_data())
        if self._options.expected is not None:
            run.coverage.add_seal(taken=True)
        return {**run.result(), **self._changed(header, seal, writer.entries)}

    def _accept(self, state: StateDirectory, name: str) -> dict[str, t.Any]:
        acceptance, packages_now, mounted, result = self._compared()
        if not (acceptance.count or packages_now):
            return result
        reader, old = self._opened.believed()
        event = self._event("accepted", self._options.reason, acceptance)
        header = old.followed_by(event, reader.seal, packages=packages_now or old.packages, mounts=mounted)
        with state.written(name) as stream:
            writer = Writer(stream, TrustedTimes(old.doubtful_times(self._now), None, {}).covers)
            rewrite(writer, reader, acceptance.lines)
            seal = writer.finish(header.to_data())
        return {**result, **self._changed(header, seal, writer.entries)}

    def _extend(self, state: StateDirectory, name: str) -> dict[str, t.Any]:
        reader, old = self._opened.believed()
        wanted = self._options.watches or old.watches
        run = RecordingRun(self._options, self._deadline, wanted, self._packages, old.packages)
        hidden = os.path.dirname(self._opened.path)
        old_plan = run.host.plan(old.watches, old.roots, hidden)

        def was_watched(point: bytes) -> bool:
            return mounts.is_watched(old_plan, point)

        others = mounts.find_changes(old.mounts, run.host.mounts, old_plan, reader.directories.__contains__)
        points = [change.point for change in others]
        plan = run.host.plan(wanted, definitions.roots_kept(old.watches, old.roots, wanted), hidden, points)

        def make_scan() -> Extend:
            return Extend(plan, old_plan, reader, self._deadline, self._packages)

        try:
            with state.written(name) as stream:
                writer = Writer(stream, TrustedTimes(old.doubtful_times(self._now), None, {}).covers)
                recording = Recording(writer, reader)
                run.run(plan, make_scan, recording, reader)
                self._note_mounts(run, others, old.watches)
                _check_news(recording.news or wanted != old.watches)
                difference = definitions.Difference.of(old.watches, wanted)
                event = self._event("extended", self._options.reason or difference.sentence())
                mounted = mounts.mounts_kept(old.mounts, run.host.mounts, was_watched)
                header = old.followed_by(event, reader.seal, watches=tuple(wanted), roots=plan.roots, mounts=mounted)
                seal = writer.finish(header.to_data())
        except _NothingNewError:
            return {"changed": False, "coverage": run.coverage.entries()}
        warning = run.coverage.note_added()
        result = {**run.result(), **self._changed(header, seal, writer.entries), **difference.result()}
        return {**result, "warnings": [warning]} if warning else result

    @staticmethod
    def _note_mounts(
        run: RecordingRun, changes: t.Iterable[mounts.MountChange], watches_of_old: t.Sequence[Watch]
    ) -> None:
        """Name what could not be extended, as another file system is mounted there than was recorded."""
        wanted = {scope.scope for scope in run.coverage.scopes}
        for change in changes:
            for name in {watches_of_old[watch].name for watch in change.watches} & wanted:
                run.coverage.skip(name, printable(change.point), change.reason)

    def _compared(self) -> tuple[Acceptance, Snapshot | None, mounts.Mounts | None, dict[str, t.Any]]:
        """Compare the host; return what is accepted, packages and mounts that go with it, and what either mode says.

        The packages move on with all that they explain, and not with single changes: the rest would lose its
        explanation.
        """

        def package(path: bytes) -> str | None:
            owned = self._packages.owner(path)
            return owned.key if owned else None

        acceptance = Acceptance(self._options.accept, self._options.max_changes, package)
        comparison = Comparison(self._options, self._opened, self._deadline, self._packages, acceptance)
        comparison.run()
        unread = acceptance.conclude()
        packages_now = None
        if acceptance.takes_explained or acceptance.takes_claimed:
            packages_now = comparison.packages_to_seal(acceptance.takes_claimed, acceptance.everything)
        result = {
            **diff.accepted(acceptance),
            "coverage": comparison.coverage.entries(),
            "diff": diff.changes_diff(acceptance),
        }
        if unread:
            result["warnings"] = ["%d changes were not accepted: their content could not be read" % len(unread)]
        mounted = mounts.accepted_mounts(self._opened.believed()[1].mounts, comparison.mounts.accepted)
        return acceptance, packages_now, mounted, result

    def _other_watches(self) -> bool:
        header = self._opened.header
        return header is not None and self._options.watches is not None and self._options.watches != header.watches

    def _has_gaps(self) -> bool:
        """Say whether there are directories that the baseline should have and hasn't yet."""
        reader = self._opened.reader
        return reader is not None and any(indexed.startswith(b"-") for indexed in reader.directories.values())

    def _event(self, action: str, reason: str, acceptance: Acceptance | None = None) -> Event:
        paths = tuple(printable(change.path) for change in acceptance.taken[:_KEPT_PATHS]) if acceptance else ()
        by = self._options.accepted_by or self._account
        return Event(self._now, time.time(), by, reason, action, acceptance.count if acceptance else 0, paths)

    def _changed(self, header: Header, seal: str, entries: int) -> dict[str, t.Any]:
        return {"changed": True, "written": seal, "baseline": {**summary(header, seal), "entries": entries}}
