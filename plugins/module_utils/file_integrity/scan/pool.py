# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Worker processes: forked, fed with shares of directories, and missed when they die."""

from __future__ import annotations

import gc
import os
import pickle  # between a process and its own fork, never from outside
import select
import signal
import struct
import time
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils import _run
from ansible_collections.bulwark.servers.plugins.module_utils._argspec import HostError
from ansible_collections.bulwark.servers.plugins.module_utils.file_integrity.scan.directory import Scan
from ansible_collections.bulwark.servers.plugins.module_utils.file_integrity.scan.results import Report
from ansible_collections.bulwark.servers.plugins.module_utils.file_integrity.scan.tasks import Tasks

# A report is sent on when it holds about this much, so that neither side grows with the tree.
_REPORT_LIMIT = 2 << 20
_FRAME = struct.Struct("!QB")
# Seconds that a worker has to stop by itself when the time budget is over, and to end when it was told to.
_GRACE = 20.0
_PATIENCE = 5.0
_POLL = 0.0005
# Kinds of message: a report with more to come, the last report of a share, the text of an unexpected error.
_MORE, _FINISHED, _FAILED = range(3)


class WorkerPool:
    """Runs scans in child processes. make_scan is called in the child, and sees everything as it was at the fork.

    deadline: the workers keep to it by themselves; one that hangs in the kernel (a dying disk) is given up.
    """

    def __init__(self, count: int, make_scan: t.Callable[[], Scan], deadline: _run.Deadline) -> None:
        self._count = count
        self._deadline = deadline
        self._make_scan = make_scan
        self._workers: dict[int, _Worker] = {}

    def run(
        self,
        tasks: Tasks,
        receive: t.Callable[[Report], None],
        lost: t.Callable[[list[bytes], str], None],
        meanwhile: t.Callable[[], None],
    ) -> None:
        """Read all directories of ``tasks`` and those that are found on the way.

        meanwhile is called once the workers are busy. receive gets each report. lost gets the directories of a worker
        that died, with the reason; others go on. Raises HostError when no process can be started, and whatever
        ``receive`` and ``meanwhile`` raise.
        """
        seen: set[bytes] = set()
        # Objects that exist now aren't touched by the children's collector, so their pages stay shared.
        gc.freeze()
        try:
            self._hand_out(tasks)
            meanwhile()
            while True:
                self._hand_out(tasks)
                if not self._workers:
                    return
                ready, _write, _error = select.select(list(self._workers), [], [], self._deadline.remaining(_GRACE))
                if not ready:
                    self._give_up(tasks, lost)
                    return
                for descriptor in ready:
                    worker = self._workers[descriptor]
                    try:
                        finished, report = worker.receive()
                    except EOFError:
                        lost(worker.share, self._bury(worker))
                        continue
                    for directory in report.directories:
                        if directory not in seen:
                            seen.add(directory)
                            tasks.add(directory)
                    receive(report)
                    if finished:
                        worker.share = []
        finally:
            self._end()

    def _hand_out(self, tasks: Tasks) -> None:
        while len(self._workers) < self._count and len(tasks) > len(self._workers):
            if not self._start():
                break
        for worker in list(self._workers.values()):
            if not worker.share and len(tasks):
                worker.give(tasks.share())
        if not any(worker.share for worker in self._workers.values()):
            self._end()

    def _start(self) -> bool:
        """Start one more worker; return whether there is one. Those that are there can do the work alone."""
        try:
            worker = _Worker(self._make_scan, list(self._workers.values()))
        except OSError as error:
            if not self._workers:
                raise HostError("no process can be started to read files: %s" % error.strerror) from error
            return False
        self._workers[worker.results] = worker
        return True

    def _give_up(self, tasks: Tasks, lost: t.Callable[[list[bytes], str], None]) -> None:
        """Leave behind workers that did not stop when the time was over, and all that is left to read."""
        reason = self._deadline.reason
        lost(tasks.rest(), reason)
        for worker in self._workers.values():
            lost(worker.share, "%s, and the process that read it did not stop" % reason)

    def _bury(self, worker: _Worker) -> str:
        del self._workers[worker.results]
        return worker.bury()

    def _end(self) -> None:
        """End all workers: idle ones at the end of the work, busy ones when something went wrong here."""
        workers = list(self._workers.values())
        for worker in workers:
            if worker.share:
                os.kill(worker.pid, signal.SIGKILL)
            worker.dismiss()
        for worker in workers:
            self._bury(worker)


