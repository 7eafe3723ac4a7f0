# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import typing as t

from ansible_collections.bulwark.servers.plugins.plugin_utils.ocsf import scan_activity

from tests.unit.plugins.plugin_utils.ocsf import schema

SCAN = scan_activity.Scan("run-1", "scan", 100.5)


def _entry(scope: str, status: str = "checked", reason: str | None = None, **changes: t.Any) -> dict[str, t.Any]:
    return {"scope": scope, "status": status, "reason": reason, "examined": 3, "skipped_count": 1, **changes}


def _look(capability: str = "audit", status: str = "checked", *entries: dict[str, t.Any]) -> scan_activity.Look:
    return scan_activity.Look(capability, status, entries or (_entry("a", status),), 99.0)


def test_a_checked_host_is_a_success() -> None:
    event = scan_activity.event(SCAN, "web1", [_look(), _look("memory_scan")], 200)
    assert schema.errors(event) == []
    assert (event["class_uid"], event["activity_name"], event["status"]) == (6007, "Completed", "Success")
    assert event["message"] == "web1: 2 of 2 capabilities were checked"
    assert (event["total"], event["num_skipped_items"]) == (6, 2)
    assert (event["start_time"], event["end_time"], event["time"]) == (100_500, 200_000, 200_000)
    assert event["device"]["hostname"] == "web1"


def test_a_host_of_which_a_part_was_checked_is_partial() -> None:
    event = scan_activity.event(SCAN, "web1", [_look(), _look("memory_scan", "not_checked")], 200)
    assert schema.errors(event) == []
    assert (event["status_id"], event["status"], event["severity"]) == (99, "Partial", "Low")


def test_a_host_that_nobody_looked_at_is_a_failure() -> None:
    reason = "no result arrived\n\u202e"
    entry = _entry("audit", "not_checked", reason)
    event = scan_activity.event(SCAN, "web1", [_look("audit", "not_checked", entry)], 200)
    assert schema.errors(event) == []
    assert (event["activity_name"], event["status"], event["severity"]) == ("Error", "Failure", "Medium")
    (scope,) = event["unmapped"]["coverage"][0]["scopes"]
    assert scope["reason"].isprintable()


def test_the_same_looks_have_the_same_uid() -> None:
    def uid(host: str = "web1", now: float = 200, scan: scan_activity.Scan = SCAN, **changes: t.Any) -> str:
        look = _look("audit", "checked", _entry("a", **changes))
        return str(scan_activity.event(scan, host, [look], now)["metadata"]["uid"])

    assert uid() == uid(now=300)
    others = {
        uid(),
        uid("web2"),
        uid(examined=4),
        uid(scan=scan_activity.Scan("run-2", "scan", 100.5)),
    }
    assert len(others) == 4
    assert scan_activity.key("web1") != scan_activity.key("web2")


def test_a_clock_that_went_back_starts_no_scan_after_its_end() -> None:
    event = scan_activity.event(SCAN, "web1", [_look()], 50)
    assert event["start_time"] == event["end_time"] == 50_000


def test_an_event_has_the_worst_scopes_that_there_is_room_for() -> None:
    entries = [_entry(f"s{number}", examined=2**62) for number in range(300)]
    entries.append(_entry("bad", "not_checked", "x" * 10_000))
    event = scan_activity.event(SCAN, "web1", [_look(), _look("memory_scan", "partial", *entries)], 200)
    assert schema.errors(event) == []
    first = event["unmapped"]["coverage"][0]
    assert (first["capability"], first["scopes"][0]["scope"], len(first["scopes"])) == ("memory_scan", "bad", 100)
    assert len(first["scopes"][0]["reason"]) <= 400
    assert event["unmapped"]["coverage"][1] == {
        "capability": "audit",
        "status": "checked",
        "last_checked_time": 99_000,
        "scopes": [],
    }
    assert event["unmapped"]["notes"] == ["202 more scopes are not in this event; findings_info returns all"]
    assert event["total"] == 2**53 - 1
