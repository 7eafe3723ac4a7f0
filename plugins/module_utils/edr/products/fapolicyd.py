# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""fapolicyd: its configuration says whether it stops what it does not allow (fapolicyd.conf(5))."""

from __future__ import annotations

from ansible_collections.bulwark.servers.plugins.module_utils.edr.model import BLOCK, PASSIVE, Health
from ansible_collections.bulwark.servers.plugins.module_utils.edr.output_values import Outputs, pairs


def read(outputs: Outputs) -> Health:
    """Return the health; the mode is unknown without a configuration."""
    permissive = pairs(outputs.get("configuration", ""), "=").get("permissive")
    return Health(product="fapolicyd", mode={"0": BLOCK, "1": PASSIVE}.get(permissive or ""))
