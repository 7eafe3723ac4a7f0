# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Look at a host's sign-ins since the last recorded run, with the detections compiled on the controller."""

from __future__ import annotations

import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils.sign_ins.detect import SCOPE
from ansible_collections.bulwark.servers.plugins.module_utils.sign_ins.look import NAME
from ansible_collections.bulwark.servers.plugins.module_utils.sign_ins.options import look_spec
from ansible_collections.bulwark.servers.plugins.plugin_utils import detections
from ansible_collections.bulwark.servers.plugins.plugin_utils.checkpoint import ReadingActionBase


class ActionModule(ReadingActionBase):
    """Give the module the rules, and say which of them can't be used."""

    ARGUMENTS: t.ClassVar[t.Mapping[str, t.Any]] = {"argument_spec": look_spec()}
    READER = NAME
    capability = detections.CAPABILITY

    def module_arguments(self, arguments: dict[str, t.Any], task_vars: dict[str, t.Any]) -> dict[str, t.Any]:
        arguments = super().module_arguments(arguments, task_vars)
        content = detections.load(
            arguments.pop("rule_paths", None) or (),
            arguments.pop("threat_lists", None) or (),
            own_rules=arguments.pop("own_rules", True),
            sources=detections.SIGN_IN_SOURCES,
        )
        self._problems = list(content.problems)
        arguments["_content"] = content.payload
        return arguments

    def scopes(self, arguments: t.Mapping[str, t.Any]) -> t.Sequence[str]:
        return (SCOPE,)

    def run_module(self, arguments: dict[str, t.Any], task_vars: dict[str, t.Any]) -> dict[str, t.Any]:
        result = super().run_module(arguments, task_vars)
        return {**result, "rule_problems": self._problems} if "sign_ins" in result else result
