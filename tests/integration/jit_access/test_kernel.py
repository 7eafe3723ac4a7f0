# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ways around a lock that leave its rules as they are: the table, the trial, half-open connections, full sets."""

from __future__ import annotations

import contextlib
import json
import pathlib
import socket
import struct
import time
import typing as t

import pytest
from ansible_collections.bulwark.servers.plugins.module_utils.jit_access import table

from tests.integration.jit_access._jit import Site, listening, session, site, talks
from tests.support import network
from tests.support.waiting import until

pytestmark = [
    pytest.mark.requires("root", "command:nft", "command:ip", "command:unshare"),
    pytest.mark.xdist_group("jit_kernel"),
]

BOTH = (4, 6)
_TABLE = "inet bulwark_jit"
# As an administrator writes them: nft takes them as one text.
_TAMPERED = {
    "dormant": f"add table {_TABLE} {{ flags dormant; }}",
    "a trial for ever": f"add element {_TABLE} trial {{ ipv4, ipv6 }}",
    "a trial of one version": f"add element {_TABLE} trial {{ ipv4 }}",
    "a trial of nobody": f"add element {_TABLE} trial {{ ipv4 timeout 30s, ipv6 timeout 30s }}",
    "a trial with its rules": (
        f"add rule {_TABLE} proposed_input accept\nadd rule {_TABLE} proposed_prerouting accept\n"
        f"add element {_TABLE} trial {{ ipv4 timeout 1h, ipv6 timeout 1h }}"
    ),
    "a set of trials that do not expire": (
        f"flush chain {_TABLE} input\nflush chain {_TABLE} prerouting\nflush chain {_TABLE} output\n"
        f"flush chain {_TABLE} forward\ndelete set {_TABLE} trial\nadd set {_TABLE} trial {{ type nf_proto; }}\n"
        f"add element {_TABLE} trial {{ ipv4, ipv6 }}\n"
        + "".join(
            f"add rule {_TABLE} {hook} meta nfproto @trial goto proposed_{hook}\n"
            f"add rule {_TABLE} {hook} goto confirmed_{hook}\n"
            for hook in ("input", "prerouting", "output", "forward")
        )
    ),
    "a chain that leads elsewhere": (
        f"add chain {_TABLE} early {{ type nat hook prerouting priority -150; }}\n"
        f"add rule {_TABLE} early tcp dport 2222 redirect to :22"
    ),
    "a map": f"add map {_TABLE} more {{ type ipv4_addr : verdict; }}",
    "a counter": f"add counter {_TABLE} more",
    "a set": f"add set {_TABLE} more {{ type ipv4_addr; }}",
    "no chain for published ports": f"flush chain {_TABLE} prerouting\ndelete chain {_TABLE} prerouting",
    "another hook": (
        f"flush chain {_TABLE} input\ndelete chain {_TABLE} input\n"
        f"add chain {_TABLE} input {{ type filter hook output priority 0; }}\n"
        f"add rule {_TABLE} input meta nfproto @trial goto proposed_input\n"
        f"add rule {_TABLE} input goto confirmed_input"
    ),
    "a later priority": (
        f"flush chain {_TABLE} input\ndelete chain {_TABLE} input\n"
        f"add chain {_TABLE} input {{ type filter hook input priority 500; }}\n"
        f"add rule {_TABLE} input meta nfproto @trial goto proposed_input\n"
        f"add rule {_TABLE} input goto confirmed_input"
    ),
}


@pytest.fixture(name="site")
def _site(tmp_path: pathlib.Path) -> t.Iterator[Site]:
    with site(tmp_path) as found:
        yield found


def _repair(site: Site, **policy: t.Any) -> None:
    again = site.access(**policy)
    assert again["changed"]
    if again["trial"]:
        site.access(_confirm=again["trial"]["token"], **policy)


@pytest.mark.parametrize("how", _TAMPERED)
def test_a_table_that_somebody_changed_is_seen_and_set_right(site: Site, how: str) -> None:
    with listening(site.host, 22):
        site.lock()
        site.grant()
        assert site.findings() == []
        site.nft("-f", "-", given=_TAMPERED[how])
        assert ("jit_policy_missing", "policy") in site.findings()
        assert site.access(check=True)["changed"]
        _repair(site)
        assert [subject for alert, subject in site.findings() if alert == "jit_policy_missing"] == []
        assert not site.access()["changed"]
        for version in BOTH:
            assert not site.stranger.connects(site.host, 22, version)
        assert site.friend.connects(site.host, 22), "what is open is open again"


