# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A change on trial: a process of its own goes the way back unless somebody confirms in time.

``start`` returns when that process is ready; the caller makes the change only then. Its processes may be killed:
one alone is replaced by the other. If both are killed at the same time, the change stays until ``withdraw``
or the next boot, which takes the mounts and what is below /run; ``current`` says so.
"""

from __future__ import annotations

import contextlib
import os
import pwd
import secrets
import time
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils._argspec import HostError
from ansible_collections.bulwark.servers.plugins.module_utils._boot import boot_id
from ansible_collections.bulwark.servers.plugins.module_utils._state import StateDirectory, StateError
from ansible_collections.bulwark.servers.plugins.module_utils.host_trial import dead_man, detached, performer, records
from ansible_collections.bulwark.servers.plugins.module_utils.host_trial.records import Ended, Record
from ansible_collections.bulwark.servers.plugins.module_utils.host_trial.steps import Plan, find_problem

# Seconds that the processes of a trial that has just ended may take to be gone.
_SECONDS_TO_END = 3.0
# Seconds that the second process needs to notice that the first is gone.
_SECONDS_TO_REPLACE = 2.0
_PAUSE = 0.05
_NOBODY = 2**32 - 1


class TrialError(HostError):
    """A trial can't be started, confirmed or withdrawn; the message is one sentence."""


class Running(t.NamedTuple):
    """A trial that nobody has decided yet.

    seconds: of the whole trial; left: until the way back begins. who: started it, in words. is_guarded: a process goes
    the way back; where all of them were killed, the change stays until ``withdraw`` or a reboot.
    """

    name: str
    token: str
    seconds: int
    left: float
    who: str
    is_guarded: bool


def start(plan: Plan) -> str:
    """Start the process that goes the way back, and return the trial's token when it is ready.

    Raises TrialError, also while another trial of this name runs; nothing was changed then.
    """
    inherited = detached.descriptors()
    problem = find_problem(plan) or ("root is needed" if os.geteuid() else None)
    if problem:
        raise TrialError(_not_started(plan.name, problem))
    with _directory(create=True) as opened:
        directory = t.cast("StateDirectory", opened)
        _refuse_second(plan.name, *_look(directory, plan.name))
        try:
            with directory.locked(records.lock(plan.name), _SECONDS_TO_END):
                _refuse_second(plan.name, records.read_running(directory, plan.name), is_guarded=False)
                return _started(directory, plan, inherited)
        except StateError as error:
            _refuse_second(plan.name, *_look(directory, plan.name))
            raise TrialError(_not_started(plan.name, str(error))) from error


def confirm(name: str, token: str) -> None:
    """Make the change last; return when the steps forward are done.

    Raises TrialError where the way back has begun, or where a step forward failed, so that the host went back.
    """
    ended = _ended(name, token, dead_man.CONFIRM)
    if not ended.is_confirmed:
        raise TrialError(
            "the trial of %s can't be confirmed: %s, so that the host has gone back%s"
            % (name, ended.why, "; on that way this failed: %s" % "; ".join(ended.failed) if ended.failed else "")
        )


def withdraw(name: str, token: str) -> Ended:
    """Go the way back now, and return how it went when it is done; also where the trial's processes were killed."""
    ended = _ended(name, token, dead_man.WITHDRAW)
    if ended.is_confirmed:
        raise TrialError("the trial of %s can't be withdrawn: %s" % (name, ended.why))
    return ended


def current(name: str) -> Running | None:
    """Return the trial of this name that runs."""
    with _directory(create=False) as directory:
        return _running(directory, name) if directory is not None else None


def last(name: str) -> Ended | None:
    """Return how the last trial of this name ended."""
    with _directory(create=False) as directory:
        return records.read_ended(directory, name) if directory is not None else None


@contextlib.contextmanager
def _directory(create: bool) -> t.Iterator[StateDirectory | None]:
    try:
        directory = records.open_directory(create)
        try:
            yield directory
        finally:
            if directory is not None:
                directory.close()
    except StateError as error:
        raise TrialError("trials can't be kept: %s" % error) from error


def _not_started(name: str, problem: str) -> str:
    return "the trial of %s can't be started, and nothing was changed: %s" % (name, problem)


def _refuse_second(name: str, record: Record | None, is_guarded: bool) -> None:
    """Raise TrialError where a trial of this name runs already."""
    if record is None:
        return
    problem = "the processes of one that %s started were killed, and its change is still there; withdraw it"
    if is_guarded:
        problem = "another one that %%s started runs for %d seconds more; wait for it" % max(0, record.left())
    raise TrialError(_not_started(name, problem % record.who))


