# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The sign-in of a Kafka broker by SASL, before a real broker that has none.

Tansu keeps no users in memory, and nobody can add one to a broker that already asks for them. So this stands before it,
replies to SaslHandshake and SaslAuthenticate itself, and passes on everything else once the client has signed in. See
https://kafka.apache.org/protocol ("Messages") for the frames, RFC 5802 and RFC 7677 for SCRAM, RFC 4616 for PLAIN.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import socket
import socketserver
import struct
import threading
import typing as t

_API_VERSIONS, _HANDSHAKE, _AUTHENTICATE = 18, 17, 36
_UNSUPPORTED_MECHANISM, _FAILED = 33, 58
_DIGESTS: t.Mapping[str, str] = {"SCRAM-SHA-256": "sha256", "SCRAM-SHA-512": "sha512"}
_SALT, _ROUNDS, _NONCE = b"a salt for tests", 4_096, "of-the-server"


class SignIn(socketserver.ThreadingTCPServer):
    """Listens on a port until it is closed. users: passwords by name. mechanisms: what it offers."""

    daemon_threads = True
    allow_reuse_address = True

    def __init__(self, port: int, upstream: int, users: t.Mapping[str, str], mechanisms: t.Sequence[str]) -> None:
        super().__init__(("127.0.0.1", port), _Connection)
        self.upstream, self.users, self.mechanisms = upstream, users, mechanisms
        # Mechanism and user of each sign-in that succeeded.
        self.signed_in: list[tuple[str, str]] = []
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def close(self) -> None:
        self.shutdown()
        self.server_close()


class _Connection(socketserver.BaseRequestHandler):
    server: SignIn

    def handle(self) -> None:
        with socket.create_connection(("127.0.0.1", self.server.upstream)) as upstream:
            try:
                if self._sign_in(upstream):
                    threading.Thread(target=_pass_on, args=(upstream, self.request), daemon=True).start()
                    _pass_on(self.request, upstream)
            except (OSError, EOFError):
                return

    def _sign_in(self, upstream: socket.socket) -> bool:
        """Serve requests until the client has signed in; return False if it failed, or asked for anything else."""
        conversation: t.Iterator[bytes] | None = None
        mechanism, messages = "", [b""]
        while True:
            frame = _frame(self.request)
            api, version, number = struct.unpack(">hhi", frame[:8])
            (client_length,) = struct.unpack(">h", frame[8:10])
            body = frame[10 + max(client_length, 0) :]
            if api == _API_VERSIONS:
                upstream.sendall(_framed(frame))
                self.request.sendall(_framed(_frame(upstream)))
            elif api == _HANDSHAKE:
                mechanism = body[2:].decode()
                code = 0 if mechanism in self.server.mechanisms else _UNSUPPORTED_MECHANISM
                names = b"".join(_text(name) for name in self.server.mechanisms)
                reply = struct.pack(">ihi", number, code, len(self.server.mechanisms)) + names
                self.request.sendall(_framed(reply))
                conversation = self._conversation(mechanism, messages)
            elif api == _AUTHENTICATE and conversation is not None:
                messages.append(body[4:])
                try:
                    challenge, code, problem = next(conversation), 0, struct.pack(">h", -1)
                except PermissionError as error:
                    challenge, code, problem = b"", _FAILED, _text(str(error))
                reply = struct.pack(">ih", number, code) + problem + struct.pack(">i", len(challenge)) + challenge
                self.request.sendall(_framed(reply + (struct.pack(">q", 0) if version else b"")))
                if code:
                    return False
                if mechanism == "PLAIN" or challenge.startswith(b"v="):
                    return True
            else:
                return False

    def _conversation(self, mechanism: str, messages: list[bytes]) -> t.Iterator[bytes]:
        """Yield what the server says to each message of the client; raise PermissionError."""
        if mechanism == "PLAIN":
            _authorized, user, password = messages[-1].decode().split("\0")
            self._check(mechanism, user, self.server.users.get(user) == password)
            yield b""
            return
        bare = messages[-1].decode().removeprefix("n,,")
        first = dict(field.split("=", 1) for field in bare.split(","))
        user, digest = first["n"], _DIGESTS[mechanism]
        challenge = f"r={first['r']}{_NONCE},s={base64.b64encode(_SALT).decode()},i={_ROUNDS}"
        yield challenge.encode()
        final, _comma, proof = messages[-1].decode().rpartition(",p=")
        salted = hashlib.pbkdf2_hmac(digest, self.server.users.get(user, "").encode(), _SALT, _ROUNDS)
        transcript = f"{bare},{challenge},{final}".encode()
        stored = hashlib.new(digest, hmac.digest(salted, b"Client Key", digest)).digest()
        signature = hmac.digest(stored, transcript, digest)
        key = bytes(a ^ b for a, b in zip(base64.b64decode(proof), signature, strict=True))
        self._check(mechanism, user, user in self.server.users and hashlib.new(digest, key).digest() == stored)
        server_key = hmac.digest(salted, b"Server Key", digest)
        yield b"v=" + base64.b64encode(hmac.digest(server_key, transcript, digest))

    def _check(self, mechanism: str, user: str, is_right: bool) -> None:
        if not is_right:
            raise PermissionError("Authentication failed")
        self.server.signed_in.append((mechanism, user))


def _text(text: str) -> bytes:
    return struct.pack(">h", len(text)) + text.encode()


def _framed(body: bytes) -> bytes:
    return struct.pack(">i", len(body)) + body


def _frame(source: socket.socket) -> bytes:
    (size,) = struct.unpack(">i", _exactly(source, 4))
    return _exactly(source, size)


def _exactly(source: socket.socket, size: int) -> bytes:
    parts = bytearray()
    while len(parts) < size:
        part = source.recv(size - len(parts))
        if not part:
            raise EOFError
        parts += part
    return bytes(parts)


def _pass_on(source: socket.socket, target: socket.socket) -> None:
    try:
        while data := source.recv(65_536):
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)
    except OSError:
        return
