# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A bound for a whole request. Timeouts of sockets bound one read each, so that a reply by drops never ends."""

from __future__ import annotations

import contextlib
import os
import socket
import threading
import typing as t


class Deadline:
    """Ends the connections of a client when a request takes too long. For one request at a time."""

    def __init__(self) -> None:
        self.passed = False
        self._lock = threading.Lock()
        self._connections: dict[int, socket.socket] = {}

    def watch(self, connection: socket.socket) -> int:
        """Keep a handle of a connection, under which TLS may come later; return the handle's number."""
        # TLS takes over the descriptor of its socket, a copy of it stays valid; a shutdown of either ends both.
        copy = socket.socket(fileno=os.dup(connection.fileno()))
        with self._lock:
            self._connections[id(copy)] = copy
            if self.passed:
                _end(copy)
        return id(copy)

    def forget(self, number: int) -> None:
        """Let go of a connection."""
        with self._lock:
            copy = self._connections.pop(number, None)
        if copy is not None:
            copy.close()

    @contextlib.contextmanager
    def within(self, seconds: float) -> t.Iterator[None]:
        """End all connections if the block takes longer; ``passed`` then says so."""
        self.passed = False
        timer = threading.Timer(seconds, self._pass)
        timer.daemon = True
        timer.start()
        try:
            yield
        finally:
            timer.cancel()
            timer.join()

    def _pass(self) -> None:
        with self._lock:
            self.passed = True
            for copy in self._connections.values():
                _end(copy)


def _end(connection: socket.socket) -> None:
    with contextlib.suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)
