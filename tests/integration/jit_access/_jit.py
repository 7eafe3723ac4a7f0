# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A host whose ports are locked, and those who want to reach them, in network namespaces."""

from __future__ import annotations

import contextlib
import json
import pathlib
import socket
import time
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils.jit_access import (
    apply,
    apply_grant,
    clock,
    collect,
    kernel,
    nftables,
    options,
    state,
)

from tests.support import network

# Seconds from the end of an opening until it is closed.
_LATE = 0.1


class End(t.NamedTuple):
    """When an opening ends. The kernel counts from when it has the element: within the call that fills the set."""

    earliest: float
    latest: float


PORTS: list[dict[str, t.Any]] = [
    {"port": "22"},
    {"port": "8000-8010", "protocol": "both"},
]


def defaults(spec: t.Mapping[str, t.Mapping[str, t.Any]]) -> dict[str, t.Any]:
    return {name: fields.get("default") for name, fields in spec.items()}


class Nftables:
    """What the kernel of the host has of ours and of others."""

    table = ("list", "table", "inet", "bulwark_jit")

    def __init__(self, host: network.Namespace) -> None:
        self._host = host

    def rules(self) -> str:
        """Return what is in the kernel, without what changes by itself."""
        return self._host.run("nft", "--stateless", *self.table)

    def everything(self) -> str:
        """Return all rules and sets, whoever made them; empty where there are none."""
        return self._host.run("nft", "list", "ruleset")

    def openings(self) -> int:
        return self._host.run("nft", *self.table).count(" . tcp . 22 timeout")

    def open(self, source: str) -> None:
        """Open port 22 as somebody does who knows the kernel's sets, and not us."""
        self._host.run(
            "nft", "add", "element", "inet", "bulwark_jit", "grants4", f"{{ {source} . tcp . 22 timeout 60s }}"
        )

    def close_all(self) -> None:
        self._host.run("nft", "flush", "set", "inet", "bulwark_jit", "grants4")

    def others(self) -> None:
        """Have another firewall deny port 9."""
        theirs = "table inet theirs { chain input { type filter hook input priority 5; tcp dport 9 drop; }; }"
        self._host.run("nft", "-f", "-", given=theirs)


