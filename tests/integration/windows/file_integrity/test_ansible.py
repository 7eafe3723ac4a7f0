# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Real Ansible keeps, compares, accepts and seals the baseline of a stand-in Windows host.

PowerShell itself does not run; ``tests.support.windows.standin`` says what else is not real.
"""

from __future__ import annotations

import json
import pathlib
import re
import typing as t

import pytest
import yaml

from tests.integration.windows.file_integrity._modules import World
from tests.support.controllers import Controller
from tests.support.windows.standin import host

pytestmark = [pytest.mark.requires(*host.NEEDS), pytest.mark.long]

_MODULE = "bulwark.servers.file_integrity"
_NEW = "new.txt"


@pytest.fixture(scope="module")
def windows(tmp_path_factory: pytest.TempPathFactory) -> t.Iterator[host.WindowsHost]:
    with host.windows_host(tmp_path_factory.mktemp("windows")) as windows_host:
        yield windows_host


@pytest.fixture
def world(tmp_path: pathlib.Path) -> t.Iterator[World]:
    world = World(tmp_path)
    world.write("same.txt", "same\n")
    world.set_value("same", "same")
    yield world
    world.remove()


class Play:
    """Tasks of one play, with what each returned."""

    def __init__(self, world: World, directory: pathlib.Path) -> None:
        self._options = {
            "state_dir": world.params()["state_dir"],
            "store": f"sqlite:///{directory / 'findings.db'}",
        }
        self._watched = {"watches": world.watches, "default_watches": False}
        self._directory = directory
        self._tasks: list[dict[str, t.Any]] = []
        self._names: list[str] = []

    def present(self, name: str, module: str = _MODULE, **options: t.Any) -> None:
        self._add(name, module, {**self._options, **self._watched, **options})

    def look(self, name: str, module: str = f"{_MODULE}_info") -> None:
        self._add(name, module, self._options)

    def change(self, command: str) -> None:
        """Change a file of the host, which is one of this machine."""
        self._tasks.append({"ansible.builtin.shell": command, "delegate_to": "localhost"})

    def run(self, core: Controller, windows: host.WindowsHost) -> dict[str, t.Any]:
        results = self._directory / "results.json"
        copied = {
            "ansible.builtin.copy": {
                "content": "{{ dict(names | zip(names | map('extract', vars))) | to_json }}",
                "dest": str(results),
                "mode": "0600",
            },
            "vars": {"names": self._names},
            "delegate_to": "localhost",
        }
        # A play for all platforms becomes root, which Windows does not have.
        play = {"hosts": "windows", "gather_facts": False, "become": True, "tasks": [*self._tasks, copied]}
        inventory = json.loads(windows.inventory.read_text(encoding="utf-8"))
        inventory["all"] = {"hosts": {"localhost": {"ansible_connection": "local", "ansible_become": False}}}
        (self._directory / "hosts.json").write_text(json.dumps(inventory), encoding="utf-8")
        (self._directory / "play.yml").write_text(yaml.safe_dump([play]), encoding="utf-8")
        core.run_playbook(
            self._directory / "play.yml", inventory=self._directory / "hosts.json", state=self._directory / "state"
        )
        read: dict[str, t.Any] = json.loads(results.read_text(encoding="utf-8"))
        return read

    def _add(self, name: str, module: str, options: dict[str, t.Any]) -> None:
        self._names.append(name)
        self._tasks.append({module: options, "register": name, "ignore_errors": True})


@pytest.mark.parametrize("version", ["2.18", "2.22"])
def test_a_baseline_is_sealed_compared_accepted_and_defended(
    version: str,
    windows: host.WindowsHost,
    world: World,
    controller: t.Callable[[str], Controller],
    tmp_path: pathlib.Path,
) -> None:
    play = Play(world, tmp_path)
    play.present("checked")
    play._tasks[-1]["check_mode"] = True
    play.present("taken")
    play.present("again")
    play.change(f"echo new > {world.files / _NEW}")
    play.look("changed")
    play.look("by_name", "bulwark.servers.win_file_integrity_info")
    play.present("accepted", accept=[world.path(_NEW)], reason="CHG-1")
    play.look("silent")
    play.change(f"sed -i s/{_NEW}/old.txt/ {world.baseline()}")
    play.look("broken")
    play.present("refused")
    play.present("removed", "bulwark.servers.win_file_integrity", state="absent")
    play.present("fresh", "bulwark.servers.win_file_integrity")
    results = play.run(controller(version), windows)

    failed = {name: result["msg"] for name, result in results.items() if result.get("failed")}
    assert failed == {}
    changed = [name for name, result in results.items() if result["changed"]]
    assert changed == ["checked", "taken", "accepted", "removed", "fresh"]
    assert results["taken"]["created"]
    for name in ("changed", "by_name"):
        (finding,) = results[name]["findings"]
        assert finding["finding_info"]["title"] == "Unexpected file", finding
        assert finding["evidences"][0]["file"]["path"] == world.path(_NEW)
        assert results[name]["changes"][0]["path"] == world.path(_NEW)
    seal = {entry["scope"]: entry["status"] for entry in results["silent"]["coverage"]}["baseline_seal"]
    assert seal == "checked"
    assert results["silent"]["findings"] == []
    for name in ("broken", "refused"):
        titles = [finding["finding_info"]["title"] for finding in results[name]["findings"]]
        assert titles == ["Baseline was tampered with"]
        assert {entry["status"] for entry in results[name]["coverage"]} == {"not_checked"}


def test_a_scan_reports_what_changed_on_a_windows_host(
    windows: host.WindowsHost,
    world: World,
    controller: t.Callable[[str], Controller],
    tmp_path: pathlib.Path,
) -> None:
    core = controller("2.21")
    extra = {
        "bulwark_store": f"sqlite:///{tmp_path / 'findings.db'}",
        "bulwark_report_path": str(tmp_path / "report.html"),
        "bulwark_capabilities": "file_integrity",
        "file_integrity_state_dir": world.params()["state_dir"],
        "file_integrity_default_watches": False,
        "file_integrity_watches": world.watches,
    }

    shared = {name: extra[name] for name in ("bulwark_store", "file_integrity_state_dir")}

    def play(name: str, **given: t.Any) -> list[str]:
        """Return what the progress callback shows, without its times."""
        ended = core.run_playbook(
            f"bulwark.servers.{name}",
            inventory=windows.inventory,
            extra_vars={**(extra if name == "scan" else shared), **given},
            environment={"ANSIBLE_STDOUT_CALLBACK": "bulwark.servers.progress"},
            state=tmp_path / "state",
            check=name != "investigate",
        )
        return re.sub(r" in \d+:\d\d\b", "", ended.stdout).splitlines()

    play("scan")
    world.set_value("new", "program.exe")
    play("scan")
    report = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "Unexpected registry value" in report
    assert world.name in report
    # Investigations know only Linux.
    slots = re.findall(r'data-slot="investigat(?:e|e-too|ion-section)"( hidden)?>', report.split("<template")[0])
    assert slots
    assert all(slots)
    refusal = f"{host.NAME} runs Windows, so it cannot be investigated: investigations know only Linux; read the"
    assert refusal in "\n".join(play("investigate", host=host.NAME, path="C:\\x"))
    value = f"{world.key}\\new"
    accepted = play("accept", bulwark_changes="all", bulwark_hosts=host.NAME, bulwark_reason="CHG-2")
    assert accepted == [
        "Accept changes of files: 1 host",
        f"{host.NAME}: Accepted into the baseline of {host.NAME}; the next scan resolves the findings: {value}",
        "Accept changes of files: 1 host, changed 1.",
    ]
    assert "Unexpected registry value" not in "\n".join(play("scan"))
    directories = [extra["file_integrity_state_dir"], "%ProgramData%\\bulwark"]
    left = "; ".join(f"the directory {directory}, if there is one" for directory in directories)
    assert play("remove") == [
        "Remove: 1 host",
        f"{host.NAME}: Removed: the baseline of files.",
        f"{host.NAME}: Left: {left}; the findings of this host in the store.",
        "Remove: 1 host, changed 1.",
    ]
