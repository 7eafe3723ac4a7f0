# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An HTTP proxy on the loopback: CONNECT only, with a name and password by choice."""

from __future__ import annotations

import base64
import contextlib
import select
import socket
import socketserver
import threading
import types
import typing as t


class Proxy:
    """A proxy in threads; a context manager. ``targets`` has ``host:port`` of each tunnel that it opened."""

    def __init__(self, credentials: str | None = None) -> None:
        self.targets: list[str] = []
        self.refused = 0
        self.stopping = threading.Event()
        self.authorization = f"Basic {base64.b64encode(credentials.encode()).decode()}" if credentials else None
        self._server = _Server(("127.0.0.1", 0), _Handler)
        self._server.proxy = self
        self.address = f"127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), name="proxy")

    def __enter__(self) -> t.Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: types.TracebackType | None
    ) -> None:
        self.stopping.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


class _Server(socketserver.ThreadingMixIn, socketserver.TCPServer):
    allow_reuse_address = True
    proxy: Proxy


class _Handler(socketserver.StreamRequestHandler):
    server: _Server
    timeout = 60

    def handle(self) -> None:
        proxy = self.server.proxy
        method, target, headers = self._read_head()
        if method != "CONNECT":
            self.wfile.write(b"HTTP/1.1 405 Method Not Allowed\r\nContent-Length: 0\r\n\r\n")
            return
        if proxy.authorization is not None and headers.get("proxy-authorization") != proxy.authorization:
            proxy.refused += 1
            self.wfile.write(b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n")
            return
        proxy.targets.append(target)
        host, _, port = target.rpartition(":")
        with contextlib.suppress(OSError), socket.create_connection((host, int(port)), timeout=60) as upstream:
            self.wfile.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
            self._forward(upstream)

    def _read_head(self) -> tuple[str, str, dict[str, str]]:
        method, target, _version = self.rfile.readline(4_096).decode("latin-1").split(" ", 2)
        headers = {}
        while line := self.rfile.readline(4_096).strip():
            name, _, value = line.decode("latin-1").partition(":")
            headers[name.strip().lower()] = value.strip()
        return method, target, headers

    def _forward(self, upstream: socket.socket) -> None:
        pairs = {self.connection: upstream, upstream: self.connection}
        while not self.server.proxy.stopping.is_set():
            readable, _, _ = select.select(list(pairs), [], [], 0.05)
            for source in readable:
                data = source.recv(65_536)
                if not data:
                    return
                pairs[source].sendall(data)
