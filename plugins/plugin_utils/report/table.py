# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The findings and the coverage as lines of plain text, for a terminal or a job's log."""

from __future__ import annotations

import dataclasses
import textwrap
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils import _finding
from ansible_collections.bulwark.servers.plugins.plugin_utils import finding_commands
from ansible_collections.bulwark.servers.plugins.plugin_utils.ocsf.statuses import STATUSES
from ansible_collections.bulwark.servers.plugins.plugin_utils.report import alike, coverage, explained, model, summary
from ansible_collections.bulwark.servers.plugins.plugin_utils.report.columns import Column, aligned, wrapped
from ansible_collections.bulwark.servers.plugins.plugin_utils.report.shown import (
    capability_name,
    counted,
    listed,
    visible,
)

MINIMUM_WIDTH = 60
_GAP_LIMIT = 40
_HOSTS_NAMED = 5


@dataclasses.dataclass(frozen=True)
class Row:
    """A row of the table. uid: "" for a finding that is not in a store, which nobody can decide about."""

    severity: str
    status: str
    host: str
    title: str
    subject: str
    alert: str = ""
    uid: str = ""


_FINDING_COLUMNS = (
    Column("SEVERITY", 13),
    Column("STATUS", 10),
    Column("HOST", 40, middle=True),
    Column("FINDING", 60, shrinks=60),
    Column("SUBJECT", 200, shrinks=24, middle=True),
)
# Enough characters of a uid to tell findings apart.
_UID = 13
_UID_COLUMN = Column("ID", _UID)
_COMMANDS = "To decide about one of them (findings_info and the report have all commands for each):"


def lines(
    rows: t.Sequence[Row],
    entries: t.Sequence[model.Coverage],
    width: int = 120,
    limit: int = 50,
    unlisted: int = 0,
    store: str | None = None,
) -> list[str]:
    """Return the table: findings with the most severe first, what was checked, and last what was not and why.

    rows: the findings to show, the same of several hosts in one line. At most ``limit`` lines are shown, and a last one
    with the number of the others. unlisted: how many active findings were not asked for. store: the URL for the
    command, None for the default store. No line of text is wider than ``width`` columns, at least ``MINIMUM_WIDTH``.
    """
    width = max(width, MINIMUM_WIDTH)
    matrix = coverage.matrix(entries)
    listed = _findings(rows, width, limit, store) if rows else []
    if unlisted:
        listed += textwrap.wrap(f"{counted(unlisted, 'active finding')} not listed here.", width)
    if not entries:
        return _uncovered(listed, width)
    return [
        *(listed or textwrap.wrap(_nothing(entries, matrix), width)),
        "",
        *_coverage(matrix, width),
        *_explained(entries, width),
        *_gaps(coverage.gaps(entries, matrix), width),
    ]


def _uncovered(listed: t.Sequence[str], width: int) -> list[str]:
    """Return the lines without coverage: findings show that something was looked at, and not how much."""
    if not listed:
        return textwrap.wrap("There are no findings, and no coverage shows what was checked.", width)
    return [
        *listed,
        "",
        *textwrap.wrap("No coverage was given, so it is not known what was checked.", width),
    ]


def _nothing(entries: t.Sequence[model.Coverage], matrix: coverage.Matrix) -> str:
    return f"{summary.nothing(entries)} {summary.looked(entries, matrix)}"


def _findings(rows: t.Sequence[Row], width: int, limit: int, store: str | None) -> list[str]:
    ordered = sorted(
        rows,
        key=lambda row: (model.SEVERITIES.index(row.severity), STATUSES.index(row.status), row.host, row.subject),
    )
    groups: dict[tuple[str, str, str, str], list[Row]] = {}
    for row in ordered:
        groups.setdefault((row.severity, row.status, _title(row), row.subject), []).append(row)
    # A finding that is not in a store has no id for a decision.
    has_ids = any(row.uid for row in ordered)
    cells = [
        [
            *([_id(rows)] if has_ids else []),
            severity,
            status,
            _named([visible(row.host, 60) for row in rows]),
            title,
            subject,
        ]
        for (severity, status, title, subject), rows in groups.items()
    ]
    text = aligned((_UID_COLUMN, *_FINDING_COLUMNS) if has_ids else _FINDING_COLUMNS, cells[:limit], width)
    left = [key[0] for key, rows in list(groups.items())[limit:] for _row in rows]
    if left:
        words = ", ".join(f"{left.count(severity):,} {severity}" for severity in model.SEVERITIES if severity in left)
        text += textwrap.wrap(f"and {len(left):,} more: {words}", width)
    if has_ids:
        command = f"{finding_commands.SUPPRESS}{finding_commands.store_option(store)}"
        text += ["", *textwrap.wrap(_COMMANDS, width), *finding_commands.wrapped(command, width)]
    return text


