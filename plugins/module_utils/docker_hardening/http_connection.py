# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""HTTP/1.1 over a socket that never blocks: nothing that the other end claims, sends or leaves out makes it wait."""

from __future__ import annotations

import collections
import contextlib
import errno
import os
import re
import select
import socket
import time
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils.docker_hardening.api_errors import ApiError, HangsError

_STATUS = re.compile(rb"HTTP/1\.[01] ([0-9]{3})(?: |\r?\n)")
_CHUNK = re.compile(rb"([0-9A-Fa-f]{1,8})[ \t]*(?:;[^\r\n]*)?\r?\n\Z")
# An engine with 5,000 containers lists them in 8 MB.
_BODY_LIMIT = 16 * 1024 * 1024
_HEADERS_LIMIT = 64 * 1024
_LINE_LIMIT = 8 * 1024
_DIGITS_LIMIT = 30
_PIECE = 64 * 1024
_PAUSE = 0.02


class ClosedError(ApiError):
    """The other end closed the connection before the end of its answer."""

    def __init__(self) -> None:
        super().__init__("it closed the connection before the end of its answer")


class Connection:
    """Reads answers from a socket that never blocks.

    end: of the current answer, by the monotonic clock. waiting: what was asked and is not answered.
    """

    def __init__(self, connection: socket.socket, end: float) -> None:
        self._socket = connection
        self._buffer = bytearray()
        self.end = end
        self.has_received = False
        self.waiting: collections.deque[str] = collections.deque()

    def close(self) -> None:
        self._socket.close()

    def ask(self, path: str, *, ahead: bool = False) -> None:
        """Ask for a path, unless that is what was asked ahead; what was asked ahead in another order is an error."""
        self.has_received = False
        if self.waiting and not ahead:
            if self.waiting[0] != path:
                raise ConnectionError("another answer is waited for")
            return
        rest = memoryview(b"GET %s HTTP/1.1\r\nHost: docker\r\n\r\n" % path.encode("ascii"))
        while rest:
            self._wait()
            rest = rest[self._socket.send(rest) :]
        self.waiting.append(path)

    def receive(self) -> tuple[int, dict[bytes, bytes], bytes, bool]:
        """Return status, headers by their names in lower case, body, and whether the connection can be used again."""
        self.has_received = bool(self._buffer)
        status = 100
        headers: dict[bytes, bytes] = {}
        room = _HEADERS_LIMIT
        while 100 <= status < 200:
            status, headers, room = self._head(room)
        if headers.get(b"transfer-encoding", b"").lower() == b"chunked":
            body, stays = self._chunked(), True
        elif b"content-length" in headers:
            text = headers[b"content-length"]
            if not text.isdigit() or len(text) > _DIGITS_LIMIT or int(text) > _BODY_LIMIT:
                raise ApiError("its answer is longer than %d bytes" % _BODY_LIMIT)
            body, stays = self._exactly(int(text)), True
        else:
            body, stays = self._to_the_end(), False
        self.waiting.popleft()
        return status, headers, body, stays and headers.get(b"connection", b"").lower() != b"close"

    def _head(self, room: int) -> tuple[int, dict[bytes, bytes], int]:
        line = self._line()
        found = _STATUS.match(line)
        if found is None:
            raise ApiError("it did not answer with HTTP")
        headers: dict[bytes, bytes] = {}
        while True:
            room -= len(line)
            if room < 0:
                raise ApiError("the headers of its answer are longer than %d bytes" % _HEADERS_LIMIT)
            line = self._line()
            if line in (b"\r\n", b"\n"):
                return int(found.group(1)), headers, room - len(line)
            name, _colon, value = line.partition(b":")
            headers[name.strip().lower()] = value.strip()

    def _chunked(self) -> bytes:
        body = bytearray()
        while True:
            found = _CHUNK.match(self._line())
            if found is None:
                raise ApiError("its answer is cut into chunks that cannot be read")
            length = int(found.group(1), 16)
            if len(body) + length > _BODY_LIMIT:
                raise ApiError("its answer is longer than %d bytes" % _BODY_LIMIT)
            if not length:
                break
            body += self._exactly(length)
            if self._line() not in (b"\r\n", b"\n"):
                raise ApiError("its answer is cut into chunks that cannot be read")
        room = _HEADERS_LIMIT
        while True:
            line = self._line()
            room -= len(line)
            if room < 0:
                raise ApiError("the headers of its answer are longer than %d bytes" % _HEADERS_LIMIT)
            if line in (b"\r\n", b"\n"):
                return bytes(body)

    def _line(self) -> bytes:
        while True:
            place = self._buffer.find(b"\n")
            if place >= 0:
                return self._taken(place + 1)
            if len(self._buffer) > _LINE_LIMIT:
                raise ApiError("a line of its answer is longer than %d bytes" % _LINE_LIMIT)
            self._more()

    def _exactly(self, length: int) -> bytes:
        while len(self._buffer) < length:
            self._more()
        return self._taken(length)

    def _to_the_end(self) -> bytes:
        with contextlib.suppress(ClosedError):
            while len(self._buffer) <= _BODY_LIMIT:
                self._more()
            raise ApiError("its answer is longer than %d bytes" % _BODY_LIMIT)
        return self._taken(len(self._buffer))

    def _taken(self, length: int) -> bytes:
        # Also where everything has come: an answer of many small chunks takes long without any wait.
        if time.monotonic() >= self.end:
            raise _hangs()
        taken = bytes(self._buffer[:length])
        del self._buffer[:length]
        return taken

    def _more(self) -> None:
        self._wait(reading=True)
        try:
            piece = self._socket.recv(_PIECE)
        except BlockingIOError:
            return
        if not piece:
            raise ClosedError
        self.has_received = True
        self._buffer += piece

    def _wait(self, *, reading: bool = False) -> None:
        left = self.end - time.monotonic()
        if left <= 0 or not _ready(self._socket, left, reading):
            raise _hangs()


def _hangs() -> HangsError:
    return HangsError("it did not answer in time")


def _ready(connection: socket.socket, seconds: float, reading: bool) -> bool:
    poll = select.poll()
    poll.register(connection, select.POLLIN if reading else select.POLLOUT)
    return bool(poll.poll(max(1.0, seconds * 1000)))


def dial(connection: socket.socket, address: t.Any, end: float) -> None:
    """Connect; a unix socket whose queue is full says so at once, and has to be tried again."""
    while True:
        number = connection.connect_ex(address)
        left = end - time.monotonic()
        if number in (errno.EAGAIN, errno.EINPROGRESS) and left <= 0:
            raise _hangs()
        if number == errno.EAGAIN:
            time.sleep(_PAUSE)
            continue
        if number == errno.EINPROGRESS:
            if not _ready(connection, left, reading=False):
                raise _hangs()
            number = connection.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if number:
            raise OSError(number, os.strerror(number))
        return
