# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What /proc says of one process beside its numbers: its executable, arguments, descriptors and so on.

Everything takes the process's open directory, and notes in ``unreadable`` what it can't have. OSError where the process
has ended.
"""

from __future__ import annotations

import errno
import itertools
import os
import re
import stat
import types
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils import _procfs, _safe_fs
from ansible_collections.bulwark.servers.plugins.module_utils.containers import control_groups
from ansible_collections.bulwark.servers.plugins.module_utils.containers.control_groups import Group
from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan.model import FileStatus, OpenFile, Process
from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan.proc import maps
from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan.proc.mounts import Mounts

# Of one process as long as there is room for it, and the number that is left for each when it is used up: somebody's
# thousand processes with a million descriptors must not take all memory.
MOST_FILES, FEW_FILES, ROOM_FILES = 4096, 64, 200_000
MOST_TEXT, FEW_TEXT, ROOM_TEXT = 65_536, 1024, 1 << 24
# The kernel takes up to 6 MB for a new program's arguments and environment; a program can claim more.
MOST_ENVIRONMENT = 1 << 23
# Why the status of an executable is not known whose mount was taken from its place (umount2(2), MNT_DETACH).
NOT_MOUNTED = "its file system is not mounted anywhere any more, and is not asked"
_FOREIGN = "its file system, %s, may never answer, and is not asked"
_MOST_CGROUP = 1 << 18

# Errors that say that the process is no more.
ENDED = frozenset((errno.ENOENT, errno.ESRCH))

_NAMESPACES = ("mnt", "net", "pid", "user")
_NAMESPACE = re.compile(rb"\w+:\[(\d{1,20})\]\Z", re.ASCII)
# What ld.so(8) heeds. Others may have keys in variables whose names begin like these.
_LOADER = re.compile(
    rb"(?:\A|\0)(LD_(?:PRELOAD|AUDIT|LIBRARY_PATH|ORIGIN_PATH|BIND_NOW|BIND_NOT|DYNAMIC_WEAK|DEBUG|DEBUG_OUTPUT|PROFILE"
    rb"|PROFILE_OUTPUT|TRACE_LOADED_OBJECTS|TRACE_PRELINKING|SHOW_AUXV|HWCAP_MASK|ASSUME_KERNEL|POINTER_GUARD"
    rb"|PREFER_MAP_32BIT_EXEC|USE_LOAD_BIAS|VERBOSE|WARN))=([^\0]*)"
)

Value = t.TypeVar("Value", bound=t.Hashable)
Unreadable = t.Dict[str, str]


class _Noting:
    """Notes why something can't be read. What isn't there is none, as a kernel thread has no executable."""

    def __init__(self, what: str, unreadable: Unreadable) -> None:
        self._what = what
        self._unreadable = unreadable

    def __enter__(self) -> None:
        return None

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: types.TracebackType | None
    ) -> bool:
        if not isinstance(error, OSError) or error.errno == errno.ESRCH:
            return False
        if error.errno != errno.ENOENT:
            self._unreadable[self._what] = _safe_fs.reason(error)
        return True


class Details:
    """Reads them; one for a whole scan, as what many processes have in common is kept once."""

    def __init__(self, mounts: Mounts) -> None:
        self._mounts = mounts
        self._room_files = ROOM_FILES
        self._room_text = ROOM_TEXT
        self._same: dict[t.Any, t.Any] = {}
        self._groups: dict[bytes, Group] = {}
        self._namespaces: dict[tuple[tuple[str, int], ...], dict[str, int]] = {}

    def same(self, value: Value) -> Value:
        """Return a value that is equal, the same one each time."""
        known: Value = self._same.setdefault(value, value)
        return known

    def namespaces(self, directory: int, unreadable: Unreadable) -> dict[str, int]:
        """Return the numbers of its namespaces by their names."""
        numbers = []
        with _Noting("namespaces", unreadable):
            for name in _NAMESPACES:
                found = _NAMESPACE.match(os.readlink(b"ns/" + name.encode(), dir_fd=directory))
                if found:
                    numbers.append((name, int(found.group(1))))
        return self._namespaces.setdefault(tuple(numbers), dict(numbers))

    def group(self, directory: int, unreadable: Unreadable) -> Group:
        """Return its control group."""
        with _Noting("cgroup", unreadable):
            text = _procfs.once(b"cgroup", directory, _MOST_CGROUP)
            if text not in self._groups:
                self._groups[text] = control_groups.parse(text)
            return self._groups[text]
        return Group("", None)

    def link(self, name: bytes, what: str, directory: int, unreadable: Unreadable) -> tuple[bytes | None, bool]:
        """Return where "exe" or "cwd" leads, and whether that has no name any more; None where it leads nowhere."""
        with _Noting(what, unreadable):
            path, deleted = maps.unmarked(os.readlink(name, dir_fd=directory))
            return self.same(path), deleted
        return None, False

    def status(self, directory: int, unreadable: Unreadable) -> FileStatus | None:
        """Return what is known of its executable, unless one would have to ask a file system that may not answer."""
        with _Noting("status", unreadable):
            descriptor = os.open(b"exe", os.O_PATH | os.O_CLOEXEC, dir_fd=directory)
            try:
                kind = self._mounts.of_open(descriptor)
                if kind is None:
                    # It may have been mounted since the others were read.
                    self._mounts.learn(directory)
                    kind = self._mounts.of_open(descriptor)
                refusal = not_asked(kind)
                if kind is None or refusal is not None:
                    unreadable["status"] = str(refusal)
                    return None
                return self.same(_file_status(os.fstat(descriptor), kind))
            finally:
                os.close(descriptor)
        return None

    def arguments(self, directory: int, unreadable: Unreadable) -> tuple[bytes, ...]:
        """Return its command line, as it is in its memory now."""
        most = MOST_TEXT if self._room_text > 0 else FEW_TEXT
        text = b""
        with _Noting("arguments", unreadable):
            text = _procfs.once(b"cmdline", directory, most + 1)
        if len(text) > most:
            unreadable["arguments"] = "they are longer than %d bytes" % most
            text = text[:most]
        self._room_text -= len(text)
        words = (text[:-1] if text.endswith(b"\0") else text).split(b"\0") if text else []
        return self.same(tuple(words))

    def environment(self, directory: int, unreadable: Unreadable) -> dict[bytes, bytes]:
        """Return what ld.so(8) heeds of the variables it was started with; of the same name the last, as that does."""
        text, complete = b"", True
        with _Noting("environment", unreadable):
            text, complete = _procfs.whole(b"environ", directory, MOST_ENVIRONMENT)
        if not complete:
            unreadable["environment"] = "it is longer than %d bytes" % MOST_ENVIRONMENT
        found: dict[bytes, bytes] = {}
        if b"LD_" not in text:
            return found
        most = MOST_TEXT if self._room_text > 0 else FEW_TEXT
        for match in _LOADER.finditer(text):
            name, value = match.groups()
            most -= len(name) + len(value)
            if most < 0:
                unreadable["environment"] = "there is too much in it for the loader"
                break
            self._room_text -= len(name) + len(value)
            found[name] = value
        return found

    def files(self, directory: int, unreadable: Unreadable) -> tuple[OpenFile, ...]:
        """Return its open descriptors, those with the lowest numbers where there are too many."""
        found: list[OpenFile] = []
        most = MOST_FILES if self._room_files > 0 else FEW_FILES
        with _Noting("files", unreadable):
            listing = os.open(b"fd", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=directory)
            try:
                with os.scandir(listing) as entries:
                    names = [entry.name.encode() for entry in itertools.islice(entries, most + 1)]
                for name in names[:most]:
                    with _Noting("files", unreadable):
                        found.append(OpenFile(int(name), self.same(os.readlink(name, dir_fd=listing))))
                if len(names) > most:
                    unreadable["files"] = "only the first %d were read" % most
            finally:
                os.close(listing)
        self._room_files -= len(found)
        return tuple(found)


def not_asked(file_system: str | None) -> str | None:
    """Return why the files of a type of file system are not touched; None where they can be."""
    if file_system is None:
        return NOT_MOUNTED
    if _safe_fs.is_foreign(file_system):
        return _FOREIGN % file_system
    return None


def is_on_fuse(process: Process) -> bool:
    """Say whether an executable is on a file system of a user's program, which isn't asked for its status."""
    if process.status is not None:
        return process.status.file_system.startswith("fuse")
    return process.unreadable.get("status", "").startswith(_FOREIGN.partition("%s")[0] + "fuse")


def _file_status(found: os.stat_result, file_system: str) -> FileStatus:
    return FileStatus(
        found.st_dev,
        found.st_ino,
        stat.S_IMODE(found.st_mode),
        found.st_uid,
        found.st_size,
        found.st_mtime,
        found.st_ctime,
        found.st_nlink,
        file_system,
    )