def test_a_table_that_is_made_afresh_falls_back_to_the_policy_before(site: Site) -> None:
    with listening(site.host, 22, 23):
        site.lock(ports=[{"port": "22"}])
        # Confirmed rules stay the proposed ones, too.
        emptied = f"\nflush chain {_TABLE} proposed_input\nflush chain {_TABLE} proposed_prerouting\n"
        site.nft("-f", "-", given=_TAMPERED["a set of trials that do not expire"] + emptied)
        assert site.stranger.connects(site.host, 22)
        tried = site.access(ports=[{"port": "23"}])["trial"]
        assert site.stranger.connects(site.host, 22)
        assert not site.stranger.connects(site.host, 23)
        assert site.access(_withdraw=tried["token"])["changed"]
        assert not site.stranger.connects(site.host, 22)
        assert site.stranger.connects(site.host, 23)


def test_a_trial_that_runs_is_no_finding_and_one_that_was_changed_is(site: Site) -> None:
    site.lock()
    token = site.access(ports=[{"port": "23"}])["trial"]["token"]
    assert site.findings() == []
    assert site.info()["trial_seconds_left"] > 0
    site.nft("insert", "rule", "inet", "bulwark_jit", "proposed_input", "accept")
    assert site.findings() == [("jit_policy_missing", "policy")]
    site.access(_withdraw=token)
    assert site.findings() == []


def test_connections_that_are_to_be_cut_are_compared(site: Site) -> None:
    policy = {"ports": [{"port": "22", "close_connections": True}]}
    with listening(site.host, 22) as sockets:
        site.lock(**policy)
        opened = site.grant()
        with session(site.friend, site.host, sockets[4, 22], 4) as ends:
            site.nft("flush", "set", "inet", "bulwark_jit", "cut4")
            assert site.findings() == [("jit_policy_missing", "cut")]
            _repair(site, **policy)
            assert site.findings() == []
            site.grant(state="closed", id=opened["id"])
            assert not talks(*ends)


def test_an_opening_is_not_refused_for_want_of_places_for_connections_to_cut(site: Site) -> None:
    with listening(site.host, 22) as sockets:
        site.lock(ports=[{"port": "22", "close_connections": True}])
        site.grant(requested_for="bob", sources=[site.stranger.address[4]])
        file = site.state / "jit" / "grants.json"
        book = json.loads(file.read_text())
        ours = book["cut"]
        first = 198 << 24 | 18 << 16
        book["cut"] = [
            [4, "tcp", 22, 22, first + 4 * number, first + 4 * number, 0.0] for number in range(16383)
        ] + ours
        file.write_text(json.dumps(book))
        opened = site.grant()
        assert opened["changed"]
        with session(site.friend, site.host, sockets[4, 22], 4) as ends:
            assert talks(*ends)
            site.grant(state="closed", id=opened["id"])
            assert not talks(*ends)
        assert len(json.loads(file.read_text())["cut"]) <= 16384
        assert site.findings() == []


@pytest.mark.parametrize("version", BOTH)
def test_on_trial_nobody_gets_in_by_an_opening_and_that_is_no_attempt(site: Site, version: int) -> None:
    with listening(site.host, 22, udp=(8004,)) as sockets:
        site.lock()
        sources = [site.friend.address[version]]
        site.grant(sources=sources)
        site.grant(sources=sources, ports=["8004"], protocol="udp")
        with session(site.friend, site.host, sockets[version, 22], version) as ends:
            token = site.access(always_allow=["192.0.2.1"])["trial"]["token"]
            assert not site.friend.connects(site.host, 22, version)
            assert not site.friend.sends(site.host, sockets[version, "udp", 8004], version)
            assert talks(*ends), "what is connected lives on"
            # Whoever tries during the trial gets in after it.
            with site.friend.entered():
                waiting = socket.socket(socket.AF_INET if version == 4 else socket.AF_INET6)
            with waiting:
                waiting.setblocking(False)
                with contextlib.suppress(BlockingIOError):
                    waiting.connect((site.host.address[version], 22))
                site.access(always_allow=["192.0.2.1"], _confirm=token)
                # The client sends its first packet again after one second, and then after two.
                until(lambda: _is_connected(waiting), "whoever tried during the trial does not get in", seconds=10)
        assert site.friend.connects(site.host, 22, version)
        assert site.info()["attempts"] == []


@pytest.mark.parametrize("version", BOTH)
def test_a_flow_that_an_opening_began_proves_nothing_on_trial(site: Site, version: int) -> None:
    """Ansible may come in through a tunnel, whose packets of UDP are let in as long as they don't pause."""
    site.lock()
    opened = site.grant(sources=[site.friend.address[version]], ports=["8004"], protocol="udp")
    with listening(site.host, udp=(8004,)) as sockets, site.friend.entered():
        server = sockets[version, "udp", 8004]
        with socket.socket(socket.AF_INET if version == 4 else socket.AF_INET6, socket.SOCK_DGRAM) as client:
            client.connect((site.host.address[version], 8004))
            client.send(b"one")
            server.sendto(b"two", server.recvfrom(16)[1])
            site.grant(state="closed", id=opened["id"])
            client.send(b"three")
            assert server.recv(16) == b"three", "it lives on"
            token = site.access(always_allow=["192.0.2.1"])["trial"]["token"]
            client.send(b"four")
            with pytest.raises(TimeoutError):
                server.recv(16)
            site.access(_withdraw=token)


