# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The HTTP client against a server that does to it what receivers do, over TLS on the loopback."""

from __future__ import annotations

import datetime as dt
import importlib.metadata
import os
import pathlib
import re
import ssl
import time
import traceback
import typing as t
import warnings

import pytest
from ansible_collections.bulwark.servers.plugins.plugin_utils.export import http, http_options
from ansible_collections.bulwark.servers.plugins.plugin_utils.export.receiver import ExportError, UnavailableError

from tests.support.receivers import ReceiverServer, Reply, Request, faults, json_reply
from tests.support.receivers.certificates import Authority, Issued
from tests.support.receivers.proxy import Proxy

_DEFAULTS = {name: option.get("default") for name, option in http_options.ARGUMENTS.items()}
# In the path and a header of each request of these tests, and so in no message.
_SECRET = "c0ffee-and-a-token"


def _application(request: Request) -> Reply:
    return json_reply(200, {"received": len(request.content())})


@pytest.fixture
def authority(tmp_path: pathlib.Path) -> Authority:
    return Authority(tmp_path)


@pytest.fixture
def issued(authority: Authority) -> Issued:
    return authority.issue("127.0.0.1", "localhost")


@pytest.fixture
def server(issued: Issued) -> t.Iterator[ReceiverServer]:
    with ReceiverServer(_application, issued) as server:
        yield server


def _client(url: str, **options: t.Any) -> http.HttpClient:
    receiver = http_options.url(url, "url")
    return http.HttpClient(receiver, http_options.parse({**_DEFAULTS, **options}, receiver))


@pytest.fixture
def client(server: ReceiverServer, authority: Authority) -> t.Iterator[http.HttpClient]:
    client = _client(server.url, ca_file=str(authority.file), request_timeout=20)
    yield client
    client.close()


def _post(client: http.HttpClient, body: bytes = b"{}") -> http.Response:
    return client.request("POST", f"/{_SECRET}", body, {"Authorization": f"Splunk {_SECRET}"})


def _failure(client: http.HttpClient, body: bytes = b"{}") -> str:
    """Return the message of a request that must fail, which has no secret in it nor in its chain."""
    with pytest.raises(UnavailableError) as caught:
        _post(client, body)
    whole = "".join(traceback.format_exception(caught.value, chain=True))
    assert _SECRET not in str(caught.value)
    # The lines of this file that are in the trace name the secret's variable, not the secret.
    assert _SECRET not in whole
    assert caught.value.__cause__ is None
    return str(caught.value)


def test_a_request_arrives_as_it_is_and_over_one_connection(client: http.HttpClient, server: ReceiverServer) -> None:
    body = http.compressed(b'{"a": 1}')

    for _ in range(3):
        response = client.request("POST", "/events?channel=1", body, {"Content-Encoding": "gzip", "X-Own": "1"})
        assert (response.status, response.json()) == (200, {"received": 8})

    assert server.connections == 1
    request = server.requests[-1]
    assert (request.method, request.path, request.query, request.body) == ("POST", "/events", "channel=1", body)
    assert request.headers["x-own"] == "1"
    assert request.tls == "TLSv1.3"


@pytest.mark.parametrize(
    ("fault", "problem"),
    [
        (
            faults.redirect("https://user:pw@elsewhere.example/c0ffee-and-a-token?x"),
            "https://elsewhere.example (status",
        ),
        (faults.redirect("/c0ffee-and-a-token/", 308), "redirects to another path (status 308)"),
        (faults.redirect("http://[broken", 302), "redirects to another path (status 302)"),
        (faults.half(), "ended the connection without a whole reply (incomplete read)"),
        (faults.garbage(), "ended the connection without a whole reply"),
        (faults.close_before(), "ended the connection without a whole reply"),
        (faults.lost_reply(), "ended the connection without a whole reply"),
        (faults.reset_within(100_000), "ended the connection without a whole reply"),
        (faults.endless(), "sent a reply of more than 1000000 bytes"),
        (faults.endless_headers(), "ended the connection without a whole reply"),
    ],
)
def test_what_is_no_reply_is_unavailable_and_the_next_request_works(
    client: http.HttpClient, server: ReceiverServer, fault: faults.Fault, problem: str
) -> None:
    server.fail(fault)

    message = _failure(client, os.urandom(3_000_000))

    assert message.startswith(f"https://127.0.0.1:{server.port} ")
    assert problem in message
    assert _post(client).status == 200


def test_a_redirect_is_not_followed(client: http.HttpClient, server: ReceiverServer, issued: Issued) -> None:
    with ReceiverServer(_application, issued) as elsewhere:
        server.fail(faults.redirect(f"{elsewhere.url}/{_SECRET}", 307))

        assert f"redirects to https://127.0.0.1:{elsewhere.port} (status 307), which is not followed" in _failure(
            client
        )

        assert elsewhere.requests == []
        assert elsewhere.connections == 0