def _title(row: Row) -> str:
    # The id comes first: it is what people type, and the end may be cut.
    return f"{row.alert}: {row.title}" if row.alert else row.title


def _id(rows: t.Sequence[Row]) -> str:
    return rows[0].uid[:_UID] if len(rows) == 1 else counted(len(rows), "finding")


def _named(hosts: t.Sequence[str]) -> str:
    return hosts[0] if len(hosts) == 1 else alike.hosts(hosts, 2)


def _coverage(matrix: coverage.Matrix, width: int) -> list[str]:
    """Return the capabilities that checked everything with their hosts, capabilities of the same hosts together."""
    capabilities: dict[tuple[str, ...], list[str]] = {}
    for column, capability in enumerate(matrix.capabilities):
        checked = [row.hosts for row in matrix.rows if row.cells[column].status == _finding.CHECKED]
        if checked:
            same = tuple(sorted(host for hosts in checked for host in hosts))
            capabilities.setdefault(same, []).append(capability_name(capability))
    text: list[str] = []
    for same, names in capabilities.items():
        hosts = alike.hosts([visible(host, 60) for host in same], _HOSTS_NAMED)
        text += wrapped(f"Checked on {hosts}: {', '.join(names)}.", width, item="")
    return text


def _explained(entries: t.Sequence[model.Coverage], width: int) -> list[str]:
    words = explained.sentence(entries)
    return textwrap.wrap(f"{words}; the report lists them.", width) if words else []


def _left_out(gap: coverage.Gap) -> str:
    """Return the number of skipped subjects, and the first one unless the reason names it."""
    words = f"{counted(gap.skipped_count, 'subject')} skipped"
    subject = gap.skipped[0][1] if gap.skipped else ""
    if not subject or subject in gap.reason:
        return words
    return f"{words}{': ' if gap.skipped_count == 1 else ', such as '}{visible(subject, 120)}"


def _gaps(gaps: t.Sequence[coverage.Gap], width: int) -> list[str]:
    if not gaps:
        return ["Everything was checked."]
    # No capability checks a host that is unreachable, so all have the same reason.
    alike_gaps = coverage.alike_gaps(gaps)
    # If all gaps have the same hosts, name these once.
    same = _hosts(gaps[0]) if len(alike_gaps) > 1 and len({frozenset(gap.hosts) for gap in gaps}) == 1 else ""
    text = wrapped(f"Not checked on {same}:", width, item="") if same else ["Not checked:"]
    for together in alike_gaps[:_GAP_LIMIT]:
        text += wrapped(("" if same else f"{_hosts(together[0])}: ") + _gap(together), width)
    if len(alike_gaps) > _GAP_LIMIT:
        text.append(f"  and {counted(len(alike_gaps) - _GAP_LIMIT, 'more reason')}")
    return text


def _gap(together: t.Sequence[coverage.Gap]) -> str:
    """Return the unchecked parts and the reason. together: gaps of several capabilities with the same reason."""
    first = together[0]
    names = [capability_name(gap.capability) for gap in together]
    about = filter(None, (listed(names, len(names)), coverage.scope_words(first.scopes, first.every)))
    part = f" (partly; {_left_out(first)})" if first.status == _finding.PARTIAL else ""
    return f"{', '.join(about)}{part}: {visible(first.reason, 300)}"


def _hosts(gap: coverage.Gap) -> str:
    return alike.hosts([visible(host, 60) for host in gap.hosts], _HOSTS_NAMED)
