# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Record what a capability found on a host, in a run."""

from __future__ import annotations

import dataclasses
import time
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils._finding import not_checked
from ansible_collections.bulwark.servers.plugins.plugin_utils.actions import recording
from ansible_collections.bulwark.servers.plugins.plugin_utils.actions.store import STORE_OPTION, StoreActionBase
from ansible_collections.bulwark.servers.plugins.plugin_utils.ocsf.host import host_name
from ansible_collections.bulwark.servers.plugins.plugin_utils.store import CapabilityResult, Store, result_of_module


class ActionModule(StoreActionBase):
    """Take a registered result, or findings and coverage, and record them for the host of the task."""

    ARGUMENTS: t.ClassVar[t.Mapping[str, t.Any]] = {
        "argument_spec": {
            **STORE_OPTION,
            "run": {"type": "str", "required": True},
            "capability": {"type": "str", "required": True},
            "result": {"type": "dict"},
            "findings": {"type": "list", "elements": "dict"},
            "coverage": {"type": "list", "elements": "dict"},
            "checkpoint": {"type": "dict"},
        },
        "mutually_exclusive": [("result", "findings"), ("result", "coverage"), ("result", "checkpoint")],
        "required_together": [("findings", "coverage")],
        "required_one_of": [("result", "coverage")],
    }

    def act(self, store: Store, options: dict[str, t.Any], task_vars: dict[str, t.Any]) -> dict[str, t.Any]:
        # Delegated, the capability looked at that host, and so the findings are about it.
        host = host_name(self._task.delegate_to or task_vars["inventory_hostname"])
        run_id, capability = options["run"], options["capability"]
        result = CapabilityResult(capability, options["findings"] or [], options["coverage"], options["checkpoint"])
        if options["result"] is not None:
            result = _from_result(options["result"], capability)
        if self._task.check_mode:
            recording.open_run(store, run_id)
        fields = {field.name: getattr(result, field.name) for field in dataclasses.fields(result)}
        recorded = store.record(run_id, host, now=time.time(), **fields)
        counts = dataclasses.asdict(recorded)
        del counts["changes"], counts["refused"], counts["is_news"]
        return {**recording.shown(recorded.changes), "host": host, "capability": capability, "counts": counts}


def _from_result(result: t.Mapping[str, t.Any], capability: str) -> CapabilityResult:
    """Return the parts of a registered result that the store takes, also if its task failed or was skipped."""
    findings = result.get("findings") or []
    for outcome, words in (
        ("unreachable", "the host was unreachable"),
        ("failed", "it failed"),
        ("skipped", "skipped"),
    ):
        if result.get(outcome):
            message = result.get("msg") or result.get("skip_reason") or result.get("skipped_reason")
            # Ansible puts this before every message of an error.
            reason = (
                f"{words}: {message.removeprefix('Task failed: ')}" if isinstance(message, str) and message else words
            )
            return CapabilityResult(capability, findings, [not_checked(capability, reason)])
    return result_of_module(capability, result)
