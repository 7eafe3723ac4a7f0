# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run a function in a process of its own, which can neither outlive its deadline nor harm its caller."""

from __future__ import annotations

import contextlib
import ctypes
import faulthandler
import os
import resource
import select
import selectors
import signal
import struct
import time
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils import _process

# prctl(2)
_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36
_LENGTH = struct.Struct("!Q")
_CHUNK = 1 << 18
# Bytes of what a process wrote to its standard output and error, of which the end is kept.
_MOST_OUTPUT = 4096
# Where /proc is not mounted.
_MOST_DESCRIPTORS = 256
# Seconds until processes that were killed must have ended.
_SECONDS_TO_END = 5.0
_POLL = 0.01
# Seconds that a process has to say where it is before it is ended; a busy host lets it wait before each piece.
_SECONDS_TO_SAY = 2.0
# Seconds without a further piece of that, after which it was all.
_SECONDS_OF_SILENCE = 0.7
# Seconds after which the wait is looked at again, whatever happens.
_LONGEST_WAIT = 1.0


class Limits(t.NamedTuple):
    """seconds: until it is ended, None for never; memory: bytes beyond what this process has; answer: bytes."""

    seconds: float | None
    memory: int
    answer: int


class Ended(t.NamedTuple):
    """The end of a process.

    answer: what the function returned, None when it did not come to that. status: its exit status, or minus the signal
    that ended it; None if it was ended here, for ``reason``. output: the end of what it wrote. left: how many of its
    descendants were there after it; they were ended. stayed: how many of them could not be.
    """

    answer: bytes | None
    status: int | None
    reason: str
    output: str
    left: int
    stayed: int


class Nursery:
    """Runs functions in child processes, one at a time. Takes SIGCHLD and all orphans below this process."""

    def __init__(self) -> None:
        self._woken, self._wakes = os.pipe()
        os.set_blocking(self._woken, False)
        os.set_blocking(self._wakes, False)
        signal.signal(signal.SIGCHLD, lambda _number, _frame: None)
        signal.set_wakeup_fd(self._wakes, warn_on_full_buffer=False)
        self._pid = os.getpid()
        # Whatever a child starts, and however it detaches: it becomes a child of this process when its parent ends.
        self._prctl = ctypes.CDLL(None).prctl
        self._prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)

    def run(self, function: t.Callable[[], bytes], limits: Limits) -> Ended:
        """Return how the process that runs the function ended. Raises OSError if it cannot be started."""
        child = _Child(self, function, limits)
        try:
            reason = child.follow(self._woken)
        finally:
            child.close()
        left, stayed = _end_all()
        return Ended(child.answer, child.status, reason, child.output, left, stayed)

    def leave(self) -> None:
        """Undo in a child what this class set for its parent, and have it end with that."""
        self._prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        if os.getppid() != self._pid:
            os._exit(1)  # pylint: disable=protected-access
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)


class _Child:
    """A child process, and the ends of the pipes from it."""

    def __init__(self, nursery: Nursery, function: t.Callable[[], bytes], limits: Limits) -> None:
        self._end = None if limits.seconds is None else time.monotonic() + limits.seconds
        self._limits = limits
        self.status: int | None = None
        self._received = bytearray()
        self._output = bytearray()
        self._answers, answer = os.pipe()
        self._errors, error = os.pipe()
        try:
            self._pid = os.fork()
            if self._pid == 0:
                _be_child(nursery, function, limits, answer, error)
        except OSError:
            self.close()
            raise
        finally:
            os.close(answer)
            os.close(error)
        for descriptor in (self._answers, self._errors):
            os.set_blocking(descriptor, False)

    def follow(self, woken: int) -> str:
        """Read until it has ended; end it for the reason that is returned, "" if it ended by itself."""
        with selectors.DefaultSelector() as selector:
            for descriptor in (woken, self._answers, self._errors):
                selector.register(descriptor, selectors.EVENT_READ)
            while not self._has_ended():
                for key, _events in selector.select(self._wait()):
                    data = _read(key.fd)
                    if data == b"":
                        selector.unregister(key.fd)
                    self._keep(key.fd, data or b"")
                reason = self._reason()
                if reason:
                    self._ask_where()
                    self._kill()
                    return reason
        # A descendant that holds the other end of a pipe is not waited for.
        for descriptor in (self._answers, self._errors):
            data = _read(descriptor)
            while data and not self._reason():
                self._keep(descriptor, data)
                data = _read(descriptor)
        return self._reason()

    @property
    def answer(self) -> bytes | None:
        """Return the answer, None as long as not all of it is there."""
        if self.status != 0 or len(self._received) < _LENGTH.size:
            return None
        data = bytes(self._received[_LENGTH.size :])
        return data if len(data) == _LENGTH.unpack_from(self._received)[0] else None

    @property
    def output(self) -> str:
        return self._output.decode("utf-8", "backslashreplace")

    def close(self) -> None:
        for descriptor in (self._answers, self._errors):
            os.close(descriptor)

    def _wait(self) -> float:
        rest = _LONGEST_WAIT if self._end is None else self._end - time.monotonic()
        return max(0.0, min(_LONGEST_WAIT, rest))

    def _reason(self) -> str:
        if len(self._received) > self._limits.answer:
            return "its answer is larger than %d MiB" % (self._limits.answer >> 20)
        if self.status is None and self._end is not None and time.monotonic() >= self._end:
            return "it did not end within %g s" % (self._limits.seconds or 0)
        return ""

    def _keep(self, descriptor: int, data: bytes) -> None:
        if descriptor == self._answers:
            self._received += data
        elif descriptor == self._errors:
            self._output += data
            del self._output[:-_MOST_OUTPUT]

    def _has_ended(self) -> bool:
        found, status = os.waitpid(self._pid, os.WNOHANG)
        if found:
            self.status = -os.WTERMSIG(status) if os.WIFSIGNALED(status) else os.WEXITSTATUS(status)
        return bool(found)

    def _ask_where(self) -> None:
        """Have it write what it is doing; faulthandler writes that piece by piece."""
        os.kill(self._pid, signal.SIGQUIT)
        end = time.monotonic() + _SECONDS_TO_SAY
        rest = _SECONDS_TO_SAY
        while rest > 0 and select.select([self._errors], [], [], rest)[0]:
            data = _read(self._errors)
            if not data:
                return
            self._keep(self._errors, data)
            rest = min(_SECONDS_OF_SILENCE, end - time.monotonic())

    def _kill(self) -> None:
        # Nobody has waited for it, so that the number is still its own.
        with contextlib.suppress(OSError):
            os.killpg(self._pid, signal.SIGKILL)
        with contextlib.suppress(OSError):
            os.kill(self._pid, signal.SIGKILL)