class _Worker:
    """One child process as its parent sees it. share: the directories it is at."""

    def __init__(self, make_scan: t.Callable[[], Scan], others: t.Sequence[_Worker]) -> None:
        tasks_read, self._tasks = os.pipe()
        self.results, results_write = os.pipe()
        self.share: list[bytes] = []
        self.error = ""
        self.pid = os.fork()
        if self.pid == 0:
            # A copy of another worker's pipe would keep that worker from noticing its end.
            for other in others:
                os.close(other._tasks)
                os.close(other.results)
            os.close(self._tasks)
            os.close(self.results)
            _work(make_scan, tasks_read, results_write)
        os.close(tasks_read)
        os.close(results_write)

    def give(self, share: list[bytes]) -> None:
        self.share = share
        try:
            _send(self._tasks, pickle.dumps(share, pickle.HIGHEST_PROTOCOL))
        except BrokenPipeError:
            # It died while idle; reading its results will tell.
            return

    def receive(self) -> tuple[bool, Report]:
        """Return whether the share is finished, and a report. EOFError when the worker is dead."""
        kind, data = _receive(self.results)
        if kind == _FAILED:
            self.error = data.decode("utf-8", "replace")
            raise EOFError
        return kind == _FINISHED, pickle.loads(data)  # noqa: S301

    def dismiss(self) -> None:
        """Tell the worker, if it still listens, that there is nothing more to do."""
        if self._tasks >= 0:
            os.close(self._tasks)
            self._tasks = -1

    def bury(self) -> str:
        """Wait for the worker's end and return how it ended."""
        self.dismiss()
        os.close(self.results)
        status = _ended(self.pid)
        if status is None:
            return "the process that read it does not end, not even when it is killed"
        if os.WIFSIGNALED(status):
            number = os.WTERMSIG(status)
            hint = " (out of memory?)" if number == signal.SIGKILL else ""
            return "the process that read it was ended by signal %d%s" % (number, hint)
        return "the process that read it failed: %s" % (self.error or "status %d" % os.WEXITSTATUS(status))


def _ended(pid: int) -> int | None:
    """Return a child's wait status; None when it hangs in the kernel, where no signal reaches it."""
    end = time.monotonic() + _PATIENCE
    while time.monotonic() < end:
        ended, status = os.waitpid(pid, os.WNOHANG)
        if ended:
            return status
        time.sleep(_POLL)
    return None


def _work(make_scan: t.Callable[[], Scan], tasks: int, results: int) -> t.NoReturn:
    """Do a child's work and end it, without ever returning into the parent's code."""
    status = 1
    # What a scan makes has no cycles; looking for them would only cost time.
    gc.disable()
    try:
        _serve(make_scan(), tasks, results)
        status = 0
    except BrokenPipeError:
        status = 0  # The parent is gone: nobody is left to tell.
    except BaseException as error:  # noqa: BLE001
        _send(results, repr(error).encode("utf-8", "backslashreplace"), _FAILED)
    finally:
        os._exit(status)


def _serve(scan: Scan, tasks: int, results: int) -> None:
    scan.flush = lambda: _report(scan, results, _MORE)
    while True:
        try:
            _finished, data = _receive(tasks)
        except EOFError:
            return
        for directory in pickle.loads(data):  # noqa: S301
            scan.scan(directory)
            if scan.report.weight > _REPORT_LIMIT:
                scan.flush()
        _report(scan, results, _FINISHED)


def _report(scan: Scan, results: int, kind: int) -> None:
    _send(results, pickle.dumps(scan.report, pickle.HIGHEST_PROTOCOL), kind)
    scan.report = Report()


def _send(descriptor: int, data: bytes, kind: int = _FINISHED) -> None:
    view = memoryview(_FRAME.pack(len(data), kind) + data)
    while view:
        view = view[os.write(descriptor, view) :]


def _receive(descriptor: int) -> tuple[int, bytes]:
    """Return the kind and content of the next message; EOFError when the other side is gone."""
    length, kind = _FRAME.unpack(_read(descriptor, _FRAME.size))
    return kind, _read(descriptor, length)


def _read(descriptor: int, length: int) -> bytes:
    parts = bytearray()
    while len(parts) < length:
        data = os.read(descriptor, length - len(parts))
        if not data:
            raise EOFError
        parts += data
    return bytes(parts)
