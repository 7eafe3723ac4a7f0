# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""TLS over a socket, with an end of each side of its own.

ssl.SSLSocket.unwrap waits for the receiver's end within OpenSSL's SSL_shutdown, which takes a fatal alert for an
orderly end: a receiver that refuses a batch for want of a client certificate would seem to have accepted it. Here the
receiver's end is read as data is, and an alert raises ssl.SSLError.
"""

from __future__ import annotations

import contextlib
import socket
import ssl

_PART = 64 * 1024


class TlsStream:
    """A TLS client on a connected socket, whose timeout holds for every part; raises OSError."""

    def __init__(self, connection: socket.socket, context: ssl.SSLContext, server_name: str) -> None:
        """Make the handshake; raises ssl.SSLCertVerificationError for a receiver that the context does not trust."""
        self._socket = connection
        self._incoming = ssl.MemoryBIO()
        self._outgoing = ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_hostname=server_name)
        while True:
            try:
                self._tls.do_handshake()
            except ssl.SSLWantReadError:
                self._flush()
                self._fill()
            except ssl.SSLError:
                with contextlib.suppress(OSError):
                    self._flush()  # the alert that tells the receiver why
                raise
            else:
                break
        self._flush()

    def write(self, data: bytes) -> None:
        """Send data whole."""
        view = memoryview(data)
        while view:
            view = view[self._tls.write(view) :]
            self._flush()

    def read(self) -> bytes:
        """Return what comes next; empty after the receiver's end, with or without close_notify."""
        while True:
            try:
                return self._tls.read(_PART)
            except ssl.SSLWantReadError:
                self._flush()
                self._fill()
            except (ssl.SSLZeroReturnError, ssl.SSLEOFError):
                return b""

    def end(self) -> None:
        """Send close_notify and the end of TCP: some receivers wait for the one, some for the other.

        All that arrived must have been read, or its alert would be lost.
        """
        with contextlib.suppress(ssl.SSLWantReadError):
            self._tls.unwrap()
        self._flush()
        self._socket.shutdown(socket.SHUT_WR)

    def _flush(self) -> None:
        data = self._outgoing.read()
        if data:
            self._socket.sendall(data)

    def _fill(self) -> None:
        part = self._socket.recv(_PART)
        if part:
            self._incoming.write(part)
        else:
            self._incoming.write_eof()