class Site:
    """The host, a friend that is let in, and a stranger that is not. The modules run in the thread of the test."""

    def __init__(self, directory: pathlib.Path, hosts: t.Sequence[network.Namespace]) -> None:
        self.host, self.friend, self.stranger = hosts
        self.state = directory / "state"
        self.way = Nftables(self.host)
        self._longest_fill = 0.0

    @contextlib.contextmanager
    def filling(self) -> t.Iterator[None]:
        """Note how long something takes that fills the sets: an opening may end so much later."""
        begun = since_boot()
        yield
        self._longest_fill = max(self._longest_fill, since_boot() - begun)

    def _latest(self, end: End) -> float:
        return max(end.latest, end.earliest + self._longest_fill) + _LATE

    def access(self, check: bool = False, **changes: t.Any) -> dict[str, t.Any]:
        """Set a policy as the module does, without confirming it."""
        items = changes.pop("ports", PORTS)
        if items is not None:
            fields = options.apply_spec()["ports"]["options"]
            changes["ports"] = [{**defaults(fields), **item} for item in items]
        params = {**defaults(options.apply_spec()), "state_dir": str(self.state), **changes}
        with self.host.entered(), self.filling():
            return apply.apply(params, check)

    def lock(self, **changes: t.Any) -> dict[str, t.Any]:
        """Set a policy and confirm it, as the action plugin does."""
        tried = self.access(**changes)
        return self.access(_confirm=tried["trial"]["token"], **changes)

    def grant(self, check: bool = False, **changes: t.Any) -> dict[str, t.Any]:
        given = {"ports": ["22"], "sources": [self.friend.address[4]], "requested_for": "ada", "reason": "a ticket"}
        if changes.get("state") == "closed":
            given = {}
        params = {**defaults(options.grant_spec()), "state_dir": str(self.state), **given, **changes}
        with self.host.entered():
            return apply_grant.apply(params, check)

    def info(self, **changes: t.Any) -> dict[str, t.Any]:
        params = {**defaults(options.collect_spec()), "state_dir": str(self.state), **changes}
        with self.host.entered():
            return collect.collect(params, True)

    def ending(self, seconds: float, **changes: t.Any) -> End:
        """Open for so short a time as no policy allows; return when it ends, on the clock that the tests measure with.

        What is noted of a grant that is open is the end; everything after that is as with any other.
        """
        result = self.grant(**changes)
        file = self.state / "jit" / "grants.json"
        book = json.loads(file.read_text())
        (mine,) = [one for one in book["open"] if one["id"] == result["id"]]
        started = mine["end"] - mine["duration"]
        mine["end"] = started + seconds
        mine["until"] = mine["opened"] + seconds
        file.write_text(json.dumps(book))
        # With the same policy only the sets are filled again.
        self._longest_fill = 0.0
        with self.host.entered():
            self.refill()
        return End(started + seconds, started + seconds + self._longest_fill)

    def outlast(self, end: End) -> None:
        """Wait until an opening has to be over."""
        time.sleep(max(0.0, self._latest(end) - since_boot()))

    def watch_the_end(self, end: End, connects: t.Callable[[], bool]) -> None:
        """Check that an opening lasts until its end, and no longer.

        connects: says whether it is open. Its result counts if it is there before the end, which load may put off.
        """
        while since_boot() < self._latest(end):
            is_open, left = connects(), end.earliest - since_boot()
            assert is_open or left < 0, f"{left:.3f} s before its end it is closed"
            time.sleep(0.05)
        assert not connects()

    def refill(self) -> None:
        with self.filling(), state.directory({"state_dir": str(self.state)}, create=False) as where:
            now = clock.now()
            packets = nftables.Nftables()
            book = state.read_book(where, now)
            kernel.fill(packets, book, now)
            packets.note(where, book, now)

    def nft(self, *arguments: str, given: str | None = None) -> str:
        return self.host.run("nft", *arguments, given=given)

    def findings(self) -> list[tuple[str, str]]:
        return [(found["alert"], found["subject"]) for found in self.info()["detections"]]


@contextlib.contextmanager
def site(directory: pathlib.Path) -> t.Iterator[Site]:
    with network.hosts("host", "friend", "stranger") as hosts:
        yield Site(directory, hosts)


def since_boot() -> float:
    return time.clock_gettime(time.CLOCK_BOOTTIME)


@contextlib.contextmanager
def listening(
    host: network.Namespace, *ports: int, udp: t.Sequence[int] = ()
) -> t.Iterator[dict[t.Any, socket.socket]]:
    """Listen on ports of TCP, and on others of UDP, with both versions of IP; gives sockets by version and port."""
    with contextlib.ExitStack() as stack:
        found = {}
        for version in (4, 6):
            for port in ports:
                found[version, port] = stack.enter_context(host.listen(port, version))
            for port in udp:
                found[version, "udp", port] = stack.enter_context(host.listen(port, version, socket.SOCK_DGRAM))
        yield found


@contextlib.contextmanager
def session(
    client: network.Namespace,
    host: network.Namespace,
    listener: socket.socket,
    version: int,
    port: int | None = None,
) -> t.Iterator[t.Any]:
    """Give both ends of an established connection, the client's first. port: another one that leads to the listener."""
    with client.entered():
        ours = socket.socket(socket.AF_INET if version == 4 else socket.AF_INET6, socket.SOCK_STREAM)
    with ours:
        ours.settimeout(2)
        ours.connect((host.address[version], port or listener.getsockname()[1]))
        theirs, _address = listener.accept()
        with theirs:
            theirs.settimeout(1)
            yield ours, theirs


def talks(sender: socket.socket, receiver: socket.socket) -> bool:
    """Say whether what one end sends comes out of the other."""
    try:
        sender.sendall(b"hello")
        return receiver.recv(16) == b"hello"
    except OSError:
        return False
