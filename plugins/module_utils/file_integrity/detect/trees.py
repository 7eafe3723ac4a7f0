# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""New directories that hold others: one finding for the topmost, which says what arrived below it.

Only directories are summed up. Each file stays a finding: what is put below a directory later must not be lost in one
that is known already, or suppressed.
"""

from __future__ import annotations

import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils._finding import printable
from ansible_collections.bulwark.servers.plugins.module_utils.file_integrity import model
from ansible_collections.bulwark.servers.plugins.module_utils.file_integrity.classify.verdicts import DIRECTORY_ALERT
from ansible_collections.bulwark.servers.plugins.module_utils.file_integrity.watches.plan import parent

_SHOWN = 10
# A longer path is only counted: evidence has limited room, and whoever makes such a path wants it used up.
_LONGEST = 1_000


class NewTrees:
    """What new directories have below them. reviewed: the changes that are listed, with what they mean."""

    def __init__(self, reviewed: t.Sequence[tuple[model.FileChange, model.Verdict]]) -> None:
        # By watch, as each is a scope of its own.
        self._directories = {
            (change.watch, change.path) for change, verdict in reviewed if verdict.alert == DIRECTORY_ALERT
        }
        self._below: dict[tuple[str, bytes], dict[str, t.Any]] = {}
        for change, _verdict in reviewed if self._directories else ():
            top = self._top(change)
            if top is not None and change.kind == model.CREATED:
                self._add(top, change)

    def is_inner(self, change: model.FileChange) -> bool:
        """Say whether a change is a new directory below another one, whose finding tells of it."""
        return (change.watch, change.path) in self._directories and self._top(change) is not None

    def below(self, change: model.FileChange) -> dict[str, t.Any] | None:
        """Return how many ``files`` and ``directories`` are new below a new directory, and the first ``paths``."""
        return self._below.get((change.watch, change.path))

    def _add(self, top: tuple[str, bytes], change: model.FileChange) -> None:
        below = self._below.setdefault(top, {"files": 0, "directories": 0, "paths": []})
        is_directory = change.after is not None and change.after.type == model.DIRECTORY
        below["directories" if is_directory else "files"] += 1
        shown = printable(change.path)
        if len(below["paths"]) < _SHOWN and len(shown) <= _LONGEST:
            below["paths"].append(shown)

    def _top(self, change: model.FileChange) -> tuple[str, bytes] | None:
        top = None
        above = change.path
        while above != b"/":
            above = parent(above)
            if (change.watch, above) in self._directories:
                top = (change.watch, above)
        return top
