# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The dpkg database of a host.

dpkg records a path's owner, the MD5 digest of regular files (deb-md5sums(5)) and of conffiles (in the status file),
and nothing of modes, owners and links, but for what dpkg-statoverride(1) was told. It signs none of it: root can edit
the digests too, which is why ``snapshot`` exists. MD5 is what there is; to forge a second file with a given digest
stays infeasible, only two files with one digest can be made, and those would have to be in the package already.
"""

from __future__ import annotations

import hashlib
import os
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils.packages import dpkg_files as files
from ansible_collections.bulwark.servers.plugins.module_utils.packages.aliases import MergedDirectories
from ansible_collections.bulwark.servers.plugins.module_utils.packages.dpkg_digests import DpkgDigests
from ansible_collections.bulwark.servers.plugins.module_utils.packages.model import (
    SEPARATOR,
    AccountIds,
    Owned,
    Package,
    Snapshot,
    read_state,
)
from ansible_collections.bulwark.servers.plugins.module_utils.packages.path_index import PathIndex

DIRECTORY = b"var/lib/dpkg"
# Where the administrator's modes and owners are in a snapshot: they can be edited like any other metadata.
STATOVERRIDE_KEY = "dpkg:statoverride"


class DpkgDatabase:
    """One root's dpkg database: status and file lists are read at once, digests per package when they are asked for."""

    manager = "dpkg"

    def __init__(self, root: bytes, merged: MergedDirectories, accounts: AccountIds) -> None:
        self._root = root
        self._directory = os.path.join(root, DIRECTORY)
        self._merged = merged
        self._accounts = accounts
        self._notes: list[tuple[str, str]] = []
        info = set(os.listdir(os.path.join(self._directory, b"info")))
        self._stanzas = self._read_stanzas()
        self._packages = [
            Package("dpkg:%s:%s" % (stanza.name, stanza.arch), stanza.name, stanza.version, stanza.arch, "dpkg")
            for stanza in self._stanzas
        ]
        self._stems = [_stem(stanza, info) for stanza in self._stanzas]
        self._index = PathIndex(self._list(stem) for stem in self._stems)
        self._digests = DpkgDigests(os.path.join(self._directory, b"info"), self._stems, self._index)
        self._diversions = files.parse_diversions(self._optional(b"diversions"))
        self._diverted_from = {diversion.contested: diversion for diversion in self._diversions}
        self._diverted_to = {diversion.altered: diversion for diversion in self._diversions}
        self._overrides = files.parse_statoverrides(self._optional(b"statoverride"))

    def owner(self, names: t.Sequence[bytes]) -> Owned | None:
        removed = None
        for name in names:
            for ordinal in self._listings(name):
                if self._stanzas[self._index.group(ordinal)].complete:
                    return self._owned(ordinal, names)
                # A package of which only the configuration is left comes after one that is installed.
                removed = ordinal
        return None if removed is None else self._owned(removed, names)

    def installed(self, name: str) -> list[Package]:
        pairs = zip(self._stanzas, self._packages)
        return [package for stanza, package in pairs if stanza.complete and package.name == name]

    def shipping(self, digests: t.Mapping[str, str]) -> t.Iterator[tuple[bytes, Owned]]:
        complete = [group for group, stanza in enumerate(self._stanzas) if stanza.complete]
        for ordinal in self._digests.paths_with(bytes.fromhex(digests.get("md5", "")), complete):
            path = self._index.path(ordinal)
            yield path, self._owned(ordinal, [path])

    def owned_files(self, is_wanted: t.Callable[[bytes], bool]) -> t.Iterator[tuple[bytes, Owned]]:
        for group, stanza in enumerate(self._stanzas):
            for ordinal in self._index.members(group) if stanza.complete else ():
                path = self._index.path(ordinal)
                diversion = self._diverted_from.get(path)
                if diversion is not None and diversion.by != stanza.name:
                    path = diversion.altered
                if is_wanted(path):
                    yield path, self._owned(ordinal, [path])

    def dependencies(self) -> dict[str, set[str]]:
        return files.needed_packages([stanza for stanza in self._stanzas if stanza.complete])

    def digest_algorithms(self) -> t.AbstractSet[str]:
        # What an archive has that a signed repository knows is compared by SHA-256.
        return frozenset(["md5", "sha256"])

    def snapshot(self) -> Snapshot:
        packages: Snapshot = {}
        for group, package in enumerate(self._packages):
            if self._stanzas[group].state != "config-files":
                packages.setdefault(package.key, {})[package.version] = self._metadata_digest(group)
        packages[STATOVERRIDE_KEY] = {"": hashlib.sha256(repr(sorted(self._overrides.items())).encode()).hexdigest()}
        return packages

    def notes(self) -> list[tuple[str, str]]:
        notes = list(self._notes)
        for group, stanza in enumerate(self._stanzas):
            if stanza.state == "config-files":
                continue
            if not stanza.complete:
                notes.append((stanza.name, "the package is %s; its files can't be verified" % stanza.state))
                continue
            lack = self._digests.lack(group)
            if lack is not None and self._has_files(group):
                notes.append((stanza.name, "%s; its files can't be verified" % lack))
        notes.extend((self._packages[group].name, reason) for group, reason in self._digests.problems)
        notes.extend(self._diversion_notes())
        return notes

    def _read_stanzas(self) -> list[files.Stanza]:
        """Return the stanzas of all packages that own files, with the journal that a killed dpkg leaves applied."""
        stanzas = files.parse_status(read_state(os.path.join(self._directory, b"status")))
        updates = os.path.join(self._directory, b"updates")
        for name in sorted(os.listdir(updates)) if os.path.isdir(updates) else []:
            if name.isdigit():
                stanzas.update(files.parse_status(read_state(os.path.join(updates, name))))
        return [stanza for _key, stanza in sorted(stanzas.items()) if stanza.state != "not-installed"]

    def _list(self, stem: bytes) -> list[bytes]:
        try:
            return files.parse_list(read_state(os.path.join(self._directory, b"info", stem + b".list")))
        except OSError as error:
            name = os.fsdecode(stem)
            self._notes.append((name, "the package's file list can't be read: %s" % error.strerror))
            return []

    def _optional(self, name: bytes) -> bytes:
        try:
            return read_state(os.path.join(self._directory, name))
        except FileNotFoundError:
            return b""

    def _listings(self, name: bytes) -> t.Iterator[int]:
        """Yield the ordinals of the paths whose file is at ``name`` once diversions are applied."""
        away = self._diverted_from.get(name)
        for ordinal in self._index.find(name):
            if away is None or away.by == self._packages[self._index.group(ordinal)].name:
                yield ordinal
        towards = self._diverted_to.get(name)
        if towards is not None:
            for ordinal in self._index.find(towards.contested):
                if towards.by != self._packages[self._index.group(ordinal)].name:
                    yield ordinal

    def _owned(self, ordinal: int, names: t.Sequence[bytes]) -> Owned:
        group = self._index.group(ordinal)
        conffile = self._stanzas[group].conffiles.get(self._index.path(ordinal))
        if conffile is not None:
            md5 = conffile.md5
        else:
            md5 = self._digests.of(group, ordinal) if self._stanzas[group].complete else None
        override = next((self._overrides[name] for name in names if name in self._overrides), None)
        return Owned.of(
            self._packages[group],
            digests={"md5": md5.hex()} if md5 else {},
            mode=override.mode if override else None,
            uid=self._accounts.uid(override.user) if override else None,
            gid=self._accounts.gid(override.group) if override else None,
            conffile=conffile is not None,
            obsolete=conffile is not None and conffile.obsolete,
        )

    def _metadata_digest(self, group: int) -> str:
        """Return the digests of the package's md5sums and of its conffiles, empty while dpkg is still to write them.

        They are two, so that a package that is made to look unfinished still can't have its md5sums edited unseen.
        """
        stanza = self._stanzas[group]
        if not stanza.complete:
            return ""
        sums = hashlib.sha256(self._digests.md5sums(group)).hexdigest()
        if not stanza.settled:
            return sums + SEPARATOR
        conffiles = hashlib.sha256()
        for path, conffile in sorted(stanza.conffiles.items()):
            if conffile.md5 is not None:
                conffiles.update(b"\0" + path + b"\0" + conffile.md5)
        return sums + SEPARATOR + conffiles.hexdigest()

    def _has_files(self, group: int) -> bool:
        """Say whether a path of the package should have a digest: it is no conffile and no directory."""
        conffiles = self._stanzas[group].conffiles
        # From the end, as a directory comes before what is in it: most often the first that is asked is a file.
        return any(
            self._index.path(member) not in conffiles and not self._index.leads_on(member, group)
            for member in reversed(self._index.members(group))
        )

    def _diversion_notes(self) -> t.Iterator[tuple[str, str]]:
        """Yield the paths that a diversion took from their package and where a file of nobody is now."""
        for diversion in self._diversions:
            names = self._merged.names(diversion.contested)
            if self.owner(names) is None and os.path.lexists(os.path.join(self._root, names[0].lstrip(b"/"))):
                by = "package %s" % diversion.by if diversion.by else "the administrator"
                reason = "diverted by %s: no package says what should be there" % by
                yield os.fsdecode(diversion.contested), reason


def present(root: bytes) -> bool:
    """Say whether ``root`` has a dpkg database."""
    return os.path.isfile(os.path.join(root, DIRECTORY, b"status"))


def _stem(stanza: files.Stanza, info: t.AbstractSet[bytes]) -> bytes:
    """Return how the package's files in info/ start: with the architecture for what can be installed twice."""
    qualified = os.fsencode("%s:%s" % (stanza.name, stanza.arch))
    return qualified if qualified + b".list" in info else os.fsencode(stanza.name)
