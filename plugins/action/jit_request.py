# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ask to open ports of a host for a while, decide about it, and note what became of it."""

from __future__ import annotations

import dataclasses
import os
import time
import typing as t

from ansible.errors import AnsibleActionFail
from ansible_collections.bulwark.servers.plugins.plugin_utils.actions.actor import actor
from ansible_collections.bulwark.servers.plugins.plugin_utils.actions.store import STORE_OPTION, StoreActionBase
from ansible_collections.bulwark.servers.plugins.plugin_utils.jit_access import requests, steps
from ansible_collections.bulwark.servers.plugins.plugin_utils.ocsf.host import host_name
from ansible_collections.bulwark.servers.plugins.plugin_utils.store import JitChange, Store, location

_ENDS = ("closed", "expired", "replaced")


class ActionModule(StoreActionBase):
    """One method for asking, deciding, opening, and ending."""

    ARGUMENTS: t.ClassVar[t.Mapping[str, t.Any]] = {
        "argument_spec": {
            **STORE_OPTION,
            "state": {
                "type": "str",
                "required": True,
                "choices": ["requested", "approved", "denied", "opening", "open", "unknown", *_ENDS],
            },
            "id": {"type": "str"},
            "host": {"type": "str"},
            "ports": {"type": "list", "elements": "str"},
            "protocol": {"type": "str", "choices": ["tcp", "udp", "both"], "default": "tcp"},
            "sources": {"type": "list", "elements": "str"},
            "duration": {"type": "str", "default": "3h"},
            "requested_for": {"type": "str"},
            "justification": {"type": "str"},
            "valid_for": {"type": "str", "default": "1d"},
            "policy": {"type": "list", "elements": "dict"},
            "actor": {"type": "str"},
            "reason": {"type": "str", "default": ""},
            "approvers": {"type": "list", "elements": "str", "default": []},
            "self_approval": {"type": "bool", "default": False},
            "seconds": {"type": "int"},
            "grant": {"type": "str"},
        },
        "mutually_exclusive": [("id", "ports"), ("id", "justification")],
        "required_if": [
            ("state", "requested", ["ports", "justification"]),
            *(("state", state, ["id"]) for state in ("approved", "denied", "opening", "open", "unknown", *_ENDS)),
        ],
    }

    def act(self, store: Store, options: dict[str, t.Any], task_vars: dict[str, t.Any]) -> dict[str, t.Any]:
        try:
            change = self._act(store, options, task_vars)
        except requests.RequestError as error:
            raise AnsibleActionFail(str(error)) from None
        # Nobody could go on with the id of a request that is not stored.
        is_new = options["state"] == "requested"
        result = _shown(change, None if self._task.check_mode and is_new else change.request.id)
        if is_new and location.is_own(options["store"]):
            path = location.shown(location.parse(location.default_url()))
            result["warnings"] = [steps.own_store(path)]
        return result

    def _act(self, store: Store, options: dict[str, t.Any], task_vars: dict[str, t.Any]) -> JitChange:
        now, state = time.time(), options["state"]
        by = requests.person(actor(options["actor"], task_vars))
        if state == "requested":
            # Delegated, it is that host whose ports are asked for.
            host = host_name(options["host"] or self._task.delegate_to or task_vars["inventory_hostname"])
            address = requests.client_address(os.environ)
            return store.jit_request(requests.wanted(options, host, by, address), now=now)
        reason = requests.line(options["reason"], "reason", is_needed=state == "denied")
        if state in ("approved", "denied"):
            return store.jit_decide(
                options["id"],
                state,
                by=by,
                reason=reason,
                now=now,
                approvers=[name.strip() for name in options["approvers"] if name.strip()],
                self_approval=options["self_approval"],
            )
        if state == "opening":
            return store.jit_opening(options["id"], by=by, now=now)
        if state == "unknown":
            return store.jit_lost(options["id"], by=by, reason=reason, now=now)
        if state == "open":
            # The host's word.
            grant = options["grant"] and requests.name(options["grant"], "grant")
            return store.jit_open(options["id"], by=by, now=now, seconds=options["seconds"], grant=grant)
        return store.jit_end(options["id"], state, by=by, reason=reason, now=now)


def _shown(change: JitChange, name: str | None) -> dict[str, t.Any]:
    """Return the result; name: the id of the request, where it has one."""
    request = {**dataclasses.asdict(change.request), "id": name}
    about = f"{request['host']} {name or '(new)'}"
    return {
        "changed": change.is_changed,
        "before": change.before,
        "request": {**request, "ports": list(request["ports"]), "sources": list(request["sources"])},
        "replaced": list(change.replaced),
        "diff": {
            "before": f"{about}: {change.before}\n" if change.before else "",
            "after": f"{about}: {request['state']}\n",
            "before_header": "requests",
            "after_header": "requests",
        },
    }
