# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Locked ports that a container publishes, so that connections to them are forwarded and never meant for the host."""

from __future__ import annotations

import contextlib
import pathlib
import socket
import typing as t

import pytest

from tests.integration.jit_access._jit import Site, listening, session, site, talks
from tests.support import network

pytestmark = [
    pytest.mark.requires("root", "command:nft", "command:ip", "command:unshare", "command:iptables-nft"),
    pytest.mark.xdist_group("jit_published"),
]

BOTH = (4, 6)
INSIDE = 2222


class Container(network.Namespace):
    """Reached through the host alone, as one on a bridge of Docker. published: ports of the host that lead to it."""

    def __init__(self, name: str, host: network.Namespace) -> None:
        super().__init__(name, 2)
        self.address = {4: "10.98.0.2", 6: "fd98::2"}
        self._host = host

    def publish(self, port: int, protocol: str = "tcp") -> None:
        """Let a port of the host lead here, by the rule that Docker makes for ``--publish``."""
        for version, command in ((4, "iptables-nft"), (6, "ip6tables-nft")):
            target = f"{self.address[version]}:{INSIDE}" if version == 4 else f"[{self.address[version]}]:{INSIDE}"
            rule = ["-m", "addrtype", "--dst-type", "LOCAL", "-p", protocol, "--dport", str(port)]
            self._host.run(command, "-t", "nat", "-A", "PREROUTING", *rule, "-j", "DNAT", "--to-destination", target)


@pytest.fixture(name="site")
def _site(tmp_path: pathlib.Path) -> t.Iterator[Site]:
    with site(tmp_path) as found:
        yield found


@pytest.fixture
def container(site: Site) -> t.Iterator[Container]:
    host = site.host
    found = Container(f"{host.name}-container", host)
    with contextlib.ExitStack() as stack:
        host.run("ip", "netns", "add", found.name)
        stack.callback(host.run, "ip", "netns", "delete", found.name)
        host.run("ip", "link", "add", "docker0", "type", "veth", "peer", "name", "eth0", "netns", found.name)
        for where, device, number in ((host, "docker0", 1), (found, "eth0", 2)):
            where.run("ip", "address", "add", f"10.98.0.{number}/24", "dev", device)
            where.run("ip", "address", "add", f"fd98::{number}/64", "dev", device, "nodad")
            where.run("sysctl", "-qw", f"net.ipv6.conf.{device}.accept_dad=0")
            where.run("ip", "link", "set", device, "up")
        for version, gateway in ((4, "10.98.0.1"), (6, "fd98::1")):
            found.run("ip", f"-{version}", "route", "add", "default", "via", gateway)
        host.run("sysctl", "-qw", "net.ipv4.ip_forward=1", "net.ipv6.conf.all.forwarding=1")
        yield found


@pytest.mark.parametrize("version", BOTH)
def test_a_published_port_is_locked_opened_and_its_attempts_are_counted(
    site: Site, container: Container, version: int
) -> None:
    for port in (22, 80):
        container.publish(port)
    friend, stranger, host = site.friend, site.stranger, site.host
    with listening(container, INSIDE):
        assert stranger.connects(host, 22, version)
        site.lock()
        assert not friend.connects(host, 22, version)
        assert not stranger.connects(host, 22, version)
        assert stranger.connects(host, 80, version), "what the policy does not name stays as it is"
        opened = site.grant(sources=[friend.address[version]])
        assert friend.connects(host, 22, version)
        assert not stranger.connects(host, 22, version)
        used = site.info()["grants"][0]["used"]
        assert used["packets"] >= 3, "by the port that the client knows"
        assert used["bytes"] >= 40 * used["packets"]
        site.grant(state="closed", id=opened["id"])
        assert not friend.connects(host, 22, version)
        end = site.ending(6, sources=[friend.address[version]])
        assert friend.connects(host, 22, version)
        site.outlast(end)
        assert not friend.connects(host, 22, version)
        found = site.info()
    assert {one["source"] for one in found["attempts"]} == {friend.address[version], stranger.address[version]}
    assert [(one["alert"], one["subject"]) for one in found["detections"]] == [("jit_locked_port_attempts", "tcp/22")]


@pytest.mark.parametrize("version", BOTH)
def test_connections_to_a_published_port_live_on_unless_they_are_to_be_cut(
    site: Site, container: Container, version: int
) -> None:
    container.publish(22)
    container.publish(8000)
    sources = [site.friend.address[version]]
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(listening(container, INSIDE))[version, INSIDE]

        def connected(client: network.Namespace, port: int) -> t.Any:
            return stack.enter_context(session(client, site.host, listener, version, port))

        before = connected(site.stranger, 22)
        site.lock(ports=[{"port": "22", "close_connections": True}, {"port": "8000", "close_connections": False}])
        site.ending(6, ports=["8000"], sources=sources)
        end = site.ending(6, ports=["22"], sources=sources)
        cut, kept = connected(site.friend, 22), connected(site.friend, 8000)
        assert talks(*before)
        assert talks(*cut)
        assert talks(*kept)
        site.outlast(end)
        assert talks(*before)
        assert not talks(*cut)
        assert talks(*kept)


@pytest.mark.parametrize("version", BOTH)
def test_a_published_port_of_udp_is_locked(site: Site, container: Container, version: int) -> None:
    container.publish(8004, "udp")
    friend, host = site.friend, site.host
    with container.listen(INSIDE, version, socket.SOCK_DGRAM) as listener:
        assert friend.sends(host, listener, version, 8004)
        site.lock()
        # The kernel takes packets of the same ports for the same connection, and each time another is used.
        assert not friend.sends(host, listener, version, 8004)
        site.grant(ports=["8004"], protocol="udp", sources=[friend.address[version]])
        assert friend.sends(host, listener, version, 8004)


@pytest.mark.parametrize("version", BOTH)
def test_what_leads_through_the_host_to_others_is_not_locked(site: Site, container: Container, version: int) -> None:
    site.lock()
    prefix = "10.98.0.0/24" if version == 4 else "fd98::/64"
    site.friend.run("ip", f"-{version}", "route", "add", prefix, "via", site.host.address[version])
    with listening(container, 22, 8005), listening(site.friend, 22):
        assert site.friend.connects(container, 22, version)
        assert site.friend.connects(container, 8005, version)
        assert container.connects(site.friend, 22, version), "nor what comes from containers"
    assert site.info()["attempts"] == []
