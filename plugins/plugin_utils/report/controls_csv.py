# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every result of every control as CSV (RFC 4180), for auditors and their spreadsheets.

A spreadsheet runs a cell that begins like a formula, so such a cell gets an apostrophe before it. All cells are quoted,
and what follows a semicolon in one counts as a beginning, too: some programs split there
(https://owasp.org/www-community/attacks/CSV_Injection).
"""

from __future__ import annotations

import csv
import io
import re
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils import _control
from ansible_collections.bulwark.servers.plugins.plugin_utils.report import model
from ansible_collections.bulwark.servers.plugins.plugin_utils.report.benchmark import Row, Sheet, sheets
from ansible_collections.bulwark.servers.plugins.plugin_utils.report.benchmark_tables import ends
from ansible_collections.bulwark.servers.plugins.plugin_utils.report.shown import machine_time, visible

if t.TYPE_CHECKING:
    from ansible_collections.bulwark.servers.plugins.plugin_utils.store.model import ControlState, Judgement

COLUMNS = (
    "host",
    "engine",
    "benchmark",
    "edition",
    "number",
    "control",
    "title",
    "section",
    "level",
    "profile",
    "method",
    "status",
    "reason",
    "severity",
    "examined",
    "count",
    "evidence",
    "excepted_count",
    "excepted",
    "excepted_until",
    "judged",
    "judged_by",
    "judged_on",
    "judged_until",
    "judged_why",
    "since",
    "run",
    "run_time",
)

# With an apostrophe, a spreadsheet takes the rest for text.
_FORMULA = re.compile(r"""(^|;)(?=["'\s]*[=+\-@\uff1d\uff0b\uff0d\uff20]|[\t\r\n])""")
_BETWEEN = " | "


def text(data: model.ReportData) -> str:
    """Return a header and one row for each host, engine and control, in the order of hosts and controls."""
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\r\n", quoting=csv.QUOTE_ALL)
    writer.writerow(COLUMNS)
    for sheet in sheets(data):
        rows = [(state.host, state.subject, at, state) for at, row in enumerate(sheet.rows) for state in row.states]
        for _host, _subject, at, state in sorted(rows, key=lambda found: found[:3]):
            writer.writerow([_cell(value) for value in _values(sheet, sheet.rows[at], state)])
    return file.getvalue()


def _cell(value: object) -> str:
    """Return a value as text that no spreadsheet runs; an ordinary text stays as it is."""
    return _FORMULA.sub(r"\1'", visible("" if value is None else value, 32_000))


def _values(sheet: Sheet, row: Row, state: ControlState) -> tuple[object, ...]:
    control = row.control
    return (
        state.host,
        state.subject,
        sheet.benchmark.title,
        state.edition,
        state.number,
        control.id,
        control.title,
        " ".join(filter(None, (control.section, sheet.benchmark.sections.get(control.section)))),
        control.level or "",
        control.profile,
        control.method,
        state.status,
        state.reason,
        state.severity if state.status == _control.FAILED else control.severity,
        state.examined,
        state.count,
        _joined(state.evidences, state.count, ("kind", "name", "detail", "note")),
        state.excepted_count,
        _joined(state.excepted, state.excepted_count, ("kind", "name", "detail", "exception")),
        _BETWEEN.join(ends(state.excepted)),
        *_judged(state.judgement),
        machine_time(state.since),
        state.run_id,
        machine_time(state.time),
    )


def _joined(items: t.Sequence[t.Mapping[str, t.Any]], count: int, names: t.Sequence[str]) -> str:
    texts = [" ".join(str(item[name]) for name in names if item.get(name)) for item in items]
    return _BETWEEN.join([*texts, *([f"and {count - len(items):,} more"] if count > len(items) else [])])


def _judged(judgement: Judgement | None) -> tuple[str, ...]:
    if judgement is None:
        return ("",) * 5
    until = "" if judgement.until is None else machine_time(judgement.until)
    return (judgement.verdict, judgement.actor, machine_time(judgement.created), until, judgement.reason)
