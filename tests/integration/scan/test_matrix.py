# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every ansible-core that is supported scans hosts with every Python that it supports: all of it, and finds the change.

From 2.20 on ansible-core runs no module of its own on Python 3.8. A scan sends none, so that it runs there, too.
"""

from __future__ import annotations

import pathlib
import typing as t

from tests.fleet import images
from tests.fleet.fleet import Fleet
from tests.integration import _scans
from tests.support import require
from tests.support.controllers import Controller

_PROGRAM, _UNIT = "/usr/local/bin/.d", "/etc/systemd/system/persist.service"
# By the ansible-core that finds them, and how they are made.
_CHANGES: dict[str, tuple[str, _scans.Open]] = {
    "2.18": (
        f"cp /bin/dash {_PROGRAM}; chmod 4755 {_PROGRAM}",
        {("fim_setuid_added", _PROGRAM): "high"},
    ),
    "2.21": (
        f"printf '[Service]\\nExecStart=/usr/bin/true\\n' > {_UNIT}",
        {("persistence_systemd_unit", _UNIT): "high"},
    ),
}


def test_controllers_scan_every_python(
    fleet: Fleet, controller: t.Callable[[str], Controller], tmp_path: pathlib.Path
) -> None:
    require("python:3.8")
    hosts = fleet.start(*images.PYTHONS)
    scanner = _scans.Scanner(controller("2.18"), fleet.inventory, tmp_path)
    statuses = {host.name: "checked" for host in hosts}
    first = scanner.scan()
    assert {name: entry.status for name, entry in scanner.coverage().items()} == statuses
    assert scanner.open() == {}, first.stdout
    expected: _scans.Open = {}
    for core, (change, found) in _CHANGES.items():
        expected |= found
        for host in hosts:
            # Each sends its code, as to a host that it has never scanned.
            host.shell(f"rm -r /var/lib/bulwark/scan; {change}")
        scanner.controller = controller(core)
        answer = scanner.scan()
        assert {name: entry.status for name, entry in scanner.coverage().items()} == statuses, core
        for host in hosts:
            assert scanner.open(host.name) == expected, core
        # What a user sees: no host failed, and nothing that ansible-core will stop doing.
        assert {numbers["failed"] for numbers in _scans.recap(answer).values()} == {0}
        assert "WARNING" not in answer.stderr
        # Findings and coverage of hosts that are alike fit on a screen, with Ansible's own callback.
        assert len(answer.stdout.splitlines()) <= 60, answer.stdout
