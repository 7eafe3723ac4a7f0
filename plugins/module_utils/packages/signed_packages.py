# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A host's packages as far as a signature covers what they ship.

dpkg's database signs nothing, so a package of it counts when a signed repository index has this version and the archive
that apt keeps has the digest of the index: the archive says which files, modes, owners, links and scripts the package
has. An RPM package counts when the signature of its header verifies; the header says the same.
"""

from __future__ import annotations

import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils import _command
from ansible_collections.bulwark.servers.plugins.module_utils.packages import archives, openpgp
from ansible_collections.bulwark.servers.plugins.module_utils.packages.databases import RPM_PROGRAMS, PackageDatabases
from ansible_collections.bulwark.servers.plugins.module_utils.packages.model import (
    Owned,
    Package,
    Snapshot,
    SnapshotView,
    is_package,
)
from ansible_collections.bulwark.servers.plugins.module_utils.packages.signed_index import SignedIndexes

NO_INDEX = "no signed repository index has this version"
NO_ARCHIVE = "apt keeps no archive of it"
OTHER_ARCHIVE = "the archive that apt keeps is not the signed one"
NO_SIGNATURE = "it has no signature that verifies"
UNKNOWN_KEY = "the key that signed it is not in the baseline"
OLDER = "it is older than the version in the baseline"
CHANGED_PROGRAM = "%s, which verifies signatures, is not as it was in the baseline"

_MOST_ARCHIVES = 5_000
_MOST_PACKED = 1 << 30
_KEY_PACKAGE = "rpm:gpg-pubkey:"
# Whoever changes one of these can make it say of anything that it is signed, of this program itself, too.
_DPKG = "/usr/bin/dpkg"
_PROGRAMS = {"dpkg": (*openpgp.PROGRAMS, archives.DPKG_DEB, _DPKG), "rpm": RPM_PROGRAMS}
_SECONDS = 10.0
_MOST_OUTPUT = 1024


class SignedPackages:
    """The packages of one root, restricted to what is signed.

    is_key: whether a key file of apt, by path and content, is to be believed. baseline: the packages of then, whose
    imported RPM keys are to be believed. now: the packages that are installed. is_changed: whether a program of the
    host is another than in the baseline.
    """

    def __init__(
        self,
        databases: PackageDatabases,
        is_key: t.Callable[[bytes, bytes], bool],
        baseline: SnapshotView,
        now: SnapshotView,
        is_changed: t.Callable[[str], bool],
    ) -> None:
        self._databases = databases
        self._indexes = SignedIndexes(databases.root, is_key)
        self._archives = archives.KeptArchives(databases.root, _MOST_ARCHIVES, _MOST_PACKED)
        self._baseline = baseline
        self._now = now
        known, imported = baseline.get(_KEY_PACKAGE, {}), now.get(_KEY_PACKAGE, {})
        # 32 bits are soon found once more: a key that came since must not pass for one of the same short id.
        self._rpm_keys = _short_ids(known) - _short_ids(imported.keys() - known.keys())
        self._problems: dict[tuple[str, str], str] = {}
        self._changed = {
            manager: next((CHANGED_PROGRAM % program for program in programs if is_changed(program)), "")
            for manager, programs in _PROGRAMS.items()
        }

    def owner(self, path: bytes) -> Owned | None:
        """Return what the signed package that owns a path ships there; None when that package isn't signed."""
        owned = self._databases.owner(path)
        return None if owned is None or self.problem(owned) else self._record(owned, path)

    def problem(self, owned: Owned) -> str:
        """Return why nothing signed speaks for an installed package, empty when something does."""
        key = owned.key, owned.version
        if key not in self._problems:
            of_manager = self._rpm_problem if owned.manager == "rpm" else self._dpkg_problem
            self._problems[key] = self._changed.get(owned.manager, "") or of_manager(owned)
        return self._problems[key]

    def shipping(self, digests: t.Mapping[str, str]) -> t.Iterator[tuple[bytes, Owned]]:
        """Yield path and record of the files that signed packages ship with this content."""
        for path, _owned in self._databases.shipping(digests):
            record = self.owner(path)
            if record is not None and digests.get("sha256") == record.digests.get("sha256", ""):
                yield path, record

    def shipped_by(self, key: str, path: bytes) -> Owned | None:
        """Return what a signed dpkg package ships at a path, whoever owns that by dpkg's lists; None for others."""
        for installed in self._databases.installed(key.split(":")[1]):
            owned = Owned.of(installed)
            if owned.key == key and owned.manager == "dpkg" and not self.problem(owned):
                return self._record(owned, path)
        return None

    def scripts(self, package: str) -> t.Mapping[str, bytes]:
        """Return the maintainer scripts of an installed dpkg package that is signed, by kind."""
        for installed in self._databases.installed(package):
            owned = Owned.of(installed)
            archive = self._archive(owned) if owned.manager == "dpkg" and not self.problem(owned) else None
            if isinstance(archive, archives.Archive):
                return archive.control
        return {}

    def digest_algorithms(self) -> t.AbstractSet[str]:
        return self._databases.digest_algorithms()

    def coverage_notes(self) -> list[tuple[str, str]]:
        return []

    def snapshot(self) -> Snapshot:
        """Return the packages as if only what is signed had changed since the baseline."""
        packages: Snapshot = {}
        for key in {**self._baseline, **self._now}:
            before, after = self._baseline.get(key, {}), self._now.get(key, {})
            # What is no package, as dpkg's overrides of modes, is signed by nobody and compared on its own.
            if not is_package(key) or all(version in before or self._is_signed(key, version) for version in after):
                versions = after or before
            else:
                versions = before
            if versions:
                packages[key] = dict(versions)
        return packages

    def _is_signed(self, key: str, version: str) -> bool:
        manager, name, arch = key.split(":", 2)
        return not self.problem(Owned.of(Package(key, name, version, arch, manager)))

    def _rpm_problem(self, owned: Owned) -> str:
        keys = self._databases.signing_keys(owned)
        if not keys:
            return NO_SIGNATURE
        return "" if keys & self._rpm_keys else UNKNOWN_KEY

    def _dpkg_problem(self, owned: Owned) -> str:
        archive = self._archive(owned)
        if isinstance(archive, archives.Archive):
            return OLDER if self._is_older(owned) else ""
        if archive is False:
            return OTHER_ARCHIVE
        has_entry = self._indexes.entry(owned.package, owned.version, owned.arch) is not None
        return NO_ARCHIVE if has_entry else NO_INDEX

    def _is_older(self, owned: Owned) -> bool:
        """Say whether a dpkg package is older than all its versions in the baseline: a known hole may be back."""
        if owned.version in self._baseline.get(owned.key, {}):
            return False
        package = owned.key.rpartition(":")[0]
        known = {v for key, versions in self._baseline.items() if key.rpartition(":")[0] == package for v in versions}
        if not known:
            return False
        commands = ([_DPKG, "--compare-versions", owned.version, "ge", version] for version in known)
        try:
            done = [_command.run(command, timeout=_SECONDS, max_output=_MOST_OUTPUT) for command in commands]
        except OSError:
            return True
        return all(completed.returncode for completed in done)

    def _archive(self, owned: Owned) -> archives.Archive | bool | None:
        entry = self._indexes.entry(owned.package, owned.version, owned.arch)
        if entry is None:
            return None
        return self._archives.get(owned.package, owned.version, owned.arch, entry.sha256)

    def _record(self, owned: Owned, path: bytes) -> Owned | None:
        archive = self._archive(owned) if owned.manager == "dpkg" else None
        if not isinstance(archive, archives.Archive):
            return owned if owned.manager == "rpm" else None
        # Nobody signs dpkg's diversions: a file is what its package ships at its own place.
        names = self._databases.names(path)
        name = next((name for name in names if name in archive.files), None)
        if name is None:
            return None
        shipped = archive.files[name]
        return owned._replace(
            digests={"sha256": shipped.sha256} if shipped.sha256 else {},
            mode=None if shipped.target is not None else shipped.mode,
            uid=self._databases.accounts.uid(shipped.owner),
            gid=self._databases.accounts.gid(shipped.group),
            link_target=shipped.target,
            conffile=name in archive.control.get("conffiles", b"").split(b"\n"),
            obsolete=False,
        )


def _short_ids(versions: t.Iterable[str]) -> set[str]:
    """Return the short ids of RPM keys by the versions of their packages, which are ID-TIME."""
    return {version.partition("-")[0][-8:] for version in versions}
