# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Performing the steps of a plan by system calls that open nothing; ``Run`` alone opens and executes.

Each way can be performed again from its beginning when a process was killed on it: a step that is done already is
left alone.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
import shutil
import signal
import time
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils._exchange import Exchanger
from ansible_collections.bulwark.servers.plugins.module_utils.host_trial.records import Identity
from ansible_collections.bulwark.servers.plugins.module_utils.host_trial.steps import (
    Exchange,
    Kill,
    Plan,
    Remove,
    Run,
    Step,
    Unmount,
)

_PATH = "/usr/sbin:/usr/bin:/sbin:/bin"
_ENVIRONMENT = {"LC_ALL": "C", "PATH": _PATH, "HOME": "/root"}
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
# umount2(2)
_MNT_DETACH = 2
_MOST_MOUNTS = 16
# Seconds between two rounds of killing, and until a killed command must have ended.
_ROUND = 0.05
_SECONDS_TO_END = 2.0
_NOT_EXECUTED = 127


class PlanError(ValueError):
    """A plan can't be performed on this host; the message is one sentence."""


def resolved(plan: Plan) -> Plan:
    """Return the plan with each command's program as an absolute path; PlanError where it can't be performed."""
    killed = [path for step in plan.back if isinstance(step, Kill) for path in step.executables]
    if _identity("/proc/self/exe") in map(_identity, killed):
        raise PlanError("the trial would kill its own interpreter")
    return plan._replace(back=_resolved(plan.back), forward=_resolved(plan.forward))


def _resolved(steps: t.Iterable[Step]) -> tuple[Step, ...]:
    performable: list[Step] = []
    for step in steps:
        if isinstance(step, Run):
            program = shutil.which(step.command[0], path=_PATH)
            if program is None:
                raise PlanError("there is no program %s" % step.command[0])
            step = step._replace(command=(program, *step.command[1:]))
        performable.append(step)
    return tuple(performable)


def identities(plan: Plan) -> dict[str, Identity]:
    """Return device and inode of each file that a step has to know again, where it is there."""
    known = {}
    for step in (*plan.back, *plan.forward):
        paths: t.Iterable[str] = ()
        if isinstance(step, Kill):
            paths = step.executables
        elif isinstance(step, Unmount):
            paths = (step.path,)
        elif isinstance(step, Exchange):
            paths = (step.first,)
        elif isinstance(step, Run):
            paths = step.unmoved
        for path in paths:
            identity = _identity(path)
            if identity is not None:
                known[path] = identity
    return known


def longest(plan: Plan) -> float:
    """Return the seconds after which any way of the plan must have come to its end."""
    runs = [step for step in (*plan.back, *plan.forward) if isinstance(step, Run)]
    return 5.0 + sum(step.seconds + _SECONDS_TO_END for step in runs)


