# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A maintenance window: fapolicyd decides and records, and lets everything run, until the window ends by itself.

A process on the host ends it, as it ends a trial that nobody confirms. Nothing of it outlives a boot: the daemon is
started with another option by a drop-in below /run. The host's files stay where they are, so that upgrades during the
window are written where they last.
"""

from __future__ import annotations

import contextlib
import os
import time
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils._argspec import HostError
from ansible_collections.bulwark.servers.plugins.module_utils._boot import boot_id
from ansible_collections.bulwark.servers.plugins.module_utils._state import StateDirectory, StateError
from ansible_collections.bulwark.servers.plugins.module_utils.app_control.enforcement import hook_files
from ansible_collections.bulwark.servers.plugins.module_utils.fapolicyd import canary, daemon
from ansible_collections.bulwark.servers.plugins.module_utils.firewall import records
from ansible_collections.bulwark.servers.plugins.module_utils.host_trial import trial
from ansible_collections.bulwark.servers.plugins.module_utils.host_trial.steps import Kill, Plan, Remove, Run

NAME = "app_window"
# Minutes.
SHORTEST, LONGEST = 1, 1440
DROP_IN = "/run/systemd/system/fapolicyd.service.d/bulwark-window.conf"
_RECORD = "window.json"
_LOST = "a maintenance window is open"
_UNIT = """\
# Managed by bulwark.servers: a maintenance window is open.
[Service]
Restart=no
ExecStart=
ExecStart=%s --permissive
"""
_RENEWING, _COMMAND = 600.0, 30.0
TIME_IS_OVER, REBOOTED, LOST = "its time was over", "the host was booted", "the process that ends it is gone"
_NOT_OPENED = "it was not opened"


class Window(t.NamedTuple):
    """A window that was opened on this host, the last one.

    opened, until: seconds since the epoch. by: who opened it; reason: why. boot: identifies the boot. ended: None while
    it is open; how: how it ended, in words. problem: why the host lets everything run although it ended, "" if it
    doesn't.
    """

    opened: float
    until: float
    by: str
    reason: str
    token: str
    boot: str
    ended: float | None = None
    how: str = ""
    problem: str = ""


def read(where: StateDirectory | None) -> Window | None:
    """Return the last window, None if there was none. Raises StateError.

    One that a boot ended, or whose process was killed, is shown as such.
    """
    window = records.read(where, _RECORD, _parsed, _LOST)
    if window is None or window.ended is not None:
        return window
    if window.boot != boot_id():
        return window._replace(ended=window.until, how=REBOOTED)
    running = trial.current(NAME)
    if running is None or running.token != window.token or not running.is_guarded:
        return window._replace(problem=LOST)
    return window


class NotOpenedError(Exception):
    """The window was not opened, and must be withdrawn; the message is the rest of a sentence."""

    def __init__(self, message: str, token: str) -> None:
        super().__init__(message)
        self.token = token


def open_window(where: StateDirectory, minutes: int, by: str, reason: str) -> Window:
    """Open a window, and return it. Raises HostError and StateError; the host is as before then.

    After NotOpenedError ``withdraw`` is needed, without the state's lock: the end of a window needs it.
    """
    installed = daemon.installed()
    if installed is None or not daemon.processes(installed.executable):
        raise HostError("fapolicyd does not run, so that nothing is stopped; no maintenance window is needed")
    now = time.time()
    token = trial.start(_plan(os.path.dirname(where.path), installed.executable, minutes * 60))
    try:
        window = Window(now, now + minutes * 60, by, reason, token, boot_id())
        records.write(where, _RECORD, window._asdict())
        write_drop_in(installed.executable)
        daemon.reload_units()
        daemon.restart()
        daemon.wait_until_deciding(installed.executable, daemon.STARTING)
        _check_permissive(where)
    except (daemon.DaemonError, canary.CanaryError, StateError, OSError) as error:
        raise NotOpenedError(str(error), token) from error
    return window


def withdraw(where: StateDirectory, token: str) -> None:
    """Go back after a window that was not opened. Raises HostError and StateError."""
    window = read(where)
    if window is not None and window.token == token:
        records.write(where, _RECORD, window._replace(how=_NOT_OPENED)._asdict())
    trial.withdraw(NAME, token)


def _check_permissive(where: StateDirectory) -> None:
    with canary.made(canary.home(where.path), canary.WINDOW) as path:
        if canary.is_refused(path):
            raise daemon.DaemonError("fapolicyd still refuses an untrusted program")


def close(where: StateDirectory, by: str) -> tuple[str, ...]:
    """End the window that is open, and return a sentence for each step that failed. Raises HostError and StateError.

    Without the state's lock: the end needs it.
    """
    window = read(where)
    if window is None or window.ended is not None:
        return ()
    records.write(where, _RECORD, window._replace(how="%s closed it" % by)._asdict())
    return trial.withdraw(NAME, window.token).failed


def end(where: StateDirectory, renew: t.Callable[[StateDirectory], None]) -> None:
    """Write the policy anew, as the last step before the daemon is started again.

    Raises what ``renew`` raises; the daemon lets everything run then, so that a policy that no longer fits the host
    locks nobody out. The record says it, and each look reports it.
    """
    window = records.read(where, _RECORD, _parsed, _LOST)
    if window is None:
        return
    ended = window._replace(ended=time.time(), how=window.how or TIME_IS_OVER, problem="")
    try:
        if window.how != _NOT_OPENED:
            renew(where)
    except Exception as error:
        installed = daemon.installed()
        if installed is not None:
            write_drop_in(installed.executable)
        records.write(where, _RECORD, ended._replace(problem=str(error))._asdict())
        raise
    records.write(where, _RECORD, ended._asdict())


def clear(where: StateDirectory) -> None:
    """Have the daemon start as its unit says again, after a window whose end did not go well. Raises StateError."""
    window = records.read(where, _RECORD, _parsed, _LOST)
    if window is not None and window.ended is not None and window.problem:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(DROP_IN)
        records.write(where, _RECORD, window._replace(problem="")._asdict())


def write_drop_in(executable: str) -> None:
    """Have systemd start the daemon so that it lets everything run, until the next boot. Raises OSError."""
    os.makedirs(os.path.dirname(DROP_IN), exist_ok=True)
    with open(DROP_IN, "w", encoding="ascii") as stream:
        stream.write(_UNIT % executable)


def _plan(state_dir: str, executable: str, seconds: int) -> Plan:
    # Nothing is enforced while the policy is written anew: programs that changed meanwhile take part in it.
    renewal = ("/usr/bin/python3", "-I", "-B", hook_files.program_path(state_dir), "end", state_dir)
    return Plan(
        NAME,
        seconds,
        back=(
            Kill((executable,)),
            Remove(DROP_IN),
            Run(renewal, _RENEWING),
            Run(daemon.RELOAD, _COMMAND),
            Run(daemon.RESET, _COMMAND),
            # The daemon may have been upgraded, so that it is not the one that was killed.
            Run(("systemctl", "restart", daemon.UNIT), daemon.STARTING, is_start=True),
        ),
    )


def _parsed(content: t.Mapping[str, t.Any]) -> Window:
    return Window(**{name: content[name] for name in Window._fields})
