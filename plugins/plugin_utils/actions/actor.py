# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who runs this: what the kernel knows of it, and what variables only say.

The kernel knows the user id of the process, and who signed in to get there (``/proc/self/loginuid``, which is set once
by PAM's pam_loginuid and stays through sudo and su; proc_pid_loginuid(5)). The environment (``LOGNAME``) and variables
(``-e awx_user_name=x``) can hold any name.
"""

from __future__ import annotations

import os
import pwd
import typing as t

from ansible_collections.bulwark.servers.plugins.plugin_utils.store import JitActor
from ansible_collections.bulwark.servers.plugins.plugin_utils.store.jit import UNVERIFIED

# PROC_USER_INIT_INO of the kernel's include/linux/proc_ns.h: the namespace in which user ids are what they are.
_INITIAL = 0xEFFFFFFD
# (uid_t) -1: nobody signed in, as in a daemon or a container.
_UNSET = 2**32 - 1
_NAMES = ("awx_user_name", "tower_user_name")
_JOBS = ("awx_job_id", "tower_job_id")


def actor(by: str | None, task_vars: t.Mapping[str, t.Any]) -> JitActor:
    """Return who runs this. by: the name that an option gives, which is only asserted, like that of AWX."""
    account, login = _account(), _login()
    asserted = _awx(task_vars)
    user = _text(task_vars, _NAMES)
    name = by or user
    if name is None:
        return JitActor(account, account, login, asserted)
    sources = [*(["the option actor"] if by else []), *([asserted] if asserted else [])]
    return JitActor(name, account, login, ", ".join(sources))


def _awx(task_vars: t.Mapping[str, t.Any]) -> str | None:
    user, job = _text(task_vars, _NAMES), _text(task_vars, _JOBS)
    words = [*(["AWX"] if user or job else []), *([f"job {job}"] if job else []), *([f"of {user}"] if user else [])]
    return " ".join(words) or None


def _text(task_vars: t.Mapping[str, t.Any], names: t.Sequence[str]) -> str | None:
    return next((str(task_vars[name]) for name in names if task_vars.get(name)), None)


def _account() -> str:
    uid = os.getuid()
    if not _is_initial():
        return f"uid {uid}{UNVERIFIED}"
    return _name(uid)


def _login() -> str | None:
    """Return the account that signed in, where that is not the one that this runs under."""
    try:
        with open("/proc/self/loginuid", encoding="ascii") as file:
            uid = int(file.read())
    except (OSError, ValueError):
        return None
    return None if uid in (_UNSET, os.getuid()) or not _is_initial() else _name(uid)


def _is_initial() -> bool:
    try:
        return os.stat("/proc/self/ns/user").st_ino == _INITIAL
    except OSError:
        # A system without these has no user namespaces (Linux has had both since 3.8).
        return True


def _name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        # Containers run under numbers that no account has.
        return f"uid {uid}"
