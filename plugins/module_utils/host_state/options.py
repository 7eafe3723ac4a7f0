# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The options of host_state, for the module and for its action plugin."""

from __future__ import annotations

import typing as t


def apply_spec() -> dict[str, dict[str, t.Any]]:
    """Return the argument spec of host_state, as the module's documentation describes it."""
    return {
        "state": {"type": "str", "choices": ["absent"], "required": True},
        "capabilities": {"type": "list", "elements": "str"},
        "state_dirs": {"type": "dict", "default": {}},
        "skip_root": {"type": "bool", "default": False},
        "lock_timeout": {"type": "int", "default": 60},
        "store": {"type": "str"},
        "_roots": {"type": "list", "elements": "dict"},
    }
