# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every ansible-core that is supported scans hosts with every Python that it supports: all of it, and finds the change.

From 2.20 on ansible-core runs none of its own modules on Python 3.8. A scan sends none of them, so it runs there, too.
"""

from __future__ import annotations

import typing as t

import pytest

from tests.fleet import images
from tests.fleet.engine import Engine
from tests.fleet.fleet import Fleet
from tests.integration import _scans
from tests.support import require
from tests.support.controllers import Controller

# What is made once for all of them is made in one worker.
pytestmark = pytest.mark.xdist_group("matrix")

_UNIT = "/etc/systemd/system/persist.service"
_CHANGES = {("fim_setuid_added", "/usr/local/bin/.d"): "high", ("persistence_systemd_unit", _UNIT): "high"}


@pytest.fixture(scope="module")
def hosts(docker_engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> t.Iterator[Fleet]:
    """One host for each Python, with nothing on it yet."""
    require("fleet", "python:3.8")
    fleet = Fleet(docker_engine, tmp_path_factory.mktemp("matrix"))
    try:
        fleet.start(*images.PYTHONS)
        yield fleet
    finally:
        fleet.remove()


@pytest.mark.parametrize("core", ["2.18", "2.21"])
def test_a_controller_scans_every_python(
    hosts: Fleet, core: str, controller: t.Callable[[str], Controller], tmp_path_factory: pytest.TempPathFactory
) -> None:
    scanner = _scans.Scanner(controller(core), hosts.inventory, tmp_path_factory.mktemp("controller"))
    for host in hosts.hosts:
        host.shell(f"rm -rf /var/lib/bulwark; rm -f /usr/local/bin/.d {_UNIT}")
    statuses = {host.name: "checked" for host in hosts.hosts}
    first = scanner.scan()
    assert {name: entry.status for name, entry in scanner.coverage().items()} == statuses
    assert scanner.open() == {}, first.stdout
    for host in hosts.hosts:
        host.shell("cp /bin/dash /usr/local/bin/.d; chmod 4755 /usr/local/bin/.d")
        host.write(_UNIT, "[Service]\nExecStart=/usr/bin/true\n")
    answer = scanner.scan()
    assert {name: entry.status for name, entry in scanner.coverage().items()} == statuses
    for host in hosts.hosts:
        assert scanner.open(host.name) == _CHANGES
    # What a user sees: no host failed, and nothing that ansible-core will stop doing.
    assert {numbers["failed"] for numbers in _scans.recap(answer).values()} == {0}
    assert "WARNING" not in answer.stderr
