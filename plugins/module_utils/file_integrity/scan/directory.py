# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read one directory, for comparing with a baseline, making one and extending one."""

from __future__ import annotations

import os
import stat
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils import _run, _safe_fs
from ansible_collections.bulwark.servers.plugins.module_utils.file_integrity.baseline import lines
from ansible_collections.bulwark.servers.plugins.module_utils.file_integrity.scan.content import OutOfTimeError
from ansible_collections.bulwark.servers.plugins.module_utils.file_integrity.scan.nodes import NodeReader
from ansible_collections.bulwark.servers.plugins.module_utils.file_integrity.scan.results import Report
from ansible_collections.bulwark.servers.plugins.module_utils.file_integrity.watches.plan import (
    NOBODY,
    Plan,
    Rules,
    parent,
)

# Deeper than this no one installs anything, and each level costs an open for every directory in it.
DEEPEST = 256
# PATH_MAX: no program opens anything by a longer path, and a longer one would not fit into a finding's subject.
LONGEST = 4096


class Scan:
    """Reads directories one at a time and fills a ``Report``. One for each process.

    The subclass says in ``entry`` what becomes of each entry, in ``finish`` what of the directory, and in
    ``unreadable`` what of a directory that can't be read.
    """

    def __init__(self, plan: Plan, known: t.Container[bytes], deadline: _run.Deadline) -> None:
        """known: directories that are read anyway, and need not be reported when they are met."""
        self.plan = plan
        self.deadline = deadline
        self.nodes = NodeReader(deadline)
        self._directories = _safe_fs.DirectoryOpener()
        self.layouts = [lines.Layout(watch) for watch in plan.watches]
        self.report = Report()
        self.flush: t.Callable[[], None] = _keep
        self._known = known

    def begin(self, directory: bytes) -> bool:
        """Prepare for a directory; return whether it has to be read."""
        raise NotImplementedError

    def entry(self, directory: int, path: bytes, name: bytes, owner: int) -> int:
        """Deal with an entry that a watch owns; return its st_mode, 0 when it is gone. OSError, OutOfTimeError."""
        raise NotImplementedError

    def settled(self, descriptor: int, directory: bytes, rules: Rules, status: os.stat_result) -> bool:
        """Conclude a directory without dealing with each of its names, if that can be; return whether it is done.

        status: of the directory, from before anything of it was read. Raises OSError and OutOfTimeError.
        """
        raise NotImplementedError

    def withheld(self, name: bytes) -> bool:
        """Note that nothing can be said of this entry, neither that it is there nor that it is gone.

        Returns whether a baseline to compare with has it.
        """
        raise NotImplementedError

    def finish(self, directory: bytes) -> None:
        """Conclude a directory that was read to its end."""
        raise NotImplementedError

    def gone(self, directory: bytes) -> None:
        """Conclude a directory that isn't there."""
        raise NotImplementedError

    def unreadable(self, directory: bytes, reason: str) -> None:
        """Conclude a directory that could not be read, or not to its end."""
        raise NotImplementedError

    def scan(self, directory: bytes) -> None:
        """Read one directory; nothing is raised for what can go wrong with it."""
        rules = self.plan.rules(directory)
        if not self.begin(directory):
            return
        if self.deadline.passed():
            self._leave_out(directory, rules, self.deadline.reason)
            return
        if not rules.active and self.plan.is_hidden(directory):
            # What is mounted over it was named once, for all that is below.
            self.unreadable(directory, "a different file system is mounted over it now")
            return
        if not rules.active:
            self._leave_out(directory, rules, "a file system that the watch does not enter is mounted over it")
            return
        try:
            descriptor = self._directories.open(directory)
        except OSError as error:
            if error.errno in _safe_fs.GONE:
                self.gone(directory)
            else:
                self._leave_out(directory, rules, "it cannot be opened: %s" % _safe_fs.reason(error))
            return
        before = self.nodes.content.bytes_read
        try:
            self._read(descriptor, directory, rules)
        finally:
            os.close(descriptor)
            self.report.bytes_read += self.nodes.content.bytes_read - before

    def skip(self, watch: int, path: bytes, reason: str) -> None:
        self.report.skipped.append((watch, path, reason))

    def _leave_out(self, directory: bytes, rules: Rules, reason: str) -> None:
        above = directory
        watches = rules.watches
        while not watches and above != b"/":
            watches = frozenset({self.plan.owner(above)} - {NOBODY})
            above = parent(above)
        for watch in watches:
            self.skip(watch, directory, reason)
        self.unreadable(directory, reason)

    def _read(self, descriptor: int, directory: bytes, rules: Rules) -> None:
        if directory in self.plan.mount_points:
            above = _same_directory_above(descriptor, directory)
            if above is not None:
                self._leave_out(directory, rules, "it is %s mounted into itself" % os.fsdecode(above))
                return
        try:
            self.report.directories_read += 1
            if self.settled(descriptor, directory, rules, os.fstat(descriptor)):
                return
            names = _safe_fs.listed(descriptor) if rules.names is None else rules.names
            self._entries(descriptor, directory, rules, sorted(names))
        except OutOfTimeError:
            self._leave_out(directory, rules, self.deadline.reason)
        except OSError as error:
            self._leave_out(directory, rules, "it cannot be listed: %s" % _safe_fs.reason(error))
        else:
            self.finish(directory)

    def _entries(self, descriptor: int, directory: bytes, rules: Rules, names: list[bytes]) -> None:
        barred = self.plan.barred(directory)
        prefix = b"/" if directory == b"/" else directory + b"/"
        look = rules.look
        limited = bool(self.deadline.seconds)
        for name in names:
            owner, below = look(name)
            path = prefix + name
            if barred and name in barred and not self._enters(owner, below, barred[name]):
                self._bar(descriptor, path, name, barred[name], owner, below)
                continue
            if limited and self.deadline.passed():
                raise OutOfTimeError
            try:
                if owner != NOBODY:
                    mode = self.entry(descriptor, path, name, owner)
                    examined = self.report.examined
                    examined[owner] = examined.get(owner, 0) + 1
                elif below.active:
                    mode = os.stat(name, dir_fd=descriptor, follow_symlinks=False).st_mode
                    if stat.S_ISLNK(mode):
                        self._note_link(os.readlink(name, dir_fd=descriptor), path, rules, below)
                else:
                    continue
            except OSError as error:
                if error.errno not in _safe_fs.GONE:
                    self.withheld(name)
                    for watch in {owner} if owner != NOBODY else below.watches:
                        self.skip(watch, path, "it cannot be read: %s" % _safe_fs.reason(error))
                continue
            if stat.S_ISDIR(mode) and below.active:
                self.note_directory(path, below)

    def note_directory(self, path: bytes, below: Rules) -> None:
        """Note a directory to read, unless it is read anyway."""
        if path in self._known:
            return
        if path.count(b"/") > DEEPEST:
            for watch in below.watches:
                self.skip(watch, path, "it is nested deeper than %d directories" % DEEPEST)
            return
        if len(path) > LONGEST:
            for watch in below.watches:
                self.skip(watch, path, "its path is longer than %d bytes" % LONGEST)
            return
        self.report.directories.append(path)

    def _enters(self, owner: int, below: Rules, file_system: str) -> bool:
        """Say whether a child with a foreign file system on it is looked at all the same."""
        if not file_system:
            return False
        return any(self.plan.crosses(watch) for watch in {owner} - {NOBODY} | below.watches)

    def _note_link(self, target: bytes, path: bytes, rules: Rules, below: Rules) -> None:
        """Say that what is watched below a path can't be, as a link is there that isn't followed (see ``roots``).

        Unless it leads to a name beside it that is watched in the same way, as /opt/java to /opt/java-17.
        """
        is_name = b"/" not in target and target not in (b".", b"..")
        watched = rules.look(target)[1].watches if is_name else frozenset()
        for watch in below.watches - watched:
            self.skip(watch, path, "it is a link, and its target is not watched")

    def _bar(self, descriptor: int, path: bytes, name: bytes, file_system: str, owner: int, below: Rules) -> None:
        """Leave out what another file system is mounted on, and say so unless it was never anything but that."""
        known = self.withheld(name)
        if not file_system:
            return
        if _safe_fs.is_pseudo(file_system) and not known and _is_directory(descriptor, name):
            return
        for watch in {owner} - {NOBODY} or below.watches:
            self.skip(watch, path, "a %s file system is mounted there; filesystems is 'local'" % file_system)


def _is_directory(directory: int, name: bytes) -> bool:
    try:
        return stat.S_ISDIR(os.stat(name, dir_fd=directory, follow_symlinks=False).st_mode)
    except OSError:
        return False


def _keep() -> None:
    """Keep the report, as nobody takes it before a directory is finished."""


def _same_directory_above(descriptor: int, directory: bytes) -> bytes | None:
    """Return the directory on the way that a mount point shows again, which would make the tree endless."""
    here = os.fstat(descriptor)
    above = directory
    while above != b"/":
        above = above[: above.rindex(b"/")] or b"/"
        try:
            status = os.lstat(above)
        except OSError:
            return None
        if (status.st_dev, status.st_ino) == (here.st_dev, here.st_ino):
            return above
    return None
