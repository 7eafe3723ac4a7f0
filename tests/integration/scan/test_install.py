# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The collection as a user gets it: built, installed into an empty directory, and run from there."""

from __future__ import annotations

import pathlib
import shutil
import subprocess
import tarfile
import typing as t

import pytest
from ansible_collections.bulwark.servers.plugins.plugin_utils import collection_version

from tests.fleet.fleet import Fleet
from tests.support import artefact, paths
from tests.support.controllers import Controller

# What is made once for all of them is made in one worker.
pytestmark = pytest.mark.xdist_group("install")

_SHIPPED = {
    "CHANGELOG.md",
    "CHANGELOG.rst",
    "CODE_OF_CONDUCT.md",
    "CONTRIBUTING.md",
    "COPYING",
    "FILES.json",
    "LICENSES",
    "MANIFEST.json",
    "README.md",
    "SECURITY.md",
    "changelogs",
    "docs",
    "extensions",
    "meta",
    "playbooks",
    "plugins",
    "requirements.txt",
    "roles",
}


@pytest.fixture(scope="module")
def core(controller: t.Callable[[str], Controller]) -> Controller:
    return controller("2.21")


@pytest.fixture(scope="module")
def built(core: Controller, tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    return artefact.build(core, tmp_path_factory.mktemp("build"))


@pytest.fixture(scope="module")
def installed(core: Controller, built: pathlib.Path, tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """A collections path with nothing in it but the collection, installed from its artefact."""
    target = tmp_path_factory.mktemp("install") / "collections"
    command = [core.program("ansible-galaxy"), "collection", "install", "--offline", "-p", str(target), str(built)]
    subprocess.run(command, env=artefact.without_checkout(target), check=True)
    return target


def test_only_what_a_user_runs_is_shipped(built: pathlib.Path) -> None:
    with tarfile.open(built) as archive:
        shipped = [pathlib.PurePosixPath(name) for name in archive.getnames()]
    names = {path.parts[0] for path in shipped}
    assert names - _SHIPPED == set()
    assert {"meta", "playbooks", "plugins", "roles"} <= names
    assert [path for path in shipped if "__pycache__" in path.parts or path.suffix == ".pyc"] == []


def test_the_version_is_known_there(installed: pathlib.Path) -> None:
    directory = installed / "ansible_collections" / "bulwark" / "servers"
    assert not (directory / "galaxy.yml").exists()
    assert collection_version.read(directory) == collection_version.read(paths.ROOT) != collection_version.UNKNOWN


def test_the_scan_runs_from_there(
    core: Controller, installed: pathlib.Path, fleet: Fleet, tmp_path: pathlib.Path
) -> None:
    # With what the community's requirements for collections say that has to be enough, and nothing else.
    collections = tmp_path / "collections"
    for name in ("meta", "playbooks", "plugins", "roles"):
        directory = pathlib.Path("ansible_collections", "bulwark", "servers", name)
        shutil.copytree(installed / directory, collections / directory)
    (host,) = fleet.start("trixie")
    report = tmp_path / "report.html"
    answer = core.run_playbook(
        "bulwark.servers.scan",
        inventory=fleet.inventory,
        collections=collections,
        state=tmp_path / "state",
        extra_vars={"bulwark_report_path": str(report)},
    )
    page = report.read_text(encoding="utf-8")
    assert page.lstrip().lower().startswith("<!doctype html>")
    assert host.name in page
    assert str(paths.ROOT) not in answer.stdout
