# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Turn what an execution names into files: on the host or in a container, program, script or file in memory."""

from __future__ import annotations

import errno
import os
import stat
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils._program import PROGRAM, SCRIPT
from ansible_collections.bulwark.servers.plugins.module_utils.app_control import interpreters
from ansible_collections.bulwark.servers.plugins.module_utils.app_control.enforcement.denials import Denial
from ansible_collections.bulwark.servers.plugins.module_utils.app_control.executed import (
    DELETED,
    Executed,
    FileId,
    Item,
    absolute,
    is_descriptor,
    is_script,
    without_process,
)
from ansible_collections.bulwark.servers.plugins.module_utils.app_control.location import locate
from ansible_collections.bulwark.servers.plugins.module_utils.app_control.named_paths import is_led_by_others
from ansible_collections.bulwark.servers.plugins.module_utils.app_control.observed import UNKNOWN_IMAGE
from ansible_collections.bulwark.servers.plugins.module_utils.app_control.roots import Container, Roots
from ansible_collections.bulwark.servers.plugins.module_utils.app_control.tally import Target

if t.TYPE_CHECKING:
    from ansible_collections.bulwark.servers.plugins.module_utils.audit_records.processes import Process

# What Python and Node.js run of a directory.
_MAINS = (b"__main__.py", b"index.js")
# Of PATH, as most accounts have it.
_SEARCHED = tuple(b"%s/bin/" % each for each in (b"/usr/local", b"/usr", b"")) + (b"/usr/local/sbin/", b"/usr/sbin/")
_MOST_DIRECTORIES = 20_000
_SCRIPT_BEGINS = b"#!"


