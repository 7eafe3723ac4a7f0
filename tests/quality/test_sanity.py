# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""ansible-test's sanity tests pass on the oldest and the newest ansible-core, with nothing ignored."""

from __future__ import annotations

import pathlib
import typing as t

import pytest

from tests.support import collection, require, sanity
from tests.support.controllers import Controller

# The rest reads the source alone, and says the same whatever the ansible-core.
_DIFFERS = ("action-plugin-docs", "ansible-doc", "compile", "import", "runtime-metadata", "validate-modules")
# What the oldest and the newest Python compile and import, those between do: what is gone stays gone.
_RUNS = {
    # Takes longer than all others together; ruff has its rules for tests and tools.
    "2.21-pylint": ("--test", "pylint", "plugins/"),
    "2.21": ("--skip-test", "pylint", "--python", "3.13"),
    "2.18": ("--python", "3.11", *(word for name in _DIFFERS for word in ("--test", name))),
    "2.18-target": ("--python", "3.8", "--test", "compile", "--test", "import"),
}


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


def test_nothing_is_ignored() -> None:
    require("command:git")
    ignored = [str(name) for name in collection.files() if name.match("tests/sanity/ignore-*.txt")]
    assert ignored == []
