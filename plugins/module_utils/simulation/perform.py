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
# AUDIT_SID_UNSET of the kernel.
_UNSET = 4_294_967_295
_ENVIRONMENT = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C"}
# A program reports its process id, its session or _NO_SESSION, and then the number of its error, if it has one.
_REPORT = struct.Struct("=q")
_NO_SESSION = -1


class Performed(t.NamedTuple):
    """A step that was done. pid: of its program, None if no program ran.

    session: the number of the kernel's session that only this step has, None if it has no session of its own.
    packet: what tells the packet that came in from others, None if none did.
    """

    pid: int | None = None
    session: int | None = None
    packet: t.Mapping[str, t.Any] | None = None


class FailedError(Exception):
    """A step could not be done; the message says which and why."""


class RefusedError(Exception):
    """The kernel refused to execute a program (EPERM), as fapolicyd asks it to. performed: the attempt."""

    def __init__(self, performed: Performed, path: str) -> None:
        super().__init__("%s was refused: fapolicyd, or another control of the host, stops untrusted programs" % path)
        self.performed = performed


def perform(step: Started | Sent | Visited) -> Performed:
    """Do one step; return what ran. Raises FailedError and RefusedError."""
    if isinstance(step, Started):
        return _run(step)
    if isinstance(step, Sent):
        return Performed(session=_send(step))
    try:
        packet = visit.visit(step.cable, step.source, step.protocol, step.port)
    except visit.VisitError as error:
        raise FailedError(str(error)) from error
    return Performed(packet=packet)


def _send(step: Sent) -> int | None:
    """Send a record from a process of its own, as each connection to sshd has one; return its session."""
    error, session = apart(step.person, lambda: records.send(RECORD_TYPES[step.type], step.text))
    if error:
        raise FailedError("a record of type %s could not be sent: %s" % (step.type, os.strerror(error)))
    return session


def apart(person: int, work: t.Callable[[], None]) -> tuple[int, int | None]:
    """Do work in a process of its own with the session of a sign-in; return its error number, or 0, and the session.

    work: may raise OSError.
    """
    reading, writing = os.pipe()
    with os.fdopen(reading, "rb", buffering=0) as pipe:
        try:
            status = _apart(person, work, writing)
        finally:
            os.close(writing)
        received = pipe.read(_REPORT.size)
    return status, _session(_REPORT.unpack(received)[0]) if len(received) == _REPORT.size else None


def _apart(person: int, work: t.Callable[[], None], writing: int) -> int:
    sender = os.fork()
    if sender == 0:
        status = 255
        try:
            os.write(writing, _REPORT.pack(_sign_in(person)))
            work()
            status = 0
        except OSError as error:
            status = error.errno or 255
        finally:
            os._exit(status)
    # A process that a signal ended has no status of its own.
    status = os.waitpid(sender, 0)[1]
    return os.WEXITSTATUS(status) if os.WIFEXITED(status) else errno.EIO


def _session(number: int) -> int | None:
    return None if number == _NO_SESSION else number


def _run(step: Started) -> Performed:
    """Run a program as a child of init, because a child of the module would count as started by automation."""
    account = pwd.getpwnam(step.user) if step.user is not None else None
    reading, writing = os.pipe()
    with os.fdopen(reading, "rb", buffering=0) as pipe:
        leader = os.fork()
        if leader == 0:
            _lead(step, account, writing)
        os.close(writing)
        os.waitpid(leader, 0)
        return _watched(step, leader, pipe)


def _watched(step: Started, leader: int, pipe: t.BinaryIO) -> Performed:
    """Wait until no process has the other end of the pipe open; return the program's process.

    A program that stays closes its end, so this waits only for its start.
    """
    deadline = time.monotonic() + _SECONDS
    received = b""
    while select.select([pipe], [], [], max(0.0, deadline - time.monotonic()))[0]:
        part = pipe.read(_REPORT.size * 3)
        if not part:
            break
        received += part
    else:
        # The leader's process group also has the processes that it started.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(leader, signal.SIGKILL)
        raise FailedError("%s did not end within %d s" % (os.fsdecode(step.path), _SECONDS))
    numbers = [number for (number,) in _REPORT.iter_unpack(received)]
    if len(numbers) < 2:
        raise FailedError("%s could not be started: its process ended too early" % os.fsdecode(step.path))
    performed = Performed(numbers[0], _session(numbers[1]))
    if len(numbers) > 2 and numbers[2] == errno.EPERM:
        raise RefusedError(performed, os.fsdecode(step.path))
    if len(numbers) > 2:
        raise FailedError("%s could not be started: %s" % (os.fsdecode(step.path), os.strerror(numbers[2])))
    return performed


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
    """Become the program once the leader is gone, or report the error."""
    end = time.monotonic() + _ORPHANED_SECONDS
    while os.getppid() == leader and time.monotonic() < end:
        time.sleep(0.001)
    session = _sign_in(step.person)
    os.write(writing, _REPORT.pack(os.getpid()) + _REPORT.pack(session))
    try:
        nothing = os.open(os.devnull, os.O_RDWR)
        for descriptor in (0, 1, 2):
            os.dup2(nothing, descriptor)
        if step.stays:
            _leave_alone(writing)
        else:
            os.set_inheritable(writing, True)
        os.chdir(step.directory)
        if account is not None:
            os.setgroups([])
            os.setgid(account.pw_gid)
            os.setuid(account.pw_uid)
        os.execve(_executable(step), list(step.arguments), _ENVIRONMENT)  # noqa: S606 - a shell is what it must not be
    except OSError as error:
        os.write(writing, _REPORT.pack(error.errno or 0))


def _leave_alone(writing: int) -> None:
    """Close inherited descriptors, because a process may wait for their end, such as sshd for its session's."""
    os.closerange(3, writing)
    os.closerange(writing + 1, _MOST_DESCRIPTORS)


def _executable(step: Started) -> bytes | int:
    """Return the file to execute: a path, or the descriptor of a file in memory (memfd_create(2))."""
    if step.content is None:
        return step.path
    descriptor = os.memfd_create(os.fsdecode(step.path))
    program.write(descriptor, step.content)
    return descriptor


def _sign_in(person: int) -> int:
    """Give the process a session of the kernel's audit system, as a sign-in does; return its number.

    _NO_SESSION if it gets none of its own: then its events can't be told from those of other processes.
    """
    # The kernel refuses this in a container, and a second time if auditctl --loginuid-immutable is set.
    try:
        with open("/proc/self/loginuid", "w", encoding="ascii") as login:
            login.write(str(person))
        account, session = (_own_number(name) for name in ("loginuid", "sessionid"))
    except (OSError, ValueError):
        return _NO_SESSION
    return session if account == person and session != _UNSET else _NO_SESSION


def _own_number(name: str) -> int:
    with open("/proc/self/%s" % name, encoding="ascii") as file:
        return int(file.read())
