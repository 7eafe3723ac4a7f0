# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Simulate attacks on a host: give it the harmless steps of the alerts that are asked for."""

from __future__ import annotations

import typing as t

from ansible.module_utils.common.validation import check_type_list
from ansible_collections.bulwark.servers.plugins.module_utils.simulation.options import apply_spec
from ansible_collections.bulwark.servers.plugins.plugin_utils import catalogue
from ansible_collections.bulwark.servers.plugins.plugin_utils.actions.module import CapabilityActionBase, Conversation
from ansible_collections.bulwark.servers.plugins.plugin_utils.simulation import content


class ActionModule(CapabilityActionBase):
    """Resolve the names of alerts to the steps that simulate them."""

    capability = "simulation"
    ARGUMENTS: t.ClassVar[t.Mapping[str, t.Any]] = {"argument_spec": apply_spec()}

    def module_arguments(self, arguments: dict[str, t.Any], task_vars: dict[str, t.Any]) -> dict[str, t.Any]:
        arguments = super().module_arguments(arguments, task_vars)
        asked = arguments.pop("alerts", None)
        chosen = content.chosen(None if asked is None else [str(name) for name in check_type_list(asked)])
        done = [simulation for simulation in chosen if simulation.none is None]
        self._capabilities = sorted({catalogue.load().alert(simulation.alert).capability for simulation in done})
        arguments["_simulations"] = [simulation.steps for simulation in done]
        return arguments

    def run_module(self, arguments: dict[str, t.Any], task_vars: dict[str, t.Any]) -> Conversation:
        answer = yield from super().run_module(arguments, task_vars)
        return {**answer, "capabilities": self._capabilities}
