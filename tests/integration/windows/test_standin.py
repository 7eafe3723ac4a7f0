# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Real Ansible reaches a stand-in Windows host by ssh and runs a PowerShell module's C# there, with every ansible-core.

PowerShell itself does not run; ``tests.support.windows.standin`` says what else is not real.
"""

from __future__ import annotations

import json
import pathlib
import typing as t

import pytest
import yaml

from tests.integration.windows import _example
from tests.support.controllers import Controller
from tests.support.windows.standin import host

pytestmark = [pytest.mark.requires(*host.NEEDS), pytest.mark.long]

_VERSIONS = ("2.18", "2.19", "2.20", "2.21", "2.22")
_HOSTILE = "Ünïcode \U0001f600 \\ \" ' \t $env:PATH `n"


def _task(name: str, /, **options: t.Any) -> dict[str, t.Any]:
    keywords = {key: options.pop(key) for key in ("check_mode", "environment") if key in options}
    return {_example.MODULE: options, "register": name, "ignore_errors": True, **keywords}


_TASKS = {
    "greeted": _task(
        "greeted",
        name=_HOSTILE,
        times="2",
        words=["a", "b"],
        parts=[{"path": "%SystemRoot%\\x"}],
        environment={"GREETING": "good day"},
    ),
    "checked": _task("checked", name="x", check_mode=True),
    "failed": _task("failed", name="x", mode="fail"),
    "crashed": _task("crashed", name="x", mode="crash"),
    "unknown": _task("unknown", name="x", colour="red"),
    "missing": _task("missing"),
    "no_choice": _task("no_choice", name="x", mode="other"),
    "no_number": _task("no_number", name="x", times="many"),
}


@pytest.fixture(scope="session")
def windows(tmp_path_factory: pytest.TempPathFactory) -> t.Iterator[host.WindowsHost]:
    with host.windows_host(tmp_path_factory.mktemp("windows")) as windows_host:
        yield windows_host


def _results(windows: host.WindowsHost, core: Controller, tmp_path: pathlib.Path) -> dict[str, t.Any]:
    """Return what each task registered."""
    written = tmp_path / "results.json"
    copied = {
        "ansible.builtin.copy": {
            "content": "{{ dict(names | zip(names | map('extract', vars))) | to_json }}",
            "dest": str(written),
            "mode": "0600",
        },
        "vars": {"names": list(_TASKS)},
        "delegate_to": "localhost",
    }
    play = {"hosts": "windows", "gather_facts": False, "tasks": [*_TASKS.values(), copied]}
    inventory = json.loads(windows.inventory.read_text(encoding="utf-8"))
    inventory["all"] = {"hosts": {"localhost": {"ansible_connection": "local"}}}
    (tmp_path / "hosts.json").write_text(json.dumps(inventory), encoding="utf-8")
    (tmp_path / "play.yml").write_text(yaml.safe_dump([play], allow_unicode=True), encoding="utf-8")
    core.run_playbook(
        tmp_path / "play.yml", inventory=tmp_path / "hosts.json", collections=_example.create(tmp_path / "collections")
    )
    results: dict[str, t.Any] = json.loads(written.read_text(encoding="utf-8"))
    return results


@pytest.mark.parametrize("version", _VERSIONS)
def test_a_module_runs_and_fails_as_on_windows(
    version: str, windows: host.WindowsHost, controller: t.Callable[[str], Controller], tmp_path: pathlib.Path
) -> None:
    results = _results(windows, controller(version), tmp_path)
    greeted = results["greeted"]
    assert greeted["lines"] == [f"Hello, {_HOSTILE}"] * 2
    assert greeted["changed"] is True
    assert greeted["check_mode"] is False
    assert greeted["windows"] == "Win32NT"
    assert greeted["temporary"] is True
    assert greeted["variable"] == "good day"
    assert greeted["words"] == ["a", "b"]
    assert greeted["parts"] == [{"path": "C:\\windows\\x"}]
    assert results["checked"]["check_mode"] is True
    failures = {name: result["msg"] for name, result in results.items() if result.get("failed")}
    assert failures.keys() == _TASKS.keys() - {"greeted", "checked"}
    assert failures["failed"] == "The greeting failed."
    assert "The greeting crashed." in failures["crashed"]
    assert "Unsupported parameters" in failures["unknown"]
    assert "colour" in failures["unknown"]
    assert failures["missing"] == "missing required arguments: name"
    assert "value of mode must be one of: greet, fail, crash. Got no match for: other" in failures["no_choice"]
    assert "times" in failures["no_number"]


def test_what_powershell_would_have_to_run_is_refused(
    windows: host.WindowsHost, controller: t.Callable[[str], Controller], tmp_path: pathlib.Path
) -> None:
    play = {"hosts": "windows", "gather_facts": False, "tasks": [{"ansible.builtin.raw": "Get-ChildItem C:\\"}]}
    (tmp_path / "play.yml").write_text(yaml.safe_dump([play]), encoding="utf-8")
    ended = controller("2.21").run_playbook(tmp_path / "play.yml", inventory=windows.inventory, check=False)
    assert ended.returncode != 0
    assert "the stand-in for PowerShell does not know" in ended.stdout
