# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read the facts of one file: status, times, digest, package, extended attributes, flags."""

from __future__ import annotations

import contextlib
import hashlib
import os
import stat
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils import _safe_fs
from ansible_collections.bulwark.servers.plugins.module_utils._finding import printable
from ansible_collections.bulwark.servers.plugins.module_utils._program import (
    MODIFIED,
    NO_DIGEST,
    UNKNOWN,
    UNPACKAGED,
    VERIFIED,
)
from ansible_collections.bulwark.servers.plugins.module_utils.investigation.budget import SIZE, Budget
from ansible_collections.bulwark.servers.plugins.module_utils.investigation.file_times import Times
from ansible_collections.bulwark.servers.plugins.module_utils.investigation.host import Host
from ansible_collections.bulwark.servers.plugins.module_utils.investigation.statx import Statx
from ansible_collections.bulwark.servers.plugins.module_utils.packages.model import Owned

# Bytes that are searched for paths and addresses; a longer script is cut.
CONTENT_LIMIT = 64 * 1024
_MOST_ATTRIBUTES = 32
_ATTRIBUTE_LIMIT = 64 * 1024
# Other facts have these, or every file has the same.
_ORDINARY_ATTRIBUTES = frozenset(("security.selinux", "security.ima", "security.evm"))
_TYPES: t.Mapping[int, str] = {
    stat.S_IFREG: "file",
    stat.S_IFDIR: "directory",
    stat.S_IFLNK: "link",
    stat.S_IFSOCK: "socket",
    stat.S_IFIFO: "fifo",
    stat.S_IFCHR: "character device",
    stat.S_IFBLK: "block device",
}
_MAGIC = ((b"\x7fELF", "program or library (ELF)"), (b"PK\x03\x04", "archive (zip)"), (b"\x1f\x8b", "archive (gzip)"))


class FileFacts(t.NamedTuple):
    """status: as lstat(2) has it. target: of a symbolic link. owned: what its package records. content: at most 64 KiB.

    verification: one of ``_program.VERIFICATIONS``. attributes: names of extended attributes, with length and digest of
    what they hold. flags: ``immutable``, ``append_only``; None if the file system has none.
    """

    path: bytes
    status: os.stat_result
    times: Times
    flags: tuple[str, ...] | None = None
    target: bytes | None = None
    sha256: str = ""
    owned: Owned | None = None
    verification: str = UNKNOWN
    attributes: t.Mapping[str, str] = {}
    content: bytes = b""

    @property
    def is_as_packaged(self) -> bool:
        """Say whether a package owns the file, and nothing shows that its content is another one."""
        return self.verification in (VERIFIED, NO_DIGEST)

    @property
    def is_proven(self) -> bool:
        """Say whether the content is what the package records, or there is no content to compare."""
        return self.verification == VERIFIED or (self.is_as_packaged and not stat.S_ISREG(self.status.st_mode))

    @property
    def kind(self) -> str:
        """Return the type of the content by its first bytes, "" for an unknown one."""
        if self.content.startswith(b"#!"):
            return "script (%s)" % printable(self.content[2:130].split(b"\n", 1)[0].strip())
        return next((kind for magic, kind in _MAGIC if self.content.startswith(magic)), "")

    def values(self) -> dict[str, t.Any]:
        """Return the facts of the file's node, only those that are known.

        type, mode (octal), size, uid, gid, links, sha256, package, verified, kind, target, attributes, flags;
        modified, changed, born: seconds since the epoch.
        """
        status = self.status
        values: dict[str, t.Any] = {
            "type": _TYPES.get(stat.S_IFMT(status.st_mode), "unknown"),
            "mode": "%04o" % stat.S_IMODE(status.st_mode),
            "size": status.st_size,
            "uid": status.st_uid,
            "gid": status.st_gid,
            "links": status.st_nlink,
            "modified": status.st_mtime,
            "changed": status.st_ctime,
            "verified": self.verification,
        }
        known = {
            "born": self.times.born / 1e9 if self.times.born is not None else None,
            "sha256": self.sha256,
            "package": printable(self.owned.label) if self.owned is not None else None,
            "kind": self.kind,
            "target": printable(self.target) if self.target is not None else None,
            "attributes": dict(self.attributes),
            "flags": list(self.flags or ()),
        }
        values.update((name, value) for name, value in known.items() if value)
        return values


