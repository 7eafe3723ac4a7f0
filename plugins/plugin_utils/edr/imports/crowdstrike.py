# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Detections of CrowdStrike Falcon: of the event stream and the data replicator, and alerts and detections of its API.

Source: https://developer.crowdstrike.com. A summary of a detection is named in one of three places, as to where the
record is from; every other event is none.
"""

from __future__ import annotations

import json
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils.edr.alerts import evidence, fields
from ansible_collections.bulwark.servers.plugins.module_utils.edr.alerts.source import Source
from ansible_collections.bulwark.servers.plugins.module_utils.edr.model import ProductAlert

_SUMMARIES = ("eppdetectionsummaryevent", "detectionsummaryevent")
_BLOCKED = ("ProcessBlocked", "OperationBlocked", "KillProcess", "KillParent", "KillSubProcess", "FsOperationBlocked")
_NOTHING = ("n/a", "")


def read(records: t.Sequence[dict[str, t.Any]], source: Source) -> list[ProductAlert | None]:
    """Return the alert of each record, None for one that is none."""
    return [_of_event(record, source) or _of_interface(record, source) for record in records]


def _of_event(record: dict[str, t.Any], source: Source) -> ProductAlert | None:
    inner = record.get("event")
    event = inner if isinstance(inner, dict) else record
    kinds = (record.get("fdr_event_type"), fields.get(record, "metadata", "eventType"), event.get("ExternalApiType"))
    named = [kind.lower().removeprefix("event_") for kind in map(fields.text, kinds) if kind]
    if not named or named[0] not in _SUMMARIES:
        return None
    get = event.get
    path = _path(fields.text(get("FilePath")), fields.text(get("FileName")))
    digests = [get("SHA256String"), get("SHA1String"), get("MD5String")]
    parents = [
        evidence.process(
            uid=get("ParentProcessId"), path=get("ParentImageFileName"), cmd_line=get("ParentCommandLine")
        ),
        evidence.process(
            path=fields.first(get("GrandParentImageFileName"), get("GrandParentImageFilename")),
            cmd_line=get("GrandParentCommandLine"),
        ),
    ]
    return _made(
        source,
        uid=fields.first(get("CompositeId"), get("EventUUID"), get("DetectId")),
        name=fields.first(get("Name"), get("DetectName"), get("Description")) or "Detection",
        own=fields.first(get("SeverityName"), get("Severity")) or "unknown",
        time=fields.when(get("timestamp"))
        or fields.when(get("UTCTimestamp"))
        or fields.when(get("ProcessStartTime"))
        or fields.when(fields.get(record, "metadata", "eventCreationTime")),
        outcome=_outcome(get("PatternDispositionFlags")),
        techniques=(get("Technique"), get("TechniqueId")),
        path=path,
        evidences=evidence.evidence(
            process=evidence.process(
                uid=get("ProcessId"),
                path=path,
                cmd_line=get("CommandLine"),
                account=get("UserName"),
                digests=digests,
                parents=[each for each in parents if each],
            ),
            file=evidence.file(path, *digests),
            user=evidence.user(get("UserName")),
            data=evidence.data(
                {
                    name: get(name)
                    for name in ("Description", "Objective", "Tactic", "Technique", "PatternDispositionDescription")
                    if (fields.text(get(name)) or "").lower() not in _NOTHING
                }
            ),
        ),
        host=[
            get("Hostname"),
            get("ComputerName"),
            record.get("Hostname"),
            get("LocalIP"),
            get("AgentIdString"),
            get("SensorId"),
        ],
        link=fields.text(get("FalconHostLink")),
    )


def _of_interface(record: dict[str, t.Any], source: Source) -> ProductAlert | None:
    """Return an alert (alerts/entities) or detection (detects/entities) of the API."""
    get = record.get
    device = get("device") if isinstance(get("device"), dict) else {}
    uid = fields.first(get("composite_id"), get("detection_id"))
    if uid is None or not device:
        return None
    behaviors = [each for each in get("behaviors") or [] if isinstance(each, dict)] or [record]
    first = behaviors[0].get
    path = _path(fields.text(first("filepath")), fields.text(first("filename")))
    parents = [
        evidence.process(
            uid=fields.get(first(name), "process_graph_id") or fields.get(first(name), "parent_process_graph_id"),
            pid=fields.get(first(name), "local_process_id"),
            path=fields.get(first(name), "filepath"),
            cmd_line=fields.first(fields.get(first(name), "cmdline"), fields.get(first(name), "parent_cmdline")),
        )
        for name in ("parent_details", "grandparent_details")
    ]
    digests = [first("sha256"), first("md5")]
    status = (fields.first(get("status")) or "").lower()
    details = first("pattern_disposition_details")
    return _made(
        source,
        uid=uid,
        name=fields.first(
            get("display_name"), get("name"), first("display_name"), first("scenario"), first("description")
        )
        or "Detection",
        own=fields.first(get("severity_name"), get("max_severity_displayname"), get("severity"), get("max_severity"))
        or "unknown",
        time=fields.when(
            fields.first(get("timestamp"), first("timestamp"), get("first_behavior"), get("created_timestamp"))
        ),
        outcome="remediated" if status in ("closed", "true_positive", "false_positive") else _outcome(details),
        techniques=tuple(each.get("technique_id") for each in behaviors),
        path=path,
        evidences=evidence.evidence(
            process=evidence.process(
                uid=first("triggering_process_graph_id") or first("process_id"),
                pid=first("local_process_id"),
                path=path,
                cmd_line=first("cmdline"),
                account=first("user_name"),
                digests=digests,
                parents=[each for each in parents if each],
            ),
            file=evidence.file(path, *digests),
            user=evidence.user(first("user_name"), first("user_id")),
        ),
        host=[device.get("hostname"), device.get("local_ip"), device.get("device_id"), get("agent_id")],
        link=fields.text(get("falcon_host_link")),
    )


def _made(
    source: Source,
    uid: str | None,
    name: str,
    own: str,
    time: float | None,
    outcome: str,
    techniques: t.Sequence[t.Any],
    path: str | None,
    evidences: t.Sequence[dict[str, t.Any]],
    host: t.Sequence[t.Any],
    link: str | None,
) -> ProductAlert:
    return ProductAlert(
        product=source.id,
        title=name,
        subject=f"{name}: {path or 'detection ' + str(uid)}",
        time=time,
        severity=source.severity(own),
        own_severity=own,
        uid=uid,
        rule=name,
        outcome=outcome,
        techniques=fields.techniques(*techniques),
        malware=[name] if "malware" in name.lower() else (),
        evidences=evidences,
        host=list(dict.fromkeys(each for value in host for each in fields.texts(value))),
        link={"url": link} if link else {},
    )


def _outcome(flags: t.Any) -> str:
    if isinstance(flags, str):
        try:
            flags = json.loads(flags)
        except (ValueError, RecursionError):
            flags = None
    if not isinstance(flags, dict):
        return "detected"
    on = {name.replace("_", "").lower() for name, value in flags.items() if value is True}
    if "quarantinefile" in on:
        return "quarantined"
    return "blocked" if any(name.lower() in on for name in _BLOCKED) else "detected"


def _path(folder: str | None, name: str | None) -> str | None:
    """Return the file; the folder has its name in some records and not in others."""
    if folder is None or name is None or folder.endswith(name):
        return folder or name
    separator = "\\" if "\\" in folder else "/"
    return f"{folder.rstrip(separator)}{separator}{name}"
