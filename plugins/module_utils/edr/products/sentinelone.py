# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""SentinelOne: ``sentinelctl`` with version, engines status, control status and management status."""

from __future__ import annotations

import re

from ansible_collections.bulwark.servers.plugins.module_utils.edr.model import Health
from ansible_collections.bulwark.servers.plugins.module_utils.edr.output_values import (
    Outputs,
    UnreadableError,
    flag,
    pairs,
    text,
    unread,
)

_SEPARATOR = r":\s+|\s{2,}"
_ON, _OFF = ("on", "enabled", "yes"), ("off", "disabled", "no")
# One of them is in the output of each of the four.
_KNOWN = ("Agent version", "DFI engine", "Agent state", "Connectivity")
_NONE = ("undefined", "")
_URL = re.compile(r"https?://\S+\Z")


def read(outputs: Outputs) -> Health:
    """Return the health; raise UnreadableError for an output with nothing that is known."""
    values: dict[str, str] = {}
    for source, output in outputs.items():
        by_name = pairs(output, _SEPARATOR)
        if not any(name in by_name for name in _KNOWN):
            raise UnreadableError(source, "sentinelctl said none of %s" % ", ".join(_KNOWN))
        values.update(by_name)
    connected = flag(values.get("Connectivity"), _ON, _OFF)
    state = flag(values.get("Agent state"), _ON, _OFF)
    site, url = text(values.get("Site-Key")), text(values.get("URL"))
    managed = None
    if "URL" in values:
        managed = url is not None and _URL.match(url) is not None and values.get("Site-Key", "").lower() not in _NONE
    off = [
        "%s is %s" % (name, values[name].lower())
        for name in ("DFI engine", "Dynamic engine")
        if flag(values.get(name), _ON, _OFF) is False
    ]
    return Health(
        product="sentinelone",
        version=text(values.get("Agent version")),
        onboarded=managed,
        tenant=url if site else None,
        real_time=state,
        engine=text(values.get("DFI library version")),
        # It has no signatures: a connected agent gets its content from the console.
        up_to_date=connected or None,
        tamper_protection=flag(values.get("Anti Tamper"), _ON, _OFF),
        cloud=connected,
        problems=off,
        unread=unread(
            "sentinelctl",
            {
                "Connectivity": connected,
                "Agent state": state,
                "Anti Tamper": flag(values.get("Anti Tamper"), _ON, _OFF),
            },
            values,
        ),
        details={"agent_id": text(values.get("UUID"))},
    )
