# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Say in an event what a control of the host did about what was seen, as OCSF's profile Security Control has it."""

from __future__ import annotations

import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils._finding import ALLOWED, BLOCKED, QUARANTINED

_OUTCOMES: t.Mapping[str, t.Mapping[str, t.Any]] = {
    ALLOWED: {"action_id": 1, "action": "Allowed", "disposition_id": 1, "disposition": "Allowed"},
    BLOCKED: {"action_id": 2, "action": "Denied", "disposition_id": 2, "disposition": "Blocked"},
    QUARANTINED: {"action_id": 2, "action": "Denied", "disposition_id": 3, "disposition": "Quarantined"},
}


def describe(event: dict[str, t.Any], disposition: t.Any) -> None:
    """Add the outcome to an event. disposition: of ``_finding.DISPOSITIONS``; anything else adds nothing."""
    outcome = _OUTCOMES.get(disposition) if isinstance(disposition, str) else None
    if outcome is not None:
        event.update(outcome)
        event["metadata"]["profiles"].append("security_control")
