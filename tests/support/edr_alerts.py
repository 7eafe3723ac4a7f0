# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs that read the alerts of products on this machine and record them, as a scan does, without Ansible."""

from __future__ import annotations

import contextlib
import dataclasses
import pathlib
import time
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils.edr.alerts.collect import NAME, collect
from ansible_collections.bulwark.servers.plugins.plugin_utils.edr import alert_content, alert_findings
from ansible_collections.bulwark.servers.plugins.plugin_utils.ocsf import events
from ansible_collections.bulwark.servers.plugins.plugin_utils.store import Finding, Query, RecordResult, Store

HOST = "web01"


def options(directory: pathlib.Path, **changes: t.Any) -> dict[str, t.Any]:
    """Return options of the module, with state in ``directory``."""
    return {
        "state_dir": str(directory / "state"),
        "products": None,
        "paths": {},
        "floors": {},
        "first_days": 0,
        "time_budget": 0,
        "priority": "normal",
        "_content": alert_content.packed(),
        "_token": None,
        "_advance": True,
        **changes,
    }


@dataclasses.dataclass
class Controller:
    """One store, and what the host is asked from there. options: of the module."""

    url: str
    options: dict[str, t.Any]
    results: list[dict[str, t.Any]] = dataclasses.field(default_factory=list)

    def read(self) -> dict[str, t.Any]:
        """Read the alerts since the last recorded run."""
        with contextlib.closing(Store.open(self.url)) as store:
            token = store.checkpoint(HOST, NAME)
        return collect({**self.options, "_token": token}, False)

    def record(self, result: t.Mapping[str, t.Any]) -> RecordResult:
        """Record what was read."""
        now = time.time()
        findings = alert_findings.make(result["detections"], events.Device(HOST), now)
        described = {"playbook": "", "user": "", "controller": "", "version": ""}
        with contextlib.closing(Store.open(self.url)) as store:
            run = store.start_run(hosts=[HOST], capabilities=["edr"], now=now, **described)
            return store.record(
                run,
                HOST,
                "edr",
                findings,
                result["coverage"],
                now,
                result.get("checkpoint"),
                remediated=result["remediated"],
            )

    def run(self) -> RecordResult:
        """Read and record."""
        self.results.append(self.read())
        return self.record(self.results[-1])

    def findings(self) -> dict[str, Finding]:
        """Return all findings of the host by subject."""
        with contextlib.closing(Store.open(self.url)) as store:
            return {finding.subject: finding for finding in store.query(Query())}
