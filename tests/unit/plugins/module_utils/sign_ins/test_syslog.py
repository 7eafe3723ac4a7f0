# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import calendar
import time
import typing as t

import pytest
from ansible_collections.bulwark.servers.plugins.module_utils.sign_ins import model, syslog
from ansible_collections.bulwark.servers.plugins.module_utils.sign_ins.model import Line
from hypothesis import given
from hypothesis import strategies as st


@pytest.fixture(autouse=True)
def _utc(monkeypatch: pytest.MonkeyPatch) -> t.Iterator[None]:
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


def at(*fields: int) -> int:
    return calendar.timegm((*fields, 0, 0, 0)[:6] + (0, 0, 0))


def parsed(text: str, reference: float = 1_780_000_000) -> Line:
    line = syslog.parse(text, syslog.Clock(reference))
    assert line is not None
    return line


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Dec 10 06:55:46 host sshd[24200]: Invalid user", ("sshd", 24200, "Invalid user")),
        ("Feb 7 06:55:46 host sshd[1]: x", ("sshd", 1, "x")),
        ("Nov 23 21:50:19 sshd[8148]: x", ("sshd", 8148, "x")),
        ("Mar  3 00:17:22 [sshd]: x", ("sshd", 0, "x")),
        ("Jun 25 23:53:34 [sshd] x", ("sshd", 0, "x")),
        ("Jun 14 15:16:01 combo sshd(pam_unix)[19939]: check pass", ("sshd", 19939, "pam_unix(sshd): check pass")),
        ("Jun 14 15:16:01 host (systemd)[3]: x", ("systemd", 3, "x")),
        ("Jun 14 15:16:01 host gdm-password][77]: x", ("gdm-password", 77, "x")),
        ('<38>1 2019-07-08T17:40:16.954167-04:00 h.example sshd 57915 - [a b="]"] x', ("sshd", 57915, "x")),
        ("<38>Dec 10 06:55:46 host sshd[5]: x", ("sshd", 5, "x")),
        ("2015-04-16T18:02:50.321974+00:00 host sshd[2716]: x", ("sshd", 2716, "x")),
        ("Mar 29 05:59:23 dusky sshd[20878]: [ID 800047 auth.info] x", ("sshd", 20878, "x")),
    ],
)
def test_forms(text: str, expected: tuple[str, int, str]) -> None:
    line = parsed(text)
    assert (line.program, line.pid, line.message) == expected
    assert line.time is not None


@pytest.mark.parametrize(
    "text",
    ["", "x", "Dec 10 06:55:46", "Dec 10 06:55:46 host", "<38>", "<38>1 ", "2015-04-16 host sshd: x", "no log at all"],
)
def test_no_line(text: str) -> None:
    assert syslog.parse(text, syslog.Clock(0)) is None


@pytest.mark.parametrize(
    ("text", "reference", "expected"),
    [
        # The year is that of the file, or the one before when the line would be of the future.
        ("Jan  2 00:00:00 h a: x", at(2026, 1, 3), at(2026, 1, 2)),
        ("Dec 31 23:59:59 h a: x", at(2026, 1, 3), at(2025, 12, 31, 23, 59, 59)),
        ("Jan  4 00:00:00 h a: x", at(2026, 1, 3, 12), at(2026, 1, 4)),
        ("Jan  5 00:00:00 h a: x", at(2026, 1, 3, 12), at(2025, 1, 5)),
        ("Feb 29 12:00:00 h a: x", at(2026, 3, 3), at(2024, 2, 29, 12)),
        ("Feb 29 12:00:00 2024 h a: x", at(2026, 3, 3), None),
        ("Feb 29 2024 12:00:00 h a: x", at(2026, 3, 3), at(2024, 2, 29, 12)),
        ("Feb 30 12:00:00 h a: x", at(2026, 3, 3), None),
        ("2026-02-30T12:00:00Z h a: x", at(2026, 3, 3), None),
        ("2026-01-01T01:30:00+02:00 h a: x", at(2026, 3, 3), at(2025, 12, 31, 23, 30)),
    ],
)
def test_times(text: str, reference: int, expected: int | None) -> None:
    line = syslog.parse(text, syslog.Clock(reference))
    if text.startswith("Feb 29 12:00:00 2024"):
        assert line is None or line.program != "a"
    else:
        assert line is not None
        assert line.time == expected


def test_repeated() -> None:
    line = parsed(
        "Dec 10 07:13:56 h sshd[1]: message repeated 5 times: [ Failed password for root from 192.0.2.1 port 2 ssh2]"
    )
    assert (line.repeated, line.message) == (5, "Failed password for root from 192.0.2.1 port 2 ssh2")
    assert parsed("Dec 10 07:13:56 h last message repeated 3 times").repeated == 3
    assert parsed("Dec 10 07:13:56 h sshd[1]: message repeated 999999999 times: [ x]").repeated == model.MOST_REPEATED


@given(st.text(max_size=200))
def test_any_line_is_read(text: str) -> None:
    for start in (
        "",
        "Dec 10 06:55:46 ",
        "<3>1 ",
        "2015-04-16T18:02:50Z ",
        "Dec 10 06:55:46 h sshd[1]: message repeated ",
    ):
        syslog.parse(start + text, syslog.Clock(1_780_000_000))


def test_a_line_of_megabytes_is_read_in_time() -> None:
    start = time.monotonic()
    for part in ("a" * (1 << 20), " from " * (1 << 17), "[" * (1 << 20), "\\" * (1 << 20)):
        syslog.parse("Dec 10 06:55:46 h sshd[1]: Failed password for invalid user " + part, syslog.Clock(0))
    assert time.monotonic() - start < 5
