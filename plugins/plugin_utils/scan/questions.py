# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Turn a capability's entry in the registry into questions for one host."""

from __future__ import annotations

import dataclasses
import typing as t

from ansible.errors import AnsibleError
from ansible_collections.bulwark.servers.plugins.plugin_utils import failure_reasons, misspelt
from ansible_collections.bulwark.servers.plugins.plugin_utils.actions.module import CapabilityActionBase, Conversation
from ansible_collections.bulwark.servers.plugins.plugin_utils.capabilities import Capability
from ansible_collections.bulwark.servers.plugins.plugin_utils.looks import Look
from ansible_collections.bulwark.servers.plugins.plugin_utils.scan.variables import RoleVariables

# Makes the action of a module: its name, its options, and whether it only looks in check mode.
MakeAction = t.Callable[[str, dict[str, t.Any], bool], CapabilityActionBase]


@dataclasses.dataclass
class Question:
    """One look at one host. result: what is known of it; None until the host has answered."""

    capability: str
    look: Look
    action: CapabilityActionBase
    arguments: dict[str, t.Any]
    result: dict[str, t.Any] | None = None

    def talk(self, answers: t.Mapping[str, dict[str, t.Any]], task_vars: dict[str, t.Any]) -> Conversation:
        """Return the conversation with the host. answers: what it answers to all questions, by module.

        They are there as soon as the conversation gets its own.
        """
        conversation = self.action.run_module(self.arguments, task_vars)
        try:
            answer = yield next(conversation)
            missing = _failure_of([answers.get(_module(source)) or {} for source in self.look.answers.values()])
            if missing is not None:
                # What the others say would be taken for all that there is.
                return missing
            if self.look.answers:
                self.action.learn({option: _part(answers, source) for option, source in self.look.answers.items()})
            while True:
                answer = yield conversation.send(answer)
        except StopIteration as stop:
            return t.cast("dict[str, t.Any]", stop.value)

    @property
    def variables(self) -> dict[str, str]:
        """The variables that the options come from, by the names of the options."""
        return {name: value for name, value in self.look.options.items() if isinstance(value, str)}


@dataclasses.dataclass
class Asked:
    """What is asked of a host for one capability, and what is known without asking it.

    problem: why nothing is asked, None where something is. is_usage_error: whether somebody's options are the reason.
    omitted: looks that are not asked for, with the reason.
    """

    capability: str
    questions: list[Question] = dataclasses.field(default_factory=list)
    problem: str | None = None
    is_usage_error: bool = False
    omitted: list[tuple[Look, str]] = dataclasses.field(default_factory=list)


def ask_for(
    capability: Capability,
    variables: RoleVariables,
    names: t.Collection[str],
    make_action: MakeAction,
    task_vars: dict[str, t.Any],
    system: str | None = None,
) -> Asked:
    """Return what to ask for a capability. names: of all variables of the host. system: as Ansible's fact calls it."""
    asked = Asked(capability.id)
    try:
        problems = variables.problems(capability.checked_by_module)
        problems = problems[:1] and ["; ".join(problems)]
        problems += misspelt.of_role(names, capability.id)
        if problems:
            asked.problem, asked.is_usage_error = " ".join(problems), True
            return asked
        for look in capability.looks_at(system):
            if look.when is not None and not variables.holds(look.when):
                if look.otherwise is not None:
                    asked.omitted.append((look, look.otherwise))
                continue
            asked.questions.append(_question(capability.id, look, variables, make_action, task_vars))
    except AnsibleError as error:
        asked.problem = failure_reasons.reason({"msg": error.message}, capability.id, capability.title, {})
    return asked


def _question(
    capability: str,
    look: Look,
    variables: RoleVariables,
    make_action: MakeAction,
    task_vars: dict[str, t.Any],
) -> Question:
    options = {}
    for name, source in look.options.items():
        value = variables.value(source) if isinstance(source, str) else source
        if value is None or (name in look.unless_empty and value in ("", [])):
            continue
        options[name] = value
    action = make_action(look.module, options, look.check_mode)
    arguments, problem = action.prepare(task_vars)
    return Question(capability, look, action, arguments, problem)


def _module(source: str) -> str:
    return source.partition(".")[0]


def _failure_of(answers: t.Iterable[dict[str, t.Any]]) -> dict[str, t.Any] | None:
    return next((answer for answer in answers if answer.get("failed") or answer.get("unreachable")), None)


def _part(answers: t.Mapping[str, dict[str, t.Any]], source: str) -> t.Any:
    """Return what an answer has under ``module.key``, None where nothing was asked."""
    return (answers.get(_module(source)) or {}).get(source.partition(".")[2])
