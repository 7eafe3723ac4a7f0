# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run the module ``host_scan`` on a host, from an action plugin."""

from __future__ import annotations

import contextlib
import typing as t

from ansible.errors import AnsibleError
from ansible.plugins.connection import ConnectionBase
from ansible_collections.bulwark.servers.plugins.plugin_utils.transport.model import Run

MODULE = "bulwark.servers.host_scan"
# ansible-core writes this one into the module's source, anywhere and as it is: with facts of a host in it, that host
# would have code run wherever the module runs. Without it, the controller's own configuration counts.
_WRITTEN_INTO_SOURCE = "ansible_syslog_facility"


class Action(t.Protocol):
    """An action plugin, as far as it is needed here."""

    _connection: t.Any

    def _execute_module(
        self, module_name: str, module_args: dict[str, t.Any], task_vars: dict[str, t.Any]
    ) -> dict[str, t.Any]: ...


def runner(action: Action, task_vars: t.Mapping[str, t.Any]) -> Run:
    """Return what ``ask`` needs to run the module for this task."""
    return _Runner(action, {name: value for name, value in task_vars.items() if name != _WRITTEN_INTO_SOURCE})


class _Runner:
    """Runs the module, by a new connection if the one before ended."""

    def __init__(self, action: Action, variables: dict[str, t.Any]) -> None:
        self._action = action
        self._variables = variables
        self._is_lost = False

    def __call__(self, arguments: dict[str, t.Any]) -> dict[str, t.Any]:
        connection = self._action._connection
        if self._is_lost and type(connection).reset is not ConnectionBase.reset:
            # Otherwise paramiko goes on to use it, and ssh its shared one.
            with contextlib.suppress(AnsibleError):
                connection.reset()
        self._is_lost = True
        result = self._action._execute_module(module_name=MODULE, module_args=arguments, task_vars=self._variables)
        self._is_lost = bool(result.get("failed"))
        # That is for the connection to say, by what it raises, and not for the host.
        return {name: value for name, value in result.items() if name != "unreachable"}
