# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Look at the programs that ran on a host since the last recorded run, with the allowlists of the controller."""

from __future__ import annotations

import contextlib
import time
import typing as t

from ansible.errors import AnsibleActionFail
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible_collections.bulwark.servers.plugins.module_utils._state import default_root
from ansible_collections.bulwark.servers.plugins.module_utils.app_control import content
from ansible_collections.bulwark.servers.plugins.module_utils.app_control.allowlist import with_daemon
from ansible_collections.bulwark.servers.plugins.module_utils.app_control.enforcement import inspect
from ansible_collections.bulwark.servers.plugins.module_utils.app_control.enforcement.policy import AUDIT
from ansible_collections.bulwark.servers.plugins.module_utils.app_control.observe import NAME, PROGRAMS
from ansible_collections.bulwark.servers.plugins.module_utils.app_control.options import look_spec
from ansible_collections.bulwark.servers.plugins.plugin_utils import payload
from ansible_collections.bulwark.servers.plugins.plugin_utils.actions.log_reading import CheckpointActionBase
from ansible_collections.bulwark.servers.plugins.plugin_utils.actions.module import Entry
from ansible_collections.bulwark.servers.plugins.plugin_utils.actions.result import sanitize
from ansible_collections.bulwark.servers.plugins.plugin_utils.app_control import (
    allowlist_files,
    cached_lists,
    ended,
    other_hosts,
    own_programs,
)
from ansible_collections.bulwark.servers.plugins.plugin_utils.store import Store, StoreError

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
        self._own: dict[str, str] | None = None
        if given["mode"] != AUDIT:
            passed["_own"] = digests = own_programs.digests()
            self._own = inspect.own_programs(given["state_dir"] or default_root({}, 0), digests)
        self._allowlist: dict[str, t.Any] | None = None
        if not given["allowlists"]:
            return passed
        lists = cached_lists.load(given["allowlists"])
        self._allowlist = data = allowlist_files.packed_data(lists, self.host_name(task_vars), given["roles"])
        return passed if data is None else {**passed, "_content": payload.packed(data)}

    def scopes(self, arguments: t.Mapping[str, t.Any]) -> t.Sequence[str]:
        return (PROGRAMS,)

    def result(
        self, answer: t.Mapping[str, t.Any], arguments: t.Mapping[str, t.Any], task_vars: dict[str, t.Any]
    ) -> dict[str, t.Any]:
        result = super().result(answer, arguments, task_vars)
        if result.get("failed") or "programs" not in answer:
            return result
        host = self.host_name(task_vars)
        own = sanitize({name: answer.get(name) for name in ("programs", "program_host", "ended")})
        try:
            with contextlib.closing(self.open_store()) as store:
                other_hosts.add(result.get("findings", ()), store.hosts_with, host)
                own["ended"] = self._ended(own, store, host)
        except StoreError as error:
            raise AnsibleActionFail(str(error)) from None
        groups = [str(name) for name in self.host_vars(task_vars).get("group_names") or ()]
        return {**result, **own, "program_host": {**(own["program_host"] or {}), "groups": groups}}

    def _ended(self, own: t.Mapping[str, t.Any], store: Store, host: str) -> list[dict[str, str]]:
        if self._allowlist is None or not isinstance(own["program_host"], dict):
            return []
        allowlist = content.allowlist(self._allowlist, str(own["program_host"].get("distribution")))
        if self._own is not None:
            allowlist = with_daemon(allowlist)
        return ended.confirmed(own["ended"], store, host, allowlist, time.time(), self._own or {})
