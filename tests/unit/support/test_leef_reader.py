# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The LEEF reader reads IBM's own examples, and refuses what IBM's text warns of."""

from __future__ import annotations

import pytest

from tests.support import leef_reader, require

HEADER = "LEEF:2.0|Lancope|StealthWatch|1.0|41|"


@pytest.fixture(autouse=True)
def _table() -> None:
    require("data:export")


def test_an_event_of_version_1_has_tabs() -> None:
    line = (
        "Jan 18 11:07:53 192.168.1.1 LEEF:1.0|Microsoft|MSExchange|4.0 SP1|15345|src=192.0.2.0\tdst=172.50.123.1\tsev=5"
    )
    event = leef_reader.read(line.encode())
    assert event[:5] == ("1.0", "Microsoft", "MSExchange", "4.0 SP1", "15345")
    assert event.attributes == {"src": "192.0.2.0", "dst": "172.50.123.1", "sev": "5"}
    assert event.milliseconds is None


@pytest.mark.parametrize(
    ("delimiter", "character"),
    [("^", "^"), ("x5E", "^"), ("0x5e", "^"), ("", "\t"), ("x09", "\t"), ("x00A6", "\u00a6")],
)
def test_version_2_names_its_delimiter(delimiter: str, character: str) -> None:
    body = character.join(["src=10.0.1.8", "dst=10.0.0.5", "sev=5", "srcPort=81", "policy=a=b|c"])
    event = leef_reader.read(f"<133>1 2019-01-18T11:07:53.520+07:00 myhostname {HEADER}{delimiter}|{body}".encode())
    assert event.delimiter == character
    assert event.attributes == {
        "src": "10.0.1.8", "dst": "10.0.0.5", "sev": "5", "srcPort": "81", "policy": "a=b|c",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("time", "milliseconds"),
    [
        ("devTime=1547809673", 1547809673000),
        ("devTime=1547809673520", 1547809673520),
        ("devTime=Jan 18 2019 11:07:53", 1547809673000),
        ("devTime=Jan 18 2019 11:07:53.520 GMT^devTimeFormat=MMM dd yyyy HH:mm:ss.SSS z", 1547809673520),
    ],
)
def test_a_time_is_an_epoch_or_a_date(time: str, milliseconds: int) -> None:
    assert leef_reader.read(f"{HEADER}^|{time}".encode()).milliseconds == milliseconds


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (HEADER + "^|name=a\nb", "two of it"),
        (HEADER + "^|name=a\u2028b", "two of it"),
        ("LEEF:3.0|a|b|c|d|^|", "unknown version"),
        ("LEEF:2.0|a|b|c|d", "too short"),
        ("somebody LEEF:2.0|a|b|c|d|^|a=1", "neither"),
        ("LEEF:2.0|a|b|c||^|a=1", "event ID is empty"),
        ("LEEF:2.0|a|b|c|" + "d" * 256 + "|^|a=1", "longer than 255"),
        (HEADER + "^^|a=1", "no single character"),
        (HEADER + "=|a=1", "can't be told"),
        (HEADER + "x41|b=1", "can't be told"),
        (HEADER + "^|name=Joe^Smith", "delimiter in a value"),
        (HEADER + "^|file name=pic07720.gif", "single alphanumeric word"),
        (HEADER + "^|=a", "single alphanumeric word"),
        (HEADER + "^|a=1^a=2", "second a"),
        (HEADER + "^|usrname=Joe", "usrName in another spelling"),
        (HEADER + "^|isLoginEvent=true", "reserved"),
        (HEADER + "^|src=host", "host"),
        (HEADER + "^|srcMAC=host", "MAC"),
        (HEADER + "^|sev=11", "out of 1-10"),
        (HEADER + "^|dstPort=65536", "out of 0 - 65535"),
        (HEADER + "^|srcBytes=-1", "no integer"),
        (HEADER + "^|usrName=" + "a" * 256, "more than 255"),
        (HEADER + "^|devTime=12345678901", "no devTime"),
        (HEADER + "^|devTime=1^devTimeFormat=yyyy", "unknown devTimeFormat"),
    ],
)
def test_a_line_that_qradar_would_misread_is_refused(line: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        leef_reader.read(line.encode())


def test_bytes_that_are_no_utf_8_are_refused() -> None:
    with pytest.raises(UnicodeDecodeError):
        leef_reader.read(HEADER.encode() + b"^|a=\xff")
