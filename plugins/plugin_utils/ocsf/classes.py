# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What only one class of finding has: OCSF has no evidences in a Vulnerability Finding, and so on."""

from __future__ import annotations

import re
import typing as t

from ansible_collections.bulwark.servers.plugins.plugin_utils.catalogue import Alert
from ansible_collections.bulwark.servers.plugins.plugin_utils.ocsf.compliance import FAIL, Compliance

_CVE = re.compile(r"\bCVE-\d{4}-\d{4,}\b")


def describe(
    event: dict[str, t.Any],
    alert: Alert,
    subject: str,
    evidences: list[dict[str, t.Any]],
    compliance: Compliance | None,
) -> None:
    """Add to an event what its class has for the alert, the evidences and the control."""
    remediation: dict[str, t.Any] = {"desc": alert.remediation}
    if alert.references:
        remediation["references"] = list(alert.references)
    if alert.kind == "vulnerability":
        event["vulnerabilities"] = [_vulnerability(alert, subject, remediation)]
        if evidences:
            event["unmapped"]["evidences"] = evidences
        return
    event["remediation"] = remediation
    if evidences:
        event["evidences"] = evidences
    if alert.kind == "recommendation" and compliance is not None:
        event["compliance"] = compliance.to_ocsf(alert.description)
        event["unmapped"]["control"] = dict(compliance.counts)
    elif alert.kind == "recommendation":
        event["compliance"] = {"control": alert.title, "desc": alert.description, **FAIL}


def _vulnerability(alert: Alert, subject: str, remediation: dict[str, t.Any]) -> dict[str, t.Any]:
    known = _CVE.search(subject)
    named: dict[str, t.Any] = {"cve": {"uid": known.group()}} if known else {"advisory": {"uid": subject}}
    return {**named, "title": alert.title, "desc": alert.description, "remediation": remediation}
