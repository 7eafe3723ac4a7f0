# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A scan that does not hang for good.

Whoever asks for the memory or the arguments of a process waits for the lock of its memory, in the kernel, where nothing
but SIGKILL ends it. A process that waits for a dead file server while it has that lock holds up everybody who asks, for
good. So the scan runs in a process of its own that is ended when it does not go on; what it hung at is left out, and it
begins again.
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import json
import mmap
import os
import select
import signal
import struct
import time
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils import _crash, _process
from ansible_collections.bulwark.servers.plugins.module_utils._argspec import HostError, UsageError
from ansible_collections.bulwark.servers.plugins.module_utils._run import Deadline
from ansible_collections.bulwark.servers.plugins.module_utils._state import DamagedError, NewerError, StateError
from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan.progress import DRIFT, SCAN, Lost, Progress

# Is told what can't be read, by place, and returns a result that JSON can hold.
Scan = t.Callable[[Progress, t.Mapping[int, Lost]], t.Dict[str, t.Any]]

LONGEST = 64 << 20
_MOST_AGAIN = 3
_POLL = 0.25
_PIECE = 1 << 16
_SECONDS_TO_END = 5.0
_PR_SET_PDEATHSIG = 1  # linux/prctl.h
_PLACE = struct.Struct("=q")
_HEAD = struct.Struct("=BQ")
# What an answer is: a result, why there is none, a mistake, or the text of one of these errors.
_RESULT, _LOST, _FAILED, _FIRST_ERROR = range(4)
_ERRORS = (UsageError, HostError, DamagedError, NewerError, StateError)


class LostError(Exception):
    """There is no result. The text says why, without a full stop."""


class Patience(t.NamedTuple):
    """Seconds. stuck: to wait for one thing in the kernel without a moment of computing.

    asleep: the same for what can be ended and what ends by itself, such as another program that is waited for.
    grace: to end after the time budget. lock: that waiting for another scan may take beside that.
    """

    stuck: float
    asleep: float = 90.0
    grace: float = 30.0
    lock: float = 0.0

    @classmethod
    def within(cls, time_budget: float, lock: float) -> Patience:
        """Return what leaves time to begin again within a time budget."""
        return cls(min(20.0, max(2.0, time_budget / 5)), lock=lock)


class _StoppedError(Exception):
    """A scan did not come to its end. The text says why."""


def run(scan: Scan, deadline: Deadline, patience: Patience) -> dict[str, t.Any]:
    """Return the result of a scan.

    Raises LostError where there is none, and UsageError, HostError and StateError as the scan does. A mistake in it is
    a ChildError.
    """
    lost: dict[int, Lost] = {}
    # Objects that exist now aren't touched by the child's collector, so their pages stay shared.
    gc.freeze()
    try:
        for again in range(_MOST_AGAIN + 1):
            child = _Child(scan, {place: one for place, one in lost.items() if _is_there(place, one)})
            try:
                return _result(*child.answer(deadline, patience))
            except _StoppedError as error:
                place = child.place
                if place == SCAN or again == _MOST_AGAIN or deadline.passed():
                    raise LostError(_in_vain(place, str(error), again)) from error
                # Without its memory first: that is what hangs, and what else is known of it may tell enough.
                lost[place] = Lost(_started(place), str(error), place < 0 or place in lost)
            finally:
                child.end()
        raise LostError("it was begun again and again")
    finally:
        gc.unfreeze()


def _in_vain(place: int, reason: str, again: int) -> str:
    at = " at process %d" % place if place > 0 else ""
    tries = "" if not again else ", after %d tries that did not end either" % again
    return "the scan came to no end%s: %s%s" % (at, reason, tries)


def _started(place: int) -> int | None:
    found = _process.stat(place) if place > 0 else None
    return found.started if found is not None else None


def _is_there(place: int, one: Lost) -> bool:
    """Say whether a place is still what it was: another process may have got the pid."""
    return place < 0 or _started(place) == one.started


def _result(kind: int, data: bytes) -> dict[str, t.Any]:
    if kind == _RESULT:
        try:
            result = json.loads(data)
        except (ValueError, RecursionError):
            result = None
        if isinstance(result, dict):
            return result
        raise LostError("the scan's result is invalid")
    text = data.decode("utf-8", "replace")
    if kind == _LOST:
        raise LostError(text)
    if kind == _FAILED:
        summary, _separator, rest = text.partition("\n")
        raise _crash.ChildError(summary, rest.split("\n"))
    raise _ERRORS[kind - _FIRST_ERROR](text)


