# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Compare a host's files with its baseline, which must carry the seal that the store holds."""

from __future__ import annotations

import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils.file_integrity.options import collect_spec
from ansible_collections.bulwark.servers.plugins.plugin_utils.file_integrity import content
from ansible_collections.bulwark.servers.plugins.plugin_utils.file_integrity.action import FileIntegrityActionBase


class ActionModule(FileIntegrityActionBase):
    """Give the module the watches that are asked for, and what is known of files that package changes generate."""

    ARGUMENTS: t.ClassVar[t.Mapping[str, t.Any]] = {"argument_spec": content.unchecked_watches(collect_spec())}

    def module_arguments(self, arguments: dict[str, t.Any], task_vars: dict[str, t.Any]) -> dict[str, t.Any]:
        return self.platform_arguments(super().module_arguments(arguments, task_vars), default=False)
