# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A port that is locked for somebody, for those who want to see what comes of an attempt."""

from __future__ import annotations

import ipaddress
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils._argspec import HostError
from ansible_collections.bulwark.servers.plugins.module_utils.firewall import simulated, words
from ansible_collections.bulwark.servers.plugins.module_utils.jit_access import clock, grants, state


def port(params: t.Mapping[str, t.Any], source: str) -> tuple[str, str, int]:
    """Return an address, and protocol and number of a port that is locked for it. params: with state_dir.

    Raises HostError where there is none, and StateError where that can't be told.
    """
    address = ipaddress.ip_network(source)
    with state.directory(params, create=False) as where:
        noted = state.read_policy(where)
        book = state.read_book(where, clock.now())
    if noted is None:
        raise HostError("no port of this host is locked by just-in-time access")
    policy = noted[0]
    if words.within(address, policy.always_allow):
        raise HostError("the policy of just-in-time access always lets %s in" % source)
    for lock in policy.locks:
        for protocol in lock.protocols:
            if not _is_open(book.open, address, protocol, lock.ports.first):
                return source, protocol, lock.ports.first
    raise HostError("everything that just-in-time access locks is open for %s now" % source)


def note(params: t.Mapping[str, t.Any], packet: t.Mapping[str, t.Any]) -> None:
    """Note that a packet to a locked port was simulated, if the host still has a policy; raise as ``Hook`` says."""
    with state.directory(params, create=False) as where:
        if where is not None:
            simulated.note(where, packet)


def _is_open(open_ones: t.Iterable[grants.Grant], address: words.Network, protocol: str, number: int) -> bool:
    return any(
        one.version == address.version
        and one.protocol == protocol
        and one.first_port <= number <= one.last_port
        and one.first <= int(address.network_address) <= one.last
        for one in grants.rectangles(open_ones)
    )
