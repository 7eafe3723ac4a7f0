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
    process = _process.stat(pid)
    if process is None or process.started != started or process.state in _ENDED:
        return _missing(pid, started)
    if action != CAPTURE:
        reason = refusal(pid, process)
        if reason is not None:
            raise HostError("Process %d is left alone: %s." % (pid, reason))
        if (action == STOP and process.state == _STOPPED) or (action == CONTINUE and process.state != _STOPPED):
            return _result(False, True, "Process %d is %s already." % (pid, _DONE[action]))
    if check_mode:
        return _result(True, True, "Process %d would be %s." % (pid, _DONE[action]))
    if action == CAPTURE:
        return _capture(params)
    return _send_signal(pid, started, action)


def _capture(params: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
    pid, started = params["pid"], params["started"]
    archive = capture.capture(params)
    if archive is None:
        process = _process.stat(pid)
        if process is not None and process.started == started and process.state not in _ENDED:
            # Nobody may take this for a process that has ended, and needs no evidence any more.
            raise HostError(
                "Process %d started another program while it was read; no evidence was kept, so run this again." % pid
            )
        return _missing(pid, started)
    message = "Evidence of process %d was kept in %s." % (pid, archive["path"])
    if archive["removed"]:
        removed = ", ".join(archive["removed"])
        message += " As max_captures is %d, older evidence was removed: %s." % (params["max_captures"], removed)
    return {**_result(True, True, message), "capture": archive}


def refusal(pid: int, process: _process.Stat) -> str | None:
    """Return why a process must get no signal; None where it may."""
    if pid == 1:
        return "ending it would stop the whole host"
    if process.flags & PF_KTHREAD:
        return "it is a part of the kernel"
    if pid in _ancestors():
        return "it carries this connection"
    try:
        executable = os.readlink("/proc/%d/exe" % pid)
    except OSError:
        return None
    if process.parent == 1 and executable in _SERVERS:
        return "it is an SSH server, by which people get to this host; where it is not yours, end it by hand"
    return None


def _ancestors() -> set[int]:
    """Return the ids of this process and of its ancestors."""
    ancestors: set[int] = set()
    pid = os.getpid()
    while pid > 0 and pid not in ancestors and len(ancestors) < _MOST_ANCESTORS:
        ancestors.add(pid)
        process = _process.stat(pid)
        pid = process.parent if process is not None else 0
    return ancestors


def _send_signal(pid: int, started: int, action: str) -> dict[str, t.Any]:
    try:
        sent = _process.send(pid, started, _SIGNALS[action], _SECONDS_TO_END if action == KILL else 0.0)
    except OSError as error:
        raise HostError("Process %d can't be %s: %s." % (pid, _DONE[action], error.strerror)) from error
    if not sent:
        return _missing(pid, started)
    process = _wait_until_settled(pid, started, action)
    if action == STOP and process is not None and process.started == started and process.state != _STOPPED:
        message = "Process %d has not stopped yet: it waits in the kernel (state %s)." % (
            pid,
            process.state,
        )
        return _result(True, True, message)
    if action == KILL and process is not None and process.started == started and process.state not in _ENDED:
        message = "Process %d has not ended yet: it waits in the kernel (state %s)." % (
            pid,
            process.state,
        )
        return _result(True, True, message)
    return _result(True, action != KILL, "Process %d was %s." % (pid, _DONE[action]))


def _wait_until_settled(pid: int, started: int, action: str) -> _process.Stat | None:
    """Return the process once it is stopped, which it does when it runs next, or gone; as it is after a while."""
    deadline = time.monotonic() + (_SECONDS_TO_STOP if action == STOP else 0.0)
    process = _process.stat(pid)
    while (
        process is not None and process.started == started and process.state != _STOPPED and time.monotonic() < deadline
    ):
        time.sleep(_PAUSE)
        process = _process.stat(pid)
    return process


def _missing(pid: int, started: int) -> dict[str, t.Any]:
    """Return that nothing was done; whoever mistyped ``started`` must not read that the process is gone."""
    process = _process.stat(pid)
    if process is None or process.started == started or process.state in _ENDED:
        return _result(False, False, "The process that had the id %d is gone; nothing was done." % pid)
    message = "Nothing was done: the process that has the id %d is another one; its 'started' is %d, not %d."
    return _result(False, False, message % (pid, process.started, started))


def _result(changed: bool, exists: bool, message: str) -> dict[str, t.Any]:
    return {"changed": changed, "exists": exists, "message": message}
