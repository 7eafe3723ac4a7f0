# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Simulate attacks on this host, one after the other, and remove what that made."""

from __future__ import annotations

import contextlib
import functools
import ipaddress
import json
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
from ansible_collections.bulwark.servers.plugins.module_utils.simulation.options import PEOPLE
from ansible_collections.bulwark.servers.plugins.module_utils.simulation.plan import (
    Host,
    Names,
    Plan,
    Sent,
    SkippedError,
    Started,
    Visited,
    plan,
)
from ansible_collections.bulwark.servers.plugins.module_utils.simulation.program import UnsupportedMachineError
from ansible_collections.bulwark.servers.plugins.module_utils.simulation.scenario import MARK, Scenario, scenario

CAPABILITY = "simulation"
# RFC 5737: for documentation, so that no packet ever goes there for another reason. Each simulation is known by an
# address of it, and scenarios name none.
NETWORK = ipaddress.ip_network("203.0.113.0/24")
# A kind of entry of the journal, beside those that ``workspace.remove`` takes.
_PACKET = "packet"
# The kernel stamps audit records with the time of its last tick, at 100 Hz on some.
_TICK = 0.011

Result = t.Dict[str, t.Any]
Step = t.Union[Started, Sent, Visited]


class Hook(t.NamedTuple):
    """How a capability names what connections can come in to.

    find: takes the capability's ``state_dir`` as a mapping and an address of nobody; returns who comes, protocol and
    port. Raises HostError where the host has no such thing, and StateError where that can't be told.
    note: takes the same mapping and a packet that came in, and notes that it was simulated, so that it is no finding
    from now on. Raises StateError, and ValueError for a packet that is none.
    """

    capability: str
    find: t.Callable[[t.Mapping[str, t.Any], str], tuple[str, str, int]]
    note: t.Callable[[t.Mapping[str, t.Any], t.Mapping[str, t.Any]], None]


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
            left = workspace.remove([entry for entry in stayed if entry[0] != _PACKET])
            if left:
                raise HostError("A simulation that was cut off left something: %s." % "; ".join(left))
            # Whoever started the simulation has looked at what came of these.
            _note_packets([entry for entry in stayed if entry[0] == _PACKET], hooks)
            journal.end()
            started = time.time()
            keep = functools.partial(_keep_packets, journal, params["state_dirs"], hooks)
            done = [
                _simulate(found, position, host, state.path, journal, keep) for position, found in enumerate(scenarios)
            ]
    finally:
        state.close()
    return {"changed": bool(done or stayed), "simulations": done, "started": started - _TICK}


def _names(base: str, position: int) -> Names:
    token = secrets.token_hex(4)
    return Names(
        workspace=os.path.join(base, "%s-%s" % (MARK, token)),
        account="bulwark-%s" % token,
        address=str(NETWORK[1 + position % (NETWORK.num_addresses - 2)]),
        person=PEOPLE + position,
    )


def _foreseen(found: Scenario, host: Host) -> Result:
    try:
        made = plan(found, _names("/", 0), host)
        workspace.check(made)
    except (SkippedError, UnsupportedMachineError) as error:
        return {"alert": found.alert, "status": "skipped", "reason": str(error)}
    return {"alert": found.alert, "status": "foreseen", "reason": None, "steps": len(made.steps)}


def _simulate(
    found: Scenario,
    position: int,
    host: Host,
    base: str,
    journal: workspace.Journal,
    keep_packets: t.Callable[[t.Sequence[tuple[Step, perform.Performed]]], None],
) -> Result:
    names = _names(base, position)
    begin = time.time()
    status, reason, left = "done", None, t.cast("list[str]", [])
    pids: list[int] = []
    refused: str | None = None
    staying: list[int] = []
    sessions: list[int] = []
    marks = [os.path.basename(names.workspace), names.account, names.address]
    try:
        made = plan(found, names, host)
        marks += [address for address in made.visitors if address not in marks]
        public = any(getattr(step, "user", None) for step in made.steps)
        make_missing = functools.partial(_make_missing, names.person, sessions)
        with workspace.prepared(journal, names.workspace, made, public, make_missing) as left:
            done, refused = _perform(made)
            pids = [each.pid for _step, each in done if each.pid is not None]
            sessions += _sessions(made, done)
            staying = _note_staying(made, pids, journal)
            keep_packets(done)
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
        "person": names.person,
        "sessions": sessions,
        "refused": refused,
        "staying": staying,
        "marks": marks,
        "left": left,
    }


def _make_missing(person: int, sessions: list[int], paths: t.Sequence[str]) -> None:
    """Make directories in a session of their own, and add that to the sessions."""
    error, session = perform.apart(person, lambda: workspace.make_directories(paths))
    if error:
        raise perform.FailedError("%s could not be made: %s" % (" or ".join(paths), os.strerror(error)))
    if session is not None:
        sessions.append(session)


def _perform(made: Plan) -> tuple[list[tuple[Step, perform.Performed]], str | None]:
    """Do all steps; return what was done, and why the host refused one, None if it refused none."""
    done: list[tuple[Step, perform.Performed]] = []
    refused = None
    for step in made.steps:
        try:
            performed = perform.perform(step)
        except perform.RefusedError as error:
            performed, refused = error.performed, str(error)
        done.append((step, performed))
    return done, refused


def _sessions(made: Plan, done: t.Sequence[tuple[Step, perform.Performed]]) -> list[int]:
    """Return the sessions in which nothing but a simulation can have acted.

    Another process of the same account can take over one that runs a program which that account can read (ptrace(2)).
    Programs that a simulation makes can't be read.
    """
    own = {os.fsencode(file.path) for file in made.files}
    return [
        performed.session
        for step, performed in done
        if performed.session is not None
        and (not isinstance(step, Started) or step.user is None or (step.content is None and step.path in own))
    ]


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


def _keep_packets(
    journal: workspace.Journal,
    state_dirs: t.Mapping[str, str],
    hooks: t.Mapping[str, Hook],
    done: t.Sequence[tuple[Step, perform.Performed]],
) -> None:
    """Keep the packets that came in until the journal is read the next time: until then they are findings."""
    entries = [
        [_PACKET, step.visited, json.dumps([state_dirs.get(hooks[step.visited].capability), performed.packet])]
        for step, performed in done
        if isinstance(step, Visited) and performed.packet is not None
    ]
    if entries:
        journal.keep(entries)


def _note_packets(entries: t.Iterable[t.Sequence[str]], hooks: t.Mapping[str, Hook]) -> None:
    """Note that packets were simulated. One whose entry is damaged stays a finding. Raises StateError."""
    for _kind, visited, content in entries:
        if visited in hooks:
            with contextlib.suppress(ValueError, TypeError):
                state_dir, packet = json.loads(content)
                hooks[visited].note({"state_dir": state_dir}, packet)


def _check_visits(scenarios: t.Iterable[Scenario], hooks: t.Mapping[str, Hook]) -> None:
    for found in scenarios:
        for name in found.visits:
            if name not in hooks:
                known = ", ".join(sorted(hooks)) or "nothing"
                raise UsageError(
                    "the simulation of %s: '%s' is not one of what can be visited: %s" % (found.alert, name, known)
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
