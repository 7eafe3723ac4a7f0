# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Cortex XDR: ``cytool info``, ``cytool info query`` and ``cytool runtime query``."""

from __future__ import annotations

import re

from ansible_collections.bulwark.servers.plugins.module_utils.edr.model import Health
from ansible_collections.bulwark.servers.plugins.module_utils.edr.output_values import (
    Outputs,
    UnreadableError,
    pairs,
    text,
)

_VERSION = re.compile(r"^Cortex XDR .* (\d+(?:\.\d+)+)\s*$", re.MULTILINE)
_ROW = re.compile(
    r"\s*(\S+)\s+(\d+|N/A|-)\s+(\S+)\s+(Running|Stopped|Starting|Stopping|Disabled|Failed)\b", re.IGNORECASE
)
# The daemon that protects; the others analyse for it.
_PROTECTS = "pmd"


def read(outputs: Outputs) -> Health:
    """Return the health; raise UnreadableError for an output of another form."""
    states = _states(outputs)
    stopped = sorted(name for name, state in states.items() if state != "running" and name != _PROTECTS)
    content = pairs(outputs["content"], ":").get("Content Version") if "content" in outputs else None
    if "content" in outputs and content is None:
        raise UnreadableError("content", "cytool info query has no Content Version")
    return Health(
        product="cortex_xdr",
        version=_version(outputs),
        real_time=states[_PROTECTS] == "running" if _PROTECTS in states else None,
        content=text(content),
        problems=["%s is %s" % (name, states[name]) for name in stopped],
    )


def _version(outputs: Outputs) -> str | None:
    if "info" not in outputs:
        return None
    match = _VERSION.search(outputs["info"])
    if match is None:
        raise UnreadableError("info", "cytool info has no version")
    return match.group(1)


def _states(outputs: Outputs) -> dict[str, str]:
    if "runtime" not in outputs:
        return {}
    rows = [_ROW.match(line) for line in outputs["runtime"].splitlines()]
    states = {row.group(1): row.group(4).lower() for row in rows if row is not None}
    if _PROTECTS not in states:
        raise UnreadableError("runtime", "cytool runtime query does not list %s" % _PROTECTS)
    return states
