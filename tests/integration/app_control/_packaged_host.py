# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One packaged program in a root of its own, and looks at it."""

from __future__ import annotations

import os
import pathlib
import time
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils._finding import ScopeCoverage
from ansible_collections.bulwark.servers.plugins.module_utils._program import PROGRAM, Program
from ansible_collections.bulwark.servers.plugins.module_utils._run import Deadline
from ansible_collections.bulwark.servers.plugins.module_utils.app_control.allowlist import Allowlist, Rule
from ansible_collections.bulwark.servers.plugins.module_utils.app_control.files import FileFacts
from ansible_collections.bulwark.servers.plugins.module_utils.app_control.judgement import Judgement
from ansible_collections.bulwark.servers.plugins.module_utils.app_control.observed import Execution, Record
from ansible_collections.bulwark.servers.plugins.module_utils.app_control.package_scripts import PackageScripts
from ansible_collections.bulwark.servers.plugins.module_utils.app_control.remembered import known_origins
from ansible_collections.bulwark.servers.plugins.module_utils.app_control.roots import Roots
from ansible_collections.bulwark.servers.plugins.module_utils.app_control.tally import Target
from ansible_collections.bulwark.servers.plugins.module_utils.app_control.upgrades import Upgrades
from ansible_collections.bulwark.servers.plugins.module_utils.packages.databases import PackageDatabases
from ansible_collections.bulwark.servers.plugins.module_utils.packages.files import Files
from ansible_collections.bulwark.servers.plugins.module_utils.packages.model import Owned

from tests.integration.package_roots import Root


class _Packaged(Files):
    """The packages of a root, asked about paths as the kernel has them."""

    def __init__(self, databases: PackageDatabases) -> None:
        super().__init__()
        self._packages = databases

    def owned(self, path: bytes) -> Owned | None:
        assert self._packages is not None
        return self._packages.owner(path[len(self._packages.root) :])


class PackagedHost:
    """One packaged program, and looks at it."""

    def __init__(self, root: Root, rule: Rule, name: str = "/usr/bin/tool") -> None:
        self.root, self.rule = root, rule
        self.file: pathlib.Path = root.file(name)
        self.program: Program | None = None
        self._key: t.Any = None
        self._genuine: Program | None = None
        self._records: list[Record] = []

    def turn_to(self, name: str) -> None:
        """Look at another program from now on, which no look saw before."""
        self.file, self.program, self._key, self._genuine = self.root.file(name), None, None, None

    def execution(self) -> tuple[float, tuple[int, int, int]]:
        """Return the time and the file of an execution now, as the audit log has them."""
        status = self.file.stat()
        return time.time() + 0.1, (os.major(status.st_dev), os.minor(status.st_dev), status.st_ino)

    def look(self, last: float, file: tuple[int, int, int] | None = None, pid: int = 0) -> list[tuple[str, str | None]]:
        """Return alert and severity of what a look finds, after an execution or at a process.

        program: what it is afterwards, as the allowlist is learned from it.
        """
        databases = self.root.databases()
        opened = f"/proc/{pid}/exe".encode() if pid else b""
        target = Target(PROGRAM, os.fsencode(self.file), file=file, opened=opened)
        facts = FileFacts(Roots({}), Deadline(0), packages=_Packaged(databases), origins=known_origins(self._records))
        found = facts.identify(target, last, self.program, self._key)
        execution = Execution(last, "root", "/usr/bin/bash", (), "/", "", "")
        record = Record(found.program, last, last, [1], executions=1, new_executions=1, newest=execution)
        record.before, record.genuine = self.program, self._genuine
        allowlist = Allowlist(("web",), (self.rule,), ())
        scripts, upgrades = PackageScripts(databases), Upgrades(databases)
        detections = Judgement(allowlist, ScopeCoverage("programs"), scripts, upgrades, last).detections([record])
        self._records.append(record)
        self.program = record.program
        self._key, self._genuine = found.key or self._key, record.genuine
        return [(each["alert"], each["severity"]) for each in detections]
