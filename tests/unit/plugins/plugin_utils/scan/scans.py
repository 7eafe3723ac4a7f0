# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Actions without a host, variables without a play."""

from __future__ import annotations

import types
import typing as t

from ansible.parsing.dataloader import DataLoader
from ansible.template import Templar
from ansible_collections.bulwark.servers.plugins.plugin_utils.actions.module import (
    CapabilityActionBase,
    Conversation,
    Entry,
)
from ansible_collections.bulwark.servers.plugins.plugin_utils.looks import Look
from ansible_collections.bulwark.servers.plugins.plugin_utils.scan.questions import Question
from ansible_collections.bulwark.servers.plugins.plugin_utils.scan.variables import RoleVariables

try:
    from ansible.template import trust_as_template
except ImportError:  # ansible-core 2.18

    def trust_as_template(text: str) -> str:
        return text


class Action(CapabilityActionBase):
    """Asks its host once, and learns what it is given."""

    capability = "audit"
    ARGUMENTS: t.ClassVar[t.Mapping[str, t.Any]] = {"argument_spec": {"days": {"type": "int"}}}
    ENTRY = Entry("audit.rules.collect:collect", lambda: {"days": {"type": "int"}})

    def __init__(self, module: str = "door_info", check_mode: bool = False, **options: t.Any) -> None:
        self._task = types.SimpleNamespace(
            action=f"bulwark.servers.{module}", args=options, check_mode=check_mode, delegate_to=None
        )
        self.learned: list[t.Mapping[str, t.Any]] = []

    def learn(self, options: t.Mapping[str, t.Any]) -> None:
        self.learned.append(options)


def look(module: str = "door_info", **fields: t.Any) -> Look:
    return Look(**{"module": module, "scope": "doors", "subject": "The doors", "options": {}, **fields})


def question(result: dict[str, t.Any] | None = None, capability: str = "audit", **fields: t.Any) -> Question:
    return Question(capability, look(**fields), Action(), {}, result)


def variables(role: str, **given: t.Any) -> RoleVariables:
    """Return the variables of a role; texts among those that are given are templates."""
    trusted = {name: trust_as_template(value) if isinstance(value, str) else value for name, value in given.items()}
    return RoleVariables(role, trusted, Templar(loader=DataLoader(), variables=trusted))


def drain(conversation: Conversation, *answers: dict[str, t.Any]) -> dict[str, t.Any]:
    """Return the result of a conversation that asks as often as there are answers."""
    next(conversation)
    for answer in answers:
        try:
            conversation.send(answer)
        except StopIteration as stop:
            return t.cast("dict[str, t.Any]", stop.value)
    raise AssertionError("it asks for more")
