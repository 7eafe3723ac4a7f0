# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The options of edr_alerts_info, for the module and its action plugin."""

from __future__ import annotations

import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils._argspec import reading_spec

FLOORS = ("informational", "low", "medium", "high", "critical")


def collect_spec() -> dict[str, dict[str, t.Any]]:
    """Return the argument spec, as the module's documentation describes it."""
    return {
        **reading_spec(),
        "products": {"type": "list", "elements": "str"},
        "paths": {"type": "dict", "default": {}},
        "floors": {"type": "dict", "default": {}},
        "first_days": {"type": "int", "default": 7},
        "time_budget": {"type": "int", "default": 0},
        "priority": {"type": "str", "choices": ["idle", "normal"], "default": "idle"},
        "_content": {"type": "str", "no_log": False},
    }
