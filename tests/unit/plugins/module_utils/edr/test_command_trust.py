# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A command is run as root only if root alone can change it and its package shipped it so."""

from __future__ import annotations

import os
import pathlib
import typing as t

import pytest
from ansible_collections.bulwark.servers.plugins.module_utils.edr import command_trust
from ansible_collections.bulwark.servers.plugins.module_utils.packages import owners

from tests.unit.plugins.module_utils.edr import products

pytestmark = pytest.mark.requires("root")

NOBODY = 65534


def problem(path: pathlib.Path, needs_package: bool = False) -> str:
    (program,) = command_trust.verify([str(path)], lambda _path: needs_package).values()
    return program.problem


def test_what_only_root_can_change_is_run(tmp_path: pathlib.Path) -> None:
    command = products.script(tmp_path / "ctl", "true")
    link = tmp_path / "link"
    link.symlink_to(command)
    assert problem(command) == ""
    assert problem(link) == ""
    assert command_trust.verify([str(tmp_path / "nothing")], lambda _path: False) == {}


@pytest.mark.parametrize("mode", [0o757, 0o777])
def test_what_others_can_write_is_not(tmp_path: pathlib.Path, mode: int) -> None:
    command = products.script(tmp_path / "ctl", "true", mode)
    assert problem(command).endswith(f"can change {command}")


def test_what_is_in_a_directory_of_others_is_not(tmp_path: pathlib.Path) -> None:
    directory = tmp_path / "open"
    directory.mkdir()
    command = products.script(directory / "ctl", "true")
    link = tmp_path / "link"
    link.symlink_to(command)
    directory.chmod(0o777)
    assert problem(command) == f"everybody can change {directory}"
    assert problem(link) == f"everybody can change {directory}"


def test_what_belongs_to_another_account_is_not(tmp_path: pathlib.Path) -> None:
    command = products.script(tmp_path / "ctl", "true")
    os.chown(command, NOBODY, 0)
    assert problem(command) == "it does not belong to root"


def test_what_no_package_has_is_not_where_the_package_is_installed(tmp_path: pathlib.Path) -> None:
    command = products.script(tmp_path / "ctl", "true")
    assert problem(command, needs_package=True) == f"its package does not have {command}"


@pytest.mark.requires("command:dpkg-query")
def test_a_command_of_a_package_is_compared_with_what_it_shipped(monkeypatch: pytest.MonkeyPatch) -> None:
    path, package = _packaged()
    real = command_trust.verify([path], lambda _path: True)[path]
    assert (real.problem, real.packaged) == ("", True)

    asked = owners.find_owners

    def another_digest(*given: t.Any, **more: t.Any) -> owners.Owners:
        """Stand in for a file that was replaced: no test changes a program of the machine that runs it."""
        known = asked(*given, **more)
        assert all(digests for digests in known.digests.values())
        return known._replace(digests={name: {"md5": "0" * 32} for name in known.digests})

    monkeypatch.setattr(owners, "find_owners", another_digest)
    changed = command_trust.verify([path], lambda _path: True)[path]
    assert changed.problem == f"its content is not what the package {package} shipped"


def _packaged() -> tuple[str, str]:
    """Return a program with its package, which has a digest of it."""
    for sums in sorted(pathlib.Path("/var/lib/dpkg/info").glob("*.md5sums")):
        for line in sums.read_text(encoding="utf-8").splitlines():
            path = pathlib.Path("/", line[34:])
            if path.parent == pathlib.Path("/usr/bin") and path.is_file() and not path.is_symlink():
                return str(path), sums.stem.partition(":")[0]
    pytest.fail("no package here has digests of its programs")
