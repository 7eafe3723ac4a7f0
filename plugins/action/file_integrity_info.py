# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Compare a host's files with its baseline, which must carry the seal that the store holds."""

from __future__ import annotations

import typing as t

from ansible.errors import AnsibleActionFail
from ansible_collections.bulwark.servers.plugins.plugin_utils import catalogue
from ansible_collections.bulwark.servers.plugins.plugin_utils import file_integrity as content
from ansible_collections.bulwark.servers.plugins.plugin_utils.seal import SealedActionBase


class ActionModule(SealedActionBase):
    """Give the module what the collection knows of files that package changes generate."""

    def module_arguments(self, arguments: dict[str, t.Any], task_vars: dict[str, t.Any]) -> dict[str, t.Any]:
        arguments = super().module_arguments(arguments, task_vars)
        try:
            arguments["_derived"] = content.load_derived()
            if arguments.get("watches") is not None:
                arguments["watches"] = content.merge_watches([], [], arguments["watches"])
        except catalogue.ContentError as error:
            raise AnsibleActionFail(str(error)) from None
        return arguments
