# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Turn detections of products' alerts into findings of the host that reported them and of other hosts."""

from __future__ import annotations

import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils._finding import printable
from ansible_collections.bulwark.servers.plugins.plugin_utils import catalogue
from ansible_collections.bulwark.servers.plugins.plugin_utils.edr import alert_content
from ansible_collections.bulwark.servers.plugins.plugin_utils.edr.known_hosts import AmbiguousError, KnownHosts
from ansible_collections.bulwark.servers.plugins.plugin_utils.ocsf import events, evidence
from ansible_collections.bulwark.servers.plugins.plugin_utils.store.model import Elsewhere

_MOST_OTHERS = 10_000
_MOST_NAMES = 20
_NAME_LIMIT = 255
# The forms of products that alert about other hosts than their own.
_OF_OTHERS = ("wazuh",)


class Other(t.NamedTuple):
    """An alert about another host: its names, addresses and ids, the detection, and how it ended (``fold.Folded``)."""

    named: tuple[str, ...]
    detection: t.Mapping[str, t.Any]
    remediated: t.Mapping[str, str] | None = None


class Attributed(t.NamedTuple):
    """known: of hosts of the inventory. unknown: alerts of hosts that it does not have, with the reason."""

    known: t.Mapping[str, list[Other]]
    unknown: list[tuple[Other, str]]


def read_others(value: t.Any) -> list[Other]:
    """Return the alerts that a host reports about others; raise DetectionError for a list that is none.

    A host that is in an attacker's hands reports what it likes of others, so that only alerts of a product that has
    such are taken, and nothing that their own scans could have found.
    """
    try:
        entries = [evidence.mapping(each) for each in evidence.sequence(value)[:_MOST_OTHERS]]
        return [
            Other(
                tuple(evidence.text(name, _NAME_LIMIT) for name in evidence.sequence(each.get("host"))[:_MOST_NAMES]),
                _of_manager(evidence.mapping(each.get("detection"))),
            )
            for each in entries
        ]
    except evidence.UnfitError as error:
        raise events.DetectionError(f"its 'others' are unusable: {error}") from None


def _of_manager(detection: t.Mapping[str, t.Any]) -> t.Mapping[str, t.Any]:
    source = alert_content.load().get(str(evidence.mapping(detection.get("product")).get("id")))
    if source is None or source.form not in _OF_OTHERS:
        raise evidence.UnfitError("an alert about another host is of a product that has none")
    if not str(detection.get("subject")).startswith(f"{source.name}: "):
        raise evidence.UnfitError("an alert about another host has the subject of another product")
    return detection


def attribute(others: t.Sequence[Other], hosts: KnownHosts) -> Attributed:
    """Find out which hosts of the inventory alerts are about."""
    known: dict[str, list[Other]] = {}
    unknown = []
    results: dict[tuple[str, ...], tuple[str | None, str]] = {}
    for other in others:
        if other.named not in results:
            try:
                results[other.named] = (hosts.find(other.named), "the inventory has no such host")
            except AmbiguousError as error:
                results[other.named] = (None, str(error))
        host, reason = results[other.named]
        if host is None:
            unknown.append((other, reason))
        else:
            known.setdefault(host, []).append(other)
    return Attributed(known, unknown)


def elsewhere(
    known: t.Mapping[str, t.Sequence[Other]],
    device: t.Callable[[str], events.Device],
    reporter: str,
    now: float,
) -> list[Elsewhere]:
    """Return the findings to record for other hosts. device: describes a host. reporter: who says it."""
    recorded = []
    for host, others in sorted(known.items()):
        described = device(host)
        findings = make([_reported(each.detection, reporter) for each in others], described, now)
        # A manager names no alert that is dealt with.
        recorded.append(Elsewhere(host=described.name, findings=findings, remediated=()))
    return recorded


def of_unknown(unknown: t.Sequence[tuple[Other, str]]) -> list[dict[str, t.Any]]:
    """Return detections about hosts that the inventory lacks, for the host that reported them: none is dropped."""
    detections = []
    for other, _reason in unknown:
        name = printable(other.named[0]) if other.named else "a host without a name"
        subject = str(other.detection.get("subject"))
        detections.append({**other.detection, "subject": f"{name}: {subject}"})
    return detections


def make(detections: t.Sequence[t.Any], device: events.Device, now: float) -> list[dict[str, t.Any]]:
    """Return the findings of detections about a host; what has the same alert and subject is one.

    None is of a simulation: no alert of a product has the session of the kernel that it happened in.
    """
    real = [
        {name: value for name, value in each.items() if name != "simulation"} if isinstance(each, dict) else each
        for each in _merged(detections)
    ]
    return events.findings(real, catalogue.load(), device, now, alert_content.descriptions())


def _merged(detections: t.Sequence[t.Any]) -> list[t.Any]:
    """Add up detections with the same alert and subject: a manager may know an agent by several addresses."""
    merged: dict[t.Any, t.Any] = {}
    for detection in detections:
        key = (
            (str(detection.get("alert")), str(detection.get("subject")))
            if isinstance(detection, dict)
            else id(detection)
        )
        before = merged.get(key)
        if before is None:
            merged[key] = detection
            continue
        try:
            merged[key] = {
                **detection,
                "count": before["count"] + detection["count"],
                "first_time": min(_times(before, detection, "first_time"), default=None),
                "last_time": max(_times(before, detection, "last_time"), default=None),
                "evidences": [*before["evidences"], *detection["evidences"]],
            }
        except (KeyError, TypeError) as error:
            raise events.DetectionError(f"a detection has an unusable field: {error}") from None
    return list(merged.values())


def _times(before: t.Mapping[str, t.Any], after: t.Mapping[str, t.Any], name: str) -> list[float]:
    return [each[name] for each in (before, after) if each.get(name) is not None]


def _reported(detection: t.Mapping[str, t.Any], reporter: str) -> dict[str, t.Any]:
    product = detection.get("product")
    if not isinstance(product, t.Mapping):
        raise events.DetectionError("an alert about another host names no product")
    # In the subject as well, so that a host changes no finding that another one reported.
    name, _colon, subject = str(detection["subject"]).partition(": ")
    return {
        **detection,
        "subject": f"{name} ({printable(reporter)}): {subject}",
        "product": {**product, "reporter": reporter},
    }
