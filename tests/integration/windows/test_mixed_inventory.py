# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Two Linux hosts of the fleet and a stand-in Windows host are one inventory, one scan, one store and one report."""

from __future__ import annotations

import json
import pathlib
import re
import typing as t

import pytest

from tests.fleet.fleet import Fleet
from tests.integration.windows import _playbooks
from tests.integration.windows.file_integrity._modules import World
from tests.support.controllers import Controller
from tests.support.windows.standin import host

pytestmark = [pytest.mark.requires(*host.NEEDS), pytest.mark.long]

_WATCHED = "/etc/bulwark-mixed"


@pytest.fixture
def windows(tmp_path: pathlib.Path) -> t.Iterator[host.WindowsHost]:
    with host.windows_host(tmp_path / "windows") as windows_host:
        yield windows_host


@pytest.fixture
def world(tmp_path: pathlib.Path) -> t.Iterator[World]:
    made = World(tmp_path)
    made.write("same.txt", "same\n")
    made.set_value("same", "same")
    yield made
    made.remove()


def test_linux_and_windows_hosts_are_in_one_scan_and_one_report(
    fleet: Fleet,
    windows: host.WindowsHost,
    world: World,
    controller: t.Callable[[str], Controller],
    tmp_path: pathlib.Path,
) -> None:
    core = controller("2.21")
    linux = fleet.start("trixie", "bookworm")
    watched = {"file_integrity_watches": [{"name": "own", "paths": [_WATCHED]}]}
    hosts: dict[str, dict[str, t.Any]] = {
        host.NAME: {
            **windows.variables,
            # The inventory of the fleet has these for all hosts.
            "ansible_ssh_common_args": "",
            "fleet_container": host.NAME,
            "file_integrity_watches": world.watches,
            "file_integrity_state_dir": world.params()["state_dir"],
        }
    }
    for each in linux:
        each.shell(f"mkdir {_WATCHED} && echo same > {_WATCHED}/same")
        hosts[each.name] = watched
    (tmp_path / "more.json").write_text(json.dumps({"all": {"hosts": hosts}}), encoding="utf-8")
    inventories = ["--inventory", str(tmp_path / "more.json")]
    report = tmp_path / "report.html"

    def scan() -> str:
        ended = core.run_playbook(
            "bulwark.servers.scan",
            *inventories,
            inventory=fleet.inventory,
            extra_vars={
                "bulwark_report_path": str(report),
                "bulwark_capabilities": "file_integrity,app_control",
                "file_integrity_default_watches": False,
            },
            state=tmp_path / "state",
        )
        return ended.stdout

    scan()
    linux[0].shell(f"echo new > {_WATCHED}/new")
    world.set_value("new", "program.exe")
    shown = scan()

    known = _playbooks.stored(core, tmp_path)
    titles = {finding["host"]: finding["title"] for finding in known["findings"]}
    assert titles == {linux[0].name: "Unexpected file", host.NAME: "Unexpected registry value"}, shown
    entries = {
        each["host"]: {entry["scope"]: entry for entry in each["entries"]}
        for each in known["coverage"]
        if each["capability"] == "file_integrity"
    }
    assert entries.keys() == hosts.keys()
    assert all(entries[each.name]["own"]["status"] == "checked" for each in linux)
    assert (entries[host.NAME]["key"]["status"], entries[host.NAME]["app"]["examined"]) == ("checked", 2)
    # Wine does not list them.
    assert [each["subject"] for each in entries[host.NAME]["app"]["skipped"]] == ["alternate data streams"]
    unknown = [each["host"] for each in known["coverage"] if "Not available on Windows" in json.dumps(each)]
    assert unknown == [host.NAME]
    assert f'"Not checked on {host.NAME}:"' in shown
    assert '"- Application control: Not available on Windows."' in shown
    page = report.read_text(encoding="utf-8")
    assert all(name in page for name in hosts)
    uids = {finding["host"]: finding["uid"] for finding in known["findings"]}
    slots = {
        name: re.search(rf'data-slot="investigate"( hidden)?>.*="command-uid">{uid}<', page)
        for name, uid in uids.items()
    }
    assert {name: slot is not None and slot[1] is None for name, slot in slots.items()} == {
        linux[0].name: True,
        host.NAME: False,
    }
