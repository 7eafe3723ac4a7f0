# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ask a host for the facts that name its platform, and let it set no other variable."""

from __future__ import annotations

import typing as t

from ansible.utils.unsafe_proxy import wrap_var
from ansible_collections.bulwark.servers.plugins.plugin_utils import windows_platform
from ansible_collections.bulwark.servers.plugins.plugin_utils.actions import windows
from ansible_collections.bulwark.servers.plugins.plugin_utils.actions.result import SanitizingActionBase, sanitize
from ansible_collections.bulwark.servers.plugins.plugin_utils.ocsf.host import platform_facts

_SUBSET = ("!all", "min", "network")


class ActionModule(SanitizingActionBase):
    """Run ansible-core's own module, or this collection's on Windows, and keep the facts that were asked for."""

    TRANSFERS_FILES = False
    _supports_check_mode = True

    def run(self, tmp: t.Any = None, task_vars: dict[str, t.Any] | None = None) -> dict[str, t.Any]:
        result: dict[str, t.Any] = super().run(tmp, task_vars)
        del tmp
        self.validate_argument_spec(argument_spec={})
        is_windows = windows.is_windows(self._connection._shell)
        if is_windows:
            # ansible-core has no module for Windows, only a redirect to the collection ansible.windows.
            output = self._execute_module(
                module_name="bulwark.servers.win_platform_facts", module_args={}, task_vars=task_vars
            )
        else:
            output = self._execute_module(
                module_name="ansible.legacy.setup", module_args={"gather_subset": list(_SUBSET)}, task_vars=task_vars
            )
        result.update(sanitize(output))
        result["ansible_facts"] = platform_facts(output.get("ansible_facts"))
        result.pop("windows", None)
        if is_windows and not result.get("failed"):
            result["windows"] = windows_platform.read(output.get("windows"))
        if self._discovered_interpreter_key:
            # Found by the controller, which would look for it again at each task.
            result["ansible_facts"][self._discovered_interpreter_key] = self._discovered_interpreter
        return t.cast("dict[str, t.Any]", wrap_var(result))
