# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The package databases of a host: dpkg, rpm, or both.

These databases are on the host and root can edit them. What they say is evidence for the ordinary case (an upgrade),
and ``edited_packages`` compares them with the snapshot that is sealed in the baseline: the metadata of a package whose
version did not change must not change either.
"""

from __future__ import annotations

import dataclasses
import hashlib
import os
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils import _command
from ansible_collections.bulwark.servers.plugins.module_utils.packages import dpkg, rpm, rpm_query, rpm_signature
from ansible_collections.bulwark.servers.plugins.module_utils.packages.aliases import MergedDirectories
from ansible_collections.bulwark.servers.plugins.module_utils.packages.model import (
    SEPARATOR,
    AccountIds,
    Database,
    Owned,
    Package,
    Snapshot,
    SnapshotView,
    is_package,
)

# No PATH lookup: what is run as root to say whether files are genuine is the distribution's own.
RPM_PROGRAMS = ("/usr/bin/rpm", "/bin/rpm")
_RPM_TIMEOUT = 120.0
_RPM_SIGNATURE_TIMEOUT = 10.0
_RPM_OUTPUT_LIMIT = 64 * 1024 * 1024
_RPM_MESSAGE_LIMIT = 500


@dataclasses.dataclass(frozen=True)
class PackageEdit:
    """A package whose metadata changed while its version did not; key as in snapshots."""

    key: str
    name: str
    version: str


class PackageDatabases:
    """The package databases of one root, each read when it is first needed."""

    def __init__(self, root: bytes) -> None:
        self._root = root
        self._merged = MergedDirectories(root)
        self._accounts = AccountIds(root)
        self._loaded: list[Database] | None = None
        self._notes: list[tuple[str, str]] = []

    def owner(self, path: bytes) -> Owned | None:
        """Return what the package that owns ``path`` (absolute within the root) records of it, None if no package does.

        A file that a removed package's remaining configuration lists still has that package as its owner.
        """
        names = self._merged.names(path)
        for database in self._databases():
            owned = database.owner(names)
            if owned is not None:
                return owned
        return None

    def names(self, path: bytes) -> list[bytes]:
        """Return every name that the file at ``path`` can be listed under, its real one first."""
        return self._merged.names(path)

    @property
    def root(self) -> bytes:
        return self._root

    @property
    def accounts(self) -> AccountIds:
        return self._accounts

    def installed(self, name: str) -> list[Package]:
        """Return the installed packages of a name, one for each architecture; for dpkg only."""
        return [package for database in self._databases() for package in database.installed(name)]

    def owned_files(self, is_wanted: t.Callable[[bytes], bool]) -> t.Iterator[tuple[bytes, Owned]]:
        """Yield path and record of what the installed packages own, as far as a path is wanted.

        The path is where dpkg's diversions put the file; links on the way to it are not followed.
        """
        for database in self._databases():
            yield from database.owned_files(is_wanted)

    def dependencies(self) -> dict[tuple[str, str], set[tuple[str, str]]]:
        """Return the installed packages, as (manager, name), with those that they can't do without.

        Raises OSError where a package manager does not answer.
        """
        return {
            (database.manager, name): {(database.manager, other) for other in others}
            for database in self._databases()
            for name, others in database.dependencies().items()
        }

    def signed_since(self, package: Owned) -> float | None:
        """Return from which time on the key that signed an RPM package vouches for it; None without a signature."""
        directory = rpm.directory(self._root)
        return None if directory is None else rpm_signature.signed_since(_rpm_verbose(self._root, directory), package)

    def signing_keys(self, package: Owned) -> frozenset[str]:
        """Return the short ids of the keys that signed an RPM package; nothing where a signature doesn't verify."""
        directory = rpm.directory(self._root)
        if directory is None:
            return frozenset()
        return rpm_signature.signing_keys(_rpm_verbose(self._root, directory), package)

    def rpm_times(self) -> list[tuple[float, Owned]]:
        """Return the RPM packages with the times of their installation, in seconds since the epoch."""
        directory = rpm.directory(self._root)
        if directory is None:
            return []
        try:
            output, _problem = rpm_runner(self._root, directory)(["-qa", "--queryformat", rpm_query.TIMES_FORMAT])
        except OSError:
            return []
        return [
            (timestamp, Owned.of(Package("rpm:%s:%s" % (row.name, row.arch), row.name, row.version, row.arch, "rpm")))
            for timestamp, row in rpm_query.parse_times(output)
        ]

    def shipping(self, digests: t.Mapping[str, str]) -> t.Iterator[tuple[bytes, Owned]]:
        """Yield path and record of packaged files with exactly this content (hex digests by algorithm).

        For dpkg only. The first question reads the digests of all packages: about a second on a large host.
        """
        for database in self._databases():
            yield from database.shipping(digests)

    def digest_algorithms(self) -> t.AbstractSet[str]:
        """Return the algorithms (hashlib's names) to hash files with for a comparison, of those that work here."""
        wanted = {name for database in self._databases() for name in database.digest_algorithms()}
        return frozenset(name for name in wanted if can_hash(name))

    def snapshot(self) -> Snapshot:
        """Return the version and metadata digest of every package: ``{key: {version: digest}}``, plain JSON."""
        packages: Snapshot = {}
        for database in self._databases():
            packages.update(database.snapshot())
        return packages

    def coverage_notes(self) -> list[tuple[str, str]]:
        """Return (subject, reason) of everything that can't be verified with a package."""
        databases = self._databases()
        notes = list(self._notes)
        for database in databases:
            notes.extend(database.notes())
            notes.extend(
                ("package digests", "%s is not available here (FIPS mode?); files can't be verified with it" % name)
                for name in sorted(database.digest_algorithms())
                if not can_hash(name)
            )
        if not databases and not notes:
            notes.append(("package databases", "there is neither dpkg's nor rpm's; files can't be verified with them"))
        return notes

    def _databases(self) -> list[Database]:
        if self._loaded is None:
            self._loaded = list(self._load())
        return self._loaded

    def _load(self) -> t.Iterator[Database]:
        accounts = self._accounts
        try:
            if dpkg.present(self._root):
                yield dpkg.DpkgDatabase(self._root, self._merged, accounts)
        except OSError as error:
            self._notes.append(("dpkg database", "it can't be read: %s" % error))
        directory = rpm.directory(self._root)
        try:
            if directory is not None:
                yield rpm.RpmDatabase(rpm_runner(self._root, directory), accounts)
        except OSError as error:
            self._notes.append(("rpm database", "it can't be read: %s" % error))


