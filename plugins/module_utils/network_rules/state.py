# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a host knows of network rules: the policy that is in force, and the one on trial."""

from __future__ import annotations

import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils._state import StateDirectory
from ansible_collections.bulwark.servers.plugins.module_utils.firewall import records
from ansible_collections.bulwark.servers.plugins.module_utils.network_rules import policy as policies
from ansible_collections.bulwark.servers.plugins.module_utils.network_rules.policy import Policy

CAPABILITY = "network_rules"
LOCK = "lock"
POLICY = "policy.json"
PROPOSED = "proposed.json"
_LOST = "is let in or denied"


def read(where: StateDirectory | None, name: str = POLICY) -> tuple[Policy, t.Mapping[str, t.Any]] | None:
    """Return a policy that was noted with what was noted beside it, None where there is none. StateError."""

    def parsed(content: t.Mapping[str, t.Any]) -> tuple[Policy, t.Mapping[str, t.Any]]:
        return policies.parse(content["policy"]), content

    return records.read(where, name, parsed, _LOST)


def write(where: StateDirectory, policy: Policy, name: str = POLICY, **beside: t.Any) -> None:
    records.write(where, name, {"policy": policy.fields(), **beside})
