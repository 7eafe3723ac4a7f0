# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The options of sign_in_info, as its documentation describes them."""

from __future__ import annotations

import typing as t


def look_spec() -> dict[str, dict[str, t.Any]]:
    return {
        "paths": {"type": "list", "elements": "path"},
        "audit_paths": {"type": "list", "elements": "path"},
        "journal": {"type": "str", "choices": ["auto", "always", "never"], "default": "auto"},
        "since": {"type": "float"},
        "first_days": {"type": "int", "default": 30},
        "max_findings": {"type": "int", "default": 1000},
        "rule_paths": {"type": "list", "elements": "path"},
        "own_rules": {"type": "bool", "default": True},
        "time_budget": {"type": "int", "default": 0},
        "priority": {"type": "str", "choices": ["idle", "normal"], "default": "idle"},
        "state_dir": {"type": "path"},
        "store": {"type": "str"},
        "run": {"type": "str"},
        "_content": {"type": "str", "no_log": False},
        "_token": {"type": "str", "no_log": False},
        "_advance": {"type": "bool", "default": False},
    }
