# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import json
import pathlib

import yaml
from ansible_collections.bulwark.servers.plugins.plugin_utils import collection_version

from tests.support import paths


def test_the_version_of_a_checkout_is_that_of_galaxy_yml() -> None:
    assert collection_version.version() == yaml.safe_load((paths.ROOT / "galaxy.yml").read_text())["version"]


def test_what_is_installed_says_it_in_its_manifest(tmp_path: pathlib.Path) -> None:
    (tmp_path / "MANIFEST.json").write_text(json.dumps({"collection_info": {"version": "7.8.9"}, "format": 1}))
    assert collection_version.read(tmp_path) == "7.8.9"


def test_without_either_file_it_is_unknown(tmp_path: pathlib.Path) -> None:
    assert collection_version.read(tmp_path) == "unknown"
