# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Look at a host's locked ports: policy, open grants, history and who tried; and compare them with the requests."""

from __future__ import annotations

import time
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils.jit_access.collect import SCOPES
from ansible_collections.bulwark.servers.plugins.module_utils.jit_access.options import collect_spec
from ansible_collections.bulwark.servers.plugins.plugin_utils.actions.module import (
    CapabilityActionBase,
    Conversation,
    Entry,
)
from ansible_collections.bulwark.servers.plugins.plugin_utils.jit_access import books, compare, host
from ansible_collections.bulwark.servers.plugins.plugin_utils.ocsf.host import host_name


class ActionModule(CapabilityActionBase):
    """Turn what the module saw, and what it says of the requests in the store, into findings."""

    capability = "jit_access"
    ARGUMENTS: t.ClassVar[t.Mapping[str, t.Any]] = {"argument_spec": collect_spec()}
    ENTRY = Entry("jit_access.collect:collect", collect_spec)

    def module_arguments(self, arguments: dict[str, t.Any], task_vars: dict[str, t.Any]) -> dict[str, t.Any]:
        arguments = super().module_arguments(arguments, task_vars)
        self._store = arguments.pop("store", None)
        return arguments

    def scopes(self, arguments: t.Mapping[str, t.Any]) -> t.Sequence[str]:
        return (*SCOPES, compare.SCOPE)

    def run_module(self, arguments: dict[str, t.Any], task_vars: dict[str, t.Any]) -> Conversation:
        wanted = _number(arguments.get("history"))
        started = time.time()
        # All of it, as a request of which the host has no record was never opened.
        whole = {**arguments, "history": host.HISTORY} if wanted is None or 0 <= wanted < host.HISTORY else arguments
        result = yield from self.execute(whole, task_vars)
        if isinstance(result.get("detections"), list) and isinstance(result.get("coverage"), list):
            name = host_name(self._task.delegate_to or task_vars["inventory_hostname"])
            compared = books.compared(result, name, self._store, started, is_check=self._task.check_mode)
            result["detections"] = [*result["detections"], *compared.detections]
            result["coverage"] = [*result["coverage"], compared.coverage]
        if isinstance(result.get("history"), list):
            result["history"] = result["history"][: 100 if wanted is None else wanted]
        return result


def _number(value: t.Any) -> int | None:
    try:
        return int(value)
    except (TypeError, ValueError):
        return None  # The module says what is wrong.
