# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import json
import typing as t

import pytest
from ansible_collections.bulwark.servers.plugins.plugin_utils.export.formats import splunk_cim
from ansible_collections.bulwark.servers.plugins.plugin_utils.export.receiver import UnfitError
from ansible_collections.bulwark.servers.plugins.plugin_utils.ocsf import events

from tests.support import hostile_events, mapped_events, require, splunk_app

# The data models of the findings of a class; scan coverage is of none.
MODELS = {"detection": {"Alerts", "Malware"}, "compliance": {"Alerts"}, "vulnerability": {"Vulnerabilities"}}
# Splunk's own, which an event must not have: those of its envelope would get a second value.
SPLUNKS = {"host", "source", "sourcetype", "index", "_time", "_raw", "tag", "eventtype", "linecount", "punct"}


def read(event: dict[str, t.Any]) -> dict[str, t.Any]:
    return t.cast("dict[str, t.Any]", json.loads(splunk_cim.render(event).body))


def malware() -> dict[str, t.Any]:
    event = dict(hostile_events.plain()[0])
    event["metadata"] = {**event["metadata"], "event_code": "miner_process"}
    event["unmapped"] = {**event["unmapped"], "alert": "miner_process"}
    return event


def test_each_event_is_of_the_models_of_its_class_and_has_what_they_recommend() -> None:
    require("data:export")
    table = mapped_events.table("splunk_cim_fields.csv")
    tags = splunk_app.event_type_tags()
    seen = set()
    for event in (*hostile_events.many(), malware()):
        fields = read(event)
        given = {tag for name in splunk_app.event_types_of("bulwark:cim", fields) for tag in tags.get(name, ())}
        for row in table:
            # Datasets below these narrow them down by the values of their fields.
            if row["dataset"] not in ("Alerts", "Vulnerabilities", "Malware_Attacks"):
                continue
            if not set(row["tags"].split()) <= given:
                continue
            seen.add((fields["event_class"], row["model"]))
            value = fields.get(row["field"])
            assert value is not None or not row["recommended"], row["field"]
            if value is not None and row["values"]:
                assert value in row["values"].split("|"), (row["field"], value)
            if value is not None and row["type"] == "string":
                assert all(isinstance(item, str) for item in (value if isinstance(value, list) else [value]))
            if value is not None and row["type"] == "number":
                assert isinstance(value, (int, float))
    assert seen == {(name, model) for name, models in MODELS.items() for model in models}


def test_rows_with_a_reference_are_fields_of_a_model() -> None:
    require("data:export")
    table = mapped_events.table("splunk_cim_fields.csv")
    models = set().union(*MODELS.values())
    known = {row["field"] for row in table if row["model"] in models}
    for rows in mapped_events.rows("splunk_cim").values():
        for row in rows:
            assert row.field not in SPLUNKS
            assert row.reference in (None, row.field)
            assert row.reference is None or row.field in known, row.field


def test_whatever_is_in_an_event_reads_back_as_it_was() -> None:
    for event in hostile_events.many():
        line = splunk_cim.render(event).body.decode()
        assert len(line.splitlines()) == 1
        fields = json.loads(line)
        expected = mapped_events.copied("splunk_cim", event)
        assert {field: fields.get(field) for field in expected} == expected


def test_fields_are_flat_and_those_of_models_come_before_long_ones() -> None:
    for event in hostile_events.plain():
        fields = read(event)
        assert not any(isinstance(value, dict) for value in fields.values())
        names = list(fields)
        for long in {"remediation", "evidence", "coverage"} & set(fields):
            assert names.index(long) > max(names.index(name) for name in ("dest", "severity", "signature_id", "id"))
            # Splunk looks for fields in 5,000 characters of an event.
            assert len(json.dumps({name: fields[name] for name in names[: names.index(long)]})) < 5_000


def test_a_detection_reads_as_splunk_has_it() -> None:
    event = hostile_events.plain()[0]
    expected = {
        "type": "alert",
        "severity": "high",
        "severity_id": "4",
        "dest": "web1.example.org",
        "signature": event["finding_info"]["title"],
        "signature_id": event["metadata"]["event_code"],
        "id": event["metadata"]["uid"],
        "finding_uid": event["finding_info"]["uid"],
        "user": "root",
        "src": "203.0.113.5",
        "file_path": "/etc/cron.d/backup",
        "file_hash": "ab" * 32,
        "mitre_technique_id": ["T1059", "T1105"],
    }
    fields = read(event)
    assert {name: fields[name] for name in expected} == expected
    assert "action" not in fields


def test_a_finding_about_malware_has_what_became_of_it() -> None:
    fields = read(malware())
    assert (fields["category"], fields["action"], fields["dest_nt_domain"]) == ("cryptominer", "blocked", "example.org")
    allowed = {name: value for name, value in malware().items() if name not in ("disposition", "action")}
    assert read(allowed)["action"] == "allowed"


@pytest.mark.parametrize(("position", "kind"), [(0, "alert"), (1, "warning")])
def test_only_what_is_open_is_an_alert_or_a_warning(position: int, kind: str) -> None:
    event = hostile_events.plain()[position]
    assert read(event)["type"] == kind
    for status in ("resolved", "suppressed"):
        assert read(events.with_status(event, status, "update", hostile_events.NOW))["type"] == "event"


def test_a_vulnerability_finding_has_the_ids_of_all() -> None:
    fields = read(hostile_events.plain()[3])
    assert fields["cve"] == ["CVE-2026-1000", "CVE-2026-1001", "CVE-2026-1002"]
    assert (fields["cvss"], fields["xref"], fields["package_fixed_version"]) == (9.8, ["DSA-6000-1"], "3.5.4-1")


def test_a_class_without_a_mapping_is_refused() -> None:
    with pytest.raises(UnfitError, match="its class_uid is 1001"):
        splunk_cim.render({"class_uid": 1001})
