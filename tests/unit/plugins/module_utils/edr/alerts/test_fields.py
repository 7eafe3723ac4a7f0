# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Fields of somebody's JSON: times in any notation, techniques in any text, and values of the wrong kind."""

from __future__ import annotations

import typing as t

import pytest
from ansible_collections.bulwark.servers.plugins.module_utils.edr.alerts import evidence, fields


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("2026-05-01T10:20:30Z", 1777630830.0),
        ("2026-05-01 10:20:30.250000", 1777630830.25),
        ("2026-05-01T12:20:30.159+0200", 1777630830.159),
        ("2026-05-01T04:50:30-05:30", 1777630830.0),
        ("Fri May  1 10:20:30 2026", 1777630830.0),
        ("Fri May  1 10:20:30 2026 UTC", 1777630830.0),
        (1777630830, 1777630830.0),
        ("1777630830", 1777630830.0),
        (1777630830000, 1777630830.0),
        (1777630830000000000, 1777630830.0),
        ("2026-13-01T10:20:30Z", None),
        ("yesterday", None),
        (-5, None),
        (float("nan"), None),
        (float("inf"), None),
        (10**400, None),
        (True, None),
        ([], None),
    ],
)
def test_times(value: t.Any, seconds: float | None) -> None:
    assert fields.when(value) == (None if seconds is None else pytest.approx(seconds, abs=1e-6))


def test_techniques_are_read_out_of_any_text() -> None:
    given = ["MITRE_T1059_003_WIN_CMD_SHELL", "System Binary Proxy Execution (T1218)", "t1105", "XT1059", "T10590", 7]
    assert fields.techniques(given) == ["T1059.003", "T1218", "T1105"]


def test_no_digest_is_made_of_zeros_or_text() -> None:
    assert evidence.hashes("0" * 40, "no digest", None, "AB" * 16) == [
        {"algorithm_id": 1, "algorithm": "MD5", "value": "ab" * 16}
    ]


def test_a_windows_path_has_its_name_after_the_last_backslash() -> None:
    file = evidence.file("c:\\windows\\system32\\cmd.exe")
    assert file is not None
    assert file["name"] == "cmd.exe"
