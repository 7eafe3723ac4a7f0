# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Load once, before Ansible forks for each host, what all hosts need: code, content and the registry."""

from __future__ import annotations

import contextlib

from ansible.errors import AnsibleError
from ansible.plugins.loader import action_loader
from ansible_collections.bulwark.servers.plugins.plugin_utils import capabilities, catalogue, role_variables
from ansible_collections.bulwark.servers.plugins.plugin_utils.catalogue import ContentError
from ansible_collections.bulwark.servers.plugins.plugin_utils.scan import variables
from ansible_collections.bulwark.servers.plugins.plugin_utils.transport import archive


def everything() -> None:
    """Load it. What is wrong with any of it, the scan of each host says where it belongs."""
    with contextlib.suppress(ContentError, OSError):
        catalogue.load()
        archive.load()
        for capability in capabilities.load().values():
            role_variables.spec(capability.id)
            variables.defaults(capability.id)
            for look in capability.looks:
                _preload(look.module)


def _preload(module: str) -> None:
    with contextlib.suppress(AnsibleError, ContentError, OSError):
        action = action_loader.get(f"bulwark.servers.{module}", class_only=True)
        if action is not None:
            action.preload()
