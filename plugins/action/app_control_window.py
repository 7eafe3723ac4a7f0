# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Open and close maintenance windows of hosts, and keep them in the store."""

from __future__ import annotations

import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils.app_control.enforcement.options import window_spec
from ansible_collections.bulwark.servers.plugins.plugin_utils.actions.actor import actor
from ansible_collections.bulwark.servers.plugins.plugin_utils.actions.host_steps import HostStepsActionBase
from ansible_collections.bulwark.servers.plugins.plugin_utils.app_control.windows import Windows
from ansible_collections.bulwark.servers.plugins.plugin_utils.store import StoreError


class ActionModule(HostStepsActionBase):
    """Note a window, have the host open it, and note what the host says."""

    ERRORS = (StoreError,)
    ARGUMENTS: t.ClassVar[t.Mapping[str, t.Any]] = window_spec()

    def act(self, options: dict[str, t.Any], task_vars: dict[str, t.Any]) -> dict[str, t.Any]:
        who = actor(options["by"], task_vars)
        windows = Windows(options["store"], self.host(task_vars), who, self._task.check_mode)
        arguments = {name: value for name, value in options.items() if name != "store"}
        arguments["by"] = who.name
        run = self.runner(task_vars)
        if options["state"] == "opened":
            # Before anything is noted: a host that is down has no window.
            self.reach(task_vars)
            return windows.open(run, arguments)
        return windows.close(run, arguments)
