# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The options of audit_events_info, as its documentation describes them."""

from __future__ import annotations

import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils.audit.options import log_scan_spec


def collect_spec() -> dict[str, dict[str, t.Any]]:
    return {
        **log_scan_spec(),
        "paths": {"type": "list", "elements": "path"},
        "automation_users": {"type": "list", "elements": "str", "default": []},
        "automation_addresses": {"type": "list", "elements": "str", "default": []},
        "automation_units": {"type": "list", "elements": "str", "default": []},
    }
