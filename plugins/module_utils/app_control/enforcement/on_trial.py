# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A policy on trial: what is changed, what undoes it, and what makes it last."""

from __future__ import annotations

import contextlib
import os
import time
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils._argspec import HostError
from ansible_collections.bulwark.servers.plugins.module_utils._state import StateDirectory
from ansible_collections.bulwark.servers.plugins.module_utils.app_control.enforcement import (
    deployment,
    hooks,
    state,
    upgrade,
    watchers,
)
from ansible_collections.bulwark.servers.plugins.module_utils.app_control.enforcement.policy import ENFORCE
from ansible_collections.bulwark.servers.plugins.module_utils.app_control.enforcement.state import Deployed
from ansible_collections.bulwark.servers.plugins.module_utils.fapolicyd import (
    canary,
    daemon,
    proof,
    staging,
    system_calls,
)
from ansible_collections.bulwark.servers.plugins.module_utils.fapolicyd.daemon import DaemonError, Installed
from ansible_collections.bulwark.servers.plugins.module_utils.firewall.records import PROPOSED
from ansible_collections.bulwark.servers.plugins.module_utils.host_trial import performer, trial
from ansible_collections.bulwark.servers.plugins.module_utils.host_trial.steps import (
    Exchange,
    Kill,
    Plan,
    Remove,
    Run,
    Unmount,
)

_DROP_IN = "# Managed by bulwark.servers: a policy is on trial.\n[Service]\nRestart=no\n"
_TRUSTED = ("/usr/bin/true", "/bin/true")
_COMMAND_SECONDS = 30.0


def plan(installed: Installed, was_active: bool, seconds: int, added: t.Iterable[str] = ()) -> Plan:
    """Return the steps of a trial. added: files that the host has for the trial only."""
    reload_units = Run(daemon.RELOAD, _COMMAND_SECONDS)
    reset = Run(daemon.RESET, _COMMAND_SECONDS)
    again = (Run(daemon.START, daemon.STARTING, is_start=True),) if was_active else ()
    return Plan(
        state.TRIAL,
        seconds,
        back=(
            Kill((installed.executable,)),
            Unmount(daemon.DIRECTORY),
            # systemd may read its units anew before it notes the daemon's end, and start it again by their Restart.
            Run(daemon.STOP, _COMMAND_SECONDS),
            Remove(daemon.DROP_IN),
            *map(Remove, added),
            reload_units,
            reset,
            # Never where this is in use: what was mounted is still there, or the names are still exchanged.
            Run(staging.DISCARD, _COMMAND_SECONDS, unmoved=(daemon.DIRECTORY, staging.STAGED)),
            *again,
        ),
        forward=(
            Unmount(daemon.DIRECTORY),
            Exchange(daemon.DIRECTORY, staging.STAGED),
            Remove(daemon.DROP_IN),
            reload_units,
        ),
    )


def begin(
    where: StateDirectory, installed: Installed, proposed: Deployed, files: t.Mapping[str, bytes], seconds: int
) -> tuple[str, int]:
    """Put a policy on trial; return its token, and the seconds that are left of it.

    Raises HostError, DaemonError, StagingError, ProofError and StateError; the host is as before then.
    """
    staging.build(daemon.DIRECTORY, staging.STAGED, files, (deployment.UPGRADE,))
    try:
        proof.prove(staging.STAGED, installed.executable)
        # A package manager asks the hooks, which let it change nothing during a trial.
        added = hooks.paths(where) if state.read(where) is None else []
        planned = plan(installed, daemon.is_active(), seconds, added)
        before = performer.identities(planned)
        token = trial.start(planned)
    except BaseException:
        staging.discard(staging.STAGED)
        raise
    began = time.monotonic()
    try:
        # First, so that whoever comes next knows whose trial that is.
        state.write(where, proposed._replace(token=token), PROPOSED)
        hooks.deploy(where)
        _change(installed, token)
        check(where, proposed.mode)
        _check_time(token)
    except BaseException as error:
        is_late = not _is_in_time(token)
        with contextlib.suppress(trial.TrialError):
            trial.withdraw(state.TRIAL, token)
        if is_late:
            # Its process went the way back, or a part of it, before all of this was done.
            performer.Performer(before).go_back(performer.resolved(planned))
        _clear(where)
        if isinstance(error, (DaemonError, canary.CanaryError, OSError)):
            raise HostError("The policy was taken back at once: %s." % str(error).rstrip(".")) from error
        raise
    return token, max(0, int(seconds - (time.monotonic() - began)))


def confirm(where: StateDirectory, token: str, services: t.Sequence[str]) -> Deployed:
    """Make what is on trial last, once it has been checked again and services have restarted. Raises HostError."""
    proposed, noted = state.read(where, PROPOSED), state.read(where)
    if proposed is None or proposed.token != token:
        if noted is not None and noted.token == token:
            # The answer to whoever confirmed it was lost with its connection.
            return noted
        raise HostError("this policy is not on trial on this host: another run has proposed or removed a policy")
    try:
        check(where, proposed.mode)
        for unit in services:
            _check_restart(unit)
    except (DaemonError, canary.CanaryError) as error:
        withdraw(where, token)
        raise HostError("The policy was taken back: %s." % str(error).rstrip(".")) from error
    try:
        trial.confirm(state.TRIAL, token)
    except trial.TrialError:
        _clear(where)
        raise
    return _settle(where, proposed)


