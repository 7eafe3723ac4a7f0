# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The action plugin that every capability's own is made of: content in, module, findings out."""

from __future__ import annotations

import dataclasses
import time
import typing as t

from ansible.errors import AnsibleActionFail, AnsibleError
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible.module_utils.errors import UnsupportedError
from ansible.utils.unsafe_proxy import wrap_var
from ansible_collections.bulwark.servers.plugins.plugin_utils import catalogue
from ansible_collections.bulwark.servers.plugins.plugin_utils.actions import naming, simulated_sessions
from ansible_collections.bulwark.servers.plugins.plugin_utils.actions.result import SanitizingActionBase, sanitize
from ansible_collections.bulwark.servers.plugins.plugin_utils.ocsf import events
from ansible_collections.bulwark.servers.plugins.plugin_utils.store import Simulation, coverage


@dataclasses.dataclass(frozen=True)
class Entry:
    """Where a module's work begins: the function that it calls, and what returns its argument spec.

    function: below module_utils, as ``audit.events.collect:collect``.
    """

    function: str
    spec: t.Callable[[], dict[str, dict[str, t.Any]]]


@dataclasses.dataclass(frozen=True)
class Request:
    """What the host is asked once: a module with its arguments.

    check_mode: whether it changes nothing. entry: the same for a scan, which sends no modules; None for a module that
    no scan uses.
    """

    module: str
    arguments: dict[str, t.Any]
    check_mode: bool
    entry: Entry | None = None


# Keys of a result that the store records besides findings and coverage.
_RECORDED = ("controls", "containers", "programs", "program_host", "ended", "remediated", "elsewhere", "investigated")

# Yields what the host is asked, is sent what it answers, and returns the result.
Conversation = t.Generator[Request, dict[str, t.Any], dict[str, t.Any]]


