# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Look at a host's network rules: whether they are in force, and whom they deny."""

from __future__ import annotations

import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils.network_hardening.rules.collect import SCOPES
from ansible_collections.bulwark.servers.plugins.module_utils.network_hardening.rules.options import collect_spec
from ansible_collections.bulwark.servers.plugins.plugin_utils.actions.module import CapabilityActionBase, Entry


class ActionModule(CapabilityActionBase):
    """Turn what the module saw into findings."""

    capability = "network_hardening"
    ARGUMENTS: t.ClassVar[t.Mapping[str, t.Any]] = {"argument_spec": collect_spec()}
    ENTRY = Entry("network_hardening.rules.collect:collect", collect_spec)

    def scopes(self, arguments: t.Mapping[str, t.Any]) -> t.Sequence[str]:
        return SCOPES
