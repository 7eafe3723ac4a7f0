# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A task's result as a callback gets it, in the terms of every supported ansible-core, and what it tells of the run."""

from __future__ import annotations

import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils import _finding
from ansible_collections.bulwark.servers.plugins.plugin_utils.progress.tracker import Tracker

_COLLECTION = "bulwark.servers."


class Result:
    """One result, of a task or of one item of its loop.

    ansible-core 2.18 calls the parts ``_host``, ``_task`` and ``_result``, and 2.19 on has public names for them.
    """

    def __init__(self, result: t.Any) -> None:
        self._task = _part(result, "task")
        self.host: str = _part(result, "host").get_name()
        self.data: t.MutableMapping[str, t.Any] = _part(result, "result")
        self.task_name: str = title(str(result.task_name or self._task.get_name()))
        self.task_id: str = self._task._uuid

    @property
    def action(self) -> str:
        return str(self._task.action)

    @property
    def location(self) -> str | None:
        """File and line of the task, where it has one."""
        return self._task.get_path() or None

    @property
    def message(self) -> str:
        return str(self.data.get("msg") or self.data.get("censored") or "")

    @property
    def _is_decision(self) -> bool:
        """Whether changes were accepted or a deployment was removed: its coverage is not that of a scan."""
        return "accepted_count" in self.data or self._task.args.get("state") == "absent"

    def tell(self, run: Tracker) -> None:
        """Note what the result says about the run: changes, what a capability found, what the store and report have."""
        if self.data.get("changed"):
            run.changed.add(self.host)
        if not self.action.startswith(_COLLECTION):
            return
        module = self.action[len(_COLLECTION) :]
        if module in ("findings_run", "scan_run"):
            run.expect((self.data.get("run") or {}).get("capabilities") or run.expected)
            if self.data.get("path"):
                run.report = {name: self.data.get(name) for name in ("summary", "path")}
        elif module == "findings_report":
            # In check mode no report is written that could be named.
            names = ("summary",) if self._task.check_mode is True else ("summary", "path")
            run.report = {name: self.data.get(name) for name in names}
        elif module == "findings_record":
            if self.data.get("capability"):
                run.recorded(self.host, self.data["capability"])
        elif module == "host_scan" and isinstance(self.data.get("capabilities"), dict):
            for capability, shown in self.data["capabilities"].items():
                run.looked(self.host, capability, _severities(shown["severities"]), shown["coverage"])
                run.recorded(self.host, capability)
        elif self.data.get("coverage") and not module.startswith("findings") and not self._is_decision:
            capability = self.data.get("capability") or module.removeprefix("win_").removesuffix("_info")
            findings = self.data.get("findings") or []
            run.looked(self.host, capability, findings, self.data["coverage"], complete=module.endswith("_info"))


def _severities(counts: t.Mapping[str, int]) -> list[dict[str, int]]:
    """Return as many findings of each severity as a scan counted; they themselves are in the store."""
    return [
        {"severity_id": position}
        for position, name in enumerate(_finding.SEVERITIES, 1)
        for _number in range(counts.get(name, 0))
    ]


def title(name: str) -> str:
    """Return a task's name without the role that Ansible puts before it."""
    return name.strip().rpartition(" : ")[2]


def _part(result: t.Any, name: str) -> t.Any:
    return getattr(result, name) if hasattr(result, name) else getattr(result, f"_{name}")
