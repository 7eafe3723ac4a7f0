# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Close ports of a host before their time is over: what the playbook jit_close does."""

from __future__ import annotations

import typing as t

from ansible_collections.bulwark.servers.plugins.plugin_utils.actions.actor import actor
from ansible_collections.bulwark.servers.plugins.plugin_utils.actions.host_steps import HostStepsActionBase
from ansible_collections.bulwark.servers.plugins.plugin_utils.actions.store import STORE_OPTION
from ansible_collections.bulwark.servers.plugins.plugin_utils.jit_access import requests, steps
from ansible_collections.bulwark.servers.plugins.plugin_utils.jit_access.closing import Closer, NotClosedError, Wanted
from ansible_collections.bulwark.servers.plugins.plugin_utils.jit_access.desk import Outcome
from ansible_collections.bulwark.servers.plugins.plugin_utils.store import StoreError


class ActionModule(HostStepsActionBase):
    """Close on the host first, then note it."""

    ERRORS = (steps.StepError, StoreError, requests.RequestError)
    ARGUMENTS: t.ClassVar[t.Mapping[str, t.Any]] = {
        **STORE_OPTION,
        "only_check": {"type": "bool", "default": False},
        "host": {"type": "raw"},
        "request": {"type": "list", "elements": "str", "default": []},
        "requested_for": {"type": "str"},
        "reason": {"type": "str", "default": ""},
        "actor": {"type": "str"},
        "state_dir": {"type": "str"},
    }

    def act(self, options: dict[str, t.Any], task_vars: dict[str, t.Any]) -> dict[str, t.Any]:
        ids = steps.listed(options["request"])
        is_named = bool(options["host"]) or "ansible_limit" in task_vars
        steps.check_close(ids, is_named)
        hosts = [str(name) for name in task_vars.get("ansible_play_hosts_all") or [self.host(task_vars)]]
        mine = steps.to_close(options["store"], ids, self.host(task_vars), hosts, is_named)
        outcome = Outcome()
        if options["only_check"] or (ids and not mine):
            return outcome.result()
        by = requests.person(actor(options["actor"], task_vars))
        closer = Closer(options["store"], self.host(task_vars), by, self._task.check_mode)
        reason = requests.line(options["reason"], "reason", is_needed=False)
        wanted = Wanted(tuple(mine), options["requested_for"] or None, reason)
        try:
            closer.close(wanted, self.runner(task_vars), options["state_dir"], outcome)
        except NotClosedError as error:
            return outcome.result(str(error))
        if wanted.requested_for and not outcome.messages:
            outcome.warnings += steps.similar_people(options["store"], wanted.requested_for, self.host(task_vars))
        return outcome.result()
