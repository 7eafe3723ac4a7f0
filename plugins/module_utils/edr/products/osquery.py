# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""osquery: ``osqueryd --version``, and in its flags the server that it reports to."""

from __future__ import annotations

import re

from ansible_collections.bulwark.servers.plugins.module_utils.edr.model import Health
from ansible_collections.bulwark.servers.plugins.module_utils.edr.output_values import (
    Outputs,
    UnreadableError,
    pairs,
    text,
)

_VERSION = re.compile(r"^osqueryd version (\d+(?:\.\d+)+\S*)", re.MULTILINE)


def read(outputs: Outputs) -> Health:
    """Return the health; raise UnreadableError for an output of another form."""
    version = None
    if "version" in outputs:
        match = _VERSION.search(outputs["version"])
        if match is None:
            raise UnreadableError("version", "osqueryd --version has no version")
        version = match.group(1)
    flags = pairs(outputs.get("flags", ""), "=")
    return Health(product="osquery", version=version, tenant=text(flags.get("--tls_hostname")))
