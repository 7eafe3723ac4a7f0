# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Open or close ports of a host for somebody."""

from __future__ import annotations

import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils.jit_access.options import grant_spec
from ansible_collections.bulwark.servers.plugins.plugin_utils.actions.module import CapabilityActionBase
from ansible_collections.bulwark.servers.plugins.plugin_utils.actions.store import person


class ActionModule(CapabilityActionBase):
    """Fill in who asks, and who closes."""

    capability = "jit_access"
    ARGUMENTS: t.ClassVar[t.Mapping[str, t.Any]] = {"argument_spec": grant_spec()}

    def module_arguments(self, arguments: dict[str, t.Any], task_vars: dict[str, t.Any]) -> dict[str, t.Any]:
        arguments = super().module_arguments(arguments, task_vars)
        if arguments.get("state", "open") == "open":
            arguments["requested_by"] = arguments.get("requested_by") or person(task_vars)
            arguments["for_whom"] = arguments.get("for_whom") or arguments["requested_by"]
        else:
            arguments["closed_by"] = arguments.get("closed_by") or person(task_vars)
        return arguments
