# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An HTTP/1.1 server over TLS on the loopback that records requests and can be made to fail."""

from __future__ import annotations

import collections
import contextlib
import functools
import http.client
import http.server
import pathlib
import socket
import socketserver
import ssl
import struct
import threading
import types
import typing as t

from tests.support.receivers.certificates import Issued
from tests.support.receivers.exchange import Application, BadBodyError, Reply, Request, json_reply
from tests.support.receivers.faults import Fault

# A client that sends nothing for so long is gone.
_IDLE = 60
# More than any documented limit: what the tests send is smaller, and an error of theirs shall not fill the memory.
_LARGEST_BODY = 64_000_000


class ReceiverServer:
    """A receiver in threads of this process; a context manager.

    issued: its certificate; None for plain HTTP. authority: the file of the authority by which it judges certificates
    of clients, which are then required. port: 0 for any that is free. context: in place of both, for other versions of
    TLS. silent: it accepts connections, but says nothing, not even in the handshake.
    """

    def __init__(
        self,
        application: Application,
        issued: Issued | None = None,
        *,
        authority: pathlib.Path | None = None,
        port: int = 0,
        context: ssl.SSLContext | None = None,
        silent: bool = False,
    ) -> None:
        self.requests: list[Request] = []
        self.handshakes_refused: list[str] = []
        self.connections = 0
        self.stopping = threading.Event()
        self._application = application
        self._faults: collections.deque[Fault] = collections.deque()
        self._always: Fault | None = None
        self._lock = threading.Lock()
        self._open: set[socket.socket] = set()
        self._context = context or (_server_context(issued, authority) if issued else None)
        self._silent = silent
        self._server = _Server(("127.0.0.1", port), functools.partial(_Handler, self), self)
        self.port = int(self._server.server_address[1])
        self.url = f"{'https' if self._context else 'http'}://127.0.0.1:{self.port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), name="receiver")

    def __enter__(self) -> t.Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: types.TracebackType | None
    ) -> None:
        self.stop()

    def stop(self) -> None:
        """End all connections and threads; a second time does nothing."""
        if self.stopping.is_set():
            return
        self.stopping.set()
        self._server.shutdown()
        self._thread.join()
        with self._lock:
            for connection in self._open:
                with contextlib.suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)
        self._server.server_close()

    def fail(self, fault: Fault, times: int = 1) -> None:
        """Handle the next requests by a fault."""
        self._faults.extend([fault] * times)

    def fail_always(self, fault: Fault | None) -> None:
        """Handle each request by a fault, until None."""
        self._always = fault

    def next_fault(self) -> Fault | None:
        with self._lock:
            return self._faults.popleft() if self._faults else self._always

    def process(self, request: Request) -> Reply:
        """Record a request and hand it to the application, one at a time."""
        with self._lock:
            try:
                return self._application(request)
            except BadBodyError as error:
                return json_reply(400, {"error": str(error)})

    def record(self, request: Request) -> None:
        with self._lock:
            self.requests.append(request)

    def secure(self, connection: socket.socket) -> socket.socket | None:
        """Do the handshake; None when it failed."""
        connection.settimeout(_IDLE)
        with self._lock:
            self.connections += 1
            self._open.add(connection)
        if self._silent:
            self.stopping.wait()
            return None
        if self._context is None:
            return connection
        try:
            return self._handshake(connection, self._context)
        except OSError as error:
            with self._lock:
                self.handshakes_refused.append(str(error))
            return None

    def _handshake(self, connection: socket.socket, context: ssl.SSLContext) -> socket.socket:
        secured = context.wrap_socket(connection, server_side=True, do_handshake_on_connect=False)
        with self._lock:
            # It took over the descriptor of the connection.
            self._open.discard(connection)
            self._open.add(secured)
        try:
            secured.do_handshake()
        except BaseException:
            self.forget(secured)
            secured.close()
            raise
        return secured

    def forget(self, connection: socket.socket) -> None:
        with self._lock:
            self._open.discard(connection)


