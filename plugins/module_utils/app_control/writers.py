# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Name who besides root can change a file: write to it, or to a directory above it, by owner, mode and access list."""

from __future__ import annotations

import contextlib
import grp
import os
import pwd
import stat

from ansible_collections.bulwark.servers.plugins.module_utils._finding import printable

EVERYBODY = "everybody"
_LIST = "system.posix_acl_access"
_MOST_DIRECTORIES = 20_000


class Writers:
    """Answers for one look. Directories are read once."""

    def __init__(self) -> None:
        self._directories: dict[bytes, frozenset[str]] = {}
        self._owners: dict[int, str] = {}
        self._groups: dict[int, str] = {}

    def owner(self, status: os.stat_result) -> str:
        """Return the account that owns a file, or its number."""
        return self.account(status.st_uid)

    def account(self, number: int) -> str:
        """Return the name of an account, or its number."""
        if number not in self._owners:
            try:
                self._owners[number] = printable(pwd.getpwuid(number).pw_name)
            except KeyError:
                self._owners[number] = str(number)
        return self._owners[number]

    def of(self, path: bytes, status: os.stat_result, opened: int | bytes) -> tuple[str, ...]:
        """Return who can change a file. path: with no link in it. opened: the file, to ask for its access list."""
        return tuple(sorted(self._own(status, opened) | self.above(path)))

    def above(self, path: bytes) -> frozenset[str]:
        """Return who can change the directories above a path."""
        return self._above(os.path.dirname(path))

    def _above(self, directory: bytes) -> frozenset[str]:
        pending = []
        while directory not in self._directories:
            pending.append(directory)
            above = os.path.dirname(directory)
            if above == directory:
                break
            directory = above
        known = self._directories.get(directory, frozenset())
        for each in reversed(pending):
            # What is gone is nobody's.
            with contextlib.suppress(OSError, ValueError):
                known |= self._own(os.stat(each), each)
            if len(self._directories) < _MOST_DIRECTORIES:
                self._directories[each] = known
        return known

    def _own(self, status: os.stat_result, opened: int | bytes) -> frozenset[str]:
        writers = set()
        if status.st_uid:
            writers.add(self.owner(status))
        if status.st_mode & stat.S_IWGRP:
            # With an access list, these are the most that it may grant to anybody.
            if _has_list(opened):
                writers.add("its access list")
            elif status.st_gid:
                writers.add("group %s" % self._group(status.st_gid))
        if status.st_mode & stat.S_IWOTH:
            writers.add(EVERYBODY)
        return frozenset(writers)

    def _group(self, number: int) -> str:
        if number not in self._groups:
            try:
                self._groups[number] = printable(grp.getgrgid(number).gr_name)
            except KeyError:
                self._groups[number] = str(number)
        return self._groups[number]


def _has_list(opened: int | bytes) -> bool:
    try:
        return bool(os.getxattr(opened, _LIST))
    except OSError:
        return False
