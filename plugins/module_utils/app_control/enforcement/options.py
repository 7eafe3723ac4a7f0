# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The options of app_control and app_control_window, for the modules and for their action plugins."""

from __future__ import annotations

import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils.app_control.enforcement.policy import AUDIT, MODES


def apply_spec() -> dict[str, dict[str, t.Any]]:
    """Return the argument spec of app_control."""
    return {
        "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
        "mode": {"type": "str", "choices": list(MODES), "default": AUDIT},
        "allowlists": {"type": "path"},
        "roles": {"type": "list", "elements": "str", "default": []},
        "confirm_within": {"type": "int", "default": 120},
        "restart_services": {"type": "list", "elements": "str", "default": []},
        "blocked": {"type": "list", "elements": "str", "default": []},
        "file_systems": {"type": "list", "elements": "str", "default": []},
        "watcher": {"type": "bool", "default": False},
        "minimum_days": {"type": "int", "default": 14},
        "state_dir": {"type": "path"},
        "store": {"type": "str"},
        "lock_timeout": {"type": "int", "default": 60},
        "_content": {"type": "str", "no_log": False},
        "_connection": {"type": "dict"},
        "_token": {"type": "str", "no_log": False},
        "_confirm": {"type": "str", "no_log": False},
        "_withdraw": {"type": "str", "no_log": False},
    }


def window_spec() -> dict[str, dict[str, t.Any]]:
    """Return the argument spec of app_control_window."""
    return {
        "state": {"type": "str", "choices": ["opened", "closed"], "default": "opened"},
        "minutes": {"type": "int"},
        "reason": {"type": "str", "default": ""},
        "by": {"type": "str"},
        "state_dir": {"type": "path"},
        "lock_timeout": {"type": "int", "default": 60},
        "store": {"type": "str"},
    }
