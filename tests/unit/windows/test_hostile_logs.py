# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Logs of somebody who has read the code, and of clocks that were wrong: nothing is silenced, and nothing hangs."""

from __future__ import annotations

import datetime as dt
import os
import pathlib
import typing as t

import pytest

from tests.support.windows import evtx_writer, toolchain
from tests.unit.windows.test_collect import START, Host, counts, equals, plain, reasons, rule

pytestmark = pytest.mark.requires(*toolchain.MONO)

LOW = rule("low", "System", equals("EventID", "7036"), severity="low", subject=["ServiceName"])
WORST = rule("worst", "System", equals("EventID", "7045"), severity="critical", subject=["ServiceName"])


def noise(first: int, last: int) -> list[evtx_writer.Record]:
    return [plain(n, 7036, "System", ("ServiceName", f"s{n}")) for n in range(first, last + 1)]


def test_many_small_findings_push_out_no_worse_one(tmp_path: pathlib.Path) -> None:
    host = Host(tmp_path, LOW, WORST)
    records = [*noise(1, 2100), plain(2101, 7045, "System", ("ServiceName", "evil"))]
    (result,) = host.looks({"channels": {"System": host.channel(1, *records)}})
    assert counts(result)["audit_sigma_match worst: evil"] == 1
    assert "findings" in reasons(result)


def test_many_findings_push_out_nothing_that_is_wrong_with_the_log(tmp_path: pathlib.Path) -> None:
    host = Host(tmp_path, LOW)
    first = {"channels": {"System": host.channel(1, *noise(1, 3))}}
    results = host.looks(first, {"channels": {"System": host.channel(10, *noise(10, 2200))}})
    assert counts(results[1])["event_log_records_missing System"] == 6


@pytest.mark.parametrize("name", ["", "logs", "/a\0b"])
def test_a_path_that_is_none_is_refused(tmp_path: pathlib.Path, name: str) -> None:
    host = Host(tmp_path, LOW)
    (result,) = host.looks({"options": {"paths": [host.file(*noise(1, 3)), name]}})
    assert result["failed"].startswith("paths: '")
    assert result["failed"].endswith("is no absolute path; give one")


def test_links_and_what_is_no_file_are_said_and_not_followed(tmp_path: pathlib.Path) -> None:
    host = Host(tmp_path, LOW)
    logs = tmp_path / "logs"
    logs.mkdir()
    (logs / "a.evtx").write_bytes(evtx_writer.log(noise(1, 3)))
    (logs / "b.evtx").symlink_to(logs / "a.evtx")
    (logs / "up").symlink_to(tmp_path)
    (result,) = host.looks({"options": {"paths": [str(logs)]}})
    assert sum(counts(result).values()) == 3
    assert {pathlib.Path(subject).name for subject in reasons(result)} == {"b.evtx", "up"}


def test_a_huge_file_without_records_does_not_outlast_the_budget(tmp_path: pathlib.Path) -> None:
    host = Host(tmp_path, LOW)
    huge = tmp_path / "a.evtx"
    huge.write_bytes(evtx_writer.log(noise(1, 3)))
    os.truncate(huge, 1 << 40)
    (result,) = host.looks({"options": {"paths": [str(huge)], "time_budget": 2}})
    assert result["audit_events"]["seconds"] < 60
    assert sum(counts(result).values()) == 3
    assert reasons(result)[str(huge)] == "the time budget was used up before its end"


def correlation(*rules: int, **members: t.Any) -> dict[str, t.Any]:
    return {
        "id": "many",
        "alert": "audit_sigma_match",
        "title": "many",
        "key": "many",
        "severity": "critical",
        "techniques": [],
        "span": 60,
        "parts": [[rule] for rule in rules],
        "group": [],
        **members,
    }


def test_what_comes_later_in_one_log_hides_no_sequence_with_another_log(tmp_path: pathlib.Path) -> None:
    first = rule("first", "Application", equals("EventID", "1"), component=True)
    then = rule("then", "System", equals("EventID", "2"), component=True)
    sequence = correlation(0, 1, type="temporal_ordered", operator="gte", count=2)
    host = Host(tmp_path, first, then, correlations=[sequence])
    hour = START + dt.timedelta(hours=1)
    application = [plain(1, 1, "Application"), plain(2, 1, "Application", time=hour)]
    system = [plain(2, 2, "System"), plain(3, 2, "System", time=hour - dt.timedelta(minutes=5))]
    channels = {"Application": host.channel(1, *application), "System": host.channel(2, *system)}
    (result,) = host.looks({"channels": channels})
    (detection,) = result["detections"]
    assert detection["last_time"] == START.timestamp() + 2


def test_matches_that_are_too_many_to_be_ordered_are_said(tmp_path: pathlib.Path) -> None:
    each = rule("each", "Application", equals("EventID", "1"), component=True)
    other = rule("other", "System", equals("EventID", "1"), component=True)
    host = Host(tmp_path, each, other, correlations=[correlation(0, 1, type="temporal", operator="gte", count=2)])
    many = [plain(n, 1, "System") for n in range(1, 8300)]
    channels = {"System": host.channel(1, *many), "Application": host.channel(1, plain(1, 1, "Application"))}
    (result,) = host.looks({"channels": channels})
    assert reasons(result)["rules"].startswith("1 matches were correlated late")


def test_a_time_in_the_future_does_not_make_the_next_run_forget(tmp_path: pathlib.Path) -> None:
    by_name = [{"name": "ServiceName", "fields": ["ServiceName"]}]
    many = correlation(0, type="event_count", group=by_name, operator="gte", count=3)
    host = Host(tmp_path, {**WORST, "component": True}, correlations=[many])
    now = dt.datetime.now(tz=dt.UTC)

    def service(number: int, event_id: int = 7045, **ago: int) -> evtx_writer.Record:
        return plain(number, event_id, "System", ("ServiceName", "s"), time=now - dt.timedelta(**ago))

    before = [service(1, seconds=40), service(2, seconds=30), service(3, 7036, days=-4000), service(4, days=-4000)]
    results = host.looks(
        {"channels": {"System": host.channel(1, *before)}},
        {"channels": {"System": host.channel(1, *before, service(5, seconds=20))}},
    )
    assert list(counts(results[1]).values()) == [3]
    assert "time is in the future" in reasons(results[0])["rules"]


@pytest.mark.parametrize("option", ["max_findings", "time_budget"])
def test_a_number_below_zero_is_refused(tmp_path: pathlib.Path, option: str) -> None:
    host = Host(tmp_path, LOW)
    (result,) = host.looks({"channels": {}, "options": {option: -1}})
    assert result["failed"].startswith(f"{option} is -1")


def test_an_export_that_somebody_holds_costs_no_run(tmp_path: pathlib.Path) -> None:
    host = Host(tmp_path, LOW)
    looks = [{"channels": {"System": host.channel(1, *noise(1, last))}} for last in (2, 5, 5)]
    results = host.looks({**looks[0], "held": True}, {**looks[1], "held": True}, looks[2])
    assert [len(counts(result)) for result in results] == [2, 3, 0]
    assert host.exports() == []
