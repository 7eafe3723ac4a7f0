# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Summarize for all hosts what was deployed on them."""

from __future__ import annotations

import typing as t

from ansible.plugins.action import ActionBase
from ansible.utils.display import Display
from ansible_collections.bulwark.servers.plugins.plugin_utils.protection import summary

# Variables with the sentences of roles' tasks, by their names in the result of host_protect.
_NOTED = {
    "protected": "bulwark_protected",
    "taken_back": "bulwark_taken_back",
    "unprotected": "bulwark_unprotected",
}


class ActionModule(ActionBase):  # type: ignore[misc]  # Ansible ships no type information
    """Read the results of all hosts, and group hosts with the same result."""

    TRANSFERS_FILES = False
    _requires_connection = False
    _supports_check_mode = True

    def run(self, tmp: t.Any = None, task_vars: dict[str, t.Any] | None = None) -> dict[str, t.Any]:
        result: dict[str, t.Any] = super().run(tmp, task_vars)
        del tmp
        _validated, options = self.validate_argument_spec(
            argument_spec={
                "hosts": {"type": "list", "elements": "str", "required": True},
                "variable": {"type": "str", "required": True},
            }
        )
        hostvars = (task_vars or {})["hostvars"]
        results = {host: _result(hostvars[host], options["variable"]) for host in options["hosts"]}
        lines = summary.lines(results)
        is_changed = any(each.get("differences") for each in results.values())
        if self._task.diff and is_changed:
            difference = summary.difference(results, is_full=Display().verbosity > 0)
            result.update(changed=True, diff={"prepared": difference})
        return {
            **result,
            "msg": lines or ["Nothing is deployed on these hosts, as no variable asks for anything."],
            "unprotected": sum(bool(each["unprotected"]) for each in results.values()),
            "_ansible_verbose_always": True,
        }


def _result(variables: t.Mapping[str, t.Any], name: str) -> dict[str, t.Any]:
    """Return the result of a host with the sentences of roles' tasks; only these if the host has no result."""
    registered = variables.get(name)
    result = dict(registered) if isinstance(registered, dict) else {}
    for key, variable in _NOTED.items():
        result[key] = [*(result.get(key) or []), *(variables.get(variable) or [])]
    return result
