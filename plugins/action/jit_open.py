# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Request, approve, deny and open ports of a host: the steps of the playbook jit_open."""

from __future__ import annotations

import os
import typing as t

from ansible_collections.bulwark.servers.plugins.plugin_utils.actions.actor import actor
from ansible_collections.bulwark.servers.plugins.plugin_utils.actions.host_steps import HostStepsActionBase
from ansible_collections.bulwark.servers.plugins.plugin_utils.actions.store import STORE_OPTION
from ansible_collections.bulwark.servers.plugins.plugin_utils.jit_access import requests, steps
from ansible_collections.bulwark.servers.plugins.plugin_utils.jit_access.desk import Desk, NotOpenError, Outcome
from ansible_collections.bulwark.servers.plugins.plugin_utils.store import StoreError
from ansible_collections.bulwark.servers.plugins.plugin_utils.store.location import default_url, is_own, parse, shown


class ActionModule(HostStepsActionBase):
    """One step, or request, approve and open at once."""

    ERRORS = (steps.StepError, StoreError, requests.RequestError)
    # A stored request has the plural name.
    ALIASES: t.ClassVar[t.Mapping[str, str]] = {"sources": "source"}
    ARGUMENTS: t.ClassVar[t.Mapping[str, t.Any]] = {
        **STORE_OPTION,
        "step": {"type": "str", "choices": list(steps.STEPS), "default": "all"},
        "only_check": {"type": "bool", "default": False},
        "host": {"type": "raw"},
        "ports": {"type": "list", "elements": "str", "default": []},
        "protocol": {"type": "str", "choices": ["tcp", "udp", "both"], "default": "tcp"},
        "source": {"type": "list", "elements": "str"},
        "duration": {"type": "str", "default": "3h"},
        "justification": {"type": "str"},
        "requested_for": {"type": "str"},
        "valid_for": {"type": "str", "default": "1d"},
        "policy": {"type": "list", "elements": "dict"},
        "request": {"type": "list", "elements": "str", "default": []},
        "reason": {"type": "str"},
        "approvers": {"type": "list", "elements": "str", "default": []},
        "self_approval": {"type": "bool", "default": False},
        "actor": {"type": "str"},
        "state_dir": {"type": "str"},
    }

    def act(self, options: dict[str, t.Any], task_vars: dict[str, t.Any]) -> dict[str, t.Any]:
        steps.check(options, is_limited="ansible_limit" in task_vars)
        ids = steps.listed(options["request"])
        mine: list[str] = []
        if options["step"] in steps.OF_REQUESTS:
            hosts = [str(name) for name in task_vars.get("ansible_play_hosts_all") or [self.host(task_vars)]]
            mine = steps.of_host(options["store"], ids, self.host(task_vars), hosts)
        if options["only_check"]:
            return {"changed": False, "requests": [], "messages": []}
        by = requests.person(actor(options["actor"], task_vars))
        desk = Desk(options["store"], self.host(task_vars), by, self._task.check_mode)
        outcome = Outcome()
        try:
            self._steps(desk, options, mine, outcome, task_vars)
        except (NotOpenError, StoreError, requests.RequestError) as error:
            return outcome.result(str(error))
        result = outcome.result()
        if options["step"] == "request" and not desk.is_check:
            result["ansible_stats"] = steps.handed_on(outcome.requests)
        return result

    def _steps(
        self, desk: Desk, options: dict[str, t.Any], mine: list[str], outcome: Outcome, task_vars: dict[str, t.Any]
    ) -> None:
        step = options["step"]
        if step in ("all", "request"):
            asked = {**options, "sources": options["source"]}
            mine = [desk.request(asked, requests.client_address(os.environ), outcome).id]
            if is_own(options["store"]):
                outcome.warnings.append(steps.own_store(shown(parse(default_url()))))
            if desk.is_check:
                return  # Nothing was requested that could be approved or opened.
        for request in mine:
            if step in ("all", "approve", "deny"):
                desk.decide(request, "denied" if step == "deny" else "approved", options, outcome)
            if step in ("all", "open"):
                # Before anything is noted: a host that is down leaves the request as it was.
                self.reach(task_vars)
                desk.open(request, self.runner(task_vars), options["state_dir"], outcome)
