# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""TCP connections per second to a host with the recorder, against those to the same host without it.

Two network namespaces are joined by veth pairs and a bridge. A client opens one connection after the other, from 32
addresses of IPv4 and 32 of IPv6 in turns; a server takes each, they exchange what connections of SSH begin with, and
the server closes it. Both are on one processor, before all else that wants it, so that what the kernel does for a
packet is all on the clock. The sets of the recorder hold 4,000 other sources. Rounds with and without are short and
alternate, the first of a pair changing; without means that the table is dormant, whose hooks the kernel takes away.
Counted at the end is what the recorder saw, which has to be each connection that was made with it.

ratio: connections per second with the recorder to those without, the median over the pairs. ours_s, peer_s: the median
seconds of a round with and without. peak_mb: the largest proportional set size while traffic_info reads such sets, as
on a target.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import multiprocessing
import os
import pathlib
import socket
import statistics
import subprocess
import tempfile
import time
import typing as t

from tests.bench import _measure
from tests.support import network, paths

PAIRS = 400
CONNECTIONS = 192
# Of each round, before the clock runs.
WARM = 64
ADDRESSES = 32
OTHERS = 4000
PORT = 22
# As connections of SSH begin: each end says which version it is, and the server what keys it knows.
BANNER = b"SSH-2.0-OpenSSH_10.0\r\n"
KEYS = bytes(1080)
_TABLE = "inet bulwark_traffic"


def run() -> dict[str, t.Any]:
    """Return the figures; raises RuntimeError when the recorder has not seen exactly what there was."""
    paths.link_collection()
    with (
        tempfile.TemporaryDirectory(prefix="bulwark-bench-") as name,
        network.hosts("host", "client") as (host, client),
    ):
        directory = pathlib.Path(name)
        arguments = {"state_dir": str(directory / "state")}
        recorder = _measure.payload(directory / "recorder.py", "bulwark.servers.traffic_recorder", arguments)
        reader = _measure.payload(directory / "reader.py", "bulwark.servers.traffic_info", arguments)
        with host.entered():
            _measure.output(recorder)
            _fill()
        with contextlib.ExitStack() as stack:
            listeners = {version: stack.enter_context(host.listen(PORT, version)) for version in (4, 6)}
            routes = _routes(host, client)
            stack.enter_context(_undisturbed())
            for listener in listeners.values():
                stack.enter_context(_served(listener))
            rates = _rounds(host, client, routes)
        seen = _seen(host, reader)
        if seen != PAIRS * (WARM + CONNECTIONS):
            raise RuntimeError(f"the recorder has seen {seen} connections, not {PAIRS * (WARM + CONNECTIONS)}")
        with host.entered():
            peak = _measure.peak(reader)
    pairs = list(zip(rates["with"], rates["without"], strict=True))
    return {
        "ours_s": round(CONNECTIONS / statistics.median(rates["with"]), 4),
        "peer_s": round(CONNECTIONS / statistics.median(rates["without"]), 4),
        "ratio": round(statistics.median(ours / peer for ours, peer in pairs), 3),
        **peak,
        "connections_per_second": round(statistics.median(rates["with"])),
        "connections_per_second_without": round(statistics.median(rates["without"])),
        "quartiles": [round(one, 3) for one in statistics.quantiles([ours / peer for ours, peer in pairs], n=4)],
        "pairs": PAIRS,
        "connections": seen,
    }


@contextlib.contextmanager
def _undisturbed() -> t.Iterator[None]:
    """Have this thread on one processor, and what it starts, before others that want it."""
    processors, policy, priority = os.sched_getaffinity(0), os.sched_getscheduler(0), os.sched_getparam(0)
    os.sched_setaffinity(0, {max(processors)})
    os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))
    try:
        yield
    finally:
        os.sched_setscheduler(0, policy, priority)
        os.sched_setaffinity(0, processors)


def _ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True)


def _nft(text: str) -> None:
    subprocess.run(["nft", "-f", "-"], input=text, text=True, check=True)


def _fill() -> None:
    """Let the sets hold sources that have been there before."""
    names = json.loads(_measure.output(["nft", "--json", "--terse", "list", "table", *_TABLE.split()]))["nftables"]
    for name in (entry["set"]["name"] for entry in names if "set" in entry):
        if name.startswith(("in_proven", "in_known", "in_answered", "in_tried", "in_sampled")):
            prefix = "198.18.%d.%d" if "4_" in name else "2001:db8::%x:%x"
            keys = [f"{prefix % divmod(number, 250)} . tcp . {PORT}" for number in range(OTHERS)]
            _nft(f"add element {_TABLE} {name} {{ {', '.join(keys)} }}\n")


Route = tuple[socket.AddressFamily, tuple[str, int], tuple[str, int]]


def _routes(host: network.Namespace, client: network.Namespace) -> list[Route]:
    """Return the family, the address to come from, and that to go to, for each source in turns."""
    routes: list[Route] = []
    for number in range(1, ADDRESSES + 1):
        for version, text in ((4, f"10.99.0.{100 + number}"), (6, f"fd99::1:{number:x}")):
            nodad = ["nodad"] if version == 6 else []
            _ip("-n", client.name, "address", "add", f"{text}/{24 if version == 4 else 64}", "dev", "eth0", *nodad)
            family = socket.AF_INET if version == 4 else socket.AF_INET6
            routes.append((family, (text, 0), (host.address[version], PORT)))
    return routes


def _rounds(host: network.Namespace, client: network.Namespace, routes: t.Sequence[Route]) -> dict[str, list[float]]:
    """Return connections per second of each round."""
    rates: dict[str, list[float]] = {"with": [], "without": []}
    for pair in range(PAIRS):
        for which in ("with", "without") if pair % 2 else ("without", "with"):
            with host.entered():
                _nft(f"add table {_TABLE} {{ {'flags dormant;' if which == 'without' else ''} }}\n")
            turns = itertools.cycle(routes)
            _connect(client, itertools.islice(turns, WARM))
            started = time.perf_counter()
            _connect(client, itertools.islice(turns, CONNECTIONS))
            rates[which].append(CONNECTIONS / (time.perf_counter() - started))
    with host.entered():
        _nft(f"add table {_TABLE} {{ }}\n")
    return rates


def _connect(client: network.Namespace, routes: t.Iterable[Route]) -> None:
    """Open, use and close a connection for each route."""
    with client.entered():
        for family, source, target in routes:
            with socket.socket(family, socket.SOCK_STREAM) as ours:
                ours.bind(source)
                ours.connect(target)
                ours.recv(64)
                ours.sendall(BANNER)
                while ours.recv(2048):
                    pass


@contextlib.contextmanager
def _served(listener: socket.socket) -> t.Iterator[None]:
    """Have a process that takes connections while the block runs."""
    listener.settimeout(None)
    process = multiprocessing.get_context("fork").Process(target=_serve, args=(listener,), daemon=True)
    process.start()
    try:
        yield
    finally:
        process.kill()
        process.join()


def _serve(listener: socket.socket) -> None:
    while True:
        theirs, _address = listener.accept()
        with theirs:
            theirs.sendall(BANNER)
            theirs.recv(64)
            theirs.sendall(KEYS)


def _seen(host: network.Namespace, reader: list[str]) -> int:
    """Return how many answered connections the recorder has counted so far."""
    with host.entered():
        result = json.loads(_measure.output(reader))
    return sum(entry["answered"] for entry in result["traffic"] if entry["source"].startswith(("10.99.", "fd99:")))