class Targets:
    """Makes targets; asks the file system only about paths and inodes."""

    def __init__(self, roots: Roots) -> None:
        self._roots = roots
        self._directories: dict[bytes, _Directory] = {}

    def of_execution(
        self, event: Executed, arguments: t.Sequence[bytes], pid: bytes, parent: Process | None, time: float
    ) -> list[Target]:
        """Return the program, and for a script the script, too.

        pid: of the process. parent: who started it. time: of the execution, in seconds since the epoch.
        """
        if event.is_memory:
            return [Target(PROGRAM, event.exe[: -len(DELETED)], memory=True)]
        items = event.items
        executed_id = items[0].id if items else None
        image, container, is_of_process = self._root(event.exe, executed_id, pid, parent, time)
        prefix = _prefix(container)
        exe = self._without_suffix(event.exe, prefix)
        if not items or not items[0].path or self._is_program(exe, items[0], prefix) or not is_script(event, arguments):
            target = Target(PROGRAM, exe, image, file=executed_id, container=container, is_of_process=is_of_process)
            return [self.located(target._replace(owner=items[0].owner), time) if items else target]
        # The interpreter of a script may be a script, too.
        item = next((each for each in items[1:] if self._is_program(exe, each, prefix)), items[1])
        interpreter = Target(PROGRAM, exe, image, file=item.id, container=container, is_of_process=is_of_process)
        interpreter = self.located(interpreter._replace(owner=item.owner), time)
        path = self._real(items[0], container)
        script = Target(SCRIPT, path, image, interpreter.path, executed_id, container=container, owner=items[0].owner)
        return [interpreter, self.located(script, None)]

    def of_refused(self, event: Executed, pid: bytes, parent: Process | None, time: float) -> Target:
        """Return the script that a shell runs itself, as the kernel did not know the format. Parameters as above."""
        item = event.items[0]
        image, container, is_of_process = self._root(event.exe, item.id, pid, parent, time)
        path = self._real(item, container)
        script = Target(SCRIPT, path, image, event.exe, item.id, container=container, is_of_process=is_of_process)
        return self.located(script._replace(owner=item.owner), None)

    def of_denied(self, denial: Denial, pid: bytes, parent: Process | None, time: float) -> Target:
        """Return the file that was refused. Parameters as above."""
        event, item = denial.attempt, denial.attempt.items[0]
        image, container, is_of_process = self._root(event.exe, item.id, pid, parent, time)
        path = self._real(item, container)
        kind = SCRIPT if denial.is_execution and _is_script(_prefix(container) + path) else denial.kind
        interpreter = event.exe if denial.kind == SCRIPT else b""
        target = Target(kind, path, image, interpreter, item.id, container=container, is_of_process=is_of_process)
        return self.located(target._replace(owner=item.owner), None)

    def located(self, target: Target, time: float | None) -> Target:
        """Return a file with the path that the host has for it. time: as for ``locate``."""
        if target.image or target.container is not None or target.memory or is_descriptor(target.path):
            return target
        location = locate(self._roots, target.path, target.file, time)
        opened = target.opened or location.opened
        return target._replace(path=location.path, root=location.root, opened=opened)

    def of_arguments(
        self,
        program: Target,
        arguments: t.Sequence[bytes],
        cwd: bytes,
        known: t.Sequence[Target],
        is_certain: bool = True,
    ) -> list[Target]:
        """Return the files that an interpreter was told to run, but for those that are known.

        is_certain: whether it was in this directory then. If not, only files that are there count.
        """
        targets = []
        interpreter = program.path
        prefix = _prefix(program.container)
        for operand in interpreters.operands(program.path, arguments):
            path = self._named(operand, cwd, prefix)
            if not path or is_descriptor(path):
                continue
            is_known = path in [other.path[len(other.root) :] for other in known]
            if program.is_elsewhere or (program.root and os.path.lexists(program.root + path)):
                path = program.root + path
            if not is_certain and operand.name[:1] != b"/" and _status(path, prefix) is None:
                continue
            target = Target(operand.kind, path, program.image, interpreter, container=program.container)
            if not is_known and target.path not in [other.path for other in known]:
                targets.append(target)
            interpreter = path
        return targets

    def _named(self, operand: interpreters.Operand, cwd: bytes, prefix: bytes) -> bytes:
        """Return the file that an interpreter takes for a name; as it is named, if others choose that it is root's."""
        path = absolute(operand.name, cwd)
        if not path or prefix or is_descriptor(path):
            return path
        status = self._look_up(path)
        if status is None and (operand.endings or operand.is_searched):
            guesses = [path + ending for ending in operand.endings]
            if operand.is_searched:
                guesses += [directory + operand.name for directory in _SEARCHED]
            path = next((guess for guess in guesses if os.path.lexists(guess)), path)
            status = self._look_up(path)
        real = self._regular(path, status)
        if real == path and b"/../" not in operand.name:
            return real
        status = _status(real, b"")
        is_roots = status is not None and not status.st_uid
        return os.path.join(cwd, operand.name) if is_roots and is_led_by_others(operand.name, cwd) else real

    def _root(
        self, exe: bytes, file: FileId | None, pid: bytes, parent: Process | None, time: float
    ) -> tuple[str, Container | None, bool]:
        """Return in which image and running container a file was executed, and whether only the process says so."""
        if file is not None:
            container = self._roots.container_on(file[:2], exe)
            if container is not None and self._roots.had(container, file[:2], parent, time):
                return container.image, container, False
        # What a container has of the host, such as a directory that is mounted into it, is on a device of the host.
        container = self._roots.container_of(pid, time)
        if container is None and parent is not None:
            container = self._roots.container_of(parent.pid, time)
        if container is not None:
            return container.image, container, True
        image = "" if file is None else self._roots.former_image(file[:2], parent, UNKNOWN_IMAGE, time)
        return image, None, False

    def _is_program(self, exe: bytes, item: Item, prefix: bytes) -> bool:
        """Return whether what was executed is the program itself, by its own name or another."""
        if item.path == exe:
            return True
        status = _status(exe, prefix)
        if status is None or item.id is None or status.st_ino != item.id[2]:
            return False
        # Whoever makes many files in memory gets one of any number.
        return bool(prefix) or self._roots.is_on(exe, item.id[:2], status)

    def _without_suffix(self, exe: bytes, prefix: bytes) -> bytes:
        """Return the path of a program without what the kernel adds to that of a deleted file."""
        if exe.endswith(DELETED) and _status(exe, prefix) is None:
            return exe[: -len(DELETED)]
        return exe

    def _real(self, item: Item, container: Container | None) -> bytes:
        """Return where a script lies, if a link leads to it. Within a container nobody follows links."""
        if container is None and item.id is not None and not is_descriptor(item.path):
            return self._regular(item.path, self._look_up(item.path), item.id[2])
        return without_process(item.path)

    def _look_up(self, path: bytes) -> os.stat_result | None:
        """Return what lies at a path, None for nothing."""
        return _status(path, b"") if self._real_directory(os.path.dirname(path)).is_there else None

    def _regular(self, path: bytes, status: os.stat_result | None, inode: int | None = None) -> bytes:
        """Return the real path of a file of the host. status: of what lies there; inode: another file there is none."""
        directory, name = os.path.split(path)
        # The directories are the same, whatever lies in them now.
        full = real = os.path.join(self._real_directory(directory).path, name)
        if status is not None and stat.S_ISLNK(status.st_mode):
            full = os.path.realpath(full)
            status = _status(full, b"")
        if status is None:
            return real
        if stat.S_ISDIR(status.st_mode):
            mains = (os.path.join(full, name) for name in _MAINS)
            return next((main for main in mains if os.path.isfile(main)), b"")
        return full if inode in (None, status.st_ino) else real

    def _real_directory(self, directory: bytes) -> _Directory:
        """Return a directory without links in its path, and as it is from where there is none."""
        pending = []
        while directory not in self._directories:
            above = os.path.dirname(directory)
            if above == directory:
                self._directories[directory] = _Directory(directory, True)
                break
            pending.append(directory)
            directory = above
        known = self._directories[directory]
        for each in reversed(pending):
            path = os.path.join(known.path, os.path.basename(each))
            status = _status(path, b"") if known.is_there else None
            if status is not None and stat.S_ISLNK(status.st_mode):
                path = os.path.realpath(path)
                status = _status(path, b"")
            known = _Directory(path, status is not None)
            if len(self._directories) < _MOST_DIRECTORIES:
                self._directories[each] = known
        return known


class _Directory(t.NamedTuple):
    """A directory. path: without links, as far as it is there."""

    path: bytes
    is_there: bool


def _prefix(container: Container | None) -> bytes:
    return b"" if container is None else b"/proc/%d/root" % container.pid


def _is_script(path: bytes) -> bool:
    """Return whether a file begins as a script does, or is one that fapolicyd lets no interpreter read."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    except OSError as error:
        return error.errno == errno.EPERM
    try:
        return stat.S_ISREG(os.fstat(descriptor).st_mode) and os.read(descriptor, len(_SCRIPT_BEGINS)) == _SCRIPT_BEGINS
    finally:
        os.close(descriptor)


def _status(path: bytes, prefix: bytes) -> os.stat_result | None:
    try:
        return os.lstat(prefix + path)
    except (OSError, ValueError):
        return None
