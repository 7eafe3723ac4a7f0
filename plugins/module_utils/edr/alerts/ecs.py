# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Alerts in the Elastic Common Schema, as Elastic Defend and others write them: one JSON object a line.

Source: https://www.elastic.co/docs/reference/ecs. A record is an alert if ``event.kind`` is ``alert`` or ``signal``, or
if it has the fields of an alert of Kibana. Names are nested or dotted.
"""

from __future__ import annotations

import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils.edr.alerts import evidence, fields
from ansible_collections.bulwark.servers.plugins.module_utils.edr.alerts.source import Source
from ansible_collections.bulwark.servers.plugins.module_utils.edr.model import ProductAlert

_KINDS = ("alert", "signal")
_QUARANTINE = ("quarantine", "file_quarantine")


def read(line: str, source: Source) -> ProductAlert | None:
    """Return the alert of a line, None for an event that is none; raise NotUnderstoodError for a line without ECS."""
    return of_record(fields.load(line), source)


def of_record(record: dict[str, t.Any], source: Source) -> ProductAlert | None:
    """Return the alert of an ECS object, None for an event that is none."""

    def get(name: str) -> t.Any:
        return fields.dotted(record, name)

    kind = fields.text(get("event.kind"))
    kibana = fields.text(get("kibana.alert.uuid"))
    if kind is None and kibana is None:
        raise fields.NotUnderstoodError("it has no event.kind")
    if kind not in _KINDS and kibana is None:
        return None
    rule = fields.first(get("kibana.alert.rule.name"), get("rule.name"), get("message"), get("event.code")) or "alert"
    own = fields.first(get("kibana.alert.severity"), get("event.severity_name"), get("event.severity")) or "unknown"
    malware = fields.texts(get("threat.software.name")) + fields.texts(
        get("file.Ext.malware_classification.identifier")
    )
    about = _evidence(get)
    return ProductAlert(
        product=source.id,
        title=rule,
        subject=_subject(rule, get),
        time=fields.when(get("kibana.alert.original_time")) or fields.when(get("@timestamp")),
        severity=source.severity(own),
        own_severity=own,
        uid=fields.first(kibana, get("event.id")),
        rule=fields.first(get("kibana.alert.rule.rule_id"), get("rule.id"), get("rule.name"), rule),
        outcome=_outcome(get),
        techniques=fields.techniques(
            get("threat.technique.id"),
            get("threat.technique.subtechnique.id"),
            get("kibana.alert.rule.parameters.threat.technique.id"),
        )
        or _techniques(get("threat")),
        malware=malware,
        evidences=[about] if about else [],
        host=[
            *fields.texts(get("host.name")),
            *fields.texts(get("host.hostname")),
            *fields.texts(get("host.ip")),
            *fields.texts(get("host.id")),
            *fields.texts(get("agent.id")),
        ],
        link=evidence.without_empty({"url": fields.text(get("kibana.alert.url")), "alert": kibana}),
    )


def _techniques(threats: t.Any) -> list[str]:
    """Return the techniques of a list of threats, which rules of Kibana have in place of one."""
    technique_ids = []
    for threat in threats if isinstance(threats, list) else []:
        techniques = fields.get(threat, "technique")
        for technique in techniques if isinstance(techniques, list) else [techniques]:
            technique_ids.append(fields.get(technique, "id"))
            below = fields.get(technique, "subtechnique")
            technique_ids += [fields.get(each, "id") for each in (below if isinstance(below, list) else [below])]
    return fields.techniques(*technique_ids)


def _outcome(get: t.Callable[[str], t.Any]) -> str:
    status = fields.text(get("kibana.alert.workflow_status"))
    if status == "closed":
        return "remediated"
    actions = {each.lower() for each in fields.texts(get("event.action"))}
    if actions.intersection(_QUARANTINE) or fields.text(get("file.Ext.quarantine_result")) in ("True", "true"):
        return "quarantined"
    is_denied = "denied" in fields.texts(get("event.type"))
    return "blocked" if is_denied and fields.text(get("event.outcome")) != "failure" else "detected"


def _subject(rule: str, get: t.Callable[[str], t.Any]) -> str:
    path = fields.first(get("file.path"), get("dll.path"))
    program = fields.first(get("process.executable"), get("process.name"))
    peer = fields.text(get("destination.ip")) if path is None else None
    parts = [part for part in (path, program and "by %s" % program, peer and "to %s" % peer) if part]
    return "%s: %s" % (rule, " ".join(parts)) if parts else rule


def _evidence(get: t.Callable[[str], t.Any]) -> dict[str, t.Any]:
    parents = [
        evidence.process(
            pid=get("%s.pid" % name),
            uid=get("%s.entity_id" % name),
            path=get("%s.executable" % name),
            cmd_line=get("%s.command_line" % name),
            name=get("%s.name" % name),
        )
        for name in ("process.parent", "process.parent.parent")
    ]
    process = evidence.process(
        pid=get("process.pid"),
        uid=get("process.entity_id"),
        path=get("process.executable"),
        cmd_line=get("process.command_line"),
        name=get("process.name"),
        account=get("user.name"),
        directory=get("process.working_directory"),
        digests=[get("process.hash.%s" % kind) for kind in ("md5", "sha1", "sha256")],
        created=fields.when(get("process.start")),
        parents=[each for each in parents if each],
    )
    digests = [get("file.hash.%s" % kind) for kind in ("md5", "sha1", "sha256")]
    return evidence.without_empty(
        {
            "process": process,
            "file": evidence.file(get("file.path"), *digests, size=get("file.size")),
            "user": evidence.user(get("user.name"), get("user.id")),
            "src_endpoint": evidence.endpoint(get("source.ip"), get("source.port"), get("source.domain")),
            "dst_endpoint": evidence.endpoint(
                get("destination.ip"), get("destination.port"), get("destination.domain")
            ),
            "container": evidence.container(
                get("container.id"), get("container.name"), get("container.image.name"), get("container.image.tag")
            ),
            "data": evidence.data(
                evidence.without_empty(
                    {
                        name: get(name)
                        for name in (
                            *("message", "event.action", "event.code", "event.outcome", "event.reason"),
                            *("kibana.alert.reason", "kibana.alert.risk_score", "data_stream.dataset"),
                        )
                    }
                )
            ),
        }
    )
