# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Records that the package managers have in common: packages, paths of theirs, and account ids."""

from __future__ import annotations

import os
import stat
import types
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils._safe_fs import Reopener, read_at

# {package key: {version: digest of its metadata}}; the digest is "" while the package is not fully installed. It can
# have several parts, each empty while it is not known; only what is known on both sides is compared.
Snapshot = t.Dict[str, t.Dict[str, str]]
SnapshotView = t.Mapping[str, t.Mapping[str, str]]

SEPARATOR = "."

# In a snapshot that a database gave with parts missing: a package that isn't in it may be installed all the same.
INCOMPLETE_KEY = "%s:incomplete"

# The largest state file of a package manager that is read: a status file of 20,000 packages has about 30 MB.
_READ_LIMIT = 256 * 1024 * 1024


class Package(t.NamedTuple):
    """One installed package; key is the same for all its versions (``dpkg:bash:amd64``, ``rpm:bash:x86_64``)."""

    key: str
    name: str
    version: str
    arch: str
    manager: str


class Owned(t.NamedTuple):
    """What a package manager records of one path; None where it records nothing.

    key: the package's key in snapshots. version: the manager's full version, with the epoch. digests: lower-case hex
    by algorithm (hashlib's name); empty for what isn't a regular file and for content that isn't to be verified. mode:
    permission bits with setuid, setgid and sticky (07777). link_target: what a symbolic link holds. capabilities: as
    cap_to_text(3) writes them. conffile: an administrator may edit it. obsolete: a conffile that the installed version
    no longer ships. ghost: the package owns the path but ships no content.
    """

    key: str
    package: str
    version: str
    arch: str
    manager: str
    digests: t.Mapping[str, str] = types.MappingProxyType({})
    mode: int | None = None
    uid: int | None = None
    gid: int | None = None
    link_target: bytes | None = None
    capabilities: str | None = None
    conffile: bool = False
    obsolete: bool = False
    ghost: bool = False

    @classmethod
    def of(cls, package: Package, **recorded: t.Any) -> Owned:
        return cls(package.key, package.name, package.version, package.arch, package.manager, **recorded)

    @property
    def label(self) -> str:
        """Return the package's name and version, as people read them."""
        return "%s %s" % (self.package, self.version)

    def has_content(self, digests: t.Mapping[str, str]) -> bool | None:
        """Say whether content with these digests is what the package ships; None if no digest can be compared."""
        common = [digests[name] == digest for name, digest in self.digests.items() if name in digests]
        return all(common) if common else None


class Database(t.Protocol):
    """One package manager's database. manager: its name, as of a ``Package``."""

    manager: str

    def owner(self, names: t.Sequence[bytes]) -> Owned | None:
        """Return the record of one file, given every name that it can be listed under."""

    def installed(self, name: str) -> list[Package]:
        """Return the installed packages of a name."""

    def owned_files(self, is_wanted: t.Callable[[bytes], bool]) -> t.Iterator[tuple[bytes, Owned]]:
        """Yield path and record of what the installed packages own, as far as a path is wanted."""

    def dependencies(self) -> dict[str, set[str]]:
        """Return the installed packages by name, with the names of those that they can't do without."""

    def shipping(self, digests: t.Mapping[str, str]) -> t.Iterator[tuple[bytes, Owned]]:
        """Yield path and record of files that a package ships with exactly this content."""

    def digest_algorithms(self) -> t.AbstractSet[str]:
        """Return the algorithms that a file must be hashed with to be compared."""

    def snapshot(self) -> Snapshot:
        """Return the version and the metadata digest of every package."""

    def notes(self) -> list[tuple[str, str]]:
        """Return (subject, reason) of what can't be verified."""


def is_package(key: str) -> bool:
    """Say whether a key of a snapshot stands for a package; others stand for what else belongs to a database."""
    return key.count(":") > 1


class AccountIds:
    """Numeric ids of account and group names, from a root's own /etc/passwd and /etc/group.

    Packages name local system accounts only, so no name service is asked (one that hangs would hang the check).
    """

    def __init__(self, root: bytes) -> None:
        self._root = root
        self._tables: dict[bytes, dict[str, int]] = {}

    def uid(self, name: str) -> int | None:
        return self._find(b"etc/passwd", name)

    def gid(self, name: str) -> int | None:
        return self._find(b"etc/group", name)

    def _find(self, table: bytes, name: str) -> int | None:
        if name.startswith("#"):  # dpkg-statoverride(1) writes ids that have no name as #ID
            return int(name[1:]) if name[1:].isdigit() else None
        if table not in self._tables:
            self._tables[table] = self._read(table)
        return self._tables[table].get(name)

    def _read(self, table: bytes) -> dict[str, int]:
        try:
            lines = read_state(os.path.join(self._root, table)).split(b"\n")
        except OSError:
            lines = []
        ids = {"root": 0}
        for line in lines:
            fields = line.split(b":")
            if len(fields) > 2 and fields[2].isdigit():
                ids[fields[0].decode("utf-8", "surrogateescape")] = int(fields[2])
        return ids


def read_state(path: bytes, reopener: Reopener | None = None) -> bytes:
    """Return a state file's content; raise OSError when it is absent, no regular file or larger than any real one.

    reopener: for what the root of a container may have put there, of which nothing but a regular file is opened.
    """
    if reopener is None:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)  # a FIFO put here must not hang us
    else:
        descriptor = _reopened(path, reopener)
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise OSError("%s is not a regular file" % os.fsdecode(path))
        if status.st_size > _READ_LIMIT:
            raise OSError("%s is larger than %d bytes" % (os.fsdecode(path), _READ_LIMIT))
        return read_at(descriptor, 0, status.st_size)
    finally:
        os.close(descriptor)


def _reopened(path: bytes, reopener: Reopener) -> int:
    pinned = os.open(path, os.O_PATH | os.O_CLOEXEC)
    try:
        if not stat.S_ISREG(os.fstat(pinned).st_mode):
            raise OSError("%s is not a regular file" % os.fsdecode(path))
        return reopener.read(pinned)
    finally:
        os.close(pinned)
