# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Leave the deployment of endpoint protection to the role in ``edr_deploy_role``, which the role edr includes."""

from __future__ import annotations

from ansible_collections.bulwark.servers.plugins.plugin_utils.protection.steps import Steps


def protect(steps: Steps) -> None:
    """Have the playbook include the role if products are expected and the user names a role."""
    steps.by_role = bool(steps.value("edr_deploy_role")) and bool(steps.entries("edr_expected"))
