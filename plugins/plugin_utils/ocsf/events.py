# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Turn a module's detection into a finding: an event of the Open Cybersecurity Schema Framework, version 1.5.0.

Alerts become Detection Findings (class 2004), recommendations Compliance Findings (2003), vulnerabilities
Vulnerability Findings (2002); see https://schema.ocsf.io/1.5.0/categories/findings. 1.5.0 is the oldest version whose
findings have all that is written here, and so the one that most consumers read.

A detection comes from a host that may be compromised. What comes out is plain, bounded and valid whatever comes in:
detections without a usable identity are refused with a DetectionError, evidences that don't fit are left out with a
note under ``unmapped.notes``.
"""

from __future__ import annotations

import re
import typing as t
import uuid

from ansible_collections.bulwark.servers.plugins.module_utils._finding import SEVERITIES, printable
from ansible_collections.bulwark.servers.plugins.plugin_utils import collection_version
from ansible_collections.bulwark.servers.plugins.plugin_utils.catalogue import (
    Alert,
    AttackReference,
    Catalogue,
    ContentError,
)
from ansible_collections.bulwark.servers.plugins.plugin_utils.ocsf import (
    classes,
    evidence,
    observables,
    outcome,
    security_product,
)
from ansible_collections.bulwark.servers.plugins.plugin_utils.ocsf.compliance import Compliance, resolved
from ansible_collections.bulwark.servers.plugins.plugin_utils.ocsf.host import Device
from ansible_collections.bulwark.servers.plugins.plugin_utils.ocsf.security_product import Description, SecurityProduct
from ansible_collections.bulwark.servers.plugins.plugin_utils.ocsf.vulnerabilities import Vulnerabilities

__all__ = [
    "CLASS_UIDS",
    "NAMESPACE",
    "SEVERITIES_BY_ID",
    "Compliance",
    "DetectionError",
    "Device",
    "Vulnerabilities",
    "finding",
    "finding_uid",
    "findings",
    "product",
    "with_status",
]

T = t.TypeVar("T")

VERSION = "1.5.0"

_CATEGORY = 2
_CLASSES = {
    "alert": (2004, "Detection Finding"),
    "recommendation": (2003, "Compliance Finding"),
    "vulnerability": (2002, "Vulnerability Finding"),
}
# OCSF's 0 is unknown and 6 fatal, which no finding here is.
_SEVERITY_IDS = {name: number for number, name in enumerate(SEVERITIES, start=1)}
SEVERITIES_BY_ID = {number: name for name, number in _SEVERITY_IDS.items()}
CLASS_UIDS = tuple(uid for uid, _name in _CLASSES.values())
_ACTIVITIES = {"create": (1, "Create"), "update": (2, "Update"), "close": (3, "Close")}
# OCSF's New is "yet to be reviewed" and In Progress "under review". Being seen again is no review, so open stays New;
# the activity tells the two apart, and ``unmapped.status`` keeps the store's own word.
_STATUSES = {"new": (1, "New"), "open": (1, "New"), "suppressed": (3, "Suppressed"), "resolved": (4, "Resolved")}

# Changing this would give every stored finding another identity.
NAMESPACE = uuid.UUID("7b1f0c55-3f0e-5a37-9c0f-6d1f5a0c9be1")
_MESSAGE_LIMIT = 2_000
_DETECTIONS_LIMIT = 100_000
_LAST_SECOND = 253_402_300_799  # of the year 9999
_IDENTIFIER = re.compile(r"[A-Za-z][A-Za-z0-9_.]{1,63}")


class DetectionError(ContentError):
    """A detection is none that can be kept; the message names the field."""


def findings(
    detections: t.Any,
    catalogue: Catalogue,
    host: Device,
    now: float,
    products: t.Mapping[str, Description] | None = None,
) -> list[dict[str, t.Any]]:
    """Return a finding for each of a module's detections; see ``finding``."""
    if not isinstance(detections, (list, tuple)):
        raise DetectionError("its 'detections' are not a list")
    if len(detections) > _DETECTIONS_LIMIT:
        raise DetectionError(f"it has {len(detections)} detections; at most {_DETECTIONS_LIMIT} are read")
    return [finding(detection, catalogue, host, now, products=products) for detection in detections]


