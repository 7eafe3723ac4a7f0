# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Investigate a finding, process, file, account or address on a host."""

from __future__ import annotations

import time
import typing as t

from ansible.errors import AnsibleActionFail
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible_collections.bulwark.servers.plugins.module_utils._argspec import UsageError
from ansible_collections.bulwark.servers.plugins.module_utils.investigation.options import collect_spec, parse
from ansible_collections.bulwark.servers.plugins.plugin_utils.actions.module import (
    CapabilityActionBase,
    Entry,
)
from ansible_collections.bulwark.servers.plugins.plugin_utils.actions.store import person
from ansible_collections.bulwark.servers.plugins.plugin_utils.catalogue import ContentError
from ansible_collections.bulwark.servers.plugins.plugin_utils.investigation import (
    findings,
    known_findings,
    queries,
    received,
    recording,
    summary,
)
from ansible_collections.bulwark.servers.plugins.plugin_utils.ocsf import events
from ansible_collections.bulwark.servers.plugins.plugin_utils.store import StoreError

CAPABILITY = "investigation"
# Options that a host does not get.
_CONTROLLER = ("store", "record")


class ActionModule(CapabilityActionBase):
    """Send the host the evidence of a finding, and check the investigation that it returns."""

    capability = CAPABILITY
    ARGUMENTS: t.ClassVar[t.Mapping[str, t.Any]] = {"argument_spec": collect_spec()}
    ENTRY = Entry("investigation.collect:collect", collect_spec)
    # Sentences about the same observables on other hosts.
    _elsewhere: t.Sequence[str] = ()
    _host = ""

    def module_arguments(self, arguments: dict[str, t.Any], task_vars: dict[str, t.Any]) -> dict[str, t.Any]:
        arguments = super().module_arguments(arguments, task_vars)
        given = ArgumentSpecValidator(**self.ARGUMENTS).validate(arguments).validated_parameters
        try:
            parse(given)
        except UsageError as error:
            raise ContentError(str(error)) from error
        self._host = events.Device.from_vars(self.host_vars(task_vars)).name
        if given["finding"]:
            evidence = findings.load(given["finding"], self._host, given["store"])
            self._elsewhere = evidence.elsewhere
            arguments["_evidences"] = evidence.evidences
            arguments["_first_time"], arguments["_last_time"] = evidence.first, evidence.last
        self._given = given
        return {name: value for name, value in arguments.items() if name not in _CONTROLLER and value is not None}

    def scopes(self, arguments: t.Mapping[str, t.Any]) -> t.Sequence[str]:
        return ("processes", "audit_records", "connections", "files", "subject")

    def complete(self, result: dict[str, t.Any]) -> dict[str, t.Any]:
        if result.get("failed"):
            return result
        try:
            result["investigation"] = received.check(result.get("investigation"))
        except received.InvestigationError as error:
            raise AnsibleActionFail(
                f"the host returned an invalid result, which was discarded; check the host: {error}"
            ) from None
        if self._host:
            known_findings.add(result["investigation"], self._host, self._given["store"])
        result["investigated"] = {
            "finding": str(self._task.args.get("finding") or ""),
            "subject": result["investigation"]["subject"],
            "summary": summary.lines(result["investigation"], result.get("coverage") or (), self._elsewhere),
        }
        return result

    def result(
        self, answer: t.Mapping[str, t.Any], arguments: t.Mapping[str, t.Any], task_vars: dict[str, t.Any]
    ) -> dict[str, t.Any]:
        result = super().result(answer, arguments, task_vars)
        if "investigated" in result:
            device = events.Device.from_vars(self.host_vars(task_vars))
            result["queries"] = queries.events(result["investigation"], device, time.time())
            if self._given["record"] and not self._task.check_mode:
                result["id"] = self._record(result, device.name, task_vars)
        return result

    def _record(self, result: t.Mapping[str, t.Any], host: str, task_vars: dict[str, t.Any]) -> str:
        try:
            return recording.record(result, host, self._given["store"], person(task_vars), time.time())
        except StoreError as error:
            raise AnsibleActionFail(str(error)) from None
