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
from ansible_collections.bulwark.servers.plugins.plugin_utils.actions import known_names, timestamps
from ansible_collections.bulwark.servers.plugins.plugin_utils.actions.store import STORE_OPTION, StoreActionBase
from ansible_collections.bulwark.servers.plugins.plugin_utils.jit_access import listing
from ansible_collections.bulwark.servers.plugins.plugin_utils.store import (
    JitQuery,
    JitRequest,
    Store,
    StoreError,
    location,
)
from ansible_collections.bulwark.servers.plugins.plugin_utils.store.jit_states import STATES

_MOST_COMPARED = 1_000


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
        known_names.check_hosts(query.hosts, store, (task_vars.get("groups") or {}).get("all") or ())
        self._check_requesters(store, query, now)
        _check_ids(store, query.ids, now)
        result: dict[str, t.Any] = {"changed": False, "counts": store.jit_counts(query, now)}
        if "requests" in options["gather"]:
            requests = store.jit_requests(query, now)
            result["requests"] = [_request(request) for request in requests]
            result["lines"] = listing.lines(requests, location.without_password(options["store"]))
        if "history" in options["gather"]:
            result["history"] = [dataclasses.asdict(entry) for entry in store.jit_history(query, now)]
        return result

    def _check_requesters(self, store: Store, query: JitQuery, now: float) -> None:
        """Raise UnknownNameError for a person who never asked for anything."""
        for person in query.requesters:
            if not store.jit_requests(JitQuery(requesters=[person], limit=1), now):
                people = {
                    name
                    for each in store.jit_requests(JitQuery(limit=_MOST_COMPARED), now)
                    for name in (each.requested_for, each.requested_by)
                }
                known_names.refuse("request", person, sorted(people), "leave the name out to see them all")

    def _note_time(self, store: Store, options: dict[str, t.Any], now: float) -> None:
        """Record ended requests, so that a clock that is set back cannot revive them; skip a read-only store."""
        if self._task.check_mode or store.jit_is_noted(now):
            return
        with contextlib.suppress(StoreError), contextlib.closing(Store.open(options["store"])) as written:
            written.jit_note_time(now)


def _check_ids(store: Store, ids: t.Sequence[str], now: float) -> None:
    known = {request.id for request in store.jit_requests(JitQuery(ids=ids), now)} if ids else set()
    for each in ids:
        if each not in known:
            raise known_names.UnknownNameError(
                f"there is no request '{each}' in the store: leave ids out to see all requests"
            )


def _request(request: JitRequest) -> dict[str, t.Any]:
    return {**dataclasses.asdict(request), "ports": list(request.ports), "sources": list(request.sources)}