def finding(
    detection: t.Any,
    catalogue: Catalogue,
    host: Device,
    now: float,
    compliance: Compliance | None = None,
    vulnerabilities: Vulnerabilities | None = None,
    products: t.Mapping[str, Description] | None = None,
) -> dict[str, t.Any]:
    """Return the OCSF event of a detection (see ``module_utils._finding.detection``) made on ``host``.

    now: when it was observed, in seconds since the epoch; times in the event are in milliseconds. compliance: what the
    controller knows of the control that a recommendation is about; a host has no say in it. vulnerabilities: what it
    knows of those of a package. products: those whose alerts a detection may pass on, by id. Raises DetectionError for
    an alert or technique that the catalogue doesn't have, and for a field of the wrong kind.
    """
    if not isinstance(detection, t.Mapping):
        raise DetectionError("a detection is not a mapping")
    alert = _known(catalogue.alert, "alert", _identifier(detection, "alert"))
    subject = _text(detection, "subject")
    scope = _text(detection, "scope")
    notes = evidence.Notes()
    evidences = evidence.evidences(detection.get("evidences") or [], notes)
    class_uid, class_name = _CLASSES[alert.kind]
    reported = _product(detection, alert, products or {})
    attacks = _techniques(detection, alert, catalogue)
    unknown: list[str] = []
    if reported is not None:
        attacks, unknown = security_product.attacks(reported.techniques, attacks, catalogue)
    severity = _severity(detection.get("severity"), alert)
    first, last = _period(detection, now)
    uid = finding_uid(host.name, alert.id, subject)
    event: dict[str, t.Any] = {
        "category_uid": _CATEGORY,
        "category_name": "Findings",
        "class_uid": class_uid,
        "class_name": class_name,
        "time": _milliseconds(now),
        "start_time": _milliseconds(first),
        "end_time": _milliseconds(last),
        "count": _count(detection.get("count", 1)),
        "severity_id": _SEVERITY_IDS[severity],
        "severity": severity.capitalize(),
        "message": _message(detection, f"{alert.title}: {subject}"),
        "finding_info": {
            "uid": uid,
            "title": alert.title,
            "desc": alert.description,
            "types": [alert.capability],
            "analytic": {"type_id": 1, "type": "Rule", "uid": alert.id, "name": alert.title},
            "attacks": [_attack(reference) for reference in attacks],
            "product": product(),
            "created_time": _milliseconds(now),
            "first_seen_time": _milliseconds(now),
            "last_seen_time": _milliseconds(now),
            "modified_time": _milliseconds(now),
        },
        "device": host.to_ocsf(),
        # A control is about its subject, whatever fails it.
        "resources": [_resource(subject, [] if compliance else evidences, host)],
        "metadata": {
            "version": VERSION,
            "product": product(),
            "profiles": ["host"],
            "event_code": alert.id,
            "logged_time": _milliseconds(now),
        },
        "unmapped": {
            "capability": alert.capability,
            "alert": alert.id,
            "scope": scope,
            "subject": subject,
            "lifecycle": alert.lifecycle,
            "kind": alert.kind,
            # Here, so that it stands before what a host may add (see ``finding_text``).
            "status": "new",
        },
    }
    classes.describe(event, alert, subject, evidences, compliance)
    if detection.get("simulation") is not None:
        event["unmapped"]["simulation"] = _text(detection, "simulation")
    if vulnerabilities is not None:
        # Names and titles come from hosts, reports of scanners and feeds.
        event["vulnerabilities"] = evidence.plain(vulnerabilities.to_ocsf(alert.references, now))
        event["unmapped"] |= evidence.plain(vulnerabilities.unmapped())
    if reported is not None:
        reported.apply(event, unknown, product())
    outcome.describe(event, detection.get("disposition"))
    shown = observables.of_event(event)
    if len(shown) > observables.LIMIT:
        notes.add(f"observables: {len(shown) - observables.LIMIT} left out, more than {observables.LIMIT}")
    if shown:
        event["observables"] = observables.to_ocsf(shown)
    if notes.lines:
        event["unmapped"]["notes"] = notes.lines
    return with_status(event, "new", "create", now)


