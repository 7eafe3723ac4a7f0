# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The RPM database of a host, read with rpm(8) itself.

The database's format (Berkeley DB, NDB, SQLite) differs by distribution and version and only rpm knows them all; it
also checks each header's digest when it reads it. A trojaned rpm could lie here: what there is against it is that
rpm's own file is compared with the baseline like any other.
"""

from __future__ import annotations

import hashlib
import os
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils.packages import rpm_query as query
from ansible_collections.bulwark.servers.plugins.module_utils.packages.model import (
    INCOMPLETE_KEY,
    AccountIds,
    Owned,
    Package,
    Snapshot,
)
from ansible_collections.bulwark.servers.plugins.module_utils.packages.path_index import PathIndex
from ansible_collections.bulwark.servers.plugins.module_utils.packages.rpm_table import FileTable

# Where a database is, and the file that each of rpm's backends keeps there. Where distributions moved it, /var/lib/rpm
# is a link to the second; the third is rpm-ostree's.
_DIRECTORIES = (b"var/lib/rpm", b"usr/lib/sysimage/rpm", b"usr/share/rpm")
_FILES = (b"rpmdb.sqlite", b"Packages.db", b"Packages")

# How many packages one query is about: bounds the answer (about 2 MB) without starting rpm too often.
_BATCH = 100

# Runs rpm(8) with the arguments given; returns what it wrote and, when it failed on the way, a sentence that says why.
# Raises OSError when it could not run at all.
Runner = t.Callable[[t.Sequence[str]], t.Tuple[bytes, t.Optional[str]]]


class RpmDatabase:
    """One root's RPM database, read whole when it is made: about 100 bytes per file, and the time that rpm takes."""

    manager = "rpm"

    def __init__(self, rpm: Runner, accounts: AccountIds) -> None:
        self._rpm = rpm
        self._accounts = accounts
        self._notes: list[tuple[str, str]] = []
        self._files = FileTable()
        self._metadata: dict[int, str] = {}
        listed = query.parse_packages(self._ask(["-qa", "--queryformat", query.PACKAGES_FORMAT]))
        self._rows = sorted(listed, key=lambda row: row.number)
        self._packages = [
            Package("rpm:%s:%s" % (row.name, row.arch), row.name, row.version, row.arch, "rpm") for row in self._rows
        ]
        self._index = PathIndex(self._read_files())

    def owner(self, names: t.Sequence[bytes]) -> Owned | None:
        for name in names:
            for ordinal in self._index.find(name):
                if self._files.installed(ordinal):
                    return self._owned(ordinal)
        return None

    def installed(self, name: str) -> list[Package]:
        return [package for package in self._packages if package.name == name]

    def owned_files(self, is_wanted: t.Callable[[bytes], bool]) -> t.Iterator[tuple[bytes, Owned]]:
        for ordinal in range(len(self._index)):
            if self._files.installed(ordinal):
                path = self._index.path(ordinal)
                if is_wanted(path):
                    yield path, self._owned(ordinal)

    def dependencies(self) -> dict[str, set[str]]:
        return query.parse_dependencies(self._ask(["-qa", "--queryformat", query.DEPENDENCIES_FORMAT]), self._shipping)

    def _shipping(self, path: str) -> t.Iterator[str]:
        """Yield the names of the packages that own a path: a package can require a file."""
        for ordinal in self._index.find(path.encode("utf-8", "surrogateescape")):
            yield self._packages[self._index.group(ordinal)].name

    def shipping(self, digests: t.Mapping[str, str]) -> t.Iterator[tuple[bytes, Owned]]:
        # Configuration that is a copy of a packaged file is Debian's, ucf(1); rpm's packages ship theirs in place.
        return iter(())

    def digest_algorithms(self) -> t.AbstractSet[str]:
        return frozenset(row.algorithm for row in self._rows if row.algorithm)

    def snapshot(self) -> Snapshot:
        packages: Snapshot = {}
        for group, package in enumerate(self._packages):
            packages.setdefault(package.key, {})[package.version] = self._metadata.get(group, "")
        if self._notes:
            packages[INCOMPLETE_KEY % "rpm"] = {"": "rpm"}
        return packages

    def notes(self) -> list[tuple[str, str]]:
        return list(self._notes)

    def _read_files(self) -> t.Iterator[list[bytes]]:
        """Yield the names of each package's files, in the order of the packages; keep what else rpm says of them."""
        for start in range(0, len(self._rows), _BATCH):
            rows = self._rows[start : start + _BATCH]
            answers = self._answers(rows)
            for group, row in enumerate(rows, start):
                files = answers.get(row.number)
                if files is None:
                    self._notes.append((row.name, "rpm did not list the package's files; they can't be verified"))
                    files = []
                else:
                    self._metadata[group] = hashlib.sha256(b"\n".join(file.record for file in files)).hexdigest()
                self._files.add(row.algorithm, files)
                yield [file.name for file in files]

    def _answers(self, rows: t.Sequence[query.PackageRow]) -> dict[int, list[query.FileRow]]:
        numbers = [str(row.number) for row in rows]
        try:
            output = self._ask(["-q", "--queryformat", query.FILES_FORMAT, "--querybynumber", *numbers])
            return dict(query.parse_files(output))
        except OSError as error:
            self._notes.append(("rpm database", str(error)))
            return {}

    def _ask(self, arguments: t.Sequence[str]) -> bytes:
        output, problem = self._rpm(arguments)
        if problem is not None:
            self._notes.append(("rpm database", problem))
        return output

    def _owned(self, ordinal: int) -> Owned:
        user = self._files.user(ordinal)
        group = self._files.group(ordinal)
        ghost = self._files.ghost(ordinal)
        return Owned.of(
            self._packages[self._index.group(ordinal)],
            digests={} if ghost else self._files.digests(ordinal),
            mode=None if ghost else self._files.mode(ordinal),  # often 0: there was no file when it was built
            uid=self._accounts.uid(user) if user else None,
            gid=self._accounts.gid(group) if group else None,
            link_target=self._files.link_target(ordinal),
            capabilities=self._files.capabilities(ordinal),
            conffile=self._files.conffile(ordinal),
            ghost=ghost,
        )


def directory(root: bytes) -> bytes | None:
    """Return where ``root`` has an RPM database, as rpm's --dbpath takes it, or None."""
    for path in _DIRECTORIES:
        if any(os.path.isfile(os.path.join(root, path, name)) for name in _FILES):
            return b"/" + path
    return None
