# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Exports of consoles: which records are alerts, what they carry, and files that are damaged."""

from __future__ import annotations

import gzip
import json
import pathlib
import typing as t

import hypothesis
import hypothesis.strategies as st
import pytest
from ansible_collections.bulwark.servers.plugins.module_utils.edr.model import ProductAlert
from ansible_collections.bulwark.servers.plugins.plugin_utils.catalogue import ContentError
from ansible_collections.bulwark.servers.plugins.plugin_utils.edr import alert_content
from ansible_collections.bulwark.servers.plugins.plugin_utils.edr.imports import formats, records

Record = dict[str, t.Any]

# Of the event stream of Falcon.
STREAM: Record = {
    "metadata": {"eventType": "EppDetectionSummaryEvent", "eventCreationTime": 1777630830000},
    "event": {
        "Hostname": "web1",
        "LocalIP": "192.0.2.10",
        "AgentIdString": "a" * 32,
        "CompositeId": "c:ind:1",
        "Name": "Known Malware",
        "Severity": 70,
        "SeverityName": "High",
        "FilePath": "/tmp/",
        "FileName": "x",
        "SHA256String": "ab" * 32,
        "CommandLine": "/tmp/x -d",
        "ParentImageFileName": "/bin/bash",
        "ParentCommandLine": "bash",
        "GrandParentImageFileName": "/usr/sbin/sshd",
        "GrandParentCommandLine": "sshd",
        "PatternDispositionFlags": {"QuarantineFile": True},
        "FalconHostLink": "https://falcon.crowdstrike.com/activity/detections/1",
        "Technique": "T1204.002",
        "UserName": "root",
    },
}
FALCON_ALERT: Record = {
    "composite_id": "c:ind:2",
    "display_name": "ReverseShell",
    "severity_name": "Critical",
    "timestamp": "2026-05-01T10:20:30Z",
    "device": {"hostname": "web1", "local_ip": "192.0.2.10", "device_id": "a" * 32},
    "cmdline": "bash -i",
    "filename": "bash",
    "filepath": "/usr/bin/bash",
    "parent_details": {"filepath": "/usr/sbin/nginx", "cmdline": "nginx"},
    "technique_id": "T1059.004",
    "status": "new",
}
MDE: Record = {
    "id": "da1",
    "title": "Suspicious file",
    "severity": "High",
    "status": "New",
    "machineId": "m" * 40,
    "computerDnsName": "web1.example.com",
    "alertCreationTime": "2026-05-01T10:20:30.1234567Z",
    "mitreTechniques": ["T1105"],
    "threatName": "Trojan:Linux/X",
    "evidence": [
        {"entityType": "File", "fileName": "x", "filePath": "/tmp", "sha256": "ab" * 32},
        {
            "entityType": "Process",
            "fileName": "curl",
            "filePath": "/usr/bin",
            "processId": 77,
            "processCommandLine": "curl x",
            "parentProcessId": 70,
            "parentProcessFileName": "bash",
            "parentProcessFilePath": "/bin",
        },
    ],
}
GRAPH: Record = {
    "id": "da2",
    "title": "Malware was prevented",
    "severity": "medium",
    "status": "new",
    "alertWebUrl": "https://security.microsoft.com/alerts/da2?tid=1",
    "firstActivityDateTime": "2026-05-01T10:20:30Z",
    "evidence": [
        {"@odata.type": "#microsoft.graph.security.deviceEvidence", "deviceDnsName": "web1", "mdeDeviceId": "m1"},
        {
            "@odata.type": "#microsoft.graph.security.fileEvidence",
            "detectionStatus": "prevented",
            "fileDetails": {"fileName": "x", "filePath": "/tmp", "sha1": "ab" * 20},
        },
    ],
}
HUNTING: list[Record] = [
    {
        "category": "AdvancedHunting-AlertInfo",
        "tenantId": "t1",
        "properties": {"AlertId": "h1", "Title": "T", "Severity": "Low", "Timestamp": "2026-05-01 10:20:30.0"},
    },
    {
        "category": "AdvancedHunting-AlertEvidence",
        "properties": {"AlertId": "h1", "EntityType": "Machine", "DeviceId": "m2", "DeviceName": "web1"},
    },
    {"category": "AdvancedHunting-DeviceInfo", "properties": {"DeviceId": "m2"}},
]
ACTIVITY: Record = {
    "activitytype": "19",
    "agentid": "s1",
    "threatid": "55",
    "createdat": "2026-05-01 10:20:30.5",
    "primarydescription": "Threat with confidence level malicious detected: x",
    "data": {
        "computername": "WEB1",
        "confidencelevel": "malicious",
        "filecontenthash": "ab" * 20,
        "filepath": "/tmp/x",
        "filedisplayname": "x",
        "threatclassification": "Ransomware",
    },
}
THREAT: Record = {
    "id": "56",
    "agentRealtimeInfo": {"agentComputerName": "web1", "networkInterfaces": [{"inet": ["192.0.2.10"]}]},
    "threatInfo": {
        "threatName": "x",
        "classification": "Malware",
        "confidenceLevel": "suspicious",
        "filePath": "/tmp/x",
        "sha1": "ab" * 20,
        "mitigationStatus": "not_mitigated",
        "incidentStatus": "unresolved",
        "identifiedAt": "2026-05-01T10:20:30Z",
    },
    "indicators": [{"tactics": [{"techniques": [{"name": "T1486"}]}]}],
}
CARBON: Record = {
    "id": "cb1",
    "severity": 8,
    "device_name": "CORP\\web1",
    "device_id": 5,
    "device_internal_ip": "192.0.2.10",
    "reason": "A known virus was detected.",
    "reason_code": "R_X",
    "process_name": "/tmp/x",
    "process_pid": 3,
    "process_sha256": "ab" * 32,
    "parent_name": "/bin/bash",
    "parent_pid": 2,
    "ttps": ["MITRE_T1059_004_UNIX_SHELL"],
    "sensor_action": "DENY",
    "alert_url": "https://defense.conferdeploy.net/alerts?id=cb1",
    "first_event_timestamp": "2026-05-01 10:20:30.0",
    "workflow": {"status": "OPEN", "changed_by": "ALERT_CREATION"},
}


