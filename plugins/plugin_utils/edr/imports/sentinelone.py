# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Threats and alerts of SentinelOne: activities of its console (also with names in lower case), and its API.

Source: the API documentation in the console (/web/api/v2.1/threats, /cloud-detection/alerts, /activities). An activity
is an alert if it says how sure the product is of a threat, or names an alert of a custom rule.
"""

from __future__ import annotations

import re
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils.edr.alerts import evidence, fields
from ansible_collections.bulwark.servers.plugins.module_utils.edr.alerts.source import Source
from ansible_collections.bulwark.servers.plugins.module_utils.edr.model import ProductAlert

_ALERT_CREATED = 3608
_CONFIDENCES = ("malicious", "suspicious")
_ON_HOST = re.compile(r"\bdetected on (\S+?)\.?\Z")
_FOR = re.compile(r"\bAlert created for (.{1,200}?) from Custom Rule\b")


def read(records: t.Sequence[dict[str, t.Any]], source: Source) -> list[ProductAlert | None]:
    """Return the alert of each record, None for one that is none."""
    return [_of_record({_lower(key): value for key, value in record.items()}, source) for record in records]


def _of_record(record: dict[str, t.Any], source: Source) -> ProductAlert | None:
    if isinstance(record.get("threatinfo"), dict):
        return _of_threat(record, source)
    if isinstance(record.get("alertinfo"), dict):
        return _of_alert(record, source)
    data = record.get("data")
    if not isinstance(data, dict) or "activitytype" not in record:
        return None
    data = {_lower(key): value for key, value in data.items()}
    if fields.integer(record["activitytype"]) == _ALERT_CREATED and fields.text(data.get("alertid")):
        return _of_rule(record, data, source)
    confidence = (fields.text(data.get("confidencelevel")) or "").lower()
    if confidence in _CONFIDENCES and fields.text(record.get("threatid")):
        return _of_activity(record, data, confidence, source)
    return None


def _of_activity(
    record: t.Mapping[str, t.Any], data: t.Mapping[str, t.Any], confidence: str, source: Source
) -> ProductAlert:
    kind = fields.first(data.get("threatclassification")) or "Threat"
    path = fields.first(data.get("filepath"), data.get("filedisplayname"))
    description = (fields.text(record.get("primarydescription")) or "").lower()
    digest = data.get("filecontenthash")
    return ProductAlert(
        product=source.id,
        title=f"{kind}: {fields.first(data.get('filedisplayname'), path) or 'threat'}",
        subject=f"{kind}: {path or 'threat ' + str(record.get('threatid'))}",
        time=fields.when(record.get("createdat")),
        severity=source.severity(confidence),
        own_severity=confidence,
        uid=fields.text(record.get("threatid")),
        rule=fields.first(data.get("threatclassificationsource"), kind),
        outcome="blocked" if "mitigated" in description and "not mitigated" not in description else "detected",
        malware=[kind],
        evidences=evidence.evidence(
            file=evidence.file(path, digest),
            data=evidence.data(
                {
                    "description": record.get("primarydescription"),
                    "activity": record.get("activitytype"),
                    "confidence": confidence,
                }
            ),
        ),
        host=_texts(data.get("computername"), data.get("agentipv4"), record.get("agentid")),
        link=_link(threat=record.get("threatid")),
    )


def _of_rule(record: t.Mapping[str, t.Any], data: t.Mapping[str, t.Any], source: Source) -> ProductAlert:
    description = fields.text(record.get("primarydescription")) or ""
    named, about = _ON_HOST.search(description), _FOR.search(description)
    rule = fields.first(data.get("rulename")) or "rule"
    own = fields.first(data.get("severity")) or "unknown"
    target = about.group(1) if about else fields.first(data.get("dnsrequest"), data.get("dstip"))
    return ProductAlert(
        product=source.id,
        title=rule,
        subject=f"{rule}: {target or 'alert ' + str(data.get('alertid'))}",
        time=fields.when(data.get("detectedat")) or fields.when(record.get("createdat")),
        severity=source.severity(own),
        own_severity=own,
        uid=fields.text(data.get("alertid")),
        rule=fields.first(data.get("ruleid"), rule),
        techniques=fields.techniques(data.get("ruledescription"), rule),
        evidences=evidence.evidence(
            src_endpoint=evidence.endpoint(data.get("srcip"), data.get("srcport")),
            dst_endpoint=evidence.endpoint(data.get("dstip"), data.get("dstport")),
            data=evidence.data({"description": description, "digest": record.get("secondarydescription")}),
        ),
        host=_texts(named.group(1) if named else None, data.get("agentipv4"), record.get("agentid")),
        link=_link(alert=data.get("alertid")),
    )


def _of_threat(record: t.Mapping[str, t.Any], source: Source) -> ProductAlert:
    info, agent = record["threatinfo"], record.get("agentrealtimeinfo") or {}

    def get(name: str) -> t.Any:
        return fields.get(info, name)

    kind = fields.first(get("classification")) or "Threat"
    name = fields.first(get("threatName"), kind) or kind
    confidence = (fields.first(get("confidenceLevel")) or "unknown").lower()
    path = fields.first(get("filePath"), get("threatName"))
    digests = [get("sha256"), get("sha1"), get("md5")]
    is_closed = (fields.first(get("incidentStatus")) or "").lower() == "resolved"
    mitigated = (fields.first(get("mitigationStatus")) or "").lower()
    outcome = "blocked" if mitigated in ("mitigated", "blocked") else "detected"
    return ProductAlert(
        product=source.id,
        title=f"{kind}: {name}",
        subject=f"{kind}: {path or name}",
        time=fields.when(fields.first(get("identifiedAt"), get("createdAt"))),
        severity=source.severity(confidence),
        own_severity=confidence,
        uid=fields.first(record.get("id"), get("threatId")),
        rule=fields.first(get("detectionEngines"), kind),
        outcome="remediated" if is_closed or mitigated == "marked_as_benign" else outcome,
        techniques=_techniques(record.get("indicators")),
        malware=[name],
        evidences=evidence.evidence(
            file=evidence.file(path, *digests, size=get("fileSize")),
            process=evidence.process(name=get("originatorProcess"), cmd_line=get("maliciousProcessArguments")),
            user=evidence.user(get("processUser")),
        ),
        host=_texts(
            fields.get(agent, "agentComputerName"),
            fields.get(agent, "agentId"),
            fields.get(agent, "agentUuid"),
            *_addresses(agent),
        ),
        link=_link(threat=record.get("id")),
    )


def _of_alert(record: t.Mapping[str, t.Any], source: Source) -> ProductAlert:
    info, rule = record["alertinfo"], record.get("ruleinfo")
    agent, process = record.get("agentdetectioninfo"), record.get("sourceprocessinfo")
    name = fields.first(fields.get(rule, "name")) or "rule"
    own = fields.first(fields.get(rule, "severity")) or "unknown"
    path = fields.first(fields.get(process, "filePath"))
    status = (fields.first(fields.get(info, "incidentStatus")) or "").lower()
    return ProductAlert(
        product=source.id,
        title=name,
        subject=f"{name}: {path or 'alert ' + str(fields.get(info, 'alertId'))}",
        time=fields.when(fields.first(fields.get(info, "createdAt"), fields.get(info, "reportedAt"))),
        severity=source.severity(own),
        own_severity=own,
        uid=fields.text(fields.get(info, "alertId")),
        rule=fields.first(fields.get(rule, "id"), name),
        outcome="remediated" if status == "resolved" else "detected",
        techniques=fields.techniques(fields.get(rule, "description"), name),
        evidences=evidence.evidence(
            process=evidence.process(
                pid=fields.get(process, "pid"),
                uid=fields.get(process, "uniqueId"),
                path=path,
                cmd_line=fields.get(process, "commandline"),
                account=fields.get(process, "user"),
                digests=[fields.get(process, "fileHash%s" % kind) for kind in ("Sha256", "Sha1", "Md5")],
            ),
            dst_endpoint=evidence.endpoint(fields.get(info, "dstIp"), fields.get(info, "dstPort")),
        ),
        host=_texts(fields.get(agent, "name"), fields.get(agent, "uuid")),
        link=_link(alert=fields.get(info, "alertId")),
    )


def _techniques(indicators: t.Any) -> list[str]:
    techniques: list[t.Any] = []
    for indicator in indicators if isinstance(indicators, list) else []:
        for tactic in fields.get(indicator, "tactics") or []:
            techniques += [fields.get(each, "name") for each in fields.get(tactic, "techniques") or []]
    return fields.techniques(*techniques)


def _addresses(agent: t.Any) -> list[str]:
    interfaces = fields.get(agent, "networkInterfaces")
    return [
        each
        for face in (interfaces if isinstance(interfaces, list) else [])
        for each in fields.texts(fields.get(face, "inet"))
    ]


def _link(**parts: t.Any) -> dict[str, str]:
    shown = fields.first(*parts.values())
    return {"alert": shown} if shown else {}


def _texts(*values: t.Any) -> list[str]:
    return list(dict.fromkeys(each for value in values for each in fields.texts(value)))


def _lower(key: t.Any) -> str:
    return str(key).lower()
