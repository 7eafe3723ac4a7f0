# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ask a Windows host what it records, of all channels and paths that the collection knows."""

from __future__ import annotations

import typing as t

from ansible_collections.bulwark.servers.plugins.plugin_utils.actions.module import CapabilityActionBase
from ansible_collections.bulwark.servers.plugins.plugin_utils.audit import windows_policy


class ActionModule(CapabilityActionBase):
    """Add the channels and paths of all groups."""

    capability = "audit"
    ARGUMENTS: t.ClassVar[t.Mapping[str, t.Any]] = {"argument_spec": windows_policy.look_spec()}

    @classmethod
    def preload(cls) -> None:
        windows_policy.load()

    def module_arguments(self, arguments: dict[str, t.Any], task_vars: dict[str, t.Any]) -> dict[str, t.Any]:
        arguments = super().module_arguments(arguments, task_vars)
        return windows_policy.with_defaults(arguments)
