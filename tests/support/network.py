# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Hosts for tests of firewalls: network namespaces with a cable between them, real rules and connections."""

from __future__ import annotations

import contextlib
import ctypes
import os
import re
import secrets
import signal
import socket
import subprocess
import typing as t

_CLONE_NEWNET = 0x40000000
_TAKES_LOCK = re.compile(r"ip6?tables(-legacy|-nft)?(-restore)?")
# What is not answered within this is taken for dropped: everything happens in one kernel.
_SECONDS = 0.5


class Namespace:
    """A host. address: of IPv4 and of IPv6."""

    def __init__(self, name: str, number: int) -> None:
        self.name = name
        self.address = {4: f"10.99.0.{number}", 6: f"fd99::{number}"}

    @contextlib.contextmanager
    def entered(self) -> t.Iterator[None]:
        """Have this thread, and what it starts, in the namespace while the block runs."""
        before = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        inside = os.open(f"/run/netns/{self.name}", os.O_RDONLY | os.O_CLOEXEC)
        try:
            _enter(inside)
            try:
                yield
            finally:
                _enter(before)
        finally:
            os.close(inside)
            os.close(before)

    def run(self, *command: str, given: str | None = None) -> str:
        """Run a command there and return what it wrote; AssertionError when it fails."""
        if _TAKES_LOCK.fullmatch(command[0]):
            # All network namespaces have one lock between them (/run/xtables.lock), and other tests take it, too.
            command = (command[0], "--wait=30", *command[1:])
        with self.entered():
            answer = subprocess.run(command, input=given, capture_output=True, text=True, check=False, timeout=60)
        assert answer.returncode == 0, f"{command} failed: {answer.stderr or answer.stdout}"
        return answer.stdout

    def listen(self, port: int, version: int = 4, kind: socket.SocketKind = socket.SOCK_STREAM) -> socket.socket:
        """Return a socket that listens there; TCP connections are made by the kernel, and wait in it."""
        with self.entered():
            listener = socket.socket(_family(version), kind)
        listener.bind((self.address[version], port))
        if kind == socket.SOCK_STREAM:
            listener.listen(4000)  # nobody takes those that a test is done with
        listener.settimeout(_SECONDS)
        return listener

    def connects(self, other: Namespace, port: int, version: int = 4) -> bool:
        """Say whether a new TCP connection from here to there comes about."""
        with self.entered():
            client = socket.socket(_family(version), socket.SOCK_STREAM)
        with client:
            client.settimeout(_SECONDS)
            try:
                client.connect((other.address[version], port))
            except OSError:
                return False
            return True

    def sends(self, other: Namespace, listener: socket.socket, version: int = 4, port: int | None = None) -> bool:
        """Say whether a UDP packet from here comes out of a socket there. port: where another one leads to it."""
        with self.entered():
            client = socket.socket(_family(version), socket.SOCK_DGRAM)
        with client:
            content = secrets.token_bytes(8)
            client.sendto(content, (other.address[version], port or listener.getsockname()[1]))
            try:
                return listener.recv(64) == content
            except TimeoutError:
                return False


@contextlib.contextmanager
def hosts(*names: str) -> t.Iterator[list[Namespace]]:
    """Make hosts on one network; they are gone at the end, with what runs there, also when the test fails."""
    unique = secrets.token_hex(3)
    made = [Namespace(f"bw-{unique}-{name}", number) for number, name in enumerate(names, 1)]
    switch = f"bw-{unique}-switch"
    try:
        _ip("netns", "add", switch)
        _ip("-n", switch, "link", "add", "bridge0", "type", "bridge")
        _ip("-n", switch, "link", "set", "bridge0", "up")
        for number, host in enumerate(made, 1):
            _ip("netns", "add", host.name)
            port = f"port{number}"
            _ip("-n", host.name, "link", "add", "eth0", "type", "veth", "peer", "name", port, "netns", switch)
            _ip("-n", switch, "link", "set", port, "master", "bridge0", "up")
            _ip("-n", host.name, "link", "set", "lo", "up")
            _ip("-n", host.name, "address", "add", f"{host.address[4]}/24", "dev", "eth0")
            _ip("-n", host.name, "address", "add", f"{host.address[6]}/64", "dev", "eth0", "nodad")
            _ip("-n", host.name, "link", "set", "eth0", "up")
        yield made
    finally:
        for name in [*(host.name for host in made), switch]:
            _end_processes(name)
            subprocess.run(["ip", "netns", "delete", name], capture_output=True, check=False)


def _end_processes(namespace: str) -> None:
    """End what still runs there, as sessions of an ended daemon do: they would keep the network and its sockets."""
    listed = subprocess.run(["ip", "netns", "pids", namespace], capture_output=True, text=True, check=False)
    for pid in map(int, listed.stdout.split()):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def _ip(*arguments: str) -> None:
    answer = subprocess.run(["ip", *arguments], capture_output=True, text=True, check=False)
    assert answer.returncode == 0, f"ip {' '.join(arguments)}: {answer.stderr}"


def _enter(descriptor: int) -> None:
    library = ctypes.CDLL(None, use_errno=True)
    if library.setns(descriptor, _CLONE_NEWNET):
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def _family(version: int) -> socket.AddressFamily:
    return socket.AF_INET if version == 4 else socket.AF_INET6
