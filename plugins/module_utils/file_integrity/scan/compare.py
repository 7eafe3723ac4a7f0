# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Compare directories with a baseline."""

from __future__ import annotations

import os
import stat
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils import _run
from ansible_collections.bulwark.servers.plugins.module_utils._state import DamagedError
from ansible_collections.bulwark.servers.plugins.module_utils.file_integrity.baseline import lines
from ansible_collections.bulwark.servers.plugins.module_utils.file_integrity.baseline.differences import differing
from ansible_collections.bulwark.servers.plugins.module_utils.file_integrity.baseline.merkle_tree import (
    IndexEntry,
    Reader,
)
from ansible_collections.bulwark.servers.plugins.module_utils.file_integrity.scan.change_times import TrustedTimes
from ansible_collections.bulwark.servers.plugins.module_utils.file_integrity.scan.directory import Scan
from ansible_collections.bulwark.servers.plugins.module_utils.file_integrity.scan.nodes import Node
from ansible_collections.bulwark.servers.plugins.module_utils.file_integrity.scan.results import Difference
from ansible_collections.bulwark.servers.plugins.module_utils.file_integrity.scan.status_digester import StatusDigester
from ansible_collections.bulwark.servers.plugins.module_utils.file_integrity.watches.plan import (
    NOBODY,
    Plan,
    Rules,
    child,
)

# How many differences are gathered before they are sent on: a directory can have a million.
_MOST_DIFFERENCES = 2000
# The same in bytes of their lines: an access control list can have 64 KiB.
_MOST_DIFFERING = 4 << 20

# No package holds a larger file: a tar header, as dpkg's archives have, can say no larger size (tar(5)), and nobody
# ships such a program by rpm.
_LARGEST_PACKAGED = 8 << 30


def by_name(block: bytes) -> dict[bytes, bytes]:
    """Return a block's lines by their escaped names."""
    return {line[: line.index(b" ")]: line for line in block.split(b"\n")} if block else {}