class Performer:
    """Performs steps. All that it needs is opened when it is made."""

    def __init__(self, before: t.Mapping[str, Identity]) -> None:
        """before: as of ``identities`` when the trial started."""
        self._before = before
        self._processes = os.open("/proc", _DIRECTORY)
        self._null = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
        self._libc = ctypes.CDLL(None, use_errno=True)
        self._exchanger = Exchanger()
        self._wanted: tuple[str, ...] = ()

    def rehearse(self, plan: Plan) -> None:
        """Perform both ways of a plan that finds nothing to do."""
        self.go_forward(plan)
        self.go_back(plan)
        self._kill_if(str(os.getpid()), ())

    def go_forward(self, plan: Plan) -> list[str]:
        """Perform the steps forward until one fails; return a sentence of it."""
        for step in plan.forward:
            problem = self._performed(step, is_back=False)
            if problem:
                return [problem]
        return []

    def go_back(self, plan: Plan) -> list[str]:
        """Perform the way back, and return a sentence for each step that failed.

        What a way forward that stopped has exchanged is exchanged again first.
        """
        kills = [step for step in plan.back[:1] if isinstance(step, Kill)]
        exchanges = [step for step in reversed(plan.forward) if isinstance(step, Exchange)]
        # Nothing comes before the signal that frees the host.
        steps = (*kills, *exchanges, *plan.back[len(kills) :])
        problems = [self._performed(step, is_back=True) for step in steps]
        self._stop_killing()
        return [problem for problem in problems if problem]

    def _performed(self, step: Step, is_back: bool) -> str:
        """Perform one step; return a sentence where it failed. Steps of the kernel's own are tried once."""
        try:
            if isinstance(step, Kill):
                self._wanted = step.executables
            elif isinstance(step, Unmount):
                self._unmount(step.path)
            elif isinstance(step, Exchange):
                self._exchange(step, is_back)
            elif isinstance(step, Remove):
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(step.path)
            elif all(_identity(path) == self._before.get(path) for path in step.unmoved):
                return self._run(step)
            self._kill()
        except Exception as error:  # noqa: BLE001 - the next step must come, whatever happens
            reason = error.strerror if isinstance(error, OSError) else type(error).__name__
            return "%s %s: %s" % (type(step).__name__, " ".join(map(str, step)), reason)
        return ""

    def _kill(self) -> bool:
        """Kill all processes that run one of the wanted files; return whether there was any.

        Those are the files that are at the paths now, and those that were there when the trial started.
        """
        files = {self._before.get(path) for path in self._wanted} | {_identity(path) for path in self._wanted}
        files.discard(None)
        if not files:
            return False
        # A process that was killed while it read may have left the position anywhere.
        os.lseek(self._processes, 0, os.SEEK_SET)
        names = [name for name in os.listdir(self._processes) if name.isdigit() and self._executable(name) in files]
        for name in names:
            self._kill_if(name, files)
        return bool(names)

    def _stop_killing(self) -> None:
        """Kill until nobody is left, as what dies is still there for a moment."""
        end = time.monotonic() + _SECONDS_TO_END
        while self._kill() and time.monotonic() < end:
            time.sleep(_ROUND / 10)
        self._wanted = ()

    def _kill_if(self, name: str, files: t.Container[Identity | None]) -> None:
        descriptor = None
        with contextlib.suppress(AttributeError, OSError):
            # Python 3.9 and Linux 5.3: a number that is used again meanwhile is noticed.
            descriptor = os.pidfd_open(int(name))
        try:
            if self._executable(name) not in files:
                return
            if descriptor is None:
                os.kill(int(name), signal.SIGKILL)
            else:
                signal.pidfd_send_signal(descriptor, signal.SIGKILL)
        except ProcessLookupError:
            pass
        finally:
            if descriptor is not None:
                os.close(descriptor)

    def _executable(self, name: str) -> Identity | None:
        # The kernel leads to the file itself, also where it has no name any more.
        return _identity(name + "/exe", self._processes)

    def _unmount(self, path: str) -> None:
        for _count in range(_MOST_MOUNTS):
            if _identity(path) == self._before.get(path):
                return
            if self._libc.umount2(os.fsencode(path), _MNT_DETACH):
                code = ctypes.get_errno()
                if code == errno.EINVAL:  # nothing is mounted there
                    return
                raise OSError(code, os.strerror(code))

    def _exchange(self, step: Exchange, is_back: bool) -> None:
        first = self._before.get(step.first)
        is_exchanged = first is not None and _identity(step.second) == first
        if is_exchanged == is_back:
            self._exchanger.exchange(step.first, step.second)

    def _run(self, step: Run) -> str:
        """Run a command; kill meanwhile whoever is to be killed, as a command may start it, or wait for it."""
        if step.is_start:
            self._stop_killing()
        shown = " ".join(step.command)
        pid = os.fork()
        if pid == 0:
            self._execute(step)
        end = time.monotonic() + step.seconds
        status = self._wait(pid, end)
        if status is None:
            with contextlib.suppress(OSError):
                os.killpg(pid, signal.SIGKILL)
            self._wait(pid, time.monotonic() + _SECONDS_TO_END)
            return "Run %s: it did not end within %g s" % (shown, step.seconds)
        return "Run %s: it ended with status %d" % (shown, status) if status else ""

    def _wait(self, pid: int, end: float) -> int | None:
        """Wait for a child until then, killing whoever is to be killed; return its status, None if it still runs."""
        while True:
            self._kill()
            ended, status = os.waitpid(pid, os.WNOHANG)
            if ended:
                return os.WEXITSTATUS(status) if os.WIFEXITED(status) else -os.WTERMSIG(status)
            left = end - time.monotonic()
            if left <= 0:
                return None
            # SIGCHLD is blocked: it waits to be taken.
            signal.sigtimedwait((signal.SIGCHLD,), min(left, _ROUND))

    def _execute(self, step: Run) -> t.NoReturn:
        """Be the command."""
        # Nothing of the parent may happen here.
        with contextlib.suppress(BaseException):
            os.setsid()
            for descriptor in range(3):
                os.dup2(self._null, descriptor)
            with contextlib.suppress(OSError):
                # What a command starts must not be spared when memory is short.
                os.write(os.open("/proc/self/oom_score_adj", os.O_WRONLY), b"0")
            signal.signal(signal.SIGPIPE, signal.SIG_DFL)
            signal.pthread_sigmask(signal.SIG_SETMASK, ())
            os.execve(step.command[0], step.command, _ENVIRONMENT)  # noqa: S606 - no shell is wanted
        os._exit(_NOT_EXECUTED)  # pylint: disable=protected-access; os documents it


def _identity(path: str, directory: int | None = None) -> Identity | None:
    """Return device and inode of a file, None where there is none; nothing is opened for that."""
    try:
        status = os.stat(path, dir_fd=directory)
    except OSError:
        return None
    return status.st_dev, status.st_ino
