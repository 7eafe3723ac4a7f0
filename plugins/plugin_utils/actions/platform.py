# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The actions whose work a module of Windows does, where the connection leads to a Windows host.

A task, a role and a playbook name the same module for every host. The module for Windows has its name with the prefix
``win_``, and the same options.
"""

from __future__ import annotations

import typing as t

from ansible_collections.bulwark.servers.plugins.plugin_utils.actions import windows
from ansible_collections.bulwark.servers.plugins.plugin_utils.actions.module import CapabilityActionBase
from ansible_collections.bulwark.servers.plugins.plugin_utils.catalogue import ContentError

LINUX, WINDOWS = "linux", "windows"
_PREFIX = "win_"


class PlatformActionBase(CapabilityActionBase):
    """Choose the module by the platform that the connection leads to."""

    # Options that the module of Windows does not have.
    LINUX_ONLY: t.ClassVar[t.Collection[str]] = ()

    def module_name(self) -> str:
        name = super().module_name()
        return _PREFIX + name if self.is_windows() and not name.startswith(_PREFIX) else name

    def is_windows(self) -> bool:
        return windows.is_windows(self._connection._shell)

    def platform(self) -> str:
        """Return the platform; raise ContentError where a task names the module of Windows for another one."""
        if self.is_windows():
            return WINDOWS
        name = super().module_name()
        if name.startswith(_PREFIX):
            raise ContentError(
                f"{self._task.action}: the connection does not lead to a Windows host; use"
                f" bulwark.servers.{name.removeprefix(_PREFIX)}, which knows both, or set ansible_shell_type=powershell"
            )
        return LINUX

    def without_others(self, arguments: dict[str, t.Any]) -> dict[str, t.Any]:
        """Return the arguments without those that the platform's module does not have."""
        if not self.is_windows():
            return arguments
        return {name: value for name, value in arguments.items() if name not in self.LINUX_ONLY}
