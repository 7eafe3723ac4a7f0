# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Lock ports of a host, and prove that it can still be reached before the lock is confirmed."""

from __future__ import annotations

import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils.jit_access.options import apply_spec
from ansible_collections.bulwark.servers.plugins.plugin_utils.actions.module import Conversation
from ansible_collections.bulwark.servers.plugins.plugin_utils.actions.trial import TrialActionBase
from ansible_collections.bulwark.servers.plugins.plugin_utils.jit_access import policy


class ActionModule(TrialActionBase):
    """Lock the ports that the policy names."""

    capability = "jit_access"
    ARGUMENTS: t.ClassVar[t.Mapping[str, t.Any]] = {"argument_spec": apply_spec()}
    ADVICE = (
        "put the address that Ansible comes from into always_allow (jit_access_always_allow of the role); a port that "
        "was opened for it for a while does not count"
    )

    def run_module(self, arguments: dict[str, t.Any], task_vars: dict[str, t.Any]) -> Conversation:
        result = yield from super().run_module(arguments, task_vars)
        if result.get("failed"):
            return result
        notices = policy.useless(arguments.get("ports"), arguments.get("always_allow"))
        return {**result, "notices": [*(result.get("notices") or []), *notices]}
