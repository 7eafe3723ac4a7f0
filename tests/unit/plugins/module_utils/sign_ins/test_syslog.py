# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import calendar
import json
import time
import typing as t

import pytest
from ansible_collections.bulwark.servers.plugins.module_utils.sign_ins import model, stamps, syslog
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
    line = syslog.parse(text, stamps.Clock(reference))
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
    assert syslog.parse(text, stamps.Clock(0)) is None


@pytest.mark.parametrize(
    ("text", "reference", "expected"),
    [
        # The year is that of the file, or the one before when the line would be of the future.
        ("Jan  2 00:00:00 h a: x", at(2026, 1, 3), at(2026, 1, 2)),
        ("Dec 31 23:59:59 h a: x", at(2026, 1, 3), at(2025, 12, 31, 23, 59, 59)),
        ("Jan  4 00:00:00 h a: x", at(2026, 1, 3, 12), at(2026, 1, 4)),
        ("Jan  5 00:00:00 h a: x", at(2026, 1, 3, 12), at(2025, 1, 5)),
        ("Feb 29 12:00:00 h a: x", at(2026, 3, 3), at(2024, 2, 29, 12)),
        ("Feb 29 12:00:00 2024 h a: x", at(2026, 3, 3), at(2024, 2, 29, 12)),
        ("Feb 29 2024 12:00:00 h a: x", at(2026, 3, 3), at(2024, 2, 29, 12)),
        ("Feb 30 12:00:00 h a: x", at(2026, 3, 3), None),
        ("2026-02-30T12:00:00Z h a: x", at(2026, 3, 3), None),
        ("2026-01-01T01:30:00+02:00 h a: x", at(2026, 3, 3), at(2025, 12, 31, 23, 30)),
    ],
)
def test_times(text: str, reference: int, expected: int | None) -> None:
    line = syslog.parse(text, stamps.Clock(reference))
    assert line is not None
    assert line.time == expected


_SSHD = ("sshd", 7, "Failed password for root from 192.0.2.1 port 2 ssh2")
_TOLD = "sshd[7]: " + _SSHD[2]
_MOMENT = at(2026, 11, 28, 12, 0, 50)


