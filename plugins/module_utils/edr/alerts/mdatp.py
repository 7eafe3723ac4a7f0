# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Threats of Microsoft Defender for Endpoint on Linux, as ``mdatp threat list --output json`` lists them.

The list has all threats that Defender remembers, each with the history of its status, so the newest status counts.
Source: https://learn.microsoft.com/en-us/defender-endpoint/linux-resources.
"""

from __future__ import annotations

import json
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils.edr.alerts import evidence, fields
from ansible_collections.bulwark.servers.plugins.module_utils.edr.alerts.source import Source
from ansible_collections.bulwark.servers.plugins.module_utils.edr.model import ProductAlert

_OUTCOMES = {
    "quarantined": "quarantined",
    "blocked": "blocked",
    "removed": "remediated",
    "remediated": "remediated",
    "cleaned": "remediated",
    "deleted": "remediated",
}


def read_all(output: str, source: Source) -> list[ProductAlert]:
    """Return the threats of the command's output; raise NotUnderstoodError for an output of another form."""
    try:
        value = json.loads(output)
    except (ValueError, RecursionError):
        raise fields.NotUnderstoodError("its output is not complete JSON") from None
    listed = value if isinstance(value, list) else fields.get(value, "threats")
    scans = fields.get(listed, "scans")
    if isinstance(scans, list):
        listed = [
            threat for scan in scans if isinstance(fields.get(scan, "threats"), list) for threat in scan["threats"]
        ]
    if not isinstance(listed, list):
        raise fields.NotUnderstoodError("its output has no list of threats")
    threats = [_alert(entry, source) for entry in listed if isinstance(entry, dict)]
    if listed and not any(threats):
        raise fields.NotUnderstoodError("no threat of its output has a name")
    return [threat for threat in threats if threat is not None]


def _alert(entry: t.Mapping[str, t.Any], source: Source) -> ProductAlert | None:
    threat = entry.get("threat")
    threat = threat if isinstance(threat, dict) else dict(entry)
    name = fields.first(threat.get("name"), threat.get("threatName"))
    if name is None:
        return None
    began, status = _history(entry.get("history"))
    status = status or fields.first(threat.get("status")) or "unknown"
    path = _path(threat)
    identifier = fields.first(threat.get("tracking_id"), threat.get("trackingId"), threat.get("id"))
    own = fields.first(threat.get("severity"), threat.get("type")) or "unknown"
    return ProductAlert(
        product=source.id,
        title=name,
        subject="%s in %s" % (name, path or "threat %s" % identifier),
        time=began or fields.when(threat.get("detectionTime")) or fields.when(threat.get("detection_time")),
        severity=source.severity(own),
        own_severity=own,
        uid=identifier,
        rule=name,
        outcome=_OUTCOMES.get(status.lower(), "detected"),
        malware=[name],
        evidences=[
            evidence.without_empty(
                {
                    "file": evidence.file(path, threat.get("sha256"), threat.get("sha1"), threat.get("md5")),
                    "data": evidence.data({**threat, "status": status}),
                }
            )
        ],
    )


def _path(threat: t.Mapping[str, t.Any]) -> str | None:
    """Return the file of a threat, which is text or the first of its resources."""
    resources = threat.get("resources")
    of_resources = [
        fields.first(fields.get(each, "path"), each) for each in (resources if isinstance(resources, list) else [])
    ]
    return fields.first(threat.get("path"), threat.get("filePath"), threat.get("file"), of_resources)


def _history(value: t.Any) -> tuple[float | None, str | None]:
    """Return when the first status was noted, and the newest status."""
    noted = []
    for position, each in enumerate(value if isinstance(value, list) else []):
        status = fields.text(fields.get(each, "value"))
        if status:
            noted.append((fields.when(fields.get(each, "key")) or 0.0, position, status))
    if not noted:
        return None, None
    noted.sort()
    return noted[0][0] or None, noted[-1][2]
