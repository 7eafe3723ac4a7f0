# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Decide what a policy does with a source on a port, as the rules that ``table`` makes of it do in the kernel."""

from __future__ import annotations

import ipaddress

from ansible_collections.bulwark.servers.plugins.module_utils.firewall.words import Prefixes
from ansible_collections.bulwark.servers.plugins.module_utils.network_hardening.rules.policy import Policy

ALWAYS = "always_allow"
BLOCKED = "blocked"
LET_IN = "let_in"
DENIED = "denied"
# The policy names no such port.
LEFT_ALONE = "left_alone"


class Decision:
    """Answers for many sources what a policy does with them, quickly."""

    def __init__(self, policy: Policy) -> None:
        self._always = Prefixes(policy.always_allow)
        self._blocked = Prefixes(policy.blocked)
        self._rules = [(rule, Prefixes(rule.prefixes)) for rule in policy.rules]

    def of(self, source: str, protocol: str, port: int) -> str:
        """Return one of the words above for a new connection; raise ValueError where the source is no address."""
        address = ipaddress.ip_address(source)
        place = (address.version, int(address), int(address))
        if self._always.around(*place):
            return ALWAYS
        if self._blocked.around(*place):
            return BLOCKED
        for rule, prefixes in self._rules:
            if protocol in rule.protocols and rule.ports.first <= port <= rule.ports.last:
                return LET_IN if prefixes.around(*place) else DENIED
        return LEFT_ALONE
