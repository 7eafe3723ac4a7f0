# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Deploy the protection of the capabilities on a host."""

from __future__ import annotations

import typing as t

from ansible.errors import AnsibleActionFail, AnsibleConnectionFailure, AnsibleError
from ansible.utils.unsafe_proxy import wrap_var
from ansible_collections.bulwark.servers.plugins.plugin_utils import capabilities, misspelt
from ansible_collections.bulwark.servers.plugins.plugin_utils.actions import inner, known_names
from ansible_collections.bulwark.servers.plugins.plugin_utils.actions.result import SanitizingActionBase, sanitize
from ansible_collections.bulwark.servers.plugins.plugin_utils.protection import deploying
from ansible_collections.bulwark.servers.plugins.plugin_utils.protection.steps import StepError, Steps
from ansible_collections.bulwark.servers.plugins.plugin_utils.scan.variables import RoleVariables

_SENTENCES = ("protected", "taken_back", "unprotected")


class ActionModule(SanitizingActionBase):
    """Deploy one capability after the other, by the actions that tasks of a role would use."""

    TRANSFERS_FILES = False
    _supports_check_mode = True
    _supports_async = False

    ARGUMENTS: t.ClassVar[t.Mapping[str, t.Any]] = {"capabilities": {"type": "list", "elements": "str"}}

    def run(self, tmp: t.Any = None, task_vars: dict[str, t.Any] | None = None) -> dict[str, t.Any]:
        result: dict[str, t.Any] = super().run(tmp, task_vars)
        del tmp
        _validated, options = self.validate_argument_spec(argument_spec=self.ARGUMENTS)
        chosen = _chosen(options["capabilities"])
        result.update(self._protect(chosen, dict(task_vars or {})))
        return t.cast("dict[str, t.Any]", wrap_var(result))

    def _protect(self, chosen: t.Sequence[str], task_vars: dict[str, t.Any]) -> dict[str, t.Any]:
        result: dict[str, t.Any] = {"changed": False, "by_role": [], "differences": [], "warnings": []}
        result.update((name, []) for name in _SENTENCES)
        task_vars = self._with_facts(task_vars, result)
        system = str(task_vars["ansible_facts"].get("system") or "")
        known = capabilities.chosen("protect", system)
        wanted = [name for name in chosen if name in known]
        if not wanted:
            unnamed = f"the platform {system or 'that the host does not name'}"
            platform = "Windows" if capabilities.platform_of(system) == "windows" else unnamed
            result["unprotected"].append(f"Nothing can be deployed on {platform}.")
        try:
            for name in wanted:
                self._deploy(name, task_vars, result)
        except StepError as error:
            result.update(failed=True, msg=str(error))
        return {name: value for name, value in result.items() if value or name == "changed"}

    def _deploy(self, name: str, task_vars: dict[str, t.Any], result: dict[str, t.Any]) -> None:
        """Deploy one capability and add its sentences, differences and warnings to the result."""
        capability = capabilities.load()[name]
        variables = RoleVariables(name, task_vars, self._templar)
        try:
            problems = variables.problems(capability.checked_by_module) + misspelt.of_role(task_vars, name)
        except AnsibleError as error:
            raise StepError(str(error.message)) from None
        if problems:
            raise StepError(" ".join(problems))
        platform = capabilities.platform_of(str(task_vars["ansible_facts"].get("system") or ""))
        steps = Steps(name, variables, self._runner(task_vars), is_check=bool(self._task.check_mode), platform=platform)
        try:
            deploying.deploy(capability, steps)
        finally:
            for key in _SENTENCES:
                result[key] += getattr(steps, key)
            result["changed"] |= steps.changed
            result["differences"] += steps.differences if self._task.diff else []
            result["warnings"] += [warning for warning in steps.warnings if warning not in result["warnings"]]
            if steps.by_role:
                result["by_role"].append(name)

    def _runner(self, task_vars: dict[str, t.Any]) -> t.Callable[[str, dict[str, t.Any], bool], dict[str, t.Any]]:
        def run(name: str, options: dict[str, t.Any], is_check: bool) -> dict[str, t.Any]:
            action = inner.make(self, name, options, is_check=is_check)
            try:
                if action is None:
                    module = self._execute_module(module_name=name, module_args=options, task_vars=task_vars)
                    return sanitize(module)
                return t.cast("dict[str, t.Any]", action.run(task_vars=task_vars))
            except AnsibleConnectionFailure:
                raise
            except AnsibleActionFail as error:
                return {"failed": True, "msg": error.message}

        return run

    def _with_facts(self, task_vars: dict[str, t.Any], result: dict[str, t.Any]) -> dict[str, t.Any]:
        """Return the variables with the facts about the platform, and put these into the result for later tasks."""
        given = task_vars.get("ansible_facts")
        given = given if isinstance(given, dict) else {}
        if given.get("system"):
            return task_vars
        action = inner.make(self, "bulwark.servers.platform_facts", {})
        facts = action.run(task_vars=task_vars)["ansible_facts"]
        result["ansible_facts"] = facts
        named = {name.removeprefix("ansible_"): value for name, value in facts.items()}
        return {**task_vars, **facts, "ansible_facts": {**given, **named}}


def _chosen(wanted: t.Sequence[str] | None) -> tuple[str, ...]:
    """Return the wanted capabilities; raise AnsibleActionFail if none of them deploys anything on hosts."""
    try:
        chosen = known_names.choose_capabilities(wanted) if wanted or wanted is None else ()
    except known_names.UnknownNameError as error:
        raise AnsibleActionFail(str(error)) from None
    deployed = capabilities.chosen("protect")
    if not set(chosen) & set(deployed):
        raise AnsibleActionFail(
            "bulwark_capabilities selects nothing that can be deployed on hosts; choose from"
            f" {', '.join(deployed)}, or leave it out."
        )
    return chosen
