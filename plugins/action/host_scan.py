# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Look at a host with several capabilities at once, and record what was found."""

from __future__ import annotations

import collections
import contextlib
import functools
import time
import typing as t

from ansible.errors import AnsibleActionFail
from ansible.utils.display import Display
from ansible.utils.unsafe_proxy import wrap_var
from ansible_collections.bulwark.servers.plugins.module_utils.scan.options import scan_spec
from ansible_collections.bulwark.servers.plugins.plugin_utils import capabilities
from ansible_collections.bulwark.servers.plugins.plugin_utils.actions import inner, known_names, recording, windows
from ansible_collections.bulwark.servers.plugins.plugin_utils.actions.module import CapabilityActionBase
from ansible_collections.bulwark.servers.plugins.plugin_utils.actions.result import SanitizingActionBase, sanitize
from ansible_collections.bulwark.servers.plugins.plugin_utils.actions.store import person
from ansible_collections.bulwark.servers.plugins.plugin_utils.ocsf import events
from ansible_collections.bulwark.servers.plugins.plugin_utils.ocsf.host import host_name
from ansible_collections.bulwark.servers.plugins.plugin_utils.report.shown import visible
from ansible_collections.bulwark.servers.plugins.plugin_utils.scan import (
    conversations,
    platforms,
    preload,
    questions,
    records,
    summary,
    tampering,
)
from ansible_collections.bulwark.servers.plugins.plugin_utils.scan.host import FACTS, Host
from ansible_collections.bulwark.servers.plugins.plugin_utils.scan.questions import Asked, Question
from ansible_collections.bulwark.servers.plugins.plugin_utils.scan.records import Record
from ansible_collections.bulwark.servers.plugins.plugin_utils.scan.variables import RoleVariables
from ansible_collections.bulwark.servers.plugins.plugin_utils.scan.windows_host import WindowsHost
from ansible_collections.bulwark.servers.plugins.plugin_utils.store import Store, StoreError
from ansible_collections.bulwark.servers.plugins.plugin_utils.transport.execution import runner
from ansible_collections.bulwark.servers.plugins.plugin_utils.transport.model import Options

_SHARED = ("run", "store")
_MOST_LINES = 200

# Ansible imports an action before it forks for each host, so that this is done once, and not by each of them.
preload.everything()


