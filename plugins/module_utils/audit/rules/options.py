# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The options of audit_rules, for the module and for its action plugin."""

from __future__ import annotations

import typing as t


def apply_spec() -> dict[str, dict[str, t.Any]]:
    """Return the argument spec, as the module's documentation describes it."""
    return {
        "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
        "groups": {"type": "list", "elements": "str"},
        "extra_groups": {"type": "list", "elements": "str", "default": []},
        "disabled_groups": {"type": "list", "elements": "str", "default": []},
        "rules": {"type": "list", "elements": "str", "default": []},
        "automation_users": {"type": "list", "elements": "str", "default": []},
        "exclude_programs": {"type": "list", "elements": "path", "default": []},
        "backlog_limit": {"type": "int", "default": 16384},
        "backlog_wait_time": {"type": "int", "default": 0},
        "require_daemon": {"type": "bool", "default": True},
        "rules_file": {"type": "path", "default": "/etc/audit/rules.d/70-bulwark.rules"},
        "state_dir": {"type": "path"},
        "lock_timeout": {"type": "int", "default": 60},
        "_groups": {"type": "list", "elements": "dict"},
    }
