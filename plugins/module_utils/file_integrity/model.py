# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The records of file integrity monitoring: entries, changes, watches and verdicts."""

from __future__ import annotations

import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils.packages import model as packages_model

# The records are named tuples: making a data class takes several times as long, and the host does it in each run.

# Entry.type, named by what stat(2) calls S_IFREG, S_IFDIR, S_IFLNK, S_IFIFO, S_IFSOCK, S_IFCHR and S_IFBLK.
FILE = "file"
DIRECTORY = "directory"
LINK = "link"
FIFO = "fifo"
SOCKET = "socket"
CHAR_DEVICE = "char_device"
BLOCK_DEVICE = "block_device"

# FileChange.kind.
CREATED = "created"
DELETED = "deleted"
MODIFIED = "modified"
RENAMED = "renamed"  # before.path is the old name
REPLACED_TYPE = "replaced_type"  # a file became a link, a directory a file ...
# Not a change since the baseline: a packaged program or library whose content is not what its package installs,
# found when it is recorded for the first time, and again by each check until it matches or is accepted.
PACKAGE_MISMATCH = "package_mismatch"
# Another file system is at a path than was, or none any more: see ``mounts``.
MOUNTED = "mounted"
UNMOUNTED = "unmounted"
REMOUNTED = "remounted"
KINDS = (CREATED, DELETED, MODIFIED, RENAMED, REPLACED_TYPE, PACKAGE_MISMATCH, MOUNTED, UNMOUNTED, REMOUNTED)

# What a watch can select, and the names in FileChange.attributes. "content" is the hashes; "acl", "capabilities" and
# "selinux" are the extended attributes of those names, "xattrs" all others; "device" is the number of a device node.
ATTRIBUTES = (
    "type",
    "size",
    "mode",
    "owner",
    "group",
    "inode",
    "links",
    "mtime",
    "ctime",
    "flags",
    "device",
    "link_target",
    "content",
    "acl",
    "capabilities",
    "selinux",
    "xattrs",
)

# Directories change these whenever a child does, and the child is reported itself.
NOISE_OF_DIRECTORIES = frozenset(("size", "links", "mtime", "ctime", "inode"))

# Watch.category; see content/file_integrity/watches.yml.
PROGRAM = "program"
LOCAL_PROGRAM = "local_program"
LIBRARY = "library"
PERSISTENCE = "persistence"
DEFENCE = "defence"
ACCOUNT = "account"
STATE = "state"
CATEGORIES = (PROGRAM, LOCAL_PROGRAM, LIBRARY, PERSISTENCE, ACCOUNT, DEFENCE, "configuration", STATE, "other")

CAPABILITY_XATTR = b"security.capability"
SELINUX_XATTR = b"security.selinux"
ACL_XATTRS = (b"system.posix_acl_access", b"system.posix_acl_default")


class Entry(t.NamedTuple):
    """One file, directory, link or other node as it was recorded or found.

    path: bytes as the kernel has them, absolute. A field is None where the watch doesn't select it, where it doesn't
    apply, or where it could not be read (then the coverage says so): None is never compared.
    mode: permission bits with setuid, setgid and sticky (07777). Times: nanoseconds since the epoch.
    flags: ``immutable`` and ``append_only`` (FS_IOC_GETFLAGS, ioctl_iflags(2)). device: st_rdev of a device node.
    link_target: what readlink(2) returns. hashes: algorithm (hashlib's name) to lower-case hex; beyond those of the
    watch, a changed file also has those that package verification needs; empty when the content could not be read.
    xattrs: name to value; a value other than the capabilities, the SELinux label and the ACLs is kept as
    ``sha256:HEX:LENGTH``, because it can be a secret. xattr_kinds: which of acl, capabilities, selinux and xattrs the
    watch had recorded. package_mismatch: recorded while its content was not what its package installs. package:
    ``Owned.key`` of the package that owned the path when the baseline recorded it, by which a deleted file is explained
    once its package is gone; never compared.
    """

    path: bytes
    watch: str
    type: str
    mode: int | None = None
    uid: int | None = None
    gid: int | None = None
    size: int | None = None
    inode: int | None = None
    links: int | None = None
    mtime_ns: int | None = None
    ctime_ns: int | None = None
    flags: tuple[str, ...] | None = None
    device: int | None = None
    link_target: bytes | None = None
    hashes: t.Mapping[str, str] | None = None
    xattrs: t.Mapping[bytes, bytes] | None = None
    xattr_kinds: tuple[str, ...] = ()
    package_mismatch: bool = False
    package: str | None = None

    def is_program(self) -> bool:
        """Say whether this is a regular file that can be executed, by its mode."""
        return self.type == FILE and self.mode is not None and bool(self.mode & 0o111)


def is_code(path: bytes, mode: int) -> bool:
    """Say whether a regular file is a program, a library or a kernel module, by its mode and name."""
    name = path[path.rindex(b"/") + 1 :]
    return bool(mode & 0o111) or b".so." in name or name.endswith((b".so", b".ko", b".ko.xz", b".ko.zst", b".ko.gz"))


