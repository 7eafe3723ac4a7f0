# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The options of app_control_info and app_inventory_info, as their documentation describes them."""

from __future__ import annotations

import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils._argspec import reading_spec
from ansible_collections.bulwark.servers.plugins.module_utils.app_control.enforcement.policy import AUDIT, MODES
from ansible_collections.bulwark.servers.plugins.module_utils.automation.options import automation_spec


def collect_spec() -> dict[str, dict[str, t.Any]]:
    """Return the options of app_inventory_info."""
    return {
        "paths": {"type": "list", "elements": "path"},
        **automation_spec(),
        "max_programs": {"type": "int", "default": 20000},
        "keep_days": {"type": "int", "default": 90},
        "time_budget": {"type": "int", "default": 300},
        "priority": {"type": "str", "choices": ["idle", "normal"], "default": "idle"},
    }


def look_spec() -> dict[str, dict[str, t.Any]]:
    """Return the options of app_control_info."""
    return {
        **reading_spec(),
        **collect_spec(),
        "allowlists": {"type": "path"},
        "roles": {"type": "list", "elements": "str", "default": []},
        "mode": {"type": "str", "choices": list(MODES), "default": AUDIT},
        "_content": {"type": "str", "no_log": False},
        "_own": {"type": "dict", "no_log": False},
    }
