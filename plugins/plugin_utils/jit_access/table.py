# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Requests to open ports as a table for spreadsheets, in which what people and hosts wrote stays text.

A spreadsheet takes a cell that begins with one of a few characters for a formula, which can send what is in the sheet
elsewhere or start programs (https://owasp.org/www-community/attacks/CSV_Injection).
"""

from __future__ import annotations

import csv
import datetime as dt
import io
import re
import typing as t

from ansible_collections.bulwark.servers.plugins.plugin_utils.report.shown import visible

# Who it was by the kernel, and who says the name that people read.
_KNOWN = ("account", "login", "asserted")
COLUMNS = (
    *(
        "id",
        "state",
        "host",
        "ports",
        "protocol",
        "sources",
        "duration",
        "requested_by",
        "requested_for",
        "justification",
    ),
    *("requested_at", "valid_until", "decided_by", "decided_at", "decision_reason", "opened_by", "opened_at", "until"),
    *("grant", "ended_by", "ended_at", "end_reason"),
    *(f"{step}_{name}" for step in ("requested", "decided", "opened", "ended") for name in _KNOWN),
    *("used_packets", "used_bytes", "used_first", "used_last"),
)
_TIMES = frozenset(
    ("requested_at", "valid_until", "decided_at", "opened_at", "until", "ended_at", "used_first", "used_last")
)

# Also after what some spreadsheets separate cells by, whatever this table does, and in the wide forms that Excel takes
# for the same.
_FORMULA = re.compile(r"(^|[;,|\t\"'])(\s*)(?=[=+\-@\uff1d\uff0b\uff0d\uff20])")


class TableError(ValueError):
    """The input is no list of requests; the message says which entry and what is needed."""


def table(requests: t.Any) -> str:
    """Return the requests as CSV (RFC 4180) with a line of names first; raise TableError for what are none."""
    if not isinstance(requests, (list, tuple)):
        raise TableError(f"a list of requests is needed, not a {type(requests).__name__}")
    out = io.StringIO()
    writer = csv.writer(out, quoting=csv.QUOTE_ALL, lineterminator="\r\n")
    writer.writerow(COLUMNS)
    for position, request in enumerate(requests):
        if not isinstance(request, t.Mapping) or not request.keys() >= {"id", "state", "host"}:
            raise TableError(f"entry {position} is not a request as jit_requests_info returns it")
        writer.writerow([_cell(name, request.get(name)) for name in COLUMNS])
    return out.getvalue()


def _cell(name: str, value: t.Any) -> str:
    if value is None:
        return ""
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return _time(value) if name in _TIMES else str(value)
    text = " ".join(map(str, value)) if isinstance(value, (list, tuple)) else str(value)
    return _FORMULA.sub(r"\1'\2", visible(text))


def _time(seconds: float) -> str:
    try:
        return dt.datetime.fromtimestamp(seconds, dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    except (OverflowError, ValueError, OSError):
        return "unknown"
