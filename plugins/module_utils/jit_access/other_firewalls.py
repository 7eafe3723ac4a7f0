# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Other firewalls on the host, which may deny what a grant opens: a packet must get through all of them."""

from __future__ import annotations

import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils.firewall import others
from ansible_collections.bulwark.servers.plugins.module_utils.firewall.firewalld import Firewalld
from ansible_collections.bulwark.servers.plugins.module_utils.firewall.nft import FirewallError
from ansible_collections.bulwark.servers.plugins.module_utils.firewall.verdict import Packet
from ansible_collections.bulwark.servers.plugins.module_utils.jit_access.grants import Request
from ansible_collections.bulwark.servers.plugins.module_utils.jit_access.nftables import Nftables

# Of a request for many ports and prefixes, so many are held against the rules of others.
_MOST = 64
_TIMED = "firewalld"


class Answer(t.NamedTuple):
    """Sentences on what other firewalls do with a request. certain: they deny it; possible: they may."""

    certain: list[str]
    possible: list[str]
    # Of those, what goes through a firewall that can open it for a while.
    timed: list[Packet]


def packets(asked: Request) -> list[Packet]:
    """Return the first packets of what a request is for."""
    return [
        Packet(protocol, (ports.first, ports.last), source)
        for protocol in asked.protocols
        for ports in asked.ports
        for source in asked.sources
    ]


def ask(host: Nftables, asked: Request) -> Answer:
    """Return what others do with a request. Where they can't be looked at, that is a sentence, too."""
    answer = Answer([], [], [])
    wanted = packets(asked)
    try:
        found = host.others()
    except FirewallError as error:
        answer.possible.append("other firewalls of this host could not be read: %s" % error)
        return answer
    for packet in wanted[:_MOST]:
        for denial in others.denials(found, packet):
            sentence = denial.sentence(packet)
            if denial.kind == _TIMED:
                answer.timed.append(packet)
            (answer.certain if denial.certain else answer.possible).append(sentence)
    if found and len(wanted) > _MOST:
        answer.possible.append("of %d sources and ports, only %d were checked" % (len(wanted), _MOST))
    return answer


def open_through(timed: t.Sequence[Packet], seconds: int) -> bool:
    """Open for a while through a firewall that can do that; return whether it runs. FirewallError."""
    firewalld = Firewalld()
    if not timed or not firewalld.running():
        return False
    for packet in timed:
        firewalld.open(packet, seconds)
    return True


def close_through(asked: Request) -> None:
    """Take back what ``open_through`` may have opened. FirewallError."""
    firewalld = Firewalld()
    if firewalld.running():
        for packet in packets(asked)[:_MOST]:
            firewalld.close(packet)


def names(host: Nftables) -> list[str]:
    """Return the other firewalls of the host, for people. FirewallError."""
    return sorted({one.name for one in host.others()})
