# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A second process that does a part of the work; it knows what this one knew when it was started.

What it works on comes to it in memory that both share, what it found comes back through a pipe. It ends when this
process does, since nobody writes to its pipe any more, and nothing depends on it: who waits for what it found is told
that it is gone, and does the work again.
"""

from __future__ import annotations

import contextlib
import mmap
import os
import pickle
import select
import signal
import struct
import typing as t

_SIZES = struct.Struct("=QQQ")
_LENGTH = struct.Struct("=Q")

Work = t.Callable[[bytes, bytes, int], t.Any]


class GoneError(Exception):
    """The second process ended, or can't be started."""


class Helper:
    """Does ``work`` with two texts and a number at a time in a process of its own."""

    def __init__(self, work: Work, most: int) -> None:
        """most: how many bytes a text may have. Raises GoneError."""
        self.most = most
        self._pid = 0
        try:
            self._shared = mmap.mmap(-1, 2 * most)
            inwards, outwards = os.pipe(), os.pipe()
            self._pid = os.fork()
        except OSError as error:
            raise GoneError(str(error)) from error
        if self._pid == 0:
            self._serve(work, inwards, outwards)
        os.close(inwards[0])
        os.close(outwards[1])
        self._to, self._from = inwards[1], os.fdopen(outwards[0], "rb")

    def start(self, first: bytes, second: bytes, number: int) -> None:
        """Let it begin. Raises GoneError."""
        self._shared[: len(first)] = first
        self._shared[self.most : self.most + len(second)] = second
        try:
            os.write(self._to, _SIZES.pack(len(first), len(second), number))
        except OSError as error:
            raise GoneError(str(error)) from error

    def is_done(self) -> bool:
        """Return whether it has begun to say what it found, or ended."""
        return bool(select.select([self._from], [], [], 0)[0])

    def found(self) -> t.Any:
        """Wait for what the work that was started returned. Raises GoneError."""
        header = self._from.read(_LENGTH.size)
        if len(header) == _LENGTH.size:
            length = _LENGTH.unpack(header)[0]
            content = self._from.read(length)
            if len(content) == length:
                return pickle.loads(content)  # noqa: S301 - nobody else has the other end of the pipe
        raise GoneError("it ended")

    def close(self) -> None:
        """End it."""
        if not self._pid:
            return
        os.close(self._to)
        self._from.close()
        with contextlib.suppress(OSError):
            # Where ends of children are ignored (SIGCHLD), the number of one that ended may be another process's.
            if os.waitpid(self._pid, os.WNOHANG)[0] == 0:
                os.kill(self._pid, signal.SIGKILL)
                os.waitpid(self._pid, 0)
        self._pid = 0
        self._shared.close()

    def _serve(self, work: Work, inwards: tuple[int, int], outwards: tuple[int, int]) -> t.NoReturn:
        status = 1
        try:
            os.close(inwards[1])
            os.close(outwards[0])
            with os.fdopen(inwards[0], "rb") as orders, os.fdopen(outwards[1], "wb") as answers:
                for sizes in iter(lambda: orders.read(_SIZES.size), b""):
                    first, second, number = _SIZES.unpack(sizes)
                    found = work(self._shared[:first], self._shared[self.most : self.most + second], number)
                    content = pickle.dumps(found, protocol=4)
                    answers.write(_LENGTH.pack(len(content)))
                    answers.write(content)
                    answers.flush()
            status = 0
        finally:
            # Whatever went wrong is said by whoever does the work again. Nothing of this process's may be finished
            # twice: buffers, files, the module's result.
            os._exit(status)  # pylint: disable=protected-access
