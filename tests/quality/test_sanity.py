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


# What pylint says of the source does not hang on the ansible-core, and it takes longer than all others together.
@pytest.mark.parametrize(("version", "skipped"), [("2.21", []), ("2.18", ["pylint"])])
@pytest.mark.timeout(1500)
@pytest.mark.long
def test_sanity(
    version: str, skipped: list[str], controller: t.Callable[[str], Controller], tmp_path: pathlib.Path
) -> None:
    # ansible-test only warns when one of these is not there, and passes.
    require("command:git", "command:shellcheck", "python:3.9", "python:3.11", "python:3.13")
    answer = sanity.run(controller(version), collection.copy(tmp_path), skipped)
    if answer.returncode != 0:
        pytest.fail(answer.stdout, pytrace=False)
    assert "Required program" not in answer.stdout


def test_nothing_is_ignored() -> None:
    require("command:git")
    ignored = [str(name) for name in collection.files() if name.match("tests/sanity/ignore-*.txt")]
    assert ignored == []
