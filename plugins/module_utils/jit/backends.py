# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which packet filter a host's policy is in, and which one it is to be in."""

from __future__ import annotations

import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils._argspec import HostError
from ansible_collections.bulwark.servers.plugins.module_utils.firewall.nft import FirewallError
from ansible_collections.bulwark.servers.plugins.module_utils.jit.iptables import Iptables
from ansible_collections.bulwark.servers.plugins.module_utils.jit.nftables import Nftables
from ansible_collections.bulwark.servers.plugins.module_utils.jit.packet_filter import PacketFilter
from ansible_collections.bulwark.servers.plugins.module_utils.jit.policy import Policy

AUTO = "auto"
# The one that is better comes first.
_KINDS: t.Mapping[str, t.Callable[[], PacketFilter]] = {Nftables.name: Nftables, Iptables.name: Iptables}
NAMES = tuple(_KINDS)

# A policy as the state has it, with what is noted beside it.
Noted = t.Optional[t.Tuple[Policy, t.Mapping[str, t.Any]]]


def named(name: str) -> PacketFilter:
    """Return the packet filter of that name; raise HostError where a newer version has noted another one."""
    if name not in _KINDS:
        raise HostError("this host's policy is in a packet filter that this version does not know; use a newer one")
    return _KINDS[name]()


def every() -> list[PacketFilter]:
    return [named(name) for name in NAMES]


def home(noted: Noted) -> PacketFilter | None:
    """Return the packet filter that a policy is in, None without a policy."""
    return None if noted is None else named(str(noted[1].get("backend", Nftables.name)))


def choose(wanted: str, before: PacketFilter | None, policy: Policy) -> PacketFilter:
    """Return the packet filter that a policy is to be in.

    wanted: the option ``backend``. before: that of the policy so far, which is left only for a better one, or where it
    is asked for. Raises FirewallError when none can be used.
    """
    if before is not None and (before.name == wanted or (wanted == AUTO and before.name == NAMES[0])):
        return before
    said = []
    for found in every() if wanted == AUTO else [named(wanted)]:
        reason = _reason(found, policy)
        if reason is None:
            return found
        said.append(reason)
    raise FirewallError("; and ".join(said))


def _reason(packets: PacketFilter, policy: Policy) -> str | None:
    """Return why a packet filter can't be used for a policy, None where it can."""
    try:
        packets.check(policy)
    except FirewallError as error:
        return str(error)
    return None
