# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The actions of modules that read logs from a checkpoint on.

The store holds the checkpoint: how far it knows the logs of a host. With ``run`` the module starts there and returns
the next checkpoint, which ``findings_record`` stores together with the findings. Without a run, and in check mode, the
module reads the same and the checkpoint stays.

The store also has the sessions of simulated attacks. With ``run`` the module gets them, and reports their events
separately.
"""

from __future__ import annotations

import contextlib
import time
import typing as t

from ansible.errors import AnsibleActionFail
from ansible.utils.display import Display
from ansible_collections.bulwark.servers.plugins.plugin_utils import payload
from ansible_collections.bulwark.servers.plugins.plugin_utils.actions.module import CapabilityActionBase, Conversation
from ansible_collections.bulwark.servers.plugins.plugin_utils.actions.platform import LINUX
from ansible_collections.bulwark.servers.plugins.plugin_utils.ocsf import events
from ansible_collections.bulwark.servers.plugins.plugin_utils.store import Simulation, Store, StoreError

# A checkout of rules for other products has hundreds that cannot be used.
_MAX_WARNINGS = 5
# Seconds. Older logs are rotated away, or were read by former runs.
_SIMULATED_FOR = 60 * 86_400


class RuleSet(t.Protocol):
    """Compiled rules: the payload for the module, and a sentence for each rule that cannot be used."""

    @property
    def payload(self) -> str: ...

    @property
    def problems(self) -> t.Sequence[str]: ...


class CheckpointActionBase(CapabilityActionBase):
    """Send the module its checkpoint. ``run`` and ``store`` stay on the controller.

    A subclass sets ``CHECKPOINT``, the name of its module's checkpoint.
    """

    CHECKPOINT: t.ClassVar[str]

    def module_arguments(self, arguments: dict[str, t.Any], task_vars: dict[str, t.Any]) -> dict[str, t.Any]:
        self._store_url: str | None = arguments.pop("store", None)
        self._run: str | None = arguments.pop("run", None)
        self._simulations: t.Sequence[Simulation] = ()
        return arguments

    def execute(self, arguments: dict[str, t.Any], task_vars: dict[str, t.Any]) -> Conversation:
        if self._run:
            arguments = {**arguments, "_advance": True, **self._known(self.host_name(task_vars))}
        return (yield from super().execute(arguments, task_vars))

    def host_name(self, task_vars: dict[str, t.Any]) -> str:
        """Return what the store calls the host."""
        return events.Device.from_vars(self.host_vars(task_vars)).name

    def open_store(self) -> Store:
        """Return the store, to read it. Raises StoreError."""
        mode: t.Literal["write", "check"] = "check" if self._task.check_mode else "write"
        return Store.open(self._store_url, mode=mode)

    def _known(self, host: str) -> dict[str, str]:
        """Return the checkpoint and the simulations of a host, as arguments of the module."""
        try:
            with contextlib.closing(self.open_store()) as store:
                token = store.checkpoint(host, self.CHECKPOINT)
                self._simulations = store.simulations_of(host, since=time.time() - _SIMULATED_FOR)
        except StoreError as error:
            raise AnsibleActionFail(str(error)) from None
        simulations = [
            {"id": each.id, "started": each.started, "sessions": each.sessions}
            for each in self._simulations
            if each.sessions
        ]
        return {
            **({"_token": token} if token else {}),
            **({"_simulated": payload.packed({"simulations": simulations})} if simulations else {}),
        }

    def simulations(self) -> t.Sequence[Simulation]:
        return self._simulations


class LogReadingActionBase(CheckpointActionBase):
    """Send the module its rules, too, and report rules that cannot be used.

    A subclass sets ``RESULT_KEY``, a key that only a complete result has, and overrides ``load_rules``.
    """

    RESULT_KEY: t.ClassVar[str]

    @classmethod
    def load_rules(
        cls, rule_paths: t.Sequence[str], threat_lists: t.Sequence[t.Any], own_rules: bool, platform: str = LINUX
    ) -> RuleSet:
        """Return the rules for the module on a platform; raise ContentError for an option that is wrong."""
        raise NotImplementedError

    def platform(self) -> str:
        """Return the platform whose rules the module gets."""
        return LINUX

    @classmethod
    def preload(cls) -> None:
        cls.load_rules((), (), True)

    def module_arguments(self, arguments: dict[str, t.Any], task_vars: dict[str, t.Any]) -> dict[str, t.Any]:
        arguments = super().module_arguments(arguments, task_vars)
        rules = self.load_rules(
            arguments.pop("rule_paths", None) or (),
            arguments.pop("threat_lists", None) or (),
            arguments.pop("own_rules", True),
            self.platform(),
        )
        self._problems = list(rules.problems)
        _warn(self._problems)
        arguments["_content"] = rules.payload
        return arguments

    def run_module(self, arguments: dict[str, t.Any], task_vars: dict[str, t.Any]) -> Conversation:
        result = yield from super().run_module(arguments, task_vars)
        return {**result, "rule_problems": self._problems} if self.RESULT_KEY in result else result


def _warn(problems: t.Sequence[str]) -> None:
    """Warn about the first problems; Ansible shows the same warning once, however many hosts it is for."""
    display = Display()
    for problem in problems[:_MAX_WARNINGS]:
        display.warning(problem)
    left = len(problems) - _MAX_WARNINGS
    if left > 0:
        display.warning(f"{left} more rules or entries can't be used; rule_problems of the result names them")
