# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Write baselines: a first one, one that covers more, and one with accepted changes."""

from __future__ import annotations

import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils.file_integrity import model
from ansible_collections.bulwark.servers.plugins.module_utils.file_integrity.baseline import lines
from ansible_collections.bulwark.servers.plugins.module_utils.file_integrity.baseline.merkle_tree import (
    IndexEntry,
    Reader,
    Writer,
)
from ansible_collections.bulwark.servers.plugins.module_utils.file_integrity.scan.compare import by_name
from ansible_collections.bulwark.servers.plugins.module_utils.file_integrity.scan.results import Block
from ansible_collections.bulwark.servers.plugins.module_utils.file_integrity.watches.plan import child, parent

Lines = t.Mapping[bytes, t.Mapping[bytes, t.Optional[bytes]]]


class Recording:
    """Puts the blocks of a run into a new baseline; ``old`` has those that are kept as they are.

    news: whether anything differs from ``old``.
    """

    def __init__(self, writer: Writer, old: Reader | None) -> None:
        self._writer = writer
        self._old = old
        self.news = old is None

    def add(self, block: Block) -> None:
        indexed = self._old.index_entry(block.directory) if self._old else None
        if block.pending is not None:
            self._writer.add_pending(block.directory, block.pending)
            self.news = self.news or indexed is None or indexed.pending is None
        elif block.block is not None:
            content = max(block.content, indexed.content if indexed else 0)
            self._writer.add(block.directory, block.block, block.entries, content, block.stamp)
            if self._old is not None and not self.news:
                same = indexed is not None and indexed.pending is None and self._old.block(indexed) == block.block
                self.news = not same
        elif self._old is not None and indexed is not None:
            self._writer.keep(block.directory, self._old.block(indexed), indexed)


def rewrite(writer: Writer, old: Reader, accepted: Lines) -> None:
    """Write ``old`` again with the accepted lines in it; DamagedError when ``old`` isn't what its seal covers."""
    for directory, indexed in old.index_entries():
        if indexed.pending is not None:
            writer.add_pending(directory, indexed.pending)
        elif directory in accepted or _is_gone(directory, accepted):
            _patched(writer, directory, by_name(old.block(indexed)), accepted, indexed)
        else:
            writer.keep(directory, old.block(indexed), indexed)
    for directory in accepted:
        if directory not in old.directories:
            _patched(writer, directory, {}, accepted, None)
    _write_new_empty_ones(writer, old, accepted)


def _patched(
    writer: Writer, directory: bytes, entries: dict[bytes, bytes], accepted: Lines, indexed: IndexEntry | None
) -> None:
    before = set(entries)
    for name, line in accepted.get(directory, {}).items():
        if line is None:
            entries.pop(name, None)
        else:
            entries[name] = line
    if not entries and _is_gone(directory, accepted):
        return
    ordered = sorted(entries.items(), key=lambda item: lines.unescape(item[0]))
    block = b"\n".join(line for _name, line in ordered)
    # The stamp is of a directory with the names that were in it then.
    stamp = indexed.stamp if indexed is not None and set(entries) == before else None
    writer.add(directory, block, len(ordered), indexed.content if indexed is not None else 0, stamp)


def _is_gone(directory: bytes, accepted: Lines) -> bool:
    """Say whether it is accepted that there is no such directory any more."""
    if directory == b"/":
        return False
    siblings = accepted.get(parent(directory), {})
    name = lines.escape(directory[directory.rindex(b"/") + 1 :])
    line = siblings.get(name)
    return name in siblings and (line is None or lines.type_of(line) != model.DIRECTORY)


def _write_new_empty_ones(writer: Writer, old: Reader, accepted: Lines) -> None:
    """Add directories that were accepted while nothing was in them, so that what appears there is new."""
    for directory, changed in accepted.items():
        for name, line in changed.items():
            path = child(directory, lines.unescape(name))
            is_directory = line is not None and lines.type_of(line) == model.DIRECTORY
            if is_directory and path not in old.directories and path not in accepted:
                writer.add(path, b"", 0, 0)
