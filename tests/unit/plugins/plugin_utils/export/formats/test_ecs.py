# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import json
import typing as t

import pytest
from ansible_collections.bulwark.servers.plugins.plugin_utils import catalogue
from ansible_collections.bulwark.servers.plugins.plugin_utils.export.formats import ecs
from ansible_collections.bulwark.servers.plugins.plugin_utils.export.receiver import UnfitError
from ansible_collections.bulwark.servers.plugins.plugin_utils.ocsf import events

from tests.support import hostile_events, mapped_events, require

# https://www.elastic.co/docs/reference/ecs, "ECS categorization fields"; the table has no allowed values.
KINDS = {"alert", "asset", "enrichment", "event", "metric", "state", "pipeline_error", "signal"}
OUTCOMES = {"success", "failure", "unknown"}
# The types that ECS expects for each of the categories that we write.
EXPECTED_TYPES = {
    "configuration": {"access", "change", "creation", "deletion", "info"},
    "file": {"access", "change", "creation", "deletion", "info"},
    "host": {"access", "change", "end", "info", "start"},
    "intrusion_detection": {"allowed", "denied", "info"},
    "malware": {"info"},
    "network": {"access", "allowed", "connection", "denied", "end", "info", "protocol", "start"},
    "vulnerability": {"info"},
}
CHECKS: dict[str, t.Callable[[t.Any], bool]] = {
    "keyword": lambda value: isinstance(value, str),
    "constant_keyword": lambda value: isinstance(value, str),
    "wildcard": lambda value: isinstance(value, str),
    "match_only_text": lambda value: isinstance(value, str),
    "long": lambda value: mapped_events.is_whole(value, 64),
    "float": lambda value: isinstance(value, (int, float)) and abs(value) < 3.5e38,
    "boolean": lambda value: isinstance(value, bool),
    "date": mapped_events.is_time,
    "ip": mapped_events.is_address,
}


def read(event: dict[str, t.Any]) -> dict[str, t.Any]:
    return mapped_events.flat(json.loads(ecs.render(event).body))


def test_every_value_has_the_name_and_type_that_ecs_gives_it() -> None:
    require("data:export")
    known = {row["Field"]: row for row in mapped_events.table("ecs/fields.csv")}
    for event in hostile_events.many():
        for field, value in read(event).items():
            if field.startswith("bulwark."):
                continue
            row = known[field]
            assert isinstance(value, list) == (row["Normalization"] == "array"), field
            for item in value if isinstance(value, list) else [value]:
                assert CHECKS[row["Type"]](item), (field, item)


def test_whatever_is_in_an_event_reads_back_as_it_was() -> None:
    for event in hostile_events.many():
        line = ecs.render(event).body.decode()
        assert len(line.splitlines()) == 1
        document = mapped_events.flat(json.loads(line))
        expected = mapped_events.copied("ecs", event)
        assert {field: document.get(field) for field in expected} == expected
        assert ecs.render(event).shortened == 0


def test_the_categories_have_values_that_ecs_allows() -> None:
    for event in hostile_events.many():
        document = read(event)
        assert document["event.kind"] in KINDS
        assert document.get("event.outcome", "unknown") in OUTCOMES


@pytest.mark.parametrize("alert", [alert.id for alert in catalogue.load()])
def test_each_alert_has_a_type_that_ecs_expects_for_its_category(alert: str) -> None:
    detection = {"alert": alert, "subject": "s", "scope": "files", "message": "m", "severity": "high"}
    event = events.finding(detection, catalogue.load(), events.Device("h"), hostile_events.NOW)
    document = read(event)
    categories = document["event.category"]
    assert any(set(document["event.type"]) <= EXPECTED_TYPES[category] for category in categories)
    kind = catalogue.load().alert(alert).kind
    assert document["event.kind"] == ("alert" if kind == "alert" else "state")


