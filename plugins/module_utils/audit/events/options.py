# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The options of audit_events_info, as its documentation describes them."""

from __future__ import annotations

import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils.audit.options import log_scan_spec
from ansible_collections.bulwark.servers.plugins.module_utils.automation.options import automation_spec


def collect_spec() -> dict[str, dict[str, t.Any]]:
    return {
        **log_scan_spec(),
        **automation_spec(),
        "paths": {"type": "list", "elements": "path"},
    }
