# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Processes that use one store at once, as Ansible's forks do. Run as a program:

``processes.py forks URL NUMBER``: fork that many processes after everything is imported; each opens the store and
writes. ``processes.py writer URL NAME ROUNDS``: write that often. ``processes.py endless URL``: write until killed.
``processes.py open URL REQUEST``: open a request to open ports.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import time
import typing as t

from ansible_collections.bulwark.servers.plugins.plugin_utils.store import Selection, Store

from tests.support import paths
from tests.unit.plugins.plugin_utils.store import programs
from tests.unit.plugins.plugin_utils.store.samples import CAPABILITY, checked, finding, person, start

SHARED = "shared"


def write(url: str, name: str, rounds: int) -> None:
    """Be one controller: a run per round that records a host of its own and one that all others record too."""
    own = f"host-{name}"
    for number in range(rounds):
        now = time.time()
        with contextlib.closing(Store.open(url)) as store:
            run_id = start(store, now, [own, SHARED])
            store.record(run_id, own, CAPABILITY, [finding(f"/etc/{number}", now, own)], [checked()], now)
            seen = [
                finding("/etc/all", now, SHARED),
                finding(f"{name} {number}", now, SHARED, lifecycle="event"),
            ]
            store.record(run_id, SHARED, CAPABILITY, seen, [], now)
            # Programs that others record at the same time, in another order, and that nobody has recorded before.
            names = sorted((f"/usr/bin/{number}-{item}" for item in range(20)), key=lambda path: hash((name, path)))
            look = programs.result(*map(programs.sighting, names), after=store.checkpoint(own, programs.CHECKPOINT))
            store.record_host(run_id, own, [look], now)
            if number % 4 == 3:
                store.prune(0.0)
            store.suppress(Selection(subject=f"{name} *"), reason=str(number), by=name, now=now)
            store.propose_seal(own, "default", str(number), by=name, reason="", now=now)
            store.confirm_seal(own, "default", str(number), now=now)
            store.finish_run(run_id, now)


def endless(url: str) -> None:
    """Record a hundred findings at a time, all of one run, so that half a record would show."""
    with contextlib.closing(Store.open(url)) as store:
        number = 0
        while True:
            run_id = start(store, time.time(), [SHARED])
            seen = [finding(f"{number} {item}", lifecycle="event", host=SHARED) for item in range(100)]
            store.record(run_id, SHARED, CAPABILITY, seen, [checked()], time.time())
            number += 1
            print(number, flush=True)  # noqa: T201


def forks(url: str, number: int) -> None:
    children = []
    for child in range(number):
        pid = os.fork()
        if pid == 0:
            status = 1
            try:
                write(url, str(child), 1)
                status = 0
            finally:
                os._exit(status)
        children.append(pid)
    failed = [pid for pid in children if os.waitpid(pid, 0)[1] != 0]
    sys.exit(f"{len(failed)} of {number} processes failed" if failed else 0)


def spawn(*arguments: str, **options: t.Any) -> subprocess.Popen[str]:
    """Start this file as a program of its own."""
    command = [sys.executable, "-m", "tests.unit.plugins.plugin_utils.store.processes", *arguments]
    environment = {**os.environ, "PYTHONPATH": str(paths.COLLECTIONS)}
    return subprocess.Popen(command, cwd=paths.ROOT, env=environment, text=True, **options)


def main() -> None:
    kind, url, *rest = sys.argv[1:]
    if kind == "forks":
        forks(url, int(rest[0]))
    elif kind == "writer":
        write(url, rest[0], int(rest[1]))
    elif kind == "open":
        with contextlib.closing(Store.open(url)) as store:
            store.jit_opening(rest[0], by=person("alice"), now=300)
    else:
        endless(url)


if __name__ == "__main__":
    main()
