# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Identify the files that ran: content, package, owner, and who can write to them.

The file that lies at a path now need not be the one that ran. Device and inode of the audit record, or the link that
proc(5) has to the program of a process, say whether it is. The facts of a file are kept as long as it is the same
file with the same times and size, so nothing is read twice.
"""

from __future__ import annotations

import os
import stat
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils._program import (
    CHANGED,
    GONE,
    MEMORY,
    MODIFIED,
    NO_DIGEST,
    PRESENT,
    UNKNOWN,
    UNPACKAGED,
    VERIFIED,
    Program,
)
from ansible_collections.bulwark.servers.plugins.module_utils._run import Deadline
from ansible_collections.bulwark.servers.plugins.module_utils._safe_fs import Reopener, reason
from ansible_collections.bulwark.servers.plugins.module_utils.app_control.folding import shown
from ansible_collections.bulwark.servers.plugins.module_utils.app_control.roots import Roots
from ansible_collections.bulwark.servers.plugins.module_utils.app_control.tally import Target
from ansible_collections.bulwark.servers.plugins.module_utils.app_control.writers import Writers
from ansible_collections.bulwark.servers.plugins.module_utils.packages.files import MOST_BYTES
from ansible_collections.bulwark.servers.plugins.module_utils.packages.files import Files as PackagedFiles
from ansible_collections.bulwark.servers.plugins.module_utils.packages.model import Owned
from ansible_collections.bulwark.servers.plugins.module_utils.packages.signed_index import SignedIndexes

SIGNED = "signed"
_FOREIGN = "it is on a file system of another machine, which is not read"
_FILE_SERVER = "its file server"
_UNKNOWN_WRITER = "unknown"
_PIN = os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC
_FOLLOW = os.O_PATH | os.O_CLOEXEC
# Seconds. The kernel takes the times of records and of files from a clock that ticks that slowly.
_TICK = 0.05

# Device, inode, size, and the times of content and inode in nanoseconds.
FileKey = t.Tuple[int, int, int, int, int]


class Identified(t.NamedTuple):
    """A program with what is known of its file. key: of the file with this digest, None where none was read."""

    program: Program
    key: FileKey | None


class FileFacts:
    """Identifies files within a time budget. left_out: how many were not read for that. read: how many were hashed."""

    def __init__(
        self,
        roots: Roots,
        deadline: Deadline,
        packages: PackagedFiles | None = None,
        indexes: SignedIndexes | None = None,
        origins: dict[tuple[str, str, str], str] | None = None,
    ) -> None:
        """origins: of packages that are known, by manager, name and version; others are added to it."""
        self._roots = roots
        self._deadline = deadline
        self.packages = packages or PackagedFiles()
        self._indexes = indexes or SignedIndexes(b"/")
        self._origins = {} if origins is None else origins
        self._writers = Writers()
        self._reopener: Reopener | None = None
        self.read = self.left_out = 0
        self.unreadable: dict[str, str] = {}

    def identify(self, target: Target, last: float, former: Program | None, key: FileKey | None) -> Identified:
        """Return what is known of a file that ran last at a time; former, key: what an earlier look identified."""
        base = Program(target.kind, target.identity[2], target.image, shown(target.interpreter))
        if target.memory:
            return Identified(base._replace(content=MEMORY, verification=UNPACKAGED), None)
        if target.is_folded:
            return Identified(self._without_file(base, target), None)
        if not target.image and self._roots.is_foreign(target.path):
            self.unreadable.setdefault(_FOREIGN, os.fsdecode(target.path))
            return Identified(base._replace(writers=(_FILE_SERVER,)), None)
        if target.is_elsewhere:
            return self._elsewhere(base, target, last, former, key)
        if target.image and target.container is None:
            return self._missing(base, target, former, key)
        pinned = self._pin(target)
        if pinned is None:
            return self._missing(base, target, former, key)
        try:
            return self._identify(base, target, pinned, last, former, key)
        finally:
            os.close(pinned)

    def _elsewhere(
        self, base: Program, target: Target, last: float, former: Program | None, key: FileKey | None
    ) -> Identified:
        """Return a file of another root: whoever made that can change everything there."""
        pinned = self._pin(target) if target.opened else None
        if pinned is None:
            return Identified(base._replace(content=GONE, writers=(_UNKNOWN_WRITER,)), None)
        try:
            identified = self._identify(base, target, pinned, last, former, key)
        finally:
            os.close(pinned)
        return identified._replace(program=identified.program._replace(writers=(_UNKNOWN_WRITER,)))

    def is_usual(self, path: bytes) -> bool:
        """Return whether a package owns a path that only root can change."""
        if self.packages.owned(path) is None:
            return False
        try:
            return not self._writers.of(path, os.lstat(path), path)
        except (OSError, ValueError):
            return not self._writers.above(path)

    def _pin(self, target: Target) -> int | None:
        """Return a descriptor of the file that ran, or else of what lies at its path; None where nothing does."""
        fallback = None
        for path, flags in ((target.place, _PIN), (target.opened, _FOLLOW)):
            if not path:
                continue
            try:
                pinned = os.open(path, flags)
            except (OSError, ValueError):
                continue
            status = os.fstat(pinned)
            if not stat.S_ISREG(status.st_mode):
                os.close(pinned)
            elif self._is_it(target, status) or (path == target.opened):
                if fallback is not None:
                    os.close(fallback)
                return pinned
            elif fallback is None:
                fallback = pinned
        return fallback

    def _is_it(self, target: Target, status: os.stat_result) -> bool:
        """Return whether a file is the one that ran, as far as records tell."""
        if target.file is None:
            return not target.opened or _same(target.opened, status)
        if target.file[2] != status.st_ino:
            return False
        return target.container is not None or self._roots.is_on(target.path, target.file[:2], status)

    def _identify(
        self, base: Program, target: Target, pinned: int, last: float, former: Program | None, key: FileKey | None
    ) -> Identified:
        status = os.fstat(pinned)
        is_it = self._is_it(target, status) or (bool(target.opened) and _same(target.opened, status))
        present = _key(status)
        if not is_it and self._is_of_others(target, self._writers.owner(status)):
            return self._foreign(base, target, CHANGED)
        if not is_it:
            if former is not None and key is not None and target.file is not None and key[1] == target.file[2]:
                # What ran is what an earlier look read; since then another file took its place.
                return Identified(former._replace(content=CHANGED), key)
            return Identified(self._located(base, target, pinned, status)._replace(content=CHANGED), None)
        is_gone = bool(target.opened) and not status.st_nlink
        is_written = max(status.st_mtime, status.st_ctime) > last + _TICK and (target.is_elsewhere or not target.opened)
        content = GONE if is_gone else CHANGED if is_written else PRESENT
        if former is not None and key == present and former.sha256:
            return Identified(self._refreshed(former, base, target, pinned, status, content), present)
        if self._deadline.passed():
            self.left_out += 1
            return Identified(self._located(base, target, pinned, status)._replace(content=content), None)
        digests = self._digests(pinned, present)
        program = self._located(base, target, pinned, status, digests)
        return Identified(program._replace(content=content), present if digests else None)

    def _refreshed(
        self, former: Program, base: Program, target: Target, pinned: int, status: os.stat_result, content: str
    ) -> Program:
        """Return a file that is the same, with what can change without it."""
        return former._replace(
            content=content,
            interpreter=base.interpreter or former.interpreter,
            writers=self._writers.of(target.place, status, b"/proc/self/fd/%d" % pinned),
        )

    def _missing(self, base: Program, target: Target, former: Program | None, key: FileKey | None) -> Identified:
        """Return a file that is gone: as it was, if what ran is what an earlier look read."""
        if former is not None and former.owner and self._is_of_others(target, former.owner):
            return self._foreign(base, target, GONE)
        if former is not None and (target.file is None or (key is not None and key[1] == target.file[2])):
            return Identified(former._replace(content=GONE), key)
        if former is not None and former.content == GONE and not former.sha256:
            return Identified(former, None)
        owned = None if target.image else self.packages.owned(target.path)
        return Identified(self._packaged(self._without_file(base, target), owned, None), None)

    def _without_file(self, base: Program, target: Target) -> Program:
        """Return a file that is gone, with who could have put it there."""
        if target.image:
            return base._replace(content=GONE, writers=(_UNKNOWN_WRITER,))
        return base._replace(content=GONE, writers=tuple(sorted(self._writers.above(target.path))))

    def _is_of_others(self, target: Target, owner: str) -> bool:
        """Return whether what ran belonged to another account than root, and than the owner of what lies there.

        Every account can mount a file of its own at any path that others do not see, or in a root of its own.
        """
        return bool(target.owner) and not target.image and self._writers.account(target.owner or 0) != owner

    def _foreign(self, base: Program, target: Target, content: str) -> Identified:
        """Return a file of another account: what lies at its path, or did before, says nothing of it."""
        owner = self._writers.account(target.owner or 0)
        program = self._packaged(base._replace(content=content), self.packages.owned(target.path), None)
        verification = MODIFIED if program.package else UNPACKAGED
        return Identified(program._replace(verification=verification, owner=owner, writers=(owner,)), None)

    def _digests(self, pinned: int, key: FileKey) -> dict[str, str] | None:
        """Return the digests of a file that does not change meanwhile."""
        if key[2] > MOST_BYTES:
            return None
        try:
            if self._reopener is None:
                self._reopener = Reopener()
            descriptor = self._reopener.read(pinned)
        except OSError as error:
            self.unreadable.setdefault(reason(error), os.readlink("/proc/self/fd/%d" % pinned))
            return None
        try:
            self.read += 1
            digests = self.packages.digests(descriptor)
            return digests if _key(os.fstat(descriptor)) == key else None
        finally:
            os.close(descriptor)

    def _located(
        self,
        base: Program,
        target: Target,
        pinned: int,
        status: os.stat_result,
        digests: t.Mapping[str, str] | None = None,
    ) -> Program:
        """Return a file with what its path and the digests say."""
        program = base._replace(
            sha256=digests["sha256"] if digests else "",
            owner=self._writers.owner(status),
            writers=self._writers.of(target.place, status, b"/proc/self/fd/%d" % pinned),
        )
        if target.image:
            return program._replace(verification=UNPACKAGED if digests else UNKNOWN)
        return self._packaged(program, self.packages.owned(target.path), digests)

    def _packaged(self, program: Program, owned: Owned | None, digests: t.Mapping[str, str] | None) -> Program:
        """Return a file with the package that owns its path, compared with that as far as digests are known."""
        if owned is None:
            return program._replace(verification=UNPACKAGED if digests else UNKNOWN)
        verification = UNKNOWN
        if digests:
            has_content = owned.has_content(digests)
            verification = NO_DIGEST if has_content is None else VERIFIED if has_content else MODIFIED
        return program._replace(
            manager=owned.manager,
            package=owned.package,
            version=owned.version,
            verification=verification,
            origin=self._origin(owned),
        )

    def _origin(self, owned: Owned) -> str:
        key = (owned.manager, owned.package, owned.version)
        if key not in self._origins and not self._deadline.passed():
            if owned.manager == "rpm":
                self._origins[key] = min(self.packages.packages.signing_keys(owned), default="")
            else:
                entry = self._indexes.entry(owned.package, owned.version, owned.arch)
                self._origins[key] = SIGNED if entry is not None else ""
        return self._origins.get(key, "")


def _key(status: os.stat_result) -> FileKey:
    return (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)


def _same(path: bytes, status: os.stat_result) -> bool:
    try:
        return os.path.samestat(os.stat(path), status)
    except OSError:
        return False
