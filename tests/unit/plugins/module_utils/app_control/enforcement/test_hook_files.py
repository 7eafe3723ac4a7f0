# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The program of apt's and dpkg's hooks: the same bytes each time, and it runs without the collection beside it."""

from __future__ import annotations

import io
import pathlib
import subprocess
import sys
import zipfile

from ansible_collections.bulwark.servers.plugins.module_utils.app_control.enforcement import hook_files

from tests.support import paths

STATE = "/var/lib/bulwark"


def program() -> bytes:
    return hook_files.files(STATE)[hook_files.program_path(STATE)].content


def test_same_code_makes_the_same_bytes() -> None:
    assert program() == program()
    names = zipfile.ZipFile(io.BytesIO(program())).namelist()
    assert names == sorted(names)
    top = "ansible_collections/bulwark/servers/plugins/module_utils/"
    assert {f"{top}app_control/enforcement/{name}.py" for name in ("hook", "upgrade", "renewal", "policy")} < {*names}


def test_paths_and_modes() -> None:
    files = hook_files.files(STATE)
    assert [*files] == [hook_files.program_path(STATE), *hook_files.PATHS]
    assert [file.mode for file in files.values()] == [0o600, 0o644, 0o644, 0o644]
    assert b"/srv/my state" in hook_files.files("/srv/my state")[hook_files.APT_LAST].content


def test_every_module_is_in_the_program(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "hook.pyz"
    path.write_bytes(program())
    names = [name[:-3].replace("/", ".") for name in zipfile.ZipFile(path).namelist() if not name.endswith("_.py")]
    script = "import importlib, sys; sys.path.insert(0, sys.argv[1]); [*map(importlib.import_module, sys.argv[2:])]"
    subprocess.run([sys.executable, "-I", "-c", script, path, *names], check=True, cwd="/")


def test_host_without_a_policy(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "hook.pyz"
    path.write_bytes(program())
    for step in ("apt", "finish", "end"):
        run = subprocess.run(
            [sys.executable, "-I", "-B", path, step, tmp_path / "state"],
            input=b"VERSION 3\n\n",
            capture_output=True,
            check=False,
            cwd="/",
        )
        assert (run.returncode, run.stdout, run.stderr) == (0, b"", b"")
    run = subprocess.run([sys.executable, path, "apt", tmp_path], input=b"", capture_output=True, check=False, cwd="/")
    assert run.returncode == 1
    assert run.stderr.startswith(b"bulwark.servers: no package was changed: apt did not use version 3")


def test_controllers_make_the_same_bytes() -> None:
    script = """
import sys
from ansible.utils.collection_loader._collection_finder import _AnsibleCollectionFinder
_AnsibleCollectionFinder(paths=[sys.argv[1]])._install()
from ansible_collections.bulwark.servers.plugins.module_utils.app_control.enforcement import hook_files
sys.stdout.buffer.write(hook_files.files(sys.argv[2])[hook_files.program_path(sys.argv[2])].content)
"""
    command = [sys.executable, "-c", script, paths.COLLECTIONS, STATE]
    assert subprocess.run(command, check=True, stdout=subprocess.PIPE, cwd="/").stdout == program()
