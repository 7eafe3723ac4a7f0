# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The table of requests, as a spreadsheet reads it: what people wrote stays text."""

from __future__ import annotations

import csv
import io
import typing as t

import pytest
from ansible.errors import AnsibleFilterError
from ansible_collections.bulwark.servers.plugins.filter.jit_requests_csv import FilterModule
from ansible_collections.bulwark.servers.plugins.plugin_utils.jit_access.table import COLUMNS

jit_requests_csv = FilterModule().filters()["jit_requests_csv"]


def request(**changes: t.Any) -> dict[str, t.Any]:
    return {
        "id": "r1",
        "state": "closed",
        "host": "web1",
        "ports": ["22", "8000-8100"],
        "protocol": "tcp",
        "sources": ["192.0.2.7", "2001:db8::/48"],
        "duration": 3600,
        "requested_by": "alice",
        "requested_for": "alice",
        "justification": "CHG-1",
        "requested_at": 1780228800.9,
        "valid_until": 1780315200.0,
        "decided_by": None,
        **changes,
    }


def rows(text: str, delimiter: str = ",") -> list[list[str]]:
    return list(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter))


def cell(**changes: t.Any) -> str:
    name = next(iter(changes))
    _names, row = rows(jit_requests_csv([request(**changes)]))
    return row[COLUMNS.index(name)]


def test_a_request_is_a_line() -> None:
    text = jit_requests_csv([request(), request(id="r2", ended_at=1e300)])
    names, first, second = rows(text)
    assert names == list(COLUMNS)
    found = dict(zip(names, first, strict=True))
    assert (found["ports"], found["sources"], found["duration"]) == ("22 8000-8100", "192.0.2.7 2001:db8::/48", "3600")
    assert (found["requested_at"], found["decided_by"], found["end_reason"]) == ("2026-05-31T12:00:00Z", "", "")
    assert (second[0], dict(zip(names, second, strict=True))["ended_at"]) == ("r2", "unknown")
    assert text.count("\r\n") == 3
    assert jit_requests_csv([]).count("\r\n") == 1


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("=1+1", "'=1+1"),
        ("+1", "'+1"),
        ("-1", "'-1"),
        ("@SUM(A1)", "'@SUM(A1)"),
        (" =1", "' =1"),
        ("\t=1", "\\t=1"),
        ("\r=1", "\\r=1"),
        ("\uff1d1", "'\uff1d1"),
        ("x;=1", "x;'=1"),
        ("x,\t=1", "x,\\t=1"),
        ('x"=1', "x\"'=1"),
        ("a|=1", "a|'=1"),
        ("'=1", "''=1"),
        ("a=b, see CHG-1", "a=b, see CHG-1"),
        ('say "no"', 'say "no"'),
        ("two\nlines", "two\\nlines"),
        ("\x1b]0;x\x07", "\\x1b]0;x\\x07"),
        ("\u202etxt.exe", "\\u202etxt.exe"),
        ("x" * 3000, "x" * 2000 + " … (1,000 more characters)"),
    ],
)
@pytest.mark.parametrize("name", ["justification", "host", "end_reason", "requested_by"])
def test_what_people_wrote_stays_text(name: str, text: str, shown: str) -> None:
    assert cell(**{name: text}) == shown


def test_no_cell_is_a_formula_whatever_separates_them() -> None:
    """Spreadsheets guess, or take what the country uses."""
    formulas = ("=cmd|' /C calc'!A0", "+1", "-1", "@x", "\uff1dx")
    found = set()
    for before in ("", ";", "x;", '";', '"",', "a\tb", "\n", '"\r\n', "|", "';", " "):
        for formula in formulas:
            text = jit_requests_csv(
                [request(justification=before + formula, ports=[formula], sources=[before + formula])]
            )
            for delimiter in (",", ";", "\t", "|"):
                for value in (value for row in rows(text, delimiter) for value in row):
                    if value.lstrip(" \t\"'")[:1] in tuple("=+-@\uff1d") and "'" not in value[:4]:
                        found.add((before, formula, delimiter, value))
    assert found == set()


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("text", "jit_requests_csv: a list of requests is needed, not a str"),
        ([{"id": "r1"}], "jit_requests_csv: entry 0 is not a request as jit_requests_info returns it"),
        ([request(), None], "jit_requests_csv: entry 1 is not a request as jit_requests_info returns it"),
    ],
)
def test_what_are_no_requests_is_named(value: t.Any, message: str) -> None:
    with pytest.raises(AnsibleFilterError, match=message):
        jit_requests_csv(value)
