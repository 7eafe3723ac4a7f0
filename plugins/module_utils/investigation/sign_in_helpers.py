# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Recognise what PAM runs at each sign-in: the check of a password, the message of the day.

A reader who follows an account through ten sign-ins gains nothing from a hundred of these processes. One counts as a
helper only if it, and all that it started, executed packaged files only, wrote nothing and talked to nobody. So a
program or script that an intruder added there is seen.
"""

from __future__ import annotations

import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils.investigation.process_table import (
    BOUND,
    WROTE,
    Process,
)

# unix_chkpwd(8), unix_update(8), pam_timestamp_check(8)
_OF_PAM = frozenset((b"/usr/sbin/unix_chkpwd", b"/usr/sbin/unix_update", b"/usr/sbin/pam_timestamp_check"))
_SERVERS = frozenset((b"sshd", b"sshd-session", b"login", b"dropbear"))
_MOST_STARTED = 64
_MOST_LEVELS = 6
# Everybody writes there.
_SHARED = (b"/dev/null", b"/dev/tty", b"/dev/pts/", b"/dev/log", b"/proc/")


def is_helper(process: Process, is_packaged: t.Callable[[bytes], bool]) -> bool:
    """Say whether a process is a helper of a sign-in, or was started by one."""
    top: Process | None = process
    for _level in range(_MOST_LEVELS):
        if top is None:
            return False
        if _is_started_by_pam(top):
            return _is_quiet(top, is_packaged)
        top = top.parent
    return False


def _is_started_by_pam(process: Process) -> bool:
    if process.exe in _OF_PAM:
        return True
    # A program that a sign-in server runs as root for another account is no shell of that account.
    parent = process.parent
    is_of_server = parent is not None and parent.name in _SERVERS and process.name not in _SERVERS
    return is_of_server and process.user == 0 and bool(process.login)


def _is_quiet(top: Process, is_packaged: t.Callable[[bytes], bool]) -> bool:
    waiting, looked = [top], 0
    while waiting:
        process = waiting.pop()
        looked += 1
        if looked > _MOST_STARTED or any(contact.how != BOUND for contact in process.contacts):
            return False
        if any(act.how == WROTE and not act.path.startswith(_SHARED) for act in process.acts):
            return False
        files = process.executables()
        if not files or not all(is_packaged(path) for path, _time in files):
            return False
        waiting += process.children
    return True
