# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Find files that were changed near in time, in the places where little happens and intruders write."""

from __future__ import annotations

import os
import stat
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils import _mountinfo, _safe_fs
from ansible_collections.bulwark.servers.plugins.module_utils._finding import printable
from ansible_collections.bulwark.servers.plugins.module_utils.investigation.budget import SECONDS, Budget
from ansible_collections.bulwark.servers.plugins.module_utils.investigation.host import Host
from ansible_collections.bulwark.servers.plugins.module_utils.investigation.nearest import Nearest

# How deep each directory is looked at: 1 is the files in it. Logs, caches and databases change all the time and are not
# among them.
_PLACES: tuple[tuple[bytes, int], ...] = (
    *((name, 5) for name in (b"/dev/shm", b"/tmp", b"/var/tmp")),
    *((name, 6) for name in (b"/etc", b"/root", b"/usr/local")),
    *((name, 2) for name in (b"/boot", b"/usr/bin", b"/usr/sbin", b"/usr/lib", b"/var/spool/cron", b"/var/spool/at")),
    (b"/usr/lib/systemd", 3),
    (b"/run", 2),
    *((name, 6) for name in (b"/home", b"/opt", b"/srv", b"/var/www")),
)
_PRUNED = frozenset((b".git", b".cache", b"node_modules", b"__pycache__", b"proc", b"sys"))
# pam_motd(8) writes it at each sign-in, and systemd at each reload.
_ROUTINE = frozenset((b"/run/motd.dynamic", b"/run/motd.dynamic.new", b"/run/systemd/systemd-units-load"))
MOST_ENTRIES = 60_000
_SHARE = 0.4
_MOST_TWINS = 3
_CHECK_EVERY = 64


class Near(t.NamedTuple):
    """A file that was changed near in time. time: when, in seconds since the epoch."""

    path: bytes
    time: float


class Walk(t.NamedTuple):
    """near: by path. twins: for each time of content that was asked for, in nanoseconds, files that have it."""

    near: t.Sequence[Near]
    twins: t.Mapping[int, t.Sequence[bytes]]


def walk(
    host: Host, nearest: Nearest, directories: t.Iterable[bytes], times: t.Collection[int], budget: Budget
) -> Walk:
    """Look at the directories of the subject's files first, then at the quiet places, and return what is near.

    times: of content, in nanoseconds; paths with the same are ``twins``.
    """
    return _Walker(host, nearest, times, budget).walk([*((name, 2) for name in directories), *_PLACES])


class _Walker:
    def __init__(self, host: Host, nearest: Nearest, times: t.Collection[int], budget: Budget) -> None:
        self._host, self._nearest, self._budget = host, nearest, budget
        self._times = frozenset(times)
        self._opener = _safe_fs.DirectoryOpener()
        self._seen: set[tuple[int, int]] = set()
        self._near: dict[bytes, Near] = {}
        self._twins: dict[int, list[bytes]] = {}
        self._left = MOST_ENTRIES
        self._end = budget.left * (1 - _SHARE)
        self._foreign = _foreign_mounts() if not host.root else frozenset()

    def walk(self, roots: t.Sequence[tuple[bytes, int]]) -> Walk:
        for number, (root, depth) in enumerate(roots):
            waiting = [(root, depth)]
            opened = 0
            while waiting:
                directory, left = waiting.pop()
                opened += 1
                if self._left < 0 or (opened % _CHECK_EVERY == 1 and self._budget.left < self._end):
                    self._cut(roots[number:])
                    return self._result()
                if directory not in self._foreign:
                    waiting.extend((name, left - 1) for name in self._directory(directory) if left > 1)
        return self._result()

    def _result(self) -> Walk:
        return Walk(sorted(self._near.values()), self._twins)

    def _cut(self, directories: t.Sequence[tuple[bytes, int]]) -> None:
        names = ", ".join(printable(name) for name, _depth in directories[:5])
        text = (
            "Files near in time were not searched for in all of %s: there was no time left, or too many files." % names
        )
        self._budget.cut(SECONDS, text)

    def _directory(self, directory: bytes) -> list[bytes]:
        """Look at the files in a directory and return the directories in it; nothing of one that was seen before."""
        try:
            descriptor = self._opener.open(self._host.root + directory)
        except OSError as error:
            if error.errno not in _safe_fs.GONE:
                self._budget.skip(printable(directory), _safe_fs.reason(error))
            return []
        below = []
        try:
            status = os.fstat(descriptor)
            if (status.st_dev, status.st_ino) in self._seen:
                return []
            self._seen.add((status.st_dev, status.st_ino))
            with os.scandir(descriptor) as entries:
                for entry in entries:
                    self._left -= 1
                    if self._left < 0:
                        break
                    name = os.fsencode(entry.name)
                    path = directory.rstrip(b"/") + b"/" + name
                    if entry.is_dir(follow_symlinks=False):
                        if name not in _PRUNED:
                            below.append(path)
                    else:
                        self._file(path, entry)
        except OSError as error:
            self._budget.skip(printable(directory), _safe_fs.reason(error))
        finally:
            os.close(descriptor)
        return below

    def _file(self, path: bytes, entry: os.DirEntry[str]) -> None:
        try:
            status = entry.stat(follow_symlinks=False)
        except OSError:
            return
        if status.st_mtime_ns in self._times and stat.S_ISREG(status.st_mode):
            twins = self._twins.setdefault(status.st_mtime_ns, [])
            if len(twins) < _MOST_TWINS:
                twins.append(path)
        begin = self._nearest.begin
        if begin is None or (status.st_ctime < begin and status.st_mtime < begin):
            return
        time = self._nearest.first_near((status.st_mtime, status.st_ctime))
        if time is not None and not stat.S_ISSOCK(status.st_mode) and path not in _ROUTINE:
            self._near.setdefault(path, Near(path, time))


def _foreign_mounts() -> frozenset[bytes]:
    """Return the mount points of file systems that are on other machines, or hold the kernel's own objects."""
    try:
        kinds = _mountinfo.own_file_systems()
    except OSError:
        return frozenset()
    return frozenset(point for point, kind in kinds.items() if _safe_fs.is_foreign(kind))