def with_status(
    event: t.Mapping[str, t.Any],
    status: str,
    activity: str,
    now: float,
    reason: str | None = None,
    change: str | None = None,
) -> dict[str, t.Any]:
    """Return the event as it reads once its finding has this status.

    status: new, open, suppressed or resolved. activity: create, update or close. now: since when, in seconds. reason:
    why, where that is known. change: what tells apart two changes of a finding within one millisecond; None if there
    is only one.
    """
    at = _milliseconds(now)
    kind = event["unmapped"]["kind"]
    changed = {
        **event,
        **status_members(event["class_uid"], event["class_name"], kind, status, activity, reason),
        "time": at,
        "finding_info": {**event["finding_info"], "modified_time": at},
        "unmapped": {**event["unmapped"], "status": status},
        "metadata": {
            **event["metadata"],
            "logged_time": at,
            "uid": change_uid(event["finding_info"]["uid"], status, activity, at, change),
        },
    }
    if status == "resolved" and "standards" in event.get("compliance", {}):
        changed["compliance"] = {**event["compliance"], **resolved(reason)}
    return changed


def status_members(
    class_uid: int, class_name: str, kind: str, status: str, activity: str, reason: str | None
) -> dict[str, t.Any]:
    """Return the members that only say which status an event's finding has; see ``with_status``."""
    activity_id, activity_name = _ACTIVITIES[activity]
    status_id, status_name = _STATUSES[status]
    members = {
        "activity_id": activity_id,
        "activity_name": activity_name,
        "type_uid": class_uid * 100 + activity_id,
        "type_name": f"{class_name}: {activity_name}",
        "status_id": status_id,
        "status": status_name,
    }
    if kind == "alert":
        members["is_alert"] = status in ("new", "open")
    if reason:
        members["status_detail"] = reason
    return members


def change_uid(finding: str, status: str, activity: str, milliseconds: int, change: str | None) -> str:
    """Return the uid of an event: it says one thing at one time, and a collector that gets it twice can tell by this.

    finding: the uid of the finding. milliseconds: the time of the event. For the others see ``with_status``.
    """
    instance = f"{finding} {_ACTIVITIES[activity][0]} {_STATUSES[status][0]} {milliseconds}"
    return str(uuid.uuid5(NAMESPACE, instance if change is None else f"{instance} {change}"))


def finding_uid(host: str, alert: str, subject: str) -> str:
    """Return the identity of the problem: the same for the same alert about the same subject on the same host."""
    # Lengths, so that no host, alert and subject joined otherwise give the same text.
    return str(uuid.uuid5(NAMESPACE, f"{len(host)}:{host} {len(alert)}:{alert} {subject}"))


def product() -> dict[str, str]:
    """Return the OCSF ``product`` (https://schema.ocsf.io/1.5.0/objects/product) that events come from."""
    return {"name": "bulwark.servers", "vendor_name": "Bulwark", "version": collection_version.version()}


def _resource(subject: str, evidences: list[dict[str, t.Any]], host: Device) -> dict[str, t.Any]:
    resource = {"name": subject, "hostname": host.name}
    kinds = [kind for kind in ("file", "process", "user") if evidences and kind in evidences[0]]
    if kinds:
        resource["type"] = kinds[0]
    return resource


