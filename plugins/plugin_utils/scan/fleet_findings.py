# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Findings of capabilities about all hosts together, at the end of a run. Nothing here names a capability."""

from __future__ import annotations

import importlib
import typing as t

from ansible_collections.bulwark.servers.plugins.plugin_utils import capabilities
from ansible_collections.bulwark.servers.plugins.plugin_utils.store import Store

_PACKAGE = __name__.rpartition(".scan.")[0]


class FleetFindings(t.Protocol):
    """The module ``plugin_utils/CAPABILITY/fleet_findings.py`` of a capability with ``has_fleet_findings``."""

    def detections(
        self, store: Store, variable: t.Callable[[str], t.Any], scope: str, now: float
    ) -> list[dict[str, t.Any]]:
        """Return detections of a scope as modules do. variable: returns the value of a variable of the role.

        Raises ContentError for what people wrote and cannot be read.
        """


def of(capability: str) -> FleetFindings | None:
    """Return what a capability has for it, None for one that finds nothing about all hosts together."""
    known = capabilities.load().get(capability)
    if known is None or not known.has_fleet_findings:
        return None
    return t.cast("FleetFindings", importlib.import_module(f"{_PACKAGE}.{capability}.fleet_findings"))
