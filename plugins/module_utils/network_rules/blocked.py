# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An address that the network rules block, for those who want to see what comes of its traffic."""

from __future__ import annotations

import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils._argspec import HostError
from ansible_collections.bulwark.servers.plugins.module_utils.firewall import enforcing
from ansible_collections.bulwark.servers.plugins.module_utils.network_rules import decide, state

# Discard (RFC 863), on which hardly anything listens: who is blocked is so on all ports.
_PROTOCOL, _PORT = "tcp", 9


def source(params: t.Mapping[str, t.Any]) -> tuple[str, str, int]:
    """Return an address of IPv4 that is blocked, and protocol and number of a port. params: with state_dir.

    Raises HostError where there is none, and StateError where that can't be told.
    """
    with enforcing.directory(params, state.CAPABILITY, create=False) as where:
        noted = state.read(where)
    if noted is None or not noted[0].blocked:
        raise HostError("the network rules of this host block nobody")
    decision = decide.Decision(noted[0])
    for one in noted[0].blocked:
        address = str(one.network_address)
        if one.version == 4 and decision.of(address, _PROTOCOL, _PORT) == decide.BLOCKED:
            return address, _PROTOCOL, _PORT
    raise HostError("the network rules of this host block no address of IPv4")