class ActionModule(SanitizingActionBase):
    """Put what all capabilities ask into as few questions as possible, and take the answers apart again."""

    TRANSFERS_FILES = False
    _supports_check_mode = True
    _supports_async = False

    ARGUMENTS: t.ClassVar[t.Mapping[str, t.Any]] = scan_spec()

    def run(self, tmp: t.Any = None, task_vars: dict[str, t.Any] | None = None) -> dict[str, t.Any]:
        task_vars = task_vars or {}
        result: dict[str, t.Any] = super().run(tmp, task_vars)
        del tmp
        # Capabilities of which the store refused something.
        self._unstored: set[str] = set()
        _validated, self._options = self.validate_argument_spec(argument_spec=self.ARGUMENTS)
        try:
            chosen = known_names.choose_capabilities(self._options["capabilities"])
            result.update(self._scan(chosen, task_vars))
        except (known_names.UnknownNameError, StoreError) as error:
            raise AnsibleActionFail(str(error)) from None
        return t.cast("dict[str, t.Any]", wrap_var(result))

    def _scan(self, chosen: t.Sequence[str], task_vars: dict[str, t.Any]) -> dict[str, t.Any]:
        system = platforms.known(self._connection._shell, self._device_vars(task_vars))
        asked = [self._asked(capabilities.load()[name], system, task_vars) for name in chosen]
        waiting = {q.look.module: q for each in asked for q in each.questions if q.result is None}
        host = self._host(waiting, task_vars)
        if not waiting:
            return self._recorded(self._found(asked, host, task_vars), host, task_vars)
        host.answers.update((q.look.module, q.result) for each in asked for q in each.questions if q.result is not None)
        talks = {name: question.talk(host.answers, task_vars) for name, question in waiting.items()}
        answers = conversations.hold(talks, host.ask)
        for name, answer in {**answers, "host_scan": host.problem or {}}.items():
            _show_traceback(name, answer)
        if not host.reached:
            return self._unasked(asked, host, task_vars)
        task_vars = self._with_facts(task_vars, host)
        for name, question in waiting.items():
            question.result = conversations.attempt(
                functools.partial(question.action.result, answers[name], question.arguments, task_vars)
            )
        for each in asked:
            each.problem = each.problem or platforms.unknown_to(
                capabilities.load()[each.capability], (host.facts or {}).get("ansible_system")
            )
        recorded = [self._recorded(self._found(asked, host, task_vars), host, task_vars)]
        # What could not be stored is not acted on.
        stored = {name: question for name, question in waiting.items() if question.capability not in self._unstored}
        later = self._followed_up(stored, host, task_vars)
        failed = [record for name in later for record in records.of_follow_up(waiting[name], later[name])]
        if later:
            # Also when nothing failed: the answers that the host keeps are others now.
            recorded.append(self._recorded(failed, host, task_vars))
        done = summary.of_host(list(waiting.values()), list(later.values()))
        return {**summary.merged(recorded, done), "ansible_facts": self._facts(host)}

    def _host(self, waiting: t.Mapping[str, Question], task_vars: dict[str, t.Any]) -> Host | WindowsHost:
        seconds = self._options["time_limit"]
        if windows.is_windows(self._connection._shell):
            facts = inner.make(self, "bulwark.servers.platform_facts", {})
            return WindowsHost(
                lambda name, request: waiting[name].action.run_request(request, task_vars),
                lambda: t.cast("dict[str, t.Any]", facts.run(task_vars=task_vars)),
                seconds,
            )
        options = Options(
            state_dir=self._options["state_dir"],
            keep=self._keeps(),
            seconds=seconds,
            memory=self._options["memory_limit"] << 20,
            facts=FACTS,
        )
        return Host(runner(self, task_vars), options, self._pins(task_vars), self._task.diff)

    def _asked(self, capability: capabilities.Capability, system: str | None, task_vars: dict[str, t.Any]) -> Asked:
        problem = platforms.unknown_to(capability, system)
        if problem is not None:
            return Asked(capability.id, problem=problem)
        variables = RoleVariables(capability.id, task_vars, self._templar)
        return questions.ask_for(capability, variables, task_vars, self._action, task_vars, system)

    def _action(self, module: str, options: dict[str, t.Any], in_check_mode: bool) -> CapabilityActionBase:
        """Return the action of a module, as Ansible makes it for a task of its own."""
        action = inner.make(self, f"bulwark.servers.{module}", options, is_check=in_check_mode)
        spec = action.ARGUMENTS["argument_spec"]
        options.update((name, self._options[name]) for name in _SHARED if name in spec and self._options[name])
        return t.cast("CapabilityActionBase", action)

    def _unasked(
        self, asked: t.Sequence[Asked], host: Host | WindowsHost, task_vars: dict[str, t.Any]
    ) -> dict[str, t.Any]:
        """Record that the host could not be asked, and return that."""
        problem = sanitize(host.problem or {})
        unreachable = bool((host.problem or {}).get("unreachable"))
        message = summary.of_problem({**problem, "module_stderr": (host.problem or {}).get("module_stderr")})
        words = "the host was unreachable" if unreachable else "it failed"
        for each in asked:
            if any(question.result is None for question in each.questions):
                each.problem = each.problem or (f"{words}: {message}" if message else words)
        result = self._recorded(self._found(asked, host, task_vars), host, task_vars)
        return {**result, "msg": message, **({"unreachable": True} if unreachable else {})}

    def _followed_up(
        self, waiting: t.Mapping[str, Question], host: Host | WindowsHost, task_vars: dict[str, t.Any]
    ) -> dict[str, dict[str, t.Any]]:
        """Do what is to be done once everything is recorded, and return the results of that by module."""
        talks = {}
        for name, question in waiting.items():
            result = question.result or {}
            talk = None if result.get("failed") else question.action.follow_up(result, question.arguments, task_vars)
            if talk is not None:
                talks[name] = talk
        return {name: sanitize(result) for name, result in conversations.hold(talks, host.ask).items()}

    def _recorded(
        self, found: t.Sequence[Record], host: Host | WindowsHost, task_vars: dict[str, t.Any]
    ) -> dict[str, t.Any]:
        """Record what was found, and return what the task shows of it; without a run, all of it."""
        result: dict[str, t.Any] = {"misconfigured": summary.misconfigured(found)}
        found = records.noted(found, host.notes)
        if self._options["run"] is None:
            results = [record.result for record in found]
            result["findings"] = [finding for each in results for finding in each.findings]
            result["coverage"] = [entry for each in results for entry in each.coverage or ()]
            result["controls"] = [control for each in results for control in each.controls]
            result["containers"] = [container for each in results for container in each.containers]
            result["investigations"] = [each.investigation._asdict() for each in found if each.investigation]
            problems = [record.problem for record in found if record.problem]
            # Without a run to note it in, a failure must stay one.
            return {**result, "changed": False, **({"failed": True, "msg": " ".join(problems)} if problems else {})}
        with self._store() as store:
            if self._task.check_mode:
                recording.open_run(store, self._options["run"])
            recorded = store.record_host(
                self._options["run"], self._name(task_vars), [each.result for each in found], time.time(), host.pins
            )
            for position, each in enumerate(recorded):
                if each.refused:
                    self._unstored.add(found[position].result.capability)
                    found[position] = records.refused(found[position], each.refused)
            investigated = self._investigated(store, found, task_vars)
        changes = [change for each in recorded for change in each.changes]
        shown = {"host": self._name(task_vars), "capabilities": summary.of_capabilities(found)}
        return {**result, **recording.shown(changes), **shown, **investigated}

    def _investigated(
        self, store: Store, found: t.Sequence[Record], task_vars: t.Mapping[str, t.Any]
    ) -> dict[str, t.Any]:
        """Record the investigations among some records, and return what the task shows of them."""
        shown: list[dict[str, t.Any]] = []
        problems: list[str] = []
        for each in (record.investigation for record in found if record.investigation is not None):
            try:
                identity = store.record_investigation(
                    host=self._name(task_vars),
                    subject=each.subject,
                    finding=each.finding,
                    run_id=self._options["run"],
                    by=person(task_vars),
                    summary="\n".join(each.summary),
                    result=each.result,
                    now=time.time(),
                )
            except StoreError as error:
                # Everything else of the host is recorded, and the summary is shown.
                problems.append(f"The investigation was not recorded: {error}.")
                identity = ""
            shown.append({"id": identity, "subject": each.subject, "summary": list(each.summary)})
        return {**({"investigations": shown} if shown else {}), **({"warnings": problems} if problems else {})}

    def _found(self, asked: t.Sequence[Asked], host: Host | WindowsHost, task_vars: dict[str, t.Any]) -> list[Record]:
        hidden = host.coverage()
        found = [record for each in asked for record in records.of_capability(each, hidden)]
        device = events.Device.from_vars(self._device_vars(task_vars))
        chosen = [each.capability for each in asked]
        return [*found, *tampering.records(host.tampered, chosen, device, time.time())]

    def _pins(self, task_vars: t.Mapping[str, t.Any]) -> dict[str, str]:
        if not self._keeps():
            return {}
        with self._store() as store:
            return store.pins(self._name(task_vars))

    def _keeps(self) -> bool:
        """Say whether the host may keep code: not without a store for its digests, nor where nothing may be changed."""
        return self._options["run"] is not None and not self._task.check_mode

    @contextlib.contextmanager
    def _store(self) -> t.Iterator[Store]:
        mode: t.Literal["write", "check"] = "check" if self._task.check_mode else "write"
        with contextlib.closing(Store.open(self._options["store"], mode=mode)) as store:
            yield store

    def _name(self, task_vars: t.Mapping[str, t.Any]) -> str:
        # Delegated, the capabilities looked at that host, and so the findings are about it.
        return host_name(self._task.delegate_to or task_vars["inventory_hostname"])

    def _device_vars(self, task_vars: t.Mapping[str, t.Any]) -> t.Mapping[str, t.Any]:
        delegate = self._task.delegate_to
        return t.cast("t.Mapping[str, t.Any]", task_vars["hostvars"][delegate]) if delegate else task_vars

    def _facts(self, host: Host | WindowsHost) -> dict[str, t.Any]:
        if self._task.delegate_to and not self._task.delegate_facts:
            # Ansible would take them for those of the host that delegates.
            return {}
        facts = dict(host.facts or {})
        if self._discovered_interpreter_key:
            # Found by the controller, which would look for it again at each task.
            facts[self._discovered_interpreter_key] = self._discovered_interpreter
        return facts

    def _with_facts(self, task_vars: dict[str, t.Any], host: Host | WindowsHost) -> dict[str, t.Any]:
        """Return the variables with what the host says of its platform, which findings describe it by."""
        if not host.facts:
            return task_vars
        own: t.Any = self._device_vars(task_vars)
        given = own.get("ansible_facts")
        facts = {name.removeprefix("ansible_"): value for name, value in host.facts.items()}
        described = {"ansible_facts": {**facts, **(given if isinstance(given, dict) else {})}}
        delegate = self._task.delegate_to
        if not delegate:
            return {**task_vars, **described}
        others: t.Any = task_vars["hostvars"]
        return {**task_vars, "hostvars": collections.ChainMap({delegate: collections.ChainMap(described, own)}, others)}


def _show_traceback(name: str, answer: t.Mapping[str, t.Any]) -> None:
    """Show with -vvv where a look crashed on the host."""
    lines = answer.get("traceback")
    if answer.get("failed") and isinstance(lines, list):
        Display().vvv("\n".join([f"{name}:", *(visible(line) for line in lines[:_MOST_LINES])]))
