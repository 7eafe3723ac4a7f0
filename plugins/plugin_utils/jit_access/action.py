# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The base of the actions that open and close: they work with the store, and run modules on the host."""

from __future__ import annotations

import dataclasses
import typing as t

from ansible.errors import AnsibleActionFail, AnsibleConnectionFailure
from ansible.utils.unsafe_proxy import wrap_var
from ansible_collections.bulwark.servers.plugins.plugin_utils.actions.actor import actor
from ansible_collections.bulwark.servers.plugins.plugin_utils.actions.result import ModuleActionBase, sanitize
from ansible_collections.bulwark.servers.plugins.plugin_utils.jit_access import host as hosts
from ansible_collections.bulwark.servers.plugins.plugin_utils.jit_access import requests as jit_requests
from ansible_collections.bulwark.servers.plugins.plugin_utils.jit_access.desk import Outcome
from ansible_collections.bulwark.servers.plugins.plugin_utils.jit_access.steps import StepError
from ansible_collections.bulwark.servers.plugins.plugin_utils.ocsf.host import host_name
from ansible_collections.bulwark.servers.plugins.plugin_utils.store import JitActor, StoreError


class JitActionBase(ModuleActionBase):
    """An action sets ``ARGUMENTS``, and ``act`` returns its result."""

    TRANSFERS_FILES = False
    ARGUMENTS: t.ClassVar[t.Mapping[str, t.Any]]
    _supports_check_mode = True
    _supports_async = False

    def act(self, options: dict[str, t.Any], task_vars: dict[str, t.Any]) -> dict[str, t.Any]:
        """Return the result; raise StepError, StoreError or RequestError for what cannot be done."""
        raise NotImplementedError

    def run(self, tmp: t.Any = None, task_vars: dict[str, t.Any] | None = None) -> dict[str, t.Any]:
        result: dict[str, t.Any] = super().run(tmp, task_vars)
        del tmp
        _validated, options = self.validate_argument_spec(argument_spec=self.ARGUMENTS)
        try:
            result.update(self.act(options, task_vars or {}))
        except (StepError, StoreError, jit_requests.RequestError) as error:
            # Ansible repeats in its message that of every error which led to it; this one says it all.
            raise AnsibleActionFail(str(error)) from None
        return t.cast("dict[str, t.Any]", wrap_var(result))

    def host(self, task_vars: t.Mapping[str, t.Any]) -> str:
        """Return the inventory name of the host whose ports this is about."""
        return host_name(self._task.delegate_to or task_vars["inventory_hostname"])

    def person(self, options: t.Mapping[str, t.Any], task_vars: t.Mapping[str, t.Any]) -> JitActor:
        """Return who runs this."""
        return jit_requests.person(actor(options["by"], task_vars))

    def reach(self, task_vars: dict[str, t.Any]) -> None:
        """Raise AnsibleConnectionFailure where the host cannot be reached, AnsibleActionFail where it runs nothing."""
        result = sanitize(self._execute_module(module_name="ansible.legacy.ping", module_args={}, task_vars=task_vars))
        if result.get("unreachable"):
            raise AnsibleConnectionFailure(str(result.get("msg")))
        if result.get("failed") or result.get("ping") != "pong":
            raise AnsibleActionFail(f"the host runs no modules: {result.get('msg') or 'its answer cannot be read'}")

    def runner(self, task_vars: dict[str, t.Any]) -> hosts.Run:
        """Return what runs a module of this collection on the host."""

        def run(name: str, arguments: dict[str, t.Any]) -> dict[str, t.Any]:
            module = f"bulwark.servers.{name}"
            return sanitize(self._execute_module(module_name=module, module_args=arguments, task_vars=task_vars))

        return run

    def shown(self, outcome: Outcome, failure: str | None = None) -> dict[str, t.Any]:
        """Return the result of what was done, and of what was not."""
        requests = [
            {**dataclasses.asdict(found), "ports": list(found.ports), "sources": list(found.sources)}
            for found in outcome.requests
        ]
        result: dict[str, t.Any] = {"changed": outcome.is_changed, "requests": requests, "messages": outcome.messages}
        if outcome.warnings:
            result["warnings"] = outcome.warnings
        if failure is not None:
            result.update(failed=True, msg=failure)
        return result