def _started(directory: StateDirectory, plan: Plan, inherited: list[int]) -> str:
    """Start the process; whoever calls it has the lock, which the process keeps."""
    try:
        plan = performer.resolved(plan)
    except performer.PlanError as error:
        raise TrialError(_not_started(plan.name, str(error))) from error
    begin = time.clock_gettime(time.CLOCK_BOOTTIME)
    record = Record(plan, secrets.token_hex(8), begin, _who(), performer.identities(plan))
    try:
        listener = dead_man.listen(directory, plan.name)
    except OSError as error:
        raise TrialError(_not_started(plan.name, "it can't be listened to (%s)" % error.strerror)) from error
    with listener:
        records.write_running(directory, record)
        title = "bulwark-trial of %s" % plan.name
        problem = detached.detach(title, inherited, lambda: dead_man.DeadMan(record, directory, listener).guard)
    if problem:
        for file in (records.running(plan.name), records.socket(plan.name)):
            directory.remove(file)
        raise TrialError(_not_started(plan.name, problem))
    return record.token


def _who() -> str:
    """Return who runs this, in words; the account that signed in where the kernel knows it."""
    user = os.getuid()
    with contextlib.suppress(OSError, ValueError), open("/proc/self/loginuid", encoding="ascii") as stream:
        signed_in = int(stream.read())
        user = user if signed_in == _NOBODY else signed_in
    name = str(user)
    with contextlib.suppress(KeyError):
        name = pwd.getpwuid(user).pw_name
    return "%s (process %d)" % (name, os.getpid())


def _running(directory: StateDirectory, name: str) -> Running | None:
    record, is_guarded = _look(directory, name)
    if record is None:
        return None
    return Running(name, record.token, record.plan.seconds, record.left(), record.who, is_guarded)


def _look(directory: StateDirectory, name: str) -> tuple[Record | None, bool]:
    """Return the trial that runs, and whether a process of it lives: it has the lock."""
    try:
        with directory.locked(records.lock(name), 0):
            return records.read_running(directory, name), False
    except StateError:
        return records.read_running(directory, name), True


def _ended(name: str, token: str, wish: str) -> Ended:
    """Have a wish done, and return how the trial ended; TrialError where there is no such trial."""
    with _directory(create=False) as directory:
        if directory is None:
            raise TrialError(_unknown(name))
        lost = 0.0
        while True:
            record, is_guarded = _look(directory, name)
            if record is None or record.token != token:
                ended = records.read_ended(directory, name)
                if ended is None or ended.token != token:
                    raise TrialError(_unknown(name))
                return ended
            if not is_guarded:
                return _without_guard(directory, record, wish)
            lost = _asked(directory, record, wish, lost)


def _unknown(name: str) -> str:
    return "no such trial of %s runs, or ended last" % name


def _asked(directory: StateDirectory, record: Record, wish: str, lost: float) -> float:
    """Ask, and wait until the one that was asked is gone; return the seconds for which nobody was there to be asked."""
    name = record.plan.name
    try:
        with dead_man.ask(directory, name, wish, record.token) as connection:
            connection.settimeout(max(0.0, record.left()) + performer.longest(record.plan) + _SECONDS_TO_REPLACE)
            connection.recv(1)
            return lost
    except OSError as error:
        if lost >= _SECONDS_TO_REPLACE:
            raise TrialError("the trial of %s does not answer (%s)" % (name, error.strerror or error)) from error
    time.sleep(_PAUSE)
    return lost + _PAUSE


def _without_guard(directory: StateDirectory, record: Record, wish: str) -> Ended:
    """Go the way back of a trial whose processes were killed."""
    name = record.plan.name
    if wish != dead_man.WITHDRAW:
        raise TrialError("the trial of %s can't be confirmed: its processes were killed; withdraw it" % name)
    with directory.locked(records.lock(name), _SECONDS_TO_END):
        if records.read_running(directory, name) != record:
            raise TrialError(_unknown(name))
        failed = performer.Performer(record.before).go_back(record.plan)
        ended = Ended(name, record.token, False, "its processes were killed, and it was withdrawn", tuple(failed))
        with directory.written(records.last(name)) as stream:
            stream.write(records.encode_ended(ended, boot_id()))
        directory.remove(records.socket(name))
        directory.remove(records.running(name))
    return ended
