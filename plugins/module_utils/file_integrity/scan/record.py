# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Record directories for a baseline, and extend one."""

from __future__ import annotations

import os
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils import _run
from ansible_collections.bulwark.servers.plugins.module_utils.file_integrity import model
from ansible_collections.bulwark.servers.plugins.module_utils.file_integrity.baseline import lines, status_digests
from ansible_collections.bulwark.servers.plugins.module_utils.file_integrity.baseline.differences import differing
from ansible_collections.bulwark.servers.plugins.module_utils.file_integrity.baseline.merkle_tree import (
    IndexEntry,
    Reader,
)
from ansible_collections.bulwark.servers.plugins.module_utils.file_integrity.scan.compare import by_name
from ansible_collections.bulwark.servers.plugins.module_utils.file_integrity.scan.directory import Scan
from ansible_collections.bulwark.servers.plugins.module_utils.file_integrity.scan.nodes import Node
from ansible_collections.bulwark.servers.plugins.module_utils.file_integrity.scan.results import Block, Difference
from ansible_collections.bulwark.servers.plugins.module_utils.file_integrity.watches.definitions import recording
from ansible_collections.bulwark.servers.plugins.module_utils.file_integrity.watches.plan import NOBODY, Plan, Rules


class Record(Scan):
    """Records directories as they are, and marks programs whose content isn't what their package installs."""

    def __init__(
        self, plan: Plan, known: t.Container[bytes], deadline: _run.Deadline, packages: model.Packages
    ) -> None:
        super().__init__(plan, known, deadline)
        self._packages = packages
        self._verifiable = packages.digest_algorithms()
        self._lines: dict[bytes, bytes] = {}
        self._stamp: bytes | None = None
        self._content_before = 0
        self._found_before = 0

    def begin(self, directory: bytes) -> bool:
        self._lines = {}
        self._stamp = None
        self._content_before = self.nodes.content.bytes_read
        self._found_before = len(self.report.differences)
        return True

    def settled(self, descriptor: int, directory: bytes, rules: Rules, status: os.stat_result) -> bool:
        if rules.only is not None and rules.only[0] != NOBODY:
            self._stamp = status_digests.stamp(status)
        return False

    def entry(self, directory: int, path: bytes, name: bytes, owner: int) -> int:
        node, line = self.recorded(directory, path, name, owner)
        self._lines[name] = line
        return node.mode

    def withheld(self, name: bytes) -> bool:
        """Leave out an entry that may not be looked at; it will be new to whoever may."""
        self._stamp = None
        return False

    def recorded(self, directory: int, path: bytes, name: bytes, owner: int) -> tuple[Node, bytes]:
        """Return an entry and its line as it goes into the baseline."""
        owned = self._packages.owner(path)
        verifiable = self._verifiable_digests(owned)

        def extra(status: os.stat_result, _beginning: bytes) -> t.Sequence[str]:
            return verifiable if model.is_code(path, status.st_mode) else ()

        node = self.nodes.read(directory, name, lines.escape(name), self.layouts[owner], extra)
        if node.problem:
            self.skip(owner, path, node.problem)
        line = lines.recorded(node.state, owned.key if owned else None)
        if owned and verifiable and node.extra and owned.has_content(node.extra) is False:
            line = lines.recorded(node.state, owned.key, marked=True)
            self.report.differences.append(Difference(path, owner, line, line, node.extra))
        return node, line

    def finish(self, directory: bytes) -> None:
        block = b"\n".join(line for _name, line in sorted(self._lines.items()))
        content = self.nodes.content.bytes_read - self._content_before
        self.report.blocks.append(Block(directory, block, len(self._lines), content, stamp=self._stamp))

    def gone(self, directory: bytes) -> None:
        """Record nothing of a directory that went away between being listed and being read."""

    def unreadable(self, directory: bytes, reason: str) -> None:
        del self.report.differences[self._found_before :]
        self.report.blocks.append(Block(directory, None, pending=reason))

    def _verifiable_digests(self, owned: model.Owned | None) -> tuple[str, ...]:
        """Return the algorithms of a package's digests of a file that nobody is meant to edit."""
        if owned is None or owned.conffile or owned.ghost:
            return ()
        return tuple(algorithm for algorithm in owned.digests if algorithm in self._verifiable)


