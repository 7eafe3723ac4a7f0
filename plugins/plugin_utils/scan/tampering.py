# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The finding about code or rules that a host kept for the next scan, and that are not what they were."""

from __future__ import annotations

import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils._finding import ScopeCoverage, detection, not_checked
from ansible_collections.bulwark.servers.plugins.plugin_utils import catalogue
from ansible_collections.bulwark.servers.plugins.plugin_utils.ocsf import events
from ansible_collections.bulwark.servers.plugins.plugin_utils.report.shown import visible
from ansible_collections.bulwark.servers.plugins.plugin_utils.scan.records import Record
from ansible_collections.bulwark.servers.plugins.plugin_utils.store import CapabilityResult
from ansible_collections.bulwark.servers.plugins.plugin_utils.transport.model import Tampered

# It watches files, whether it was chosen for this scan or not.
_CAPABILITY = "file_integrity"
_ALERT = "scan_code_changed"
_SCOPE = "kept_code"
# OCSF's file.type_id (https://schema.ocsf.io/1.5.0/objects/file): whatever it is now.
_UNKNOWN_KIND = 0
# A host that names nothing has something to hide.
_UNNAMED = "a kept file without a name"


def records(
    tampered: t.Sequence[Tampered], chosen: t.Collection[str], device: events.Device, now: float
) -> list[Record]:
    """Return what is to be recorded of it; nothing where all was as it should be. chosen: the scan's capabilities."""
    if not tampered:
        return []
    detections = [_detection(visible(found.subject) or _UNNAMED, visible(found.reason)) for found in tampered]
    coverage = ScopeCoverage(_SCOPE)
    coverage.examined = len(tampered)
    findings = events.findings(detections, catalogue.load(), device, now)
    entries = [coverage.entry()]
    if _CAPABILITY not in chosen:
        entries.append(not_checked(_CAPABILITY, "This scan was not asked to compare files."))
    return [Record(CapabilityResult(_CAPABILITY, findings, entries))]


def _detection(subject: str, reason: str) -> dict[str, t.Any]:
    return detection(
        _ALERT,
        subject,
        _SCOPE,
        [{"file": {"name": subject, "type_id": _UNKNOWN_KIND}}],
        message=f"It {reason}; it was not run, and everything was sent again.",
    )
