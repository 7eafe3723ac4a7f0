# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import contextlib
import pathlib

from ansible_collections.bulwark.servers.plugins.module_utils import _finding
from ansible_collections.bulwark.servers.plugins.plugin_utils import catalogue
from ansible_collections.bulwark.servers.plugins.plugin_utils.network_hardening import known
from ansible_collections.bulwark.servers.plugins.plugin_utils.ocsf import events
from ansible_collections.bulwark.servers.plugins.plugin_utils.store import Store

_FOUND = (
    # alert, technique, severity
    ("ssh_brute_force_failed", "T1110.001", "medium"),
    ("ssh_brute_force_succeeded", "T1110", "high"),
    # Another rule of this alert guesses passwords; the rule of this finding does not.
    ("tool_attack", "T1588.002", "high"),
    ("network_scan", "T1046", "low"),
    ("reverse_shell", "T1059.004", "high"),
)


def test_only_findings_that_say_that_somebody_attacks_are_taken(tmp_path: pathlib.Path) -> None:
    detections = [
        _finding.detection(alert, f"subject {number}", "audit log", [], severity=severity, techniques=[technique])
        for number, (alert, technique, severity) in enumerate(_FOUND)
    ]
    with contextlib.closing(Store.open(f"sqlite:///{tmp_path}/findings.db")) as store:
        described = {"playbook": "scan", "user": "alice", "controller": "control1", "version": "1.0.0"}
        run = store.start_run(hosts=["web1"], capabilities=["audit"], now=100, **described)
        found = events.findings(detections, catalogue.load(), events.Device("web1"), 100)
        coverage = [_finding.ScopeCoverage("audit log").entry()]
        store.record(run, "web1", "audit", found, coverage, 100)
        taken = {event["unmapped"]["alert"] for event in known.findings(store)}
    assert taken == {"ssh_brute_force_failed", "ssh_brute_force_succeeded"}
