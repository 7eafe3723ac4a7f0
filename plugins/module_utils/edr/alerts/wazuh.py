# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Alerts of a Wazuh manager (``logs/alerts/alerts.json``), each about one of its agents, or itself (agent 000).

Source: https://documentation.wazuh.com/current/user-manual/manager/event-logging.html. Tactics are ``mitre.tactics``
in Wazuh 3 and ``mitre.tactic`` later.
"""

from __future__ import annotations

import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils.edr.alerts import evidence, fields
from ansible_collections.bulwark.servers.plugins.module_utils.edr.alerts.source import Source
from ansible_collections.bulwark.servers.plugins.module_utils.edr.model import ProductAlert

_MANAGER = "000"
# The manager's own alerts have any address or none.
_NO_ADDRESSES = ("any", "0.0.0.0", "127.0.0.1")  # noqa: S104 - compared only


def read(line: str, source: Source) -> ProductAlert | None:
    """Return the alert of a line; raise NotUnderstoodError for a line that a manager does not write."""
    return of_record(fields.load(line), source)


def of_record(record: t.Mapping[str, t.Any], source: Source) -> ProductAlert | None:
    """Return the alert of a JSON object of a manager."""
    rule = record.get("rule")
    level = fields.get(rule, "level")
    identifier, title = fields.text(fields.get(rule, "id")), fields.text(fields.get(rule, "description"))
    if identifier is None or fields.integer(level) is None:
        raise fields.NotUnderstoodError("it has no rule with id and level")
    data = record.get("data")
    data = data if isinstance(data, dict) else {}
    path = fields.first(
        fields.get(record, "syscheck", "path"), data.get("file"), fields.get(data, "virustotal", "source", "file")
    )
    source_address = fields.first(data.get("srcip"), data.get("src_ip"))
    account = fields.first(data.get("dstuser"), data.get("srcuser"), fields.get(record, "syscheck", "uname_after"))
    parts = [
        part for part in (path, source_address and "from %s" % source_address, account and "as %s" % account) if part
    ]
    shown = title or "rule %s" % identifier
    return ProductAlert(
        product=source.id,
        title=shown,
        subject="%s (rule %s)%s" % (shown, identifier, ": " + " ".join(parts) if parts else ""),
        time=fields.when(record.get("timestamp")),
        severity=source.severity(level),
        own_severity="level %d" % (fields.integer(level) or 0),
        uid=fields.text(record.get("id")),
        rule=identifier,
        techniques=fields.techniques(fields.get(rule, "mitre", "id")),
        evidences=[_evidence(record, data, path, source_address, account)],
        host=_host(record),
        link=evidence.without_empty({"alert": fields.text(record.get("id"))}),
    )


def _host(record: t.Mapping[str, t.Any]) -> list[str]:
    """Return name, address and id of the agent; nothing for the manager itself."""
    agent = record.get("agent")
    identifier = fields.text(fields.get(agent, "id"))
    if identifier in (None, _MANAGER):
        return []
    address = fields.text(fields.get(agent, "ip"))
    names = [fields.text(fields.get(agent, "name")), None if address in _NO_ADDRESSES else address]
    return [name for name in names if name] or ["agent %s" % identifier]


def _evidence(
    record: t.Mapping[str, t.Any],
    data: t.Mapping[str, t.Any],
    path: str | None,
    source_address: str | None,
    account: str | None,
) -> dict[str, t.Any]:
    changed = record.get("syscheck")
    digests = [fields.get(changed, "%s_after" % kind) for kind in ("md5", "sha1", "sha256")]
    audit = fields.get(changed, "audit", "process")
    rule = record.get("rule")
    tactics = fields.texts(fields.get(rule, "mitre", "tactic")) or fields.texts(fields.get(rule, "mitre", "tactics"))
    return evidence.without_empty(
        {
            "file": evidence.file(path, *digests, size=fields.get(changed, "size_after")),
            "process": evidence.process(
                pid=fields.get(audit, "id"), path=fields.get(audit, "name"), cmd_line=data.get("command")
            ),
            "user": evidence.user(account),
            "src_endpoint": evidence.endpoint(source_address, data.get("srcport") or data.get("src_port")),
            "dst_endpoint": evidence.endpoint(
                data.get("dstip") or data.get("dest_ip"), data.get("dstport") or data.get("dest_port")
            ),
            "data": evidence.data(
                {
                    "full_log": record.get("full_log"),
                    "previous_output": record.get("previous_output"),
                    "location": record.get("location"),
                    "decoder": fields.get(record, "decoder", "name"),
                    "groups": ", ".join(fields.texts(fields.get(rule, "groups"))) or None,
                    "tactics": ", ".join(tactics) or None,
                    "firedtimes": fields.get(rule, "firedtimes"),
                    "agent": fields.get(record, "agent", "name"),
                    "manager": fields.get(record, "manager", "name"),
                    **{"data.%s" % key: value for key, value in data.items()},
                }
            ),
        }
    )
