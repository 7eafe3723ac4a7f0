# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Have fapolicyd enforce the allowlist of a host, and prove that Ansible still gets in and runs."""

from __future__ import annotations

import contextlib
import typing as t

from ansible.errors import AnsibleActionFail, AnsibleError
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible_collections.bulwark.servers.plugins.module_utils.app_control.enforcement.options import apply_spec
from ansible_collections.bulwark.servers.plugins.module_utils.app_control.enforcement.policy import AUDIT
from ansible_collections.bulwark.servers.plugins.module_utils.app_control.observe import NAME as CHECKPOINT
from ansible_collections.bulwark.servers.plugins.plugin_utils import payload
from ansible_collections.bulwark.servers.plugins.plugin_utils.actions.trial import TrialActionBase
from ansible_collections.bulwark.servers.plugins.plugin_utils.app_control import allowlist_files, cached_lists
from ansible_collections.bulwark.servers.plugins.plugin_utils.ocsf.host import host_name
from ansible_collections.bulwark.servers.plugins.plugin_utils.store import Store, StoreError

# Only the controller needs the paths of the allowlists.
_OPTIONS = ("allowlists", "roles", "store")
_OWN = ("_content", "_connection", "_token")


class ActionModule(TrialActionBase):
    """Give the module the allowlist of its host and the way that this connection takes, and confirm by that way."""

    capability = "app_control"
    ARGUMENTS: t.ClassVar[t.Mapping[str, t.Any]] = {"argument_spec": apply_spec()}
    PROPOSED = "the policy on trial"
    FORMER = "the former policy"
    TRIED = ("diff", "rules", "trusted", "unexpressed", "stopped", "conflicts", "problem", "warnings", "notices")
    ADVICE = (
        "begin with mode rehearse (app_control_mode of the role), which lets everything run, and look at what a scan "
        "reports then"
    )

    def module_arguments(self, arguments: dict[str, t.Any], task_vars: dict[str, t.Any]) -> dict[str, t.Any]:
        arguments = super().module_arguments(arguments, task_vars)
        given = ArgumentSpecValidator(**self.ARGUMENTS).validate(arguments).validated_parameters
        passed = {name: value for name, value in arguments.items() if name not in (*_OPTIONS, *_OWN)}
        if given["mode"] == AUDIT or given["state"] == "absent":
            return passed
        name = host_name(self._task.delegate_to or task_vars["inventory_hostname"])
        passed.update(_connection=self._way(), _token=self._token(given["store"], name))
        if given["allowlists"]:
            lists = cached_lists.load(given["allowlists"])
            data = allowlist_files.packed_data(lists, name, given["roles"])
            if data is not None:
                passed["_content"] = payload.packed(data)
        return passed

    def confirming(self, arguments: dict[str, t.Any], token: str) -> dict[str, t.Any]:
        # What is confirmed lies on the host.
        return {**{name: value for name, value in arguments.items() if name not in _OWN}, "_confirm": token}

    def is_lost(self, error: AnsibleError) -> bool:
        # A shell or a program that is stopped there comes as any of them.
        return True

    def with_proof(self, result: dict[str, t.Any]) -> dict[str, t.Any]:
        return result

    def _token(self, url: str | None, host: str) -> str | None:
        """Return what the store knows of the programs that the host remembers."""
        try:
            with contextlib.closing(Store.open(url, mode="check" if self._task.check_mode else "write")) as store:
                return store.checkpoint(host, CHECKPOINT)
        except StoreError as error:
            raise AnsibleActionFail(str(error)) from None

    def _way(self) -> dict[str, t.Any]:
        """Return how modules come to this host and are run there."""
        become = self._connection.become
        shell = self._connection._shell
        return {
            "transport": str(self._connection.transport),
            "remote_tmp": str(shell.get_option("remote_tmp")),
            "remote_user": str(self._get_remote_user() or ""),
            "become_user": str(become.get_option("become_user") or "") if become else "",
            "become_method": str(become.name) if become else "",
        }
