# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Open and close runs, and remove what is no longer wanted from the store."""

from __future__ import annotations

import dataclasses
import socket
import time
import typing as t

from ansible.errors import AnsibleActionFail, AnsibleError
from ansible_collections.bulwark.servers.plugins.module_utils._finding import CHECKED, SEVERITIES
from ansible_collections.bulwark.servers.plugins.plugin_utils import capabilities, catalogue, collection_version
from ansible_collections.bulwark.servers.plugins.plugin_utils.actions import known_names, timestamps
from ansible_collections.bulwark.servers.plugins.plugin_utils.actions.store import (
    STORE_OPTION,
    StoreActionBase,
    person,
)
from ansible_collections.bulwark.servers.plugins.plugin_utils.catalogue import ContentError
from ansible_collections.bulwark.servers.plugins.plugin_utils.ocsf import events
from ansible_collections.bulwark.servers.plugins.plugin_utils.ocsf.host import FLEET, host_name
from ansible_collections.bulwark.servers.plugins.plugin_utils.report import output
from ansible_collections.bulwark.servers.plugins.plugin_utils.scan import fleet_findings, requirements
from ansible_collections.bulwark.servers.plugins.plugin_utils.scan.variables import RoleVariables
from ansible_collections.bulwark.servers.plugins.plugin_utils.store import Counts, Query, Store
from ansible_collections.bulwark.servers.plugins.plugin_utils.store.recording import FLEET_SCOPE


