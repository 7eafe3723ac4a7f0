# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The stand-in for pwsh answers ansible-test's question for a specification, and no other."""

from __future__ import annotations

import json
import pathlib
import subprocess

import pytest

from tests.integration.windows import _example
from tests.support.windows.standin import pwsh


def _ask(tmp_path: pathlib.Path, *words: str) -> subprocess.CompletedProcess[str]:
    pwsh.install(tmp_path)
    return subprocess.run(
        [str(tmp_path / "pwsh"), *words], cwd=tmp_path, capture_output=True, text=True, check=False, timeout=300
    )


@pytest.fixture
def module(tmp_path: pathlib.Path) -> pathlib.Path:
    plugins = _example.create(tmp_path) / "ansible_collections" / "example" / "windows" / "plugins"
    return plugins / "modules" / "win_example.ps1"


def test_the_specification_is_printed(module: pathlib.Path, tmp_path: pathlib.Path) -> None:
    manifest = json.dumps({"module_path": str(module), "ansible_basic": "/x/Ansible.Basic.cs", "ps_utils": {}})
    ended = _ask(tmp_path, "/x/ps_argspec.ps1", manifest)
    assert (ended.returncode, ended.stderr) == (0, "")
    spec = json.loads(ended.stdout)
    assert spec["supports_check_mode"] is True
    assert spec["options"]["parts"]["options"] == {"path": {"type": "path", "required": True}}


def test_a_module_of_another_form_is_refused(module: pathlib.Path, tmp_path: pathlib.Path) -> None:
    module.write_text(module.read_text(encoding="utf-8").replace("default = 1 }", "default = Get-Random }"))
    ended = _ask(tmp_path, "/x/ps_argspec.ps1", json.dumps({"module_path": str(module)}))
    assert ended.returncode == 1
    assert ended.stdout == ""
    assert "win_example.ps1:8: " in ended.stderr


@pytest.mark.parametrize("words", [("-Command", "Get-Date"), ("/x/pslint.ps1", "{}"), ()])
def test_nothing_else_runs(words: tuple[str, ...], tmp_path: pathlib.Path) -> None:
    ended = _ask(tmp_path, *words)
    assert ended.returncode == 1
    assert "the stand-in for pwsh runs ps_argspec.ps1 alone" in ended.stderr
