# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Sockets and addresses, from files as the kernel writes them."""

from __future__ import annotations

import ipaddress
import pathlib
import sys

import pytest
from ansible_collections.bulwark.servers.plugins.module_utils.network_hardening.traffic import sockets
from ansible_collections.bulwark.servers.plugins.module_utils.network_hardening.traffic.sockets import Listener

EVERYWHERE = str(ipaddress.IPv4Address(0))
HEAD = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n"
REST = "00000000:00000000 00:00000000 00000000     0        0"


def _written(place: str) -> str:
    """Return a place as a kernel of this machine writes it, of what a little-endian one does."""
    address, _colon, port = place.partition(":")
    words = (int.from_bytes(bytes.fromhex(address[at : at + 8]), "little") for at in range(0, len(address), 8))
    return "".join(word.to_bytes(4, sys.byteorder).hex().upper() for word in words) + ":" + port


def _line(local: str, peer: str, state: str, inode: int) -> str:
    return f"   0: {_written(local)} {_written(peer)} {state} {REST} {inode} 1 0000000000000000 100 0 0 10 0\n"


@pytest.fixture
def network(tmp_path: pathlib.Path) -> pathlib.Path:
    tcp = [
        _line("0100007F:1538", "00000000:0000", "0A", 11),  # 127.0.0.1:5432
        _line("00000000:0016", "00000000:0000", "0A", 12),
        _line("0A00000A:0016", "070200C0:9C40", "01", 13),  # from 192.0.2.7
        _line("0A00000A:0016", "080200C0:9C40", "03", 0),  # a handshake that isn't over
        _line("0A00000A:0016", "0A00000A:9C40", "01", 14),  # with itself
    ]
    tcp6 = [
        _line("00000000000000000000000000000000:1F90", "00000000000000000000000000000000:0000", "0A", 15),
        # An IPv4 address in IPv6 clothes.
        _line("0000000000000000FFFF00000A00000A:1F90", "0000000000000000FFFF0000090200C0:9C40", "08", 16),
    ]
    udp = [_line("00000000:0044", "00000000:0000", "07", 17), _line("0A00000A:A000", "070200C0:0035", "01", 18)]
    for name, lines in (("tcp", tcp), ("tcp6", tcp6), ("udp", udp)):
        (tmp_path / name).write_text(HEAD + "".join(lines))
    return tmp_path


def test_what_is_listened_on_and_who_is_connected(network: pathlib.Path) -> None:
    found = sockets.read(str(network))
    assert found.listeners == [
        Listener(5432, "tcp", "127.0.0.1", 11),
        Listener(22, "tcp", EVERYWHERE, 12),
        Listener(8080, "tcp", "::", 15),
        Listener(68, "udp", EVERYWHERE, 17),
    ]
    assert found.connected == {("192.0.2.7", 22), ("192.0.2.9", 8080)}
    assert found.missing == [], "a kernel without IPv6 has no udp6"
    assert (68, "udp") in found.services()


def test_what_can_t_be_read_is_named(network: pathlib.Path) -> None:
    (network / "tcp").unlink()
    (network / "tcp").mkdir()
    (network / "udp").write_text(HEAD + "damaged\n" * 3)
    assert sockets.read(str(network)).missing == ["tcp"]


def test_processes_are_found_by_their_sockets(tmp_path: pathlib.Path) -> None:
    for pid, inode, name in ((20, 12, "sshd"), (3, 12, "systemd"), (40, 15, "web\x1b[2J")):
        files = tmp_path / str(pid) / "fd"
        files.mkdir(parents=True)
        (files / "3").symlink_to(f"socket:[{inode}]")
        (tmp_path / str(pid) / "comm").write_text(f"{name}\n")
        (tmp_path / str(pid) / "exe").symlink_to(f"/usr/bin/{pid}")
    (tmp_path / "self").mkdir()
    found = sockets.owners([12, 15, 0, 99], str(tmp_path))
    assert found == {
        12: {"pid": 3, "name": "systemd", "executable": "/usr/bin/3"},
        15: {"pid": 40, "name": "web\\x1b[2J", "executable": "/usr/bin/40"},
    }


def test_the_host_s_own_addresses(tmp_path: pathlib.Path) -> None:
    (tmp_path / "fib_trie").write_text(
        "Main:\n  +-- 0.0.0.0/0 3 0 5\n     |-- 127.0.0.1\n        /32 host LOCAL\n     |-- 192.0.2.0\n"
        "        /24 link UNICAST\n     |-- 192.0.2.2\n        /32 host LOCAL\n     |-- 192.0.2.255\n"
        "        /32 link BROADCAST\n"
    )
    (tmp_path / "if_inet6").write_text(
        "00000000000000000000000000000001 01 80 10 80       lo\n20010db8000000000000000000000002 02 40 00 80     eth0\n"
    )
    assert sockets.addresses(str(tmp_path)) == ["192.0.2.2", "2001:db8::2"]
