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
import fcntl
import mmap
import os
import pickle
import select
import signal
import struct
import typing as t

_ORDER = struct.Struct("=QQ")
_LENGTH = struct.Struct("=Q")
# What it found need not be fetched at once. As much as every user may have; <linux/fcntl.h>, Python 3.10 names it.
_PIPE_BYTES = 1024 * 1024
_F_SETPIPE_SZ = 1031

Work = t.Callable[[bytes, int], t.Any]


class GoneError(Exception):
    """The second process ended, or can't be started."""


class Helper:
    """Does ``work`` with a text and a number at a time in a process of its own, in the order of ``start``."""

    def __init__(self, work: Work, most: int, ahead: int) -> None:
        """most: how many bytes a text may have; ahead: how many may wait to be worked on. Raises GoneError."""
        self._most, self._ahead = most, ahead
        self._started = 0
        self._pid = 0
        try:
            self._shared = mmap.mmap(-1, ahead * most)
            inwards, outwards = os.pipe(), os.pipe()
            with contextlib.suppress(OSError):
                fcntl.fcntl(outwards[1], _F_SETPIPE_SZ, _PIPE_BYTES)
            self._pid = os.fork()
        except OSError as error:
            raise GoneError(str(error)) from error
        if self._pid == 0:
            self._serve(work, inwards, outwards)
        os.close(inwards[0])
        os.close(outwards[1])
        # Without a buffer, in which what ``is_done`` asks for may be already.
        self._to, self._from = inwards[1], os.fdopen(outwards[0], "rb", buffering=0)

    def start(self, text: bytes, number: int) -> None:
        """Let it do this, too. Raises GoneError."""
        place = self._started % self._ahead * self._most
        self._shared[place : place + len(text)] = text
        self._started += 1
        try:
            os.write(self._to, _ORDER.pack(len(text), number))
        except OSError as error:
            raise GoneError(str(error)) from error

    def is_done(self) -> bool:
        """Return whether it has begun to say what it found, or ended."""
        return bool(select.select([self._from], [], [], 0)[0])

    def found(self) -> t.Any:
        """Wait for what the work returned that was started first. Raises GoneError."""
        length = _LENGTH.unpack(self._read(_LENGTH.size))[0]
        return pickle.loads(self._read(length))  # noqa: S301 - nobody else has the other end of the pipe

    def _read(self, length: int) -> bytearray:
        content = bytearray()
        while len(content) < length:
            part = self._from.read(length - len(content))
            if not part:
                raise GoneError("it ended")
            content += part
        return content

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
                for order in iter(lambda: orders.read(_ORDER.size), b""):
                    length, number = _ORDER.unpack(order)
                    place = self._started % self._ahead * self._most
                    self._started += 1
                    content = pickle.dumps(work(self._shared[place : place + length], number), protocol=4)
                    answers.write(_LENGTH.pack(len(content)))
                    answers.write(content)
                    answers.flush()
            status = 0
        finally:
            # Whatever went wrong is said by whoever does the work again. Nothing of this process's may be finished
            # twice: buffers, files, the module's result.
            os._exit(status)  # pylint: disable=protected-access
