# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whom the network rules keep out, and where, for those who want to see what comes of it."""

from __future__ import annotations

import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils._argspec import HostError
from ansible_collections.bulwark.servers.plugins.module_utils.firewall import enforcing, simulated
from ansible_collections.bulwark.servers.plugins.module_utils.network_hardening.rules import decide, state
from ansible_collections.bulwark.servers.plugins.module_utils.network_hardening.rules.policy import ENFORCE, Policy

# Discard (RFC 863), on which hardly anything listens: who is blocked is so on all ports.
_PROTOCOL, _PORT = "tcp", 9

# Who comes, and protocol and number of the port.
Visit = t.Tuple[str, str, int]


def blocked(params: t.Mapping[str, t.Any], _address: str) -> Visit:
    """Return an address of IPv4 that is blocked, and a port. params: with state_dir.

    Raises HostError where there is none, and StateError where that can't be told.
    """
    policy = _policy(params)
    decision = decide.Decision(policy)
    for one in policy.blocked:
        address = str(one.network_address)
        if one.version == 4 and decision.of(address, _PROTOCOL, _PORT) == decide.BLOCKED:
            return address, _PROTOCOL, _PORT
    raise HostError("the network rules of this host block no address of IPv4")


def denied(params: t.Mapping[str, t.Any], address: str) -> Visit:
    """Return an address that is nobody's, and a port that it is denied on; raise as ``blocked`` does."""
    policy = _policy(params)
    if policy.mode != ENFORCE:
        # A service would answer, and nobody is there for that.
        raise HostError("the network rules of this host are in audit mode, and deny nobody")
    decision = decide.Decision(policy)
    for rule in policy.rules:
        for protocol in rule.protocols:
            if decision.of(address, protocol, rule.ports.first) == decide.DENIED:
                return address, protocol, rule.ports.first
    raise HostError("the network rules of this host deny %s nothing" % address)


def note(params: t.Mapping[str, t.Any], packet: t.Mapping[str, t.Any]) -> None:
    """Note that a packet that was kept out was simulated, if the host still has rules; raise as ``Hook`` says."""
    with enforcing.directory(params, state.CAPABILITY, create=False) as where:
        if where is not None:
            simulated.note(where, packet)


def _policy(params: t.Mapping[str, t.Any]) -> Policy:
    with enforcing.directory(params, state.CAPABILITY, create=False) as where:
        noted = state.read(where)
    if noted is None:
        raise HostError("no network rules are set on this host")
    return noted[0]