def _techniques(detection: t.Mapping[str, t.Any], alert: Alert, catalogue: Catalogue) -> list[AttackReference]:
    added = detection.get("techniques") or []
    if not isinstance(added, (list, tuple)):
        raise DetectionError(f"the detection of {alert.id} has 'techniques' that are not a list")
    references = {reference.technique: reference for reference in alert.attack}
    for technique in added:
        identifier = _identifier({"techniques": technique}, "techniques")
        reference = _known(catalogue.technique, "ATT&CK technique", identifier)
        references.setdefault(reference.technique, reference)
    return list(references.values())


def _product(
    detection: t.Mapping[str, t.Any], alert: Alert, products: t.Mapping[str, Description]
) -> SecurityProduct | None:
    if detection.get("product") is None:
        return None
    try:
        return security_product.read(detection["product"], products)
    except evidence.UnfitError as error:
        raise DetectionError(f"the detection of {alert.id} has an unusable 'product': {error}") from None


def _known(look_up: t.Callable[[str], T], what: str, identifier: str) -> T:
    """Return the entry of the catalogue; the host names what isn't there, so that it is the host to be looked into."""
    try:
        return look_up(identifier)
    except ContentError:
        raise DetectionError(f"a detection names {what} '{identifier}', which this collection does not have") from None


def _attack(reference: AttackReference) -> dict[str, t.Any]:
    attack: dict[str, t.Any] = {"tactic": {"uid": reference.tactic, "name": reference.tactic_name}}
    parent, _dot, sub = reference.technique.partition(".")
    # ATT&CK names a sub-technique "Technique: Sub-technique".
    name, _colon, sub_name = reference.technique_name.partition(": ")
    if sub and sub_name:
        attack["technique"] = {"uid": parent, "name": name}
        attack["sub_technique"] = {"uid": reference.technique, "name": sub_name}
    else:
        attack["technique"] = {"uid": reference.technique, "name": reference.technique_name}
    return attack


def _severity(value: t.Any, alert: Alert) -> str:
    if value is None and alert.severity is not None:
        return alert.severity
    if not isinstance(value, str) or value not in SEVERITIES:
        raise DetectionError(f"the detection of {alert.id} has a severity that is not one of {', '.join(SEVERITIES)}")
    return evidence.plain_text(value)


def _identifier(detection: t.Mapping[str, t.Any], field: str) -> str:
    value = detection.get(field)
    if not isinstance(value, str) or not _IDENTIFIER.fullmatch(value):
        shown = printable(evidence.plain_text(value)[:80]) if isinstance(value, str) else type(value).__name__
        raise DetectionError(f"a detection has no usable '{field}': '{shown}' is not an identifier")
    return evidence.plain_text(value)


def _text(detection: t.Mapping[str, t.Any], field: str) -> str:
    try:
        return evidence.name(detection.get(field))
    except evidence.UnfitError as error:
        raise DetectionError(
            f"a detection of {_identifier(detection, 'alert')} has no usable '{field}': {error}"
        ) from None


def _message(detection: t.Mapping[str, t.Any], otherwise: str) -> str:
    try:
        return evidence.text(detection.get("message") or otherwise, _MESSAGE_LIMIT)
    except evidence.UnfitError as error:
        raise DetectionError(f"a detection's 'message' is unusable: {error}") from None


def _count(value: t.Any) -> int:
    try:
        return max(1, evidence.integer(value))
    except evidence.UnfitError as error:
        raise DetectionError(f"a detection's 'count' is unusable: {error}") from None


def _period(detection: t.Mapping[str, t.Any], now: float) -> tuple[float, float]:
    """Return when it began and ended, as far as the host's clock can be believed: nothing ends in the future."""
    last = _timestamp(detection.get("last_time"), "last_time")
    first = _timestamp(detection.get("first_time"), "first_time")
    end = min(now if last is None else last, now)
    return min(end if first is None else first, end), end


def _timestamp(value: t.Any, field: str) -> float | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value <= _LAST_SECOND:
        raise DetectionError(f"a detection's '{field}' is not a time in seconds since the epoch")
    return float(value)


def _milliseconds(seconds: float) -> int:
    return int(seconds * 1000)
