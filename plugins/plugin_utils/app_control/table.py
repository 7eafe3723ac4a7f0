# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The fleet by what a rule can allow: one entry for each package, directory of own software or path, with its hosts."""

from __future__ import annotations

import dataclasses
import itertools
import posixpath
import typing as t
from array import array

from ansible_collections.bulwark.servers.plugins.module_utils import _program
from ansible_collections.bulwark.servers.plugins.module_utils._program import Program
from ansible_collections.bulwark.servers.plugins.module_utils.app_control.observed import UNKNOWN_IMAGE
from ansible_collections.bulwark.servers.plugins.plugin_utils.app_control import entries, steady
from ansible_collections.bulwark.servers.plugins.plugin_utils.store.fleet import Fleet, HostPrograms

PACKAGE, DIRECTORY, PATH, IMAGE = "package", "directory", "path", "image"
DAY = 86_400.0
_FLAGS = bytes.maketrans(b"01", b"\0\1")


class Key(t.NamedTuple):
    """A thing that a rule can allow. name: of the package or image, the directory, or the path without versions.

    manager: of a package.
    """

    kind: str
    name: str
    manager: str = ""


@dataclasses.dataclass
class Entry:
    """One key and the hosts that ran something of it, in ascending order; the columns have the same length.

    programs: indexes into the fleet. first: seconds since the epoch. days: on how many days the program of it that ran
    on most of them did.
    """

    key: Key
    programs: list[int] = dataclasses.field(default_factory=list)
    hosts: array[int] = dataclasses.field(default_factory=lambda: array("I"))
    first: array[float] = dataclasses.field(default_factory=lambda: array("d"))
    days: array[int] = dataclasses.field(default_factory=lambda: array("I"))

    def mask(self) -> int:
        """Return the hosts as a set of bits."""
        return bits(self.hosts)


@dataclasses.dataclass
class Table:
    """entry_of: by program, the index of its entry, -1 for what no rule can name. counts: hosts of each program."""

    fleet: Fleet
    entries: list[Entry]
    entry_of: array[int]
    counts: array[int]


def bits(numbers: t.Iterable[int]) -> int:
    """Return a set of small numbers as an integer."""
    numbers = array("I", numbers)
    if not numbers:
        return 0
    buffer = bytearray(max(numbers) // 8 + 1)
    for number in numbers:
        buffer[number >> 3] |= 1 << (number & 7)
    return int.from_bytes(buffer, "little")


def flags(mask: int) -> bytes:
    """Return a set of bits as a byte for each number, 1 or 0."""
    return bin(mask)[:1:-1].encode().translate(_FLAGS)


def members(mask: int) -> list[int]:
    """Return the numbers of a set of bits, ascending."""
    selected = flags(mask)
    return list(itertools.compress(range(len(selected)), selected))


def build(fleet: Fleet) -> Table:
    """Return the table; one pass over all sightings."""
    table = Table(fleet, [], array("i"), array("I", bytes(4 * len(fleet.programs))))
    numbers: dict[Key, int] = {}
    files: dict[tuple[int, str, str], int] = {}
    file_of = array("i")
    entry_of_file: list[int] = []
    for number, program in enumerate(fleet.programs):
        key = key_of(program)
        if key is None:
            table.entry_of.append(-1)
            file_of.append(-1)
            continue
        entry = numbers.setdefault(key, len(numbers))
        if entry == len(table.entries):
            table.entries.append(Entry(key))
        table.entries[entry].programs.append(number)
        table.entry_of.append(entry)
        file = files.setdefault((entry, program.kind, steady.steady_path(program.path)), len(files))
        if file == len(entry_of_file):
            entry_of_file.append(entry)
        file_of.append(file)
    for number, host in enumerate(fleet.hosts):
        _count(table, number, host, file_of, entry_of_file)
    return table


def _count(table: Table, number: int, host: HostPrograms, file_of: array[int], entry_of_file: list[int]) -> None:
    days: dict[int, int] = {}
    first: dict[int, float] = {}
    counts = table.counts
    for program, begin, seen in zip(host.programs, host.first, host.days_seen, strict=True):
        counts[program] += 1
        file = file_of[program]
        if file in days:
            days[file] += seen
            if begin < first[file]:
                first[file] = begin
        else:
            days[file] = seen
            first[file] = begin
    days.pop(-1, None)
    entries: dict[int, tuple[float, int]] = {}
    for file, seen in days.items():
        entry = entry_of_file[file]
        if entry in entries:
            begin, most = entries[entry]
            entries[entry] = (min(begin, first[file]), max(most, seen))
        else:
            entries[entry] = (first[file], seen)
    for entry, (begin, seen) in entries.items():
        columns = table.entries[entry]
        columns.hosts.append(number)
        columns.first.append(begin)
        columns.days.append(seen)


def key_of(program: Program) -> Key | None:
    """Return what a rule would name of a program, None where no rule could.

    A host in an attacker's hands reports anything: one entry that can't be read would spoil the file for all hosts.
    """
    if not _is_readable(program):
        return None
    if program.image:
        return Key(IMAGE, image_name(program.image))
    if program.package:
        return Key(PACKAGE, program.package, program.manager)
    if not program.sha256 or program.content in (_program.GONE, _program.MEMORY):
        return None
    own = steady.own_directory(program.path)
    if own:
        return Key(DIRECTORY, own)
    return Key(PATH, steady.steady_path(program.path))


def _is_readable(program: Program) -> bool:
    """Return whether the reader of allowlists takes the path, the package and the image of a program as they are."""
    path = program.path
    if not path.startswith("/") or path.startswith("//") or posixpath.normpath(path) != path:
        return False
    if max(map(len, path.split("/"))) > steady.LONGEST:
        return False
    if program.package and program.manager not in entries.MANAGERS:
        return False
    names = (path, program.package, program.image)
    return all(name == name.strip() for name in names) and program.image != UNKNOWN_IMAGE


def image_name(image: str) -> str:
    """Return the name of an image without tag and digest."""
    name = image.partition("@")[0]
    head, slash, last = name.rpartition("/")
    return head + slash + last.partition(":")[0]