class _Child:
    """A process that scans, as its parent sees it."""

    def __init__(self, scan: Scan, lost: t.Mapping[int, Lost]) -> None:
        self._place = mmap.mmap(-1, _PLACE.size)
        self._answer, answer = os.pipe()
        parent, library = os.getpid(), ctypes.CDLL(None)
        try:
            self._pid = os.fork()
        except OSError as error:
            os.close(self._answer)
            os.close(answer)
            raise HostError("no process can be started to scan: %s" % error.strerror) from error
        if self._pid == 0:
            os.close(self._answer)
            _serve(lambda: scan(self._tell, lost), answer, parent, library)
        os.close(answer)
        there = _process.stat(self._pid)
        # None: it has ended, and the kernel was told (SIGCHLD) that nobody asks how.
        self._began = there.started if there is not None else None

    def _tell(self, place: int) -> None:
        _PLACE.pack_into(self._place, 0, place)

    @property
    def place(self) -> int:
        """Return where it is, or was."""
        return int(_PLACE.unpack_from(self._place)[0])

    def answer(self, deadline: Deadline, patience: Patience) -> tuple[int, bytes]:
        """Wait for its answer; return what that is, and its content. Raises _StoppedError."""
        received = bytearray()
        while True:
            if len(received) >= _HEAD.size:
                kind, length = _HEAD.unpack_from(received)
                if length > LONGEST or kind >= _FIRST_ERROR + len(_ERRORS):
                    raise _StoppedError("the result of the process that read it is invalid")
                if len(received) >= _HEAD.size + length:
                    return kind, bytes(received[_HEAD.size : _HEAD.size + length])
            self._wait(deadline, patience)
            piece = os.read(self._answer, _PIECE)
            if not piece:
                raise _StoppedError(self._end_of_it())
            received += piece

    def _wait(self, deadline: Deadline, patience: Patience) -> None:
        """Wait until it says more. Raises _StoppedError where it does not go on."""
        poll = select.poll()
        poll.register(self._answer, select.POLLIN)
        used, since = self._computed(), time.monotonic()
        while not poll.poll(_POLL * 1000):
            grace = patience.grace + (patience.lock if self.place == DRIFT else 0)
            if deadline.remaining(grace) == 0:
                raise _StoppedError("%s, and reading it did not end %g s later" % (deadline.reason, grace))
            before, used = used, self._computed()
            if used != before:
                since = time.monotonic()
            limit = self._limit(patience)
            if limit is not None and time.monotonic() - since > limit:
                raise _StoppedError("reading it blocks in the kernel for more than %g s" % limit)

    def _limit(self, patience: Patience) -> float | None:
        """Return how long it may go on like that; None where it would, if others left it any processor time."""
        there = _process.stat(self._pid)
        if there is None or there.state in "RZX":
            return None
        return patience.stuck if there.state == "D" else patience.asleep

    def _computed(self) -> float:
        """Return the processor time that it used, in seconds. Its stat file has that in steps of 10 ms only."""
        # As clock_getcpuclockid(3) makes it, CPUCLOCK_SCHED of linux/posix-timers.h.
        with contextlib.suppress(OSError):
            return time.clock_gettime(~self._pid << 3 | 2)
        return 0.0

    def _end_of_it(self) -> str:
        """Return how it ended without an answer."""
        status = self._reap(_SECONDS_TO_END)
        if status is None:
            return "the process that read it returned no result"
        if os.WIFSIGNALED(status):
            number = os.WTERMSIG(status)
            hint = " (out of memory?)" if number == signal.SIGKILL else ""
            return "the process that read it was ended by signal %d%s" % (number, hint)
        return "the process that read it ended without a result (status %d)" % os.WEXITSTATUS(status)

    def end(self) -> None:
        """End it, whatever it does. Where the kernel can't, it stays behind, and holds nothing of this process's."""
        os.close(self._answer)
        self._place.close()
        if self._began is None:
            return
        with contextlib.suppress(OSError):
            _process.send(self._pid, self._began, signal.SIGKILL, _SECONDS_TO_END)
        self._reap(0)

    def _reap(self, seconds: float) -> int | None:
        """Return its wait status; None where it has none yet, or nobody keeps it."""
        end = time.monotonic() + seconds
        while self._began is not None:
            try:
                found, status = os.waitpid(self._pid, os.WNOHANG)
            except ChildProcessError:
                found, status = self._pid, None
            if found:
                self._began = None
                return status
            if time.monotonic() >= end:
                break
            time.sleep(0.001)
        return None


def _serve(scan: t.Callable[[], t.Any], answer: int, parent: int, library: ctypes.CDLL) -> t.NoReturn:
    """Do a child's work and end it, without ever returning into the parent's code."""
    status = 1
    try:
        library.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() == parent:
            _let_go()
            kind, data = _told(scan)
            rest = memoryview(_HEAD.pack(kind, len(data)) + data)
            while rest:
                rest = rest[os.write(answer, rest) :]
            status = 0
    finally:
        # Nothing of the parent's may be finished twice: buffers, files, the module's result.
        os._exit(status)  # pylint: disable=protected-access


def _let_go() -> None:
    """Let go of what the module's caller waits for the end of: if this process can't be ended, that goes on."""
    with contextlib.suppress(OSError):
        nowhere = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
        for standard in range(3):
            if standard != nowhere:
                os.dup2(nowhere, standard)


def _told(scan: t.Callable[[], t.Any]) -> tuple[int, bytes]:
    """Return what a scan comes to, and its content."""
    try:
        data = json.dumps(scan()).encode("ascii")
    except _ERRORS as error:
        kind = [isinstance(error, known) for known in _ERRORS].index(True)
        return _FIRST_ERROR + kind, str(error).encode("utf-8", "backslashreplace")
    except MemoryError:
        return _LOST, b"there was not enough memory for the scan"
    # The parent raises it: a mistake must not look like a process that hangs.
    except Exception as error:  # noqa: BLE001 - the process that waits for this one raises it again
        lines = [_crash.summarize(error), *_crash.format_traceback(error)]
        return _FAILED, "\n".join(lines).encode("utf-8", "backslashreplace")
    if len(data) > LONGEST:
        return _LOST, b"the findings take more than %d MB; lower max_findings" % (LONGEST >> 20)
    return _RESULT, data
