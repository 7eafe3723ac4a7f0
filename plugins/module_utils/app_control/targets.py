# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Turn what an execution names into files: on the host or in a container, program, script or file in memory."""

from __future__ import annotations

import os
import stat
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils._program import PROGRAM, SCRIPT
from ansible_collections.bulwark.servers.plugins.module_utils.app_control import interpreters
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
from ansible_collections.bulwark.servers.plugins.module_utils.app_control.named_paths import is_led_by_others
from ansible_collections.bulwark.servers.plugins.module_utils.app_control.observed import UNKNOWN_IMAGE
from ansible_collections.bulwark.servers.plugins.module_utils.app_control.roots import Container, Roots
from ansible_collections.bulwark.servers.plugins.module_utils.app_control.tally import Target

if t.TYPE_CHECKING:
    from ansible_collections.bulwark.servers.plugins.module_utils.audit_records.processes import Process

_MAIN = b"__main__.py"
_MOST_DIRECTORIES = 20_000


class Targets:
    """Makes targets; asks the file system only about paths and inodes."""

    def __init__(self, roots: Roots) -> None:
        self._roots = roots
        self._directories: dict[bytes, bytes] = {}

    def of_execution(
        self, event: Executed, arguments: t.Sequence[bytes], pid: bytes, parent: Process | None
    ) -> list[Target]:
        """Return the program, and for a script the script, too. pid: of the process, parent: who started it."""
        if event.is_memory:
            return [Target(PROGRAM, event.exe[: -len(DELETED)], memory=True)]
        items = event.items
        executed_id = items[0].id if items else None
        image, container = self._root(executed_id, pid, parent)
        prefix = _prefix(container)
        exe = self._without_suffix(event.exe, prefix)
        if not items or not items[0].path or self._is_program(exe, items[0], prefix) or not is_script(event, arguments):
            owner = items[0].owner if items else None
            return [Target(PROGRAM, exe, image, file=executed_id, container=container, owner=owner)]
        interpreter = Target(PROGRAM, exe, image, file=items[1].id, container=container, owner=items[1].owner)
        script = Target(SCRIPT, self._real(items[0], container), image, exe, executed_id, container=container)
        return [interpreter, script._replace(owner=items[0].owner)]

    def of_arguments(
        self, program: Target, arguments: t.Sequence[bytes], cwd: bytes, known: t.Sequence[Target]
    ) -> list[Target]:
        """Return the files that an interpreter was told to run, but for those that are known."""
        found = []
        interpreter = program.path
        prefix = _prefix(program.container)
        for operand in interpreters.operands(program.path, arguments):
            path = absolute(operand.name, cwd)
            if path and not is_descriptor(path):
                path = self._named(operand.name, cwd, path, prefix)
            if not path or is_descriptor(path):
                continue
            target = Target(operand.kind, path, program.image, interpreter, container=program.container)
            if target.path not in [other.path for other in known]:
                found.append(target)
            interpreter = path
        return found

    def _named(self, name: bytes, cwd: bytes, path: bytes, prefix: bytes) -> bytes:
        """Return the real path of a file that arguments name; as it is named, if others choose that it is root's."""
        real = self._regular(path, prefix)
        if prefix or (real == path and b"/../" not in name):
            return real
        status = _status(real, b"")
        is_roots = status is not None and not status.st_uid
        return os.path.join(cwd, name) if is_roots and is_led_by_others(name, cwd) else real

    def _root(self, file: FileId | None, pid: bytes, parent: Process | None) -> tuple[str, Container | None]:
        """Return in which image, and in which container that runs, a file was executed."""
        if file is not None:
            container = self._roots.container_on(file[:2])
            if container is not None:
                return container.image, container
        container = self._roots.container_of(pid) or (self._roots.container_of(parent.pid) if parent else None)
        if container is not None and container.device is None:
            return container.image, container
        image = "" if file is None else self._roots.former_image(file[:2], parent, UNKNOWN_IMAGE)
        return image, None

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
            return self._regular(item.path, b"", item.id[2])
        return without_process(item.path)

    def _regular(self, path: bytes, prefix: bytes, inode: int | None = None) -> bytes:
        """Return the real path of a file of the host. inode: another file at the path is none."""
        if prefix:
            return path
        directory, name = os.path.split(path)
        # The directories are the same, whatever lies in them now.
        full = real = os.path.join(self._real_directory(directory), name)
        status = _status(full, b"")
        if status is not None and stat.S_ISLNK(status.st_mode):
            full = os.path.realpath(full)
            status = _status(full, b"")
        if status is None:
            return real
        if stat.S_ISDIR(status.st_mode):
            return os.path.join(full, _MAIN) if os.path.isfile(os.path.join(full, _MAIN)) else b""
        return full if inode in (None, status.st_ino) else real

    def _real_directory(self, directory: bytes) -> bytes:
        """Return a directory without links in its path, and as it is from where there is none."""
        pending = []
        while directory not in self._directories:
            above = os.path.dirname(directory)
            if above == directory:
                self._directories[directory] = directory
                break
            pending.append(directory)
            directory = above
        real = self._directories[directory]
        for each in reversed(pending):
            real = os.path.join(real, os.path.basename(each))
            status = _status(real, b"")
            if status is not None and stat.S_ISLNK(status.st_mode):
                real = os.path.realpath(real)
            if len(self._directories) < _MOST_DIRECTORIES:
                self._directories[each] = real
        return real


def _prefix(container: Container | None) -> bytes:
    return b"" if container is None else b"/proc/%d/root" % container.pid


def _status(path: bytes, prefix: bytes) -> os.stat_result | None:
    try:
        return os.lstat(prefix + path)
    except (OSError, ValueError):
        return None