class FileReader:
    """Reads files of one host. gone: paths that lead to nothing."""

    def __init__(self, host: Host, budget: Budget) -> None:
        self._host = host
        self._budget = budget
        self._statx = Statx()
        self.gone: set[bytes] = set()

    def read(self, path: bytes) -> FileFacts | None:
        """Return the facts of the node at a path; None if it is ``gone``, or the budget says why.

        A directory above it that distributions made a link (/bin) is followed, others are not.
        """
        try:
            return self._facts(self.real(path))
        except OSError as error:
            if error.errno in _safe_fs.GONE:
                self.gone.add(path)
            else:
                self._budget.skip(printable(path), _safe_fs.reason(error))
        return None

    def real(self, path: bytes) -> bytes:
        """Return the path with a merged directory such as /bin replaced by the target of its link."""
        return self._host.packages.packages.names(path)[0]

    def _facts(self, path: bytes) -> FileFacts:
        self._budget.examined += 1
        with self._host.pinned(path) as (pinned, status):
            extra = self._statx.ask(pinned)
            facts = FileFacts(path, status, Times(status.st_mtime_ns, status.st_ctime_ns, extra.born), extra.flags)
            facts = facts._replace(attributes=_attributes(pinned))
            if stat.S_ISLNK(status.st_mode):
                facts = facts._replace(target=_safe_fs.link_target(pinned))
        facts = facts._replace(owned=self._host.packages.owned(path))
        if not stat.S_ISREG(status.st_mode):
            return facts._replace(verification=NO_DIGEST if facts.owned else UNPACKAGED)
        return self._with_content(facts)

    def _with_content(self, facts: FileFacts) -> FileFacts:
        verification = UNKNOWN if facts.owned else UNPACKAGED
        if not self._budget.take(facts.status.st_size):
            text = "%s was not read: the files that were read before it used up the limit." % printable(facts.path)
            self._budget.cut(SIZE, text, 1)
            return facts._replace(verification=verification)
        try:
            with self._host.opened(facts.path) as (descriptor, _status):
                content = _safe_fs.read_at(descriptor, 0, CONTENT_LIMIT)
                digests = self._host.packages.digests(descriptor)
        except OSError as error:
            self._budget.skip(printable(facts.path), _safe_fs.reason(error))
            return facts._replace(verification=verification)
        if facts.owned is not None and digests is not None:
            matches = facts.owned.has_content(digests)
            verification = NO_DIGEST if matches is None else VERIFIED if matches else MODIFIED
        return facts._replace(sha256=(digests or {}).get("sha256", ""), verification=verification, content=content)


def _attributes(pinned: int) -> dict[str, str]:
    """Return the extended attributes of a node, with the length and a digest of each value, which may be a payload."""
    attributes: dict[str, str] = {}
    path = _safe_fs.pinned_path(pinned)
    # A symbolic link is followed by these calls even through /proc/self/fd, so it has none here.
    with contextlib.suppress(OSError):
        if not stat.S_ISLNK(os.fstat(pinned).st_mode):
            for name in os.listxattr(path)[:_MOST_ATTRIBUTES]:
                if name not in _ORDINARY_ATTRIBUTES:
                    value = os.getxattr(path, name)[:_ATTRIBUTE_LIMIT]
                    digest = hashlib.sha256(value).hexdigest()
                    attributes[printable(name)] = "%d bytes, sha256 %s" % (len(value), digest)
    return attributes
