# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Add the sockets of processes that run to the table of processes, and read what addresses most programs talk to."""

from __future__ import annotations

import contextlib
import ipaddress
import os
import re
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils import _net_sockets, _proc_net, _procfs, _safe_fs
from ansible_collections.bulwark.servers.plugins.module_utils.investigation.budget import SECONDS, Budget
from ansible_collections.bulwark.servers.plugins.module_utils.investigation.host import Host
from ansible_collections.bulwark.servers.plugins.module_utils.investigation.process_table import (
    ACCEPTED,
    BOUND,
    CONNECTED,
    Contact,
    Table,
)
from ansible_collections.bulwark.servers.plugins.module_utils.investigation.processes import Live

# Connections of one process; a proxy with more is noted.
_MOST_DESCRIPTORS = 20_000
_BETWEEN_LOOKS = 64
_NAMESERVER = re.compile(rb"^\s*nameserver\s+(\S+)", re.MULTILINE)
_RESOLVERS = (b"/etc/resolv.conf", b"/run/systemd/resolve/resolv.conf", b"/run/NetworkManager/resolv.conf")
_MOST_ROUTES = 1 << 20


class Route(t.NamedTuple):
    """A route of the main table. destination: a network, such as 0.0.0.0/0. gateway: "" if none."""

    destination: str
    gateway: str
    interface: str


def read(host: Host, live: t.Mapping[int, Live], table: Table, budget: Budget) -> None:
    """Add a contact for each socket that a process has open to a peer, or that it listens with."""
    guides: dict[int, list[int]] = {}
    for process in live.values():
        if process.network:
            guides.setdefault(process.network, []).append(process.pid)
    sockets = _net_sockets.read(guides, host.proc)
    for subject, reason in sockets.skipped:
        budget.skip(subject, reason)
    listening = {
        (socket.network, socket.local[1])
        for socket in sockets.sockets.values()
        if socket.state == "listen" and socket.local is not None
    }
    root = os.open(host.proc, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        for count, (pid, process) in enumerate(live.items()):
            if count % _BETWEEN_LOOKS == 0 and budget.passed():
                budget.cut(SECONDS, "The sockets of some processes were not read.", len(live) - count)
                break
            if process.kernel:
                continue
            budget.examined += 1
            owner = table.running(pid)
            for number in _inodes(root, pid, budget):
                socket = sockets.sockets.get(number)
                contact = _contact(socket, listening) if socket is not None else None
                if owner is not None and contact is not None and contact not in owner.contacts:
                    owner.add(contact)
    finally:
        os.close(root)


def _inodes(root: int, pid: int, budget: Budget) -> t.Iterator[int]:
    """Yield the numbers of the sockets that a process has open."""
    try:
        directory = os.open(b"%d/fd" % pid, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=root)
    except OSError as error:
        if isinstance(error, PermissionError):
            budget.skip("sockets of process %d" % pid, _safe_fs.reason(error))
        return
    try:
        names = os.listdir(directory)
        if len(names) > _MOST_DESCRIPTORS:
            budget.skip("sockets of process %d" % pid, "only %d of %d were read" % (_MOST_DESCRIPTORS, len(names)))
        for name in names[:_MOST_DESCRIPTORS]:
            with contextlib.suppress(OSError):
                number = _net_sockets.inode_of(os.readlink(name.encode(), dir_fd=directory))
                if number:
                    yield number
    except OSError:
        # The process ended.
        return
    finally:
        os.close(directory)


def _contact(socket: _net_sockets.Socket, listening: t.AbstractSet[tuple[int, int]]) -> Contact | None:
    if socket.remote is not None and socket.local is not None:
        how = ACCEPTED if (socket.network, socket.local[1]) in listening else CONNECTED
        peer, port = socket.remote
        return Contact(None, how, peer, port, "proc", socket.protocol, socket.state, socket.local)
    if socket.local is not None and socket.local[1] and (socket.state == "listen" or socket.protocol != "tcp"):
        return Contact(None, BOUND, socket.local[0], socket.local[1], "proc", socket.protocol, socket.state)
    return None


def resolvers(host: Host) -> set[str]:
    """Return the addresses of name servers that the host asks."""
    addresses: set[str] = set()
    for path in _RESOLVERS:
        with contextlib.suppress(OSError):
            addresses |= {match.decode("ascii", "replace") for match in _NAMESERVER.findall(host.read(path, 65_536))}
    return addresses


def routes(host: Host) -> list[Route]:
    """Return the routes of the host's own network, as /proc/net/route and /proc/net/ipv6_route have them."""
    parsed = []
    for words in _words(host, b"self/net/route"):
        with contextlib.suppress(ValueError, IndexError):
            gateway = _proc_net.address(words[2])
            destination = ipaddress.ip_network("%s/%s" % (_proc_net.address(words[1]), _proc_net.address(words[7])))
            parsed.append(Route(str(destination), "" if gateway.is_unspecified else str(gateway), words[0]))
    for words in _words(host, b"self/net/ipv6_route"):
        with contextlib.suppress(ValueError, IndexError):
            # Its own addresses, and what it refuses, go by lo. Which interface has a link-local peer is not said.
            network = ipaddress.IPv6Network((bytes.fromhex(words[0]), int(words[1], 16)))
            hop = ipaddress.IPv6Address(bytes.fromhex(words[4]))
            if words[9] != "lo" and not network.is_link_local and not network.is_multicast:
                parsed.append(Route(str(network), "" if hop.is_unspecified else str(hop), words[9]))
    return parsed


def _words(host: Host, path: bytes) -> t.Iterator[list[str]]:
    """Yield the words of each line of a file in /proc."""
    with contextlib.suppress(OSError):
        directory = os.open(host.proc, _procfs.DIRECTORY)
        try:
            text, _complete = _procfs.whole(path, directory, _MOST_ROUTES)
        finally:
            os.close(directory)
        yield from (line.split() for line in text.decode("ascii", "replace").splitlines())


def route_to(address: str, known: t.Sequence[Route]) -> Route | None:
    """Return the route that a packet to an address takes: the longest network that it is in."""
    target = ipaddress.ip_address(address)
    fitting = [
        (network.prefixlen, route)
        for route in known
        for network in (ipaddress.ip_network(route.destination),)
        if network.version == target.version and target in network
    ]
    return max(fitting, key=lambda each: each[0])[1] if fitting else None
