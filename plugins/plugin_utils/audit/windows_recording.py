# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a Windows host records, for the modules that say in their coverage which rules can find nothing."""

from __future__ import annotations

import typing as t

from ansible_collections.bulwark.servers.plugins.plugin_utils import payload
from ansible_collections.bulwark.servers.plugins.plugin_utils.actions.module import Request

_MODULE = "win_audit_policy_info"
# The look reads the configuration of its channels itself, and no rule depends on a single path.
_ARGUMENTS: t.Mapping[str, t.Any] = {"channels": [], "paths": [], "default_lists": False}


def read() -> t.Generator[Request, dict[str, t.Any], str]:
    """Ask the host, and return the value of the option ``_recording``; ``unknown`` in it says what is not known."""
    result = yield Request(_MODULE, dict(_ARGUMENTS), check_mode=True)
    recording = result.get("recording")
    if result.get("failed") or not isinstance(recording, dict):
        reason = str(result.get("msg") or "the module returned nothing")
        return payload.packed({"unknown": [{"subject": "what the host records", "reason": reason}]})
    return payload.packed({**recording, "unknown": result.get("unknown") or []})