def load_packages(root: bytes = b"/") -> PackageDatabases:
    """Return the package databases below ``root``; nothing is read before the first question."""
    return PackageDatabases(root)


def edited_packages(baseline: SnapshotView, now: SnapshotView) -> list[PackageEdit]:
    """Return the packages whose metadata differs from the baseline's although the same version is installed.

    Reinstalling a version doesn't change its metadata. What does: an edit of the database, or a rebuild that was
    installed under the version of another.
    """
    return [
        PackageEdit(key, key.split(":")[1], version)
        for key, versions in sorted(now.items())
        for version in sorted(versions)
        if is_package(key) and metadata_edited(baseline, now, key, version)
    ]


def metadata_edited(baseline: SnapshotView, now: SnapshotView, key: str, version: str) -> bool:
    """Say whether what two snapshots both know of one version's metadata differs."""
    before = baseline.get(key, {}).get(version, "").split(SEPARATOR)
    after = now.get(key, {}).get(version, "").split(SEPARATOR)
    return any(old and new and old != new for old, new in zip(before, after))


def _rpm_command(root: bytes, directory: bytes) -> list[str]:
    """Return how rpm is called for the database of a root; OSError where there is no rpm."""
    program = next((name for name in RPM_PROGRAMS if os.access(name, os.X_OK)), None)
    if program is None:
        raise OSError("rpm is not installed")
    where = ["--dbpath", os.fsdecode(directory)]
    return [program, *where, *([] if root == b"/" else ["--root", os.fsdecode(root)])]


def _rpm_verbose(root: bytes, directory: bytes) -> rpm_signature.Verbose:
    def run(arguments: t.Sequence[str]) -> tuple[bytes, bytes]:
        command = [*_rpm_command(root, directory), *arguments]
        completed = _command.run(command, timeout=_RPM_SIGNATURE_TIMEOUT, max_output=_RPM_OUTPUT_LIMIT)
        if completed.returncode:
            raise OSError("rpm ended with status %d" % completed.returncode)
        return completed.stdout, completed.stderr

    return run


def rpm_runner(root: bytes, directory: bytes, timeout: float = _RPM_TIMEOUT) -> rpm.Runner:
    """Return what runs rpm(8) for the database in a directory of a root. timeout: seconds for each run."""

    def run(arguments: t.Sequence[str]) -> tuple[bytes, str | None]:
        command = [*_rpm_command(root, directory), *arguments]
        done = _command.run(command, timeout=timeout, max_output=_RPM_OUTPUT_LIMIT)
        # A header that fails its own digest is left out with a message only; the status stays 0.
        if not done.returncode and b"error:" not in done.stderr:
            return done.stdout, None
        message = " ".join(done.stderr.decode("utf-8", "backslashreplace").split())[:_RPM_MESSAGE_LIMIT]
        return done.stdout, "rpm left something out (status %d): %s" % (
            done.returncode,
            message or "no message",
        )

    return run


def can_hash(algorithm: str) -> bool:
    """Say whether hashlib computes ``algorithm`` here.

    In FIPS mode OpenSSL refuses MD5, unless the caller says that the use is no security (which Python 3.8 can't say).
    """
    try:
        hashlib.new(algorithm, usedforsecurity=False)  # type: ignore[call-arg, unused-ignore]
    except TypeError:
        try:
            hashlib.new(algorithm)
        except ValueError:
            return False
    except ValueError:
        return False
    return True
