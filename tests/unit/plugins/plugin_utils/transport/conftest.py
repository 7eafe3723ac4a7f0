# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Code for hosts that is small enough to be compiled for each test, with looks that go wrong."""

from __future__ import annotations

import pathlib
import shutil

import pytest
from ansible_collections.bulwark.servers.plugins.plugin_utils.transport import archive

from tests.support import paths
from tests.unit.plugins.plugin_utils.transport.hosts import Host

_CODE = paths.ROOT / "plugins" / "module_utils"


@pytest.fixture(scope="session")
def small_archive(tmp_path_factory: pytest.TempPathFactory) -> archive.Archive:
    directory = tmp_path_factory.mktemp("code")
    for path in [*_CODE.glob("_*.py"), pathlib.Path(__file__).with_name("faulty.py")]:
        shutil.copy(path, directory)
    shutil.copytree(_CODE / "scan", directory / "scan", ignore=shutil.ignore_patterns("__pycache__"))
    return archive.make(directory)


@pytest.fixture
def host(small_archive: archive.Archive, monkeypatch: pytest.MonkeyPatch, tmp_path: pathlib.Path) -> Host:
    monkeypatch.setattr(archive, "load", lambda: small_archive)
    return Host(tmp_path / "state")
