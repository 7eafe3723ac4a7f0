# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""List the programs that ran on a host."""

from __future__ import annotations

import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils.app_control.observe import CONTAINERS, PROGRAMS
from ansible_collections.bulwark.servers.plugins.module_utils.app_control.options import collect_spec
from ansible_collections.bulwark.servers.plugins.plugin_utils.actions.module import CapabilityActionBase, Entry


class ActionModule(CapabilityActionBase):
    """Run the module, and show what the host says as text that nothing acts on."""

    capability = "app_control"
    ARGUMENTS: t.ClassVar[t.Mapping[str, t.Any]] = {"argument_spec": collect_spec()}
    ENTRY = Entry("app_control.collect:collect", collect_spec)

    def scopes(self, arguments: t.Mapping[str, t.Any]) -> t.Sequence[str]:
        return (PROGRAMS, CONTAINERS)
