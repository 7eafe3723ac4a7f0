# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""CrowdStrike Falcon: ``falconctl -g``, one call for each setting, ``name=value.`` or ``name is not set.``."""

from __future__ import annotations

import re

from ansible_collections.bulwark.servers.plugins.module_utils.edr.model import BLOCK, REDUCED, Health
from ansible_collections.bulwark.servers.plugins.module_utils.edr.output_values import Outputs, UnreadableError

_SET = re.compile(r'([a-z-]+)="?([^"\s,]*?)"?\.?\Z')
_VERSION = re.compile(r"version = (\d+(?:\.\d+)+)\.?\Z")
_ID = re.compile(r"[0-9a-f]{32}\Z", re.IGNORECASE)


def read(outputs: Outputs) -> Health:
    """Return the health; raise UnreadableError for an output of another form."""
    aid = _id(outputs, "aid")
    reduced = _setting(outputs, "rfm", "rfm-state")
    if reduced not in (None, "", "true", "false"):
        raise UnreadableError("rfm", "falconctl says neither true nor false for rfm-state")
    backend = _setting(outputs, "backend", "backend")
    return Health(
        product="crowdstrike_falcon",
        version=_version(outputs),
        onboarded=None if aid is None else bool(aid),
        tenant=_id(outputs, "cid") or None,
        # In reduced functionality mode, the sensor does not see what the kernel does.
        mode={"true": REDUCED, "false": BLOCK}.get(reduced or ""),
        real_time={"true": False, "false": True}.get(reduced or ""),
        details={"agent_id": aid or None, "backend": backend or None},
    )


def _setting(outputs: Outputs, source: str, name: str) -> str | None:
    """Return a setting, "" if it is not set, None if it was not asked."""
    if source not in outputs:
        return None
    output = outputs[source].strip()
    if output == "%s is not set." % name:
        return ""
    match = _SET.match(output)
    if match is None or match.group(1) != name:
        raise UnreadableError(source, "falconctl does not say %s in a known form" % name)
    return match.group(2)


def _id(outputs: Outputs, name: str) -> str | None:
    value = _setting(outputs, name, name)
    if value and not _ID.match(value):
        raise UnreadableError(name, "falconctl's %s is not an id" % name)
    return value


def _version(outputs: Outputs) -> str | None:
    if "version" not in outputs:
        return None
    match = _VERSION.match(outputs["version"].strip())
    if match is None:
        raise UnreadableError("version", "falconctl does not say its version in a known form")
    return match.group(1)
