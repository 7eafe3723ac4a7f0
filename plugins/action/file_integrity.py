# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Keep the baseline of a host's files on the host, and its seal in the store."""

from __future__ import annotations

import typing as t

from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible_collections.bulwark.servers.plugins.module_utils._finding import not_checked
from ansible_collections.bulwark.servers.plugins.module_utils.file_integrity.options import (
    apply_spec,
    check_spec,
    collect_spec,
)
from ansible_collections.bulwark.servers.plugins.plugin_utils.actions.module import Conversation, Entry
from ansible_collections.bulwark.servers.plugins.plugin_utils.actions.store import person
from ansible_collections.bulwark.servers.plugins.plugin_utils.file_integrity import accepted, content
from ansible_collections.bulwark.servers.plugins.plugin_utils.file_integrity.action import FileIntegrityActionBase
from ansible_collections.bulwark.servers.plugins.plugin_utils.file_integrity.seal_reason import seal_reason
from ansible_collections.bulwark.servers.plugins.plugin_utils.store import Accepted, Store

# What a scan asks in addition: to compare the files with the baseline, and to accept what packages explain.
_SCAN_OPTIONS: t.Mapping[str, t.Any] = {
    "_scan": {"type": "bool", "default": False},
    "_accept_explained": {"type": "bool", "default": False},
    "_rehash": collect_spec()["rehash"],
}
_NOT_TAKEN = "There is no baseline yet, and none is taken in check mode, so no file was compared."
_NO_BASELINE = "There is no baseline, as asked for with file_integrity_state=absent, so no file is watched."


class ActionModule(FileIntegrityActionBase):
    """Give the module the watches as content defines them, and change baseline and seal together."""

    ARGUMENTS: t.ClassVar[t.Mapping[str, t.Any]] = {
        "argument_spec": {
            **content.unchecked_watches(apply_spec()),
            **_SCAN_OPTIONS,
        },
        "required_by": {"accept": ["reason"]},
    }
    ENTRY = Entry("file_integrity.check:check", check_spec)

    def module_arguments(self, arguments: dict[str, t.Any], task_vars: dict[str, t.Any]) -> dict[str, t.Any]:
        arguments = super().module_arguments(arguments, task_vars)
        scan = {name: arguments.pop(name) for name in _SCAN_OPTIONS if name in arguments}
        given = ArgumentSpecValidator(dict(_SCAN_OPTIONS)).validate(scan).validated_parameters
        self._scans, self._accepts = given["_scan"], given["_accept_explained"]
        if self._scans:
            arguments["rehash"] = given["_rehash"]
        arguments = self.platform_arguments(arguments, default=True)
        arguments.setdefault("watches", [])
        if arguments.get("accept"):
            arguments["accepted_by"] = arguments.get("accepted_by") or person(task_vars)
        return arguments

    def seal_reason(
        self, store: Store, host: str, arguments: t.Mapping[str, t.Any], staged: t.Mapping[str, t.Any]
    ) -> str:
        return seal_reason(store, host, self.baseline, arguments, staged)

    def accepted_changes(self, arguments: t.Mapping[str, t.Any], staged: t.Mapping[str, t.Any]) -> Accepted | None:
        return accepted.accepted_changes(self.capability, staged) if arguments.get("accept") else None

    def commit_arguments(self, arguments: t.Mapping[str, t.Any], staged: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
        # The first baseline would be compared with itself.
        return {"_compare": False} if arguments.get("_compare") and staged.get("created") else {}

    def run_module(self, arguments: dict[str, t.Any], task_vars: dict[str, t.Any]) -> Conversation:
        if not self._scans:
            return (yield from self._change(arguments, task_vars))
        if arguments.get("state") == "absent":
            removed = yield from self._change(arguments, task_vars)
            if removed.get("failed") or removed.get("unreachable"):
                return removed
            return {**removed, "detections": [], "coverage": [not_checked(self.capability, _NO_BASELINE)]}
        answer = yield from self._change({**arguments, "_compare": True}, task_vars)
        if answer.get("created") and self._task.check_mode:
            return {**answer, "detections": [], "coverage": [not_checked(self.capability, _NOT_TAKEN)]}
        comparison = answer.get("comparison")
        if not isinstance(comparison, dict):
            return answer
        noted = {**comparison, "coverage": _with_notes(comparison.get("coverage"), answer.get("coverage"))}
        return {**noted, **{name: answer[name] for name in ("changed", "notices") if name in answer}}

    def follow_up(
        self, result: t.Mapping[str, t.Any], arguments: dict[str, t.Any], task_vars: dict[str, t.Any]
    ) -> Conversation | None:
        # The host says so, in whatever way it wants.
        explained = bool(result.get("explained_count")) or result.get("packages_changed") is True
        if not self._accepts or result.get("created") or not explained or arguments.get("state") == "absent":
            return None
        accepting = {
            **arguments,
            "accept": ["explained"],
            "reason": "Explained by the package that owns the file.",
            "accepted_by": person(task_vars),
        }
        return self._change(accepting, task_vars)

    def _change(self, arguments: dict[str, t.Any], task_vars: dict[str, t.Any]) -> Conversation:
        by = arguments.get("accepted_by") or person(task_vars)
        if arguments.get("state") == "absent":
            reason = arguments.get("reason") or "Removed."
            return (yield from self.forget_baseline(arguments, task_vars, by=by, reason=reason))
        if self._task.check_mode:
            return (yield from self.execute(arguments, task_vars))
        return (yield from self.replace_baseline(arguments, task_vars, by=by, reason=arguments.get("reason")))


def _with_notes(compared: t.Any, extended: t.Any) -> t.Any:
    """Return the coverage of a comparison with what extending the baseline before it said of the same scopes.

    The host says both in whatever way it wants; what is no coverage stays as it is, to be refused later.
    """
    if not isinstance(compared, list) or not isinstance(extended, list):
        return compared
    notes = {
        entry["scope"]: entry["note"]
        for entry in extended
        if isinstance(entry, dict) and isinstance(entry.get("scope"), str) and entry.get("note")
    }
    return [
        {"note": notes[entry["scope"]], **entry}
        if isinstance(entry, dict) and isinstance(entry.get("scope"), str) and entry["scope"] in notes
        else entry
        for entry in compared
    ]
