# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The kernel's audit system: ``auditctl -s`` (auditctl(8))."""

from __future__ import annotations

from ansible_collections.bulwark.servers.plugins.module_utils.edr.model import Health
from ansible_collections.bulwark.servers.plugins.module_utils.edr.output_values import Outputs, UnreadableError, pairs


def read(outputs: Outputs) -> Health:
    """Return the health; raise UnreadableError for an output of another form."""
    if "status" not in outputs:
        return Health(product="auditd")
    values = pairs(outputs["status"], r"\s+")
    enabled, lost = values.get("enabled"), values.get("lost", "")
    if enabled not in ("0", "1", "2"):
        raise UnreadableError("status", "auditctl -s does not say whether the audit system is enabled")
    return Health(
        product="auditd",
        real_time=enabled != "0",
        # Rules that nobody can change before the next boot.
        tamper_protection=enabled == "2",
        problems=["the kernel lost %s audit records" % lost] if lost.isdigit() and int(lost) else [],
    )
