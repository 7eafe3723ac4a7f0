# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is said of others' firewalls (real ufw, firewalld, iptables, nftables), compared with what gets through."""

from __future__ import annotations

import contextlib
import functools
import ipaddress
import itertools
import os
import pathlib
import shutil
import socket
import subprocess
import time
import typing as t

import pytest
from ansible_collections.bulwark.servers.plugins.module_utils.firewall import others
from ansible_collections.bulwark.servers.plugins.module_utils.firewall.firewalld import Firewalld
from ansible_collections.bulwark.servers.plugins.module_utils.firewall.nft import FirewallError, Nft
from ansible_collections.bulwark.servers.plugins.module_utils.firewall.verdict import Packet

from tests.support import commands, network
from tests.support.waiting import until

pytestmark = [
    pytest.mark.requires("root", "command:nft", "command:ip", "command:iptables-nft"),
    pytest.mark.xdist_group("firewall_others"),
]

PORTS = (22, 2222, 8080)


class Site:
    """A host with a firewall of somebody else, and a visitor."""

    def __init__(self, host: network.Namespace, visitor: network.Namespace) -> None:
        self.host = host
        self.visitor = visitor
        self._udp = {version: host.listen(22, version, socket.SOCK_DGRAM) for version in (4, 6)}
        self._tcp = [host.listen(port, version) for port in PORTS for version in (4, 6)]

    def close(self) -> None:
        for listener in (*self._udp.values(), *self._tcp):
            listener.close()

    def packet(self, port: int, version: int = 4, protocol: str = "tcp") -> Packet:
        source = ipaddress.ip_network(self.visitor.address[version])
        return Packet(protocol, (port, port), source)

    def said(self, port: int, version: int = 4, protocol: str = "tcp") -> list[str]:
        packet = self.packet(port, version, protocol)
        return [denial.sentence(packet) for denial in others.denials(others.find(Nft()), packet)]

    def is_closed(self, port: int, version: int) -> bool:
        return not self.visitor.connects(self.host, port, version)

    def open(self) -> set[tuple[str, int, int]]:
        """Return protocol, port and version of IP of what can be reached; what is said of that must be right."""
        firewalls = others.find(Nft())
        reached = set()
        cases = [("tcp", port, version) for port in PORTS for version in (4, 6)] + [("udp", 22, 4), ("udp", 22, 6)]
        for protocol, port, version in cases:
            denials = others.denials(firewalls, self.packet(port, version, protocol))
            if protocol == "tcp":
                gets_in = self.visitor.connects(self.host, port, version)
            else:
                gets_in = self.visitor.sends(self.host, self._udp[version], version)
            certain = any(denial.certain for denial in denials)
            assert not (certain and gets_in), f"{protocol} {port} of IPv{version} is open: {denials}"
            assert denials or gets_in, f"{protocol} {port} of IPv{version} is denied, and nobody said so"
            if gets_in:
                reached.add((protocol, port, version))
        return reached


EVERYTHING = {("tcp", port, version) for port in PORTS for version in (4, 6)} | {("udp", 22, 4), ("udp", 22, 6)}


@pytest.fixture
def site() -> t.Iterator[Site]:
    with network.hosts("host", "visitor") as (host, visitor):
        found = Site(host, visitor)
        with host.entered():
            yield found
        found.close()


def test_without_a_firewall_nothing_is_said(site: Site) -> None:
    assert others.find(Nft()) == []
    assert site.open() == EVERYTHING


