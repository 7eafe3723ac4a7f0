# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The test receivers do what their faults say: read by http.client, so by no code of the export."""

from __future__ import annotations

import gzip
import http.client
import json
import pathlib
import ssl
import typing as t

import pytest

from tests.support.receivers import ReceiverServer, Reply, Request, faults, json_reply
from tests.support.receivers.certificates import Authority
from tests.support.receivers.process import Journal, ReceiverProcess


def _echo(request: Request) -> Reply:
    return json_reply(200, {"path": request.path, "query": request.query, "value": request.json()})


def journalling(journal: Journal) -> t.Callable[[Request], Reply]:
    """Return an application that writes what it gets into its journal."""

    def handle(request: Request) -> Reply:
        journal.append(request.json())
        return Reply(204)

    return handle


@pytest.fixture
def authority(tmp_path: pathlib.Path) -> Authority:
    return Authority(tmp_path)


@pytest.fixture
def server(authority: Authority) -> t.Iterator[ReceiverServer]:
    with ReceiverServer(_echo, authority.issue("127.0.0.1")) as server:
        yield server


@pytest.fixture
def client(server: ReceiverServer, authority: Authority) -> t.Iterator[http.client.HTTPSConnection]:
    context = ssl.create_default_context(cafile=str(authority.file))
    connection = http.client.HTTPSConnection("127.0.0.1", server.port, timeout=20, context=context)
    yield connection
    connection.close()


def _post(client: http.client.HTTPConnection, body: bytes = b"1", **headers: str) -> tuple[int, bytes]:
    client.request("POST", "/events?channel=1", body, headers)
    response = client.getresponse()
    return response.status, response.read()


def test_a_request_reaches_the_application_and_is_recorded(
    client: http.client.HTTPSConnection, server: ReceiverServer
) -> None:
    body = gzip.compress(b'{"a": 1}')

    status, text = _post(client, body, **{"Content-Encoding": "gzip"})

    assert (status, json.loads(text)) == (200, {"path": "/events", "query": "channel=1", "value": {"a": 1}})
    assert [(request.method, request.body, request.tls) for request in server.requests] == [("POST", body, "TLSv1.3")]


def test_a_body_that_cannot_be_read_is_refused(client: http.client.HTTPSConnection) -> None:
    assert _post(client, b"nothing", **{"Content-Encoding": "gzip"})[0] == 400
    assert _post(client, b"{'a': 1}")[0] == 400
    assert _post(client, b"NaN")[0] == 400


def test_faults_come_in_their_order_and_end(client: http.client.HTTPSConnection, server: ReceiverServer) -> None:
    server.fail(faults.redirect("https://elsewhere.example/"))
    server.fail(faults.busy(503, 7), times=2)
    server.fail(faults.html(200))

    assert [_post(client)[0] for _ in range(5)] == [301, 503, 503, 200, 200]


@pytest.mark.parametrize(
    ("fault", "processed"),
    [
        (faults.close_before(), False),
        (faults.reset_within(10), False),
        (faults.lost_reply(), True),
        (faults.garbage(), False),
        (faults.half(), True),
        (faults.endless_headers(), False),
    ],
    ids=["close before", "reset within", "lost reply", "garbage", "half", "endless headers"],
)
def test_a_broken_exchange_is_an_error_for_the_client(fault: faults.Fault, processed: bool) -> None:
    bodies = []

    def keep(request: Request) -> Reply:
        bodies.append(request.json())
        return json_reply(200, "taken")

    with ReceiverServer(keep) as server:
        server.fail(fault)
        client = http.client.HTTPConnection("127.0.0.1", server.port, timeout=20)
        with pytest.raises((http.client.HTTPException, OSError)):
            _post(client, json.dumps("x" * 100_000).encode())
        client.close()

        assert bodies == (["x" * 100_000] if processed else [])
        assert _post(client)[0] == 200
        client.close()


def test_an_endless_body_goes_on_until_the_client_leaves(
    client: http.client.HTTPSConnection, server: ReceiverServer
) -> None:
    server.fail(faults.endless())
    client.request("POST", "/", b"1")

    assert len(client.getresponse().read(5_000_000)) == 5_000_000


def test_clients_need_a_certificate_where_the_server_asks_for_one(authority: Authority) -> None:
    with ReceiverServer(_echo, authority.issue("127.0.0.1"), authority=authority.file) as server:
        context = ssl.create_default_context(cafile=str(authority.file))
        issued = authority.issue("exporter.example")
        context.load_cert_chain(issued.certificate, issued.key)
        connection = http.client.HTTPSConnection("127.0.0.1", server.port, timeout=20, context=context)
        _post(connection)
        connection.close()

        assert server.requests[0].client == "exporter.example"


def test_a_killed_receiver_has_what_it_confirmed(tmp_path: pathlib.Path) -> None:
    with ReceiverProcess(tmp_path, f"{__name__}:journalling") as receiver:
        for number in range(3):
            connection = http.client.HTTPConnection("127.0.0.1", receiver.port, timeout=20)
            assert _post(connection, str(number).encode())[0] == 204
            connection.close()
            port = receiver.port
            receiver.kill()
            receiver.start()
            assert receiver.port == port

        assert receiver.journal.read() == [0, 1, 2]


def test_a_journal_forgets_half_a_line(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "journal"
    path.write_bytes(b'1\n{"half')

    journal = Journal(path)
    journal.append(2)

    assert journal.read() == [1, 2]
