# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Connections to a syslog receiver, plain or by TLS, and their end: whether the receiver read all that was written."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import selectors
import socket
import ssl
import time
import typing as t

from ansible_collections.bulwark.servers.plugins.plugin_utils.export.receiver import UnavailableError

# A chunk has to be taken within the timeout; larger ones cost memory and save nothing.
_CHUNK = 256 * 1024
# A batch takes at most so many timeouts, however slowly the receiver reads.
_MOST_TIMEOUTS = 5
# A syslog receiver says nothing; one that does is not read for ever.
_UNREAD_LIMIT = 64 * 1024
_PAUSE = 0.002
# TCP_CLOSE of the kernel's include/net/tcp_states.h; the first byte of struct tcp_info (tcp(7)) is the state.
_STATE_CLOSED = 7


@dataclasses.dataclass(frozen=True)
class Peer:
    """A receiver to connect to.

    timeout: seconds for connecting, for each part of a batch, and for closing. context: for TLS, None for plain TCP.
    server_name: the name that the certificate must have; it goes with ``context``.
    """

    address: str
    port: int
    timeout: float
    context: ssl.SSLContext | None = None
    server_name: str = ""

    def __str__(self) -> str:
        host = f"[{self.address}]" if ":" in self.address else self.address
        return f"{host}:{self.port}"


class Connection:
    """An open connection; every method raises UnavailableError, whose message is for people."""

    def __init__(self, peer: Peer) -> None:
        self._peer = peer
        self._end = time.monotonic() + _MOST_TIMEOUTS * peer.timeout
        with self._explained("cannot be reached"):
            self._socket = socket.create_connection((peer.address, peer.port), peer.timeout)
        if peer.context is None:
            return
        try:
            with self._explained("cannot be trusted"):
                self._socket = peer.context.wrap_socket(self._socket, server_hostname=peer.server_name)
        except UnavailableError:
            self._socket.close()
            raise

    def write(self, frames: t.Iterable[bytes]) -> None:
        """Write all frames."""
        with self._explained("stopped reading"):
            for chunk in _chunks(frames):
                self._check_time()
                self._socket.sendall(chunk)

    def read(self) -> bytes:
        """Return what the receiver sends next, at most 64 KB; empty at its end."""
        self._check_time()
        with self._explained("stopped answering"):
            return self._socket.recv(_UNREAD_LIMIT)

    def finish(self) -> None:
        """End the connection in order and return after the receiver did so, too.

        A receiver that closes with something unread, or that is sent something after it closed, makes its kernel reset
        the connection (RFC 1122, 4.2.2.13; RFC 2525, 2.17). Without a reset, its program read everything. An end
        without TLS's close_notify counts as one with it: rsyslog never sends close_notify.
        """
        with self._explained("closed the connection before it read everything"):
            _refuse_input(self._socket)
            secured = self._socket if isinstance(self._socket, ssl.SSLSocket) else None
            has_ended = secured is None or _send_close_notify(secured, self._peer.timeout)
            # Of the plain socket: that of SSLSocket forgets TLS's state.
            socket.socket.shutdown(self._socket, socket.SHUT_WR)
            self._socket.settimeout(self._peer.timeout)
            if secured is not None and not has_ended:
                _await_close_notify(secured)
            self._drain()
            self._await_acknowledgement()

    def close(self) -> None:
        """Let go of the connection, whatever its state."""
        with contextlib.suppress(OSError):
            self._socket.close()

    def _drain(self) -> None:
        unread = 0
        while part := socket.socket.recv(self._socket, _UNREAD_LIMIT):
            unread += len(part)
            self._check_time()
            if unread > _UNREAD_LIMIT:
                raise UnavailableError(
                    f"{self._peer} sends data, which no syslog receiver does; check address and port"
                )

    def _await_acknowledgement(self) -> None:
        """Wait until the receiver's kernel has acknowledged our end; a reset for what came too late raises OSError."""
        end = time.monotonic() + self._peer.timeout
        while True:
            error = self._socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
            if error:
                raise OSError(error, os.strerror(error))
            if not hasattr(socket, "TCP_INFO"):
                return  # only Linux says more; elsewhere a reset after the end goes unseen
            if self._socket.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0] == _STATE_CLOSED:
                return
            if time.monotonic() > end:
                raise TimeoutError
            time.sleep(_PAUSE)

    def _check_time(self) -> None:
        if time.monotonic() > self._end:
            seconds = _MOST_TIMEOUTS * self._peer.timeout
            raise UnavailableError(f"{self._peer} took more than {seconds:g} seconds for a batch; it is too slow")

    @contextlib.contextmanager
    def _explained(self, what: str) -> t.Iterator[None]:
        try:
            yield
        except OSError as error:
            raise UnavailableError(f"{self._peer} {what}: {self._reason(error)}") from None

    def _reason(self, error: OSError) -> str:
        if isinstance(error, ssl.SSLCertVerificationError):
            return f"its certificate is refused, {error.verify_message}"
        if isinstance(error, TimeoutError):
            return f"nothing happened for {self._peer.timeout:g} seconds"
        if isinstance(error, ssl.SSLError) and error.reason:
            return error.reason.replace("_", " ").lower()
        return error.strerror or str(error) or type(error).__name__


def _chunks(frames: t.Iterable[bytes]) -> t.Iterator[bytes]:
    chunk: list[bytes] = []
    size = 0
    for frame in frames:
        chunk.append(frame)
        size += len(frame)
        if size >= _CHUNK:
            yield b"".join(chunk)
            chunk, size = [], 0
    if chunk:
        yield b"".join(chunk)


def _refuse_input(connection: socket.socket) -> None:
    """Raise OSError if the receiver has already ended the connection, or says why it refuses."""
    connection.setblocking(False)
    try:
        if not connection.recv(_UNREAD_LIMIT):
            raise ConnectionResetError("it ended the connection before us")
    except (BlockingIOError, ssl.SSLWantReadError):
        pass


def _send_close_notify(connection: ssl.SSLSocket, timeout: float) -> bool:
    """Send TLS's end and return whether the receiver's is there already.

    It does not wait for it: some receivers end only after the end of TCP. The connection must not be blocking.
    """
    while True:
        try:
            connection.unwrap()
        except ssl.SSLWantReadError:
            return False
        except ssl.SSLWantWriteError:
            with selectors.DefaultSelector() as selector:
                selector.register(connection, selectors.EVENT_WRITE)
                if not selector.select(timeout):
                    raise TimeoutError from None
        else:
            return True


def _await_close_notify(connection: ssl.SSLSocket) -> None:
    """Wait for the receiver's end, with or without close_notify; a reset raises OSError."""
    try:
        connection.unwrap()
    except ssl.SSLEOFError:
        pass
    except OSError as error:
        # OpenSSL 1.1.1 has no error of its own for an end without close_notify.
        if error.errno != 0:
            raise
