# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Look at the processes that run now: their programs, the scripts of interpreters, and libraries from unusual places.

A process was counted when an event of it was read, or by an earlier look. Otherwise it counts as one execution, at the
time when it was started.
"""

from __future__ import annotations

import os
import re
import stat
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils._program import LIBRARY, PROGRAM
from ansible_collections.bulwark.servers.plugins.module_utils._run import Deadline
from ansible_collections.bulwark.servers.plugins.module_utils.app_control import interpreters
from ansible_collections.bulwark.servers.plugins.module_utils.app_control.executed import DELETED, FileId
from ansible_collections.bulwark.servers.plugins.module_utils.app_control.tally import Occurrence, Tallies, Target
from ansible_collections.bulwark.servers.plugins.module_utils.app_control.targets import Targets
from ansible_collections.bulwark.servers.plugins.module_utils.audit_records import decode

if t.TYPE_CHECKING:
    from ansible_collections.bulwark.servers.plugins.module_utils.app_control.roots import Container, Roots
    from ansible_collections.bulwark.servers.plugins.module_utils.audit_records.processes import Process
    from ansible_collections.bulwark.servers.plugins.module_utils.audit_records.running_processes import Running

_MEMORY = b"/memfd:"
# Of proc_pid_maps(5), mappings of files that may be executed.
_MAPPED = re.compile(rb"^([0-9a-f]+-[0-9a-f]+) ..x. [0-9a-f]+ ([0-9a-f]+):([0-9a-f]+) (\d+) +(/[^\n]*)$", re.MULTILINE)
# Mappings of shared memory that no file system has a path for.
_NO_FILES = (b"/dev/zero", b"/SYSV", b"/anon_hugepage", b"/[aio]")
_TEMPORARY = (b"/tmp/", b"/var/tmp/", b"/dev/shm/", b"/run/")
_CHUNK = 4 * 1024 * 1024
# The kernel's limit of mappings (vm.max_map_count), each with the longest path.
_MOST_CHUNKS = 70
# As much as the kernel allows with the usual limit of the stack.
_MOST_ARGUMENTS = 2 * 1024 * 1024
_MOST_USUAL = 5_000
# Seconds. The kernel counts from the boot, whose time is a whole second that the clock may be set by.
_GRAIN = 2
_UNSET = decode.UNSET_ID.encode("ascii")

# Says whether a path is one where libraries usually are, that only root can change.
IsUsual = t.Callable[[bytes], bool]


class RunningPrograms:
    """Counts what runs. examined: how many processes. unreadable: those of which the kernel told nothing."""

    def __init__(self, roots: Roots, tallies: Tallies, state: t.Mapping[str, t.Any], proc: str = "/proc") -> None:
        """state: as ``state`` returned it."""
        self._roots, self._tallies, self._proc = roots, tallies, proc
        self._targets = Targets(roots)
        self._known: dict[str, int] = dict(state.get("running", {}))
        self._usual: dict[str, None] = dict.fromkeys(state.get("usual", ()))
        self._seen_usual: dict[str, None] = {}
        self._running: dict[str, int] = {}
        self._libraries: dict[FileId, Target | None] = {}
        self.examined = 0
        self.left_out = 0

    def state(self) -> dict[str, t.Any]:
        # Those of this look at the end, as they are needed again sooner than others.
        former = (key for key in self._usual if key not in self._seen_usual)
        return {"running": self._running, "usual": [*former, *self._seen_usual][-_MOST_USUAL:]}

    def look(
        self,
        running: t.Sequence[Running],
        now: float,
        is_counted: t.Callable[[Process], bool],
        without: t.Container[int],
        is_usual: IsUsual,
        deadline: Deadline,
    ) -> None:
        """Take in all processes. is_counted: of one whose execution was read. without: the look's own ones.

        now: in seconds since the epoch.
        """
        for number, each in enumerate(running):
            if deadline.passed():
                self.left_out = len(running) - number
                return
            pid = int(each.process.pid)
            if pid not in without:
                known = self._known.get(str(pid))
                is_known = known is not None and abs(known - each.started) <= _GRAIN
                self._running[str(pid)] = round(each.started)
                is_new = not is_known and not is_counted(each.process)
                self._look(pid, each, now, is_new, is_usual)

    def _look(self, pid: int, each: Running, now: float, is_new: bool, is_usual: IsUsual) -> None:
        folder = "%s/%d" % (self._proc, pid)
        link = os.fsencode(folder + "/exe")
        try:
            status = os.stat(link)
            exe = os.readlink(link)
            uid = os.stat(folder).st_uid
        except OSError:
            return
        self.examined += 1
        container = self._roots.container_of(each.process.pid)
        image = container.image if container is not None else ""
        path = exe[: -len(DELETED)] if exe.endswith(DELETED) and not status.st_nlink else exe
        file = (os.major(status.st_dev), os.minor(status.st_dev), status.st_ino)
        program = Target(PROGRAM, path, image, file=file, container=container, opened=link)
        if status.st_nlink or not self._roots.has_device(path, file[:2]):
            # One that is deleted was there before an upgrade.
            program = self._targets.located(program, each.started)
        if exe.startswith(_MEMORY) and exe.endswith(DELETED):
            program = Target(PROGRAM, exe[: -len(DELETED)], memory=True)
        login = _read(folder + "/loginuid", 32).strip()
        cwd = _link(folder + "/cwd")
        occurrence = Occurrence(
            each.started if is_new else now,
            login if login and login != _UNSET else b"%d" % uid,
            each.process.parent,
            cwd,
            b"",
            each.process.session,
            each.process.pid,
            b"",
        )
        targets = [program]
        if interpreters.is_interpreter(path):
            arguments = _read(folder + "/cmdline", _MOST_ARGUMENTS).rstrip(b"\0").split(b"\0")
            # It may be in another directory by now.
            targets += self._targets.of_arguments(program, arguments, cwd, targets, is_certain=False)
        scripts = [target.path for target in targets if target.interpreter]
        if scripts:
            occurrence = occurrence._replace(script=scripts[0])
        for target in targets:
            self._add(target, occurrence, is_new, now)
        mapped = self._mapped(folder, container, exe, is_usual)
        for target in mapped:
            self._add(target, occurrence._replace(parent=each.process), is_new, now)

    def _add(self, target: Target, occurrence: Occurrence, is_new: bool, now: float) -> None:
        tally = self._tallies.of(target)
        tally.add(occurrence, counts=is_new)
        if is_new:
            tally.add(occurrence._replace(time=now), counts=False)
        # It leads to the very file, which a path may not do any more.
        tally.target = target if target.opened else tally.target
        tally.is_running = True

    def _mapped(
        self, folder: str, container: Container | None, program: bytes, is_usual: IsUsual
    ) -> t.Iterator[Target]:
        """Yield the libraries of a process that lie in unusual places."""
        yielded = set()
        for span, major, minor, inode, path in _mappings(folder + "/maps"):
            file = (int(major, 16), int(minor, 16), int(inode))
            if path == program or path.startswith(_NO_FILES) or file in yielded:
                continue
            yielded.add(file)
            if file not in self._libraries:
                opened = os.fsencode("%s/map_files/" % folder) + span
                self._libraries[file] = self._library(file, path, opened, container, is_usual)
            target = self._libraries[file]
            if target is not None:
                yield target

    def _library(
        self, file: FileId, path: bytes, opened: bytes, container: Container | None, is_usual: IsUsual
    ) -> Target | None:
        """Return a mapped file as a target; None for one in a usual place, and for what is no file."""
        path = path.replace(rb"\012", b"\n")
        is_deleted = path.endswith(DELETED)
        plain = path[: -len(DELETED)] if is_deleted else path
        if path.startswith(_MEMORY) and is_deleted:
            return Target(LIBRARY, plain, memory=True)
        if container is not None:
            # Nobody knows what belongs into an image.
            if not is_deleted and not plain.startswith(_TEMPORARY):
                return None
        elif self._is_usual(file, plain, is_usual):
            return None
        try:
            status = os.stat(opened)
        except OSError:
            # Only root may ask the kernel for the very file.
            return Target(LIBRARY, plain, container.image if container else "", file=file, container=container)
        if not stat.S_ISREG(status.st_mode):
            return None
        return Target(LIBRARY, plain, container.image if container else "", container=container, opened=opened)

    def _is_usual(self, file: FileId, path: bytes, is_usual: IsUsual) -> bool:
        """Return whether a library lies where only root can put one; answers about the same file are kept."""
        try:
            status = os.lstat(path)
        except (OSError, ValueError):
            return is_usual(path)
        key = "%d.%d.%d" % (file[2], status.st_dev, status.st_ctime_ns)
        if key in self._usual or is_usual(path):
            self._seen_usual[key] = None
            return True
        return False


def own_processes(params: t.Mapping[str, t.Any], key: str) -> set[int]:
    """Return the processes that run this look. key: of the parameter in which a scan names them."""
    return {os.getpid(), *(int(pid) for pid in params.get(key) or ())}


def _mappings(path: str) -> t.Iterator[tuple[bytes, ...]]:
    """Yield what ``_MAPPED`` finds. A process may have many mappings before one that it hides."""
    rest = b""
    try:
        with open(path, "rb") as stream:
            for _number in range(_MOST_CHUNKS):
                chunk = stream.read(_CHUNK)
                lines, _newline, rest = (rest + chunk).rpartition(b"\n")
                yield from _MAPPED.findall(lines)
                if not chunk:
                    return
    except OSError:
        return


def _link(path: str) -> bytes:
    try:
        return os.readlink(os.fsencode(path))
    except OSError:
        return b""


def _read(path: str, most: int) -> bytes:
    try:
        with open(path, "rb") as stream:
            return stream.read(most)
    except OSError:
        return b""
