# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every ansible-core really scans hosts with every Python that it supports on them."""

from __future__ import annotations

import pathlib
import typing as t

import pytest

from tests.fleet import images
from tests.fleet.fleet import Fleet
from tests.integration import _scans
from tests.support import require
from tests.support.controllers import Controller

_UNIT = "/etc/systemd/system/persist.service"


@pytest.mark.parametrize(
    ("version", "python38"),
    [("2.18", True), ("2.19", True), ("2.21", False)],  # ansible-core 2.20 was the first without 3.8 on targets
)
def test_a_fleet_of_all_pythons_is_scanned(
    version: str, python38: bool, fleet: Fleet, controller: t.Callable[[str], Controller], tmp_path: pathlib.Path
) -> None:
    if python38:
        require("python:3.8")
    core = controller(version)
    hosts = fleet.start(*(kind for kind in images.PYTHONS if python38 or kind != "python38"))
    scanner = _scans.Scanner(core, fleet.inventory, tmp_path)
    scanner.scan()
    assert {name: seen.status for name, seen in scanner.coverage().items()} == {host.name: "checked" for host in hosts}
    assert scanner.open() == {}
    for host in hosts:
        host.write(_UNIT, "[Service]\nExecStart=/usr/bin/true\n")
    scanner.scan()
    assert {(host.name, subject) for host in hosts for _alert, subject in scanner.open(host.name)} == {
        (host.name, _UNIT) for host in hosts
    }
