# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Give a Windows host the settings of the groups that are chosen for it."""

from __future__ import annotations

import typing as t

from ansible_collections.bulwark.servers.plugins.plugin_utils.actions.module import CapabilityActionBase
from ansible_collections.bulwark.servers.plugins.plugin_utils.audit import windows_policy


class ActionModule(CapabilityActionBase):
    """Resolve the names of groups to their settings."""

    capability = "audit"
    ARGUMENTS: t.ClassVar[t.Mapping[str, t.Any]] = {"argument_spec": windows_policy.apply_spec()}

    @classmethod
    def preload(cls) -> None:
        windows_policy.load()

    def module_arguments(self, arguments: dict[str, t.Any], task_vars: dict[str, t.Any]) -> dict[str, t.Any]:
        arguments = super().module_arguments(arguments, task_vars)
        chosen = (arguments.pop(name, None) for name in ("groups", "extra_groups", "disabled_groups"))
        arguments["_groups"] = windows_policy.chosen_groups(*chosen)
        return arguments

    def scopes(self, arguments: t.Mapping[str, t.Any]) -> t.Sequence[str]:
        return ("audit_policy",)
