# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The changes that a person accepts, with the lines that go into the baseline."""

from __future__ import annotations

import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils._argspec import UsageError
from ansible_collections.bulwark.servers.plugins.module_utils._finding import printable
from ansible_collections.bulwark.servers.plugins.module_utils.file_integrity import model
from ansible_collections.bulwark.servers.plugins.module_utils.file_integrity.baseline import lines
from ansible_collections.bulwark.servers.plugins.module_utils.file_integrity.detect.changes import DetectedChange
from ansible_collections.bulwark.servers.plugins.module_utils.file_integrity.watches.plan import parent

# How many paths an error names.
_SHOWN_PATHS = 10


class Acceptance:
    """Chooses the changes that a person accepts, and keeps their lines.

    wanted: ``all``, ``explained``, ``claimed``, change ids and printable paths. limit: how many changes ``taken``
    returns. package: tells the key of the package that owns a path. lines: by directory and escaped name, the new line,
    None for what is gone.
    """

    def __init__(self, wanted: t.Sequence[str], limit: int, package: t.Callable[[bytes], str | None]) -> None:
        self._package = package
        self._all = "all" in wanted
        self._explained = "explained" in wanted
        self._claimed = "claimed" in wanted
        self._names = {name for name in wanted if name not in ("all", "explained", "claimed")}
        self._matched: set[str] = set()
        self._limit = limit
        self._unread: list[str] = []
        self.lines: dict[bytes, dict[bytes, bytes | None]] = {}
        # Those that need a person, and those that are explained.
        self._taken: tuple[list[model.FileChange], list[model.FileChange]] = ([], [])
        self.count = 0

    @property
    def everything(self) -> bool:
        return self._all

    @property
    def takes_explained(self) -> bool:
        """Say whether every change that is explained is accepted."""
        return self._all or self._explained

    @property
    def takes_claimed(self) -> bool:
        """Say whether every change that is claimed is accepted."""
        return self._all or self._claimed

    @property
    def taken(self) -> list[model.FileChange]:
        """Return what is accepted, as much as the limit allows of it: what is explained last."""
        return [change for change, _is_explained in self._listed()]

    def consider(self, detected: DetectedChange, verdict: model.Verdict) -> None:
        change = detected.change
        shown = {change.id, printable(change.path)}
        if change.before is not None:
            shown.add(printable(change.before.path))
        named = shown & self._names
        in_bulk = (self._explained and verdict.explained) or (self._claimed and verdict.claimed)
        if not (named or self._all or in_bulk):
            return
        self._matched |= named
        line = None if detected.state is None else lines.recorded(detected.state, self._package(change.path))
        if line is not None and lines.is_unread(line):
            # Whoever accepts it would accept content that nobody has seen.
            self._unread.append(printable(change.path))
            return
        if change.before is not None and change.before.path != change.path:
            self._set(change.before.path, None)
        self._set(change.path, line)
        self.count += 1
        taken = self._taken[verdict.explained]
        if len(taken) < self._limit:
            taken.append(change)

    def takes(self, change: model.FileChange) -> bool:
        """Take a change that no line of the baseline has, such as a mount; return whether it is accepted."""
        named = {change.id, printable(change.path)} & self._names
        self._matched |= named
        if not (named or self._all):
            return False
        self.count += 1
        if len(self._taken[0]) < self._limit:
            self._taken[0].append(change)
        return True

    def conclude(self) -> str | None:
        """Return which changes could not be accepted with all others; raise UsageError when a named one could not."""
        missing = sorted(self._names - self._matched)
        if missing:
            raise UsageError(
                "nothing was accepted: %s is not a current change; compare again and review the changes"
                % ", ".join("'%s'" % name for name in missing[:_SHOWN_PATHS])
            )
        if not self._unread:
            return None
        reason = "the content of %s could not be read; see the coverage" % ", ".join(self._unread[:_SHOWN_PATHS])
        if self._names:
            raise UsageError("nothing was accepted: %s" % reason)
        return "not accepted (%d): %s" % (len(self._unread), reason)

    def described(self) -> list[dict[str, t.Any]]:
        return [
            {
                "id": change.id,
                "path": printable(change.path),
                "kind": change.kind,
                "explained": is_explained,
            }
            for change, is_explained in self._listed()
        ]

    def _listed(self) -> list[tuple[model.FileChange, bool]]:
        return [(change, bool(which)) for which in (0, 1) for change in self._taken[which]][: self._limit]

    def _set(self, path: bytes, line: bytes | None) -> None:
        name = lines.escape(path[path.rindex(b"/") + 1 :])
        self.lines.setdefault(parent(path), {})[name] = line
