# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The policy and the open grants as lines for iptables(8) and text for ipset(8).

A set with ports holds each port by itself, so that a range of ports takes as many entries as it has ports.
"""

from __future__ import annotations

import dataclasses
import ipaddress
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils.firewall.chain_trial import ChainRules, Part
from ansible_collections.bulwark.servers.plugins.module_utils.firewall.nft import Element
from ansible_collections.bulwark.servers.plugins.module_utils.firewall.words import Network, Ports
from ansible_collections.bulwark.servers.plugins.module_utils.jit.policy import Lock, Policy
from ansible_collections.bulwark.servers.plugins.module_utils.jit.rectangles import Rectangle, TooManyError, disjoint

NAME = "bulwark_jit"
GRANTS = {4: "bulwark_jit_grants4", 6: "bulwark_jit_grants6"}
CUT = {4: "bulwark_jit_cut4", 6: "bulwark_jit_cut6"}
# An element that is added again loses what was counted, and one that is not keeps its time: how many packets came is
# in the one set, and when the last one came in the other.
ATTEMPTS = {4: "bulwark_jit_attempts4", 6: "bulwark_jit_attempts6"}
LAST = {4: "bulwark_jit_last4", 6: "bulwark_jit_last6"}
# Seconds after which the kernel forgets who tried.
ATTEMPTS_KEPT = 86400
_MOST_ATTEMPTS = 16384
_MOST_ENTRIES = 131072
_FAMILY = {4: "inet", 6: "inet6"}
_FOREVER = float("inf")
# Entries of one element that were added by one command may tell times that differ by this, in seconds.
_ROUNDING = 1.0

_NO_SYN = "--tcp-flags SYN NONE"


def rules(policy: Policy) -> ChainRules:
    """Return what the chains hold for a policy; the sets are there whatever it is, and filled by ``fill``."""
    chains: dict[Part, dict[str, list[str]]] = {}
    for version in (4, 6):
        # Before a port is given a new destination, as those that containers publish are: that never comes to the hook
        # INPUT, or with another port. Traffic that leads through this host to others is none of its ports.
        passing = ["-m addrtype ! --dst-type LOCAL -j RETURN"]
        named, cut = _named(policy, version), any(lock.cut for lock in policy.locks)
        ends = {"_CUT": _cut(version, published=True)} if cut else {}
        chains[version, "mangle"] = {"": named, "_DENY": passing + _deny(version), **ends}
        ends = {"_CUT": _cut(version, published=False)} if cut else {}
        chains[version, "filter"] = {"": named, "_DENY": _deny(version), **ends}
    return ChainRules(chains, {version: _sets(version) for version in (4, 6)})


def _sets(version: int) -> dict[str, str]:
    attempts = "hash:ip,port family %s maxelem %d timeout %d" % (_FAMILY[version], _MOST_ATTEMPTS, ATTEMPTS_KEPT)
    return {
        **dict(_filled(version)),
        ATTEMPTS[version]: attempts + " counters",
        LAST[version]: attempts,
    }


def _filled(version: int) -> list[tuple[str, str]]:
    kind = "hash:net,port family %s maxelem %d" % (_FAMILY[version], _MOST_ENTRIES)
    return [(GRANTS[version], kind + " timeout 0"), (CUT[version], kind)]


def _named(policy: Policy, version: int) -> list[str]:
    """Return the lines of the chain itself: what goes on to other rules, and what leads to where it is denied."""
    lines = ["-i lo -j RETURN"]
    lines += ["-s %s -j RETURN" % one for one in policy.always if one.version == version]
    # Before what lets connections live on.
    lines += [
        "%s%s -j {chain}_CUT" % (_match(protocol, lock), " " + _NO_SYN if protocol == "tcp" else "")
        for lock in policy.locks
        for protocol in lock.protocols
        if lock.cut
    ]
    # A connection from before the kernel began to keep track of any is to it nothing but a packet without SYN. None
    # begins with one: who probes with it learns that there is no connection.
    lines += ["-p tcp -m tcp %s -j RETURN" % _NO_SYN, "-m conntrack --ctstate RELATED,ESTABLISHED -j RETURN"]
    lines += ["%s -g {chain}_DENY" % _match(protocol, lock) for lock in policy.locks for protocol in lock.protocols]
    return lines


def _match(protocol: str, lock: Lock) -> str:
    return "-p %s -m %s --dport %s" % (protocol, protocol, str(lock.ports).replace("-", ":"))


def _deny(version: int) -> list[str]:
    key = "src,dst"
    new = "-m conntrack --ctstate NEW"
    return [
        "-m set --match-set %s %s -j RETURN" % (GRANTS[version], key),
        "%s -m set --match-set %s %s" % (new, ATTEMPTS[version], key),
        "%s -j SET --add-set %s %s" % (new, ATTEMPTS[version], key),
        "%s -j SET --add-set %s %s --exist" % (new, LAST[version], key),
        "-j DROP",
    ]


def _cut(version: int, published: bool) -> list[str]:
    """Return the lines that end connections of windows that are over, which later lines would let live on.

    Where a port is published, packets can only be dropped: they are told from others before they get their new
    destination, and the kernel answers with a reset after that.
    """
    over = "-m set --match-set %s src,dst -m set ! --match-set %s src,dst" % (CUT[version], GRANTS[version])
    which = "-m conntrack --ctstate DNAT " if published else ""
    verdict = "DROP" if published else "REJECT --reject-with tcp-reset"
    return [
        "-p tcp %s%s -j %s" % (which, over, verdict),
        "-p udp -m conntrack --ctstate ESTABLISHED %s%s -j DROP" % (which, over),
    ]


def fill(grants: t.Sequence[Rectangle], cut: t.Sequence[Rectangle], now: float, versions: t.Sequence[int]) -> str:
    """Return the text that puts these in the place of what is in the sets; each set is exchanged in one moment.

    The ends of the grants are of the same clock as ``now``. The kernel takes whole seconds: none is open for
    longer than it was granted, and each for less than a second shorter. Raises TooManyError.
    """
    lines: list[str] = []
    swaps: list[str] = []
    for version in versions:
        open_ones = [half for one in grants if one.version == version and one.end - now >= 1 for half in _halves(one)]
        ended = [half for one in cut if one.version == version for half in _halves(one)]
        contents = (
            _entries(_pieces(open_ones), lambda one: " timeout %d" % int(one.end - now)),
            _entries(ended, lambda _one: ""),
        )
        for (name, kind), entries in zip(_filled(version), contents):
            lines += ["create %s_new %s" % (name, kind), "flush %s_new" % name]
            lines += ["add %s_new %s" % (name, entry) for entry in entries]
            swaps += ["swap %s_new %s" % (name, name), "destroy %s_new" % name]
    return "".join("%s\n" % line for line in lines + swaps)


def _pieces(open_ones: t.Sequence[Rectangle]) -> list[Rectangle]:
    """Return grants of which none has the same prefix and ports: the kernel looks for the prefixes that hold a source.

    So a network and a host in it are two entries, and each lets in until its own end.
    """
    groups: dict[tuple[t.Any, ...], list[Rectangle]] = {}
    for one in open_ones:
        groups.setdefault((one.protocol, one.first, one.last), []).append(one)
    return [piece for key in sorted(groups) for piece in disjoint(groups[key], _MOST_ENTRIES)]


def _entries(pieces: t.Sequence[Rectangle], options: t.Callable[[Rectangle], str]) -> list[str]:
    found, number = [], 0
    for one in pieces:
        prefixes = _prefixes(one)
        number += len(prefixes) * (one.last_port - one.first_port + 1)
        if number > _MOST_ENTRIES:
            raise TooManyError(
                "what is open needs more than %d entries of ipset, which holds each port of each prefix by itself; ask"
                " for fewer ports, or close some grants" % _MOST_ENTRIES
            )
        ports = str(Ports(one.first_port, one.last_port))
        found += ["%s,%s:%s%s" % (prefix, one.protocol, ports, options(one)) for prefix in prefixes]
    return found


def _halves(one: Rectangle) -> list[Rectangle]:
    """Return the two halves of what is for all addresses: ipset takes no prefix of length 0."""
    middle = 1 << (31 if one.version == 4 else 127)
    if (one.first, one.last) != (0, 2 * middle - 1):
        return [one]
    return [dataclasses.replace(one, last=middle - 1), dataclasses.replace(one, first=middle)]


def _prefixes(one: Rectangle) -> list[Network]:
    if one.version == 4:
        return list(
            ipaddress.summarize_address_range(ipaddress.IPv4Address(one.first), ipaddress.IPv4Address(one.last))
        )
    return list(ipaddress.summarize_address_range(ipaddress.IPv6Address(one.first), ipaddress.IPv6Address(one.last)))


def opened(elements: t.Sequence[Element], now: float) -> list[Rectangle]:
    """Return what the elements of a set of grants open, neighbouring ports as one; for ever where one has no time."""
    single = [_single(element, now) for element in elements if len(element.key) == 3]
    found: list[Rectangle] = []
    for one in sorted(single, key=lambda one: (one.version, one.protocol, one.first, one.last, one.first_port)):
        if found and _goes_on(found[-1], one):
            end = max(found[-1].end, one.end)
            found[-1] = dataclasses.replace(found[-1], last_port=one.last_port, end=end)
        else:
            found.append(one)
    return found


def _single(element: Element, now: float) -> Rectangle:
    address, protocol, port = element.key
    network = ipaddress.ip_network(address, strict=False)
    end = _FOREVER if element.left is None else now + element.left
    first, last = int(network.network_address), int(network.broadcast_address)
    return Rectangle(network.version, protocol, int(port), int(port), first, last, end)


def _goes_on(before: Rectangle, one: Rectangle) -> bool:
    sources = [(found.version, found.protocol, found.first, found.last) for found in (before, one)]
    near = before.end == one.end or abs(before.end - one.end) <= _ROUNDING
    return sources[0] == sources[1] and near and one.first_port == before.last_port + 1


def attempts(counted: t.Sequence[Element], last: t.Sequence[Element]) -> list[Element]:
    """Return who tried, with the packets of the one set and the time of the other."""
    packets = {element.key: element.packets for element in counted}
    # Where its count is over, at least the packet came that its time is of.
    return [Element(one.key, None, one.left, packets.get(one.key) or 1) for one in last]
