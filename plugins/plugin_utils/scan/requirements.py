# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What capabilities need on the controller before a scan can use them. Nothing here names a capability."""

from __future__ import annotations

import importlib
import typing as t

from ansible_collections.bulwark.servers.plugins.plugin_utils import capabilities

_PACKAGE = __name__.rpartition(".scan.")[0]


class Requirements(t.Protocol):
    """The module ``plugin_utils/CAPABILITY/requirements.py`` of a capability with ``has_requirements``."""

    def missing(self, variable: t.Callable[[str], t.Any]) -> str | None:
        """Return in a sentence what is missing, None for nothing. variable: returns the value of a role's variable."""


def of(capability: str) -> Requirements | None:
    """Return what a capability has for it, None for one that needs nothing."""
    known = capabilities.load().get(capability)
    if known is None or not known.has_requirements:
        return None
    return t.cast("Requirements", importlib.import_module(f"{_PACKAGE}.{capability}.requirements"))
