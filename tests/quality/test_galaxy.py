# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Galaxy takes the artefact without an error or a warning."""

from __future__ import annotations

import json
import os
import pathlib
import re
import subprocess
import typing as t

import pytest

from tests.support import artefact, paths
from tests.support.controllers import Controller

# Settings of Galaxy and Automation Hub that differ from the defaults of the importer.
_SETTINGS = {
    "GALAXY_IMPORTER_CHECK_REQUIRED_TAGS": "true",
    # It would run ansible-lint with the production profile and some rules left out, which takes half a minute.
    # test_lint runs it on the same files with all rules.
    "GALAXY_IMPORTER_RUN_ANSIBLE_LINT": "false",
}


@pytest.mark.long
def test_the_importer_has_nothing_to_say(controller: t.Callable[[str], Controller], tmp_path: pathlib.Path) -> None:
    built = artefact.build(controller("2.21"), tmp_path)
    programs = artefact.programs()
    search = os.pathsep.join([str(programs), os.environ["PATH"]])
    result = subprocess.run(
        [str(programs / "python"), "-m", "galaxy_importer.main", built.name],
        cwd=tmp_path,
        env={**artefact.without_checkout(tmp_path), "PATH": search, **_SETTINGS},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    remarks = [line for line in result.stdout.splitlines() if re.match(r"(WARNING|ERROR|CRITICAL)\b", line)]
    assert (result.returncode, remarks) == (0, []), result.stdout
    assert "Importer processing completed successfully" in result.stdout
    imported = json.loads((tmp_path / "importer_result.json").read_text(encoding="utf-8"))
    roles = {content["name"] for content in imported["contents"] if content["content_type"] == "role"}
    assert roles == {path.name for path in (paths.ROOT / "roles").iterdir() if path.is_dir()}
