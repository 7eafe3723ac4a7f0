# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The options of traffic_recorder and traffic_info, for the modules and for their action plugins."""

from __future__ import annotations

import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils.network_hardening.flows.formats import FORMS
from ansible_collections.bulwark.servers.plugins.module_utils.network_hardening.traffic.settings import (
    IN,
    OUT,
    PUBLIC_PORTS,
)

KEEP_DAYS = 90
# What the recommender takes, where it isn't told otherwise (plugin_utils/network_hardening/options.py).
MINIMUM_DAYS = 14
MAX_PREFIXES = 16


def apply_spec() -> dict[str, dict[str, t.Any]]:
    """Return the argument spec of traffic_recorder, as the module's documentation describes it."""
    return {
        "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
        "directions": {"type": "list", "elements": "str", "choices": [IN, OUT], "default": [IN]},
        "size": {"type": "int", "default": 8192},
        "timeout_days": {"type": "int", "default": 7},
        "unrecorded_ports": {"type": "list", "elements": "str", "default": list(PUBLIC_PORTS)},
        "keep_days": {"type": "int", "default": KEEP_DAYS},
        "purge": {"type": "bool", "default": False},
        "state_dir": {"type": "path"},
        "lock_timeout": {"type": "int", "default": 60},
    }


def evidence_spec() -> dict[str, dict[str, t.Any]]:
    """Return the options of what else is known of sources, which traffic_info and network_rules_draft have."""
    return {
        "sign_ins": {"type": "list", "elements": "dict"},
        "sign_ins_observed": {"type": "list", "elements": "float"},
        "fleet": {"type": "list", "elements": "dict"},
    }


def collect_spec() -> dict[str, dict[str, t.Any]]:
    """Return the argument spec of traffic_info, as the module's documentation describes it."""
    return {
        "keep_days": {"type": "int", "default": KEEP_DAYS},
        "imports": {
            "type": "list",
            "elements": "dict",
            "default": [],
            "options": {
                "path": {"type": "path", "required": True},
                "format": {"type": "str", "choices": list(FORMS), "required": True},
            },
        },
        "local": {"type": "list", "elements": "str", "default": []},
        "max_traffic": {"type": "int", "default": 20000},
        "trusted": {"type": "list", "elements": "raw", "default": []},
        "threats": {"type": "list", "elements": "raw", "default": []},
        "names": {"type": "dict", "default": {}},
        "public_ports": {"type": "list", "elements": "str", "default": list(PUBLIC_PORTS)},
        "minimum_days": {"type": "int", "default": MINIMUM_DAYS},
        "max_prefixes": {"type": "int", "default": MAX_PREFIXES},
        **evidence_spec(),
        "state_dir": {"type": "path"},
        "lock_timeout": {"type": "int", "default": 60},
    }
