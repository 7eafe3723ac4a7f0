# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ask a Docker Engine over its socket: HTTP/1.1, GET only, every answer bounded in bytes, time and values.

Whoever listens there may send anything: nothing is believed of a length, a depth or a type that the answer claims.
"""

from __future__ import annotations

import json
import re
import socket
import struct
import time
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils._finding import printable
from ansible_collections.bulwark.servers.plugins.module_utils._run import Deadline
from ansible_collections.bulwark.servers.plugins.module_utils.docker_hardening import json_numbers
from ansible_collections.bulwark.servers.plugins.module_utils.docker_hardening.api_errors import (
    ApiError,
    GoneError,
    HangsError,
    TlsError,
)
from ansible_collections.bulwark.servers.plugins.module_utils.docker_hardening.http_connection import (
    ClosedError,
    Connection,
    dial,
)

# The newest version of the API whose answers the checks were written for.
NEWEST = (1, 51)
_VERSION = re.compile(r"([0-9]{1,3})\.([0-9]{1,3})\Z")

# Each value takes about 100 bytes once it is parsed, more than the two bytes that it may have in the answer.
_VALUES_LIMIT = 1_000_000
_MESSAGE_LIMIT = 200
_ERROR_LIMIT = 64 * 1024
# How many questions wait for an engine.
_AHEAD = 16
_NOT_FOUND = 404
_OK = 200
_BAD_REQUEST = 400
# Go says this to whoever comes without TLS.
_WANTS_TLS = b"HTTP request to an HTTPS server"

_UCRED = struct.Struct("=iII")


class Allowance:
    """What all engines of a host may answer together: whoever calls a process dockerd may send as much as time allows.

    An engine with 5,000 containers and 2,000 images has 100 MB with two million values.
    """

    def __init__(self, size: int = 192 * 1024 * 1024, values: int = 4_000_000) -> None:
        self._size = size
        self._values = values

    def take(self, body: bytes) -> None:
        """Note an answer before it is parsed; ApiError where it is too much."""
        values = body.count(b",") + body.count(b"[") + body.count(b"{")
        if values > _VALUES_LIMIT:
            raise ApiError("its answer has more than %d values" % _VALUES_LIMIT)
        if len(body) > self._size or values > self._values:
            raise ApiError("its answers are longer than all engines of a host may answer together")
        self._size -= len(body)
        self._values -= values


class Client:
    """One connection to an engine. Each question raises ApiError; after one that hangs, no more is asked."""

    def __init__(
        self,
        connect: t.Callable[[], t.ContextManager[tuple[int, t.Any]]],
        deadline: Deadline,
        seconds: float,
        accepts: t.Callable[[socket.socket], str | None] = lambda _connection: None,
        allowance: Allowance | None = None,
    ) -> None:
        """connect: yields family and address. seconds: for each answer, within the deadline of all of them.

        accepts: returns why the other end of a connection is not the one to ask, None where it is.
        """
        self._connect = connect
        self._deadline = deadline
        self._seconds = seconds
        self._accepts = accepts
        self._allowance = allowance or Allowance()
        self._connection: Connection | None = None
        self._hangs: str | None = None
        self._headers: dict[bytes, bytes] = {}
        self.prefix = ""

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def version(self) -> dict[str, t.Any]:
        """Return ``GET /version``; what is asked afterwards is in a version that the engine and this code have."""
        answer = self.get("/version")
        newest = parse_version(answer.get("ApiVersion")) if isinstance(answer, dict) else None
        if newest is None:
            raise ApiError("it did not answer as a Docker Engine does")
        oldest = parse_version(answer.get("MinAPIVersion")) or (1, 0)
        self._use(newest, oldest)
        return t.cast("dict[str, t.Any]", answer)

    def ping(self) -> None:
        """Learn the version of the API in another way: Docker 26 fails at /version where rootlesskit has no network."""
        self._asked("/_ping")
        newest = parse_version(self._headers.get(b"api-version", b"").decode("ascii", "replace"))
        if newest is None:
            raise ApiError("it did not answer as a Docker Engine does")
        self._use(newest, (1, 0))

    def _use(self, newest: tuple[int, int], oldest: tuple[int, int]) -> None:
        self.prefix = "/v%d.%d" % min(newest, max(NEWEST, oldest))

    def object(self, path: str) -> dict[str, t.Any]:
        return as_object(self.get(path))

    def objects(self, path: str) -> list[dict[str, t.Any]]:
        return as_objects(self.get(path))

    def each(self, paths: t.Sequence[str]) -> t.Iterator[t.Any]:
        """Yield the JSON of each answer, or an ApiError; the engine works on the next while one is read."""
        for number, path in enumerate(paths):
            self._ask_ahead(paths[number : number + _AHEAD])
            try:
                answer = self.get(path)
            except ApiError as error:
                answer = error
            yield answer

    def get(self, path: str) -> t.Any:
        """Return the JSON of an answer."""
        body = self._asked(path)
        self._allowance.take(body)
        return _parsed(body)

    def _asked(self, path: str) -> bytes:
        if self._hangs is not None:
            raise HangsError(self._hangs)
        try:
            status, body = self._answer(path)
        except HangsError as error:
            self._hangs = str(error)
            self.close()
            raise
        except ApiError:
            self.close()
            raise
        except (OSError, ValueError) as error:
            self.close()
            raise ApiError(_said(error)) from error
        if status == _OK:
            return body
        if status == _BAD_REQUEST and _WANTS_TLS in body[:_MESSAGE_LIMIT]:
            raise TlsError("it answers over TLS only")
        message = "it answered %s with status %d%s" % (path.partition("?")[0], status, _message(body))
        raise GoneError(message) if status == _NOT_FOUND else ApiError(message)

    def _ask_ahead(self, paths: t.Sequence[str]) -> None:
        if self._connection is not None:
            try:
                for path in paths[len(self._connection.waiting) :]:
                    self._connection.ask(self.prefix + path, ahead=True)
            except (OSError, ApiError):
                self.close()

    def _answer(self, path: str) -> tuple[int, bytes]:
        left = self._deadline.remaining(0.0)
        end = time.monotonic() + (self._seconds if left is None else min(self._seconds, left))
        is_reused = self._connection is not None
        while True:
            if self._connection is None:
                self._connection = self._connected(end)
            connection = self._connection
            connection.end = end
            try:
                connection.ask(self.prefix + path)
                status, self._headers, body, stays = connection.receive()
            except (OSError, ClosedError) as error:
                self.close()
                # An engine closes a connection that was idle; one that has sent a part of its answer has failed.
                if not is_reused or connection.has_received or isinstance(error, HangsError):
                    raise
                is_reused = False
                continue
            if not stays:
                self.close()
            return status, body

    def _connected(self, end: float) -> Connection:
        with self._connect() as (family, address):
            connection = socket.socket(family, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
            try:
                connection.setblocking(False)
                dial(connection, address, end)
                refusal = self._accepts(connection)
            except BaseException:
                connection.close()
                raise
        if refusal is not None:
            connection.close()
            raise ApiError(refusal)
        return Connection(connection, end)


def as_object(answer: t.Any) -> dict[str, t.Any]:
    """Return an answer that is to be an object; raise ApiError for one that is not."""
    if isinstance(answer, ApiError):
        raise answer
    if not isinstance(answer, dict):
        raise ApiError("it answered with no JSON object")
    return answer


def as_objects(answer: t.Any) -> list[dict[str, t.Any]]:
    """Return an answer that is to be a list of objects; null is an empty one, as Go writes it."""
    if isinstance(answer, ApiError):
        raise answer
    if answer is None:
        return []
    if not isinstance(answer, list) or not all(isinstance(each, dict) for each in answer):
        raise ApiError("it answered with no list of JSON objects")
    return answer


def peer(connection: socket.socket) -> tuple[int, int]:
    """Return process and account that listen at the other end of a unix socket, process 0 where it has no id here."""
    found = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _UCRED.size)
    pid, uid, _gid = _UCRED.unpack(found)
    return pid, uid


def parse_version(text: t.Any) -> tuple[int, int] | None:
    found = _VERSION.match(text) if isinstance(text, str) else None
    return (int(found.group(1)), int(found.group(2))) if found else None


def _parsed(body: bytes) -> t.Any:
    try:
        return json.loads(body.decode("utf-8", "replace"), parse_int=json_numbers.parse, parse_constant=_no_number)
    except RecursionError as error:
        raise ApiError("its answer is nested too deeply") from error
    except ValueError as error:
        raise ApiError("its answer is not JSON") from error


def _no_number(text: str) -> t.NoReturn:
    raise ValueError("%s is not a number of JSON" % text)


def _message(body: bytes) -> str:
    try:
        answer = _parsed(body) if len(body) <= _ERROR_LIMIT else None
    except ApiError:
        return ""
    message = answer.get("message") if isinstance(answer, dict) else None
    return ": %s" % printable(message[:_MESSAGE_LIMIT]) if isinstance(message, str) else ""


def _said(error: Exception) -> str:
    return "it cannot be asked: %s" % ((isinstance(error, OSError) and error.strerror) or error)
