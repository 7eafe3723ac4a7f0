# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the actions that look at logs of both platforms share: the rules of the platform, and what its module takes."""

from __future__ import annotations

import typing as t

from ansible_collections.bulwark.servers.plugins.plugin_utils.actions.log_reading import LogReadingActionBase
from ansible_collections.bulwark.servers.plugins.plugin_utils.actions.module import Conversation
from ansible_collections.bulwark.servers.plugins.plugin_utils.actions.platform import PlatformActionBase
from ansible_collections.bulwark.servers.plugins.plugin_utils.audit import detections, windows_recording
from ansible_collections.bulwark.servers.plugins.plugin_utils.store import Simulation


class AuditLogActionBase(PlatformActionBase, LogReadingActionBase):
    """Choose rules and module by platform; the module of Windows gets what the host records."""

    capability = detections.CAPABILITY

    def module_arguments(self, arguments: dict[str, t.Any], task_vars: dict[str, t.Any]) -> dict[str, t.Any]:
        return self.without_others(super().module_arguments(arguments, task_vars))

    def simulations(self) -> t.Sequence[Simulation]:
        # The module of Windows is told of none.
        return () if self.is_windows() else super().simulations()

    def _known(self, host: str) -> dict[str, str]:
        return self.without_others(super()._known(host))

    def execute(self, arguments: dict[str, t.Any], task_vars: dict[str, t.Any]) -> Conversation:
        if self.is_windows() and not arguments.get("paths"):
            # Logs in files may be of another host.
            arguments = {**arguments, "_recording": (yield from windows_recording.read())}
        return (yield from super().execute(arguments, task_vars))
