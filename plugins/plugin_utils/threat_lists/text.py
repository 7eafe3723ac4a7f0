# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Threat lists as text, an entry on each line, and as CSV."""

from __future__ import annotations

import csv
import dataclasses
import re
import typing as t

from ansible_collections.bulwark.servers.plugins.plugin_utils.sigma.sources import LINUX
from ansible_collections.bulwark.servers.plugins.plugin_utils.threat_lists.entries import (
    Entry,
    EntryError,
    ForeignEntryError,
    entry,
)


@dataclasses.dataclass
class Found:
    """What is in a file: entries, what is wrong with which line, and how many entries are for other systems."""

    platform: str = LINUX
    entries: list[Entry] = dataclasses.field(default_factory=list)
    wrong: list[tuple[int, str]] = dataclasses.field(default_factory=list)
    foreign: int = 0

    def add(self, value: str, kind: str | None, note: str, line: int) -> None:
        try:
            self.entries.append(entry(value, kind, note[:_LONGEST_NOTE], self.platform))
        except ForeignEntryError:
            self.foreign += 1
        except EntryError as error:
            self.wrong.append((line, str(error)))


_COMMENT = re.compile(r"\s#.*$")
_SEPARATOR = re.compile(r"[;,\t]")
# Lists in the form of /etc/hosts give a domain such an address, which blocks it.
_BLOCKED = re.compile(r"(?:0\.0\.0\.0|127\.0\.0\.1|::1?)\s+(\S+)\s*$")
_LONGEST_NOTE = 120


def read_text(text: str, kind: str | None, platform: str = LINUX) -> Found:
    """Return the entries of a text and what is wrong with it.

    What follows a semicolon, comma or tab is the entry's note, and a # begins a comment; except that of patterns, only
    the last ``;NUMBER`` and what follows it is left out, as signature-base has it.
    """
    found = Found(platform)
    for number, line in enumerate(text.splitlines(), 1):
        line = line.strip()
        if not line or line.startswith(("#", "//", ";")):
            continue
        value, note = _pattern_and_note(line) if kind == "pattern" else _value_and_note(line)
        found.add(value, kind, note, number)
    return found


def _value_and_note(line: str) -> tuple[str, str]:
    line = _COMMENT.sub("", line)
    blocked = _BLOCKED.match(line)
    if blocked:
        return blocked.group(1), ""
    value, *notes = _SEPARATOR.split(line, maxsplit=1)
    return value, notes[0] if notes else ""


def _pattern_and_note(line: str) -> tuple[str, str]:
    return re.sub(r"\s*;\d+(?:;.*)?$", "", line), ""


def read_csv(text: str, kind: str | None, column: int | str, platform: str = LINUX) -> Found:
    """Return the entries in one column of a CSV file, given by its number from 1 or its name in the first line.

    Raises EntryError when there is no such column.
    """
    lines = [(number, line) for number, line in enumerate(text.splitlines(), 1) if line and not line.startswith("#")]
    if not lines:
        return Found(platform)
    sample = lines[0][1]
    separator = max((",", ";", "\t"), key=sample.count)
    rows = list(csv.reader((line for _number, line in lines), delimiter=separator, skipinitialspace=True))
    place = column - 1 if isinstance(column, int) else _place(rows[0], column)
    widest = max(map(len, rows), default=0)
    if place >= widest:
        raise EntryError(
            f"there is no column {column}, only {widest}; give the number of one that there is, or its name"
        )
    found = Found(platform)
    for (number, _line), row in zip(lines, rows, strict=False):
        if number == lines[0][0] and not isinstance(column, int):
            continue
        if place >= len(row):
            found.wrong.append((number, f"it has no column {place + 1}"))
            continue
        found.add(row[place], kind, "", number)
    if found.wrong and isinstance(column, int) and found.wrong[0][0] == lines[0][0]:
        del found.wrong[0]  # the names of the columns
    return found


def _place(header: t.Sequence[str], column: str) -> int:
    names = [name.strip().strip('"').lower() for name in header]
    if column.lower() not in names:
        raise EntryError(f"there is no column '{column}'; there are {', '.join(header)[:200]}")
    return names.index(column.lower())
