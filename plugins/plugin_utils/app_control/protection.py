# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Have fapolicyd enforce the allowlists of a host, or take that back."""

from __future__ import annotations

import typing as t

from ansible_collections.bulwark.servers.plugins.plugin_utils.protection.steps import Steps
from ansible_collections.bulwark.servers.plugins.plugin_utils.report.shown import listed

_OPTIONS = {
    "mode": "app_control_mode",
    "allowlists": "app_control_allowlists",
    "roles": "app_control_roles",
    "confirm_within": "app_control_confirm_within",
    "restart_services": "app_control_restart_services",
    "blocked": "app_control_blocked",
    "file_systems": "app_control_file_systems",
    "watcher": "app_control_watcher",
    "minimum_days": "app_control_minimum_days",
    "state_dir": "app_control_state_dir",
    "store": "bulwark_store",
    "lock_timeout": "app_control_lock_timeout",
}
_NAMED = 3


def protect(steps: Steps) -> None:
    """Bring the host into ``app_control_mode``. Raises StepError."""
    mode = steps.value("app_control_mode")
    if mode != "audit" and steps.flag("app_control_install") and _is_missing(steps):
        if steps.is_check:
            _preview(steps, mode)
            return
        steps.install("app_control_packages")
    result = steps.module(
        "app_control", _OPTIONS, subject="The allowlist", unless_empty=("allowlists", "state_dir", "store")
    )
    if result.get("reason"):
        steps.unprotected.append(str(result["reason"]))
    if "rules" in result:
        steps.protected.append(_enforced(result, mode, steps.would("would be", "is") if result["changed"] else "is"))
    if mode == "audit" and result["changed"]:
        steps.taken_back.append(f"No allowlist {steps.would('would be', 'is')} enforced any more.")


def _is_missing(steps: Steps) -> bool:
    # Without systemd this is a container, in which fapolicyd has no effect.
    return steps.exists("/run/systemd/system") and not steps.has_program("fapolicyd")


def _preview(steps: Steps, mode: str) -> None:
    """Announce in check mode the deployment on a host without fapolicyd."""
    packages = steps.packages("app_control_packages")
    problem = steps.why_not_installable("app_control_packages")
    if problem is not None:
        steps.unprotected.append(
            f"fapolicyd is missing, and check mode can't tell that {packages} can be installed: {problem}."
        )
        return
    steps.changed = True
    steps.protected.append(
        f"{packages} would be installed, and then an allowlist would be in force by it, in mode {mode}."
    )


def _enforced(result: t.Mapping[str, t.Any], mode: str, verb: str) -> str:
    parts = [
        (
            f"An allowlist {verb} in force by fapolicyd, in mode {mode}, with {result['rules']} rules and"
            f" {result['trusted']} trusted files"
        )
    ]
    left_out = [str(each.get("what")) for each in result.get("unexpressed") or []]
    if left_out:
        parts.append(f"not enforced, as fapolicyd cannot: {listed(left_out, _NAMED)}")
    if result.get("conflicts"):
        parts.append(f"{len(result['conflicts'])} rules of others are in conflict with it")
    return "; ".join(parts) + "."
