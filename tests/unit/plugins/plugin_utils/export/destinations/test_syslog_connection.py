# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Receivers that misbehave on a connection: nothing that they did not read in order counts as accepted."""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
import time
import typing as t

import pytest
from ansible_collections.bulwark.servers.plugins.plugin_utils.export.receiver import Receipt, UnavailableError

from tests.support.receivers.syslog_settings import prepared, receiver

_MESSAGES = [prepared(f"message {index}", index) for index in range(3)]
_WIRE = b"".join(b"%d %b" % (len(message.body), message.body) for message in _MESSAGES)
_LARGE = [prepared("x" * 7_000) for _ in range(2_000)]

Script = t.Callable[[socket.socket], None]


@contextlib.contextmanager
def _peer(script: Script) -> t.Iterator[int]:
    """Run a receiver that treats each connection as the script says, and give its port."""
    listener = socket.create_server(("127.0.0.1", 0))
    listener.settimeout(0.1)
    stop = threading.Event()

    def serve() -> None:
        while not stop.is_set():
            with contextlib.suppress(TimeoutError):
                connection, _address = listener.accept()
                connection.settimeout(10)
                with connection, contextlib.suppress(OSError):
                    script(connection)

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield listener.getsockname()[1]
    finally:
        stop.set()
        thread.join()
        listener.close()


def _read_to_end(connection: socket.socket) -> bytes:
    return b"".join(iter(lambda: connection.recv(65_536), b""))


def test_a_batch_is_accepted_after_an_orderly_end() -> None:
    received: list[bytes] = []
    with _peer(lambda connection: received.append(_read_to_end(connection))) as port:
        exporter = receiver(address="127.0.0.1", transport="tcp", port=port)
        assert exporter.send([]) == []
        assert exporter.send(_MESSAGES) == [Receipt("accepted")] * 3
        assert exporter.send(_MESSAGES) == [Receipt("accepted")] * 3
        exporter.close()
    assert received == [_WIRE, _WIRE]


def test_newlines_frame_a_batch() -> None:
    received: list[bytes] = []
    with _peer(lambda connection: received.append(_read_to_end(connection))) as port:
        receiver(address="127.0.0.1", transport="tcp", port=port, framing="newline").send(_MESSAGES)
    assert received == [b"".join(message.body + b"\n" for message in _MESSAGES)]


def _close_unread(connection: socket.socket) -> None:
    connection.recv(10)


def _close_after_reading(connection: socket.socket) -> None:
    received = b""
    while len(received) < len(_WIRE):
        received += connection.recv(65_536)


def _reset_after_the_end(connection: socket.socket) -> None:
    _read_to_end(connection)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def _answer(connection: socket.socket) -> None:
    connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")
    _read_to_end(connection)


def _answer_without_end(connection: socket.socket) -> None:
    while True:
        connection.sendall(b"x" * 65_536)


def _stay(connection: socket.socket) -> None:
    _read_to_end(connection)
    time.sleep(2)


@pytest.mark.parametrize(
    ("script", "message"),
    [
        (_close_unread, "Connection reset by peer|Broken pipe|ended the connection before us"),
        (_close_after_reading, "ended the connection before us"),
        (_reset_after_the_end, "Connection reset by peer"),
        (_answer, "sends data, as no syslog receiver does"),
        (_answer_without_end, "sends data, as no syslog receiver does|Connection reset"),
        (_stay, "nothing happened for 0.5 seconds"),
    ],
)
def test_a_batch_that_was_not_read_in_order_is_due_again(script: Script, message: str) -> None:
    with _peer(script) as port:
        exporter = receiver(address="127.0.0.1", transport="tcp", port=port, timeout=0.5)
        for _ in range(2):
            with pytest.raises(UnavailableError, match=message) as failed:
                exporter.send(_MESSAGES)
            assert str(failed.value).startswith(f"127.0.0.1:{port} ")
            assert failed.value.retry_after is None


def test_a_batch_that_was_half_read_is_due_again() -> None:
    def close_in_the_middle(connection: socket.socket) -> None:
        left = 5_000_000
        while left > 0:
            left -= len(connection.recv(65_536))

    with _peer(close_in_the_middle) as port, pytest.raises(UnavailableError, match="stopped reading"):
        receiver(address="127.0.0.1", transport="tcp", port=port).send(_LARGE)


