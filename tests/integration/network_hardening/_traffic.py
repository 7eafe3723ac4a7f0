# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A host whose traffic is recorded, and those who connect to it, in network namespaces."""

from __future__ import annotations

import contextlib
import pathlib
import socket
import struct
import threading
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils.network_hardening.traffic import apply, collect, options

from tests.support import network

TABLE = "bulwark_traffic"
# Where made-up sources are from; answers to them go out, and get lost.
NOWHERE = "198.18.0.0/15"


def _defaults(spec: t.Mapping[str, t.Mapping[str, t.Any]]) -> dict[str, t.Any]:
    return {name: fields.get("default") for name, fields in spec.items()}


class Site:
    """The host, a friend and a stranger. The modules run in the thread of the test."""

    def __init__(self, directory: pathlib.Path, hosts: t.Sequence[network.Namespace]) -> None:
        self.host, self.friend, self.stranger = hosts
        self.state = directory / "state"

    def record(self, check: bool = False, **changes: t.Any) -> dict[str, t.Any]:
        params = {**_defaults(options.apply_spec()), "state_dir": str(self.state), **changes}
        with self.host.entered():
            return apply.apply(params, check)

    def info(self, check: bool = False, **changes: t.Any) -> dict[str, t.Any]:
        params = {**_defaults(options.collect_spec()), "state_dir": str(self.state), **changes}
        with self.host.entered():
            return collect.collect(params, check)

    def counts(self, **changes: t.Any) -> dict[tuple[str, int, str, str], tuple[int, int, int]]:
        """Return how many connections were counted, answered and refused, by source, port, protocol and direction."""
        return counts(self.info(**changes))

    def nft(self, *arguments: str, given: str | None = None) -> str:
        return self.host.run("nft", *arguments, given=given)

    def tables(self) -> list[str]:
        return self.nft("list", "tables").splitlines()


def counts(result: t.Mapping[str, t.Any]) -> dict[tuple[str, int, str, str], tuple[int, int, int]]:
    return {
        (one["source"], one["port"], one["protocol"], one["direction"]): (
            one["count"],
            one["answered"],
            one["refused"],
        )
        for one in result["traffic"]
    }


def scope(result: t.Mapping[str, t.Any], name: str) -> dict[str, t.Any]:
    (found,) = [entry for entry in result["coverage"] if entry["scope"] == name]
    return t.cast("dict[str, t.Any]", found)


@contextlib.contextmanager
def site(directory: pathlib.Path) -> t.Iterator[Site]:
    with network.hosts("host", "friend", "stranger") as hosts:
        found = Site(directory, hosts)
        found.host.run("ip", "route", "add", NOWHERE, "via", found.stranger.address[4])
        yield found


@contextlib.contextmanager
def serving(host: network.Namespace, *ports: int) -> t.Iterator[None]:
    """Take connections on ports of IPv4 and IPv6, send a line, and close them, as long as the block runs."""
    over = threading.Event()
    with contextlib.ExitStack() as stack:
        for version in (4, 6):
            for port in ports:
                listener = stack.enter_context(host.listen(port, version))
                listener.settimeout(0.05)
                thread = threading.Thread(target=_serve, args=(listener, over))
                thread.start()
                stack.callback(thread.join)
        stack.callback(over.set)
        yield


def _serve(listener: socket.socket, over: threading.Event) -> None:
    while not over.is_set():
        try:
            taken, _address = listener.accept()
        except TimeoutError:
            continue
        with taken:
            taken.sendall(b"hello\n")


def visit(client: network.Namespace, host: network.Namespace, port: int, version: int = 4, times: int = 1) -> None:
    """Connect, and read until the other end closes."""
    for _time in range(times):
        with client.entered():
            ours = socket.socket(socket.AF_INET if version == 4 else socket.AF_INET6, socket.SOCK_STREAM)
        with ours:
            ours.settimeout(5)
            ours.connect((host.address[version], port))
            while ours.recv(64):
                pass


def flood(sender: network.Namespace, host: network.Namespace, port: int, number: int, protocol: str = "tcp") -> None:
    """Send the first packet of a connection from each of so many made-up sources."""
    with sender.entered():
        raw = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)
    target = socket.inet_aton(host.address[4])
    with raw:
        for count in range(number):
            source = struct.pack("!I", 0xC6120000 + 1 + count)
            raw.sendto(_packet(source, target, port, protocol), (host.address[4], 0))


def _packet(source: bytes, target: bytes, port: int, protocol: str) -> bytes:
    number = {"tcp": 6, "udp": 17, "sctp": 132}[protocol]
    if protocol == "tcp":
        segment = struct.pack("!HHIIBBHHH", 40000, port, 1, 0, 5 << 4, 2, 1024, 0, 0)
    elif protocol == "udp":
        segment = struct.pack("!HHHH", 40000, port, 9, 0) + b"x"  # a checksum of 0 is none
    else:
        segment = struct.pack("!HHII", 40000, port, 0, 0) + struct.pack("!BBHIIHHI", 1, 0, 20, 1, 4096, 1, 1, 1)
    if protocol == "tcp":
        pseudo = source + target + struct.pack("!BBH", 0, number, len(segment))
        segment = segment[:16] + struct.pack("!H", _checksum(pseudo + segment)) + segment[18:]
    head = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(segment), 0, 0, 64, number, 0)
    return head + source + target + segment


def _checksum(content: bytes) -> int:
    total = sum(struct.unpack(f"!{len(content) // 2}H", content))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF
