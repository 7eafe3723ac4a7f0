# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What was checked, what was not and why: the matrix of hosts and capabilities, grouped so that ten thousand fit."""

from __future__ import annotations

import collections
import dataclasses
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils import _finding
from ansible_collections.bulwark.servers.plugins.plugin_utils.ocsf.host import FLEET
from ansible_collections.bulwark.servers.plugins.plugin_utils.report import alike, model
from ansible_collections.bulwark.servers.plugins.plugin_utils.report.shown import listed, visible

if t.TYPE_CHECKING:
    from ansible_collections.bulwark.servers.plugins.plugin_utils.store import Finding

# A capability that other hosts of the report have, and this one never had.
NEVER = "never"
NEVER_REASON = "It was never run on this host."
# It was to be run, and no run has looked at anything yet.
NEVER_CHECKED = "never_checked"


@dataclasses.dataclass(frozen=True)
class Cell:
    """One capability on one host.

    checked: of how many of its scopes all was looked at. scopes: how many there are, 0 where that is not known. reason:
    of the first gap. note: what modules say about their look.
    """

    status: str
    checked: int
    scopes: int
    reason: str
    note: str = ""


@dataclasses.dataclass(frozen=True)
class MatrixRow:
    """Hosts that were covered alike; cells in the order of the matrix's capabilities."""

    hosts: tuple[str, ...]
    cells: tuple[Cell, ...]

    @property
    def complete(self) -> bool:
        return all(cell.status == _finding.CHECKED for cell in self.cells)


@dataclasses.dataclass(frozen=True)
class Matrix:
    """rows: hosts with gaps first, the worst at the top."""

    capabilities: tuple[str, ...]
    rows: tuple[MatrixRow, ...]

    @property
    def hosts(self) -> tuple[str, ...]:
        return tuple(host for row in self.rows for host in row.hosts)

    @property
    def controls(self) -> int:
        """How many capabilities on hosts there are to check."""
        return sum(len(row.hosts) for row in self.rows) * len(self.capabilities)

    @property
    def not_fully_checked(self) -> int:
        """How many of them were checked in part or not at all."""
        return sum(len(row.hosts) for row in self.rows for cell in row.cells if cell.status != _finding.CHECKED)


@dataclasses.dataclass(frozen=True)
class CellGroup:
    """Capabilities of the same hosts that were covered alike."""

    capabilities: tuple[str, ...]
    cell: Cell


@dataclasses.dataclass(frozen=True)
class Gap:
    """Something that was not checked, or partly, for one reason, on these hosts.

    scopes: empty where it is the whole capability. every: they are all that it has on each of the hosts. skipped: the
    first subjects that were left out, as (host, subject, reason); skipped_count: of how many.
    """

    capability: str
    scopes: tuple[str, ...]
    every: bool
    status: str
    reason: str
    hosts: tuple[str, ...]
    skipped: tuple[tuple[str, str, str], ...]
    skipped_count: int


def matrix(entries: t.Iterable[model.Coverage], findings: t.Iterable[Finding] = ()) -> Matrix:
    """Return the matrix; a host or capability that only findings name is in it too, as never run.

    What was found about all hosts together is of none.
    """
    scopes: dict[tuple[str, str], list[model.Coverage]] = collections.defaultdict(list)
    for entry in entries:
        scopes[entry.host, entry.capability].append(entry)
    found = ((finding.host, finding.capability) for finding in findings if finding.host != FLEET)
    pairs = [*scopes, *found]
    capabilities = tuple(sorted({capability for _host, capability in pairs}))
    same: dict[tuple[Cell, ...], dict[str, tuple[Cell, ...]]] = collections.defaultdict(dict)
    for host in sorted({host for host, _capability in pairs}):
        cells = tuple(_cell(scopes.get((host, capability), [])) for capability in capabilities)
        # Since when a log is known differs from host to host; ten thousand rows would say nothing else.
        same[tuple(map(_without_numbers, cells))][host] = cells
    rows = [MatrixRow(tuple(found), _merged(found.values())) for found in same.values()]
    return Matrix(capabilities, tuple(sorted(rows, key=_badness, reverse=True)))


def alike_cells(shown: Matrix, row: MatrixRow) -> list[CellGroup]:
    """Return the capabilities of a row that were covered alike together, what was not checked first."""
    groups: dict[tuple[t.Any, ...], list[tuple[str, Cell]]] = collections.defaultdict(list)
    for capability, cell in zip(shown.capabilities, row.cells, strict=True):
        # What was checked in full is alike, however many scopes it has.
        is_plain = cell.status == _finding.CHECKED and not cell.note
        groups[(cell.status,) if is_plain else (cell.status, cell)].append((capability, cell))
    order = (_finding.NOT_CHECKED, NEVER_CHECKED, NEVER, _finding.PARTIAL, _finding.CHECKED)
    cell_groups = [CellGroup(tuple(name for name, _cell in same), same[0][1]) for same in groups.values()]
    return sorted(cell_groups, key=lambda group: (order.index(group.cell.status), -len(group.capabilities)))


def _merged(rows: t.Iterable[t.Sequence[Cell]]) -> tuple[Cell, ...]:
    columns = zip(*rows, strict=True)
    return tuple(
        dataclasses.replace(
            cells[0],
            note=alike.merged([cell.note for cell in cells]),
            reason=alike.merged([cell.reason for cell in cells]),
        )
        for cells in columns
    )


def _without_numbers(cell: Cell) -> Cell:
    return dataclasses.replace(cell, note=alike.without_numbers(cell.note), reason=alike.without_numbers(cell.reason))


