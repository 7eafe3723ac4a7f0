# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every simulation on the real kernel, with our audit rules and a real auditd: each alert comes, and no other."""

from __future__ import annotations

import os
import pathlib
import typing as t

import pytest
from ansible_collections.bulwark.servers.plugins.plugin_utils import catalogue, simulation_results, simulations

from tests.integration._simulation import Stage, staged

pytestmark = pytest.mark.requires("root", "command:auditd", "command:augenrules")


@pytest.fixture
def stage(tmp_path: pathlib.Path) -> t.Iterator[Stage]:
    with staged(tmp_path) as stage:
        yield stage


def test_every_simulated_alert_is_seen_alone_and_with_its_evidence(stage: Stage) -> None:
    before = _made()
    rows = stage.outcomes()
    matrix = "\n".join(simulation_results.lines(rows))
    assert [row.alert for row in rows if not row.good] == [], matrix
    skipped = {row.alert for row in rows if row.status == simulation_results.SKIPPED}
    # It asks modprobe, which needs a kernel with modules.
    assert skipped == ({"kernel_module_refused"} if not os.path.exists("/proc/modules") else set()), matrix
    assert _made() == before
    assert sorted(os.listdir(stage.state / "simulation")) == ["lock"]


def test_every_alert_has_a_simulation_or_says_why_it_has_none() -> None:
    alerts = {alert.id for alert in catalogue.load() if alert.capability == "audit"}
    simulated = simulations.load()
    assert alerts - set(simulated) == set()
    reasons = {alert: found.none for alert, found in simulated.items() if found.none is not None}
    assert [alert for alert, reason in reasons.items() if not reason.endswith(".") or len(reason) < 20] == []
    assert len(reasons) <= 28


def _made() -> list[str]:
    places = ("/etc", "/root", "/tmp", "/var/tmp", "/dev/shm", "/var/lib", "/usr/local")
    return [
        os.path.join(parent, name)
        for place in places
        for parent, directories, files in os.walk(place)
        for name in [*directories, *files]
        if "bulwark-simulation" in name
    ]
