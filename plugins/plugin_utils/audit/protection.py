# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Deploy audit rules and the audit daemon on Linux, the audit policy on Windows, or take rules and policy back."""

from __future__ import annotations

import typing as t

from ansible_collections.bulwark.servers.plugins.plugin_utils.protection.steps import Steps
from ansible_collections.bulwark.servers.plugins.plugin_utils.report.shown import listed

_SUBJECT = "The audit rules"
_OPTIONS = {
    "state": "audit_rules_state",
    "groups": "audit_groups",
    "extra_groups": "audit_extra_groups",
    "disabled_groups": "audit_disabled_groups",
    "rules": "audit_rules",
    "automation_users": "audit_automation_users",
    "exclude_programs": "audit_exclude_programs",
    "backlog_limit": "audit_backlog_limit",
    "backlog_wait_time": "audit_backlog_wait_time",
    "rules_file": "audit_rules_file",
    "state_dir": "audit_state_dir",
    "lock_timeout": "audit_lock_timeout",
}
_UNLESS_EMPTY = ("groups", "state_dir")
_POLICY = "The audit policy"
_POLICY_OPTIONS = {
    "state": "audit_rules_state",
    "groups": "audit_groups",
    "extra_groups": "audit_extra_groups",
    "disabled_groups": "audit_disabled_groups",
    "subcategories": "audit_policy_subcategories",
    "channels": "audit_policy_channels",
    "paths": "audit_policy_paths",
    "state_dir": "audit_state_dir",
    "lock_timeout": "audit_lock_timeout",
}
_NAMED = 3


def protect(steps: Steps) -> None:
    """Deploy what a host records, or take it back. Raises StepError."""
    if steps.platform == "windows":
        _protect_windows(steps)
    else:
        _protect_linux(steps)


def _protect_windows(steps: Steps) -> None:
    deployed = steps.module("win_audit_policy", _POLICY_OPTIONS, subject=_POLICY, unless_empty=_UNLESS_EMPTY)
    changed = len(deployed["changes"])
    were = steps.would("would be", "were")
    if steps.value("audit_rules_state") == "present":
        parts = [f"{deployed['settings_count']} settings of the audit policy are wanted, {changed} {were} changed"]
        parts += _named("not deployed", deployed["not_deployed"])
        steps.protected.append("; ".join(parts) + ".")
    elif deployed["changed"]:
        parts = [f"{changed} settings of the audit policy {were} taken back", *_named("left", deployed["left"])]
        steps.taken_back.append("; ".join(parts) + ".")


def _named(title: str, rows: t.Sequence[t.Mapping[str, t.Any]]) -> list[str]:
    """Return the settings that are not as they should be, as part of a sentence; an empty list for none."""
    shown = [f"{row['subject']} ({row['reason']})" for row in rows]
    return [f"{title}: {listed(shown, _NAMED)}"] if shown else []


def _protect_linux(steps: Steps) -> None:
    # Compare before anything is installed, because a container has no audit system of its own.
    compared = steps.module("audit_rules", _OPTIONS, subject=_SUBJECT, unless_empty=_UNLESS_EMPTY, compare=True)
    if "status" not in compared:
        steps.unprotected += [str(entry.get("reason")) for entry in compared.get("coverage", [])[:1]]
        return
    is_wanted = steps.value("audit_rules_state") == "present"
    daemon = _daemon(steps) if is_wanted and steps.flag("audit_install") and compared["status"]["pid"] == 0 else ""
    deployed = steps.module("audit_rules", _OPTIONS, subject=_SUBJECT, unless_empty=_UNLESS_EMPTY)
    if is_wanted:
        steps.protected.append(_deployed(deployed, daemon, steps.would("would be", "were")))
    elif deployed["changed"]:
        count = len(deployed["removed"])
        steps.taken_back.append(f"{count} audit rules {steps.would('would be', 'were')} removed.")


def _daemon(steps: Steps) -> str:
    """Install the daemon if it is missing, start it, and return what was done."""
    is_installed = steps.has_program("auditd")
    if steps.is_check and not is_installed:
        return "auditd would be installed and started"
    if not is_installed:
        steps.install("audit_packages")
    started = steps.start("auditd")
    if not is_installed:
        return "auditd was installed"
    return f"auditd {steps.would('would be', 'was')} started" if started else ""


def _deployed(deployed: t.Mapping[str, t.Any], daemon: str, were: str) -> str:
    parts = [
        (
            f"{deployed['rules_count']} audit rules are wanted, {len(deployed['added'])} {were} loaded and"
            f" {len(deployed['removed'])} removed"
        )
    ]
    if deployed.get("reboot_required"):
        parts.append("the rules are immutable and change when the host is booted")
    is_running = deployed["status"].get("pid", 0) > 0
    parts.append(daemon or ("auditd is running" if is_running else "no auditd is running"))
    wrong = [": ".join(map(str, each.values())) for each in [*deployed["not_deployed"], *deployed["conflicts"]]]
    if wrong:
        parts.append(f"not as it should be: {listed(wrong, _NAMED)}")
    return "; ".join(parts) + "."
