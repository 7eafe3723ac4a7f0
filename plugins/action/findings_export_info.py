# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tell how the destinations of the export do, what waits for them, and what they refused."""

from __future__ import annotations

import dataclasses
import time
import typing as t

from ansible.errors import AnsibleActionFail
from ansible_collections.bulwark.servers.plugins.plugin_utils.actions.store import STORE_OPTION, StoreActionBase
from ansible_collections.bulwark.servers.plugins.plugin_utils.export import option_names
from ansible_collections.bulwark.servers.plugins.plugin_utils.ocsf import json_event
from ansible_collections.bulwark.servers.plugins.plugin_utils.store import Store
from ansible_collections.bulwark.servers.plugins.plugin_utils.store.export_model import DestinationState, QueuedChange


class ActionModule(StoreActionBase):
    """Read the store; no receiver is asked, and no secret is needed."""

    READS_ONLY = True
    ARGUMENTS: t.ClassVar[t.Mapping[str, t.Any]] = {
        "argument_spec": {
            **STORE_OPTION,
            "names": {"type": "list", "elements": "str", "default": []},
            "gather": {
                "type": "list",
                "elements": "str",
                "choices": ["set_aside", "waiting"],
                "default": ["set_aside"],
            },
            "events": {"type": "bool", "default": False},
            "limit": {"type": "int", "default": 100},
        },
    }

    def run(self, tmp: t.Any = None, task_vars: dict[str, t.Any] | None = None) -> dict[str, t.Any]:
        """Run if each option exists, and otherwise name the one that is meant."""
        unknown = option_names.problem(self._task.args, self.ARGUMENTS["argument_spec"])
        if unknown is not None:
            raise AnsibleActionFail(unknown)
        return super().run(tmp, task_vars)

    def act(self, store: Store, options: dict[str, t.Any], task_vars: dict[str, t.Any]) -> dict[str, t.Any]:
        if options["limit"] < 1:
            raise AnsibleActionFail("'limit' is 1 or more")
        now = time.time()
        states = store.destinations(now)
        names = [state.destination.name for state in states]
        for name in options["names"]:
            if name not in names:
                there = f"it has {', '.join(names)}" if names else "it has none"
                raise AnsibleActionFail(f"names: the store has no destination '{name}'; {there}")
        chosen = [state for state in states if not options["names"] or state.destination.name in options["names"]]
        return {"changed": False, "destinations": [_shown(store, state, options, now) for state in chosen]}


def _shown(store: Store, state: DestinationState, options: t.Mapping[str, t.Any], now: float) -> dict[str, t.Any]:
    name, limit = state.destination.name, options["limit"]
    shown = {**dataclasses.asdict(state.destination), **_numbers(state)}
    if "set_aside" in options["gather"]:
        shown["changes_set_aside"] = [_change(change, options) for change in store.set_aside(name, limit)]
    if "waiting" in options["gather"]:
        shown["changes_waiting"] = [_change(change, options) for change in store.waiting(name, limit, now)]
    return shown


def _numbers(state: DestinationState) -> dict[str, t.Any]:
    fields = [field.name for field in dataclasses.fields(state) if field.name != "destination"]
    return {name: getattr(state, name) for name in fields}


def _change(change: QueuedChange, options: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
    names = (field.name for field in dataclasses.fields(change) if field.name != "make_event")
    shown = {name: getattr(change, name) for name in names}
    event = change.event
    metadata = event["metadata"]
    if options["events"]:
        shown["event"] = json_event.decoded(event)
    return {**shown, "uid": metadata["uid"], "alert": metadata.get("event_code")}
