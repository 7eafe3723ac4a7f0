# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The action plugin that every capability's own is made of: content in, module, findings out."""

from __future__ import annotations

import time
import typing as t

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase
from ansible.utils.unsafe_proxy import wrap_var
from ansible_collections.bulwark.servers.plugins.plugin_utils import catalogue, ocsf


class CapabilityActionBase(ActionBase):  # type: ignore[misc]
    """Run the module of the same name on the target and turn its detections into findings.

    A capability's action sets ``capability`` and, where it has something to add, overrides
    ``module_arguments`` (content compiled for the target, what the controller knows of the host) and
    ``finish`` (what the controller keeps of the result). Nothing else differs between capabilities.
    """

    TRANSFERS_FILES = False
    _supports_async = False

    capability: t.ClassVar[str]

    def module_arguments(self, arguments: dict[str, t.Any], task_vars: dict[str, t.Any]) -> dict[str, t.Any]:
        """Return the arguments for the module on the target; raise AnsibleActionFail for bad input."""
        return arguments

    def finish(self, result: dict[str, t.Any], task_vars: dict[str, t.Any]) -> dict[str, t.Any]:
        """Return the result after what the controller does with it, before it is marked unsafe."""
        return result

    def run(self, tmp: t.Any = None, task_vars: dict[str, t.Any] | None = None) -> dict[str, t.Any]:
        task_vars = task_vars or {}
        result: dict[str, t.Any] = super().run(tmp, task_vars)
        del tmp
        arguments = self.module_arguments(dict(self._task.args), task_vars)
        result.update(self.execute(arguments, task_vars))
        if not result.get("failed"):
            result = self.finish(result, task_vars)
        if "detections" in result:
            result["findings"] = self._findings(result.pop("detections"), task_vars)
        return t.cast("dict[str, t.Any]", wrap_var(result))

    def execute(self, arguments: dict[str, t.Any], task_vars: dict[str, t.Any]) -> dict[str, t.Any]:
        """Run this action's module on the target once."""
        return t.cast(
            "dict[str, t.Any]",
            self._execute_module(module_name=self._task.action, module_args=arguments, task_vars=task_vars),
        )

    def _findings(self, detections: list[dict[str, t.Any]], task_vars: dict[str, t.Any]) -> list[dict[str, t.Any]]:
        host = ocsf.Host.from_vars(task_vars)
        try:
            alerts = catalogue.load()
            return [ocsf.finding(detection, alerts, host, time.time()) for detection in detections]
        except catalogue.ContentError as error:
            raise AnsibleActionFail(str(error)) from error
