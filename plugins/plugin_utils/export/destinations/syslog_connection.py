# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Connections to a syslog receiver, plain or by TLS, and their end: whether the receiver read all that was written."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import socket
import ssl
import time
import typing as t

from ansible_collections.bulwark.servers.plugins.plugin_utils.export.destinations.syslog_tls_stream import TlsStream
from ansible_collections.bulwark.servers.plugins.plugin_utils.export.receiver import UnavailableError

# A chunk has to be taken within the timeout; larger ones cost memory and save nothing.
_CHUNK = 256 * 1024
# A batch takes at most so many timeouts, however slowly the receiver reads.
_MOST_TIMEOUTS = 5
_PART = 64 * 1024
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


class PlainStream:
    """A connected socket, with the methods of TlsStream."""

    def __init__(self, connection: socket.socket) -> None:
        self._socket = connection

    def write(self, data: bytes) -> None:
        """Send data whole."""
        self._socket.sendall(data)

    def read(self) -> bytes:
        """Return what comes next; empty after the receiver's end."""
        return self._socket.recv(_PART)

    def end(self) -> None:
        """Send the end of TCP."""
        self._socket.shutdown(socket.SHUT_WR)


class Connection:
    """An open connection; every method raises UnavailableError, whose message is for people."""

    def __init__(self, peer: Peer) -> None:
        self._peer = peer
        self._end = time.monotonic() + _MOST_TIMEOUTS * peer.timeout
        with self._explained("cannot be reached"):
            self._socket = socket.create_connection((peer.address, peer.port), peer.timeout)
        self._stream: PlainStream | TlsStream = PlainStream(self._socket)
        if peer.context is None:
            return
        try:
            with self._explained("makes no TLS connection"):
                self._stream = TlsStream(self._socket, peer.context, peer.server_name)
        except UnavailableError:
            self._socket.close()
            raise

    def write(self, frames: t.Iterable[bytes]) -> None:
        """Write all frames. If the receiver ended with an alert of TLS, the error is this alert."""
        try:
            with self._explained("stopped reading"):
                for chunk in _chunks(frames):
                    self._check_time()
                    self._stream.write(chunk)
        except UnavailableError:
            with self._explained("refuses the connection", ssl.SSLError):
                self._refuse_input()
            raise

    def read(self) -> bytes:
        """Return what the receiver sends next; empty at its end."""
        self._check_time()
        with self._explained("stopped answering"):
            return self._stream.read()

    def finish(self, patience: float = 0) -> None:
        """End the connection in order and return after the receiver did so, too.

        patience: seconds in which the receiver may end first, which refuses the batch.

        A receiver that closes with something unread, or that is sent something after it closed, makes its kernel reset
        the connection (RFC 1122, 4.2.2.13; RFC 2525, 2.17). Without a reset, its program read everything. An end
        without TLS's close_notify counts as one with it: rsyslog never sends close_notify.
        """
        with self._explained("closed the connection before it read everything"):
            self._refuse_input(patience)
            self._stream.end()
            self._expect_end(self._stream.read())
            # After the receiver's close_notify comes the end of TCP.
            self._expect_end(self._socket.recv(_PART))
            self._await_acknowledgement()

    def close(self) -> None:
        """Let go of the connection, whatever its state."""
        with contextlib.suppress(OSError):
            self._socket.close()

    def _refuse_input(self, patience: float = 0) -> None:
        """Raise OSError if the receiver has already ended the connection, or says why it refuses."""
        self._socket.settimeout(patience)
        try:
            self._expect_end(self._stream.read())
        except (BlockingIOError, TimeoutError):
            return
        finally:
            self._socket.settimeout(self._peer.timeout)
        raise ConnectionResetError("it ended the connection before us")

    def _expect_end(self, part: bytes) -> None:
        """Raise UnavailableError for data: whoever answers speaks another protocol and took nothing for a message."""
        if part:
            raise UnavailableError(f"{self._peer} sends data, as no syslog receiver does; check address and port")

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
    def _explained(self, what: str, kind: type[OSError] = OSError) -> t.Iterator[None]:
        try:
            yield
        except OSError as error:
            if isinstance(error, kind):
                raise UnavailableError(f"{self._peer} {what}: {self._reason(error)}") from None

    def _reason(self, error: OSError) -> str:
        if isinstance(error, ssl.SSLCertVerificationError):
            return f"its certificate is refused, {error.verify_message.rstrip('.')}"
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
