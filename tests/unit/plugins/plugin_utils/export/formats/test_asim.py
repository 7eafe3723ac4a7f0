# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import json
import typing as t

import pytest
from ansible_collections.bulwark.servers.plugins.plugin_utils import catalogue
from ansible_collections.bulwark.servers.plugins.plugin_utils.export.formats import asim
from ansible_collections.bulwark.servers.plugins.plugin_utils.export.receiver import UnfitError
from ansible_collections.bulwark.servers.plugins.plugin_utils.ocsf import events

from tests.support import hostile_events, mapped_events, require

# Columns of the table that ASIM has not: Azure Monitor demands this one of each table.
OURS = {"TimeGenerated"}
# Allowed values that the table leaves out, from ASIM's common fields and its device entity.
FURTHER_VALUES = {
    "EventSeverity": {"Informational", "Low", "Medium", "High"},
    "EventResult": {"Success", "Partial", "Failure", "NA"},
    "DvcDomainType": {"FQDN", "Windows"},
    "UsernameType": {"UPN", "Windows", "DN", "Simple", "AWSId"},
}
CHECKS: dict[str, t.Callable[[t.Any], bool]] = {
    "integer": lambda value: mapped_events.is_whole(value, 32),
    "int": lambda value: mapped_events.is_whole(value, 32),
    "risklevel (integer)": lambda value: mapped_events.is_whole(value, 32) and 0 <= value <= 100,
    "long": lambda value: mapped_events.is_whole(value, 64),
    "bool": lambda value: isinstance(value, bool),
    "date/time": mapped_events.is_time,
    "datetime": mapped_events.is_time,
    "ip address": mapped_events.is_address,
    "dynamic": lambda value: isinstance(value, dict),
}


def table() -> dict[str, dict[str, str]]:
    require("data:export")
    return {row["field"]: row for row in mapped_events.table("asim_fields.csv") if row["schema"] == "AlertEvent"}


def allowed(row: dict[str, str]) -> set[str]:
    """Return the allowed values of a column: the table has an explanation in parentheses behind some."""
    values = {value.split(" (")[0] for value in row["values"].split("|") if value}
    return values | FURTHER_VALUES.get(row["field"], set())


def read(event: dict[str, t.Any]) -> dict[str, t.Any]:
    return t.cast("dict[str, t.Any]", json.loads(asim.render(event).body))


def test_every_row_is_what_asim_demands() -> None:
    known = table()
    mandatory = {name for name, row in known.items() if row["class"] == "Mandatory"}
    for event in hostile_events.many():
        columns = read(event)
        assert mandatory | OURS <= set(columns)
        for name in set(columns) - OURS:
            row, value = known[name], columns[name]
            assert row["class"] != "Alias", f"{name} is made by the parser"
            check = CHECKS.get(row["type"].lower(), lambda text: isinstance(text, str) and bool(text))
            assert check(value), (name, value)
            values = allowed(row)
            assert not values or str(value) in values, (name, value)
        for name, needs in (("Username", "UsernameType"), ("UserId", "UserIdType"), ("DvcDomain", "DvcDomainType")):
            assert (name in columns) == (needs in columns)


def test_each_enumerated_column_has_its_values_in_a_table() -> None:
    known = table()
    for rows in mapped_events.rows("asim").values():
        for row in rows:
            name = row.field.partition(".")[0]
            if name not in OURS and known[name]["type"] in ("Enumerated", "UsernameType"):
                assert allowed(known[name]), name


def test_whatever_is_in_an_event_reads_back_as_it_was() -> None:
    for event in hostile_events.many():
        line = asim.render(event).body.decode()
        assert len(line.splitlines()) == 1
        columns = json.loads(line)
        message = mapped_events.whole(event["message"])
        if message:
            assert columns["EventMessage"] == (message if len(message) <= 16_000 else message[:15_999] + "…")
        for name, path in (("EventOriginalType", "class_name"), ("DvcId", "device.name"), ("DvcOs", "device.os.name")):
            text = mapped_events.member(event, path)
            assert columns.get(name) == (mapped_events.whole(text) if text else None)
        evidences = event.get("evidences")
        if event["class_uid"] in (2003, 2004) and evidences:
            assert columns["AdditionalFields"]["Evidence"] == json.loads(mapped_events.whole_json(evidences))


def test_no_text_is_longer_than_azure_monitor_stores() -> None:
    for event in hostile_events.many():
        for name, value in read(event).items():
            if isinstance(value, str):
                assert len(value.encode()) < 65_536, name