NFTABLES = {
    "a policy": (
        (
            "table inet theirs { chain in { type filter hook input priority 0; policy drop; icmpv6 type >= 133 accept\n"
            "tcp dport 22 accept\n ip saddr 10.99.0.0/24 udp dport 22 accept\n }\n }"
        ),
        {("tcp", 22, 4), ("tcp", 22, 6), ("udp", 22, 4)},
        ["nftables (table inet theirs) denies tcp 2222 from 10.99.0.2/32"],
    ),
    "a reject at the end": (
        (
            "table ip theirs { chain in { type filter hook input priority 5; \n"
            "ct state vmap { established : accept, related : accept, invalid : drop }\n"
            "tcp dport { 20-25, 8080 } accept\n reject\n }\n }"
        ),
        {("tcp", port, 4) for port in (22, 8080)} | {case for case in EVERYTHING if case[2] == 6},
        ["nftables (table ip theirs) denies tcp 2222 from 10.99.0.2/32"],
    ),
    "chains, maps and sets": (
        (
            "table inet theirs { set friends { type ipv4_addr; flags interval; elements = { 10.99.0.2-10.99.0.9 } }\n"
            "chain friendly { ip saddr @friends return\n drop\n }\n"
            "chain in { type filter hook input priority 0; iifname lo accept\n ct state established accept\n"
            "tcp dport vmap { 22 : jump friendly, 2222 : drop }\n"
            "ip6 saddr . tcp dport { fd99::2 . 8080 } drop\n meta l4proto udp goto friendly\n }\n }"
        ),
        {("tcp", 22, 4), ("tcp", 8080, 4), ("udp", 22, 4)},
        ["nftables (table inet theirs) denies tcp 2222 from 10.99.0.2/32"],
    ),
    "what can't be told": (
        (
            "table inet theirs { chain in { type filter hook input priority 0; policy accept;\n"
            'iifname "eth9" tcp dport 2222 drop\n tcp dport 2222 limit rate over 1000/second drop\n }\n }'
        ),
        EVERYTHING,
        ["nftables (table inet theirs) may deny tcp 2222 from 10.99.0.2/32"],
    ),
    "one of two": (
        (
            "table inet a { chain in { type filter hook input priority -5; tcp dport 2222 accept\n }\n }\n"
            "table inet b { chain in { type filter hook input priority 5; tcp dport 2222 drop\n }\n }\n"
            "table inet c { chain in { type filter hook output priority 5; udp dport 2222 drop\n }\n }\n"
            "table inet d { flags dormant\n chain in { type filter hook input priority 5; policy drop; }\n }"
        ),
        EVERYTHING - {("tcp", 2222, 4), ("tcp", 2222, 6)},
        ["nftables (table inet b) denies tcp 2222 from 10.99.0.2/32"],
    ),
}


@pytest.mark.parametrize("name", NFTABLES)
def test_tables_of_nftables(site: Site, name: str) -> None:
    text, reached, said = NFTABLES[name]
    site.host.run("nft", "-f", "-", given=text)
    assert site.open() == reached
    assert site.said(2222) == said


def test_tables_of_ours_are_no_others(site: Site) -> None:
    site.host.run(
        "nft",
        "-f",
        "-",
        given="table inet bulwark_jit { chain in { type filter hook input priority 0; policy drop; }\n }",
    )
    assert others.find(Nft()) == []


IPTABLES = (
    "*filter\n:INPUT DROP [0:0]\n:FORWARD ACCEPT [0:0]\n:OUTPUT ACCEPT [0:0]\n:visitors - [0:0]\n"
    "-A INPUT -i lo -j ACCEPT\n"
    '-A INPUT -m conntrack --ctstate RELATED,ESTABLISHED -m comment --comment "it\'s there, -j DROP" -j ACCEPT\n'
    "-A INPUT -p tcp -m tcp ! --tcp-flags FIN,SYN,RST,ACK SYN -m conntrack --ctstate NEW -j DROP\n"
    "{icmp}"
    "-A INPUT -p tcp -m multiport --dports 22,8000:8100 -j visitors\n"
    "-A INPUT -p tcp -m tcp --dport 2222 ! -s {source} -j ACCEPT\n"
    "-A visitors -s {source} -m limit --limit 1000/second --limit-burst 1000 -j LOG\n"
    "-A visitors -s {source} -j ACCEPT\n"
    "-A visitors -j REJECT\n"
    "COMMIT\n"
)


