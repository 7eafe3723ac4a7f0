# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Start the programs of a simulation and send its records."""

from __future__ import annotations

import contextlib
import errno
import os
import pwd
import select
import signal
import struct
import time
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils.simulation import program, records, visit
from ansible_collections.bulwark.servers.plugins.module_utils.simulation.plan import Sent, Started, Visited
from ansible_collections.bulwark.servers.plugins.module_utils.simulation.scenario import RECORD_TYPES

_SECONDS = 20
_ORPHANED_SECONDS = 5
_MOST_DESCRIPTORS = 4096
_ENVIRONMENT = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C"}
# What a program that is to be started says of itself: its process id, then the number of the error that it met.
_SAID = struct.Struct("=i")


class FailedError(Exception):
    """A step could not be done; the message says which and why."""


class RefusedError(Exception):
    """The kernel refused to execute a program, as fapolicyd has it refuse them (EPERM). pid: of who tried."""

    def __init__(self, pid: int, path: str) -> None:
        super().__init__("%s was refused: fapolicyd, or another control of the host, stops what nothing trusts" % path)
        self.pid = pid


def perform(step: Started | Sent | Visited) -> int | None:
    """Do one step; return the process id of the program that ran. Raises FailedError and RefusedError."""
    if isinstance(step, Started):
        return _run(step)
    if isinstance(step, Sent):
        _send(step)
        return None
    try:
        visit.visit(*step)
    except visit.VisitError as error:
        raise FailedError(str(error)) from error
    return None


def _send(step: Sent) -> None:
    """Send a record from a process of its own, as each connection to sshd has one."""
    sender = os.fork()
    if sender == 0:
        status = 255
        try:
            _sign_in(step.person)
            records.send(RECORD_TYPES[step.type], step.text)
            status = 0
        except OSError as error:
            status = error.errno or 255
        finally:
            os._exit(status)
    status = os.WEXITSTATUS(os.waitpid(sender, 0)[1])
    if status:
        raise FailedError("a record of type %s could not be sent: %s" % (step.type, os.strerror(status)))


def _run(step: Started) -> int:
    """Run a program as a child of init: what automation starts counts as that, and the module is started by it."""
    account = pwd.getpwnam(step.user) if step.user is not None else None
    reading, writing = os.pipe()
    with os.fdopen(reading, "rb", buffering=0) as said:
        leader = os.fork()
        if leader == 0:
            _lead(step, account, writing)
        os.close(writing)
        os.waitpid(leader, 0)
        return _watched(step, leader, said)


def _watched(step: Started, leader: int, said: t.BinaryIO) -> int:
    """Wait for the end of all that holds the other end of the pipe; return the program's process id.

    A program that stays doesn't hold it: it is waited for its start.
    """
    deadline = time.monotonic() + _SECONDS
    heard = b""
    while select.select([said], [], [], max(0.0, deadline - time.monotonic()))[0]:
        part = said.read(_SAID.size * 2)
        if not part:
            break
        heard += part
    else:
        # The group is that of the leader's session, with all that was started in it.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(leader, signal.SIGKILL)
        raise FailedError("%s did not end within %d s" % (os.fsdecode(step.path), _SECONDS))
    numbers = [number for (number,) in _SAID.iter_unpack(heard)]
    if len(numbers) != 1:
        if len(numbers) == 2 and numbers[1] == errno.EPERM:
            raise RefusedError(numbers[0], os.fsdecode(step.path))
        why = os.strerror(numbers[1]) if len(numbers) == 2 else "it did not come so far"
        raise FailedError("%s could not be started: %s" % (os.fsdecode(step.path), why))
    return t.cast("int", numbers[0])


def _lead(step: Started, account: pwd.struct_passwd | None, writing: int) -> t.NoReturn:
    """Begin a session and leave it to the program. In the child; never returns."""
    status = 1
    try:
        os.setsid()
        leader = os.getpid()
        if os.fork() == 0:
            _become(step, account, writing, leader)
        status = 0
    finally:
        os._exit(status)


def _become(step: Started, account: pwd.struct_passwd | None, writing: int, leader: int) -> None:
    """Become the program once the leader is gone, or say why not."""
    end = time.monotonic() + _ORPHANED_SECONDS
    while os.getppid() == leader and time.monotonic() < end:
        time.sleep(0.001)
    os.write(writing, _SAID.pack(os.getpid()))
    try:
        nothing = os.open(os.devnull, os.O_RDWR)
        for descriptor in (0, 1, 2):
            os.dup2(nothing, descriptor)
        if step.stays:
            _leave_alone(writing)
        else:
            os.set_inheritable(writing, True)
        os.chdir(step.directory)
        _sign_in(step.person)
        if account is not None:
            os.setgroups([])
            os.setgid(account.pw_gid)
            os.setuid(account.pw_uid)
        os.execve(_executable(step), list(step.arguments), _ENVIRONMENT)  # noqa: S606 - a shell is what it must not be
    except OSError as error:
        os.write(writing, _SAID.pack(error.errno or 0))


def _leave_alone(writing: int) -> None:
    """Close whatever was inherited: somebody may wait for the end of it, such as sshd for that of its session."""
    os.closerange(3, writing)
    os.closerange(writing + 1, _MOST_DESCRIPTORS)


def _executable(step: Started) -> bytes | int:
    """Return what is executed: a path, or the descriptor of a file that is only in memory (memfd_create(2))."""
    if step.content is None:
        return step.path
    descriptor = os.memfd_create(os.fsdecode(step.path))
    program.write(descriptor, step.content)
    return descriptor


def _sign_in(person: int) -> None:
    """Let the kernel's audit system take the process for one of somebody who has signed in."""
    # It can't be set in a container, nor twice where that is forbidden (auditctl --loginuid-immutable).
    with contextlib.suppress(OSError), open("/proc/self/loginuid", "w", encoding="ascii") as login:
        login.write(str(person))
