# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Open the files that the kernel has of a process, and notice when it ends or runs another program."""

from __future__ import annotations

import contextlib
import errno
import os
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils import _procfs, _safe_fs
from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan.model import Process
from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan.proc import details, maps, processes
from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan.proc.mounts import Mounts
from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan.view import GoneError


class ProcessFiles:
    """Hold the open files of one process below /proc. Opens nothing before it is asked.

    skip: takes what could not be looked at, each reason once. mounts: of the scan, so that they are read once.
    root: where proc(5) is mounted.
    """

    def __init__(
        self, process: Process, skip: t.Callable[[str], None], mounts: Mounts | None = None, root: str = "/proc"
    ) -> None:
        self._process = process
        self._skip = skip
        self._skipped: set[str] = set()
        self._mounts = mounts
        self._own_mounts = mounts is None
        self._root = root
        self._open: dict[str, int] = {}
        self._image: tuple[int, int, int] | None = None

    def close(self) -> None:
        for descriptor in set(self._open.values()):
            os.close(descriptor)
        self._open.clear()
        if self._own_mounts and self._mounts is not None:
            self._mounts.close()
            self._mounts = None

    @property
    def process(self) -> Process:
        return self._process

    def skip(self, reason: str) -> None:
        if reason not in self._skipped:
            self._skipped.add(reason)
            self._skip(reason)

    def _directory(self) -> int:
        """Return the process's directory, or that of a thread of it where the first one has ended."""
        if "directory" not in self._open:
            try:
                self._open_directory()
            except OSError as error:
                if error.errno not in details.ENDED:
                    self.skip(_safe_fs.reason(error))
                raise GoneError from error
        return self._open["directory"]

    def _open_directory(self) -> None:
        # Kept only where it is of that process, and closed otherwise: each check asks again.
        with contextlib.ExitStack() as always, contextlib.ExitStack() as otherwise:
            root = os.open(self._root, _procfs.DIRECTORY)
            always.callback(os.close, root)
            leader = directory = _procfs.open_process(root, self._process.pid)
            otherwise.callback(os.close, leader)
            numbers = processes.read_stat(leader)
            if numbers.started != self._process.started:
                raise GoneError
            if numbers.state in processes.ENDED_STATES:
                thread = processes.living_thread(root, leader, self._process.pid)
                if thread is None:
                    raise GoneError
                otherwise.callback(os.close, thread)
                directory = thread
            image = processes.read_stat(directory).image
            if not self._is_same_program(directory, image):
                raise GoneError
            otherwise.pop_all()
        self._open.update(leader=leader, directory=directory)
        self._image = image

    def _is_same_program(self, directory: int, image: tuple[int, int, int]) -> bool:
        """Say whether a directory is of the program that was read of first; image: as its stat file has it."""
        return self._runs_the_same(directory)

    def _runs_the_same(self, directory: int) -> bool:
        """Say whether it still runs the executable that it ran; that may have got another name or lost its own."""
        process = self._process
        if process.is_kernel_thread:
            return True
        try:
            if maps.unmarked(os.readlink(b"exe", dir_fd=directory))[0] == process.executable:
                return True
            if process.status is None:
                return False
            descriptor = os.open(b"exe", os.O_PATH | os.O_CLOEXEC, dir_fd=directory)
        except OSError as error:
            # What could not be read before can't be compared.
            return error.errno not in details.ENDED and process.executable is None
        try:
            if details.not_asked(self._mounts_from(directory).of_open(descriptor)) is not None:
                return False
            found = os.fstat(descriptor)
            return (found.st_dev, found.st_ino) == (process.status.device, process.status.inode)
        finally:
            os.close(descriptor)

    def _file(self, name: str) -> int | None:
        """Return an open file of the process, of the same program as the others; None where that's not allowed."""
        if name not in self._open and "no " + name not in self._skipped:
            directory = self._directory()
            try:
                self._open[name] = os.open(name, os.O_RDONLY | os.O_CLOEXEC, dir_fd=directory)
                self._check_image()
            except OSError as error:
                if error.errno in details.ENDED:
                    raise GoneError from error
                self._skipped.add("no " + name)
                self.skip("its %s: %s" % (name, _safe_fs.reason(error)))
        return self._open.get(name)

    def _check_image(self) -> None:
        """Raise GoneError where it has begun to run another program, or the same one again."""
        try:
            image = processes.read_stat(self._directory()).image
        except OSError as error:
            raise GoneError from error
        if image != self._image:
            raise GoneError

    def _check(self) -> None:
        """Raise GoneError where the memory that was opened is no process's any more."""
        memory = self._file("mem")
        if memory is None:
            return
        try:
            # At this address is nothing as a rule, which is an error; memory that is no more is empty.
            gone = not os.pread(memory, 1, 0)
        except OSError as error:
            gone = error.errno == errno.ESRCH
        if gone:
            raise GoneError

    def _known_mounts(self) -> Mounts:
        return self._mounts if self._mounts is not None else self._mounts_from(self._directory())

    def _mounts_from(self, directory: int) -> Mounts:
        """Return the mounts, those of the process among them; directory: its own."""
        if self._mounts is None:
            self._mounts = Mounts()
            self._mounts.add(self._process.namespaces.get("mnt", 0), directory)
        return self._mounts
