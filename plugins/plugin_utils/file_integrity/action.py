# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the actions of file integrity share: the watches of the host's platform, and the module that knows it.

A task, a role and a playbook name the same module for every host. The connection says which platform it leads to, and
on Windows the module win_file_integrity does the work, which has the same options.
"""

from __future__ import annotations

import typing as t

from ansible_collections.bulwark.servers.plugins.plugin_utils.actions import windows
from ansible_collections.bulwark.servers.plugins.plugin_utils.actions.baseline import BaselineActionBase
from ansible_collections.bulwark.servers.plugins.plugin_utils.catalogue import ContentError
from ansible_collections.bulwark.servers.plugins.plugin_utils.file_integrity import content, windows_watches

_PREFIX = "win_"
# How a Linux host is read. On Windows one process reads every file, at the priority that the connection gives it.
_LINUX_ONLY = ("workers", "priority", "rehash")


class FileIntegrityActionBase(BaselineActionBase):
    """Choose watches and module by the platform that the connection leads to."""

    capability = "file_integrity"

    @classmethod
    def preload(cls) -> None:
        content.load_watches()
        content.load_derived()

    def module_name(self) -> str:
        name = super().module_name()
        return _PREFIX + name if self._is_windows() and not name.startswith(_PREFIX) else name

    def platform_arguments(self, arguments: dict[str, t.Any], default: bool) -> dict[str, t.Any]:
        """Return the arguments with the watches that are asked for. default: whether they are the collection's own."""
        platform = content.WINDOWS if self._is_windows() else content.LINUX
        if super().module_name().startswith(_PREFIX) and platform != content.WINDOWS:
            raise ContentError(
                f"{self._task.action}: the connection does not lead to a Windows host; "
                "use bulwark.servers.file_integrity, which knows both, or set ansible_shell_type=powershell"
            )
        asked = content.asked_watches(arguments, default=default, platform=platform)
        arguments["_default_names"] = content.default_names(asked, platform)
        if asked is not None:
            arguments["watches"] = asked
        if platform == content.WINDOWS:
            arguments["_microsoft_roots"] = list(windows_watches.load_microsoft_roots())
            return {name: value for name, value in arguments.items() if name not in _LINUX_ONLY}
        arguments["_derived"] = content.load_derived()
        return arguments

    def scopes(self, arguments: t.Mapping[str, t.Any]) -> t.Sequence[str]:
        return [watch["name"] for watch in arguments.get("watches") or ()]

    def _is_windows(self) -> bool:
        return windows.is_windows(self._connection._shell)
