# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Alerts of Carbon Black Cloud, as its API (v6, v7) and its data forwarder write them.

Source: https://developer.carbonblack.com/reference/carbon-black-cloud/platform/latest/alert-search-and-bulk-operations-api/.
A closed alert is no new one: it resolves the finding.
"""

from __future__ import annotations

import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils.edr.alerts import evidence, fields
from ansible_collections.bulwark.servers.plugins.module_utils.edr.alerts.source import Source
from ansible_collections.bulwark.servers.plugins.module_utils.edr.model import ProductAlert

_CLOSED = ("CLOSED", "DISMISSED")
_STOPPED = ("DENY", "TERMINATE", "BLOCK")


def read(records: t.Sequence[dict[str, t.Any]], source: Source) -> list[ProductAlert | None]:
    """Return the alert of each record, None for one that is none."""
    return [_of_record(record, source) for record in records]


def _of_record(record: t.Mapping[str, t.Any], source: Source) -> ProductAlert | None:
    get = record.get
    identifier, severity = fields.text(get("id")), fields.text(get("severity"))
    if identifier is None or severity is None or not (get("device_id") or get("device_name")):
        return None
    path = fields.first(get("process_name"), get("blocked_name"), fields.get(get("threat_indicators"), "process_name"))
    reason = fields.first(get("reason"), get("report_name"), get("type")) or "Alert"
    rule = fields.first(get("reason_code"), get("watchlist_name"), get("report_name"), get("type"))
    parent = evidence.process(
        pid=get("parent_pid"),
        uid=get("parent_guid"),
        path=get("parent_name"),
        cmd_line=get("parent_cmdline"),
        account=get("parent_username"),
        digests=[get("parent_sha256"), get("parent_md5")],
    )
    about = evidence.without_empty(
        {
            "process": evidence.process(
                pid=get("process_pid"),
                uid=get("process_guid"),
                path=path,
                cmd_line=get("process_cmdline"),
                account=get("process_username"),
                digests=[get("process_sha256"), get("process_md5")],
                parents=[parent] if parent else [],
            ),
            "file": evidence.file(
                get("blocked_name") or get("childproc_name"), get("blocked_sha256") or get("childproc_sha256")
            ),
            "user": evidence.user(get("process_username") or get("device_username")),
            "dst_endpoint": evidence.endpoint(
                get("netconn_remote_ip"), get("netconn_remote_port"), get("netconn_remote_domain")
            ),
            "container": evidence.container(get("k8s_pod_name"), get("k8s_pod_name"), get("k8s_workload_name")),
            "data": evidence.data(
                evidence.without_empty(
                    {
                        name: get(name)
                        for name in (
                            "reason",
                            "reason_code",
                            "childproc_cmdline",
                            "device_policy",
                            "threat_id",
                            "attack_tactic",
                        )
                    }
                )
            ),
        }
    )
    return ProductAlert(
        product=source.id,
        title=reason,
        subject=f"{rule or reason}: {path or 'alert ' + identifier}",
        time=fields.when(
            fields.first(
                get("first_event_timestamp"),
                get("first_event_time"),
                get("detection_timestamp"),
                get("backend_timestamp"),
                get("create_time"),
            )
        ),
        severity=source.severity(severity),
        own_severity=severity,
        uid=identifier,
        rule=rule,
        outcome=_outcome(record),
        techniques=fields.techniques(get("ttps"), get("attack_technique")),
        malware=fields.texts(get("threat_name")),
        evidences=[about],
        host=_host(record),
        link=evidence.without_empty({"url": fields.text(get("alert_url")), "alert": identifier}),
    )


def _outcome(record: t.Mapping[str, t.Any]) -> str:
    workflow = record.get("workflow")
    state = fields.first(fields.get(workflow, "status"), fields.get(workflow, "state")) or ""
    if state.upper() in _CLOSED:
        return "remediated"
    return "blocked" if (fields.first(record.get("sensor_action")) or "").upper() in _STOPPED else "detected"


def _host(record: t.Mapping[str, t.Any]) -> list[str]:
    """Return name, address and id; a name may have its domain before it. The external address is of a gateway."""
    name = fields.text(record.get("device_name"))
    names = [name.rpartition("\\")[2]] if name else []
    return [*names, *fields.texts(record.get("device_internal_ip")), *fields.texts(record.get("device_id"))]
