# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Look at the programs that ran on a host since the last recorded run, with the allowlists of the controller."""

from __future__ import annotations

import contextlib
import typing as t

from ansible.errors import AnsibleActionFail
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible_collections.bulwark.servers.plugins.module_utils.app_control import judge
from ansible_collections.bulwark.servers.plugins.module_utils.app_control.observe import NAME, PROGRAMS
from ansible_collections.bulwark.servers.plugins.module_utils.app_control.options import look_spec
from ansible_collections.bulwark.servers.plugins.plugin_utils import payload
from ansible_collections.bulwark.servers.plugins.plugin_utils.actions.log_reading import CheckpointActionBase
from ansible_collections.bulwark.servers.plugins.plugin_utils.actions.module import Entry
from ansible_collections.bulwark.servers.plugins.plugin_utils.actions.result import sanitize
from ansible_collections.bulwark.servers.plugins.plugin_utils.app_control import (
    allowlist_files,
    cached_lists,
    other_hosts,
)
from ansible_collections.bulwark.servers.plugins.plugin_utils.store import StoreError

# What an allowlist can end, whatever a host says.
_ENDED = (judge.CHANGED_ALERT, *judge.UNAPPROVED_ALERTS.values())
# Where the allowlists are is for the controller alone.
_OPTIONS = ("allowlists", "roles")


class ActionModule(CheckpointActionBase):
    """Give the module the allowlist of its host, and say which other hosts have what is on none."""

    capability = "app_control"
    ARGUMENTS: t.ClassVar[t.Mapping[str, t.Any]] = {"argument_spec": look_spec()}
    ENTRY = Entry("app_control.look:look", look_spec)
    CHECKPOINT = NAME

    def module_arguments(self, arguments: dict[str, t.Any], task_vars: dict[str, t.Any]) -> dict[str, t.Any]:
        arguments = super().module_arguments(arguments, task_vars)
        given = ArgumentSpecValidator(**self.ARGUMENTS).validate(arguments).validated_parameters
        passed = {name: value for name, value in arguments.items() if name not in _OPTIONS}
        if not given["allowlists"]:
            return passed
        lists = cached_lists.load(given["allowlists"])
        data = allowlist_files.packed_data(lists, self.host_name(task_vars), given["roles"])
        return passed if data is None else {**passed, "_content": payload.packed(data)}

    def scopes(self, arguments: t.Mapping[str, t.Any]) -> t.Sequence[str]:
        return (PROGRAMS,)

    def result(
        self, answer: t.Mapping[str, t.Any], arguments: t.Mapping[str, t.Any], task_vars: dict[str, t.Any]
    ) -> dict[str, t.Any]:
        result = super().result(answer, arguments, task_vars)
        if result.get("failed") or "programs" not in answer:
            return result
        try:
            with contextlib.closing(self.open_store()) as store:
                other_hosts.add(result.get("findings", ()), store.hosts_with, self.host_name(task_vars))
        except StoreError as error:
            raise AnsibleActionFail(str(error)) from None
        own = sanitize({name: answer.get(name) for name in ("programs", "program_host", "ended")})
        own["ended"] = [each for each in own["ended"] or () if isinstance(each, dict) and each.get("alert") in _ENDED]
        groups = [str(name) for name in self.host_vars(task_vars).get("group_names") or ()]
        return {**result, **own, "program_host": {**(own["program_host"] or {}), "groups": groups}}