@pytest.mark.parametrize("fault", [faults.never(), faults.never(processed=True)])
def test_a_receiver_that_says_nothing_ends_at_the_read_timeout(
    server: ReceiverServer, authority: Authority, fault: faults.Fault
) -> None:
    server.fail(fault)
    client = _client(server.url, ca_file=str(authority.file), read_timeout=0.3)

    assert "sent nothing for 0.3 seconds" in _failure(client)

    client.close()


@pytest.mark.parametrize("fault", [faults.drip(0.1), faults.slow(30)])
def test_a_reply_by_drops_ends_at_the_request_timeout(
    server: ReceiverServer, authority: Authority, fault: faults.Fault
) -> None:
    server.fail(fault)
    client = _client(server.url, ca_file=str(authority.file), request_timeout=0.6)

    start = time.monotonic()
    message = _failure(client)

    assert "did not finish a request within 0.6 seconds" in message
    # Far below what the drops or the wait would take, far above what a busy machine adds.
    assert time.monotonic() - start < 10
    assert _post(client).status == 200
    client.close()


def test_a_receiver_that_is_silent_in_the_handshake_ends_at_the_timeout(issued: Issued, authority: Authority) -> None:
    with ReceiverServer(_application, issued, silent=True) as server:
        client = _client(server.url, ca_file=str(authority.file), connect_timeout=60, request_timeout=0.5)

        assert "did not finish a request within 0.5 seconds" in _failure(client)

        client.close()


def test_more_replies_than_requests_are_not_taken_for_later_ones(
    client: http.HttpClient, server: ReceiverServer
) -> None:
    def twice(exchange: t.Any) -> None:
        exchange.send(exchange.process())
        exchange.send(json_reply(200, {"smuggled": "x" * 20_000}))

    server.fail(twice)

    assert _post(client).json() == {"received": 2}
    # HTTP/1.1 has no number for a request: a second reply that comes after the next request is its reply. Here it came.
    time.sleep(0.3)
    assert _post(client).json() == {"received": 2}
    assert server.connections == 2


def test_a_connection_that_the_receiver_closed_meanwhile_is_no_error(
    client: http.HttpClient, server: ReceiverServer
) -> None:
    def close_after(exchange: t.Any) -> None:
        exchange.send(exchange.process())
        exchange.close()

    server.fail(close_after)
    assert _post(client).status == 200
    time.sleep(0.2)

    assert _post(client).status == 200


def test_nobody_there(client: http.HttpClient, server: ReceiverServer) -> None:
    server.stop()

    assert _failure(client) == f"https://127.0.0.1:{server.port} cannot be reached: connection refused"


def test_a_name_without_address() -> None:
    client = _client("https://nobody.invalid")

    assert _failure(client) == "https://nobody.invalid cannot be reached: its name has no address"


def _wrong(authority: Authority, tmp_path: pathlib.Path, case: str) -> Issued:
    if case == "other authority":
        (tmp_path / "other").mkdir()
        return Authority(tmp_path / "other").issue("127.0.0.1")
    if case == "other name":
        return authority.issue("receiver.example", "10.0.0.1")
    return authority.issue("127.0.0.1", lifetime=dt.timedelta(days=-1))


@pytest.mark.parametrize(
    ("case", "problem"),
    [
        ("other authority", "unable to get local issuer certificate"),
        ("other name", "IP address mismatch, certificate is not valid for '127.0.0.1'"),
        ("expired", "certificate has expired"),
    ],
)
def test_a_wrong_certificate_gets_nothing(
    authority: Authority, tmp_path: pathlib.Path, case: str, problem: str
) -> None:
    with ReceiverServer(_application, _wrong(authority, tmp_path, case)) as server:
        client = _client(server.url, ca_file=str(authority.file))

        assert f"has no TLS that can be trusted: {problem}" in _failure(client)

        assert server.requests == []


def test_verification_can_be_switched_off(authority: Authority, tmp_path: pathlib.Path) -> None:
    with (
        ReceiverServer(_application, _wrong(authority, tmp_path, "other name")) as server,
        warnings.catch_warnings(),
    ):
        client = _client(server.url, verify=False)

        assert _post(client).status == 200

        client.close()


def test_tls_below_1_2_is_refused(authority: Authority, issued: Issued) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.set_ciphers("ALL:@SECLEVEL=0")
    with warnings.catch_warnings():
        # The test shows that nobody can use it any more.
        warnings.simplefilter("ignore", DeprecationWarning)
        context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_1
    context.load_cert_chain(issued.certificate, issued.key)
    with ReceiverServer(_application, context=context) as server:
        client = _client(server.url, ca_file=str(authority.file))

        assert "has no TLS that can be trusted" in _failure(client)

        assert server.requests == []


