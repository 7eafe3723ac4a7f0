# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Lock ports of a host until access is granted, or take the lock away."""

from __future__ import annotations

from ansible_collections.bulwark.servers.plugins.plugin_utils.protection.steps import Steps

_OPTIONS = {
    "state": "jit_access_state",
    "ports": "jit_access_ports",
    "always_allow": "jit_access_always_allow",
    "confirm_within": "jit_access_confirm_within",
    "state_dir": "jit_access_state_dir",
    "lock_timeout": "jit_access_lock_timeout",
}


def protect(steps: Steps) -> None:
    """Lock the ports of ``jit_access_ports``, or take the lock away. Raises StepError."""
    is_wanted = steps.value("jit_access_state") == "present"
    wanted = steps.entries("jit_access_ports")
    if is_wanted and not wanted:
        return
    ports = ", ".join(str(each.get("port")) for each in wanted if isinstance(each, dict))
    is_one = ports.isdigit()  # not a range or a list
    subject = f"{'port' if is_one else 'ports'} {ports}"
    if is_wanted and not steps.has_tool("nft", "jit_access", f"the {subject} would be locked"):
        return
    result = steps.module("jit_access", _OPTIONS, subject="The lock of the ports", unless_empty=("state_dir",))
    if is_wanted:
        verb = steps.would("would be", "is" if is_one else "are")
        steps.protected.append(f"The {subject} {verb} locked until access is granted.")
    elif result.get("changed"):
        steps.taken_back.append(f"No port {steps.would('would be', 'is')} locked any more.")