class CapabilityActionBase(SanitizingActionBase):
    """Run the module of the same name on the target and turn its detections into findings.

    A capability's action sets ``capability`` and ``ARGUMENTS``, what ``ArgumentSpecValidator`` takes, and where it has
    something to add overrides ``module_arguments`` (content compiled for the target, what the controller knows of the
    host), ``scopes`` (what it then has to say how far it looked at), ``run_module`` (how often the module runs, what
    the controller keeps of it) and ``complete`` (what the controller adds).

    ``run_module`` and ``execute`` are conversations, so that a scan can put what several capabilities ask into one
    task (``plugin_utils/scan``). Alone, each request runs its module. For a scan there are ``ENTRY``, and where needed
    ``preload``, ``learn`` and ``follow_up``.

    A failed result with ``usage_error`` is about an option or content, not about the host.
    """

    TRANSFERS_FILES = False
    _supports_async = False

    ARGUMENTS: t.ClassVar[t.Mapping[str, t.Any]]
    ENTRY: t.ClassVar[Entry | None] = None
    capability: t.ClassVar[str]

    @classmethod
    def preload(cls) -> None:
        """Load what is the same for all hosts; raise ContentError for content that is wrong."""

    def module_arguments(self, arguments: dict[str, t.Any], task_vars: dict[str, t.Any]) -> dict[str, t.Any]:
        """Return the arguments for the module on the target; raise ContentError for bad input."""
        return arguments

    def scopes(self, arguments: t.Mapping[str, t.Any]) -> t.Sequence[str]:
        """Return the coverage scopes that the module's answer must have with these arguments, as far as is known."""
        return ()

    def run_module(self, arguments: dict[str, t.Any], task_vars: dict[str, t.Any]) -> Conversation:
        """Return the module's result, before its detections become findings."""
        return (yield from self.execute(arguments, task_vars))

    def follow_up(
        self, result: t.Mapping[str, t.Any], arguments: dict[str, t.Any], task_vars: dict[str, t.Any]
    ) -> Conversation | None:
        """Return what a scan does once the result of ``run_module`` is recorded, None where there is nothing to do."""
        return None

    def learn(self, options: t.Mapping[str, t.Any]) -> None:
        """Take options from what another module answered in the same scan, None for what it did not.

        Raises AnsibleActionFail for an answer that cannot be used.
        """
        raise NotImplementedError

    def complete(self, result: dict[str, t.Any]) -> dict[str, t.Any]:
        """Return the result with what only the controller knows."""
        return result

    def simulations(self) -> t.Sequence[Simulation]:
        """Return the simulated attacks that were sent to the host; it can report events of no others."""
        return ()

    def run(self, tmp: t.Any = None, task_vars: dict[str, t.Any] | None = None) -> dict[str, t.Any]:
        task_vars = task_vars or {}
        result: dict[str, t.Any] = super().run(tmp, task_vars)
        del tmp
        arguments, problem = self.prepare(task_vars)
        if problem is not None:
            return naming.in_result(self._task, {**result, **problem})
        with naming.in_errors(self._task):
            outcome = alone(self.run_module(arguments, task_vars), lambda request: self.run_request(request, task_vars))
            result.update(naming.in_result(self._task, self.result(outcome, arguments, task_vars)))
        return t.cast("dict[str, t.Any]", wrap_var(result))

    def prepare(self, task_vars: dict[str, t.Any]) -> tuple[dict[str, t.Any], dict[str, t.Any] | None]:
        """Return the arguments for ``run_module``, and the result where the options are wrong."""
        problem = self._wrong_option()
        arguments: dict[str, t.Any] = {}
        if problem is None:
            try:
                arguments = self.module_arguments(dict(self._task.args), task_vars)
            except catalogue.ContentError as error:
                problem = str(error)
        if problem is None:
            return arguments, None
        return arguments, {"failed": True, "msg": problem, "usage_error": True, "capability": self.capability}

    def result(
        self, answer: t.Mapping[str, t.Any], arguments: t.Mapping[str, t.Any], task_vars: dict[str, t.Any]
    ) -> dict[str, t.Any]:
        """Return what is known after ``run_module``: findings and checked coverage, and nothing to act on.

        Raises AnsibleActionFail for an answer that cannot be used.
        """
        result = sanitize(answer)
        result["capability"] = self.capability
        for name in _RECORDED:
            # Only the action that knows them can say what they mean.
            result.pop(name, None)
        if "detections" in result:
            result["findings"] = self._findings(result.pop("detections"), task_vars)
        if "coverage" in result:
            result["coverage"] = coverage.checked(result["coverage"], self.capability, self.scopes(arguments))
        return self.complete(result)

    def execute(self, arguments: dict[str, t.Any], task_vars: dict[str, t.Any]) -> Conversation:
        """Run this action's module on the target once."""
        return (yield Request(self.module_name(), arguments, bool(self._task.check_mode), self.ENTRY))

    def module_name(self) -> str:
        """Return the name of the module that runs on the target: the action's, unless a platform has another."""
        return str(self._task.action.rpartition(".")[2])

    def run_request(self, request: Request, task_vars: dict[str, t.Any]) -> dict[str, t.Any]:
        """Return the result of the module that is asked for, in a task of its own."""
        return self._execute_module(
            module_name=f"bulwark.servers.{request.module}", module_args=request.arguments, task_vars=task_vars
        )

    def _wrong_option(self) -> str | None:
        """Return what is wrong with the options, None when nothing is.

        The module would say the same, but not that it is the options that are wrong, and on each host.
        """
        problems = ArgumentSpecValidator(**self.ARGUMENTS).validate(self._task.args).errors
        if not problems.errors:
            return None
        unsupported = f"Unsupported parameters for {self._task.action}: "
        return f"{unsupported if isinstance(problems[0], UnsupportedError) else ''}{problems.msg}"

    def _findings(self, detections: t.Any, task_vars: dict[str, t.Any]) -> list[dict[str, t.Any]]:
        host = events.Device.from_vars(self.host_vars(task_vars))
        try:
            return events.findings(
                simulated_sessions.drop_uncovered_claims(detections, self.simulations()),
                catalogue.load(),
                host,
                time.time(),
            )
        except events.DetectionError as error:
            raise AnsibleActionFail(
                f"the host returned an invalid result, which was discarded; check the host: {error}"
            ) from None
        except catalogue.ContentError as error:
            raise AnsibleActionFail(str(error)) from None

    def host_vars(self, task_vars: dict[str, t.Any]) -> t.Mapping[str, t.Any]:
        """Return the variables of the host that the module runs on, which delegation makes another one."""
        delegate = self._task.delegate_to
        return t.cast("t.Mapping[str, t.Any]", task_vars["hostvars"][delegate]) if delegate else task_vars


def alone(conversation: Conversation, ask: t.Callable[[Request], dict[str, t.Any]]) -> dict[str, t.Any]:
    """Return the result of a conversation with a host that nothing else is asked meanwhile. ask: runs the module."""
    try:
        request = next(conversation)
        while True:
            try:
                answer = ask(request)
            except AnsibleError as error:
                request = conversation.throw(error)
            else:
                request = conversation.send(answer)
    except StopIteration as stop:
        return t.cast("dict[str, t.Any]", stop.value)
