# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who, besides root, can change a log: what others can write, others may have taken entries out of."""

from __future__ import annotations

import grp
import os
import pwd
import stat
import typing as t

# Of log daemons and sign-in programs (Ubuntu's /var/log is syslog's, wtmp and btmp are utmp's everywhere). As groups,
# as long as nobody is a member.
_DAEMONS = ("root", "syslog")
_GROUPS = ("root", "syslog", "utmp")
_ACL = "system.posix_acl_access"


def who_can_change(status: os.stat_result, acl: bool = False) -> str:
    """Return who can write a file or change a directory, root, its daemons and who is asking aside; "" for nobody.

    acl: whether it has an access list, by which the rights of a group are those of anybody.
    """
    found = []
    if status.st_uid != os.geteuid() and _account(status.st_uid) not in _DAEMONS:
        found.append(_account(status.st_uid))
    if status.st_mode & stat.S_IWGRP:
        found.append("who is in its access list" if acl else _members(status.st_gid))
    if status.st_mode & stat.S_IWOTH:
        found.append("everybody")
    return ", ".join(name for name in found if name)


def doubts(path: str, descriptor: int) -> list[tuple[str, str]]:
    """Return paths with who can change them: the open file at ``path``, and the directories that it is in.

    path: absolute, not known to be there any more.
    """
    status = os.fstat(descriptor)
    found = [(path, who_can_change(status, _has_list(descriptor)))]
    for directory in _directories(path):
        try:
            above = os.stat(directory)
            acl = _has_list(directory)
        except OSError:
            continue
        # In a sticky directory others can't rename or remove what isn't theirs.
        if not above.st_mode & stat.S_ISVTX:
            found.append((directory, who_can_change(above, acl)))
    return [(each, who) for each, who in found if who]


def _directories(path: str) -> t.Iterator[str]:
    """Return the directories that lead to a file, as it is named and as it is where links lead to."""
    seen: set[str] = set()
    for name in (path, os.path.realpath(path)):
        directory = os.path.dirname(name)
        while directory not in seen:
            seen.add(directory)
            yield directory
            directory = os.path.dirname(directory)


def _has_list(of: int | str) -> bool:
    try:
        return bool(os.getxattr(of, _ACL))
    except OSError:
        return False


def _account(number: int) -> str:
    try:
        return pwd.getpwuid(number).pw_name
    except KeyError:
        return "the account %d" % number


def _members(number: int) -> str:
    """Return who is in a group that can write: "" where that is only what the system itself needs."""
    try:
        group = grp.getgrgid(number)
    except KeyError:
        return "the group %d" % number
    if group.gr_name in _GROUPS:
        others = [name for name in group.gr_mem if name not in _DAEMONS]
        return ", ".join(others[:5])
    return "the group %s" % group.gr_name
