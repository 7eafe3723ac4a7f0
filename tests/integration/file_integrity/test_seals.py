# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A controller that is killed at any moment leaves a baseline and a seal that still belong together.

Whatever was cut off, the next scan reports no tampering that did not happen, and what did happen it still finds.
"""

from __future__ import annotations

import contextlib
import pathlib
import random
import shutil
import sqlite3
import subprocess
import time
import typing as t

import pytest

from tests.fleet.engine import Engine
from tests.fleet.fleet import Fleet
from tests.fleet.hosts import Host
from tests.integration import _processes as processes
from tests.integration import _scans
from tests.support import require
from tests.support.controllers import Controller
from tests.support.waiting import until

# What is made once for all of them is made in one worker.
pytestmark = pytest.mark.xdist_group("seals")

_SECONDS = 60
# Seconds between two looks at the host or into the store: each takes processor time of its own.
_PAUSE = 0.5
_WANTED = ("persistence_cron", "/etc/cron.d/wanted")
_ACCEPT: t.Mapping[str, t.Any] = {"accept": [_WANTED[1]], "reason": "CHG-7"}
_BACK_DOOR = ("fim_setuid_added", "/usr/local/bin/.d")
_TAMPERED = ("fim_baseline_tampered", _scans.BASELINE)
_SLOW = "/usr/local/bin/slow-python"
_STAGED = f"{_scans.STATE}/default.staged"
_LOCK = f"{_scans.STATE}/default.lock"
# At moments that chance chooses: another one in each run. The points that matter have tests of their own.
_KILLS = 1
# Where the host keeps the state that it had after its first scan.
_FIRST = "/root/first"


class Desk:
    """A host and its controller, and ways to stop the one while it is at a certain point with the other."""

    def __init__(self, scanner: _scans.Scanner, host: Host) -> None:
        self.scanner = scanner
        self.host = host

    def forget(self) -> None:
        """Have neither a baseline on the host nor a store."""
        self.host.shell(f"rm -rf {_scans.STATE}")
        for file in self.scanner.directory.glob("findings.db*"):
            file.unlink()

    def start(self, **options: t.Any) -> subprocess.Popen[str]:
        """Start the action ``file_integrity``."""
        return self.scanner.started(self.scanner.action("file_integrity", self.host.name, priority="normal", **options))

    def digests(self) -> tuple[str | None, str | None]:
        """Return the sealed and the proposed digest."""
        with self.scanner.store() as store:
            seal = store.seal(self.host.name, "default")
        return (seal.digest, seal.next_digest) if seal else (None, None)

    def proposed_at(self) -> float | None:
        with self.scanner.store() as store:
            seal = store.seal(self.host.name, "default")
        return seal.proposed_at if seal else None

    @contextlib.contextmanager
    def store_is_busy(self) -> t.Iterator[None]:
        """Let nobody write into the store; who reads isn't disturbed."""
        database = self.scanner.store_url.removeprefix("sqlite:///")
        with contextlib.closing(sqlite3.connect(database, isolation_level=None)) as connection:
            connection.execute("BEGIN IMMEDIATE")
            yield

    @contextlib.contextmanager
    def host_is_busy(self, once: str) -> t.Iterator[None]:
        """Let nothing on the host change the baseline any more from when a file is there."""
        script = f"until [ -e {once} ]; do sleep 0.05; done; exec flock {_LOCK} sleep {_SECONDS}"
        command = ["exec", self.host.container, "/bin/sh", "-euc", script]
        holder = self.engine_process(*command)
        try:
            yield
        finally:
            self.host.shell("for pid in $(pgrep -x sleep) $(pgrep -x flock); do kill $pid; done", check=False)
            holder.wait()

    def engine_process(self, *arguments: str) -> subprocess.Popen[bytes]:
        engine = self.host.engine
        return subprocess.Popen([engine.client, *(("--host", engine.address) if engine.address else ()), *arguments])

    def has(self, path: str) -> bool:
        return bool(self.host.shell(f"[ ! -e {path} ] || echo yes"))

    def end_what_runs_on_the_host(self) -> None:
        """End the module or the scan that outlived its controller, as a host that reboots would."""
        pattern = "AnsiballZ_file_integrity|[h]ost_scan"
        self.host.shell(f"for pid in $(pgrep -f '{pattern}'); do kill -9 $pid; done", check=False)


