# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""ansible-test's sanity tests pass on the oldest and the newest ansible-core, with nothing ignored."""

from __future__ import annotations

import os
import pathlib
import subprocess
import typing as t

import pytest

from tests.support import collection, paths, require, sanity
from tests.support.controllers import Controller

# The rest reads the source alone, and says the same whatever the ansible-core.
_DIFFERS = ("action-plugin-docs", "ansible-doc", "compile", "runtime-metadata", "validate-modules")
# What the oldest and the newest Python compile and import, those between do: what is gone stays gone.
_RUNS = {
    # Takes longer than all others together; ruff has its rules for tests and tools.
    "2.21-pylint": ("--test", "pylint", "plugins/"),
    "2.21": ("--skip-test", "pylint", "--python", "3.13"),
    "2.18": ("--python", "3.11", *(word for name in _DIFFERS for word in ("--test", name))),
    "2.18-target": ("--python", "3.8", "--test", "compile", "--test", "import"),
}


# Import every file below plugins/ as Ansible does, and print their number.
_IMPORT = """
import importlib, pathlib, sys
from ansible.plugins.loader import init_plugin_loader
init_plugin_loader()
root = pathlib.Path(sys.argv[1])
files = sorted(root.rglob("*.py"))
for file in files:
    parts = [part for part in file.relative_to(root).with_suffix("").parts if part != "__init__"]
    importlib.import_module(".".join(("ansible_collections.bulwark.servers.plugins", *parts)))
print(len(files))
"""


@pytest.mark.parametrize("run", _RUNS)
@pytest.mark.timeout(1500)
@pytest.mark.long
def test_sanity(run: str, controller: t.Callable[[str], Controller], tmp_path: pathlib.Path) -> None:
    # ansible-test only warns when one of these is not there, and passes.
    require("command:git", "command:shellcheck", "python:3.8", "python:3.11", "python:3.13")
    answer = sanity.run(controller(run.partition("-")[0]), collection.copy(tmp_path), _RUNS[run])
    if answer.returncode != 0:
        pytest.fail(answer.stdout, pytrace=False)
    assert "Required program" not in answer.stdout
    assert "could not be found" not in answer.stdout


def test_every_plugin_is_imported_with_the_oldest_ansible_core(controller: t.Callable[[str], Controller]) -> None:
    # What the sanity test import says beyond this is the same whatever the ansible-core, and takes it a minute.
    environment = {**os.environ, "ANSIBLE_COLLECTIONS_PATH": str(paths.COLLECTIONS)}
    answer = subprocess.run(
        [controller("2.18").program("python"), "-W", "error", "-c", _IMPORT, str(paths.ROOT / "plugins")],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (answer.returncode, answer.stderr) == (0, "")
    assert int(answer.stdout) > 1_000


def test_nothing_is_ignored() -> None:
    require("command:git")
    ignored = [str(name) for name in collection.files() if name.match("tests/sanity/ignore-*.txt")]
    assert ignored == []