@pytest.mark.parametrize("way", ["nft", "legacy"])
def test_rules_of_iptables(site: Site, way: str) -> None:
    four = IPTABLES.format(icmp="", source="10.99.0.0/28")
    six = IPTABLES.format(icmp="-A INPUT -p ipv6-icmp -j ACCEPT\n", source="fd99::/64")
    site.host.run(f"iptables-{way}-restore", given=four)
    site.host.run(f"ip6tables-{way}-restore", given=six)
    assert site.open() == {("tcp", port, version) for port in (22, 8080) for version in (4, 6)}
    name = "legacy table filter" if way == "legacy" else "table filter"
    assert site.said(2222) == [f"iptables ({name} of iptables) denies tcp 2222 from 10.99.0.2/32"]
    assert site.said(22, 6, "udp") == [f"iptables ({name} of ip6tables) denies udp 22 from fd99::2/128"]
    # A prefix of which only a part gets in.
    packet = Packet("tcp", (22, 22), ipaddress.ip_network("10.99.0.0/24"))
    (denial,) = others.denials(others.find(Nft()), packet)
    assert not denial.certain


def test_rules_of_iptables_and_a_table_of_nftables(site: Site) -> None:
    site.host.run("iptables-nft", "-A", "INPUT", "-p", "tcp", "--dport", "2222", "-j", "DROP")
    site.host.run(
        "nft", "add table ip theirs; add chain ip theirs INPUT { type filter hook input priority 3; policy drop; }"
    )
    assert [(found.kind, found.name) for found in others.find(Nft())] == [
        ("iptables", "iptables (table filter of iptables)"),
        ("nftables", "nftables (table ip theirs)"),
    ]
    assert site.open() == {case for case in EVERYTHING if case[2] == 6}
    assert len(site.said(2222)) == 2


@pytest.mark.requires("command:ufw")
def test_ufw(site: Site, tmp_path: pathlib.Path) -> None:
    _ufw(site, tmp_path, "allow from 10.99.0.0/24 to any port 22 proto tcp", "limit 2222/tcp", "--force enable")
    reached = site.open()
    assert reached == {("tcp", 22, 4), ("tcp", 2222, 4), ("tcp", 2222, 6)}
    assert site.said(22) == []
    assert site.said(22, 6) == ["ufw (table filter of ip6tables) denies tcp 22 from fd99::2/128"]
    assert site.said(8080) == ["ufw (table filter of iptables) denies tcp 8080 from 10.99.0.2/32"]
    # It lets six connections in half a minute.
    assert site.said(2222) == ["ufw (table filter of iptables) may deny tcp 2222 from 10.99.0.2/32"]
    _ufw(site, tmp_path, "disable")
    assert site.open() == EVERYTHING
    assert site.said(8080) == []


def _ufw(site: Site, directory: pathlib.Path, *lines: str) -> None:
    """Run ufw with a configuration of its own in the host's network."""
    copy = directory / "ufw"
    if not copy.exists():
        shutil.copytree("/etc/ufw", copy)
        # Without the settings of the kernel that it would make.
        default = pathlib.Path("/etc/default/ufw").read_text("utf-8")
        (directory / "default").write_text(default.replace("IPT_SYSCTL=", "#IPT_SYSCTL="))
    script = f"mount --bind {copy} /etc/ufw; mount --bind {directory}/default /etc/default/ufw\n"
    script += "".join(f"ufw {line}\n" for line in lines)
    site.host.run("unshare", "--mount", "/bin/sh", "-euc", script)