def _cell(entries: t.Sequence[model.Coverage]) -> Cell:
    if not entries:
        return Cell(NEVER, 0, 0, NEVER_REASON)
    scopes = sum(not entry.whole for entry in entries)
    checked = sum(entry.status == _finding.CHECKED for entry in entries)
    # Sentences, one after the other.
    note = " ".join(dict.fromkeys(f"{entry.note.rstrip('.')}." for entry in entries if entry.note))
    if checked == len(entries):
        return Cell(_finding.CHECKED, checked, scopes, "", note)
    unchecked = [entry for entry in entries if entry.status != _finding.CHECKED]
    # What keeps most scopes from being checked says most: an old database, and not a file of one of them.
    scopes_by_reason = collections.Counter(map(full_reason, unchecked))
    gaps = sorted(unchecked, key=lambda entry: (entry.status, -scopes_by_reason[full_reason(entry)]))
    return Cell(_gap_status(entries), checked, scopes, gap_reason(gaps[0]), note)


def _gap_status(entries: t.Sequence[model.Coverage]) -> str:
    if any(entry.status != _finding.NOT_CHECKED for entry in entries):
        return _finding.PARTIAL
    return NEVER_CHECKED if all(entry.time == 0 for entry in entries) else _finding.NOT_CHECKED


def full_reason(entry: model.Coverage) -> str:
    """Return why a scope was not checked in full, in one line."""
    if entry.reason:
        return entry.reason
    if entry.skipped:
        return entry.skipped[0][1]
    return "The module gave no reason."


def gap_reason(entry: model.Coverage) -> str:
    """Return the same in the words that other hosts with the same trouble give."""
    return alike.reason(entry.host, full_reason(entry))


def _badness(row: MatrixRow) -> tuple[int, int, int]:
    dark = sum(cell.status in (NEVER, NEVER_CHECKED, _finding.NOT_CHECKED) for cell in row.cells)
    part = sum(cell.status == _finding.PARTIAL for cell in row.cells)
    return dark, part, len(row.hosts)


def gaps(entries: t.Sequence[model.Coverage], shown: Matrix, samples: int = 10) -> tuple[Gap, ...]:
    """Return what was not checked, one entry per capability, reason and hosts; what concerns most hosts first."""
    known = known_scopes(entries)
    found = [_gap(same, known, samples) for same in _alike(entries)]
    for column, capability in enumerate(shown.capabilities):
        hosts = tuple(host for row in shown.rows if row.cells[column].status == NEVER for host in row.hosts)
        if hosts:
            found.append(Gap(capability, (), False, NEVER, NEVER_REASON, hosts, (), 0))
    order = (_finding.NOT_CHECKED, NEVER, _finding.PARTIAL)
    return tuple(sorted(found, key=lambda gap: (order.index(gap.status), -len(gap.hosts), gap.capability, gap.scopes)))


def alike_gaps(gaps: t.Iterable[Gap]) -> list[list[Gap]]:
    """Return whole capabilities that were not checked on the same hosts for the same reason together."""
    together: dict[tuple[t.Any, ...], list[Gap]] = {}
    for gap in gaps:
        is_whole = not gap.scopes and not gap.skipped and gap.status != _finding.PARTIAL
        key = (gap.status, frozenset(gap.hosts), gap.reason) if is_whole else (gap,)
        together.setdefault(key, []).append(gap)
    return list(together.values())


def scope_words(scopes: t.Sequence[str], every: bool) -> str:
    """Return which scopes a gap is about, or nothing for a whole capability. every: there are no others."""
    if every and len(scopes) > 1:
        return f"all {len(scopes):,} scopes"
    return listed([visible(scope, 100) for scope in scopes], 3)


def known_scopes(entries: t.Iterable[model.Coverage]) -> t.Mapping[tuple[str, str], int]:
    """Return how many scopes each host and capability has, as far as they are known."""
    return collections.Counter((entry.host, entry.capability) for entry in entries if not entry.whole)


def _alike(entries: t.Iterable[model.Coverage]) -> t.Iterable[list[model.Coverage]]:
    """Return the entries of each gap: scopes that were not checked on the same hosts for the same reason are one."""
    by_scope: dict[tuple[str, ...], list[model.Coverage]] = collections.defaultdict(list)
    for entry in entries:
        if entry.status != _finding.CHECKED:
            reason = alike.without_numbers(gap_reason(entry))
            by_scope[entry.status, entry.capability, reason, entry.scope].append(entry)
    by_hosts: dict[tuple[t.Any, ...], list[model.Coverage]] = collections.defaultdict(list)
    for (*told, _scope), same in by_scope.items():
        by_hosts[(*told, same[0].whole, frozenset(entry.host for entry in same))] += same
    return by_hosts.values()


def _gap(same: t.Sequence[model.Coverage], known: t.Mapping[tuple[str, str], int], samples: int) -> Gap:
    """known: of ``known_scopes``."""
    first = same[0]
    scopes = tuple(dict.fromkeys(entry.scope for entry in same if entry.scope != entry.capability))
    hosts = tuple(dict.fromkeys(entry.host for entry in same))
    skipped = [(entry.host, subject, why) for entry in same for subject, why in entry.skipped]
    # Scopes that share what they left out name it once.
    distinct = tuple(dict.fromkeys(skipped))
    return Gap(
        capability=first.capability,
        scopes=scopes,
        every=bool(scopes) and all(known[host, first.capability] == len(scopes) for host in hosts),
        status=first.status,
        reason=alike.merged([gap_reason(entry) for entry in same]),
        hosts=hosts,
        skipped=distinct[:samples],
        skipped_count=sum(entry.skipped_count for entry in same) - (len(skipped) - len(distinct)),
    )
