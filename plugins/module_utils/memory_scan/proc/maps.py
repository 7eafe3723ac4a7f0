# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The lines of proc_pid_maps(5)."""

from __future__ import annotations

import re
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan.model import Mapping

# Twice what the kernel lets a process have unless it was told otherwise (vm.max_map_count); some 30 MB of ours.
MOST_MAPPINGS = 131_072

_LINE = re.compile(
    rb"([0-9a-f]{1,16})-([0-9a-f]{1,16}) ([r-])([w-])([x-])([sp]) ([0-9a-f]{1,16}) "
    rb"([0-9a-f]{2,8}):([0-9a-f]{2,8}) (\d{1,20})(?: +([^ ].*)?)?",
    re.DOTALL,
)
_DELETED = b" (deleted)"


class Parsed(t.NamedTuple):
    """mappings: in the order of their addresses. dropped: lines of another form. cut: whether there were too many."""

    mappings: list[Mapping]
    dropped: int
    cut: bool


def parse(text: bytes, most: int = MOST_MAPPINGS) -> Parsed:
    """Return the mappings of a maps file, at most so many.

    A line that is cut, ends before it begins or reaches into the one before is dropped: the kernel writes none. Of the
    paths it escapes line feeds alone, so a backslash, "012" of a name looks like one; and a file whose name ends in
    " (deleted)" looks like one without a name. Neither makes anything look less strange than it is.
    """
    lines = text.split(b"\n")
    # What comes after the last line feed is nothing, or a line that was cut.
    dropped = 1 if lines.pop() else 0
    mappings: list[Mapping] = []
    same: dict[t.Any, t.Any] = {}
    before = 0
    for place, line in enumerate(lines):
        if len(mappings) >= most:
            return Parsed(mappings, dropped, place < len(lines))
        found = _LINE.fullmatch(line)
        mapping = None if found is None else _mapping(found.groups(), same)
        if mapping is None or mapping.start < before:
            dropped += 1
            continue
        before = mapping.end
        mappings.append(mapping)
    return Parsed(mappings, dropped, False)


def _mapping(words: t.Sequence[bytes], same: dict[t.Any, t.Any]) -> Mapping | None:
    """Return a line's mapping, None where it ends before it begins; same: values to use again instead of new ones."""
    start, end = int(words[0], 16), int(words[1], 16)
    if start >= end:
        return None
    device = int(words[7], 16), int(words[8], 16)
    path, deleted = unmarked(unescaped(words[10] or b""))
    return Mapping(
        start,
        end,
        words[2] == b"r",
        words[3] == b"w",
        words[4] == b"x",
        words[5] == b"s",
        int(words[6], 16),
        same.setdefault(device, device),
        int(words[9]),
        same.setdefault(path, path),
        deleted,
    )


def unescaped(path: bytes) -> bytes:
    """Return a path as it was before the kernel wrote its line feeds as octal numbers."""
    return path.replace(b"\\012", b"\n") if b"\\" in path else path


def unmarked(path: bytes) -> tuple[bytes, bool]:
    """Return a path of the kernel's without what marks it as deleted, and whether it was so marked."""
    return (path[: -len(_DELETED)], True) if path.endswith(_DELETED) else (path, False)
