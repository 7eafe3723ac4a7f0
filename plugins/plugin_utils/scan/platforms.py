# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tell a host that a capability does not know before it is asked, where that is known, or by what it answers."""

from __future__ import annotations

import typing as t

from ansible_collections.bulwark.servers.plugins.plugin_utils.actions.windows import is_windows
from ansible_collections.bulwark.servers.plugins.plugin_utils.capabilities import (
    Capability,
    platform_of,
    unknown_platform,
)
from ansible_collections.bulwark.servers.plugins.plugin_utils.ocsf.events import Device

# Ansible's name for the system of a Windows host.
WINDOWS = "Win32NT"


def known(shell: t.Any, task_vars: t.Mapping[str, t.Any]) -> str | None:
    """Return Ansible's name for the system of a host, None where nothing tells yet. shell: of its connection."""
    return WINDOWS if is_windows(shell) else Device.from_vars(task_vars).system


def unknown_to(capability: Capability, system: str | None) -> str | None:
    """Return why a capability cannot look at a system, None where it can. system: None is not known yet."""
    if system is None or platform_of(system) in capability.platforms:
        return None
    return unknown_platform(system)