class ActionModule(StoreActionBase):
    """One method for each state."""

    ARGUMENTS: t.ClassVar[t.Mapping[str, t.Any]] = {
        "argument_spec": {
            **STORE_OPTION,
            "state": {"type": "str", "required": True, "choices": ["started", "finished", "pruned", "forgotten"]},
            "run": {"type": "str"},
            "capabilities": {"type": "list", "elements": "str"},
            "hosts": {"type": "list", "elements": "str"},
            "playbook": {"type": "str"},
            "older_than": {"type": "str"},
            "reasons": {"type": "dict", "default": {}},
            "report_path": {"type": "str"},
        },
        "required_if": [
            ("state", "finished", ["run"]),
            ("state", "pruned", ["older_than"]),
            ("state", "forgotten", ["hosts", "capabilities"], True),
        ],
    }

    def check(self, options: dict[str, t.Any]) -> dict[str, t.Any]:
        if options["state"] != "started":
            return options  # what is forgotten may have a name that never was right
        if options["report_path"]:
            try:
                output.check(options["report_path"])
            except output.OutputError as error:
                raise AnsibleActionFail(str(error)) from None
        chosen = known_names.choose_capabilities(options["capabilities"])
        return {**options, "capabilities": chosen, "is_default": options["capabilities"] is None}

    def act(self, store: Store, options: dict[str, t.Any], task_vars: dict[str, t.Any]) -> dict[str, t.Any]:
        states = {
            "started": self._start,
            "finished": self._finish,
            "pruned": self._prune,
            "forgotten": self._forget,
        }
        return states[options["state"]](store, options, task_vars)

    def _start(self, store: Store, options: dict[str, t.Any], task_vars: dict[str, t.Any]) -> dict[str, t.Any]:
        hosts = options["hosts"] or task_vars.get("ansible_play_hosts_all")
        if not hosts:
            raise AnsibleActionFail("there are no hosts to scan: give 'hosts', or run this in a play that has some")
        missing = self._missing(options, task_vars)
        unasked = self._unasked(options, task_vars)
        chosen = [name for name in options["capabilities"] if name not in missing and name not in unasked]
        run_id = store.start_run(
            hosts=[host_name(host) for host in hosts],
            capabilities=chosen,
            playbook=options["playbook"] or str(task_vars.get("ansible_play_name") or ""),
            user=person(task_vars),
            controller=socket.gethostname(),
            version=collection_version.version(),
            now=time.time(),
            run_id=options["run"],
        )
        started = {"changed": True, "run": _run(store, run_id), "capabilities": chosen}
        return {**started, "warnings": list(missing.values())} if missing else started

    def _unasked(self, options: dict[str, t.Any], task_vars: dict[str, t.Any]) -> set[str]:
        """Return the capabilities that work on request only, and that nobody named or asked for by a variable."""
        if not options["is_default"]:
            return set()
        known = capabilities.load()
        waiting = [name for name in options["capabilities"] if known[name].on_request]
        return {name for name in waiting if not self._is_asked(known[name], task_vars)}

    def _is_asked(self, capability: capabilities.Capability, task_vars: dict[str, t.Any]) -> bool:
        variables = RoleVariables(capability.id, task_vars, self._templar)
        return any(look.when is None or variables.holds(look.when) for look in capability.looks)

    def _missing(self, options: dict[str, t.Any], task_vars: dict[str, t.Any]) -> dict[str, str]:
        """Return why capabilities that nobody named are left out, by their names.

        Each host would be not checked for the same reason, and its score would fall for what nobody has set up.
        """
        if not options["is_default"]:
            return {}
        reasons = {}
        for name in options["capabilities"]:
            module = requirements.of(name)
            if module is not None:
                reason = module.missing(RoleVariables(name, task_vars, self._templar).value)
                if reason:
                    reasons[name] = reason
        return reasons

    def _finish(self, store: Store, options: dict[str, t.Any], task_vars: dict[str, t.Any]) -> dict[str, t.Any]:
        run_id = options["run"]
        if self._task.check_mode and not store.runs(ids=[run_id]):
            # In check mode nothing was opened that could be closed.
            return {"changed": True, "run": {"id": run_id}}
        reasons = {
            # Ansible begins so whatever went wrong.
            host_name(str(host)): str(reason).removeprefix("Task failed: ")
            for host, reason in options["reasons"].items()
            if reason
        }
        now = time.time()
        changed = store.finish_run(run_id, now, reasons)
        run = _run(store, run_id)
        for capability in run["capabilities"]:
            self._look_at_fleet(store, run_id, capability, task_vars, now)
        return {"changed": changed, "run": run, "counts": _counts(run, store.counts(Query(run=run_id), now))}

    def _look_at_fleet(
        self, store: Store, run_id: str, capability: str, task_vars: dict[str, t.Any], now: float
    ) -> None:
        """Record what a capability finds about all hosts together; what it cannot find out stays as it is."""
        module = fleet_findings.of(capability)
        if module is None:
            return
        variables = RoleVariables(capability, task_vars, self._templar)
        try:
            detections = module.detections(store, variables.value, FLEET_SCOPE, now)
        except (ContentError, AnsibleError) as error:
            self._display.warning(f"{capability}: the hosts could not be compared with each other: {error}")
            return
        reported = events.findings(detections, catalogue.load(), events.Device(FLEET), now)
        store.record_fleet(run_id, capability, reported, now)

    def _prune(self, store: Store, options: dict[str, t.Any], task_vars: dict[str, t.Any]) -> dict[str, t.Any]:
        removed = store.prune(timestamps.parse(options["older_than"], time.time()))
        return {"changed": any(removed.values()), "removed": removed}

    def _forget(self, store: Store, options: dict[str, t.Any], task_vars: dict[str, t.Any]) -> dict[str, t.Any]:
        hosts = options["hosts"] and [host_name(host) for host in options["hosts"]]
        removed = store.forget(hosts, capabilities=options["capabilities"] or (), by=person(task_vars), now=time.time())
        return {"changed": any(removed.values()), "removed": removed}


def _counts(run: t.Mapping[str, t.Any], totals: Counts) -> dict[str, t.Any]:
    """Return what a job can be judged by: how much is open on the hosts of the run, and how much it could not check."""
    rising = list(SEVERITIES)
    return {
        "open_at_least": {
            severity: sum(totals.open_by_severity[name] for name in rising[position:])
            for position, severity in enumerate(rising)
        },
        "not_fully_checked": sum(number for status, number in run["statuses"].items() if status != CHECKED),
    }


def _run(store: Store, run_id: str) -> dict[str, t.Any]:
    (run,) = store.runs(ids=[run_id])
    return {**dataclasses.asdict(run), "capabilities": list(run.capabilities)}