class Bench:
    """A host that was scanned once; each test begins there."""

    def __init__(self, scanner: _scans.Scanner, host: Host) -> None:
        self.scanner = scanner
        self.host = host
        scanner.scan()
        host.shell(f"cp -a {_scans.STATE} {_FIRST}")

    def desk(self, directory: pathlib.Path) -> Desk:
        """Return the host and a store as they were after the first scan."""
        # Watched paths that a test may have made, and what it may have kept for itself.
        made = f"/etc/cron.d/wanted* {_BACK_DOOR[1]} {_SLOW} /tmp/waits /tmp/go /root/old /root/new"
        self.host.shell(f"rm -rf {made} {_scans.STATE}; cp -a {_FIRST} {_scans.STATE}")
        for file in self.scanner.directory.glob("findings.db*"):
            shutil.copy(file, directory)
        return Desk(_scans.Scanner(self.scanner.controller, self.scanner.inventory, directory), self.host)


@pytest.fixture(scope="module")
def bench(
    docker_engine: Engine, controller: t.Callable[[str], Controller], tmp_path_factory: pytest.TempPathFactory
) -> t.Iterator[Bench]:
    require("fleet")
    fleet = Fleet(docker_engine, tmp_path_factory.mktemp("seals-fleet"))
    try:
        (host,) = fleet.start("trixie")
        yield Bench(_scans.Scanner(controller("2.21"), fleet.inventory, tmp_path_factory.mktemp("seals")), host)
    finally:
        fleet.remove()


@pytest.fixture
def desk(bench: Bench, tmp_path: pathlib.Path) -> Desk:
    return bench.desk(tmp_path)


def test_a_first_baseline_is_cut_off(desk: Desk) -> None:
    # The digest is in the store, and the host has not put the baseline in its place.
    desk.forget()
    desk.host.shell(f"install -d -m 0700 /var/lib/bulwark {_scans.STATE}; touch {_LOCK}")
    scan = desk.scanner.started("bulwark.servers.scan")
    with desk.host_is_busy(once=_STAGED):
        until(lambda: desk.digests()[1], pause=_PAUSE)
        processes.kill(scan)
        desk.end_what_runs_on_the_host()
    # The next run waits half a minute for whoever staged it.
    desk.host.run("touch", "-d", "1 hour ago", _STAGED)
    desk.scanner.scan()
    assert desk.scanner.open() == {}
    assert desk.scanner.coverage()[desk.host.name].status == "checked"
    desk.scanner.scan()
    assert desk.scanner.open() == {}


def test_accepting_is_cut_off(desk: Desk) -> None:
    sealed, _none = desk.digests()
    desk.host.shell(f"echo '# nightly' > {_WANTED[1]}; cp /usr/bin/dash {_BACK_DOOR[1]}; chmod 4755 {_BACK_DOOR[1]}")
    found: _scans.Open = {_WANTED: "high", _BACK_DOOR: "high"}

    # Staged on the host, and nobody knows.
    accepting = desk.start(**_ACCEPT)
    with desk.store_is_busy():
        until(lambda: desk.has(_STAGED), pause=_PAUSE)
        time.sleep(1)
        processes.kill(accepting)
    assert (desk.digests(), desk.has(_STAGED)) == ((sealed, None), True)
    desk.scanner.scan()
    assert desk.scanner.open() == found
    # A scan leaves it to the run that may still be between its two phases; the next change takes its place.
    desk.host.run("rm", _STAGED)

    # Proposed in the store, and the host has not changed.
    accepting = desk.start(**_ACCEPT)
    with desk.host_is_busy(once=_STAGED):
        until(lambda: desk.digests()[1], pause=_PAUSE)
        processes.kill(accepting)
        desk.end_what_runs_on_the_host()
    assert desk.digests()[0] == sealed
    assert desk.has(_STAGED)
    desk.scanner.scan()
    assert desk.scanner.open() == found

    # Put in place on the host, and the seal is still the old one.
    desk.host.run("rm", _STAGED)
    desk.host.shell(f"cp -a {_scans.BASELINE} /root/old")
    before = desk.proposed_at()
    accepting = desk.start(**_ACCEPT)
    with desk.host_is_busy(once=_STAGED):
        until(lambda: desk.proposed_at() != before, pause=_PAUSE)
        busy = contextlib.ExitStack()
        busy.enter_context(desk.store_is_busy())
    with busy:
        until(lambda: not desk.has(_STAGED), pause=_PAUSE)
        time.sleep(1)
        processes.kill(accepting)
    assert desk.digests()[0] == sealed
    desk.scanner.scan()
    assert desk.scanner.open() == {_BACK_DOOR: "high"}
    assert desk.digests()[1] is None

    # What was replaced so is as dead as after a change that was not cut off.
    desk.host.shell(f"cp -a /root/old {_scans.BASELINE}")
    desk.scanner.scan()
    assert desk.scanner.open() == {_BACK_DOOR: "high", _TAMPERED: "high"}


