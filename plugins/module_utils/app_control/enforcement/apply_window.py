# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Open and close the maintenance window of a host."""

from __future__ import annotations

import os
import time
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils._argspec import HostError, UsageError
from ansible_collections.bulwark.servers.plugins.module_utils._finding import printable
from ansible_collections.bulwark.servers.plugins.module_utils._state import StateDirectory
from ansible_collections.bulwark.servers.plugins.module_utils.app_control.enforcement import state, window
from ansible_collections.bulwark.servers.plugins.module_utils.app_control.enforcement.policy import ENFORCE
from ansible_collections.bulwark.servers.plugins.module_utils.app_control.enforcement.window import Window
from ansible_collections.bulwark.servers.plugins.module_utils.firewall.records import LOCK
from ansible_collections.bulwark.servers.plugins.module_utils.host_trial import trial

Params = t.Mapping[str, t.Any]
_LONGEST_REASON = 1000


def apply(params: Params, check_mode: bool) -> dict[str, t.Any]:
    """Do what the options ask for and return the module's result. Raises UsageError, HostError and StateError."""
    if os.geteuid():
        raise HostError("only root can open and close maintenance windows; use become")
    is_open = params["state"] == "opened"
    if is_open:
        _check(params)
    with state.directory(params["state_dir"], create=False) as where:
        if is_open:
            return _opened(params, where, check_mode)
        return _closed(params, where, check_mode)


def _check(params: Params) -> None:
    shortest, longest = window.SHORTEST, window.LONGEST
    if not shortest <= (params["minutes"] or 0) <= longest:
        given = "not given" if params["minutes"] is None else params["minutes"]
        raise UsageError("minutes (app_window_minutes) is %s; use %d to %d" % (given, shortest, longest))
    reason = params["reason"]
    if not reason.strip():
        raise UsageError("reason (app_window_reason) is empty; say why everything may run")
    if len(reason) > _LONGEST_REASON or not reason.isprintable():
        raise UsageError(
            "reason (app_window_reason) has more than %d characters or some that can't be shown" % _LONGEST_REASON
        )


def _opened(params: Params, where: StateDirectory | None, check_mode: bool) -> dict[str, t.Any]:
    deployed = state.read(where)
    if where is None or deployed is None:
        raise HostError(
            "no policy is deployed on this host, so that nothing is stopped; no maintenance window is needed"
        )
    if deployed.mode != ENFORCE:
        raise HostError("the policy of this host lets everything run; no maintenance window is needed")
    try:
        with where.locked(LOCK, params["lock_timeout"]):
            _refuse_second(window.read(where))
            if trial.current(state.TRIAL) is not None:
                raise HostError("a policy is on trial on this host; wait until that is over")
            return {"changed": True, "window": _shown(_made(params, where, check_mode))}
    except window.NotOpenedError as error:
        window.withdraw(where, error.token)
        raise HostError("No maintenance window was opened: %s." % str(error).rstrip(".")) from error


def _made(params: Params, where: StateDirectory, check_mode: bool) -> Window:
    minutes, by, reason = params["minutes"], params["by"] or "nobody", params["reason"]
    if check_mode:
        now = time.time()
        return Window(now, now + minutes * 60, by, reason, "", "")
    return window.open_window(where, minutes, by, reason)


def _refuse_second(current: Window | None) -> None:
    if current is not None and current.ended is None:
        raise HostError(
            "a maintenance window is open already, opened by %s for another %d minutes: %s; close it first"
            % (printable(current.by), max(0, current.until - time.time()) // 60, printable(current.reason))
        )


def _closed(params: Params, where: StateDirectory | None, check_mode: bool) -> dict[str, t.Any]:
    current = window.read(where)
    if where is None or current is None or current.ended is not None:
        return {"changed": False, "window": None if current is None else _shown(current)}
    if check_mode:
        return {"changed": True, "window": _shown(current)}
    failed = window.close(where, params["by"] or "nobody")
    after = window.read(where)
    if after is None or after.ended is None or after.problem:
        why = after.problem if after is not None and after.problem else "; ".join(failed) or "its end was not recorded"
        raise HostError(
            "The maintenance window was closed, but everything still runs: %s. Run the playbook protect."
            % why.rstrip(".")
        )
    if failed:
        raise HostError("The maintenance window was closed, but not all went well: %s." % "; ".join(failed))
    return {"changed": True, "window": _shown(after)}


def _shown(shown: Window) -> dict[str, t.Any]:
    return {name: value for name, value in shown._asdict().items() if name not in ("token", "boot")}
