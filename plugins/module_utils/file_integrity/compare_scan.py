# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Comparing directories with a baseline."""

from __future__ import annotations

import os
import stat
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils import _run
from ansible_collections.bulwark.servers.plugins.module_utils._state import DamagedError
from ansible_collections.bulwark.servers.plugins.module_utils.file_integrity import lines
from ansible_collections.bulwark.servers.plugins.module_utils.file_integrity.baseline import Reader
from ansible_collections.bulwark.servers.plugins.module_utils.file_integrity.differ import differing
from ansible_collections.bulwark.servers.plugins.module_utils.file_integrity.nodes import Node
from ansible_collections.bulwark.servers.plugins.module_utils.file_integrity.plan import NOBODY, Plan, child
from ansible_collections.bulwark.servers.plugins.module_utils.file_integrity.results import Difference
from ansible_collections.bulwark.servers.plugins.module_utils.file_integrity.scan import Scan

# How many differences are gathered before they are sent on: a directory can have a million.
_MOST_DIFFERENCES = 2000
# The same in bytes of their lines: an access control list can have 64 KiB.
_MOST_DIFFERING = 4 << 20


def by_name(block: bytes) -> dict[bytes, bytes]:
    """Return a block's lines by their escaped names."""
    return {line[: line.index(b" ")]: line for line in block.split(b"\n")} if block else {}


class Compare(Scan):
    """Finds the entries whose line is not what the baseline has.

    verifying: tells the digest algorithms that a changed file needs to be compared with its package. racy: don't read
    a file whose status is as recorded (``rehash: changed``), unless its change time is in one of these spans of
    nanoseconds, see ``Header.reading_times``; None to read every file.
    """

    def __init__(
        self,
        plan: Plan,
        reader: Reader,
        deadline: _run.Deadline,
        verifying: t.Callable[[], t.Sequence[str]],
        racy: t.Sequence[tuple[int, int]] | None,
    ) -> None:
        super().__init__(plan, reader.directories, deadline)
        self._reader = reader
        self._verifying = verifying
        self._racy = racy
        self._raciest = min((start for start, _end in racy or ()), default=0)
        self._recorded: dict[bytes, bytes] = {}

    def begin(self, directory: bytes) -> bool:
        place = self._reader.place(directory)
        self._recorded = {}
        if place is None:
            return True
        if place.pending is not None:
            self._explain(directory, "it is not in the baseline: %s" % place.pending)
            return False
        try:
            self._recorded = by_name(self._reader.block(place))
        except DamagedError:
            for watch in self.plan.rules(directory).watches or {0}:
                self.report.damaged.append((watch, directory))
            return False
        return True

    def entry(self, directory: int, path: bytes, name: bytes, owner: int) -> int:
        # Most names are their own escaped form, which only a backslash makes doubtful.
        escaped = name if name in self._recorded and b"\\" not in name else lines.escape(name)
        before = self._recorded.get(escaped)
        if before is None:
            return self._compare(directory, path, name, owner, escaped, None)
        layout = self.layouts[owner]
        # A directory's times aren't recorded, as they change with what is in it: they vouch for nothing.
        if self._racy is not None and layout.trusts_status and not lines.is_directory(before, escaped):
            status = os.stat(name, dir_fd=directory, follow_symlinks=False)
            if before.startswith(layout.status(escaped, status)) and self._vouches(status.st_ctime_ns, before):
                del self._recorded[escaped]
                return status.st_mode
        mode = self._compare(directory, path, name, owner, escaped, before)
        del self._recorded[escaped]
        return mode

    def withheld(self, name: bytes) -> bool:
        return self._recorded.pop(lines.escape(name), None) is not None

    def finish(self, directory: bytes) -> None:
        """What the baseline has and the directory has not, is deleted."""
        if not self._recorded:
            return
        rules = self.plan.rules(directory)
        for escaped, line in self._recorded.items():
            name = lines.unescape(escaped)
            owner = rules.look(name)[0]
            if owner == NOBODY:
                owner = min(rules.watches, default=0)
            self._add(Difference(child(directory, name), owner, line, None))

    gone = finish

    def unreadable(self, directory: bytes, reason: str) -> None:
        """What could not be read is neither there nor gone: the coverage has it."""

    def _compare(
        self, directory: int, path: bytes, name: bytes, owner: int, escaped: bytes, before: bytes | None
    ) -> int:
        def extra(_status: os.stat_result, beginning: bytes) -> t.Sequence[str]:
            # Anything but an untouched file will have to be compared with its package: hash for that in the same read.
            return () if before is not None and before.startswith(beginning) else self._verifying()

        was_directory = before is not None and lines.is_directory(before, escaped)
        read = self.nodes.read_directory if was_directory else self.nodes.read
        node = read(directory, name, escaped, self.layouts[owner], extra)
        if node.problem:
            self.skip(owner, path, node.problem)
        if before is None or not lines.states(before, node.state):
            self._differs(directory, path, name, owner, before, node)
        return node.mode

    def _vouches(self, changed: int, before: bytes) -> bool:
        """Say whether a status that is as recorded, its change time among it, tells that the entry is as recorded.

        It does not for content that could not be read, nor for a program that has to be compared with its package
        again.
        """
        if not lines.is_settled(before):
            return False
        return changed < self._raciest or not any(start <= changed <= end for start, end in self._racy or ())

    def _differs(self, directory: int, path: bytes, name: bytes, owner: int, before: bytes | None, node: Node) -> None:
        """Look closer: the lines differ, but perhaps not in anything that can be compared."""
        if before is None:
            self._found_difference(path, owner, None, node)
            return
        marked = lines.is_marked(before)
        wanted = [a for a in lines.digests_of(before) if a not in self.layouts[owner].hashes]
        wanted += self._verifying() if node.extra is None else ()
        if wanted and stat.S_ISREG(node.mode) and not lines.is_unread(lines.recorded(node.state, None)):
            node = self._again(directory, name, owner, wanted)
        watch = self.plan.watches[owner]
        changed = differing(
            lines.parse(before, path, watch.name),
            lines.parse(lines.recorded(node.state, None), path, watch.name, node.extra),
            watch,
        )
        if changed:
            self._found_difference(path, owner, before, node)
        elif marked:
            self._add(Difference(path, owner, before, before, node.extra))

    def _again(self, directory: int, name: bytes, owner: int, algorithms: t.Sequence[str]) -> Node:
        """Read once more, for the digests that nobody knew would be needed."""
        return self.nodes.read(directory, name, lines.escape(name), self.layouts[owner], lambda _s, _b: algorithms)

    def _found_difference(self, path: bytes, owner: int, before: bytes | None, node: Node) -> None:
        self._add(Difference(path, owner, before, lines.recorded(node.state, None), node.extra))

    def _add(self, difference: Difference) -> None:
        self.report.differences.append(difference)
        self.report.differing += len(difference.before or b"") + len(difference.after or b"")
        if len(self.report.differences) >= _MOST_DIFFERENCES or self.report.differing >= _MOST_DIFFERING:
            self.flush()

    def _explain(self, directory: bytes, reason: str) -> None:
        for watch in self.plan.rules(directory).watches:
            self.skip(watch, directory, reason)