class Extend(Record):
    """Adds what new and changed watches cover to what a baseline already has, and keeps that as it is.

    An entry that is recorded stays so, even when it differs by now: that is a change for a person to review. It
    is only brought to the form that its watch asks for now, when nothing that can be compared has changed. An
    entry that the old watches covered without having recorded it is such a change too, and stays out.
    """

    def __init__(
        self, plan: Plan, old_plan: Plan, reader: Reader, deadline: _run.Deadline, packages: model.Packages
    ) -> None:
        super().__init__(plan, reader.directories, deadline, packages)
        self._old_plan = old_plan
        self._reader = reader
        old = {recording(watch) for watch in old_plan.watches}
        new = {recording(watch) for watch in plan.watches}
        self._changed = frozenset(i for i, watch in enumerate(plan.watches) if recording(watch) not in old)
        self._dropped = frozenset(i for i, watch in enumerate(old_plan.watches) if recording(watch) not in new)
        self._indexed: IndexEntry | None = None
        self._recorded: dict[bytes, bytes] = {}
        self._added: list[int] = []

    def begin(self, directory: bytes) -> bool:
        super().begin(directory)
        self._added = []
        indexed = self._indexed = self._reader.index_entry(directory)
        self._recorded = {}
        rules = self.plan.rules(directory)
        if indexed is None:
            return bool(rules.watches & self._changed)
        if not rules.active:
            if self.plan.is_beyond(directory):
                # What a mount covers for now is still watched.
                self.report.blocks.append(Block(directory, None, pending=indexed.pending))
            return False
        if indexed.pending is not None:
            return True
        involved = rules.watches & self._changed or self._old_plan.rules(directory).watches & self._dropped
        if not involved:
            self.report.blocks.append(Block(directory, None))
            return False
        self._recorded = by_name(self._reader.block(indexed))
        return True

    def settled(self, descriptor: int, directory: bytes, rules: Rules, status: os.stat_result) -> bool:
        """Make no stamp: it would say that the changes that wait for a review are not there."""
        return False

    def entry(self, directory: int, path: bytes, name: bytes, owner: int) -> int:
        before = self._recorded.pop(lines.escape(name), None)
        if before is not None and owner not in self._changed:
            self._lines[name] = before
        elif before is not None:
            self._lines[name] = self._brought_up(directory, path, name, owner, before)
        elif self._is_new(path, owner):
            self._added.append(owner)
            return super().entry(directory, path, name, owner)
        return os.stat(name, dir_fd=directory, follow_symlinks=False).st_mode

    def finish(self, directory: bytes) -> None:
        """Keep recorded entries that are gone, if a watch still wants them: they are deletions to review."""
        rules = self.plan.rules(directory)
        for escaped, line in self._recorded.items():
            name = lines.unescape(escaped)
            if rules.look(name)[0] != NOBODY:
                self._lines[name] = line
        super().finish(directory)
        for owner in self._added:
            self.report.added[owner] = self.report.added.get(owner, 0) + 1

    def gone(self, directory: bytes) -> None:
        if self._recorded:
            self.finish(directory)

    def unreadable(self, directory: bytes, reason: str) -> None:
        if self._indexed is not None and self._indexed.pending is None:
            self.report.blocks.append(Block(directory, None))
        else:
            super().unreadable(directory, reason)

    def _is_new(self, path: bytes, owner: int) -> bool:
        """Say whether an entry is to be recorded now: it isn't there because nobody asked for it until now."""
        if self._indexed is not None and self._indexed.pending is not None:
            return True
        return owner in self._changed and self._old_plan.owner(path) == NOBODY

    def _brought_up(self, directory: int, path: bytes, name: bytes, owner: int, before: bytes) -> bytes:
        """Return the line in its watch's present form, or as it was when the entry has changed."""
        watch = self.plan.watches[owner]
        recorded = lines.digests_of(before)
        further = tuple(recorded)
        node = self.nodes.read(directory, name, lines.escape(name), self.layouts[owner], lambda _s, _b: further)
        old = lines.parse(before, path, watch.name)
        line = lines.recorded(node.state, old.package, old.package_mismatch)
        if node.problem or differing(old, lines.parse(line, path, watch.name, node.extra), watch):
            return before
        return line
