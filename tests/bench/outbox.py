# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a destination of the export adds to recording a scan, in SQLite and PostgreSQL.

20 hosts of ``_scans.py`` with 100 findings each are recorded, the run is closed, and the same once more a day later:

- first: all findings are new.
- steady: a tenth is new and a tenth is gone. An exporter has sent everything before.
- behind: the same, and nobody has exported anything.

ours_s: with one destination that takes everything; peer_s: with none. Both are the sum of the first and the steady
scan in both databases. Seconds are processor time, of Python and of the server, and the least of several rounds, one
way after the other, as the machine is shared.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import multiprocessing
import resource
import sys
import tempfile
import time
import typing as t

from tests.support import paths, postgresql

HOSTS = 20
FINDINGS = 100
ROUNDS = 5
_DAY = 86_400.0
_START = 1_760_000_000.0
_SCANS = ("first", "steady", "behind")
_DESCRIBED = {"playbook": "scan", "user": "alice", "controller": "control1", "version": "1.0.0"}

Seconds = dict[str, float]


def run() -> dict[str, t.Any]:
    return measure(HOSTS, FINDINGS, ROUNDS)


def measure(hosts: int, findings: int, rounds: int) -> dict[str, t.Any]:
    """Return the figures of so many hosts, each with so many findings."""
    paths.link_collection()
    sys.path.insert(0, str(paths.COLLECTIONS))
    # What a process imports is not what is measured.
    importlib.import_module("ansible_collections.bulwark.servers.plugins.plugin_utils.store")
    importlib.import_module("tests.bench._scans")
    with postgresql.running() as server, tempfile.TemporaryDirectory() as directory:
        urls = {
            "sqlite": lambda number: f"sqlite:///{directory}/{number}/findings.db",
            "postgresql": lambda _number: server.empty_database(),
        }
        costs = {name: _compare(server, url, hosts, findings, rounds) for name, url in urls.items()}
    ours, peer = (sum(cost[way][scan] for cost in costs.values() for scan in _SCANS[:2]) for way in ("with", "without"))
    return {
        "ours_s": round(ours, 3),
        "peer_s": round(peer, 3),
        "ratio": round(ours / peer, 3),
        "peak_mb": round(max(cost[way]["mb"] for cost in costs.values() for way in cost)),
        "ratios": {
            name: {scan: round(cost["with"][scan] / cost["without"][scan], 3) for scan in _SCANS}
            for name, cost in costs.items()
        },
        "costs": costs,
    }


def _compare(
    server: postgresql.Server, url: t.Callable[[str], str], hosts: int, findings: int, rounds: int
) -> dict[str, Seconds]:
    """Return the least seconds of each scan, with a destination and without."""
    measured: dict[str, list[Seconds]] = {"without": [], "with": []}
    for number in range(rounds):
        # Whichever comes first may be the one that a busy machine slows down.
        for way in sorted(measured, reverse=number % 2 == 0):
            measured[way].append(_apart(server, url(f"{way}{number}"), hosts, findings, way == "with"))
    return {
        way: {name: round(min(each[name] for each in seconds), 3) for name in seconds[0]}
        for way, seconds in measured.items()
    }


def _apart(server: postgresql.Server, url: str, hosts: int, findings: int, has_destination: bool) -> Seconds:
    """Record in a process of its own."""
    context = multiprocessing.get_context("fork")
    receiving, sending = context.Pipe(duplex=False)
    process = context.Process(target=_record, args=(sending, server, url, hosts, findings, has_destination))
    process.start()
    sending.close()
    try:
        seconds: Seconds = receiving.recv()
    finally:
        process.join()
    return seconds


def _record(
    sending: t.Any, server: postgresql.Server, url: str, hosts: int, findings: int, has_destination: bool
) -> None:
    from ansible_collections.bulwark.servers.plugins.plugin_utils.store import Destination, Store

    from tests.bench import _scans

    seconds: Seconds = {}
    with contextlib.closing(Store.open(url)) as store:
        if has_destination:
            store.register_destination(Destination("siem", "syslog", "siem.example.com"), now=_START)
        for number, scan in enumerate(_SCANS):
            now = _START + number * _DAY
            names = [_scans.host_name(host) for host in range(hosts)]
            results = {host: _scans.results(host, findings, number, now) for host in range(hosts)}
            gc.collect()
            before = server.processor_seconds if url.startswith("postgresql") else 0.0
            started = time.process_time()
            run_id = store.start_run(hosts=names, capabilities=_scans.CAPABILITIES, now=now, **_DESCRIBED)
            for host, found in results.items():
                if any(result.refused for result in store.record_host(run_id, names[host], found, now)):
                    raise RuntimeError(f"a result of {names[host]} was refused")
            store.finish_run(run_id, now + 3600)
            spent = time.process_time() - started
            after = server.processor_seconds if url.startswith("postgresql") else 0.0
            seconds[scan] = spent + after - before
            if scan == "first":
                _export(store, now)
    seconds["mb"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    sending.send(seconds)


def _export(store: t.Any, now: float) -> None:
    """Take everything that waits."""
    from ansible_collections.bulwark.servers.plugins.plugin_utils.store import Settlement

    for state in store.destinations():
        name = state.destination.name
        while changes := store.claim(name, "bench", changes=500, size=10**7, lease=60, now=now):
            store.settle(name, "bench", [Settlement(change.id, "sent") for change in changes], now=now)
