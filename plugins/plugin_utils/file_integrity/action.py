# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the actions of file integrity share: the watches of the host's platform, and the module that knows it."""

from __future__ import annotations

import typing as t

from ansible_collections.bulwark.servers.plugins.plugin_utils.actions.baseline import BaselineActionBase
from ansible_collections.bulwark.servers.plugins.plugin_utils.actions.platform import WINDOWS, PlatformActionBase
from ansible_collections.bulwark.servers.plugins.plugin_utils.file_integrity import content, windows_watches


class FileIntegrityActionBase(PlatformActionBase, BaselineActionBase):
    """Choose watches and module by the platform that the connection leads to."""

    capability = "file_integrity"
    # How a Linux host is read. On Windows one process reads every file, at the priority that the connection gives it.
    LINUX_ONLY = ("workers", "priority", "rehash")

    @classmethod
    def preload(cls) -> None:
        content.load_watches()
        content.load_derived()

    def platform_arguments(self, arguments: dict[str, t.Any], default: bool) -> dict[str, t.Any]:
        """Return the arguments with the watches that are asked for. default: whether they are the collection's own."""
        platform = self.platform()
        asked = content.asked_watches(arguments, default=default, platform=platform)
        arguments["_default_names"] = content.default_names(asked, platform)
        if asked is not None:
            arguments["watches"] = asked
        if platform == WINDOWS:
            arguments["_microsoft_roots"] = list(windows_watches.load_microsoft_roots())
        else:
            arguments["_derived"] = content.load_derived()
        return self.without_others(arguments)

    def scopes(self, arguments: t.Mapping[str, t.Any]) -> t.Sequence[str]:
        return [watch["name"] for watch in arguments.get("watches") or ()]
