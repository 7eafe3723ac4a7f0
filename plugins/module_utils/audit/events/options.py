# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The options of audit_events_info, as its documentation describes them."""

from __future__ import annotations

import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils._argspec import reading_spec


def collect_spec() -> dict[str, dict[str, t.Any]]:
    return {
        **reading_spec(),
        "paths": {"type": "list", "elements": "path"},
        "since": {"type": "float"},
        "max_findings": {"type": "int", "default": 1000},
        "rule_paths": {"type": "list", "elements": "path"},
        "threat_lists": {"type": "list", "elements": "dict"},
        "own_rules": {"type": "bool", "default": True},
        "automation_users": {"type": "list", "elements": "str", "default": []},
        "automation_addresses": {"type": "list", "elements": "str", "default": []},
        "automation_units": {"type": "list", "elements": "str", "default": []},
        "time_budget": {"type": "int", "default": 0},
        "priority": {"type": "str", "choices": ["idle", "normal"], "default": "idle"},
        "_content": {"type": "str", "no_log": False},
    }
