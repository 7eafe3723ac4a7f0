# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Making a process that outlives its session, that memory is never taken from, and that opens nothing later."""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import gc
import os
import select
import signal
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils.host_trial import control_group

# mlockall(2), prctl(2)
_MCL_CURRENT_AND_FUTURE = 3
_PR_SET_NAME = 15
# proc_pid_stat(5): where the arguments begin and end.
_ARGUMENTS = slice(48 - 3, 50 - 3)
_NICE = -10
_READY = b"ready"
_SECONDS_TO_GET_READY = 30.0
_LARGEST = 4096


def descriptors() -> list[int]:
    """Return what this process has open."""
    return [number for number in map(int, os.listdir("/proc/self/fd")) if _is_open(number)]


def _is_open(descriptor: int) -> bool:
    # The one that the list was read by is in it, too.
    try:
        os.fstat(descriptor)
    except OSError:
        return False
    return True


def detach(name: str, inherited: t.Iterable[int], prepare: t.Callable[[], t.Callable[[], None]]) -> str:
    """Fork a process that prepares something and then does what ``prepare`` returned; return why not, or nothing.

    name: shown for the process. inherited: descriptors that it closes. Returns when it is ready.
    """
    reader, writer = os.pipe()
    try:
        child = os.fork()
    except OSError as error:
        os.close(reader)
        os.close(writer)
        return "no process can be started (%s)" % error.strerror
    if child == 0:
        _leave_parent(name, (*inherited, reader), writer, prepare)
    os.close(writer)
    try:
        os.waitpid(child, 0)
        message = _message(reader)
    finally:
        # One that gets ready later notices that nobody waits for it any more.
        os.close(reader)
    if message == _READY:
        return ""
    return message.decode("utf-8", "replace") or "its process ended before it was ready"


def _message(reader: int) -> bytes:
    if not select.select([reader], [], [], _SECONDS_TO_GET_READY)[0]:
        return b"its process did not get ready in time"
    return os.read(reader, _LARGEST)


def _leave_parent(
    name: str, inherited: t.Iterable[int], writer: int, prepare: t.Callable[[], t.Callable[[], None]]
) -> t.NoReturn:
    """Be the process between; the one that stays is init's child in a session of its own."""
    message = b""
    try:
        signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
        os.setsid()
        if os.fork() == 0:
            _stay(name, inherited, writer, prepare)
    except BaseException as error:  # noqa: BLE001 - nothing of the parent may happen here
        message = ("no process can be started (%s)" % error).encode("utf-8", "replace")
    with contextlib.suppress(OSError):
        os.write(writer, message)
    os._exit(0)  # pylint: disable=protected-access; os documents it


def _stay(
    name: str, inherited: t.Iterable[int], writer: int, prepare: t.Callable[[], t.Callable[[], None]]
) -> t.NoReturn:
    try:
        _settle(name, inherited)
        work = prepare()
        os.write(writer, _READY)
        os.close(writer)
        work()
    except BaseException as error:  # noqa: BLE001 - as above
        with contextlib.suppress(OSError):
            os.write(writer, (str(error) or type(error).__name__).encode("utf-8", "replace"))
    finally:
        os._exit(0)  # pylint: disable=protected-access; os documents it


def _settle(name: str, inherited: t.Iterable[int]) -> None:
    os.setsid()
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    for descriptor in inherited:
        with contextlib.suppress(OSError):
            os.close(descriptor)
    null = fcntl.fcntl(os.open(os.devnull, os.O_RDWR), fcntl.F_DUPFD, 3)
    for descriptor in range(3):
        os.dup2(null, descriptor)
    os.close(null)
    os.chdir("/")
    os.umask(0o077)
    problem = control_group.leave()
    if problem:
        raise OSError(problem)
    with contextlib.suppress(OSError), open("/proc/self/oom_score_adj", "w", encoding="ascii") as stream:
        stream.write("-1000")
    with contextlib.suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, 0, _NICE)
    with contextlib.suppress(OSError):
        _name(name)
    # Its own memory is all that it needs from now on.
    gc.collect()
    gc.disable()


def lock_memory() -> None:
    """Keep this process's memory from being swapped out or read again from files; a child has to do it itself."""
    ctypes.CDLL(None).mlockall(_MCL_CURRENT_AND_FUTURE)


def _name(name: str) -> None:
    """Let ps and top show a name, and a search for the command line of Ansible not find this process."""
    ctypes.CDLL(None).prctl(_PR_SET_NAME, name.partition(" ")[0].encode("utf-8"))
    with open("/proc/self/stat", "rb") as stream:
        begin, end = (int(field) for field in stream.read().rpartition(b")")[2].split()[_ARGUMENTS])
    size = end - begin
    if begin and size > 0:
        ctypes.memmove(begin, name.encode("utf-8")[: size - 1].ljust(size, b"\0"), size)
