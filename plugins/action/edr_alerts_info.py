# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read the alerts of a host's security products since the last recorded run."""

from __future__ import annotations

import time
import typing as t

from ansible.errors import AnsibleActionFail
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible_collections.bulwark.servers.plugins.module_utils.edr.alerts.collect import NAME
from ansible_collections.bulwark.servers.plugins.module_utils.edr.alerts.fold import SCOPE
from ansible_collections.bulwark.servers.plugins.module_utils.edr.alerts.options import FLOORS, collect_spec
from ansible_collections.bulwark.servers.plugins.plugin_utils.actions.log_reading import CheckpointActionBase
from ansible_collections.bulwark.servers.plugins.plugin_utils.actions.module import Conversation, Entry
from ansible_collections.bulwark.servers.plugins.plugin_utils.catalogue import ContentError
from ansible_collections.bulwark.servers.plugins.plugin_utils.edr import alert_content, alert_findings
from ansible_collections.bulwark.servers.plugins.plugin_utils.edr.known_hosts import KnownHosts
from ansible_collections.bulwark.servers.plugins.plugin_utils.ocsf import events

_SHOWN = 20
# Readers on a host that know that a threat is dealt with.
_RESOLVING = ("clamd", "mdatp", "ecs")


class ActionModule(CheckpointActionBase):
    """Give the module the products that there are, and find the hosts that a manager's alerts are about."""

    capability = "edr"
    ARGUMENTS: t.ClassVar[t.Mapping[str, t.Any]] = {"argument_spec": collect_spec()}
    ENTRY = Entry("edr.alerts.collect:collect", collect_spec)
    CHECKPOINT = NAME

    @classmethod
    def preload(cls) -> None:
        alert_content.packed()

    def module_arguments(self, arguments: dict[str, t.Any], task_vars: dict[str, t.Any]) -> dict[str, t.Any]:
        arguments = super().module_arguments(arguments, task_vars)
        _check(ArgumentSpecValidator(**self.ARGUMENTS).validate(arguments).validated_parameters)
        self._others: list[alert_findings.Other] = []
        self._remediated: list[t.Any] = []
        self._attributed = alert_findings.Attributed({}, [])
        return {**arguments, "_content": alert_content.packed()}

    def scopes(self, arguments: t.Mapping[str, t.Any]) -> t.Sequence[str]:
        return (SCOPE,)

    def run_module(self, arguments: dict[str, t.Any], task_vars: dict[str, t.Any]) -> Conversation:
        result = yield from super().run_module(arguments, task_vars)
        others, self._remediated = result.pop("others", None), result.get("remediated") or []
        if not others or result.get("failed"):
            return result
        hosts = KnownHosts(task_vars.get("hostvars") or {}, list(task_vars.get("groups", {}).get("all", ())))
        try:
            self._others = alert_findings.read_others(others)
            self._attributed = alert_findings.attribute(self._others, hosts)
        except events.DetectionError as error:
            raise _invalid(error) from None
        return result

    def _findings(self, detections: t.Any, task_vars: dict[str, t.Any]) -> list[dict[str, t.Any]]:
        device = events.Device.from_vars(self.host_vars(task_vars))
        now = time.time()
        known = dict(self._attributed.known)
        # A manager names itself like its agents.
        own = [other.detection for other in known.pop(device.name, ())]
        try:
            listed = [*detections, *own, *alert_findings.of_unknown(self._attributed.unknown)]
            findings = alert_findings.make(listed, device, now)
            self._elsewhere = alert_findings.elsewhere(
                known, lambda host: events.Device.from_vars(task_vars["hostvars"][host]), device.name, now
            )
        except (events.DetectionError, TypeError) as error:
            raise _invalid(error) from None
        return findings

    def complete(self, result: dict[str, t.Any]) -> dict[str, t.Any]:
        if result.get("failed"):
            return result
        unknown = sorted({" ".join(other.named[:2]) for other, _reason in self._attributed.unknown})
        if unknown:
            result["unknown_hosts"] = unknown
            shown = ", ".join(unknown[:_SHOWN])
            result["warnings"] = [
                *result.get("warnings", ()),
                f"Alerts of {len(unknown)} agents that are not in the inventory were recorded for this host: {shown}.",
            ]
        remediated = [each for each in self._remediated if _may_resolve(each)]
        if remediated:
            result["remediated"] = remediated
        if getattr(self, "_elsewhere", None):
            result["elsewhere"] = self._elsewhere
        return result


def _may_resolve(entry: t.Any) -> bool:
    """Say whether a host may resolve a finding: one of a product that knows there, and not one of an import."""
    names = [each.name for each in alert_content.load().values() if each.form in _RESOLVING]
    subject = entry.get("subject") if isinstance(entry, dict) else None
    return isinstance(subject, str) and subject.startswith(tuple(f"{name}: " for name in names))


def _check(given: t.Mapping[str, t.Any]) -> None:
    """Raise ContentError for a product that is not known, or a wrong floor or path."""
    known = list(alert_content.on_hosts())
    named = [("products", name) for name in given["products"] or ()]
    named += [(option, name) for option in ("paths", "floors") for name in given[option]]
    for option, name in named:
        if name not in known:
            raise ContentError(
                f"{option}: '{name}' is not a product with alerts on a host; known are {', '.join(known)}"
            )
    for name, floor in given["floors"].items():
        if floor not in FLOORS:
            raise ContentError(f"floors: '{floor}' of {name} is not one of {', '.join(FLOORS)}")
    for name, paths in given["paths"].items():
        if not isinstance(paths, list) or not all(isinstance(path, str) and path.startswith("/") for path in paths):
            raise ContentError(f"paths: those of {name} are not a list of absolute paths")


def _invalid(error: Exception) -> AnsibleActionFail:
    return AnsibleActionFail(f"the host returned an invalid result, which was discarded; check the host: {error}")
