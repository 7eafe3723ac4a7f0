# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Answer from the store who asked to open ports, who decided, and what became of it."""

from __future__ import annotations

import contextlib
import dataclasses
import time
import typing as t

from ansible.errors import AnsibleActionFail
from ansible_collections.bulwark.servers.plugins.plugin_utils.actions import timestamps
from ansible_collections.bulwark.servers.plugins.plugin_utils.actions.store import STORE_OPTION, StoreActionBase
from ansible_collections.bulwark.servers.plugins.plugin_utils.store import JitQuery, JitRequest, Store, StoreError
from ansible_collections.bulwark.servers.plugins.plugin_utils.store.jit_states import STATES


class ActionModule(StoreActionBase):
    """Ask the store, as it is now."""

    READS_ONLY = True
    ARGUMENTS: t.ClassVar[t.Mapping[str, t.Any]] = {
        "argument_spec": {
            **STORE_OPTION,
            "gather": {
                "type": "list",
                "elements": "str",
                "choices": ["requests", "history"],
                "default": ["requests"],
            },
            "hosts": {"type": "list", "elements": "str", "default": []},
            "states": {"type": "list", "elements": "str", "choices": list(STATES), "default": []},
            "requesters": {"type": "list", "elements": "str", "default": []},
            "ids": {"type": "list", "elements": "str", "default": []},
            "since": {"type": "str"},
            "until": {"type": "str"},
            "limit": {"type": "int", "default": 1000},
            "offset": {"type": "int", "default": 0},
        },
    }

    def act(self, store: Store, options: dict[str, t.Any], task_vars: dict[str, t.Any]) -> dict[str, t.Any]:
        if options["limit"] < 0 or options["offset"] < 0:
            raise AnsibleActionFail("'limit' and 'offset' are 0 or more")
        now = time.time()
        self._note_time(store, options, now)
        query = JitQuery(
            **{name: options[name] for name in ("hosts", "states", "requesters", "ids", "offset")},
            since=timestamps.parse(options["since"], now) if options["since"] else None,
            until=timestamps.parse(options["until"], now) if options["until"] else None,
            limit=options["limit"] or None,
        )
        result: dict[str, t.Any] = {"changed": False, "counts": store.jit_counts(query, now)}
        if "requests" in options["gather"]:
            result["requests"] = [_request(found) for found in store.jit_requests(query, now)]
        if "history" in options["gather"]:
            result["history"] = [dataclasses.asdict(entry) for entry in store.jit_history(query, now)]
        return result

    def _note_time(self, store: Store, options: dict[str, t.Any], now: float) -> None:
        """Write what is over by now, so that a clock that goes back makes it no other; not where nothing can be."""
        if self._task.check_mode or store.jit_is_noted(now):
            return
        with contextlib.suppress(StoreError), contextlib.closing(Store.open(options["store"])) as written:
            written.jit_note_time(now)


def _request(found: JitRequest) -> dict[str, t.Any]:
    return {**dataclasses.asdict(found), "ports": list(found.ports), "sources": list(found.sources)}
