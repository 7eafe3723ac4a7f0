# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Alerts of Microsoft Defender: of its interfaces and of advanced hunting.

The interfaces are alerts of Defender for Endpoint and alerts_v2 of Microsoft Graph. Advanced hunting has AlertInfo with
AlertEvidence.

Sources: https://learn.microsoft.com/en-us/defender-endpoint/api/alerts,
https://learn.microsoft.com/en-us/graph/api/resources/security-alert,
https://learn.microsoft.com/en-us/defender-xdr/advanced-hunting-alertinfo-table.
"""

from __future__ import annotations

import json
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils.edr.alerts import evidence, fields
from ansible_collections.bulwark.servers.plugins.module_utils.edr.alerts.source import Source
from ansible_collections.bulwark.servers.plugins.module_utils.edr.model import ProductAlert

_PREVENTED = ("prevented", "blocked", "remediated")
# Evidences of one alert.
_MOST_EVIDENCES = 20


def read(records: t.Sequence[dict[str, t.Any]], source: Source) -> list[ProductAlert | None]:
    """Return the alert of each record, None for one that is none."""
    rows = [_row(record) for record in records]
    # In advanced hunting, the host and the files of an alert are in rows of their own.
    more: dict[str, list[dict[str, t.Any]]] = {}
    for row in rows:
        if _is_evidence(row):
            more.setdefault(str(row.get("AlertId")), []).append(row)
    return [None if _is_evidence(row) else _alert(row, more, source) for row in rows]


def _row(record: dict[str, t.Any]) -> dict[str, t.Any]:
    inner = record.get("properties")
    if not isinstance(inner, dict):
        return record
    return {**inner, "_category": record.get("category"), "_tenant": record.get("tenantId")}


def _is_evidence(row: t.Mapping[str, t.Any]) -> bool:
    category = fields.text(row.get("_category")) or ""
    return category.endswith("AlertEvidence") or ("EntityType" in row and "AlertId" in row)


def _alert(
    row: dict[str, t.Any], more: t.Mapping[str, t.Sequence[dict[str, t.Any]]], source: Source
) -> ProductAlert | None:
    get = row.get
    category = fields.text(get("_category"))
    if category is not None and not category.endswith("AlertInfo"):
        return None
    identifier = fields.first(get("AlertId"), get("id"), get("alertId"))
    title = fields.first(get("Title"), get("title"))
    own = fields.first(get("Severity"), get("severity"))
    if identifier is None or title is None or own is None:
        return None
    about = [each for each in _list(get("evidence")) if isinstance(each, dict)]
    rows = [_entity(each) for each in (*about, *more.get(identifier, ()))]
    evidences = [each for each in (_evidence(entity) for entity in rows[:_MOST_EVIDENCES]) if each]
    malware = fields.texts(get("threatName")) or fields.texts(get("threatDisplayName"))
    names = [fields.first(entity.get(name)) for name in ("device_id", "device_name", "device_ip") for entity in rows]
    host = [fields.first(get("machineId")), fields.first(get("computerDnsName")), *names]
    path = next((entity["path"] for entity in rows if entity.get("path") and not entity.get("pid")), None)
    program = next((entity["path"] for entity in rows if entity.get("path") and entity.get("pid")), None)
    shown = " ".join(each for each in (path, program and f"by {program}") if each)
    machine = fields.first(get("machineId"), *(entity.get("device_id") for entity in rows))
    return ProductAlert(
        product=source.id,
        title=title,
        subject=f"{title}: {shown}" if shown else f"{title}: alert {identifier}",
        time=fields.when(
            fields.first(
                get("firstEventTime"),
                get("firstActivityDateTime"),
                get("Timestamp"),
                get("alertCreationTime"),
                get("createdDateTime"),
            )
        ),
        severity=source.severity(own),
        own_severity=own,
        uid=identifier,
        rule=title,
        outcome=_outcome(row, rows),
        techniques=fields.techniques(get("mitreTechniques"), get("AttackTechniques")),
        malware=malware,
        evidences=evidences or evidence.evidence(data=_data(row)),
        host=list(dict.fromkeys(each for each in host if each)),
        link=evidence.without_empty(
            {
                "url": fields.text(get("alertWebUrl")),
                "alert": identifier,
                "machine": machine,
                "tenant": fields.text(get("_tenant")),
            }
        ),
    )


def _outcome(row: t.Mapping[str, t.Any], entities: t.Sequence[t.Mapping[str, t.Any]]) -> str:
    if (fields.first(row.get("status")) or "").lower() == "resolved":
        return "remediated"
    states = [str(each["state"]).lower() for each in entities if each.get("state")]
    return "blocked" if states and all(state in _PREVENTED for state in states) else "detected"


def _entity(each: dict[str, t.Any]) -> dict[str, t.Any]:
    """Return an entity of any of the three forms in one."""
    get = each.get
    no_file: dict[str, t.Any] = {}
    file = next((each[name] for name in ("fileDetails", "imageFile") if isinstance(get(name), dict)), no_file)
    additional = get("AdditionalFields")
    if isinstance(additional, str):
        try:
            additional = json.loads(additional)
        except (ValueError, RecursionError):
            additional = None
    kind = (fields.first(get("entityType"), get("EntityType"), get("@odata.type")) or "").lower()
    folder = fields.first(file.get("filePath"), get("filePath"), get("FolderPath"))
    name = fields.first(file.get("fileName"), get("fileName"), get("FileName"))
    return {
        "kind": kind,
        "path": _joined(folder, name),
        "hashes": [fields.first(file.get(key), get(key), get(key.upper())) for key in ("sha256", "sha1", "md5")],
        "pid": fields.first(get("processId"), get("ProcessId")) if "process" in kind else None,
        "cmd_line": fields.first(get("processCommandLine"), get("ProcessCommandLine")),
        "parent_pid": fields.first(get("parentProcessId")),
        "parent_path": _joined(
            fields.first(get("parentProcessFilePath"), fields.get(get("parentProcessImageFile"), "filePath")),
            fields.first(get("parentProcessFileName"), fields.get(get("parentProcessImageFile"), "fileName")),
        ),
        "user": fields.first(get("accountName"), get("AccountName"), fields.get(get("userAccount"), "accountName")),
        "address": fields.first(get("ipAddress"), get("RemoteIP")),
        "url": fields.first(get("url"), get("RemoteUrl")),
        "device_id": fields.first(get("mdeDeviceId"), get("DeviceId"), fields.get(additional, "MachineId")),
        "device_name": fields.first(get("deviceDnsName"), get("DeviceName"), fields.get(additional, "NetBiosName")),
        "device_ip": fields.first(get("lastIpAddress"), get("LocalIP")),
        "state": fields.first(get("remediationStatus"), get("detectionStatus")) if "device" not in kind else None,
    }


def _evidence(entity: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
    parent = evidence.process(pid=entity["parent_pid"], path=entity["parent_path"])
    process = None
    if entity["pid"]:
        process = evidence.process(
            pid=entity["pid"],
            path=entity["path"],
            cmd_line=entity["cmd_line"],
            account=entity["user"],
            digests=entity["hashes"],
            parents=[parent] if parent else [],
        )
    return evidence.without_empty(
        {
            "process": process,
            "file": evidence.file(entity["path"], *entity["hashes"]) if not process else None,
            "user": evidence.user(entity["user"]),
            "dst_endpoint": evidence.endpoint(entity["address"]),
            "url": {"url_string": entity["url"]} if entity["url"] else None,
        }
    )


def _data(row: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
    names = (
        "Category",
        "category",
        "DetectionSource",
        "detectionSource",
        "ServiceSource",
        "serviceSource",
        "description",
    )
    return evidence.data(evidence.without_empty({name: row.get(name) for name in names}))


def _joined(folder: str | None, name: str | None) -> str | None:
    if folder is None or name is None or folder.endswith(name):
        return folder or name
    separator = "\\" if "\\" in folder else "/"
    return f"{folder.rstrip(separator)}{separator}{name}"


def _list(value: t.Any) -> list[t.Any]:
    return value if isinstance(value, list) else []