def read(name: str, *given: Record) -> list[list[ProductAlert]]:
    return formats.read(name, list(given), alert_content.load()[name].to_source())


def one(name: str, *given: Record) -> ProductAlert:
    (alert,) = [alert for alerts in read(name, *given) for alert in alerts]
    return alert


def test_crowdstrike_has_the_process_with_its_parents_and_what_was_done() -> None:
    alert = one("crowdstrike_falcon", STREAM)
    assert (alert.severity, alert.own_severity, alert.outcome, alert.uid) == ("high", "High", "quarantined", "c:ind:1")
    assert alert.subject == "Known Malware: /tmp/x"
    assert alert.host == ["web1", "192.0.2.10", "a" * 32]
    process = alert.evidences[0]["process"]
    assert process["parent_process"]["parent_process"]["file"]["path"] == "/usr/sbin/sshd"
    assert alert.evidences[0]["file"]["hashes"][0]["value"] == "ab" * 32


def test_crowdstrike_reads_alerts_of_its_interface() -> None:
    alert = one("crowdstrike_falcon", FALCON_ALERT)
    assert (alert.severity, alert.techniques, alert.subject) == (
        "critical",
        ["T1059.004"],
        "ReverseShell: /usr/bin/bash",
    )
    assert one("crowdstrike_falcon", {**FALCON_ALERT, "status": "closed"}).outcome == "remediated"


@pytest.mark.parametrize("kind", ["AuthActivityAuditEvent", "UserActivityAuditEvent", ""])
def test_crowdstrike_leaves_other_events(kind: str) -> None:
    assert read("crowdstrike_falcon", {**STREAM, "metadata": {"eventType": kind}}) == [[]]


def test_defender_of_endpoint_names_machine_process_and_malware() -> None:
    alert = one("microsoft_defender", MDE)
    assert alert.host == ["m" * 40, "web1.example.com"]
    assert (alert.subject, alert.malware) == ("Suspicious file: /tmp/x by /usr/bin/curl", ["Trojan:Linux/X"])
    assert alert.evidences[1]["process"]["parent_process"]["file"]["path"] == "/bin/bash"
    assert alert.link["alert"] == "da1"
    assert one("microsoft_defender", {**MDE, "status": "Resolved"}).outcome == "remediated"


def test_defender_of_graph_knows_what_was_prevented() -> None:
    alert = one("microsoft_defender", GRAPH)
    assert (alert.outcome, alert.host) == ("blocked", ["m1", "web1"])


def test_defender_joins_the_rows_of_advanced_hunting() -> None:
    assert [len(alerts) for alerts in read("microsoft_defender", *HUNTING)] == [1, 0, 0]
    alert = one("microsoft_defender", *HUNTING)
    assert (alert.host, alert.link) == (["m2", "web1"], {"alert": "h1", "machine": "m2", "tenant": "t1"})


def test_sentinelone_reads_activities_and_threats() -> None:
    alert = one("sentinelone", ACTIVITY)
    assert (alert.severity, alert.subject, alert.host) == ("high", "Ransomware: /tmp/x", ["WEB1", "s1"])
    threat = one("sentinelone", THREAT)
    assert (threat.severity, threat.techniques, threat.host) == ("medium", ["T1486"], ["web1", "192.0.2.10"])
    mitigated = {**THREAT, "threatInfo": {**THREAT["threatInfo"], "mitigationStatus": "mitigated"}}
    assert one("sentinelone", mitigated).outcome == "blocked"
    resolved = {**THREAT, "threatInfo": {**THREAT["threatInfo"], "incidentStatus": "resolved"}}
    assert one("sentinelone", resolved).outcome == "remediated"


