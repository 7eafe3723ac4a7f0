# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Sockets of processes that were started here, on loopback."""

from __future__ import annotations

import os
import pathlib
import textwrap

import pytest
from ansible_collections.bulwark.servers.plugins.module_utils import _net_sockets
from ansible_collections.bulwark.servers.plugins.module_utils._net_sockets import Socket
from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan.model import OpenFile
from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan.proc import sockets
from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan.proc.owners import Owners
from hypothesis import given
from hypothesis import strategies as st

from tests.support import require
from tests.unit.plugins.module_utils.memory_scan._started import known, python

_OPEN = textwrap.dedent(
    """
    import socket, sys
    server = socket.create_server(("127.0.0.1", 0))
    client = socket.create_connection(server.getsockname())
    accepted, _address = server.accept()
    six = socket.create_server(("::1", 0), family=socket.AF_INET6)
    datagram = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    datagram.bind(("127.0.0.1", 0))
    print("ready", flush=True)
    print(server.getsockname()[1], client.getsockname()[1], six.getsockname()[1], datagram.getsockname()[1], flush=True)
    sys.stdin.read()
    """
)


def test_the_sockets_of_a_process() -> None:
    with python(_OPEN) as started:
        server, client, six, datagram = map(int, started.hear().split())
        process = known(started.pid)
        table = sockets.read({process.pid: process})
        mine = {(one.protocol, one.state, one.local, one.remote) for one in table.of(process)}
    assert table.skipped == []
    assert mine == {
        ("tcp", "listen", ("127.0.0.1", server), None),
        ("tcp", "established", ("127.0.0.1", client), ("127.0.0.1", server)),
        ("tcp", "established", ("127.0.0.1", server), ("127.0.0.1", client)),
        ("tcp", "listen", ("::1", six), None),
        ("udp", "unconnected", ("127.0.0.1", datagram), None),
    }


def test_a_network_of_its_own() -> None:
    require("root", "command:unshare")
    code = textwrap.dedent(
        """
        import socket, sys
        server = socket.create_server(("127.0.0.1", 7777))
        sniffer = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
        raw = socket.socket(socket.AF_INET, socket.SOCK_RAW, 1)
        print("ready", flush=True)
        sys.stdin.read()
        """
    )
    with python(code, wrapper=["unshare", "--net", "--"]) as started, python(_OPEN) as other:
        inside, outside = known(started.pid), known(other.pid)
        table = sockets.read({inside.pid: inside, outside.pid: outside})
        mine = table.of(inside)
        assert len(table.of(outside)) == 5
    assert {(one.protocol, one.state) for one in mine} == {
        ("tcp", "listen"),
        ("packet", "unconnected"),
        ("raw", "unconnected"),
    }
    assert {one.network for one in mine} == {inside.namespaces["net"]}
    assert ("127.0.0.1", 7777) in [one.local for one in mine]


def test_more_sockets_than_are_kept() -> None:
    with python(_OPEN) as started:
        process = known(started.pid)
        table = sockets.read({process.pid: process}, most=1)
    assert len(table.sockets) == 1
    assert [reason for _subject, reason in table.skipped] == ["there are more than 1 sockets"]


def test_a_network_whose_processes_have_ended() -> None:
    with python(_OPEN) as started:
        process = known(started.pid)
    table = sockets.read({process.pid: process})
    assert table.sockets == {}
    assert len(table.skipped) == 1


def test_nothing_is_known_of_networks() -> None:
    assert sockets.read({}).skipped == [("sockets", "it is not known which network any process is in")]


def test_a_file_that_can_t_be_read(tmp_path: pathlib.Path) -> None:
    process = known(os.getpid())
    directory = tmp_path / str(process.pid)
    (directory / "net" / "tcp").mkdir(parents=True)
    (directory / "ns").mkdir()
    (directory / "ns" / "net").symlink_to(f"net:[{process.namespaces['net']}]")
    (directory / "net" / "udp").write_bytes(b"x" * 100_000 + b"\n\xff\n" + b"1: 2 3 4\n")
    table = sockets.read({process.pid: process}, root=str(tmp_path))
    assert table.sockets == {}
    assert [reason for _subject, reason in table.skipped] == ["tcp: Is a directory"]


@pytest.mark.parametrize(
    ("target", "inode"), [(b"socket:[12]", 12), (b"socket:[x]", 0), (b"/tmp/socket:[12]", 0), (b"socket:[12] ", 0)]
)
def test_the_number_of_a_socket(target: bytes, inode: int) -> None:
    assert sockets.inode_of(OpenFile(3, target)) == inode


def test_packet_sockets() -> None:
    line = "00000000abcdef01 3      3    0003   2     1 0          1000   4711\n"
    assert _net_sockets.parse_packet(line, 7) == Socket("packet", "unconnected", None, None, 4711, 1000, 7)
    assert _net_sockets.parse_packet("sk       RefCnt Type Proto  Iface R Rmem   User   Inode\n", 7) is None


@given(st.text(max_size=200))
def test_nothing_raises(line: str) -> None:
    _net_sockets.parse(line, "tcp", 1)
    _net_sockets.parse_packet(line, 1)


def _unowned(pid: int, inodes: set[int], seconds: float = 10.0) -> Owners:
    root = os.open("/proc", os.O_RDONLY | os.O_DIRECTORY)
    try:
        owners = Owners(inodes, root, seconds)
        owners.search([pid])
    finally:
        os.close(root)
    return owners


def test_owners_of_sockets() -> None:
    with python(_OPEN) as started:
        process = known(started.pid)
        inodes = {sockets.inode_of(file) for file in process.files} - {0}
        owners = _unowned(started.pid, {*inodes, 1})
        assert (owners.wanted, owners.blind) == ({1}, None)
        slow = _unowned(started.pid, {1}, seconds=0)
        assert slow.blind == "the search took more than 0 s of processor time"


def test_a_thread_with_descriptors_of_its_own() -> None:
    code = textwrap.dedent(
        """
        import ctypes, os, socket, sys, threading
        def own():
            ctypes.CDLL(None).unshare(0x400)  # CLONE_FILES
            server = socket.create_server(("127.0.0.1", 0))
            print("ready", flush=True)
            print(os.fstat(server.fileno()).st_ino, flush=True)
            sys.stdin.read()
        threading.Thread(target=own).start()
        """
    )
    with python(code) as started:
        inode = int(started.hear())
        assert inode not in {sockets.inode_of(file) for file in known(started.pid).files}
        assert _unowned(started.pid, {inode}).wanted == set()


def test_descriptors_that_can_t_be_read() -> None:
    require("root")
    with python(_OPEN) as started:
        os.seteuid(65534)
        try:
            owners = _unowned(started.pid, {1})
        finally:
            os.seteuid(0)
    assert owners.blind is not None
    assert owners.blind.startswith("descriptors of process %d can't be read: Permission denied" % started.pid)
    assert "run as root" in owners.blind
