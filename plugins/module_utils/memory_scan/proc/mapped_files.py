# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Open the files behind the mappings of a process, and its executable, whatever their names are now."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils import _safe_fs
from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan.model import Mapping, Process
from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan.proc import details
from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan.proc.mounts import Mounts, file_type
from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan.proc.process_files import ProcessFiles
from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan.view import GoneError

_NO_RIGHTS = (errno.EPERM, errno.EACCES)
_REOPEN = os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC


class MappedFiles(ProcessFiles):
    """Open the files that one process has mapped."""

    def __init__(
        self, process: Process, skip: t.Callable[[str], None], mounts: Mounts | None = None, root: str = "/proc"
    ) -> None:
        super().__init__(process, skip, mounts, root)
        # Where the mappings begin of which the files can't be opened for want of rights.
        self._refused: set[int] = set()

    def _file_type(self, mapping: Mapping, file_system: str | None) -> int | None:
        """Return what is behind a mapping (S_IFMT of inode(7)); None where that can't be told, whatever the reason."""
        with contextlib.suppress(OSError):
            if details.not_asked(file_system) is None:
                return stat.S_IFMT(os.stat(_map_file(mapping), dir_fd=self._directory()).st_mode)
            descriptor = self._pin(mapping)
            try:
                return file_type(descriptor)
            finally:
                os.close(descriptor)
        named = self._by_name(mapping)
        if named is None:
            return None
        try:
            return stat.S_IFMT(os.fstat(named).st_mode)
        finally:
            os.close(named)

    def open_mapped(self, mapping: Mapping) -> int | None:
        pinned = self._pinned(mapping)
        if pinned is None:
            return None
        try:
            return self._reopened(pinned, mapping)
        finally:
            os.close(pinned)

    def is_refused(self, mapping: Mapping) -> bool:
        descriptor = self.open_mapped(mapping)
        if descriptor is not None:
            os.close(descriptor)
        return mapping.start in self._refused

    def open_executable(self) -> int | None:
        try:
            pinned = os.open(b"exe", os.O_PATH | os.O_CLOEXEC, dir_fd=self._directory())
        except OSError as error:
            if error.errno == errno.ESRCH:
                raise GoneError from error
            if error.errno != errno.ENOENT:
                self.skip("its executable: %s" % _safe_fs.reason(error))
            return None
        try:
            return self._reopened(pinned, None)
        finally:
            os.close(pinned)

    def _pinned(self, mapping: Mapping) -> int | None:
        """Return a descriptor that stands for a mapping's file; None where there is none, or it may not be had."""
        if mapping.anonymous:
            return None
        try:
            return self._pin(mapping)
        except OSError as error:
            if error.errno in details.ENDED:
                self._check()
                return None
            if error.errno in _NO_RIGHTS:
                named = self._by_name(mapping)
                if named is not None:
                    return named
                self._refused.add(mapping.start)
            self.skip("the files that it has mapped: %s" % _safe_fs.reason(error))
            return None

    def _pin(self, mapping: Mapping) -> int:
        return os.open(_map_file(mapping), os.O_PATH | os.O_CLOEXEC, dir_fd=self._directory())

    def _by_name(self, mapping: Mapping) -> int | None:
        """Return a descriptor of a mapping's file by a name that it has; None where that leads to none or another one.

        Who may look into a process doesn't need to have the right to open what it has mapped: that takes
        CAP_CHECKPOINT_RESTORE or CAP_SYS_ADMIN (proc_pid_map_files(5)).
        """
        kind = self._known_mounts().of_device(mapping.device)
        if details.not_asked(kind) is not None:
            return None
        ways = [(b"exe", 0)]
        if mapping.path.startswith(b"/") and not mapping.deleted:
            # As the process sees it, and as this one does, in whose terms the kernel tells it where it can.
            ways += [(b"root" + mapping.path, os.O_NOFOLLOW), (mapping.path, os.O_NOFOLLOW)]
        for name, flags in ways:
            with contextlib.suppress(OSError, ValueError):
                descriptor = os.open(name, os.O_PATH | os.O_CLOEXEC | flags, dir_fd=self._directory())
                with contextlib.ExitStack() as stack:
                    stack.callback(os.close, descriptor)
                    if self._is_of(mapping, descriptor):
                        stack.pop_all()
                        return descriptor
        return None

    def _is_of(self, mapping: Mapping, pinned: int) -> bool:
        """Say whether a pinned file is the one of a mapping."""
        if details.not_asked(self._known_mounts().of_open(pinned)) is not None:
            return False
        found = os.fstat(pinned)
        return (os.major(found.st_dev), os.minor(found.st_dev), found.st_ino) == (*mapping.device, mapping.inode)

    def _reopened(self, pinned: int, mapping: Mapping | None) -> int | None:
        """Open a pinned file for reading where it is a regular one; mapping: of it, None for the executable."""
        kind = self._known_mounts().of_open(pinned)
        refusal = details.not_asked(kind)
        if refusal is not None:
            self.skip("a file: %s" % refusal)
            return None
        try:
            found = os.fstat(pinned)
            # Of a file of an overlay there are two numbers.
            other = mapping is not None and mapping.inode != found.st_ino and kind != "overlay"
            return None if other or not stat.S_ISREG(found.st_mode) else _opened(pinned)
        except OSError as error:
            if mapping is not None and error.errno in _NO_RIGHTS:
                self._refused.add(mapping.start)
            self.skip("a file: %s" % _safe_fs.reason(error))
            return None


def _map_file(mapping: Mapping) -> bytes:
    """Return the link to a mapping's file, in the directory of its process (proc_pid_map_files(5))."""
    return b"map_files/%x-%x" % (mapping.start, mapping.end)


def _opened(pinned: int) -> int:
    """Open a pinned regular file for reading; without a trace where the kernel allows that."""
    path = _safe_fs.pinned_path(pinned)
    try:
        return os.open(path, _REOPEN | os.O_NOATIME)
    except PermissionError:
        return os.open(path, _REOPEN)
