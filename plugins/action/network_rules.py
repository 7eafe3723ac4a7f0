# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Narrow ports of a host to the sources that need them, and prove that it can still be reached."""

from __future__ import annotations

import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils.network_hardening.rules.options import apply_spec
from ansible_collections.bulwark.servers.plugins.plugin_utils.actions.trial import TrialActionBase


class ActionModule(TrialActionBase):
    """Set the rules; those in audit mode deny nobody, and are on no trial."""

    capability = "network_hardening"
    ARGUMENTS: t.ClassVar[t.Mapping[str, t.Any]] = {"argument_spec": apply_spec()}
    ADVICE = (
        "put the address that Ansible comes from into always_allow "
        "(network_hardening_always_allow of the role), or, unless it is blocked, among the prefixes of the port "
        "that it comes to; a port that was opened for it for a while does not count"
    )