def test_a_comparison_and_a_change_at_once(desk: Desk) -> None:
    desk.host.shell(f"echo '# nightly' > {_WANTED[1]}; cp /usr/bin/dash {_BACK_DOOR[1]}; chmod 4755 {_BACK_DOOR[1]}")
    slow = "#!/bin/sh\ncase $1 in *host_scan*) touch /tmp/waits; until [ -e /tmp/go ]; do sleep 0.1; done;; esac\n"
    desk.host.write(_SLOW, f'{slow}exec /usr/bin/python3 "$@"\n', mode=0o755)
    # It is told which seal to expect, and when it comes to look, that is the old one.
    scan = desk.scanner.started("bulwark.servers.scan", ansible_python_interpreter=_SLOW)
    until(lambda: desk.has("/tmp/waits"), pause=_PAUSE)
    desk.start(**_ACCEPT).communicate()
    desk.host.shell("touch /tmp/go")
    scan.communicate()
    assert desk.scanner.open() == {_BACK_DOOR: "high", ("fim_file_created", _SLOW): "medium"}


def test_removing_is_cut_off(desk: Desk) -> None:
    desk.host.shell(f"echo '# nightly' > {_WANTED[1]}")

    # Proposed in the store, and the host has not changed.
    removing = desk.start(state="absent")
    with desk.host_is_busy(once=_LOCK):
        until(lambda: desk.digests()[1], pause=_PAUSE)
        processes.kill(removing)
        desk.end_what_runs_on_the_host()
    desk.scanner.scan()
    assert desk.scanner.open() == {_WANTED: "high"}

    # Removed from the host, and the store still has the seal.
    before = desk.proposed_at()
    with desk.host_is_busy(once=_LOCK):
        removing = desk.start(state="absent")
        until(lambda: desk.proposed_at() != before, pause=_PAUSE)
        busy = contextlib.ExitStack()
        busy.enter_context(desk.store_is_busy())
    with busy:
        until(lambda: not desk.has(_scans.BASELINE), pause=_PAUSE)
        time.sleep(1)
        processes.kill(removing)
    assert desk.digests()[0]
    desk.scanner.scan()
    assert desk.scanner.open() == {}
    assert desk.has(_scans.BASELINE)


def test_accepting_is_killed_at_any_moment(desk: Desk) -> None:
    desk.host.shell(f"cp /usr/bin/dash {_BACK_DOOR[1]}; chmod 4755 {_BACK_DOOR[1]}")
    wanted = [f"/etc/cron.d/wanted-{number}" for number in range(1 + _KILLS)]
    desk.host.shell("; ".join(f"echo '# {path}' > {path}" for path in wanted))
    start = time.monotonic()
    desk.start(accept=[wanted[0]], reason="CHG-7").communicate()
    duration = time.monotonic() - start
    chance = random.SystemRandom()
    for path in wanted[1:]:
        accepting = desk.start(accept=[path], reason="CHG-7")
        moment = chance.uniform(0.2, 1) * duration
        time.sleep(moment)
        processes.kill(accepting)
        # What it started on the host may go on, and end, after it.
        desk.scanner.scan()
        found = desk.scanner.open()
        cut_off = {("persistence_cron", path): "high" for path in wanted[1:]}
        assert found.items() <= {_BACK_DOOR: "high", **cut_off}.items(), f"killed after {moment:.3f} s"
        assert _BACK_DOOR in found, f"killed after {moment:.3f} s"
        assert desk.scanner.coverage()[desk.host.name].status == "checked"
    desk.scanner.module("file_integrity", desk.host.name, accept=["all"], reason="CHG-8")
    desk.scanner.scan()
    assert desk.scanner.open() == {}
