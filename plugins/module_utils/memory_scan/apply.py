# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Take one action on a process: keep evidence, stop it, continue it, or end it."""

from __future__ import annotations

import os
import signal
import time
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils import _process
from ansible_collections.bulwark.servers.plugins.module_utils._argspec import HostError
from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan import capture
from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan.model import PF_KTHREAD
from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan.options import (
    CAPTURE,
    CONTINUE,
    KILL,
    STOP,
    check_apply,
)

_SIGNALS = {STOP: signal.SIGSTOP, CONTINUE: signal.SIGCONT, KILL: signal.SIGKILL}
_DONE = {STOP: "stopped", CONTINUE: "continued", KILL: "ended", CAPTURE: "captured"}
_STOPPED, _ENDED = "T", "ZX"
_SECONDS_TO_STOP = 2.0
_PAUSE = 0.01
_SECONDS_TO_END = 5.0
# Where packages put SSH servers; what is called so elsewhere is none.
_SERVERS = frozenset(
    os.path.join(directory, name)
    for directory in ("/usr/sbin", "/usr/local/sbin", "/sbin", "/usr/bin")
    for name in ("sshd", "dropbear", "tinysshd")
)
_MOST_ANCESTORS = 1_000


def apply(params: t.Mapping[str, t.Any], check_mode: bool) -> dict[str, t.Any]:
    """Return the result of memory_response. Raises HostError for a process that is left alone, and StateError."""
    check_apply(params)
    pid, started, action = params["pid"], params["started"], params["action"]
    found = _process.stat(pid)
    if found is None or found.started != started or found.state in _ENDED:
        return _not_there(pid, started)
    if action != CAPTURE:
        reason = refusal(pid, found)
        if reason is not None:
            raise HostError("Process %d is left alone: %s." % (pid, reason))
        if (action == STOP and found.state == _STOPPED) or (action == CONTINUE and found.state != _STOPPED):
            return _result(False, True, "Process %d is %s already." % (pid, _DONE[action]))
    if check_mode:
        return _result(True, True, "Process %d would be %s." % (pid, _DONE[action]))
    if action == CAPTURE:
        return _captured(params)
    return _signalled(pid, started, action)


def _captured(params: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
    pid, started = params["pid"], params["started"]
    kept = capture.capture(params)
    if kept is None:
        left = _process.stat(pid)
        if left is not None and left.started == started and left.state not in _ENDED:
            # Nobody may take this for a process that has ended, and needs no evidence any more.
            raise HostError("Process %d started another program while it was read; nothing was kept, ask again." % pid)
        return _not_there(pid, started)
    message = "Evidence of process %d was kept in %s." % (pid, kept["path"])
    if kept["removed"]:
        removed = ", ".join(kept["removed"])
        message += " As max_captures is %d, older evidence was removed: %s." % (params["max_captures"], removed)
    return {**_result(True, True, message), "capture": kept}


def refusal(pid: int, found: _process.Stat) -> str | None:
    """Return why a process must get no signal; None where it may."""
    if pid == 1:
        return "everything on the host ends with it"
    if found.flags & PF_KTHREAD:
        return "it is a part of the kernel"
    if pid in _ancestors():
        return "it carries this connection"
    try:
        executable = os.readlink("/proc/%d/exe" % pid)
    except OSError:
        return None
    if found.parent == 1 and executable in _SERVERS:
        return "it is an SSH server, by which people get to this host; where it is not yours, end it by hand"
    return None


def _ancestors() -> set[int]:
    """Return this process and those that it comes from."""
    found: set[int] = set()
    pid = os.getpid()
    while pid > 0 and pid not in found and len(found) < _MOST_ANCESTORS:
        found.add(pid)
        above = _process.stat(pid)
        pid = above.parent if above is not None else 0
    return found


def _signalled(pid: int, started: int, action: str) -> dict[str, t.Any]:
    try:
        sent = _process.send(pid, started, _SIGNALS[action], _SECONDS_TO_END if action == KILL else 0.0)
    except OSError as error:
        raise HostError("Process %d can't be %s: %s." % (pid, _DONE[action], error.strerror)) from error
    if not sent:
        return _not_there(pid, started)
    left = _settled(pid, started, action)
    if action == STOP and left is not None and left.started == started and left.state != _STOPPED:
        message = "Process %d was told to stop and has not yet: it waits in the kernel (state %s)." % (pid, left.state)
        return _result(True, True, message)
    if action == KILL and left is not None and left.started == started and left.state not in _ENDED:
        message = "Process %d was told to end and has not yet: it waits in the kernel (state %s)." % (pid, left.state)
        return _result(True, True, message)
    return _result(True, action != KILL, "Process %d was %s." % (pid, _DONE[action]))


def _settled(pid: int, started: int, action: str) -> _process.Stat | None:
    """Return the process once it is stopped, which it does when it runs next, or gone; as it is after a while."""
    deadline = time.monotonic() + (_SECONDS_TO_STOP if action == STOP else 0.0)
    left = _process.stat(pid)
    while left is not None and left.started == started and left.state != _STOPPED and time.monotonic() < deadline:
        time.sleep(_PAUSE)
        left = _process.stat(pid)
    return left


def _not_there(pid: int, started: int) -> dict[str, t.Any]:
    """Return that nothing was done; whoever mistyped ``started`` must not read that the process is gone."""
    found = _process.stat(pid)
    if found is None or found.started == started or found.state in _ENDED:
        return _result(False, False, "The process that had the id %d is gone; nothing was done." % pid)
    message = "Nothing was done: the process that has the id %d is another one; its 'started' is %d, not %d."
    return _result(False, False, message % (pid, found.started, started))


def _result(changed: bool, exists: bool, message: str) -> dict[str, t.Any]:
    return {"changed": changed, "exists": exists, "message": message}