class _Handshake:
    """The client's side of a connection, packet by packet: the kernel of the client knows nothing of it."""

    def __init__(self, client: network.Namespace, host: network.Namespace, port: int = 22) -> None:
        client.run("nft", "add table inet deaf")
        client.run("nft", "add chain inet deaf output { type filter hook output priority -300; }")
        client.run("nft", "add rule inet deaf output tcp sport 40000 tcp flags & rst == rst drop")
        with client.entered():
            self._raw = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_TCP)
        self._raw.settimeout(1)
        self._ends = (client.address[4], host.address[4])
        self._port = port
        self.acknowledged = 0

    def close(self) -> None:
        self._raw.close()

    def send(self, flags: int, sequence: int, acknowledged: int = 0, data: bytes = b"") -> None:
        source, target = map(socket.inet_aton, self._ends)
        header = struct.pack("!HHIIBBHHH", 40000, self._port, sequence, acknowledged, 5 << 4, flags, 65535, 0, 0)
        pseudo = source + target + struct.pack("!BBH", 0, socket.IPPROTO_TCP, len(header) + len(data))
        checksum = _checksum(pseudo + header + data)
        header = header[:16] + struct.pack("!H", checksum) + header[18:]
        self._raw.sendto(header + data, (self._ends[1], 0))

    def receive(self) -> tuple[int, int]:
        """Return flags and sequence number of the next packet of the host."""
        while True:
            packet = self._raw.recv(65535)
            segment = packet[(packet[0] & 15) * 4 :]
            if struct.unpack("!HH", segment[:4]) == (self._port, 40000):
                return segment[13], struct.unpack("!I", segment[4:8])[0]


def _checksum(content: bytes) -> int:
    content += b"\0" * (len(content) % 2)
    total = sum(struct.unpack(f"!{len(content) // 2}H", content))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


_SYN, _ACK, _PSH_ACK, _SYN_ACK, _RST = 2, 16, 24, 18, 4


@pytest.fixture
def handshake(site: Site) -> t.Iterator[_Handshake]:
    found = _Handshake(site.friend, site.host)
    yield found
    found.close()


def _is_connected(client: socket.socket) -> bool:
    try:
        client.getpeername()
    except OSError:
        return False
    return True


def _is_accepted(listener: socket.socket) -> bool:
    try:
        connection, _address = listener.accept()
    except TimeoutError:
        return False
    connection.close()
    return True


@pytest.mark.parametrize("cookies", [False, True])
@pytest.mark.parametrize("bogus", [False, True])
def test_a_handshake_that_ends_after_the_window_makes_no_connection(
    site: Site, handshake: _Handshake, cookies: bool, bogus: bool
) -> None:
    site.host.run("sysctl", "-qw", f"net.ipv4.tcp_syncookies={2 if cookies else 1}")
    with listening(site.host, 22) as sockets:
        site.lock()
        end = site.ending(4)
        handshake.send(_SYN, 1000)
        flags, sequence = handshake.receive()
        assert flags == _SYN_ACK
        if bogus:
            # An answer that does not fit, which the host rejects, and waits on.
            handshake.send(_ACK, 1001, sequence - 100)
            while handshake.receive()[0] & _RST == 0:
                pass
        site.outlast(end)
        for _again in range(3):
            handshake.send(_ACK, 1001, sequence + 1)
            handshake.send(_PSH_ACK, 1001, sequence + 1, b"hello")
            time.sleep(0.1)
        assert not _is_accepted(sockets[4, 22])


def test_a_handshake_that_ends_within_the_window_makes_one_that_lives_on(site: Site, handshake: _Handshake) -> None:
    with listening(site.host, 22) as sockets:
        site.lock()
        end = site.ending(4)
        handshake.send(_SYN, 1000)
        _flags, sequence = handshake.receive()
        handshake.send(_ACK, 1001, sequence + 1)
        connection, _address = sockets[4, 22].accept()
        with connection:
            # Nothing was sent by it when the window ends.
            site.outlast(end)
            connection.settimeout(1)
            handshake.send(_PSH_ACK, 1001, sequence + 1, b"hello")
            assert connection.recv(16) == b"hello"