def test_sentinelone_leaves_activities_that_are_no_threat() -> None:
    scan = {"activitytype": "90", "data": {"computername": "WEB1", "status": "started"}}
    assert read("sentinelone", scan) == [[]]


def test_carbon_black_has_techniques_action_and_no_domain_in_the_name() -> None:
    alert = one("carbon_black", CARBON)
    assert (alert.severity, alert.outcome, alert.host) == ("critical", "blocked", ["web1", "192.0.2.10", "5"])
    assert alert.techniques == ["T1059.004"]
    closed = {**CARBON, "workflow": {"status": "CLOSED"}}
    assert one("carbon_black", closed).outcome == "remediated"
    assert one("carbon_black", closed).subject == alert.subject


_JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)


@pytest.mark.parametrize(
    ("name", "record"),
    [
        ("crowdstrike_falcon", STREAM),
        ("crowdstrike_falcon", FALCON_ALERT),
        ("microsoft_defender", MDE),
        ("microsoft_defender", GRAPH),
        ("microsoft_defender", HUNTING[0]),
        ("sentinelone", ACTIVITY),
        ("sentinelone", THREAT),
        ("carbon_black", CARBON),
    ],
)
@hypothesis.given(data=st.data())
@hypothesis.settings(max_examples=60, suppress_health_check=list(hypothesis.HealthCheck))
def test_no_value_of_another_kind_stops_an_import(name: str, record: Record, data: st.DataObject) -> None:
    changed = dict(record)
    for key in data.draw(st.lists(st.sampled_from(sorted(record)), min_size=1, max_size=3)):
        changed[key] = data.draw(_JSON)
    inner = data.draw(st.sampled_from([key for key in record if isinstance(record[key], dict)] or [None]))
    if inner is not None and isinstance(changed[inner], dict):
        changed[inner] = {key: data.draw(_JSON) for key in record[inner]}
    read(name, changed)


def write(tmp_path: pathlib.Path, content: bytes) -> pathlib.Path:
    path = tmp_path / "export.json"
    path.write_bytes(content)
    return path


@pytest.mark.parametrize(
    "content",
    [
        json.dumps([{"a": 1}, {"a": 2}]).encode(),
        json.dumps({"value": [{"a": 1}, {"a": 2}]}).encode(),
        json.dumps({"hits": {"hits": [{"_source": {"a": 1}}, {"_source": {"a": 2}}]}}).encode(),
        b'{"a": 1}\n\n{"a": 2}\n',
        # Without the time, which would give this case another name in each worker.
        gzip.compress(b'{"a": 1}\n{"a": 2}\n', mtime=0),
        b"\xef\xbb\xbf" + b'[{"a": 1}, {"a": 2}]',
        json.dumps([{"a": 1}, {"a": 2}]).encode("utf-16"),
    ],
)
def test_the_records_of_usual_exports(tmp_path: pathlib.Path, content: bytes) -> None:
    assert records.read(write(tmp_path, content)).records == [{"a": 1}, {"a": 2}]


def test_damaged_lines_are_named(tmp_path: pathlib.Path) -> None:
    exported = records.read(write(tmp_path, b'{"a": 1}\n{"a": \nnull\n{"a": 2}\n'))
    assert (len(exported.records), exported.damaged, exported.damaged_count) == (2, [2, 3], 2)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"Time,Title\n1,x\n", "is not JSON"),
        (b"\xff\xfe\xfa", "UTF-8|JSON"),
        (b"\x1f\x8bbroken", "cannot be read"),
        (b"[" * 200_000, "nested too deeply"),
        (b"3", "has no list of alerts"),
        (b"", "is not JSON"),
    ],
)
def test_what_is_no_export_is_refused(tmp_path: pathlib.Path, content: bytes, words: str) -> None:
    with pytest.raises(ContentError, match=words):
        records.read(write(tmp_path, content))


def test_a_compressed_file_that_is_damaged_is_named(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "alerts.json.gz"
    content = bytearray(gzip.compress(b'{"a": 1}\n' * 1_000, mtime=0))
    content[12:30] = b"\xff" * 18
    path.write_bytes(content)
    with pytest.raises(ContentError, match=r"alerts\.json\.gz cannot be read: it is damaged"):
        records.read(path)


@pytest.mark.parametrize("content", [b'[{"a": 1}, {"a": 2}, {"a": 3}]', b'{"a": 1}\n{"a": 2}\n{"a": 3}\n'])
def test_of_too_many_records_none_is_left_out_unsaid(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch, content: bytes
) -> None:
    monkeypatch.setattr(records, "_MOST_RECORDS", 2)
    path = tmp_path / "alerts.json"
    path.write_bytes(content)
    with pytest.raises(ContentError, match="has more than 2 records; export fewer alerts at once"):
        records.read(path)
