# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The action of a module that looks in logs with the detections that are compiled on the controller."""

from __future__ import annotations

import typing as t

from ansible.utils.display import Display
from ansible_collections.bulwark.servers.plugins.plugin_utils.actions.checkpoint import ReadingActionBase
from ansible_collections.bulwark.servers.plugins.plugin_utils.audit import detections

# Of a checkout of rules for other products, hundreds may be of no use.
_MOST_WARNINGS = 5


class DetectingActionBase(ReadingActionBase):
    """Give the module its rules, and say which of the user's can't be used: in a warning, and in the result.

    An action of it sets ``SOURCES``, what its module reads, and ``RESULT_KEY``, a key of every complete result.
    """

    SOURCES: t.ClassVar[frozenset[str]]
    RESULT_KEY: t.ClassVar[str]
    capability = detections.CAPABILITY

    def module_arguments(self, arguments: dict[str, t.Any], task_vars: dict[str, t.Any]) -> dict[str, t.Any]:
        arguments = super().module_arguments(arguments, task_vars)
        content = detections.load(
            arguments.pop("rule_paths", None) or (),
            arguments.pop("threat_lists", None) or (),
            own_rules=arguments.pop("own_rules", True),
            sources=self.SOURCES,
        )
        self._problems = content.problems
        self._warn()
        arguments["_content"] = content.payload
        return arguments

    def run_module(self, arguments: dict[str, t.Any], task_vars: dict[str, t.Any]) -> dict[str, t.Any]:
        result = super().run_module(arguments, task_vars)
        return {**result, "rule_problems": list(self._problems)} if self.RESULT_KEY in result else result

    def _warn(self) -> None:
        """Show what can't be used; Ansible shows the same warning once, however many hosts it is for."""
        display = Display()
        for problem in self._problems[:_MOST_WARNINGS]:
            display.warning(problem)
        left = len(self._problems) - _MOST_WARNINGS
        if left > 0:
            display.warning(f"{left} more rules or entries can't be used; rule_problems of the result names them")
