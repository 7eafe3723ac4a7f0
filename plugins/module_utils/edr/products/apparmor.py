# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""AppArmor: whether the kernel has it enabled, and how many of its profiles stop anything (apparmor(7))."""

from __future__ import annotations

import re

from ansible_collections.bulwark.servers.plugins.module_utils.edr.model import BLOCK, PASSIVE, Health
from ansible_collections.bulwark.servers.plugins.module_utils.edr.output_values import Outputs, UnreadableError

_PROFILE = re.compile(r"\((enforce|complain|kill|unconfined|prompt|mixed)\)\s*\Z")


def read(outputs: Outputs) -> Health:
    """Return the health; raise UnreadableError if the kernel says neither Y nor N."""
    enabled = outputs.get("enabled", "N").strip()
    if enabled not in ("Y", "N"):
        raise UnreadableError("enabled", "/sys/module/apparmor/parameters/enabled has neither Y nor N")
    if "profiles" not in outputs:
        return Health(product="apparmor", running=enabled == "Y")
    modes = [match.group(1) for match in map(_PROFILE.search, outputs["profiles"].splitlines()) if match is not None]
    enforced = sum(mode in ("enforce", "kill") for mode in modes)
    return Health(
        product="apparmor",
        running=enabled == "Y",
        mode=BLOCK if enforced else PASSIVE if modes else None,
        details={"profiles": len(modes), "enforced": enforced},
    )
