# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The options of sign_in_info and sign_in_sources_info, as their documentation describes them."""

from __future__ import annotations

import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils.audit.options import log_scan_spec


def collect_spec() -> dict[str, dict[str, t.Any]]:
    return {
        **log_scan_spec(),
        "paths": {"type": "list", "elements": "path"},
        "audit_paths": {"type": "list", "elements": "path"},
        "journal": {"type": "str", "choices": ["auto", "always", "never"], "default": "auto"},
        "first_days": {"type": "int", "default": 30},
    }


def sources_spec() -> dict[str, dict[str, t.Any]]:
    return {
        "days": {"type": "int", "default": 90},
        "time_budget": {"type": "int", "default": 120},
        "priority": {"type": "str", "choices": ["idle", "normal"], "default": "idle"},
    }
