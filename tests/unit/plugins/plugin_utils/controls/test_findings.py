# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Failed controls become findings, and one finding says how many wait for a person."""

from __future__ import annotations

import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils import _control
from ansible_collections.bulwark.servers.plugins.plugin_utils.controls import findings

from tests.unit.plugins.plugin_utils.controls.benchmark import (
    BENCHMARK,
    CATALOGUE,
    DEEP,
    ENGINE,
    NETWORK,
    OTHER,
    UNJUDGED,
    USERS,
    answer,
    joined,
)
from tests.unit.plugins.plugin_utils.ocsf import samples, schema


def _findings(*reported: t.Any) -> list[dict[str, t.Any]]:
    controls = list(joined(*reported).values())
    made = findings.findings(controls, BENCHMARK.title, UNJUDGED, CATALOGUE, samples.HOST, samples.NOW)
    for event in made:
        assert schema.errors(event) == []
        assert "notes" not in event["unmapped"]
    return made


def test_a_failed_control_is_one_finding_about_its_engine() -> None:
    (event,) = _findings(answer(items=["web", "db"], severity="critical"), answer(USERS, "passed", []))
    assert event["metadata"]["event_code"] == NETWORK.id
    assert event["unmapped"]["subject"] == ENGINE
    assert event["unmapped"]["scope"] == "engines"
    assert event["severity"] == "Critical"
    assert event["message"] == "5.10 Containers have a network namespace of their own: It says so."
    assert event["compliance"]["standards"] == ["CIS Docker Benchmark 1.8.0"]
    assert event["compliance"]["requirements"] == ["5.10"]
    assert (event["compliance"]["status_id"], event["compliance"]["control"]) == (3, NETWORK.title)
    assert event["unmapped"]["control"] == {"level": 1, "examined": 50, "count": 2, "excepted_count": 0}
    assert [evidence["container"]["name"] for evidence in event["evidences"]] == ["db", "web"]
    assert event["evidences"][0]["data"] == {
        "kind": "container",
        "name": "db",
        "detail": "network host",
        "note": "",
        "is_new": False,
    }


def test_each_kind_of_item_is_valid_evidence() -> None:
    kinds = ("container", "image", "file", "network", "service", "account", "setting", "rule", "host")
    items = [_control.item(kind, "/etc/docker/", "x" * 500, "y" * 500) for kind in kinds]
    (event,) = _findings(answer(items=[]) | {"evidences": items, "count": len(items)})
    assert {evidence["data"]["kind"] for evidence in event["evidences"]} == set(kinds)
    by_kind = {evidence["data"]["kind"]: evidence for evidence in event["evidences"]}
    assert by_kind["file"]["file"]["path"] == "/etc/docker/"
    assert by_kind["account"]["user"] == {"name": "/etc/docker/"}


def test_a_hundred_items_are_listed_and_all_are_counted() -> None:
    (event,) = _findings(answer(items=[f"web{number:03}" for number in range(435)]))
    assert (len(event["evidences"]), event["unmapped"]["control"]["count"]) == (100, 435)


def test_what_waits_for_a_person_is_one_finding_of_each_engine() -> None:
    both = [answer(USERS, "manual"), answer(DEEP, "manual"), answer(USERS, "manual", subject=OTHER)]
    first, second = _findings(*both)
    assert first["metadata"]["event_code"] == second["metadata"]["event_code"] == UNJUDGED
    assert (first["unmapped"]["subject"], second["unmapped"]["subject"]) == (ENGINE, OTHER)
    assert first["severity"] == "Informational"
    assert first["message"] == "2 controls wait for a person to judge: 1.1.2, 2.2."
    assert second["message"] == "1 control waits for a person to judge: 1.1.2."
    assert first["compliance"]["requirements"] == ["1.1.2", "2.2"]
    assert first["compliance"]["status"] == "Warning"
    assert first["unmapped"]["control"] == {"count": 2}
    assert first["evidences"][0]["data"] == {
        "number": "1.1.2",
        "title": USERS.title,
        "question": "Should these accounts control the engine?",
    }


def test_nothing_else_is_a_finding() -> None:
    statuses = ("passed", "excepted", "not_applicable", "not_checked")
    assert [_findings(answer(status=status, items=[])) for status in statuses] == [[]] * 4
