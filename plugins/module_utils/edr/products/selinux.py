# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""SELinux: ``/sys/fs/selinux/enforce`` (selinux(8))."""

from __future__ import annotations

from ansible_collections.bulwark.servers.plugins.module_utils.edr.model import BLOCK, PASSIVE, Health
from ansible_collections.bulwark.servers.plugins.module_utils.edr.output_values import Outputs, UnreadableError


def read(outputs: Outputs) -> Health:
    """Return the health; raise UnreadableError if the kernel says neither 0 nor 1."""
    if "enforce" not in outputs:
        return Health(product="selinux", running=False)
    modes = {"0": PASSIVE, "1": BLOCK}
    if outputs["enforce"].strip() not in modes:
        raise UnreadableError("enforce", "/sys/fs/selinux/enforce has neither 0 nor 1")
    return Health(product="selinux", running=True, mode=modes[outputs["enforce"].strip()])
