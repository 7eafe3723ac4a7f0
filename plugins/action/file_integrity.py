# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Keep the baseline of a host's files on the host, and its seal in the store."""

from __future__ import annotations

import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils.file_integrity.options import apply_spec
from ansible_collections.bulwark.servers.plugins.plugin_utils.actions.baseline import BaselineActionBase
from ansible_collections.bulwark.servers.plugins.plugin_utils.actions.store import person
from ansible_collections.bulwark.servers.plugins.plugin_utils.file_integrity import accepted, content
from ansible_collections.bulwark.servers.plugins.plugin_utils.file_integrity.seal_reason import seal_reason
from ansible_collections.bulwark.servers.plugins.plugin_utils.store import Accepted, Store


class ActionModule(BaselineActionBase):
    """Give the module the watches as content defines them, and change baseline and seal together."""

    capability = "file_integrity"
    ARGUMENTS: t.ClassVar[t.Mapping[str, t.Any]] = {
        "argument_spec": content.unchecked_watches(apply_spec()),
        "required_by": {"accept": ["reason"]},
    }

    def module_arguments(self, arguments: dict[str, t.Any], task_vars: dict[str, t.Any]) -> dict[str, t.Any]:
        arguments = super().module_arguments(arguments, task_vars)
        arguments["watches"] = content.asked_watches(arguments, default=True) or []
        arguments["_default_names"] = content.default_names(arguments["watches"])
        arguments["_derived"] = content.load_derived()
        if arguments.get("accept"):
            arguments["accepted_by"] = arguments.get("accepted_by") or person(task_vars)
        return arguments

    def scopes(self, arguments: t.Mapping[str, t.Any]) -> t.Sequence[str]:
        return [watch["name"] for watch in arguments.get("watches") or ()]

    def seal_reason(
        self, store: Store, host: str, arguments: t.Mapping[str, t.Any], staged: t.Mapping[str, t.Any]
    ) -> str:
        return seal_reason(store, host, self.baseline, arguments, staged)

    def accepted_changes(self, arguments: t.Mapping[str, t.Any], staged: t.Mapping[str, t.Any]) -> Accepted | None:
        return accepted.accepted_changes(self.capability, staged) if arguments.get("accept") else None

    def run_module(self, arguments: dict[str, t.Any], task_vars: dict[str, t.Any]) -> dict[str, t.Any]:
        by = arguments.get("accepted_by") or person(task_vars)
        if arguments.get("state") == "absent":
            return self.forget_baseline(arguments, task_vars, by=by, reason=arguments.get("reason") or "Removed.")
        if self._task.check_mode:
            return self.execute(arguments, task_vars)
        return self.replace_baseline(arguments, task_vars, by=by, reason=arguments.get("reason"))
