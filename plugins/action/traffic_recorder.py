# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Have the kernel of a host record who connects."""

from __future__ import annotations

import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils.network_hardening.traffic.options import recorder_spec
from ansible_collections.bulwark.servers.plugins.plugin_utils.actions.module import CapabilityActionBase


class ActionModule(CapabilityActionBase):
    """Nothing of it is decided on the controller."""

    capability = "network_hardening"
    ARGUMENTS: t.ClassVar[t.Mapping[str, t.Any]] = {"argument_spec": recorder_spec()}