class FileChange(t.NamedTuple):
    """One difference between the baseline and the host.

    path: where it is now, or was when it was deleted. before is None when created, after is None when deleted.
    attributes: names from ``ATTRIBUTES`` that differ, in that order; empty for created and deleted. watch: name
    of the watch that owns the path (the one it has now, or had). id: 128 bits in hex of a hash over path, kind
    and the recorded state after, by which exactly this change is accepted.
    """

    kind: str
    path: bytes
    watch: str
    before: Entry | None
    after: Entry | None
    attributes: tuple[str, ...] = ()
    id: str = ""


class Watch(t.NamedTuple):
    """One watch as the user or the collection's defaults define it; see the module documentation.

    name: also the coverage scope. paths, exclude, include: globs as text, where bytes that are no UTF-8 are
    surrogate escapes. recurse: levels below each path, -1 for all. alert and techniques are handed to ``classify``
    as they were given.
    """

    name: str
    paths: tuple[str, ...]
    exclude: tuple[str, ...] = ()
    include: tuple[str, ...] = ()
    recurse: int = -1
    attributes: frozenset[str] = frozenset(ATTRIBUTES)
    hashes: tuple[str, ...] = ("sha256",)
    filesystems: str = "local"
    category: str = "other"
    alert: t.Any = None
    techniques: t.Any = None


# What a package database says of one path.
Owned = packages_model.Owned


class Packages(t.Protocol):
    """What the engine and ``classify`` need of the host's package databases; see packages.PackageDatabases."""

    def owner(self, path: bytes) -> Owned | None:
        """Return what the package that owns a path records of it."""

    def shipping(self, digests: t.Mapping[str, str]) -> t.Iterator[tuple[bytes, Owned]]:
        """Yield the packaged files whose content has one of these digests."""

    def digest_algorithms(self) -> t.AbstractSet[str]:
        """Return the algorithms that a file has to be hashed with to be compared with its package."""

    def snapshot(self) -> dict[str, dict[str, str]]:
        """Return the version and metadata digest of every package."""

    def coverage_notes(self) -> list[tuple[str, str]]:
        """Return (subject, reason) of what can't be verified with a package."""


class SignedPackages(Packages, t.Protocol):
    """The same, restricted to what a signature covers; see packages.SignedPackages."""

    def problem(self, owned: Owned) -> str:
        """Return why nothing signed speaks for an installed package, empty when something does."""

    def shipped_by(self, key: str, path: bytes) -> Owned | None:
        """Return what a signed package that is installed ships at a path, whoever owns that by the host's records."""

    def scripts(self, package: str) -> t.Mapping[str, bytes]:
        """Return the maintainer scripts of an installed package that is signed, by kind."""


class Context(t.NamedTuple):
    """What ``classify`` may know besides the change.

    packages: the databases as they are now. snapshot: ``packages.snapshot()`` of now. baseline_snapshot: the
    one sealed in the baseline ({} when there is none). first_run: a baseline is being made, so nothing is a change yet.
    watches: by name, as sealed in the baseline. derived: ``derived_files.parse_derived`` of the controller's
    content: what programs generate when packages change. was_owned: whether a path was a package's in the baseline.
    content: reads a file; None where it isn't any more what the entry says. signed_only: packages and snapshot have
    only what a signature covers. keeps_severity: whether a package, by its key, had files in the baseline by which
    accounts authenticate or things start. is_library: whether a path is a watched library whose content is compared.
    """

    packages: Packages
    snapshot: dict[str, dict[str, str]]
    baseline_snapshot: dict[str, dict[str, str]]
    watches: t.Mapping[str, Watch]
    first_run: bool = False
    derived: tuple[t.Any, ...] = ()
    was_owned: t.Callable[[bytes], bool] = lambda _path: False
    content: t.Callable[[Entry], bytes | None] = lambda _entry: None
    signed_only: bool = False
    keeps_severity: t.Callable[[str], bool] = lambda _key: False
    is_library: t.Callable[[bytes], bool] = lambda _path: False


class Verdict(t.NamedTuple):
    """What a change means: an alert to raise, or the package activity that explains or claims it.

    For an alert: alert (id in the catalogue), severity, message (one sentence) and techniques (ATT&CK ids).
    For an explanation: package, version and message (``explained by NAME VERSION``); alert is None.
    An explained change raises no finding and can be accepted in bulk. One that is claimed has an explanation that only
    the host's own files give (``claimed by NAME VERSION: WHY``): it is counted in a finding about its package.
    """

    message: str
    alert: str | None = None
    severity: str | None = None
    techniques: tuple[str, ...] = ()
    package: str | None = None
    version: str | None = None
    claimed: bool = False

    @property
    def explained(self) -> bool:
        return self.alert is None and not self.claimed
