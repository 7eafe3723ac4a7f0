# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The action that runs several modules on the host, with work on the controller between them."""

from __future__ import annotations

import typing as t

from ansible.errors import AnsibleActionFail, AnsibleConnectionFailure
from ansible.utils.unsafe_proxy import wrap_var
from ansible_collections.bulwark.servers.plugins.plugin_utils.actions import naming
from ansible_collections.bulwark.servers.plugins.plugin_utils.actions.result import SanitizingActionBase, sanitize
from ansible_collections.bulwark.servers.plugins.plugin_utils.ocsf.host import host_name


class HostStepsActionBase(SanitizingActionBase):
    """Validate the options, act, and mark the result as unsafe.

    A subclass sets ``ARGUMENTS``, the argument spec, and ``ERRORS``, the exceptions whose messages are sentences for
    people, and overrides ``act``. ``ALIASES``: other names of options in messages, with the option that each means.
    """

    TRANSFERS_FILES = False
    ARGUMENTS: t.ClassVar[t.Mapping[str, t.Any]]
    ERRORS: t.ClassVar[tuple[type[Exception], ...]]
    ALIASES: t.ClassVar[t.Mapping[str, str]] = {}
    _supports_check_mode = True
    _supports_async = False

    def act(self, options: dict[str, t.Any], task_vars: dict[str, t.Any]) -> dict[str, t.Any]:
        """Return the result; raise one of ``ERRORS`` for what cannot be done."""
        raise NotImplementedError

    def run(self, tmp: t.Any = None, task_vars: dict[str, t.Any] | None = None) -> dict[str, t.Any]:
        result: dict[str, t.Any] = super().run(tmp, task_vars)
        del tmp
        with naming.in_errors(self._task, self.ALIASES):
            _validated, options = self.validate_argument_spec(argument_spec=self.ARGUMENTS)
            try:
                result.update(naming.in_result(self._task, self.act(options, task_vars or {}), self.ALIASES))
            except self.ERRORS as error:
                # Ansible appends the messages of all errors in the chain; this one is complete.
                raise AnsibleActionFail(str(error)) from None
        return t.cast("dict[str, t.Any]", wrap_var(result))

    def host(self, task_vars: t.Mapping[str, t.Any]) -> str:
        """Return the inventory name of the host that the modules run on."""
        return host_name(self._task.delegate_to or task_vars["inventory_hostname"])

    def reach(self, task_vars: dict[str, t.Any]) -> None:
        """Raise AnsibleConnectionFailure where the host cannot be reached, AnsibleActionFail where it runs nothing."""
        result = sanitize(self._execute_module(module_name="ansible.legacy.ping", module_args={}, task_vars=task_vars))
        if result.get("unreachable"):
            raise AnsibleConnectionFailure(str(result.get("msg")))
        if result.get("failed") or result.get("ping") != "pong":
            raise AnsibleActionFail(f"the host runs no modules: {result.get('msg') or 'its result cannot be read'}")

    def runner(self, task_vars: dict[str, t.Any]) -> t.Callable[[str, dict[str, t.Any]], dict[str, t.Any]]:
        """Return a function that runs a module of this collection on the host, by its name and arguments."""

        def run(name: str, arguments: dict[str, t.Any]) -> dict[str, t.Any]:
            module = f"bulwark.servers.{name}"
            return sanitize(self._execute_module(module_name=module, module_args=arguments, task_vars=task_vars))

        return run