def test_a_receiver_that_reads_too_slowly_is_given_up() -> None:
    def read_slowly(connection: socket.socket) -> None:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
        end = time.monotonic() + 4
        while time.monotonic() < end and connection.recv(100_000):
            time.sleep(0.05)

    with _peer(read_slowly) as port:
        exporter = receiver(address="127.0.0.1", transport="tcp", port=port, timeout=0.3)
        start = time.monotonic()
        with pytest.raises(UnavailableError, match=r"it is too slow|nothing happened"):
            exporter.send(_LARGE)
        assert time.monotonic() - start < 30


@pytest.mark.parametrize("transport", ["tls", "relp_tls"])
def test_a_receiver_that_is_silent_in_the_handshake_costs_a_timeout(transport: str) -> None:
    with _peer(lambda _connection: time.sleep(2)) as port:
        exporter = receiver(address="127.0.0.1", transport=transport, port=port, timeout=0.3)
        with pytest.raises(UnavailableError, match=r"makes no TLS connection: nothing happened for 0\.3 seconds"):
            exporter.send(_MESSAGES)


def _relp(*responses: bytes, end: bool = True) -> Script:
    def script(connection: socket.socket) -> None:
        connection.recv(65_536)
        connection.sendall(b"1 rsp 15 200 OK\ncommands\n")
        connection.recv(65_536)
        connection.sendall(b"".join(responses))
        if not end:
            _read_to_end(connection)

    return script


def _outcomes(script: Script) -> list[str]:
    with _peer(script) as port:
        exporter = receiver(address="127.0.0.1", transport="relp", port=port, timeout=0.5)
        return [receipt.outcome for receipt in exporter.send(_MESSAGES)]


def test_relp_accepts_what_is_acknowledged_in_any_order() -> None:
    script = _relp(b"4 rsp 6 200 OK\n", b"2 rsp 6 200 OK\n", b"3 rsp 6 200 OK\n")
    assert _outcomes(script) == ["accepted"] * 3


def test_relp_sets_aside_what_is_refused() -> None:
    script = _relp(b"2 rsp 6 200 OK\n", b"3 rsp 10 500 broken\n", b"4 rsp 6 200 OK\n")
    assert _outcomes(script) == ["accepted", "refused", "accepted"]


@pytest.mark.parametrize("is_ended", [True, False])
def test_relp_sends_again_what_is_not_acknowledged(is_ended: bool) -> None:
    assert _outcomes(_relp(b"3 rsp 6 200 OK\n", end=is_ended)) == ["again", "accepted", "again"]


def test_relp_reads_on_after_the_hint_of_an_end() -> None:
    script = _relp(b"2 rsp 6 200 OK\n0 serverclose 0\n3 rsp 6 200 OK\n")
    assert _outcomes(script) == ["accepted", "accepted", "again"]


@pytest.mark.parametrize(
    "response",
    [b"", b"9 rsp 6 200 OK\n", b"1 rsp 6 200 OK\n", b"2 rsp 6 200 OK\n2 rsp 6 200 OK\n", b"220 mail ESMTP\r\n"],
)
def test_relp_believes_no_receiver_that_acknowledges_what_was_not_sent(response: bytes) -> None:
    with _peer(_relp(response)) as port:
        exporter = receiver(address="127.0.0.1", transport="relp", port=port, timeout=0.5)
        with pytest.raises(UnavailableError, match=r"is not a RELP receiver|ended the session"):
            exporter.send(_MESSAGES)


def test_relp_needs_a_session() -> None:
    def refuse(connection: socket.socket) -> None:
        connection.recv(65_536)
        connection.sendall(b"1 rsp 20 500 unwelcome guest.\n")

    with _peer(refuse) as port:
        exporter = receiver(address="127.0.0.1", transport="relp", port=port, timeout=0.5)
        with pytest.raises(UnavailableError, match="refuses the session, '500 unwelcome guest"):
            exporter.send(_MESSAGES)
