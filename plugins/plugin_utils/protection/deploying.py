# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Find what deploys a capability, and run it."""

from __future__ import annotations

import importlib
import typing as t

from ansible_collections.bulwark.servers.plugins.plugin_utils.capabilities import Capability
from ansible_collections.bulwark.servers.plugins.plugin_utils.protection.steps import Steps

_PACKAGE = "ansible_collections.bulwark.servers.plugins.plugin_utils"


class Protection(t.Protocol):
    """The module ``plugin_utils/CAPABILITY/protection.py`` of a capability with ``has_protection``."""

    def protect(self, steps: Steps) -> None:
        """Deploy the capability, or take it back. Raises StepError."""


def deploy(capability: Capability, steps: Steps) -> None:
    """Deploy a capability; one without ``has_protection`` is left to the tasks of its role. Raises StepError."""
    if not capability.has_protection:
        steps.by_role = True
        return
    module = t.cast("Protection", importlib.import_module(f"{_PACKAGE}.{capability.id}.protection"))
    module.protect(steps)