class Exchange:
    """One request and the reply to it, for faults."""

    def __init__(self, handler: _Handler) -> None:
        self._handler = handler
        self._server = handler.receiver
        self._request: Request | None = None
        self.connection = handler.connection

    @property
    def request(self) -> Request:
        """The request, read whole."""
        if self._request is None:
            self._request = self._handler.read_request()
            self._server.record(self._request)
        return self._request

    def process(self) -> Reply:
        """Hand the request to the application, and return its reply."""
        return self._server.process(self.request)

    def encode(self, reply: Reply) -> bytes:
        """Return a reply as bytes."""
        lines = [f"HTTP/1.1 {reply.status} {http.client.responses.get(reply.status, 'Unknown')}"]
        lines += [f"{name}: {value}" for name, value in reply.headers.items()]
        if reply.status != 204:
            lines.append(f"Content-Length: {len(reply.body)}")
        return "\r\n".join([*lines, "", ""]).encode("latin-1") + reply.body

    def send(self, reply: Reply) -> None:
        """Send a reply."""
        self.write(self.encode(reply))

    def write(self, data: bytes) -> None:
        """Send bytes."""
        self.connection.sendall(data)

    def read(self, size: int) -> bytes:
        """Read at most so many bytes of the body."""
        return self._handler.rfile.read(min(size, self._handler.length()))

    def pause(self, seconds: float | None) -> bool:
        """Wait, until the server stops at the latest (None for until then); return whether it stops."""
        return self._server.stopping.wait(seconds)

    def close(self) -> None:
        """End the connection in order."""
        self._handler.close_connection = True

    def reset(self) -> None:
        """End the connection with a reset."""
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._handler.close_connection = True
        # Without the layer of TLS, which would say goodbye, and before the handler's shutdown, which would send a FIN.
        socket.socket(fileno=self.connection.detach()).close()


class _Server(socketserver.ThreadingMixIn, socketserver.TCPServer):
    allow_reuse_address = True
    request_queue_size = 128

    def __init__(
        self,
        address: tuple[str, int],
        handler: t.Callable[[t.Any, t.Any, socketserver.BaseServer], socketserver.BaseRequestHandler],
        receiver: ReceiverServer,
    ) -> None:
        super().__init__(address, handler)
        self._receiver = receiver

    def finish_request(self, request: t.Any, client_address: t.Any) -> None:
        secured = self._receiver.secure(request)
        if secured is None:
            return
        try:
            # A client that goes away, or a fault that ended the connection, is no error of the receiver.
            with contextlib.suppress(OSError, ValueError):
                super().finish_request(secured, client_address)
        finally:
            self._receiver.forget(secured)
            if secured is not request:
                _say_goodbye(secured)

    def shutdown_request(self, request: t.Any) -> None:
        self._receiver.forget(request)
        super().shutdown_request(request)


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def __init__(
        self, receiver: ReceiverServer, request: t.Any, client_address: t.Any, server: socketserver.BaseServer
    ) -> None:
        self.receiver = receiver
        super().__init__(request, client_address, server)

    def length(self) -> int:
        return min(int(self.headers.get("Content-Length", 0)), _LARGEST_BODY)

    def read_request(self) -> Request:
        path, _, query = self.path.partition("?")
        secured = self.connection if isinstance(self.connection, ssl.SSLSocket) else None
        certificate = secured.getpeercert() if secured else None
        body = self.rfile.read(self.length())
        if len(body) < self.length():
            raise ConnectionAbortedError("the client went away within its request")
        headers = {name.lower(): value for name, value in self.headers.items()}
        tls = secured.version() if secured else None
        return Request(self.command, path, query, headers, body, tls, _common_name(certificate))

    def handle_request(self) -> None:
        exchange = Exchange(self)
        fault = self.receiver.next_fault()
        if fault is not None:
            fault(exchange)
        else:
            exchange.send(exchange.process())
        if self.headers.get("Connection", "").lower() == "close":
            self.close_connection = True

    def __getattr__(self, name: str) -> t.Any:
        # The base class calls do_METHOD; every method is for the application to judge.
        if name.startswith("do_"):
            return self.handle_request
        raise AttributeError(name)

    def log_message(self, *_arguments: t.Any) -> None:
        """Say nothing: the tests read ``requests``."""


def _common_name(certificate: t.Any) -> str | None:
    for part in (certificate or {}).get("subject", ()):
        for name, value in part:
            if name == "commonName":
                return str(value)
    return None


def _say_goodbye(secured: socket.socket) -> None:
    with contextlib.suppress(OSError, ValueError):
        secured.shutdown(socket.SHUT_RDWR)
    secured.close()


def _server_context(issued: Issued, authority: pathlib.Path | None) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_cert_chain(issued.certificate, issued.key)
    if authority is not None:
        context.load_verify_locations(authority)
        context.verify_mode = ssl.CERT_REQUIRED
    return context
