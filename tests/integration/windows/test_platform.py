# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The facts of a Windows host come from the Windows API, through real Ansible and a real ssh connection."""

from __future__ import annotations

import json
import pathlib
import typing as t

import pytest
import yaml

from tests.support.controllers import controller
from tests.support.windows.standin import host

pytestmark = [pytest.mark.requires(*host.NEEDS), pytest.mark.long]


@pytest.fixture(scope="module")
def windows(tmp_path_factory: pytest.TempPathFactory) -> t.Iterator[host.WindowsHost]:
    with host.windows_host(tmp_path_factory.mktemp("platform")) as windows_host:
        yield windows_host


@pytest.mark.parametrize("version", ["2.18", "2.21"])
def test_a_host_names_its_platform_whatever_become_says(
    windows: host.WindowsHost, tmp_path: pathlib.Path, version: str
) -> None:
    written = tmp_path / "known.json"
    shown = {"facts": "{{ ansible_facts }}", "windows": "{{ known.windows }}"}
    copied = {
        "ansible.builtin.copy": {"content": "{{ shown | to_json }}", "dest": str(written), "mode": "0600"},
        "vars": {"shown": shown},
        "delegate_to": "localhost",
        "become": False,
    }
    tasks = [{"bulwark.servers.platform_facts": {}, "register": "known"}, copied]
    play = {"hosts": "windows", "gather_facts": False, "become": True, "tasks": tasks}
    (tmp_path / "play.yml").write_text(yaml.safe_dump([play]), encoding="utf-8")
    controller(version).run_playbook(tmp_path / "play.yml", inventory=windows.inventory)
    known = json.loads(written.read_text(encoding="utf-8"))
    facts, platform = known["facts"], known["windows"]
    assert facts["system"] == "Win32NT"
    assert facts["distribution"].startswith("Microsoft Windows ")
    assert facts["kernel"].split(".")[2] == platform["build"]
    assert platform["product_type"] in ("workstation", "server", "domain_controller")
    assert (platform["architecture"], platform["is_32bit_process"]) == ("64-bit", False)
    assert platform["is_administrator"] is True
    assert {"SeBackupPrivilege", "SeDebugPrivilege", "SeSecurityPrivilege"} <= set(platform["privileges"])
    assert platform["is_container"] is False
