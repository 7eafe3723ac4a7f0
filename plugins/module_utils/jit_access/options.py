# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The options of the modules of just-in-time access, for the modules and for their action plugins."""

from __future__ import annotations

import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils.jit_access.policy import USUAL


def apply_spec() -> dict[str, dict[str, t.Any]]:
    """Return the argument spec of jit_access, as the module's documentation describes it."""
    return {
        "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
        "ports": {
            "type": "list",
            "elements": "dict",
            "default": [],
            "options": {
                "port": {"type": "str", "required": True},
                "protocol": {"type": "str", "choices": ["tcp", "udp", "both"], "default": "tcp"},
                "sources": {"type": "list", "elements": "str"},
                "max_duration": {"type": "int", "default": USUAL},
                "close_connections": {"type": "bool", "default": False},
            },
        },
        "always_allow": {"type": "list", "elements": "str", "default": []},
        "confirm_within": {"type": "int", "default": 60},
        "state_dir": {"type": "path"},
        "lock_timeout": {"type": "int", "default": 60},
        "_confirm": {"type": "str", "no_log": False},
        "_withdraw": {"type": "str", "no_log": False},
        "_through_network": {"type": "bool", "default": False},
    }


def grant_spec() -> dict[str, dict[str, t.Any]]:
    """Return the argument spec of jit_grant, as the module's documentation describes it."""
    return {
        "state": {"type": "str", "choices": ["open", "closed"], "default": "open"},
        "id": {"type": "str"},
        "ports": {"type": "list", "elements": "str"},
        "protocol": {"type": "str", "choices": ["tcp", "udp", "both"], "default": "tcp"},
        "sources": {"type": "list", "elements": "str"},
        "duration": {"type": "int"},
        "requested_for": {"type": "str"},
        "requested_by": {"type": "str"},
        "reason": {"type": "str"},
        "digest": {"type": "str"},
        "closed_by": {"type": "str"},
        "other_firewalls": {"type": "str", "choices": ["fail", "warn"], "default": "fail"},
        "state_dir": {"type": "path"},
        "lock_timeout": {"type": "int", "default": 60},
    }


def collect_spec() -> dict[str, dict[str, t.Any]]:
    """Return the argument spec of jit_access_info, as the module's documentation describes it."""
    return {
        "history": {"type": "int", "default": 100},
        "state_dir": {"type": "path"},
        "store": {"type": "str"},
    }