@pytest.mark.parametrize(
    "text",
    [
        # BusyBox, with and without -S; FreeBSD with -v and -vv; socklog.
        "Nov 28 12:00:50 vm auth.info " + _TOLD,
        "Nov 28 12:00:50 auth.info " + _TOLD,
        "Nov 28 12:00:50 " + _TOLD,
        "Nov 28 12:00:50 vm /usr/sbin/" + _TOLD,
        "Nov 28 12:00:50 <auth.info> vm " + _TOLD,
        "Nov 28 12:00:50 <4.6> vm " + _TOLD,
        "2026-11-28_12:00:50.00000 auth.info: " + _TOLD,
        "2026-11-28_12:00:50.00000 auth.info: Nov 28 12:00:50 " + _TOLD,
        "@40000000%08x00000000 auth.info: %s" % (_MOMENT + 10, _TOLD),
        # Years, zones and fractions of the traditional form.
        "2026 Nov 28 12:00:50 vm " + _TOLD,
        "Nov 28 12:00:50 2026 vm " + _TOLD,
        "Nov 28 2026 12:00:50 vm " + _TOLD,
        "Nov 28 12:00:50 UTC vm " + _TOLD,
        "Nov 28 13:00:50 +01:00 vm " + _TOLD,
        "Sat Nov 28 12:00:50 2026 vm " + _TOLD,
        "Sat Nov 28 12:00:50 UTC 2026 vm " + _TOLD,
        "Nov 28 12:00:50.000 vm " + _TOLD,
        "Nov 28 12:00:50: vm " + _TOLD,
        "nov 28 12:00:50 vm " + _TOLD,
        "28 Nov 2026 12:00:50 vm " + _TOLD,
        "28/Nov/2026:12:00:50 +0000 vm " + _TOLD,
        # Months of other languages.
        "Nov. 28 12:00:50 vm " + _TOLD,
        "nov. 28 12:00:50 vm " + _TOLD,
        "listopadu 28 12:00:50 vm " + _TOLD,
        "ноя 28 12:00:50 vm " + _TOLD,
        "11月 28 12:00:50 vm " + _TOLD,
        "28. Nov 12:00:50 vm " + _TOLD,
        # RFC 3339 and ISO 8601.
        "2026-11-28T12:00:50Z vm " + _TOLD,
        "2026-11-28t12:00:50z vm " + _TOLD,
        "2026-11-28T12:00:50.000000+00:00 vm " + _TOLD,
        "2026-11-28T17:30:50+0530 vm " + _TOLD,
        "2026-11-28T11:00:50-01 vm " + _TOLD,
        "2026-11-28 12:00:50,000 vm " + _TOLD,
        "2026-11-28 13:00:50 +0100 vm " + _TOLD,
        "2026-11-28 12:00:50 UTC vm " + _TOLD,
        "Sat 2026-11-28 12:00:50 UTC vm " + _TOLD,
        "2026/11/28 12:00:50 vm " + _TOLD,
        "20261128T120050Z vm " + _TOLD,
        "20261128120050 vm " + _TOLD,
        "[2026-11-28T12:00:50Z] vm " + _TOLD,
        "[Nov 28 12:00:50] vm " + _TOLD,
        "2026-11-28T12:00:50.0000000000Z vm " + _TOLD,
        # With tabs.
        "2026-11-28T12:00:50Z\tvm\t" + _TOLD.replace(": ", ":\t"),
        "Nov 28 12:00:50\tvm\tsshd[7]:\t" + _SSHD[2],
        # Since the epoch.
        f"{_MOMENT} vm {_TOLD}",
        f"{_MOMENT}.000000 vm {_TOLD}",
        f"{_MOMENT}000 vm {_TOLD}",
        f"{_MOMENT}000000 vm {_TOLD}",
        # RFC 5424.
        "<38>1 2026-11-28T12:00:50.003Z vm sshd 7 - - " + _SSHD[2],
        '<38>1 2026-11-28T12:00:50Z vm sshd 7 ID47 [a@1 b="x\\]y" c="]"][d e="f"] \ufeff' + _SSHD[2],
        # rsyslog has a blank more in front of the message.
        "<38>1 2026-11-28T12:00:50.986950+00:00 vm sshd 7 - -  " + _SSHD[2],
        "1 2026-11-28T12:00:50Z vm sshd 7 - - " + _SSHD[2],
        "120 <38>1 2026-11-28T12:00:50Z vm sshd 7 - - " + _SSHD[2],
        # A file that came from elsewhere, or through a crash.
        "Nov 28 12:00:50 vm " + _TOLD + "\r",
        "\ufeffNov 28 12:00:50 vm " + _TOLD,
        "\0\0\0Nov 28 12:00:50 vm " + _TOLD,
        # JSON: of rsyslog (jsonmesg, and a template), syslog-ng, journalctl, and of shippers.
        json.dumps(
            {
                "msg": " " + _SSHD[2],
                "timereported": "2026-11-28T12:00:50+00:00",
                "syslogtag": "sshd[7]:",
                "programname": "sshd",
                "procid": "7",
                "app-name": "sshd",
                "pri": "38",
            }
        ),
        json.dumps({"message": _SSHD[2], "timestamp": "2026-11-28T12:00:50Z", "tag": "sshd[7]:"}),
        json.dumps({"rawmsg": "<38>Nov 28 12:00:50 vm " + _TOLD, "severity": "info"}),
        json.dumps({"PROGRAM": "sshd", "PID": "7", "MESSAGE": _SSHD[2], "DATE": "Nov 28 12:00:50", "HOST": "vm"}),
        json.dumps(
            {
                "MESSAGE": _SSHD[2],
                "SYSLOG_IDENTIFIER": "sshd",
                "_PID": "7",
                "_COMM": "sshd-session",
                "__REALTIME_TIMESTAMP": f"{_MOMENT}000000",
            }
        ),
        json.dumps(
            {
                "@timestamp": "2026-11-28T12:00:50.000Z",
                "message": _SSHD[2],
                "process": {"name": "sshd", "pid": 7},
                "host": {"name": "vm"},
            }
        ),
        json.dumps({"time": _MOMENT, "message": _TOLD}),
        json.dumps({"time": _MOMENT, "ident": "sshd", "pid": 7, "message": _SSHD[2]}),
    ],
)
def test_every_form_that_daemons_write_is_read(text: str) -> None:
    line = parsed(text, _MOMENT + 3600)
    assert (line.program, line.pid, line.message) == _SSHD
    assert line.time is not None
    assert int(line.time) == _MOMENT


@pytest.mark.parametrize(
    "text",
    [
        '{"program": "sshd", "message": "x", "program": "cron"}',  # a name with a quote made a second one
        '{"program": "sshd", "message": "x"',
        '{"severity": "info"}',
        "[]",
        "Foo 28 12:00:50 vm sshd[7]: x",
        "sshd[7]: x",
        "time=2026-11-28 msg=x",
    ],
)
def test_what_is_not_understood_is_no_line(text: str) -> None:
    assert syslog.parse(text, stamps.Clock(_MOMENT)) is None


@pytest.mark.parametrize(
    "text", ["Nov 28 12:00:50 vm syslog.info syslogd started: BusyBox v1.37.0", "Nov 28 12:00:50 vm -- MARK --"]
)
def test_a_line_without_a_tag_has_no_program(text: str) -> None:
    assert parsed(text).program == ""


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
        syslog.parse(start + text, stamps.Clock(1_780_000_000))


def test_a_line_of_megabytes_is_read_in_time() -> None:
    start = time.process_time()
    for part in ("a" * (1 << 20), " from " * (1 << 17), "[" * (1 << 20), "\\" * (1 << 20)):
        syslog.parse("Dec 10 06:55:46 h sshd[1]: Failed password for invalid user " + part, stamps.Clock(0))
    assert time.process_time() - start < 5
