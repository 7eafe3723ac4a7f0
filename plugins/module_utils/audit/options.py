# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The options that audit_events_info and sign_in_info share, as their documentation describes them."""

from __future__ import annotations

import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils._argspec import reading_spec


def log_scan_spec() -> dict[str, dict[str, t.Any]]:
    return {
        **reading_spec(),
        "since": {"type": "float"},
        "max_findings": {"type": "int", "default": 1000},
        "rule_paths": {"type": "list", "elements": "path"},
        "threat_lists": {"type": "list", "elements": "dict"},
        "own_rules": {"type": "bool", "default": True},
        "time_budget": {"type": "int", "default": 0},
        "priority": {"type": "str", "choices": ["idle", "normal"], "default": "idle"},
        "_content": {"type": "str", "no_log": False},
    }
