# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Paths as records and allowlists show them."""

from __future__ import annotations

import os

from ansible_collections.bulwark.servers.plugins.module_utils._finding import unprintable


def unprintable_text(path: str) -> str:
    """Return a path as the file system has it; as it is where it has an escape that records never have."""
    try:
        return os.fsdecode(unprintable(path))
    except ValueError:
        return path