def _be_child(nursery: Nursery, function: t.Callable[[], bytes], limits: Limits, answer: int, error: int) -> t.NoReturn:
    """Do a child's work and end it, without ever returning into the parent's code."""
    status = 1
    try:
        os.setsid()
        nursery.leave()
        nowhere = os.open(os.devnull, os.O_RDONLY)
        os.dup2(nowhere, 0)
        os.dup2(error, 1)
        os.dup2(error, 2)
        _close_others(answer)
        faulthandler.enable(2, all_threads=False)
        faulthandler.register(signal.SIGQUIT, 2, all_threads=False)
        _limit_memory(limits.memory)
        data = function()
        rest = memoryview(_LENGTH.pack(len(data)) + data)
        while rest:
            rest = rest[os.write(answer, rest) :]
        status = 0
    finally:
        # Nothing of the parent's may be finished twice: buffers, files, the module's result.
        os._exit(status)  # pylint: disable=protected-access


def _close_others(answer: int) -> None:
    """Leave a child nothing of the parent's but standard streams and the pipe for its answer."""
    for descriptor in _descriptors():
        if descriptor > 2 and descriptor != answer:
            with contextlib.suppress(OSError):
                os.close(descriptor)


def _descriptors() -> t.Iterable[int]:
    try:
        return list(map(int, os.listdir("/proc/self/fd")))
    except OSError:
        return range(_MOST_DESCRIPTORS)


def _limit_memory(allowed: int) -> None:
    """Limit private memory (setrlimit(2), RLIMIT_DATA): mapped files and reserved addresses do not count."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    pages = 0
    with contextlib.suppress(OSError), open("/proc/self/statm", "rb") as stream:
        pages = int(stream.read().split()[5])
    limit = pages * resource.getpagesize() + allowed
    _soft, hard = resource.getrlimit(resource.RLIMIT_DATA)
    if hard != resource.RLIM_INFINITY:
        limit = min(limit, hard)
    resource.setrlimit(resource.RLIMIT_DATA, (limit, hard))


def _read(descriptor: int) -> bytes | None:
    """Return what can be read now, b"" at the end, None when there is nothing yet."""
    try:
        return os.read(descriptor, _CHUNK)
    except BlockingIOError:
        return None


def _end_all() -> tuple[int, int]:
    """End all children of this process and their descendants; return how many there were, and how many stayed."""
    seen: set[int] = set()
    end = time.monotonic() + _SECONDS_TO_END
    while True:
        try:
            found, _status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return len(seen), 0
        if found:
            continue
        children = _children(os.getpid())
        seen.update(children)
        if time.monotonic() >= end:
            return len(seen), len(children)
        for pid in children:
            # A child that nobody has waited for keeps its number.
            with contextlib.suppress(OSError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(_POLL)


def _children(parent: int) -> list[int]:
    """Return the children of a process that have not ended."""
    found = []
    with contextlib.suppress(OSError):
        for name in os.listdir("/proc"):
            stat = _process.stat(int(name)) if name.isdigit() else None
            if stat is not None and stat.parent == parent and stat.state not in "ZXx":
                found.append(int(name))
    return found
