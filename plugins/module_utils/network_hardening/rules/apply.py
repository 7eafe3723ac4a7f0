# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Put network rules in force, on trial where they deny anything, or take them away again."""

from __future__ import annotations

import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils._argspec import UsageError
from ansible_collections.bulwark.servers.plugins.module_utils._state import StateDirectory
from ansible_collections.bulwark.servers.plugins.module_utils.firewall import enforcing, openings, policy_table
from ansible_collections.bulwark.servers.plugins.module_utils.firewall.own import Comparison
from ansible_collections.bulwark.servers.plugins.module_utils.firewall.policy_table import Noted, PolicyTable
from ansible_collections.bulwark.servers.plugins.module_utils.firewall.records import POLICY
from ansible_collections.bulwark.servers.plugins.module_utils.firewall.trial import Rules
from ansible_collections.bulwark.servers.plugins.module_utils.network_hardening.rules import policy, state, table
from ansible_collections.bulwark.servers.plugins.module_utils.network_hardening.rules.policy import Policy


def apply(params: t.Mapping[str, t.Any], check_mode: bool) -> dict[str, t.Any]:
    """Do what the options ask for and return the module's result; in check mode look only."""
    enforcing.check_trial(params)
    wanted = None
    if params["state"] == "present":
        try:
            wanted = policy.parse(params)
        except policy.PolicyError as error:
            raise UsageError(str(error)) from error
    return policy_table.apply(RulesTable(params), wanted, check_mode)


class RulesTable(PolicyTable[Policy]):
    """The table of network rules, with what is open in other tables."""

    name = table.NAME
    title = "network rules"

    def directory(self, create: bool) -> t.ContextManager[StateDirectory | None]:
        return state.directory(self.params, create)

    def damaged(self, where: StateDirectory | None) -> list[str]:
        return state.damaged(where)

    def read(self, where: StateDirectory | None, name: str = POLICY) -> Noted[Policy]:
        return state.read(where, name)

    def write(self, where: StateDirectory, policy: Policy, name: str = POLICY, **noted: t.Any) -> None:
        state.write(where, policy, name, **noted)

    def rules(self, policy: Policy) -> Rules:
        return table.rules(policy)

    def lines(self, wanted: Policy) -> list[str]:
        return policy.lines(wanted)

    def has_other_openings(self, _where: StateDirectory | None, _seen: Comparison) -> bool:
        return bool(openings.unknown(self.nft, self.name))

    def fill(self, _where: StateDirectory) -> None:
        openings.copy(self.nft, self.name)

    def settle(self, where: StateDirectory, _wanted: Policy, note: t.Callable[[], None]) -> dict[str, t.Any]:
        self.fill(where)
        note()
        return {}

    def denies_nobody(self, wanted: Policy) -> bool:
        return wanted.mode == policy.AUDIT

    def warnings(self, wanted: Policy) -> list[str]:
        return [enforcing.sentence(text) for text in policy.without_effect(wanted)]
