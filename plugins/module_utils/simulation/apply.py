# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Simulate attacks on this host, one after the other, and remove what that made."""

from __future__ import annotations

import functools
import ipaddress
import os
import platform
import pwd
import secrets
import shutil
import time
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils import _process, _state
from ansible_collections.bulwark.servers.plugins.module_utils._argspec import HostError, UsageError
from ansible_collections.bulwark.servers.plugins.module_utils.simulation import perform, workspace
from ansible_collections.bulwark.servers.plugins.module_utils.simulation.plan import (
    Host,
    Names,
    Plan,
    SkippedError,
    Started,
    plan,
)
from ansible_collections.bulwark.servers.plugins.module_utils.simulation.program import UnsupportedMachineError
from ansible_collections.bulwark.servers.plugins.module_utils.simulation.scenario import MARK, Scenario, scenario

CAPABILITY = "simulation"
# RFC 5737: for documentation, so that no packet ever goes there for another reason.
_NETWORK = ipaddress.ip_network("203.0.113.0/24")
# User ids above those that directories give, and below 2^31.
_PEOPLE = 2_147_000_000
# The kernel stamps audit records with the time of its last tick, at 100 Hz on some.
_TICK = 0.011

Result = t.Dict[str, t.Any]


class Hook(t.NamedTuple):
    """How a capability names what connections can come in to.

    find: takes the capability's ``state_dir`` as a mapping and an address of nobody; returns who comes, protocol and
    port. Raises HostError where the host has no such thing, and StateError where that can't be told.
    """

    capability: str
    find: t.Callable[[t.Mapping[str, t.Any], str], tuple[str, str, int]]


def apply(params: t.Mapping[str, t.Any], check_mode: bool, hooks: t.Mapping[str, Hook]) -> Result:
    """Return what was simulated: one entry for each alert. Raises UsageError without the explicit opt-in.

    hooks: what ``visits`` of a simulation can name.
    """
    scenarios = [scenario(content) for content in params["_simulations"] or ()]
    _check_visits(scenarios, hooks)
    if not params["confirm"] and not check_mode:
        raise UsageError(
            "confirm must be true: the simulation of %d alerts starts programs with the names of attack tools on this "
            "host, makes files where attackers do, and removes them again; nothing is harmed, but other security "
            "software may react" % len(scenarios)
        )
    if os.geteuid() != 0:
        raise HostError("Attacks can only be simulated by root: become root on this host.")
    host = Host(
        shutil.which,
        _has_account,
        os.path.lexists,
        platform.machine(),
        functools.partial(_find_visit, hooks, params["state_dirs"]),
    )
    if check_mode:
        return {"changed": True, "simulations": [_foreseen(found, host) for found in scenarios], "started": None}
    root = params.get("state_dir") or _state.default_root(os.environ, os.geteuid())
    state = _state.StateDirectory.open(root, CAPABILITY, create=True)
    if state is None:
        raise HostError("%s could not be made." % root)
    try:
        with state.locked("lock", params["lock_timeout"]):
            journal = workspace.Journal(state)
            stayed = journal.read()
            left = workspace.remove(stayed)
            if left:
                raise HostError("A simulation that was cut off left something: %s." % "; ".join(left))
            journal.end()
            started = time.time()
            done = [_simulate(found, position, host, state.path, journal) for position, found in enumerate(scenarios)]
    finally:
        state.close()
    return {"changed": bool(done or stayed), "simulations": done, "started": started - _TICK}


def _names(base: str, position: int) -> Names:
    token = secrets.token_hex(4)
    return Names(
        workspace=os.path.join(base, "%s-%s" % (MARK, token)),
        account="bulwark-%s" % token,
        address=str(_NETWORK[1 + position % (_NETWORK.num_addresses - 2)]),
        person=_PEOPLE + position,
    )


def _foreseen(found: Scenario, host: Host) -> Result:
    try:
        made = plan(found, _names("/", 0), host)
        workspace.check(made)
    except (SkippedError, UnsupportedMachineError) as error:
        return {"alert": found.alert, "status": "skipped", "reason": str(error)}
    return {"alert": found.alert, "status": "foreseen", "reason": None, "steps": len(made.steps)}


def _simulate(found: Scenario, position: int, host: Host, base: str, journal: workspace.Journal) -> Result:
    names = _names(base, position)
    begin = time.time()
    status, reason, left = "done", None, t.cast("list[str]", [])
    pids: list[int] = []
    refused: str | None = None
    staying: list[int] = []
    marks = [os.path.basename(names.workspace), names.account, names.address]
    try:
        made = plan(found, names, host)
        marks += [address for address in made.visitors if address not in marks]
        public = any(getattr(step, "user", None) for step in made.steps)
        with workspace.prepared(journal, names.workspace, made, public) as left:
            pids, refused = _perform(made)
            staying = _note_staying(made, pids, journal)
    except (SkippedError, UnsupportedMachineError) as error:
        status, reason = "skipped", str(error)
    except perform.FailedError as error:
        status, reason = "failed", str(error)
    except OSError as error:
        status, reason = "failed", "%s: %s" % (error.filename or names.workspace, error.strerror)
    end = time.time()
    # What comes next must not carry a stamp of this one's time.
    time.sleep(2 * _TICK)
    return {
        "alert": found.alert,
        "status": status,
        "reason": reason,
        "from": begin - _TICK,
        "to": end,
        "pids": pids,
        "refused": refused,
        "staying": staying,
        "marks": marks,
        "left": left,
    }


def _perform(made: Plan) -> tuple[list[int], str | None]:
    """Do all steps; return the process ids, and why the host refused one, None if it refused none."""
    pids, refused = [], None
    for step in made.steps:
        try:
            pid = perform.perform(step)
        except perform.RefusedError as error:
            pid, refused = error.pid, str(error)
        if pid is not None:
            pids.append(pid)
    return pids, refused


def _note_staying(made: Plan, pids: t.Sequence[int], journal: workspace.Journal) -> list[int]:
    """Note the processes that stay, to be ended when the journal is read the next time; return their ids."""
    staying = []
    started = (step for step in made.steps if isinstance(step, Started))
    for step, pid in zip(started, pids):
        found = _process.stat(pid) if step.stays else None
        if found is not None:
            staying.append((pid, found.started))
    if staying:
        journal.keep([["process", str(pid), str(began)] for pid, began in staying])
    return [pid for pid, _began in staying]


def _check_visits(scenarios: t.Iterable[Scenario], hooks: t.Mapping[str, Hook]) -> None:
    for found in scenarios:
        for name in found.visits:
            if name not in hooks:
                known = ", ".join(sorted(hooks)) or "nothing"
                raise UsageError(
                    "the simulation of %s: '%s' is none of what can be visited: %s" % (found.alert, name, known)
                )


def _find_visit(
    hooks: t.Mapping[str, Hook], state_dirs: t.Mapping[str, str], visited: str, source: str
) -> tuple[str, str, int]:
    hook = hooks[visited]
    try:
        return hook.find({"state_dir": state_dirs.get(hook.capability)}, source)
    except (HostError, _state.StateError) as error:
        raise SkippedError(str(error)) from error


def _has_account(name: str) -> bool:
    try:
        pwd.getpwnam(name)
    except KeyError:
        return False
    return True