def test_what_is_longer_is_cut_marked_and_counted() -> None:
    rendered = asim.render({**hostile_events.plain()[0], "message": "é" * 16_001})
    assert json.loads(rendered.body)["EventMessage"] == "é" * 15_999 + "…"
    assert rendered.shortened == 1


def test_rows_with_a_reference_are_the_columns_of_asim() -> None:
    known = table()
    for rows in mapped_events.rows("asim").values():
        for row in rows:
            is_asim = "." not in row.field and row.field not in OURS
            assert row.reference == (row.field if is_asim else None)
            assert not is_asim or row.field in known


def test_alerts_that_are_named_exist() -> None:
    known = {alert.id for alert in catalogue.load()}
    for rows in mapped_events.rows("asim").values():
        for row in rows:
            if row.sources == ("unmapped.alert",) and row.values is not None:
                assert set(row.values) <= known


def test_a_detection_reads_as_asim_has_it() -> None:
    event = hostile_events.plain()[0]
    columns = read(event)
    expected = {
        "EventType": "Alert",
        "EventSubType": "Suspicious Activity",
        "EventSeverity": "High",
        "EventUid": event["metadata"]["uid"],
        "EventOriginalUid": event["finding_info"]["uid"],
        "AlertStatus": "Active",
        "DvcHostname": "web1",
        "DvcFQDN": "web1.example.org",
        "DvcIpAddr": "192.0.2.7",
        "DvcAction": "Deny",
        "Username": "root",
        "ProcessId": "4711",
        "FilePath": "/etc/cron.d/backup",
        "FileSHA256": "ab" * 32,
        "AttackTactics": "Execution, Command and Control",
    }
    assert {name: columns[name] for name in expected} == expected
    assert columns["AttackTechniques"].startswith("Command and Scripting Interpreter (T1059), ")
    assert columns["AdditionalFields"]["Change"] == "severity changed"


def test_critical_is_high_in_asim() -> None:
    columns = read({**hostile_events.plain()[0], "severity_id": 5, "severity": "Critical"})
    assert (columns["EventSeverity"], columns["EventOriginalSeverity"]) == ("High", "Critical")


@pytest.mark.parametrize("status", ["resolved", "suppressed"])
def test_what_is_no_longer_open_is_closed(status: str) -> None:
    event = events.with_status(hostile_events.plain()[0], status, "update", hostile_events.NOW)
    assert (read(event)["AlertStatus"], read(event)["AlertOriginalStatus"]) == ("Closed", status)


def test_a_compliance_finding_is_a_violation() -> None:
    columns = read(hostile_events.plain()[1])
    assert columns["EventSubType"] == "Compliance Violation"
    assert columns["EventResult"] == "Failure"
    assert columns["AdditionalFields"]["Control"] == "A user is set"


def test_a_vulnerability_finding_names_the_most_serious_and_all() -> None:
    columns = read(hostile_events.plain()[3])
    assert "EventSubType" not in columns
    assert columns["ThreatId"] == "CVE-2026-1000"
    assert columns["AdditionalFields"]["VulnerabilityIds"] == ["CVE-2026-1000", "CVE-2026-1001", "CVE-2026-1002"]
    assert columns["AdditionalFields"]["PackageFixedVersion"] == "3.5.4-1"


@pytest.mark.parametrize("status", ["Success", "Partial", "Failure"])
def test_scan_coverage_has_a_result(status: str) -> None:
    columns = read({**hostile_events.plain()[5], "status": status})
    assert (columns["EventOriginalType"], columns["EventResult"]) == ("Scan Activity", status)
    assert "AlertStatus" not in columns


def test_a_name_outside_its_domain_stays_whole() -> None:
    event = dict(hostile_events.plain()[0])
    event["device"] = {**event["device"], "domain": "example.com"}
    columns = read(event)
    assert columns["DvcHostname"] == "web1.example.org"
    assert "DvcFQDN" not in columns


def test_an_event_without_a_time_is_refused() -> None:
    event = {**hostile_events.plain()[0], "time": None, "metadata": {"uid": "x"}}
    with pytest.raises(UnfitError, match="nothing usable for 'TimeGenerated'"):
        asim.render(event)


def test_a_class_without_a_mapping_is_refused() -> None:
    with pytest.raises(UnfitError, match="its class_uid is 1001"):
        asim.render({"class_uid": 1001})
