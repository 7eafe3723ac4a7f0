# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Upgrades by the real dpkg between an execution and the look raise nothing; who puts a file back is noticed."""

from __future__ import annotations

import hashlib
import os
import pathlib
import shutil
import subprocess
import time
import typing as t

import pytest
from ansible_collections.bulwark.servers.plugins.module_utils._finding import ScopeCoverage
from ansible_collections.bulwark.servers.plugins.module_utils._program import PROGRAM, Program
from ansible_collections.bulwark.servers.plugins.module_utils._run import Deadline
from ansible_collections.bulwark.servers.plugins.module_utils.app_control.allowlist import Allowlist, Rule
from ansible_collections.bulwark.servers.plugins.module_utils.app_control.files import FileFacts
from ansible_collections.bulwark.servers.plugins.module_utils.app_control.judgement import Judgement
from ansible_collections.bulwark.servers.plugins.module_utils.app_control.observed import Execution, Record
from ansible_collections.bulwark.servers.plugins.module_utils.app_control.package_scripts import PackageScripts
from ansible_collections.bulwark.servers.plugins.module_utils.app_control.roots import Roots
from ansible_collections.bulwark.servers.plugins.module_utils.app_control.tally import Target
from ansible_collections.bulwark.servers.plugins.module_utils.app_control.upgrades import Upgrades
from ansible_collections.bulwark.servers.plugins.module_utils.packages.databases import PackageDatabases
from ansible_collections.bulwark.servers.plugins.module_utils.packages.files import Files
from ansible_collections.bulwark.servers.plugins.module_utils.packages.model import Owned

from tests.integration.package_roots import Deb, DebianRoot

pytestmark = pytest.mark.requires("root", "command:dpkg-deb")

NAME = "/usr/bin/tool"
SLEEP = pathlib.Path("/usr/bin/sleep").read_bytes()


def deb(version: str, content: bytes) -> Deb:
    return Deb("tool", version=version, files={NAME: content})


OLD, NEW = deb("1.0-1", SLEEP), deb("1.0-2", SLEEP + b"\0")


class _Packaged(Files):
    """The packages of a root, asked about paths as the kernel has them."""

    def __init__(self, databases: PackageDatabases) -> None:
        super().__init__()
        self._packages = databases

    def owned(self, path: bytes) -> Owned | None:
        assert self._packages is not None
        return self._packages.owner(path[len(self._packages.root) :])


class Host:
    """One packaged program, and looks at it."""

    def __init__(self, root: DebianRoot) -> None:
        self.root = root
        self.file = root.file(NAME)
        self._before: Program | None = None
        self._key: t.Any = None
        self._genuine: Program | None = None

    def install(self, package: Deb) -> None:
        self.root.install(package)
        self.file.chmod(0o755)

    def execution(self) -> tuple[float, tuple[int, int, int]]:
        """Return the time and the file of an execution now, as the audit log has them."""
        status = self.file.stat()
        return time.time() + 0.1, (os.major(status.st_dev), os.minor(status.st_dev), status.st_ino)

    def look(self, last: float, file: tuple[int, int, int] | None = None, pid: int = 0) -> list[tuple[str, str | None]]:
        """Return alert and severity of what a look finds, after an execution or at a process."""
        databases = self.root.databases()
        opened = f"/proc/{pid}/exe".encode() if pid else b""
        target = Target(PROGRAM, os.fsencode(self.file), file=file, opened=opened)
        facts = FileFacts(Roots({}), Deadline(0), packages=_Packaged(databases))
        found = facts.identify(target, last, self._before, self._key)
        execution = Execution(last, "root", "/usr/bin/bash", (), "/", "", "")
        record = Record(found.program, last, last, [1], executions=1, new_executions=1, newest=execution)
        record.before, record.genuine = self._before, self._genuine
        allowlist = Allowlist(("web",), (Rule("web", package="tool", manager="dpkg"),), ())
        scripts, upgrades = PackageScripts(databases), Upgrades(databases)
        detections = Judgement(allowlist, ScopeCoverage("programs"), scripts, upgrades, last).detections([record])
        self._before, self._key, self._genuine = record.program, found.key or self._key, record.genuine
        return [(each["alert"], each["severity"]) for each in detections]


@pytest.fixture
def host(tmp_path: pathlib.Path) -> Host:
    host = Host(DebianRoot(tmp_path / "root"))
    host.install(OLD)
    return host


def test_upgrade_after_an_execution(host: Host) -> None:
    assert host.look(*host.execution()) == []
    ran = host.execution()
    host.install(NEW)
    assert host.look(*ran) == []
    # The new version runs later, and is upgraded again.
    assert host.look(*host.execution()) == []
    ran = host.execution()
    host.install(deb("1.0-3", SLEEP + b"\0\0"))
    assert host.look(*ran) == []


def test_removal_after_an_execution(host: Host) -> None:
    assert host.look(*host.execution()) == []
    ran = host.execution()
    host.root.dpkg("--purge", "tool")
    assert host.look(*ran) == []


def test_upgrade_of_a_program_that_no_look_saw_before(host: Host) -> None:
    ran = host.execution()
    # Times of files tick slower than this; the package is unpacked later than it ran.
    host.install(NEW)
    assert host.look(*ran) == []


def test_process_that_goes_on_with_the_former_file(host: Host) -> None:
    with subprocess.Popen([host.file, "600"]) as process:
        try:
            assert host.look(time.time(), pid=process.pid) == []
            host.install(NEW)
            for _look in range(2):
                assert host.look(time.time(), pid=process.pid) == []
        finally:
            process.kill()


def test_file_that_ran_in_place_of_the_packaged_one(host: Host) -> None:
    assert host.look(*host.execution()) == []
    aside = host.file.with_name("aside")
    # A file of its own, which goes again.
    host.file.rename(aside)
    shutil.copy("/usr/bin/id", host.file)
    ran = host.execution()
    host.file.unlink()
    aside.rename(host.file)
    assert host.look(*ran) == [("app_unapproved_program", None)]
    # The same file, and the digest that the package records.
    host.file.write_bytes(b"evil")
    assert host.look(*host.execution()) == [("app_changed_program", None)]
    # The digests that dpkg records are edited for it.
    sums = host.root.database("info/tool.md5sums")
    recorded = sums.read_text()
    edited = hashlib.md5(b"evil", usedforsecurity=False).hexdigest()
    sums.write_text(f"{edited}  usr/bin/tool\n")
    assert host.look(*host.execution()) == [("app_changed_program", None)]
    sums.write_text(recorded)
    host.file.write_bytes(SLEEP)
    assert host.look(*host.execution()) == []


def test_same_version_installed_again_is_noticed(host: Host) -> None:
    """As who put the original back would do it."""
    assert host.look(*host.execution()) == []
    ran = host.execution()
    host.root.reinstall("tool")
    assert host.look(*ran) == [("app_changed_program", "low")]
