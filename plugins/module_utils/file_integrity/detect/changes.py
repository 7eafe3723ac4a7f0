# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Turn differing lines into changes with their kinds, and pair the two sides of a renaming."""

from __future__ import annotations

import collections
import hashlib
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils.file_integrity import model
from ansible_collections.bulwark.servers.plugins.module_utils.file_integrity.baseline import lines
from ansible_collections.bulwark.servers.plugins.module_utils.file_integrity.baseline.differences import (
    differing,
    same_content,
)
from ansible_collections.bulwark.servers.plugins.module_utils.file_integrity.scan.results import Difference

# Creations and deletions wait for each other to be paired. A change of more files than this is no renaming.
_MOST_WAITING = 20000
_MOST_WAITING_BYTES = 64 << 20


class DetectedChange(t.NamedTuple):
    """A change and the state that accepts it, None when it is accepted that nothing is there."""

    change: model.FileChange
    state: bytes | None


class Changes:
    """Makes changes of differences as they come. ``emit`` gets each once; ``finish`` must be called at the end."""

    def __init__(self, watches: t.Sequence[model.Watch], emit: t.Callable[[DetectedChange], None]) -> None:
        self._watches = watches
        self._emit = emit
        self._created: dict[bytes, Difference] = {}
        self._deleted: dict[bytes, Difference] = {}
        self._waiting_bytes = 0

    def add(self, difference: Difference) -> None:
        line = difference.after or difference.before
        waiting = self._waiting(difference)
        if (
            waiting is not None
            and line is not None
            and lines.type_of(line) == model.FILE
            and len(waiting) < _MOST_WAITING
            and self._waiting_bytes < _MOST_WAITING_BYTES
        ):
            self._waiting_bytes += len(line)
            waiting[difference.path] = difference
        else:
            self._emit(self._change(difference))

    def finish(self) -> None:
        """Pair what was deleted with what was created, and emit the rest as it is."""
        if self._created and self._deleted:
            for old, new in self._pairs():
                del self._deleted[old.path]
                del self._created[new.path]
                self._emit(self._renamed(old, new))
        for waiting in (self._deleted, self._created):
            for difference in waiting.values():
                self._emit(self._change(difference))
            waiting.clear()

    def _waiting(self, difference: Difference) -> dict[bytes, Difference] | None:
        if difference.before is None:
            return self._created
        return self._deleted if difference.after is None else None

    def _pairs(self) -> list[tuple[Difference, Difference]]:
        """Return deletions with the creation that has the same inode and content, or else uniquely the same content."""
        old = [(difference, self._entry(difference, difference.before)) for difference in self._deleted.values()]
        new = [(difference, self._entry(difference, difference.after)) for difference in self._created.values()]
        pairs: list[tuple[Difference, Difference]] = []
        used: set[bytes] = set()
        inodes = {entry.inode: (difference, entry) for difference, entry in new if entry.inode is not None}
        for difference, entry in old:
            match = inodes.get(entry.inode) if entry.inode is not None else None
            if match is not None and match[0].path not in used and same_content(entry, match[1]):
                pairs.append((difference, match[0]))
                used.update((difference.path, match[0].path))
        olds = _by_content(pair for pair in old if pair[0].path not in used)
        news = _by_content(pair for pair in new if pair[0].path not in used)
        for key, candidates in olds.items():
            if len(candidates) == 1 and len(news.get(key, ())) == 1:
                pairs.append((candidates[0], news[key][0]))
        return pairs

    def _change(self, difference: Difference) -> DetectedChange:
        before = self._entry(difference, difference.before)
        after = self._entry(difference, difference.after)
        watch = self._watches[difference.watch]
        attributes: tuple[str, ...] = ()
        if difference.before is None:
            kind = model.CREATED
        elif difference.after is None:
            kind = model.DELETED
        elif lines.state_of(difference.before) == lines.state_of(difference.after):
            kind = model.PACKAGE_MISMATCH
        else:
            attributes = differing(t.cast("model.Entry", before), t.cast("model.Entry", after), watch)
            kind = model.REPLACED_TYPE if "type" in attributes else model.MODIFIED
        return self._found(kind, difference, before, after, attributes)

    def _renamed(self, old: Difference, new: Difference) -> DetectedChange:
        before = self._entry(old, old.before)
        after = self._entry(new, new.after)
        attributes = differing(t.cast("model.Entry", before), t.cast("model.Entry", after), self._watches[new.watch])
        return self._found(model.RENAMED, new, before, after, attributes)

    def _found(
        self,
        kind: str,
        difference: Difference,
        before: model.Entry | None,
        after: model.Entry | None,
        attributes: tuple[str, ...],
    ) -> DetectedChange:
        state = None if difference.after is None else lines.state_of(difference.after)
        identity = (kind, difference.path, before.path if before else None, state)
        identifier = hashlib.sha256(repr(identity).encode()).hexdigest()[:32]
        watch = self._watches[difference.watch].name
        return DetectedChange(
            model.FileChange(kind, difference.path, watch, before, after, attributes, identifier), state
        )

    def _entry(self, difference: Difference, line: bytes | None) -> t.Any:
        if line is None:
            return None
        extra = difference.extra if line is difference.after else None
        return lines.parse(line, difference.path, self._watches[difference.watch].name, extra)


def _by_content(
    pairs: t.Iterable[tuple[Difference, model.Entry]],
) -> dict[tuple[int | None, str], list[Difference]]:
    """Group files that aren't empty by size and digest."""
    groups: dict[tuple[int | None, str], list[Difference]] = collections.defaultdict(list)
    for difference, entry in pairs:
        if entry.size and entry.hashes:
            digest = entry.hashes.get("sha256") or entry.hashes[min(entry.hashes)]
            groups[(entry.size, digest)].append(difference)
    return groups
