# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Simulate attacks on a host: give it the harmless steps of the alerts that are asked for, and note its sessions."""

from __future__ import annotations

import contextlib
import time
import typing as t

from ansible.errors import AnsibleActionFail
from ansible.module_utils.common.validation import check_type_bool, check_type_list
from ansible_collections.bulwark.servers.plugins.module_utils.simulation.options import apply_spec
from ansible_collections.bulwark.servers.plugins.plugin_utils import catalogue
from ansible_collections.bulwark.servers.plugins.plugin_utils.actions import simulated_sessions
from ansible_collections.bulwark.servers.plugins.plugin_utils.actions.module import Conversation
from ansible_collections.bulwark.servers.plugins.plugin_utils.actions.platform import PlatformActionBase
from ansible_collections.bulwark.servers.plugins.plugin_utils.actions.store import person
from ansible_collections.bulwark.servers.plugins.plugin_utils.ocsf import events
from ansible_collections.bulwark.servers.plugins.plugin_utils.simulation import content
from ansible_collections.bulwark.servers.plugins.plugin_utils.store import Store, StoreError


class ActionModule(PlatformActionBase):
    """Resolve the names of alerts to the steps that simulate them, and record the simulation in the store."""

    capability = "simulation"
    ARGUMENTS: t.ClassVar[t.Mapping[str, t.Any]] = {"argument_spec": apply_spec()}
    LINUX_ONLY = ("state_dirs",)

    def module_arguments(self, arguments: dict[str, t.Any], task_vars: dict[str, t.Any]) -> dict[str, t.Any]:
        arguments = super().module_arguments(arguments, task_vars)
        self._store_url: str | None = arguments.pop("store", None)
        asked = arguments.pop("alerts", None)
        names = None if asked is None else [str(name) for name in check_type_list(asked)]
        chosen = content.chosen(names, self.platform())
        self._done = [simulation for simulation in chosen if simulation.none is None]
        self._capabilities = sorted({catalogue.load().alert(simulation.alert).capability for simulation in self._done})
        arguments["_simulations"] = [simulation.steps for simulation in self._done]
        return self.without_others(arguments)

    def run_module(self, arguments: dict[str, t.Any], task_vars: dict[str, t.Any]) -> Conversation:
        is_recorded = self._done and check_type_bool(arguments.get("confirm", False)) and not self._task.check_mode
        if not is_recorded:
            result = yield from super().run_module(arguments, task_vars)
            return {**result, "capabilities": self._capabilities, "platform": self.platform()}
        host = events.Device.from_vars(self.host_vars(task_vars)).name
        alerts = [simulation.alert for simulation in self._done]
        # Recorded first, so that the store also has a simulation that is cut off.
        started = time.time()
        with self._store() as store:
            identity = store.start_simulation(host, alerts, by=person(task_vars), now=started)
        result = yield from super().run_module(arguments, task_vars)
        ended = time.time()
        accepted = simulated_sessions.read(result, self._done, content.everywhere(), started, ended, self.platform())
        with self._store() as store:
            store.end_simulation(identity, accepted.sessions, now=ended)
        # Ansible's own warnings of a module are dropped, as a host may forge them.
        notices = [*(result.get("notices") or ()), *(f"{host}: {problem}." for problem in accepted.problems)]
        return {
            **result,
            "capabilities": self._capabilities,
            "platform": self.platform(),
            "simulation": identity,
            "notices": notices,
        }

    @contextlib.contextmanager
    def _store(self) -> t.Iterator[Store]:
        try:
            with contextlib.closing(Store.open(self._store_url)) as store:
                yield store
        except StoreError as error:
            raise AnsibleActionFail(str(error)) from None
