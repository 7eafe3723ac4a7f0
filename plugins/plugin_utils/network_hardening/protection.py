# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Deploy the recorder of connections and the network rules on a host, or take them back."""

from __future__ import annotations

from ansible_collections.bulwark.servers.plugins.plugin_utils.protection.steps import Steps

_RECORDER = {
    "state": "network_hardening_recorder_state",
    "directions": "network_hardening_directions",
    "size": "network_hardening_size",
    "timeout_days": "network_hardening_timeout_days",
    "unrecorded_ports": "network_hardening_unrecorded_ports",
    "keep_days": "network_hardening_keep_days",
    "state_dir": "network_hardening_state_dir",
    "lock_timeout": "network_hardening_lock_timeout",
}
_RULES = {
    "state": "network_hardening_rules_state",
    "mode": "network_hardening_mode",
    "rules": "network_hardening_rules",
    "blocked": "network_hardening_blocked",
    "always_allow": "network_hardening_always_allow",
    "log": "network_hardening_log",
    "confirm_within": "network_hardening_confirm_within",
    "state_dir": "network_hardening_state_dir",
    "lock_timeout": "network_hardening_lock_timeout",
}


def protect(steps: Steps) -> None:
    """Deploy the recorder and the rules that the variables ask for, or remove them. Raises StepError."""
    has_directions = bool(steps.entries("network_hardening_directions"))
    has_rules = bool(steps.entries("network_hardening_rules") or steps.entries("network_hardening_blocked"))
    is_recorder_wanted = steps.value("network_hardening_recorder_state") == "present"
    are_rules_wanted = steps.value("network_hardening_rules_state") == "present"
    wanted = []
    if is_recorder_wanted and has_directions:
        wanted.append("the kernel would record who connects")
    if are_rules_wanted and has_rules:
        wanted.append("network rules would be in force")
    if wanted and not steps.has_tool("nft", "network_hardening", " and ".join(wanted)):
        return
    if has_directions or not is_recorder_wanted:
        _record(steps, is_recorder_wanted)
    if has_rules or not are_rules_wanted:
        _narrow(steps, are_rules_wanted)


def _record(steps: Steps, is_wanted: bool) -> None:
    result = steps.module(
        "traffic_recorder", _RECORDER, subject="The recorder of traffic", unless_empty=("directions", "state_dir")
    )
    if is_wanted:
        directions = " and ".join(steps.entries("network_hardening_directions"))
        steps.protected.append(f"The kernel {steps.would('would record', 'records')} who connects ({directions}).")
    elif result.get("changed"):
        steps.taken_back.append(f"The kernel {steps.would('would record', 'records')} no connections any more.")


def _narrow(steps: Steps, is_wanted: bool) -> None:
    result = steps.module("network_rules", _RULES, subject="The network rules", unless_empty=("state_dir",))
    verb = steps.would("would be", "are")
    if not is_wanted:
        if result.get("changed"):
            steps.taken_back.append(f"No network rules {verb} in force any more.")
        return
    rules = [each for each in steps.entries("network_hardening_rules") if isinstance(each, dict)]
    ports = ", ".join(str(each.get("port")) for each in rules) or "(none)"
    steps.protected.append(
        f"Network rules {verb} in force, in mode {steps.value('network_hardening_mode')}, for the ports {ports} and"
        f" {len(steps.entries('network_hardening_blocked'))} blocked sources."
    )
