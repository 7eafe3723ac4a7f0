# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Sort the alerts of exported files: those of the inventory's hosts are recorded, all others are listed."""

from __future__ import annotations

import collections
import pathlib
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils.edr.alerts.fold import Fold
from ansible_collections.bulwark.servers.plugins.module_utils.edr.model import ProductAlert
from ansible_collections.bulwark.servers.plugins.plugin_utils.edr import alert_content, alert_findings
from ansible_collections.bulwark.servers.plugins.plugin_utils.edr.alert_findings import Other
from ansible_collections.bulwark.servers.plugins.plugin_utils.edr.imports import formats, records
from ansible_collections.bulwark.servers.plugins.plugin_utils.edr.known_hosts import AmbiguousError, KnownHosts
from ansible_collections.bulwark.servers.plugins.plugin_utils.ocsf import evidence
from ansible_collections.bulwark.servers.plugins.plugin_utils.ocsf.host import Device
from ansible_collections.bulwark.servers.plugins.plugin_utils.report.shown import visible
from ansible_collections.bulwark.servers.plugins.plugin_utils.store.model import Elsewhere

# Findings of an import, and bytes of their evidence.
_MOST_GROUPS = 20_000
_EVIDENCE_BYTES = 256 * 1024 * 1024
# In subjects: a host cannot resolve what the product's console reported.
ORIGIN = " (imported)"
_MOST_LISTED = 200


class Unknown(t.NamedTuple):
    """A host that the inventory does not have, or several have: its names, why, and its alerts, each as a sentence."""

    names: tuple[str, ...]
    reason: str
    total: int
    alerts: list[str]


class Imported(t.NamedTuple):
    """The alerts of files: of known hosts by name, of unknown hosts, and numbers. damaged: a sentence a file."""

    known: dict[str, list[Other]]
    unknown: list[Unknown]
    records: int
    alerts: int
    below_floor: int
    others: int
    damaged: list[str]


def read(product: str, paths: t.Sequence[str], floor: str | None, hosts: KnownHosts) -> Imported:
    """Read exported files; raise ContentError for one that is none, before anything is recorded.

    product: of ``FORMATS``.
    """
    source = alert_content.load()[product].to_source()
    source = source._replace(floor=floor or source.floor)
    fold = Fold(ORIGIN, _MOST_GROUPS, _EVIDENCE_BYTES)
    unknown: dict[tuple[str, ...], tuple[str, list[ProductAlert]]] = {}
    damaged, number, others = [], 0, 0
    exported = [(path, records.read(pathlib.Path(path))) for path in paths]
    for path, content in exported:
        number += len(content.records)
        if content.damaged_count:
            lines = ", ".join(map(str, content.damaged))
            damaged.append(
                f"{path}: {content.damaged_count} lines are no complete JSON object and were left out: {lines}"
            )
        for alerts in formats.read(product, content.records, source):
            others += not alerts
            for alert in alerts:
                try:
                    host, reason = hosts.find(alert.host), "the inventory has no such host"
                except AmbiguousError as error:
                    host, reason = None, str(error)
                if host is None:
                    unknown.setdefault(tuple(alert.host), (reason, []))[1].append(alert)
                else:
                    fold.add(alert._replace(host=(host,)), source)
    known: dict[str, list[Other]] = {}
    for folded in fold.detections():
        about = {"alert": folded.alert, "subject": folded.subject, **(folded.detection or {})}
        other = Other(tuple(folded.host), about, folded.remediated)
        known.setdefault(folded.host[0], []).append(other)
    listed = [_unknown(names, reason, alerts) for names, (reason, alerts) in unknown.items()]
    return Imported(
        known=known,
        unknown=sorted(listed, key=lambda each: (-each.total, each.names)),
        records=number,
        alerts=fold.alerts + sum(each.total for each in listed),
        below_floor=sum(fold.below.values()),
        others=others,
        damaged=damaged,
    )


def received(
    known: t.Mapping[str, t.Sequence[Other]], device: t.Callable[[str], Device], reporter: str, now: float
) -> list[Elsewhere]:
    """Return the findings to record. A remediated alert makes no finding by itself."""
    recorded = []
    for host, others in sorted(known.items()):
        described = device(host)
        detections = [each.detection for each in others if "evidences" in each.detection]
        for detection in detections:
            detection["product"]["reporter"] = reporter
        remediated = [each.remediated for each in others if each.remediated]
        findings = alert_findings.make(detections, described, now)
        recorded.append(Elsewhere(host=described.name, findings=findings, remediated=remediated))
    return recorded


def _unknown(names: tuple[str, ...], reason: str, alerts: t.Sequence[ProductAlert]) -> Unknown:
    counted = collections.Counter(f"{alert.severity}: {visible(alert.subject)}" for alert in alerts)
    sentences = [text if count == 1 else f"{text} ({count} times)" for text, count in counted.most_common(_MOST_LISTED)]
    return Unknown(tuple(evidence.text(name, 255) for name in names), reason, len(alerts), sentences)