def test_a_syn_is_no_part_of_a_connection_that_ended(site: Site, handshake: _Handshake) -> None:
    """The kernel that keeps track of connections takes it for one while the host has ended the connection alone."""
    with listening(site.host, 22) as sockets:
        site.lock()
        opened = site.grant()
        handshake.send(_SYN, 1000)
        _flags, sequence = handshake.receive()
        handshake.send(_ACK, 1001, sequence + 1)
        connection, _address = sockets[4, 22].accept()
        # Its socket is gone at once, and so it is after a minute by itself.
        site.host.run("sysctl", "-qw", "net.ipv4.tcp_fin_timeout=1")
        connection.close()
        site.grant(state="closed", id=opened["id"])
        handshake.send(_ACK, 1001, sequence + 2)
        time.sleep(2.5)
        handshake.send(_SYN, 900000)
        time.sleep(0.3)
        with contextlib.suppress(TimeoutError):
            while True:
                flags, sequence = handshake.receive()
                if flags == _SYN_ACK:
                    handshake.send(_ACK, 900001, sequence + 1)
        assert not _is_accepted(sockets[4, 22])


@pytest.mark.requires("command:conntrack")
def test_what_a_helper_expects_is_not_let_in(site: Site) -> None:
    with listening(site.host, 8005):
        site.lock()
        site.nft(
            "-f",
            "-",
            given='table inet theirs { ct helper ftp { type "ftp" protocol tcp; }; chain c { type filter hook'
            ' prerouting priority -190; tcp dport 21 ct helper set "ftp"; }; }',
        )
        with (
            listening(site.host, 21) as sockets,
            session(site.stranger, site.host, sockets[4, 21], 4) as (client, server),
        ):
            port = 8005
            address = site.host.address[4].replace(".", ",")
            server.sendall(b"220 It begins with the first line that is whole.\r\n")
            assert client.recv(128)
            client.sendall(b"PASV\r\n")
            assert server.recv(64)
            server.sendall(f"227 Entering Passive Mode ({address},{port >> 8},{port & 255})\r\n".encode())
            assert client.recv(128)
            expected = site.host.run("conntrack", "-L", "expect")
            assert f"dport={port}" in expected, "the helper expects it"
            assert not site.stranger.connects(site.host, port)


def test_made_up_sources_hide_nobody_and_the_coverage_says_what_they_did(site: Site) -> None:
    with listening(site.host, 22):
        site.lock()
        numbers = range(table.MOST_ATTEMPTS)
        made_up = ", ".join(f"198.{18 + (one >> 16)}.{one >> 8 & 255}.{one & 255} . tcp . 22" for one in numbers)
        site.nft("-f", "-", given=f"add element {_TABLE} attempts4 {{ {made_up} }}")
        found = site.info()
        assert [entry["status"] for entry in found["coverage"]] == ["checked", "checked"], "nobody was left out so far"
        assert not site.stranger.connects(site.host, 22)
        coverage = site.info()["coverage"][1]
        assert coverage["status"] == "partial"
        said = str(coverage)
        assert "since " in said
        assert "1 packet of others" in said
        # Whoever means it tries again.
        for _again in range(3):
            assert not site.stranger.connects(site.host, 22)
        found = site.info()
        mine = [one for one in found["attempts"] if one["source"] == site.stranger.address[4]]
        assert mine
        assert mine[0]["packets"] >= 3
        (alert,) = found["detections"]
        assert alert["subject"] == "tcp/22"


def test_a_new_version_takes_the_place_of_the_table_of_an_older_one(site: Site) -> None:
    with listening(site.host, 22, 80):
        site.lock()
        site.grant()
        old = (pathlib.Path(__file__).parent / "_former" / "nftables.nft").read_text()
        site.nft("-f", "-", given="delete table inet bulwark_jit\n" + old)
        with site.host.entered():
            site.refill()  # with what is open
        assert site.friend.connects(site.host, 22)
        assert not site.stranger.connects(site.host, 22)
        found = site.info()
        assert [one["source"] for one in found["attempts"]] == [site.stranger.address[4]]
        assert found["detections"][0]["subject"] == "policy"
        _repair(site)
        assert site.findings() == [("jit_locked_port_attempts", "tcp/22")], "who tried is still known"
        assert not site.access()["changed"]
        assert site.friend.connects(site.host, 22)
        assert not site.stranger.connects(site.host, 22)


def test_an_interface_that_is_named_like_the_loopback_leads_around_no_rule(site: Site) -> None:
    site.lock()
    with listening(site.host, 22):
        assert not site.stranger.connects(site.host, 22)
        for interface, name in (("lo", "former"), ("eth0", "lo")):
            site.host.run("ip", "link", "set", interface, "down")
            site.host.run("ip", "link", "set", interface, "name", name)
            site.host.run("ip", "link", "set", name, "up")
        assert not site.stranger.connects(site.host, 22)
