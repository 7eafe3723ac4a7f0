# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The Wazuh agent: its state file, which it writes every 5 seconds, and the manager's address in its configuration.

https://documentation.wazuh.com/current/user-manual/reference/statistics-files/wazuh-agentd-state.html. A manager has no
such file.
"""

from __future__ import annotations

import re

from ansible_collections.bulwark.servers.plugins.module_utils.edr.model import Health
from ansible_collections.bulwark.servers.plugins.module_utils.edr.output_values import (
    Outputs,
    UnreadableError,
    pairs,
    text,
)

_CONNECTED = {"connected": True, "disconnected": False, "pending": False}
_ADDRESS = re.compile(r"<address>\s*([^<>\s]{1,255})\s*</address>")
_UNSET = ("MANAGER_IP", "0.0.0.0")  # noqa: S104 - a placeholder that the package ships, nothing that is listened on
_VERSION = re.compile(r'^(?:VERSION=|WAZUH_VERSION=)?"?v?(\d+\.\d+\.\d+)"?', re.MULTILINE)


def read(outputs: Outputs) -> Health:
    """Return the health; raise UnreadableError for a state file of another form."""
    status = None
    if "state" in outputs:
        status = pairs(outputs["state"], "=").get("status", "").strip("'\"")
        if status not in _CONNECTED:
            raise UnreadableError(
                "state", "the state file has none of the statuses connected, pending and disconnected"
            )
    address = _ADDRESS.search(outputs.get("configuration", ""))
    manager = address.group(1) if address and address.group(1) not in _UNSET else None
    version = _VERSION.search(outputs.get("version", ""))
    return Health(
        product="wazuh",
        version=text(version.group(1)) if version else None,
        onboarded=(manager is not None) if "state" in outputs and "configuration" in outputs else None,
        tenant=manager,
        cloud=None if status is None else _CONNECTED[status],
        details={"status": status},
    )
