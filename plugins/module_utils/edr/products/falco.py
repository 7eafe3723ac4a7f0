# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Falco: ``falco --version``. It says nothing else about itself; dropped system calls are among its alerts."""

from __future__ import annotations

import re

from ansible_collections.bulwark.servers.plugins.module_utils.edr.model import Health
from ansible_collections.bulwark.servers.plugins.module_utils.edr.output_values import Outputs, UnreadableError

_VERSION = re.compile(
    r"(?:^Falco version: |\"falco_version\": ?\"|^falco version )v?(\d+(?:\.\d+)+[^\s\",]*)", re.MULTILINE
)


def read(outputs: Outputs) -> Health:
    """Return the health; raise UnreadableError for an output of another form."""
    if "version" not in outputs:
        return Health(product="falco")
    match = _VERSION.search(outputs["version"])
    if match is None:
        raise UnreadableError("version", "falco --version has no version")
    return Health(product="falco", version=match.group(1))
