# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""State of network rules on a host: the policy that is in force, and the one on trial."""

from __future__ import annotations

import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils._state import StateDirectory
from ansible_collections.bulwark.servers.plugins.module_utils.firewall import enforcing, records
from ansible_collections.bulwark.servers.plugins.module_utils.firewall.records import POLICY, PROPOSED
from ansible_collections.bulwark.servers.plugins.module_utils.network_hardening.rules import policy as policies
from ansible_collections.bulwark.servers.plugins.module_utils.network_hardening.rules.policy import Policy

CAPABILITY = "network_rules"
_LOST = "is let in or denied"


def directory(params: t.Mapping[str, t.Any], create: bool) -> t.ContextManager[StateDirectory | None]:
    """Give the directory of the state, None where there is none and ``create`` is false."""
    return enforcing.directory(params, CAPABILITY, create, damaged, _LOST)


def damaged(where: StateDirectory | None) -> list[str]:
    """Return the names of the files that are damaged."""
    return records.damaged({POLICY: lambda: read(where), PROPOSED: lambda: read(where, PROPOSED)})


def read(where: StateDirectory | None, name: str = POLICY) -> tuple[Policy, t.Mapping[str, t.Any]] | None:
    """Return a policy that was noted with what was noted beside it, None where there is none. StateError."""

    def parsed(content: t.Mapping[str, t.Any]) -> tuple[Policy, t.Mapping[str, t.Any]]:
        return policies.parse({**content["policy"], "always_allow": content["policy"]["always"]}), content

    return records.read(where, name, parsed, _LOST)


def write(where: StateDirectory, policy: Policy, name: str = POLICY, **beside: t.Any) -> None:
    """Write a policy, with the keys of the first version. Raises StateError."""
    fields = policy.fields()
    fields["always"] = fields.pop("always_allow")
    records.write(where, name, {"policy": fields, **beside})
