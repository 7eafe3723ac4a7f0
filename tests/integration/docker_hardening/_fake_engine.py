# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Something that listens where an engine would, and answers as a test says."""

from __future__ import annotations

import contextlib
import json
import pathlib
import socket
import threading
import typing as t

# Returns what is sent for the path of a question, piece by piece. The connection is closed after the last one, unless
# they are ``kept``.
Script = t.Callable[[str], t.Iterable[bytes]]

VERSION = {"ApiVersion": "1.45", "MinAPIVersion": "1.24", "Version": "26.1.5", "Components": []}


class FakeEngine:
    """Listens on a unix socket. asked: the first lines of all questions."""

    def __init__(self, path: pathlib.Path, script: Script) -> None:
        self._script = script
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._socket.bind(str(path))
        self._socket.listen(5)
        self._connections: list[socket.socket] = []
        self.asked: list[str] = []
        threading.Thread(target=self._serve, daemon=True).start()

    def close(self) -> None:
        for connection in (self._socket, *self._connections):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
            connection.close()

    def _serve(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _address = self._socket.accept()
                self._connections.append(connection)
                threading.Thread(target=self._answer, args=(connection,), daemon=True).start()

    def _answer(self, connection: socket.socket) -> None:
        with contextlib.suppress(OSError), connection, connection.makefile("rb") as stream:
            while True:
                line = stream.readline().decode("ascii").strip()
                if not line:
                    return
                while stream.readline().strip():
                    pass
                self.asked.append(line)
                is_kept = False
                for piece in self._script(line.split()[1]):
                    is_kept = is_kept or piece.startswith(b"HTTP/1.1 200 OK\r\nContent-Length")
                    connection.sendall(piece)
                if not is_kept:
                    return


def kept(value: t.Any, status: str = "200 OK") -> list[bytes]:
    """Return an answer after which the connection stays open."""
    body = value if isinstance(value, bytes) else json.dumps(value).encode()
    return [b"HTTP/1.1 %s\r\nContent-Length: %d\r\n\r\n" % (status.encode(), len(body)) + body]


def without_version(path: str) -> str:
    """Return the path of a question without the version of the API."""
    return "/" + path.split("/", 2)[2] if path.startswith("/v1.") else path