def withdraw(where: StateDirectory, token: str) -> bool:
    """Go the way back, and remove what is left of a trial; return whether there was one of this token."""
    proposed = state.read(where, PROPOSED)
    if proposed is None or proposed.token != token:
        return False
    running = trial.current(state.TRIAL)
    if running is not None and running.token == token:
        trial.withdraw(state.TRIAL, token)
    _clear(where)
    return True


def recover(where: StateDirectory) -> None:
    """Settle what an earlier run has left in the middle: a trial that is over, whoever ended it."""
    running = trial.current(state.TRIAL)
    if running is not None:
        # Its processes were killed.
        trial.withdraw(state.TRIAL, running.token)
    proposed = state.read(where, PROPOSED)
    if proposed is None:
        staging.discard(staging.STAGED)
        return
    if _was_confirmed(proposed):
        # The run that confirmed it ended before it could note that.
        _settle(where, proposed)
    else:
        _clear(where)


def _was_confirmed(proposed: Deployed) -> bool:
    ended = trial.last(state.TRIAL)
    if ended is not None and ended.token == proposed.token:
        return ended.is_confirmed
    # The host was booted since: only a confirmation has left the files there.
    present = deployment.digests(deployment.present(daemon.DIRECTORY, proposed.digests))
    return present == proposed.digests and not daemon.is_covered()


def check(where: StateDirectory, mode: str) -> None:
    """Raise DaemonError where the daemon doesn't do what a mode means. Raises CanaryError where that can't be seen."""
    installed = daemon.installed()
    if installed is None:
        raise DaemonError("fapolicyd is not installed any more")
    daemon.wait_until_deciding(installed.executable, daemon.STARTING)
    wrong = _canary_problem(where.path, mode)
    if wrong:
        raise DaemonError(wrong + daemon.words())


def problem(installed: Installed, mode: str, files: t.Mapping[str, bytes], where: StateDirectory | None) -> str:
    """Return how the host differs from a policy, empty where it doesn't. Nothing is changed by that."""
    present = deployment.present(daemon.DIRECTORY, files)
    differing = sorted(path for path, data in files.items() if present.get(path) != data)
    if differing:
        return "these files in %s are not those of the policy: %s" % (daemon.DIRECTORY, ", ".join(differing))
    changed = max(os.stat(os.path.join(daemon.DIRECTORY, path)).st_ctime_ns for path in files)
    loaded = daemon.loaded(installed.executable)
    if loaded is None:
        return "fapolicyd does not run"
    if loaded < changed:
        return "fapolicyd was started before its files were changed"
    if not daemon.is_enabled():
        return "fapolicyd is not started at boot"
    if where is None:
        return ""
    try:
        return _canary_problem(where.path, mode)
    except canary.CanaryError as error:
        return str(error)


def _canary_problem(directory: str, mode: str) -> str:
    for path in filter(os.path.exists, _TRUSTED):
        if canary.is_refused(path):
            return "fapolicyd refuses %s, which is trusted" % path
        break
    with canary.made(canary.home(directory), canary.TRIAL) as path:
        is_refused = canary.is_refused(path)
    if is_refused != (mode == ENFORCE):
        return "fapolicyd %s an untrusted program" % ("refuses" if is_refused else "lets run")
    return ""


def _is_in_time(token: str) -> bool:
    running = trial.current(state.TRIAL)
    return running is not None and running.token == token and running.left > 0


def _check_time(token: str) -> None:
    if not _is_in_time(token):
        raise DaemonError("the time of the trial was over before the policy was in force; raise confirm_within")


def _change(installed: Installed, token: str) -> None:
    system_calls.mount(staging.STAGED, daemon.DIRECTORY, None, system_calls.BIND)
    # From here on, the process of the trial finds what it has to undo.
    _check_time(token)
    os.makedirs(os.path.dirname(daemon.DROP_IN), exist_ok=True)
    with open(daemon.DROP_IN, "w", encoding="ascii") as stream:
        stream.write(_DROP_IN)
    daemon.reload_units()
    daemon.restart()
    daemon.wait_until_deciding(installed.executable, daemon.STARTING)


def check_mounts() -> None:
    """Raise HostError where a policy can't be mounted over the one in use. Nothing is changed by that."""
    if os.path.islink(daemon.DIRECTORY) or not os.path.isdir(daemon.DIRECTORY):
        raise HostError("%s is not a directory; reinstall fapolicyd" % daemon.DIRECTORY)
    if daemon.is_covered():
        raise HostError("something is mounted at %s, so no policy can be on trial there: unmount it" % daemon.DIRECTORY)
    if os.readlink("/proc/self/ns/mnt") != os.readlink("/proc/1/ns/mnt"):
        raise HostError("this connection has other mounts than the host (a mount namespace), so nothing is deployed")


def _check_restart(unit: str) -> None:
    daemon.restart(unit)
    if not daemon.is_active(unit):
        raise DaemonError("%s does not run after its restart" % unit)


def _settle(where: StateDirectory, proposed: Deployed) -> Deployed:
    """Note a policy that is confirmed, and have it in force after a boot."""
    deployed = proposed._replace(confirmed=time.time())
    daemon.enable()
    state.write(where, deployed)
    upgrade.discard(where)
    hooks.deploy(where)
    installed = daemon.installed()
    if installed is not None:
        watchers.deploy(where, installed, deployed.has_watcher)
    _clear(where)
    return deployed


def _clear(where: StateDirectory) -> None:
    if not daemon.is_covered():
        staging.discard(staging.STAGED)
    if state.read(where) is None:
        hooks.remove(where)
    where.remove(PROPOSED)
