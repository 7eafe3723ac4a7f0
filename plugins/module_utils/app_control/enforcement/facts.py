# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a policy is made of: the facts of a host, and what its owner chose."""

from __future__ import annotations

import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils.app_control.observed import Record
from ansible_collections.bulwark.servers.plugins.module_utils.fapolicyd.trust import Trusted

# How a file can run: executed, loaded as a library, read by an interpreter, or several of them.
EXECUTABLE, LIBRARY, MODULE = "executable", "library", "module"


class HostFile(t.NamedTuple):
    """A file of a package, or one that the way back in needs.

    path: as the kernel names it. kind: EXECUTABLE, LIBRARY or MODULE. verification: one of VERIFICATIONS. manager,
    package, version, origin: as of a ``Program``.
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

    @property
    def trusted(self) -> Trusted:
        return Trusted(self.path, self.size, self.sha256)


class Essential(t.NamedTuple):
    """A file that the way back in needs. role: what it is for, in words. file: None if it could not be read."""

    path: str
    role: str
    file: HostFile | None
    problem: str = ""


class Connection(t.NamedTuple):
    """How the controller is connected. temporary: the directory of its modules, "" if it pipelines."""

    temporary: str = ""
    user: str = ""
    uid: int = 0


class Options(t.NamedTuple):
    """What the owner of a host chose.

    mode: REHEARSE or ENFORCE. file_systems: types that fapolicyd shall watch, none for those that hold programs.
    minimum_days: that must have been observed. blocked: patterns of programs that may be stopped although they ran.
    """

    mode: str
    file_systems: tuple[str, ...] = ()
    minimum_days: int = 14
    blocked: tuple[str, ...] = ()


class Facts(t.NamedTuple):
    """A host as far as a policy depends on it.

    files: of packages. closure: (manager, package) to what it depends on, itself included, both directions of provides
    resolved. essentials: of the way back in. directories: rules' directories with who besides root can write there.
    sizes: of files that sha256 rules with a path and exceptions name, by path, as (size, sha256). interpreters,
    readers: paths of those that are there, by the language that they run; of programs that copy files.
    observed_days: on how many days executions were seen. mounts: file system types with programs.
    """

    files: tuple[HostFile, ...]
    depends: t.Mapping[tuple[str, str], t.AbstractSet[tuple[str, str]]]
    essentials: tuple[Essential, ...]
    directories: t.Mapping[str, tuple[str, ...]]
    sizes: t.Mapping[str, tuple[int, str]]
    interpreters: t.Mapping[str, tuple[str, ...]]
    readers: tuple[str, ...]
    python: tuple[str, ...]
    users: t.Mapping[str, int]
    records: tuple[Record, ...]
    observed_days: int
    mounts: tuple[str, ...]
    version: str
    connection: Connection
    now: float
