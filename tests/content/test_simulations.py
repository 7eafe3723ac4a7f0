# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every alert of a capability that simulates has a simulation, or says why it has none."""

from __future__ import annotations

import ipaddress
import json
import re

import pytest
from ansible_collections.bulwark.servers.plugins.module_utils.simulation import apply
from ansible_collections.bulwark.servers.plugins.modules.attack_simulation import HOOKS
from ansible_collections.bulwark.servers.plugins.plugin_utils import capabilities, catalogue
from ansible_collections.bulwark.servers.plugins.plugin_utils.simulation import content

# Of what is looked at as it is, rather than in a log, these alone can't be simulated.
_NONE = {
    "app_allowed_program_stopped",
    "app_allowlist_missing",
    "app_allowlist_outdated",
    "app_changed_program",
    "app_enforcement_changed",
    "app_enforcement_drift",
    "app_enforcement_interrupted",
    "app_enforcement_missing",
    "app_enforcement_not_at_boot",
    "app_enforcement_off",
    "app_foreign_trust",
    "app_mount_without_noexec",
    "app_state_tampered",
    "app_unapproved_library",
    "jit_altered_grant",
    "jit_policy_missing",
    "jit_unrecorded_grant",
    "network_rules_missing",
    "network_port_unused",
    "network_port_open_to_world",
    "process_new_listener",
    "process_new_privileged",
}


@pytest.mark.parametrize("platform", [content.LINUX, content.WINDOWS])
def test_every_alert_has_a_simulation_or_says_why_it_has_none(platform: str) -> None:
    simulating = capabilities.chosen("simulate", platform)
    alerts = {alert.id for alert in catalogue.load() if alert.capability in simulating and platform in alert.platforms}
    assert alerts
    assert alerts - set(content.load(platform)) == set()


def test_a_reason_is_a_sentence_and_few_alerts_have_one() -> None:
    reasons = {alert: found.none for alert, found in content.load().items() if found.none is not None}
    assert [alert for alert, reason in reasons.items() if not reason.endswith(".") or len(reason) < 20] == []
    audit = {alert for alert in reasons if catalogue.load().alert(alert).capability == "audit"}
    # A capability that judges states has nothing that a simulation could do.
    states = {
        alert for alert in reasons if catalogue.load().alert(alert).capability not in capabilities.chosen("simulate")
    }
    assert set(reasons) - audit - states == _NONE
    assert len(audit) <= 29


def test_what_is_visited_has_a_hook_of_a_capability_that_simulates() -> None:
    visited = {name for found in content.load().values() for name in found.steps.get("visits", [])}
    assert visited == set(HOOKS)
    assert {hook.capability for hook in HOOKS.values()} <= set(capabilities.chosen("simulate"))


def test_no_scenario_names_an_address_that_another_simulation_is_known_by() -> None:
    texts = [json.dumps(found.steps) for found in content.load().values()]
    addresses = {address for text in texts for address in re.findall(r"\d+\.\d+\.\d+\.\d+", text)}
    assert addresses
    assert {address for address in addresses if ipaddress.ip_address(address) in apply.NETWORK} == set()
