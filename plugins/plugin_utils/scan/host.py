# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The host as a scan talks to it: what it was asked, what it keeps, and what went wrong on the way."""

from __future__ import annotations

import typing as t

from ansible.errors import AnsibleConnectionFailure, AnsibleError
from ansible_collections.bulwark.servers.plugins.plugin_utils.actions.module import Request
from ansible_collections.bulwark.servers.plugins.plugin_utils.ocsf.host import platform_facts
from ansible_collections.bulwark.servers.plugins.plugin_utils.scan import asking
from ansible_collections.bulwark.servers.plugins.plugin_utils.transport.exchange import ask
from ansible_collections.bulwark.servers.plugins.plugin_utils.transport.model import (
    Answers,
    Look,
    Options,
    Run,
    Tampered,
)

FACTS = "_platform:facts"


class Host:
    """One host during a scan.

    answers: the last one to each question. pins: what it keeps. facts: those that name its platform, None before it
    has answered. problem: why it could not be asked the last time, None where it could. reached: whether it ever was.
    """

    def __init__(self, run: Run, options: Options, pins: t.Mapping[str, str], diff: bool) -> None:
        self._run = run
        self._options = options
        self._diff = diff
        self.pins = dict(pins)
        self.answers: dict[str, dict[str, t.Any]] = {}
        self.facts: dict[str, t.Any] | None = None
        self.problem: t.Mapping[str, t.Any] | None = None
        self.reached = False
        self.notes: list[str] = []
        self.tampered: list[Tampered] = []

    def ask(self, requests: t.Mapping[str, Request]) -> dict[str, dict[str, t.Any]]:
        """Return the answers to these questions."""
        refused, looks = self._looks(requests)
        answered = self._answers(looks) if looks else None
        if answered is not None:
            self.pins = dict(answered.pins)
            self.problem = answered.problem
            # The facts come first: a scan that ended early has their answer, and those of some looks.
            self.reached = self.reached or answered.problem is None or bool(answered.platform)
            self.notes += answered.notes
            self.tampered += answered.tampered
            if answered.platform:
                self.facts = platform_facts(answered.platform)
        answers = {**refused, **(answered.looks if answered is not None else {})}
        if self.problem is not None and self.problem.get("unreachable"):
            # A conversation stops there, as it does with a module that does not come back.
            answers = {
                name: {**answer, "unreachable": True} if answer.get("failed") else answer
                for name, answer in answers.items()
            }
        self.answers.update(answers)
        return answers

    def coverage(self) -> dict[str, t.Any] | None:
        """Return the coverage entry of what no capability sees on this host: there is none, each says so itself."""
        return None

    def _answers(self, looks: t.Sequence[Look]) -> Answers:
        """Return what the host answers; what ansible-core raises on the way is the problem."""
        try:
            return ask(self._run, looks, self._options, self.pins)
        except AnsibleConnectionFailure as error:
            problem = {"unreachable": True, "msg": error.message.strip()}
        except AnsibleError as error:
            problem = {"failed": True, "msg": error.message.strip()}
        except Exception as error:  # noqa: BLE001 - ansible-core stumbles over what a host may print
            problem = {"failed": True, "msg": f"the host's result could not be used: {type(error).__name__}: {error}"}
        failed = {"failed": True, "msg": problem["msg"]}
        return Answers({look.id: dict(failed) for look in looks}, {}, self.pins, (), (), problem)

    def _looks(self, requests: t.Mapping[str, Request]) -> tuple[dict[str, dict[str, t.Any]], list[Look]]:
        refused: dict[str, dict[str, t.Any]] = {}
        looks = []
        for name, request in requests.items():
            if request.entry is None:
                raise TypeError(f"the action {request.module} has no ENTRY, so no scan can ask it")
            try:
                looks.append(asking.look_of(name, request, request.entry, self._diff))
            except asking.WrongArgumentsError as error:
                refused[name] = {"failed": True, "msg": str(error), "usage_error": True}
        return refused, looks
