# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Look at a host with several capabilities at once, and record what was found."""

from __future__ import annotations

import contextlib
import functools
import time
import typing as t

from ansible.errors import AnsibleActionFail, AnsibleConnectionFailure, AnsibleError
from ansible.utils.unsafe_proxy import wrap_var
from ansible_collections.bulwark.servers.plugins.plugin_utils import capabilities
from ansible_collections.bulwark.servers.plugins.plugin_utils.actions import known_names, recording
from ansible_collections.bulwark.servers.plugins.plugin_utils.actions.module import CapabilityActionBase, Request
from ansible_collections.bulwark.servers.plugins.plugin_utils.actions.result import SanitizingActionBase
from ansible_collections.bulwark.servers.plugins.plugin_utils.ocsf.host import host_name
from ansible_collections.bulwark.servers.plugins.plugin_utils.scan import conversations, questions, records, summary
from ansible_collections.bulwark.servers.plugins.plugin_utils.scan.questions import Asked, Question
from ansible_collections.bulwark.servers.plugins.plugin_utils.scan.records import Record
from ansible_collections.bulwark.servers.plugins.plugin_utils.scan.variables import RoleVariables
from ansible_collections.bulwark.servers.plugins.plugin_utils.store import Store, StoreError

_SHARED = ("run", "store")


class ActionModule(SanitizingActionBase):
    """Put what all capabilities ask into as few questions as possible, and take the answers apart again."""

    TRANSFERS_FILES = False
    _supports_check_mode = True
    _supports_async = False

    ARGUMENTS: t.ClassVar[t.Mapping[str, t.Any]] = {
        "capabilities": {"type": "list", "elements": "str"},
        "run": {"type": "str"},
        "store": {"type": "str"},
    }

    def run(self, tmp: t.Any = None, task_vars: dict[str, t.Any] | None = None) -> dict[str, t.Any]:
        task_vars = task_vars or {}
        result: dict[str, t.Any] = super().run(tmp, task_vars)
        del tmp
        _validated, self._options = self.validate_argument_spec(argument_spec=self.ARGUMENTS)
        try:
            chosen = known_names.choose_capabilities(self._options["capabilities"])
            result.update(self._scan(chosen, task_vars))
        except (known_names.UnknownNameError, StoreError) as error:
            raise AnsibleActionFail(str(error)) from None
        return t.cast("dict[str, t.Any]", wrap_var(result))

    def _scan(self, chosen: t.Sequence[str], task_vars: dict[str, t.Any]) -> dict[str, t.Any]:
        asked = [self._asked(capabilities.load()[name], task_vars) for name in chosen]
        waiting = {q.look.module: q for each in asked for q in each.questions if q.result is None}
        try:
            if waiting:
                self._answer(waiting, task_vars)
        except AnsibleConnectionFailure as error:
            lost = records.unasked(chosen, f"the host was unreachable: {error.message}")
            return {**self._recorded(lost, task_vars), "unreachable": True, "msg": error.message}
        except AnsibleError as error:
            lost = records.unasked(chosen, f"it failed: {error.message}")
            return self._recorded(lost, task_vars)
        found = [record for each in asked for record in records.of_capability(each)]
        result = self._recorded(found, task_vars)
        changed = any((question.result or {}).get("changed") for question in waiting.values())
        failed = self._followed_up(waiting, task_vars)
        if failed:
            self._recorded(failed, task_vars)
            result["misconfigured"] += summary.misconfigured(failed)
        return {**result, "changed": result["changed"] or changed}

    def _asked(self, capability: capabilities.Capability, task_vars: dict[str, t.Any]) -> Asked:
        variables = RoleVariables(capability.id, task_vars, self._templar)
        return questions.ask_for(capability, variables, task_vars, self._action, task_vars)

    def _action(self, module: str, options: dict[str, t.Any], in_check_mode: bool) -> CapabilityActionBase:
        """Return the action of a module, as Ansible makes it for a task of its own."""
        task = self._task.copy()
        task.action = f"bulwark.servers.{module}"
        task.args = options
        task.check_mode = in_check_mode or self._task.check_mode
        action = self._shared_loader_obj.action_loader.get(
            task.action,
            task=task,
            connection=self._connection,
            play_context=self._play_context,
            loader=self._loader,
            templar=self._templar,
            shared_loader_obj=self._shared_loader_obj,
        )
        spec = action.ARGUMENTS["argument_spec"]
        options.update((name, self._options[name]) for name in _SHARED if name in spec and self._options[name])
        return t.cast("CapabilityActionBase", action)

    def _answer(self, waiting: t.Mapping[str, Question], task_vars: dict[str, t.Any]) -> None:
        """Have the host answer the questions, and turn its answers into results."""
        heard: dict[str, dict[str, t.Any]] = {}
        talks = {name: question.talk(heard, task_vars) for name, question in waiting.items()}
        answers = conversations.hold(talks, self._ask(task_vars, heard))
        for name, question in waiting.items():
            question.result = conversations.attempt(
                functools.partial(question.action.result, answers[name], question.arguments, task_vars)
            )

    def _followed_up(self, waiting: t.Mapping[str, Question], task_vars: dict[str, t.Any]) -> list[Record]:
        """Do what is to be done once everything is recorded, and return what is to be recorded of that."""
        talks = {}
        for name, question in waiting.items():
            result = question.result or {}
            talk = None if result.get("failed") else question.action.follow_up(result, question.arguments, task_vars)
            if talk is not None:
                talks[name] = talk
        results = conversations.hold(talks, self._ask(task_vars, {})) if talks else {}
        failed = (records.of_follow_up(waiting[name], result) for name, result in results.items())
        return [record for record in failed if record is not None]

    def _ask(self, task_vars: dict[str, t.Any], heard: dict[str, dict[str, t.Any]]) -> conversations.Ask:
        def ask(requests: t.Mapping[str, Request]) -> dict[str, dict[str, t.Any]]:
            heard.update((name, self._answer_of(request, task_vars)) for name, request in requests.items())
            return heard

        return ask

    def _answer_of(self, request: Request, task_vars: dict[str, t.Any]) -> dict[str, t.Any]:
        module = f"bulwark.servers.{request.module}"
        answer = self._execute_module(module_name=module, module_args=request.arguments, task_vars=task_vars)
        return t.cast("dict[str, t.Any]", answer)

    def _recorded(self, found: t.Sequence[Record], task_vars: dict[str, t.Any]) -> dict[str, t.Any]:
        """Record what was found, and return what the task shows of it; without a run, all of it."""
        result: dict[str, t.Any] = {"misconfigured": summary.misconfigured(found)}
        if self._options["run"] is None:
            results = [record.result for record in found]
            result["findings"] = [finding for each in results for finding in each.findings]
            result["coverage"] = [entry for each in results for entry in each.coverage or ()]
            problems = [record.problem for record in found if record.problem]
            # Without a run to note it in, a failure must stay one.
            return {**result, "changed": False, **({"failed": True, "msg": " ".join(problems)} if problems else {})}
        host = host_name(self._task.delegate_to or task_vars["inventory_hostname"])
        mode: t.Literal["write", "check"] = "check" if self._task.check_mode else "write"
        with contextlib.closing(Store.open(self._options["store"], mode=mode)) as store:
            if self._task.check_mode:
                recording.open_run(store, self._options["run"])
            recorded = store.record_host(self._options["run"], host, [record.result for record in found], time.time())
        changes = [change for each in recorded for change in each.changes]
        return {**result, **recording.shown(changes), "host": host, "capabilities": summary.of_capabilities(found)}
