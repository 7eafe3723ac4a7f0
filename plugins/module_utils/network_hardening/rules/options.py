# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The options of the modules of network rules, for the modules and for their action plugins."""

from __future__ import annotations

import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils.network_hardening.rules.policy import AUDIT, MODES


def apply_spec() -> dict[str, dict[str, t.Any]]:
    """Return the argument spec of network_rules, as the module's documentation describes it."""
    return {
        "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
        "mode": {"type": "str", "choices": list(MODES), "default": AUDIT},
        "rules": {
            "type": "list",
            "elements": "dict",
            "default": [],
            "options": {
                "port": {"type": "str", "required": True},
                "protocol": {"type": "str", "choices": ["tcp", "udp", "both"], "default": "tcp"},
                "prefixes": {"type": "list", "elements": "str", "default": []},
                "closed": {"type": "bool", "default": False},
            },
        },
        "blocked": {"type": "list", "elements": "str", "default": []},
        "always_allow": {"type": "list", "elements": "str", "default": []},
        "log": {"type": "bool", "default": False},
        "confirm_within": {"type": "int", "default": 60},
        "state_dir": {"type": "path"},
        "lock_timeout": {"type": "int", "default": 60},
        "_confirm": {"type": "str", "no_log": False},
        "_withdraw": {"type": "str", "no_log": False},
        "_through_network": {"type": "bool", "default": False},
    }


def collect_spec() -> dict[str, dict[str, t.Any]]:
    """Return the argument spec of network_rules_info, as the module's documentation describes it."""
    return {"state_dir": {"type": "path"}}
