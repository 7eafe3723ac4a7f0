# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a policy is made of: the facts of a host, and what its owner chose."""

from __future__ import annotations

import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils.app_control.observed import Record
from ansible_collections.bulwark.servers.plugins.module_utils.fapolicyd.trust import Trusted

# How a file can run: executed, or loaded as a library. What interpreters read is not trusted one by one.
EXECUTABLE, LIBRARY = "executable", "library"

# A package, as (manager, name).
PackageName = t.Tuple[str, str]


class HostFile(t.NamedTuple):
    """A file that can run.

    path: as the kernel names it. kind: EXECUTABLE or LIBRARY. verification: one of VERIFICATIONS. manager, package,
    version, origin: as of a ``Program``. conffile: an administrator may edit it. writers: who besides root can.
    """

    path: str
    size: int
    sha256: str
    kind: str
    verification: str
    manager: str = ""
    package: str = ""
    version: str = ""
    origin: str = ""
    conffile: bool = False
    writers: tuple[str, ...] = ()

    @property
    def trusted(self) -> Trusted:
        return Trusted(self.path, self.size, self.sha256)


class Essential(t.NamedTuple):
    """A file that the way back in needs. role: what for, in words. file: None if it can't be read, problem says why."""

    path: str
    role: str
    file: HostFile | None
    problem: str = ""


class Connection(t.NamedTuple):
    """How the controller is connected.

    temporary: the directory of its modules, also if this connection pipelines: another controller may not.
    uids: of the accounts that its modules run as.
    """

    temporary: str = ""
    uids: tuple[int, ...] = ()


class Options(t.NamedTuple):
    """What the owner of a host chose.

    mode: REHEARSE or ENFORCE. file_systems: types that fapolicyd shall watch, none for those that are there.
    minimum_days: that must have been observed. blocked: patterns of programs that may be stopped although they ran.
    """

    mode: str
    file_systems: tuple[str, ...] = ()
    minimum_days: int = 14
    blocked: tuple[str, ...] = ()


class FileSystem(t.NamedTuple):
    """A mount from which something can be executed."""

    point: str
    kind: str


class Facts(t.NamedTuple):
    """A host as far as a policy depends on it.

    files: of its packages. named: files that rules and exceptions name by path. scripts: of package managers, run at
    upgrades and removals. depends: each package with those that it can't do without. essential_packages: of the way
    back in, with their role; essentials: files that the way back in used now. directories: those of rules, with who
    besides root can write there. interpreters: those that are there, by language. readers: programs that copy files.
    pythons: the interpreters that modules run with. loaders: run-time linkers. users: accounts of exceptions and of
    records. records: what the host remembers of programs. observed_days: on how many days executions were seen.
    version: of fapolicyd, "" without. notes: sentences about what could not be read. now: seconds since the epoch.
    protects_hard_links: whether accounts can make none to programs of others. has_leases: whether they can have leases
    on files. earlier: connections of former deployments.
    """

    files: tuple[HostFile, ...]
    named: t.Mapping[str, HostFile]
    scripts: tuple[HostFile, ...]
    depends: t.Mapping[PackageName, t.AbstractSet[PackageName]]
    essential_packages: t.Mapping[PackageName, str]
    essentials: tuple[Essential, ...]
    directories: t.Mapping[str, tuple[str, ...]]
    interpreters: t.Mapping[str, tuple[str, ...]]
    readers: tuple[str, ...]
    pythons: tuple[str, ...]
    loaders: tuple[str, ...]
    users: t.Mapping[str, int]
    records: tuple[Record, ...]
    observed_days: int
    file_systems: tuple[FileSystem, ...]
    version: str
    connection: Connection
    now: float
    notes: tuple[str, ...] = ()
    protects_hard_links: bool = True
    has_leases: bool = False
    earlier: tuple[Connection, ...] = ()
