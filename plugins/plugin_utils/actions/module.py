# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The action plugin that every capability's own is made of: content in, module, findings out."""

from __future__ import annotations

import time
import typing as t

from ansible.errors import AnsibleActionFail
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible.module_utils.errors import UnsupportedError
from ansible.utils.unsafe_proxy import wrap_var
from ansible_collections.bulwark.servers.plugins.plugin_utils import catalogue
from ansible_collections.bulwark.servers.plugins.plugin_utils.actions.result import SanitizingActionBase, sanitize
from ansible_collections.bulwark.servers.plugins.plugin_utils.ocsf import events
from ansible_collections.bulwark.servers.plugins.plugin_utils.store import coverage


class CapabilityActionBase(SanitizingActionBase):
    """Run the module of the same name on the target and turn its detections into findings.

    A capability's action sets ``capability`` and ``ARGUMENTS``, what ``ArgumentSpecValidator`` takes, and where it has
    something to add overrides ``module_arguments`` (content compiled for the target, what the controller knows of the
    host), ``scopes`` (what it then has to say how far it looked at) and ``run_module`` (how often the module runs, what
    the controller keeps of it). Nothing else differs.

    A failed result with ``usage_error`` is about an option or content, not about the host.
    """

    TRANSFERS_FILES = False
    _supports_async = False

    ARGUMENTS: t.ClassVar[t.Mapping[str, t.Any]]
    capability: t.ClassVar[str]

    def module_arguments(self, arguments: dict[str, t.Any], task_vars: dict[str, t.Any]) -> dict[str, t.Any]:
        """Return the arguments for the module on the target; raise ContentError for bad input."""
        return arguments

    def scopes(self, arguments: t.Mapping[str, t.Any]) -> t.Sequence[str]:
        """Return the coverage scopes that the module's answer must have with these arguments, as far as is known."""
        return ()

    def run_module(self, arguments: dict[str, t.Any], task_vars: dict[str, t.Any]) -> dict[str, t.Any]:
        """Return the module's result, before its detections become findings."""
        return self.execute(arguments, task_vars)

    def run(self, tmp: t.Any = None, task_vars: dict[str, t.Any] | None = None) -> dict[str, t.Any]:
        task_vars = task_vars or {}
        result: dict[str, t.Any] = super().run(tmp, task_vars)
        del tmp
        problem = self._wrong_option()
        if problem is None:
            try:
                arguments = self.module_arguments(dict(self._task.args), task_vars)
            except catalogue.ContentError as error:
                problem = str(error)
        if problem is not None:
            return {**result, "failed": True, "msg": problem, "usage_error": True, "capability": self.capability}
        output = self.run_module(arguments, task_vars)
        result.update(sanitize(output))
        result["capability"] = self.capability
        if "detections" in result:
            result["findings"] = self._findings(result.pop("detections"), task_vars)
        if "coverage" in result:
            result["coverage"] = coverage.checked(result["coverage"], self.capability, self.scopes(arguments))
        return t.cast("dict[str, t.Any]", wrap_var(result))

    def execute(self, arguments: dict[str, t.Any], task_vars: dict[str, t.Any]) -> dict[str, t.Any]:
        """Run this action's module on the target once."""
        return t.cast(
            "dict[str, t.Any]",
            self._execute_module(module_name=self._task.action, module_args=arguments, task_vars=task_vars),
        )

    def _wrong_option(self) -> str | None:
        """Return what is wrong with the options, None when nothing is.

        The module would say the same, but not that it is the options that are wrong, and on each host.
        """
        problems = ArgumentSpecValidator(**self.ARGUMENTS).validate(self._task.args).errors
        if not problems.errors:
            return None
        unsupported = f"Unsupported parameters for {self._task.action}: "
        return f"{unsupported if isinstance(problems[0], UnsupportedError) else ''}{problems.msg}"

    def _findings(self, detections: t.Any, task_vars: dict[str, t.Any]) -> list[dict[str, t.Any]]:
        host = events.Device.from_vars(self.host_vars(task_vars))
        try:
            return events.findings(detections, catalogue.load(), host, time.time())
        except events.DetectionError as error:
            raise AnsibleActionFail(
                f"the host's answer is invalid and nothing of it was used, so look into the host: {error}"
            ) from None
        except catalogue.ContentError as error:
            raise AnsibleActionFail(str(error)) from None

    def host_vars(self, task_vars: dict[str, t.Any]) -> t.Mapping[str, t.Any]:
        """Return the variables of the host that the module runs on, which delegation makes another one."""
        delegate = self._task.delegate_to
        return t.cast("t.Mapping[str, t.Any]", task_vars["hostvars"][delegate]) if delegate else task_vars
