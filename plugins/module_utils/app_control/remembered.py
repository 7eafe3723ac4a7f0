# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Remember programs from look to look, in bounded space.

Files that ran seldom and are gone, such as scripts of automation in directories with random names, or those of a flood,
become one record for their directory. A record that became a finding is never forgotten for want of space.
"""

from __future__ import annotations

import dataclasses
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils._program import GONE, MEMORY, Program
from ansible_collections.bulwark.servers.plugins.module_utils.app_control.folding import (
    MOST_GONE,
    MOST_GONE_EXPLAINED,
    SELDOM,
    Identity,
    directories,
    folded,
    gather,
    is_folded,
)
from ansible_collections.bulwark.servers.plugins.module_utils.app_control.observed import Record

FileKey = t.Tuple[int, int, int, int, int]

_NOWHERE = (GONE, MEMORY)
# A record of a finding is kept beyond the limit, up to so many times of it.
_MOST_REPORTED = 3
_MOST_CHARACTERS = 32 * 1024 * 1024
_SAVED = ("first", "last", "days", "executions", "explained", "users", "parents", "reported")
_POSTPONED = ("new_executions", "new_explained", "new_days")
_PROGRAMS = ("reported_program", "genuine")


@dataclasses.dataclass
class Memory:
    """All records by identity. keys: of the file with the digest of a record."""

    records: dict[Identity, Record] = dataclasses.field(default_factory=dict)
    keys: dict[Identity, FileKey] = dataclasses.field(default_factory=dict)

    @classmethod
    def load(cls, rows: t.Sequence[t.Sequence[t.Any]]) -> Memory:
        """Return what ``rows`` returned. Raises KeyError, TypeError, ValueError or IndexError for anything else."""
        memory = cls()
        for fields, saved, key, postponed, programs in rows:
            program = _program(fields)
            record = Record(program, before=program, **dict(zip(_SAVED, saved)))
            for name, value in zip(_POSTPONED, postponed):
                setattr(record, name, value)
            for name, other in zip(_PROGRAMS, programs):
                setattr(record, name, _program(other) if other else None)
            identity = record.program.identity
            memory.records[identity] = record
            if key:
                device, inode, size, modified, changed = key
                memory.keys[identity] = (device, inode, size, modified, changed)
        return memory

    def rows(self) -> list[list[t.Any]]:
        """Return all records as JSON can hold them."""
        return [
            [
                list(record.program),
                [getattr(record, name) for name in _SAVED],
                self.keys.get(identity, ()),
                [getattr(record, name) for name in _POSTPONED] if record.is_postponed else (),
                [list(getattr(record, name) or ()) for name in _PROGRAMS],
            ]
            for identity, record in self.records.items()
        ]

    def fold(self, limit: int) -> None:
        """Put files that ran seldom and are gone together by directory; others only where there are too many."""
        self._join_folded()
        gone = [each for each in self._seldom() if each[1].program.content in _NOWHERE]
        self._fold([each for each in gone if not _is_explained(each[1])])
        self._fold([each for each in gone if _is_explained(each[1])], MOST_GONE_EXPLAINED)
        if len(self.records) > limit:
            self._fold([each for each in self._seldom() if not each[1].program.package])

    def evict(self, limit: int, oldest_day: int) -> int:
        """Forget what was not seen since a day, and the oldest beyond a limit; return how many of the latter.

        Names have a limit of their own: each may have thousands of characters.
        """
        old = [
            identity
            for identity, record in self.records.items()
            if not record.reported and record.last < oldest_day * 86_400
        ]
        self._forget(old)
        for record in self.records.values():
            record.days = [day for day in record.days if day >= oldest_day]
        return self._evict_surplus(len(self.records) - limit, limit) + self._evict_names()

    def _evict_surplus(self, surplus: int, limit: int) -> int:
        if surplus <= 0:
            return 0
        candidates = [identity for identity, record in self.records.items() if not record.reported]
        if len(self.records) - len(candidates) > limit * _MOST_REPORTED:
            candidates = list(self.records)
        candidates.sort(key=lambda identity: self.records[identity].last)
        forgotten = candidates[:surplus]
        self._forget(forgotten)
        return len(forgotten)

    def _evict_names(self) -> int:
        sizes = {identity: _size(record) for identity, record in self.records.items()}
        surplus = sum(sizes.values()) - _MOST_CHARACTERS
        if surplus <= 0:
            return 0
        longest = sorted(sizes, key=lambda identity: (-sizes[identity], self.records[identity].last))
        number = 0
        while surplus > 0:
            surplus -= sizes[longest[number]]
            number += 1
        self._forget(longest[:number])
        return number

    def _seldom(self) -> list[tuple[Identity, Record]]:
        return [
            (identity, record)
            for identity, record in self.records.items()
            if record.executions <= SELDOM and not record.reported and not is_folded(record.program.path)
        ]

    def _join_folded(self) -> None:
        """Put further files that are gone into the record of their directory, if that has such ones."""
        known = {identity: record for identity, record in self.records.items() if is_folded(record.program.path)}
        for identity, record in self._seldom() if known else ():
            if record.program.content not in _NOWHERE:
                continue
            for directory in directories(record.program.path):
                other = known.get((identity[0], identity[1], folded(directory)))
                if other is not None and (_is_explained(record) or not _is_explained(other)):
                    _join(other, record)
                    self._forget([identity])
                    break

    def _fold(self, candidates: t.Iterable[tuple[Identity, Record]], most: int = MOST_GONE) -> None:
        """Put records together by the deepest directory that has too many of them below it."""
        for identity, members in gather([identity for identity, _record in candidates], most):
            for member in members:
                record = self.records[member]
                if identity not in self.records:
                    program = record.program
                    content = program.content if program.content in _NOWHERE else GONE
                    program = Program(program.kind, identity[2], program.image, program.interpreter, content=content)
                    self.records[identity] = Record(program, record.first, record.last, [], is_altered=True)
                _join(self.records[identity], record)
            self._forget(members)

    def _forget(self, identities: t.Iterable[Identity]) -> None:
        for identity in identities:
            self.records.pop(identity, None)
            self.keys.pop(identity, None)


def known_origins(records: t.Iterable[Record]) -> dict[tuple[str, str, str], str]:
    """Return who made the packages that records are of, by manager, name and version.

    A signature of RPM is verified in each look that meets a new file: root can install another package of that version.
    """
    return {
        (record.program.manager, record.program.package, record.program.version): record.program.origin
        for record in records
        if record.program.origin and record.program.manager != "rpm"
    }


def _program(fields: t.Sequence[t.Any]) -> Program:
    values: list[t.Any] = [tuple(value) if isinstance(value, list) else value for value in fields]
    return Program(*values)


def _size(record: Record) -> int:
    return len(record.program.path) + sum(map(len, (*record.users, *record.parents)))


def _is_explained(record: Record) -> bool:
    return record.explained >= record.executions > 0


def _join(total: Record, added: Record) -> None:
    """Add a record to another one."""
    total.first = min(total.first, added.first)
    total.last = max(total.last, added.last)
    total.days = sorted({*total.days, *added.days})
    total.new_days = sorted({*total.new_days, *added.new_days})
    total.executions += added.executions
    total.explained += added.explained
    total.new_executions += added.new_executions
    total.new_explained += added.new_explained
    total.users = newest(total.users, added.users)
    total.parents = newest(total.parents, added.parents)
    for sentence, count in added.explanations.items():
        total.explanations[sentence] = total.explanations.get(sentence, 0) + count
    total.denials = total.denials.joined(added.denials)
    for name in ("newest", "newest_unexplained", "newest_denied"):
        mine, others = getattr(total, name), getattr(added, name)
        if others is not None and (mine is None or others.time > mine.time):
            setattr(total, name, others)


def newest(names: t.Sequence[str], more: t.Sequence[str], most: int = 8) -> list[str]:
    """Return names without doubles, the newest last, and so many at most."""
    return [*(name for name in names if name not in more), *more][-most:]