def test_rows_with_a_reference_are_those_that_ecs_has() -> None:
    require("data:export")
    known = {row["Field"] for row in mapped_events.table("ecs/fields.csv")}
    for rows in mapped_events.rows("ecs").values():
        for row in rows:
            assert row.reference == (None if row.field.startswith("bulwark.") else row.field)
            assert (row.field in known) == (row.reference is not None), row.field


def test_a_detection_reads_as_elastic_expects() -> None:
    event = hostile_events.plain()[0]
    document = read(event)
    expected = {
        "event.kind": "alert",
        "event.type": ["denied"],
        "event.id": event["metadata"]["uid"],
        "event.code": event["metadata"]["event_code"],
        "rule.id": event["metadata"]["event_code"],
        "rule.name": event["finding_info"]["title"],
        "threat.framework": "MITRE ATT&CK",
        "host.name": "web1.example.org",
        "host.ip": ["192.0.2.7"],
        "host.os.type": "linux",
        "process.pid": 4711,
        "process.executable": "/usr/bin/bash",
        "process.hash.sha256": "ab" * 32,
        "file.path": "/etc/cron.d/backup",
        "user.name": "root",
        "source.ip": "203.0.113.5",
        "source.port": 51234,
        "destination.ip": "2001:db8::1",
        "network.direction": "inbound",
        "related.ip": ["192.0.2.7", "203.0.113.5", "2001:db8::1"],
        "related.user": ["root"],
        "related.hosts": ["web1.example.org", "far.example.net"],
        "bulwark.status": "open",
        "bulwark.finding.uid": event["finding_info"]["uid"],
        "data_stream.type": "logs",
        "data_stream.dataset": "bulwark.findings",
        "data_stream.namespace": "default",
        "event.dataset": "bulwark.findings",
    }
    assert {field: document[field] for field in expected} == expected
    assert [json.loads(line) for line in document["bulwark.evidence"]] == event["evidences"]


def test_a_resolved_alert_is_no_alert_any_more() -> None:
    resolved = events.with_status(hostile_events.plain()[0], "resolved", "close", hostile_events.NOW)
    assert read(resolved)["event.kind"] == "event"


def test_a_vulnerability_finding_has_the_most_serious_and_the_ids_of_all() -> None:
    document = read(hostile_events.large_vulnerability())
    assert document["vulnerability.id"] == "CVE-2026-1000"
    assert (document["vulnerability.enumeration"], document["vulnerability.classification"]) == ("CVE", "CVSS")
    assert document["vulnerability.score.base"] == 9.8
    assert (document["package.name"], document["package.version"]) == ("openssl", "3.5.1-1")
    assert document["bulwark.vulnerability.fixed_version"] == "3.5.4-1"
    assert document["bulwark.vulnerability.ids"] == [f"CVE-2026-{1_000 + number}" for number in range(2_000)]


@pytest.mark.parametrize(
    ("status", "outcome"), [("Success", "success"), ("Failure", "failure"), ("Partial", "unknown")]
)
def test_scan_coverage_is_a_state_of_the_host(status: str, outcome: str) -> None:
    document = read({**hostile_events.plain()[5], "status": status})
    assert document["event.kind"] == "state"
    assert document["event.category"] == ["host"]
    assert document["event.outcome"] == outcome


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        ("logs-bulwark.findings-prod", {"type": "logs", "dataset": "bulwark.findings", "namespace": "prod"}),
        ("findings", None),
        ("logs-a-b-c", None),
    ],
)
def test_a_document_says_which_data_stream_it_is_for(name: str, parts: dict[str, str] | None) -> None:
    assert ecs.document(hostile_events.plain()[0], name).get("data_stream") == parts


def test_an_event_without_a_time_is_refused() -> None:
    event = {**hostile_events.plain()[0], "time": None, "metadata": {"uid": "x"}}
    with pytest.raises(UnfitError, match="it has no usable time"):
        ecs.render(event)


def test_a_class_without_a_mapping_is_refused() -> None:
    with pytest.raises(UnfitError, match="its class_uid is 1001"):
        ecs.render({"class_uid": 1001})
