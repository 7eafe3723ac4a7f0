# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Give the host the audit rules of the groups that are chosen for it."""

from __future__ import annotations

import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils.audit.rules.options import apply_spec
from ansible_collections.bulwark.servers.plugins.plugin_utils.actions.module import CapabilityActionBase, Entry
from ansible_collections.bulwark.servers.plugins.plugin_utils.audit import rule_groups as content


class ActionModule(CapabilityActionBase):
    """Resolve the names of groups to their rules, which the host compiles."""

    capability = "audit"
    ARGUMENTS: t.ClassVar[t.Mapping[str, t.Any]] = {"argument_spec": apply_spec()}
    ENTRY = Entry("audit.rules.apply:apply", apply_spec)

    @classmethod
    def preload(cls) -> None:
        content.load()

    def module_arguments(self, arguments: dict[str, t.Any], task_vars: dict[str, t.Any]) -> dict[str, t.Any]:
        arguments = super().module_arguments(arguments, task_vars)
        chosen = (arguments.pop(name, None) for name in ("groups", "extra_groups", "disabled_groups"))
        arguments["_groups"] = content.chosen_groups(*chosen)
        return arguments

    def scopes(self, arguments: t.Mapping[str, t.Any]) -> t.Sequence[str]:
        return ("deployed_rules",)