@contextlib.contextmanager
def _firewalld(directory: pathlib.Path, backend: str = "nftables") -> t.Iterator[Firewalld]:
    """Start firewalld and a message bus for it in the network of this thread; both end with the block."""
    address = f"unix:path={directory}/bus"
    rules = ["own", "send_type", "receive_type", "user"]
    allowed = "".join(f'<allow {rule}="*"/>' for rule in rules if not rule.endswith("_type"))
    types = ("method_call", "method_return", "error", "signal")
    allowed += "".join(f'<allow {rule}="{kind}"/>' for rule, kind in itertools.product(rules[1:3], types))
    allowed += '<allow send_requested_reply="true"/>'
    configuration = directory / "bus.conf"
    configuration.write_text(
        f"<busconfig><type>system</type><listen>{address}</listen><auth>EXTERNAL</auth>"
        f'<policy context="default">{allowed}</policy></busconfig>'
    )
    shutil.copytree("/etc/firewalld", directory / "etc")
    settings = directory / "etc" / "firewalld.conf"
    settings.write_text(settings.read_text().replace("FirewallBackend=nftables", f"FirewallBackend={backend}"))
    environment = {**os.environ, "DBUS_SYSTEM_BUS_ADDRESS": address}
    program = directory / "firewall-cmd"
    program.write_text(f'#!/bin/sh\nDBUS_SYSTEM_BUS_ADDRESS={address} exec {commands.find("firewall-cmd")} "$@"\n')
    program.chmod(0o755)
    bus = [commands.find("dbus-daemon"), f"--config-file={configuration}", "--nofork", "--nopidfile"]
    daemon = [commands.find("firewalld"), "--nofork", "--nopid", "--system-config", str(directory / "etc")]
    daemon += ["--log-target", "file", "--log-file", str(directory / "log")]
    with contextlib.ExitStack() as stack:
        with (directory / "said").open("wb") as said:
            for command in (bus, daemon):
                process = subprocess.Popen(
                    [str(word) for word in command], env=environment, stdout=said, stderr=said, stdin=subprocess.DEVNULL
                )
                stack.callback(process.wait)
                stack.callback(process.terminate)
                if command is bus:
                    until((directory / "bus").exists, "the message bus did not start")
        firewalld = Firewalld(program=str(program))
        until(firewalld.running, "firewalld did not start")
        yield firewalld


@pytest.mark.requires("command:firewalld", "command:dbus-daemon")
def test_firewalld(site: Site, tmp_path: pathlib.Path) -> None:
    # By the name alone, where it isn't installed.
    assert not Firewalld(program=str(tmp_path / "firewall-cmd")).running()
    with _firewalld(tmp_path) as firewalld:
        assert site.open() == {("tcp", 22, 4), ("tcp", 22, 6)}
        assert site.said(22) == []
        for version in (4, 6):
            packet = site.packet(2222, version)
            sentence = f"firewalld (table inet firewalld) denies tcp 2222 from {packet.source}"
            assert site.said(2222, version) == [sentence]

            firewalld.open(packet, 60)
            start = time.monotonic()
            firewalld.open(packet, 4)  # in place of that
            assert site.said(2222, version) == []
            assert site.visitor.connects(site.host, 2222, version)
            assert site.said(8080, version) != []
            assert Nft().tables() == [("inet", "firewalld")]
            until(functools.partial(site.is_closed, 2222, version), "it stays open")
            assert 3 <= time.monotonic() - start <= 25, "each call of firewall-cmd takes up to a second"
            assert site.said(2222, version) == [sentence]

            firewalld.open(packet, 60)
            firewalld.close(packet)
            firewalld.close(packet)
            assert not site.visitor.connects(site.host, 2222, version)
        ports = Packet("udp", (8000, 8100), ipaddress.ip_network("10.99.0.0/24"))
        firewalld.open(ports, 60)
        assert others.denials(others.find(Nft()), ports) == []
        with pytest.raises(FirewallError, match=r"firewalld refused '--zone=public --add-rich-rule=.*INVALID"):
            firewalld.open(Packet("tcp", (0, 99999), ports.source), 60)
    assert not firewalld.running()
    with pytest.raises(FirewallError, match="firewalld"):
        firewalld.open(ports, 60)
