# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Hosts that can't be looked at, or not in full: the run says so and why, and the other hosts don't suffer from it."""

from __future__ import annotations

import html
import json
import pathlib
import typing as t

import pytest

from tests.fleet.fleet import Fleet
from tests.fleet.hosts import Host
from tests.integration import _processes as processes
from tests.integration import _scans
from tests.support.controllers import Controller
from tests.support.waiting import until

_CHANGE = ("persistence_cron", "/etc/cron.d/x")
# A host that is down takes as long as the connection may.
_HURRY = {"ANSIBLE_TIMEOUT": "3"}


@pytest.fixture
def scanner(fleet: Fleet, controller: t.Callable[[str], Controller], tmp_path: pathlib.Path) -> _scans.Scanner:
    return _scans.Scanner(controller("2.21"), fleet.inventory, tmp_path)


def test_each_broken_host_is_named_with_the_reason(fleet: Fleet, scanner: _scans.Scanner) -> None:
    sound, down, no_python, no_sudo, not_root, in_the_way = hosts = fleet.start(*["trixie"] * 6)
    no_python.shell("rm /usr/bin/python3")
    for host in (no_sudo, not_root):
        host.shell("rm /etc/sudoers.d/ansible")
    in_the_way.shell("ln -s /tmp /var/lib/bulwark")
    down.engine("stop", "--time", "1", down.container)
    _without_become(scanner, not_root)
    reasons = {
        down: "file_integrity: the host was unreachable: Failed to connect to the host via ssh",
        no_python: "file_integrity: it failed: The module interpreter '/usr/bin/python3' was not found",
        no_sudo: "file_integrity: it failed: Missing sudo password",
        in_the_way: "file_integrity: /var/lib/bulwark is a symbolic link or no directory; remove it",
    }

    first = scanner.scan(environment=_HURRY)
    assert scanner.open() == {}
    for host in (sound, not_root):
        host.shell(f"echo '* * * * * root true' > {_CHANGE[1]}")
    not_root.shell("echo toor::0:0::/:/bin/sh >> /etc/passwd; echo toor::1:::::: >> /etc/shadow")
    strict = scanner.scan(environment=_HURRY, check=False, bulwark_strict=True)

    for host, reason in reasons.items():
        assert scanner.coverage()[host.name].status == "not_checked"
        assert scanner.reasons(host.name).startswith(reason)
        assert "\\r" not in scanner.reasons(host.name)
    assert scanner.coverage()[sound.name].status == "checked"
    assert scanner.open(sound.name) == {_CHANGE: "high"}
    # Not root: what everybody may read is compared, of the rest its size and times, and it is named.
    assert scanner.coverage()[not_root.name].status == "partial"
    accounts = [("account_file_changed", path) for path in ("/etc/passwd", "/etc/shadow")]
    assert scanner.open(not_root.name) == {_CHANGE: "high", **dict.fromkeys(accounts, "medium")}
    denied = scanner.reasons(not_root.name).split(" / ")
    for path in ("/etc/shadow", "/root", "/etc/sudoers", "/etc/ssh/ssh_host_ed25519_key"):
        (reason,) = {line.partition(f": {path}: ")[2] for line in denied if f": {path}: " in line}
        assert reason.endswith("it cannot be opened: Permission denied; run as root (become: true, or sudo make scan)")

    assert {name: (numbers["failed"], numbers["unreachable"]) for name, numbers in _scans.recap(first).items()} == {
        host.name: (0, 0) for host in hosts
    }
    assert strict.returncode != 0
    assert "5 of the hosts' capabilities could not be checked in full" in strict.stdout
    report = scanner.report.read_text(encoding="utf-8")
    for reason in reasons.values():
        assert html.escape(reason.partition(": ")[2].partition(" '")[0]) in report


def test_no_host_answers(fleet: Fleet, scanner: _scans.Scanner) -> None:
    hosts = fleet.start("trixie", "trixie")
    for host in hosts:
        host.engine("stop", "--time", "1", host.container)
    answer = scanner.scan(environment=_HURRY, check=False, bulwark_strict=True)
    assert {name: entry.status for name, entry in scanner.coverage().items()} == {
        host.name: "not_checked" for host in hosts
    }
    assert "the host was unreachable" in scanner.report.read_text(encoding="utf-8")
    assert {numbers["ok"] > 0 for numbers in _scans.recap(answer).values()} == {True}
    assert answer.returncode != 0


# What is compared says nothing about a run that was cut off, so that it is little.
_WATCHES = {
    "file_integrity_default_watches": False,
    "file_integrity_watches": [
        {"name": "cron", "paths": ["/etc/cron.d"], "category": "persistence", "alert": "persistence_cron"}
    ],
}


def test_the_controller_is_killed_while_it_scans(fleet: Fleet, scanner: _scans.Scanner) -> None:
    first, second = fleet.start("trixie", "trixie")
    scanner.scan(**_WATCHES)
    first.shell(f"echo '* * * * * root true' > {_CHANGE[1]}")
    scanner.scan(**_WATCHES)
    with scanner.store() as store:
        before = store.runs(1)
    scan = scanner.started("bulwark.servers.scan", **_WATCHES)
    with scanner.store() as store:
        until(lambda: store.runs(1) != before)
    processes.kill(scan)

    (run,) = [run for run in _runs(scanner) if run.finished is None]
    assert run.id != before[0].id
    for host in (first, second):
        entry = scanner.coverage()[host.name]
        assert (entry.status, entry.recorded) == ("not_checked", None)
        assert "no result arrived" in scanner.reasons(host.name)
    # What was found before is neither gone nor seen again.
    assert scanner.open() == {_CHANGE: "high"}
    assert [found.count for found in scanner.findings()] == [1]
    scanner.play("bulwark.servers.report")
    assert "no result arrived" in scanner.report.read_text(encoding="utf-8")
    scanner.scan(**_WATCHES)
    assert {entry.status for entry in scanner.coverage().values()} == {"checked"}


def _runs(scanner: _scans.Scanner) -> t.Sequence[t.Any]:
    with scanner.store() as store:
        return store.runs()


def _without_become(scanner: _scans.Scanner, host: Host) -> None:
    """Let the inventory say that one host is looked at as the account that logs in."""
    inventory = json.loads(scanner.inventory.read_text(encoding="utf-8"))
    inventory["all"]["hosts"][host.name]["ansible_become"] = False
    scanner.inventory.write_text(json.dumps(inventory), encoding="utf-8")