class Compare(Scan):
    """Finds the entries whose line is not what the baseline has.

    verifying: tells the digest algorithms that a changed file needs to be compared with its package. trust: don't read
    a file whose status is as recorded (``rehash: changed``) where that can be believed; None to read every file.
    """

    def __init__(
        self,
        plan: Plan,
        reader: Reader,
        deadline: _run.Deadline,
        verifying: t.Callable[[], t.Sequence[str]],
        trust: TrustedTimes | None,
    ) -> None:
        super().__init__(plan, reader.directories, deadline)
        self._reader = reader
        self._verifying = verifying
        self._trust = trust
        self._believed: TrustedTimes | None = None
        self._status_digester = StatusDigester(plan, reader, self.nodes, self.layouts, deadline)
        self._indexed: IndexEntry | None = None
        self._is_too_large = False
        self._device = 0
        self._recorded: dict[bytes, bytes] = {}

    def begin(self, directory: bytes) -> bool:
        indexed = self._indexed = self._reader.index_entry(directory)
        self._recorded = {}
        self._believed = self._trust if self._trust is not None and self._trust.holds_in(directory) else None
        if indexed is None:
            return True
        if indexed.pending is not None:
            self._explain(directory, "it is not in the baseline: %s" % indexed.pending)
            return False
        return self._has_status_digest() or self._load(directory, indexed)

    def _has_status_digest(self) -> bool:
        """Say whether the lines of the directory are only needed if its status digest turns out to be another one."""
        return self._believed is not None and self._indexed is not None and self._indexed.status_digest is not None

    def _load(self, directory: bytes, indexed: IndexEntry) -> bool:
        """Take in the lines of a directory; return whether they are what the seal covers."""
        try:
            self._recorded = by_name(self._reader.block(indexed))
        except DamagedError:
            for watch in self.plan.rules(directory).watches or {0}:
                self.report.damaged.append((watch, directory))
            return False
        return True

    def settled(self, descriptor: int, directory: bytes, rules: Rules, status: os.stat_result) -> bool:
        self._device = status.st_dev
        indexed = self._indexed
        if indexed is None or self._believed is None or indexed.status_digest is None:
            return False
        stamped = self._status_digester.is_stamped(self._believed, directory, rules, indexed, status)
        if stamped and not self._load(directory, indexed):
            return True
        now = self._status_digester.read(descriptor, directory, rules, status, self._recorded if stamped else None)
        if now is None or now.status_digest != indexed.status_digest:
            return not (stamped or self._load(directory, indexed))
        self._recorded = {}
        examined = self.report.examined
        for owner, _below in now.rules.values():
            examined[owner] = examined.get(owner, 0) + 1
        for name in now.directories:
            below = now.rules[name][1]
            if below.active:
                self.note_directory(child(directory, name), below)
        return True

    def entry(self, directory: int, path: bytes, name: bytes, owner: int) -> int:
        # Most names are their own escaped form, which only a backslash makes doubtful.
        escaped = name if name in self._recorded and b"\\" not in name else lines.escape(name)
        before = self._recorded.get(escaped)
        if before is None:
            return self._compare(directory, path, name, owner, escaped, None)
        layout = self.layouts[owner]
        # A directory's times aren't recorded, as they change with what is in it: they vouch for nothing.
        if self._believed is not None and layout.trusts_status and not lines.is_directory(before, escaped):
            status = os.stat(name, dir_fd=directory, follow_symlinks=False)
            if before.startswith(layout.status(escaped, status)) and self._vouches(status, before):
                del self._recorded[escaped]
                return status.st_mode
        mode = self._compare(directory, path, name, owner, escaped, before)
        del self._recorded[escaped]
        return mode

    def _vouches(self, status: os.stat_result, before: bytes) -> bool:
        """Say whether a status that is as recorded tells that the entry is as recorded.

        It does not for what is mounted on a name, for content that could not be read, nor for a program that has to be
        compared with its package again.
        """
        is_here = status.st_dev == self._device
        return (
            is_here and lines.is_settled(before) and bool(self._believed and self._believed.covers(status.st_ctime_ns))
        )

    def withheld(self, name: bytes) -> bool:
        return self._recorded.pop(lines.escape(name), None) is not None

    def finish(self, directory: bytes) -> None:
        """Report the entries that the baseline has and the directory has not as deleted."""
        if not self._recorded:
            return
        rules = self.plan.rules(directory)
        for escaped, line in self._recorded.items():
            name = lines.unescape(escaped)
            owner = rules.look(name)[0]
            if owner == NOBODY:
                owner = min(rules.watches, default=0)
            self._add(Difference(child(directory, name), owner, line, None))

    def gone(self, directory: bytes) -> None:
        if self._indexed is None or not self._has_status_digest() or self._load(directory, self._indexed):
            self.finish(directory)

    def unreadable(self, directory: bytes, reason: str) -> None:
        """Report nothing: the coverage has it, and it is neither there nor gone."""

    def _compare(
        self, directory: int, path: bytes, name: bytes, owner: int, escaped: bytes, before: bytes | None
    ) -> int:
        def extra(status: os.stat_result, beginning: bytes) -> t.Sequence[str]:
            # Anything but an untouched file will have to be compared with its package: hash for that in the same read.
            is_untouched = before is not None and before.startswith(beginning)
            self._is_too_large = not is_untouched and status.st_size > _LARGEST_PACKAGED
            return () if is_untouched or self._is_too_large else self._verifying()

        self._is_too_large = False
        was_directory = before is not None and lines.is_directory(before, escaped)
        read = self.nodes.read_directory if was_directory else self.nodes.read
        node = read(directory, name, escaped, self.layouts[owner], extra)
        if node.problem:
            self.skip(owner, path, node.problem)
        if before is None or not lines.states(before, node.state):
            self._differs(directory, path, name, owner, before, node)
        return node.mode

    def _differs(self, directory: int, path: bytes, name: bytes, owner: int, before: bytes | None, node: Node) -> None:
        """Look closer: the lines differ, but perhaps not in anything that can be compared."""
        if before is None:
            self._found_difference(path, owner, None, node)
            return
        marked = lines.is_marked(before)
        known = {*lines.digests_of(lines.recorded(node.state, None)), *(node.extra or ())}
        wanted = [name for name in lines.digests_of(before) if name not in known]
        wanted += self._verifying() if node.extra is None and not self._is_too_large else ()
        if wanted and stat.S_ISREG(node.mode) and not lines.is_unread(lines.recorded(node.state, None)):
            again = self._again(directory, name, owner, wanted)
            if again.problem:
                self.skip(owner, path, again.problem)
            node = node if again.problem else again
        watch = self.plan.watches[owner]
        changed = differing(
            lines.parse(before, path, watch.name),
            lines.parse(lines.recorded(node.state, None), path, watch.name, node.extra),
            watch,
        )
        if changed:
            self._found_difference(path, owner, before, node)
        elif marked:
            self._add(Difference(path, owner, before, before, self._extra(node)))

    def _again(self, directory: int, name: bytes, owner: int, algorithms: t.Sequence[str]) -> Node:
        """Read once more, for the digests that nobody knew would be needed."""
        return self.nodes.read(directory, name, lines.escape(name), self.layouts[owner], lambda _s, _b: algorithms)

    def _found_difference(self, path: bytes, owner: int, before: bytes | None, node: Node) -> None:
        self._add(Difference(path, owner, before, lines.recorded(node.state, None), self._extra(node)))

    def _extra(self, node: Node) -> t.Mapping[str, str] | None:
        """Return the digests for the comparison with packages: no digest at all is that of what is too large for any.

        Its content is not read for that: a hole of a terabyte would take minutes.
        """
        if not self._is_too_large or lines.is_unread(lines.recorded(node.state, None)):
            return node.extra
        read = {**lines.digests_of(lines.recorded(node.state, None)), **(node.extra or {})}
        return {**dict.fromkeys(self._verifying(), ""), **read}

    def _add(self, difference: Difference) -> None:
        self.report.differences.append(difference)
        self.report.differing += len(difference.before or b"") + len(difference.after or b"")
        if len(self.report.differences) >= _MOST_DIFFERENCES or self.report.differing >= _MOST_DIFFERING:
            self.flush()

    def _explain(self, directory: bytes, reason: str) -> None:
        for watch in self.plan.rules(directory).watches:
            self.skip(watch, directory, reason)
