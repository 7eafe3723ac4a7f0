# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Say how far a run looked at a host: OCSF's Scan Activity (https://schema.ocsf.io/1.5.0/classes/scan_activity).

Collectors can so alert on a host that is no longer looked at, and on a capability that is not.
"""

from __future__ import annotations

import dataclasses
import json
import typing as t
import uuid

from ansible_collections.bulwark.servers.plugins.plugin_utils.ocsf import evidence
from ansible_collections.bulwark.servers.plugins.plugin_utils.ocsf.events import NAMESPACE, VERSION, product
from ansible_collections.bulwark.servers.plugins.plugin_utils.ocsf.host import Device

CLASS_UID = 6007

_CATEGORY = (6, "Application Activity")
_CLASS_NAME = "Scan Activity"
# OCSF's activity, status and severity for the coverage of a host as a whole.
_OUTCOMES: t.Mapping[str, t.Mapping[str, t.Any]] = {
    "checked": {"activity": (2, "Completed"), "status": (1, "Success"), "severity": (1, "Informational")},
    # OCSF's 99 is followed by the source's own word.
    "partial": {"activity": (2, "Completed"), "status": (99, "Partial"), "severity": (2, "Low")},
    "not_checked": {"activity": (6, "Error"), "status": (2, "Failure"), "severity": (3, "Medium")},
}
_WORST_FIRST = ("not_checked", "partial", "checked")
# An event of 100 scopes with such reasons stays below 64 kB.
_ENTRIES_LIMIT = 100
_REASON_LIMIT = 400
_NUMBER_LIMIT = 2**53 - 1


@dataclasses.dataclass(frozen=True)
class Scan:
    """A run. started: in seconds since the epoch."""

    id: str
    playbook: str
    started: float


@dataclasses.dataclass(frozen=True)
class Look:
    """How far one capability looked at the host. status, entries: as in ``store.model.Coverage``.

    last_checked: when a result of any run last said that something was looked at, in seconds; None for never.
    """

    capability: str
    status: str
    entries: t.Sequence[t.Mapping[str, t.Any]]
    last_checked: float | None


def key(host: str) -> str:
    """Return the identity of a host's coverage, the same in all runs."""
    return str(uuid.uuid5(NAMESPACE, f"coverage {host}"))


def event(scan: Scan, host: str, looks: t.Sequence[Look], now: float) -> dict[str, t.Any]:
    """Return the event of a host in a run that was closed now. Times in the event are in milliseconds.

    ``metadata.uid`` is the same for the same looks of the same run, whenever it is closed.
    """
    status = summary(looks)
    outcome = _OUTCOMES[status]
    activity_id, activity_name = outcome["activity"]
    status_id, status_name = outcome["status"]
    severity_id, severity = outcome["severity"]
    category_uid, category_name = _CATEGORY
    checked = sum(look.status == "checked" for look in looks)
    entries = [entry for look in looks for entry in look.entries]
    return {
        "category_uid": category_uid,
        "category_name": category_name,
        "class_uid": CLASS_UID,
        "class_name": _CLASS_NAME,
        "activity_id": activity_id,
        "activity_name": activity_name,
        "type_uid": CLASS_UID * 100 + activity_id,
        "type_name": f"{_CLASS_NAME}: {activity_name}",
        "status_id": status_id,
        "status": status_name,
        "status_code": status,
        "severity_id": severity_id,
        "severity": severity,
        "time": _milliseconds(now),
        "start_time": _milliseconds(min(scan.started, now)),
        "end_time": _milliseconds(now),
        "message": f"{host}: {checked} of {len(looks)} capabilities were checked",
        "scan": {"uid": scan.id, "name": scan.playbook, "type_id": 0, "type": "Unknown"},
        "total": _sum(entries, "examined"),
        "num_skipped_items": _sum(entries, "skipped_count"),
        "device": Device(host).to_ocsf(),
        "metadata": {
            "version": VERSION,
            "product": product(),
            "profiles": ["host"],
            "event_code": "coverage",
            "uid": _uid(scan, host, looks),
            "logged_time": _milliseconds(now),
        },
        "unmapped": {"change": "coverage", "run": scan.id, "status": status, **_described(looks)},
    }


def summary(looks: t.Sequence[Look]) -> str:
    """Return the one status of all looks: checked or not checked when all are, otherwise partial."""
    statuses = {look.status for look in looks}
    return statuses.pop() if len(statuses) == 1 else "partial"


def _uid(scan: Scan, host: str, looks: t.Sequence[Look]) -> str:
    content = json.dumps([[look.capability, look.status, look.entries] for look in looks], sort_keys=True)
    return str(uuid.uuid5(NAMESPACE, f"coverage {len(scan.id)}:{scan.id} {len(host)}:{host} {content}"))


def _described(looks: t.Sequence[Look]) -> dict[str, t.Any]:
    """Return how far each capability looked, with those of its scopes that there is room for, the worst first."""
    room = _ENTRIES_LIMIT
    described = []
    for look in sorted(looks, key=lambda look: (_WORST_FIRST.index(look.status), look.capability)):
        entries = sorted(look.entries, key=lambda entry: _WORST_FIRST.index(entry["status"]))[:room]
        room -= len(entries)
        described.append(_look(look, entries))
    left = sum(len(look.entries) for look in looks) - (_ENTRIES_LIMIT - room)
    notes = {"notes": [f"{left} more scopes are not in this event; findings_info returns all"]} if left else {}
    return {"coverage": described, **notes}


def _look(look: Look, entries: t.Sequence[t.Mapping[str, t.Any]]) -> dict[str, t.Any]:
    described: dict[str, t.Any] = {"capability": look.capability, "status": look.status}
    if look.last_checked is not None:
        described["last_checked_time"] = _milliseconds(look.last_checked)
    return {**described, "scopes": [_scope(entry) for entry in entries]}


def _scope(entry: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
    described = {"scope": entry["scope"], "status": entry["status"], "skipped_count": entry["skipped_count"]}
    if entry["reason"]:
        described["reason"] = evidence.line(entry["reason"], _REASON_LIMIT)
    return described


def _sum(entries: t.Iterable[t.Mapping[str, t.Any]], name: str) -> int:
    """Return the sum of a number of all entries, and none that a receiver would read inexactly."""
    number: int = sum(entry[name] for entry in entries)
    return max(0, min(number, _NUMBER_LIMIT))


def _milliseconds(seconds: float) -> int:
    return int(seconds * 1000)