def test_a_receiver_without_tls_is_refused_unless_said_otherwise() -> None:
    with ReceiverServer(_application) as server:
        with pytest.raises(ExportError, match="has no TLS, so anybody on the way can read"):
            _client(server.url)
        client = _client(server.url, verify=False)

        assert _post(client).status == 200

        client.close()
        # And one that is asked for TLS, but has none.
        client = _client(server.url.replace("http:", "https:"))
        assert "has no TLS that can be trusted" in _failure(client)


@pytest.mark.parametrize("password", [None, "of the key"])
def test_the_client_shows_its_certificate(authority: Authority, issued: Issued, password: str | None) -> None:
    mine = authority.issue("exporter.example", password=password)
    files = {"certificate": str(mine.certificate), "key": str(mine.key), "key_password": password}
    with ReceiverServer(_application, issued, authority=authority.file) as server:
        client = _client(server.url, ca_file=str(authority.file), **files)
        assert _post(client).status == 200
        client.close()
        assert server.requests[0].client == "exporter.example"

        stranger = _client(server.url, ca_file=str(authority.file))
        assert re.search("certificate required|ended the connection", _failure(stranger))
        assert len(server.requests) == 1


def test_the_proxy_gets_a_tunnel_and_its_own_password(server: ReceiverServer, authority: Authority) -> None:
    with Proxy("user:pass word") as proxy:
        options = {"ca_file": str(authority.file), "proxy": f"http://{proxy.address}"}
        client = _client(server.url, proxy_user="user", proxy_password="pass word", **options)
        assert _post(client).status == 200
        client.close()
        assert proxy.targets == [f"127.0.0.1:{server.port}"]
        assert "proxy-authorization" not in server.requests[0].headers

        stranger = _client(server.url, **options)
        assert _failure(stranger).endswith(
            f"cannot be reached by the proxy http://{proxy.address}: it replied with status 407"
        )
        assert (proxy.refused, len(server.requests)) == (1, 1)


def test_nothing_is_taken_from_the_environment(
    client: http.HttpClient, server: ReceiverServer, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / ".netrc").write_text("machine 127.0.0.1 login somebody password else\n")
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")

    assert _post(client).status == 200

    assert server.requests[0].headers["authorization"] == f"Splunk {_SECRET}"


def test_a_page_for_people_is_no_json(client: http.HttpClient, server: ReceiverServer) -> None:
    server.fail(faults.html(200))
    response = _post(client)

    assert response.is_page
    assert response.reason() == "a page for people"
    with pytest.raises(http.ReplyError, match="sent a page for people in place of JSON"):
        response.json()


@pytest.mark.parametrize("body", [b"", b"{'a': 1}", b"\xff\xfe", b"[" * 200_000, b'{"a":'])
def test_a_reply_that_is_no_json(client: http.HttpClient, server: ReceiverServer, body: bytes) -> None:
    server.fail(faults.reply(200, body))

    with pytest.raises(http.ReplyError, match="sent a reply that is not JSON"):
        _post(client).json()


def test_the_reason_of_a_reply_is_one_bounded_line(client: http.HttpClient, server: ReceiverServer) -> None:
    server.fail(faults.reply(400, ("wrong\r\n\x1b[31m\u202eindex " + "x" * 5_000).encode()))

    reason = _post(client).reason()

    assert reason.startswith("wrong \\x1b[31m\\u202eindex xxx")
    assert len(reason) < 400
    assert reason.isprintable()


@pytest.mark.parametrize("as_date", [False, True])
def test_the_client_hears_when_to_come_again(client: http.HttpClient, server: ReceiverServer, as_date: bool) -> None:
    server.fail(faults.busy(503, 90, as_date))

    assert _post(client).retry_after() == pytest.approx(90, abs=20)


def test_urllib3_is_missing_or_old(monkeypatch: pytest.MonkeyPatch) -> None:
    http.require()
    monkeypatch.setattr(importlib.metadata, "version", lambda _name: "1.26.20")
    with pytest.raises(ExportError, match=r"^it needs urllib3 2 or newer on the controller \(1\.26\.20\): pip install"):
        http.require()

    def missing(name: str) -> str:
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(importlib.metadata, "version", missing)
    with pytest.raises(ExportError, match=r"on the controller \(missing\): pip install"):
        http.require()


def test_compression_gives_the_same_bytes_each_time() -> None:
    first = http.compressed(b"same")
    time.sleep(0.01)
    assert http.compressed(b"same") == first


def test_headers_that_http_cannot_carry() -> None:
    http.check_header("headers", "X-Ok_1", "any text\twith a tab")
    for name in ("", "a b", "a:b", "a\nb", "ä"):
        with pytest.raises(ExportError, match="is not a name of a header"):
            http.check_header("headers", name, "x")
    for value in ("a\r\nEvil: 1", "a\x00", " a", "a ", "ä"):
        with pytest.raises(ExportError, match="the value of X has"):
            http.check_header("headers", "X", value)
