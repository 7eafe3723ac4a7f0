# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Open a scan of a fleet in one task, and close it in another."""

from __future__ import annotations

import typing as t

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase
from ansible.utils.unsafe_proxy import wrap_var
from ansible_collections.bulwark.servers.plugins.plugin_utils.actions import inner, naming
from ansible_collections.bulwark.servers.plugins.plugin_utils.report import alike
from ansible_collections.bulwark.servers.plugins.plugin_utils.report.shown import visible


class ActionModule(ActionBase):  # type: ignore[misc]  # Ansible ships no type information
    """Register destinations and open a run, or close it, export and report, each by the action of its module."""

    TRANSFERS_FILES = False
    _requires_connection = False
    _supports_check_mode = True

    ARGUMENTS: t.ClassVar[t.Mapping[str, t.Any]] = {
        "argument_spec": {
            "state": {"type": "str", "required": True, "choices": ["opened", "closed"]},
            "store": {"type": "str"},
            "run": {"type": "str"},
            "capabilities": {"type": "list", "elements": "str"},
            "report_path": {"type": "str", "required": True},
            "controls_path": {"type": "str"},
            "width": {"type": "int"},
            "reasons": {"type": "dict", "default": {}},
            "misconfigured": {"type": "dict", "default": {}},
            # findings_export checks them, and shows no secret in its messages.
            "destinations": {"type": "raw", "no_log": True},
            "time_limit": {"type": "int"},
            "behind_after": {"type": "str"},
        },
        "required_if": [("state", "closed", ["run"])],
    }

    def run(self, tmp: t.Any = None, task_vars: dict[str, t.Any] | None = None) -> dict[str, t.Any]:
        result: dict[str, t.Any] = super().run(tmp, task_vars)
        del tmp
        _validated, options = self.validate_argument_spec(**self.ARGUMENTS)
        # Unconverted: findings_export refuses a secret that is not text.
        options["destinations"] = self._task.args.get("destinations") or []
        self._warnings: list[str] = []
        state = self._open if options["state"] == "opened" else self._close
        with naming.in_errors(self._task):
            result.update(state(options, task_vars or {}))
        if self._warnings:
            result["warnings"] = self._warnings
        return t.cast("dict[str, t.Any]", wrap_var(result))

    def _open(self, options: dict[str, t.Any], task_vars: dict[str, t.Any]) -> dict[str, t.Any]:
        if options["destinations"]:
            # Queue every change from here on, also if the scan is cut off.
            self._ask("findings_export", {"state": "present", **_of_export(options)}, task_vars)
        run = {name: options[name] for name in ("store", "run", "capabilities", "report_path")}
        return self._ask("findings_run", {"state": "started", "playbook": "Scan", **run}, task_vars)

    def _close(self, options: dict[str, t.Any], task_vars: dict[str, t.Any]) -> dict[str, t.Any]:
        run = {name: options[name] for name in ("store", "run")}
        reasons = options["reasons"]
        closed = self._ask("findings_run", {"state": "finished", "reasons": reasons, **run}, task_vars)
        result = {**closed, "export": [], "misconfigured": _misconfigured(options["misconfigured"])}
        # Before the report, which has the alert about a receiver that is behind. If there are no destinations, the
        # export warns of destinations that the store still queues changes for.
        try:
            exported = self._ask("findings_export", {**run, **_of_export(options)}, task_vars)
            result["export"] = exported.get("summary", [])
        except AnsibleActionFail as error:
            # Only a warning, because the scan is stored.
            self._warnings.append(f"Nothing was exported, and the changes wait for the next export: {error.message}")
        if self._task.check_mode:
            # Check mode records nothing to report.
            return result
        report = {"path": options["report_path"], "controls_path": options["controls_path"], "width": options["width"]}
        written = self._ask("findings_report", {**run, **report}, task_vars)
        return {**result, "changed": True, "path": written["path"], "summary": written["summary"]}

    def _ask(self, module: str, options: dict[str, t.Any], task_vars: dict[str, t.Any]) -> dict[str, t.Any]:
        """Return the result of another module's action; raise AnsibleActionFail if it failed."""
        given = {name: value for name, value in options.items() if value is not None}
        result: dict[str, t.Any] = inner.make(self, f"bulwark.servers.{module}", given).run(task_vars=task_vars)
        self._warnings += result.pop("warnings", [])
        if result.get("failed"):
            raise AnsibleActionFail(str(result.get("msg")))
        return result


def _of_export(options: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
    return {
        "store": options["store"],
        "destinations": options["destinations"],
        "time_limit": options["time_limit"],
        "behind_after": options["behind_after"],
    }


def _misconfigured(problems: t.Mapping[str, t.Sequence[str]]) -> list[str]:
    """Return a line for each problem with its hosts."""
    pairs = ((str(host), " ".join(map(str, sentences))) for host, sentences in problems.items() if sentences)
    return [f"{hosts}: {visible(text)}" for text, hosts in alike.by_hosts(pairs)]
