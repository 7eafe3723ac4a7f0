# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The destination elastic: both vendors' clients against a server that keeps to the documented bulk API, over TLS."""

from __future__ import annotations

import base64
import contextlib
import datetime as dt
import json
import logging
import pathlib
import random
import threading
import time
import traceback
import typing as t
import warnings

import pytest
from ansible_collections.bulwark.servers.plugins.plugin_utils.export import search_clients
from ansible_collections.bulwark.servers.plugins.plugin_utils.export.destinations import elastic
from ansible_collections.bulwark.servers.plugins.plugin_utils.export.receiver import (
    ExportError,
    Prepared,
    Receipt,
    UnavailableError,
)

from tests.support import paths
from tests.support.receivers import ReceiverServer, Reply, faults, json_reply, search
from tests.support.receivers.certificates import Authority
from tests.support.receivers.process import ReceiverProcess
from tests.support.receivers.proxy import Proxy
from tests.unit.plugins.plugin_utils.export import hostile, killed
from tests.unit.plugins.plugin_utils.export.export_events import event, key

_DEFAULTS = {name: option.get("default") for name, option in elastic.ARGUMENTS.items()}
_PRODUCTS = ("elasticsearch", "opensearch")
_LOGIN: t.Mapping[str, t.Mapping[str, str]] = {
    "elasticsearch": {"api_key": search.API_KEY},
    "opensearch": {"username": search.USER, "password": search.PASSWORD},
}
_BASIC = base64.b64encode(f"{search.USER}:{search.PASSWORD}".encode()).decode()
_SECRETS = (search.API_KEY, search.PASSWORD, _BASIC)


def _settings(product: str, **options: t.Any) -> dict[str, t.Any]:
    usual = {"url": "https://search.example:9200", "product": product, "format": "ocsf", **_LOGIN[product]}
    return {**_DEFAULTS, **usual, **options}


class _Search:
    """A cluster and a receiver that sends to it."""

    def __init__(self, authority: Authority, cluster: search.Cluster, **options: t.Any) -> None:
        self.cluster = cluster
        self.server = ReceiverServer(cluster, authority.issue("127.0.0.1"))
        usual = {"url": self.server.url, "ca_file": str(authority.file), "request_timeout": 20.0}
        self.receiver = elastic.open_receiver(_settings(cluster.product, **{**usual, **options}), "search")

    def prepare(self, *numbers: int, **members: t.Any) -> list[Prepared]:
        events = [event(number, **members) for number in numbers]
        return [self.receiver.prepare(one, key(one)) for one in events]

    def bulks(self) -> int:
        return sum(request.path.endswith("/_bulk") for request in self.server.requests)


Make = t.Callable[..., _Search]


@pytest.fixture
def authority(tmp_path: pathlib.Path) -> Authority:
    return Authority(tmp_path)


@pytest.fixture
def make(authority: Authority) -> t.Iterator[Make]:
    with contextlib.ExitStack() as stack:

        def opened(product: str = "elasticsearch", *, options: t.Any = None, **cluster: t.Any) -> _Search:
            opened = _Search(authority, search.Cluster(product=product, **cluster), **(options or {}))
            stack.enter_context(opened.server)
            stack.callback(opened.receiver.close)
            return opened

        yield opened


@pytest.fixture(params=_PRODUCTS)
def cluster(request: pytest.FixtureRequest, make: Make) -> _Search:
    return make(request.param)


def _outcomes(receipts: t.Iterable[Receipt]) -> str:
    """Return the first letters of the outcomes, a dash for those that are due again."""
    return "".join(receipt.outcome[0] if receipt.outcome != "again" else "-" for receipt in receipts)


def _failure(receiver: t.Any, batch: t.Sequence[Prepared]) -> UnavailableError:
    """Return the error of a batch that must fail, which has no secret in it nor in its chain."""
    with pytest.raises(UnavailableError) as caught:
        receiver.send(batch)
    whole = "".join(traceback.format_exception(caught.value, chain=True))
    assert not [secret for secret in _SECRETS if secret in whole]
    return caught.value


def test_documents_arrive_whole_and_with_their_id(cluster: _Search) -> None:
    receipts = cluster.receiver.send(cluster.prepare(1, 2))

    assert receipts == [Receipt("accepted"), Receipt("accepted")]
    assert cluster.cluster.documents == {
        one["metadata"]["uid"]: {"@timestamp": one["time"], **one} for one in (event(1), event(2))
    }
    request = cluster.server.requests[-1]
    assert (request.path, request.tls) == (f"/{search.STREAM}/_bulk", "TLSv1.3")
    assert request.headers["content-encoding"] == "gzip"


@pytest.mark.parametrize(
    ("product", "name", "template"),
    [("elasticsearch", "ecs", "bulwark-findings"), ("opensearch", "ocsf", "bulwark-ocsf")],
)
def test_2000_hostile_events_of_all_classes_fit_the_index_template(
    make: Make, product: str, name: str, template: str
) -> None:
    receivers = paths.ROOT / "plugins/plugin_utils/content/export/receivers"
    body = json.loads((receivers / product / f"{template}.json").read_text())["template"]
    assert body["mappings"]["dynamic"] is False
    index = {
        "stream": elastic.STREAMS[name],
        "mappings": body["mappings"]["properties"],
        "ignore_malformed": body.get("settings", {}).get("index.mapping.ignore_malformed", False),
    }
    opened = make(product, options={"format": name, "request_timeout": 300.0}, **index)
    prepared = [opened.receiver.prepare(one, one["metadata"]["uid"]) for one in hostile.exported()]

    for number in range(0, len(prepared), 250):
        batch = prepared[number : number + 250]
        receipts = opened.receiver.send(batch)
        assert [receipt.reason for receipt in receipts if receipt.outcome != "accepted"] == []

    assert len(prepared) == 2_000
    assert opened.cluster.documents == {one.uid: json.loads(one.body) for one in prepared}


def test_what_the_receiver_has_already_is_accepted(cluster: _Search) -> None:
    batch = cluster.prepare(*range(10))
    cluster.receiver.send(batch[:6])

    assert _outcomes(cluster.receiver.send(batch)) == "a" * 10
    assert (cluster.cluster.conflicts, len(cluster.cluster.documents)) == (6, 10)


def test_a_reply_that_is_lost_makes_no_duplicate(cluster: _Search) -> None:
    batch = cluster.prepare(1, 2, 3)
    cluster.receiver.send(cluster.prepare(0))
    cluster.server.fail(faults.lost_reply())

    assert "ended the connection without a whole reply" in str(_failure(cluster.receiver, batch))
    assert _outcomes(cluster.receiver.send(batch)) == "aaa"
    assert (cluster.cluster.conflicts, len(cluster.cluster.documents)) == (3, 4)


def test_a_document_that_fits_no_mapping_is_refused_alone(cluster: _Search) -> None:
    good, bad = cluster.prepare(1, 3), cluster.prepare(2, severity_id="high")

    receipts = cluster.receiver.send([good[0], bad[0], good[1]])

    assert _outcomes(receipts) == "ara"
    reason = "document_parsing_exception: [1:7] failed to parse field [severity_id] of type [long] (status 400)"
    assert receipts[1].reason == reason


def test_what_a_full_queue_rejects_is_due_again(make: Make) -> None:
    opened = make(capacity=2)
    batch = opened.prepare(*range(5))

    receipts = opened.receiver.send(batch)

    assert _outcomes(receipts) == "aa---"
    assert "es_rejected_execution_exception" in str(receipts[2].reason)
    assert _outcomes(opened.receiver.send(batch[2:])) == "aa-"


def test_what_went_into_the_failure_store_is_not_delivered(make: Make) -> None:
    opened = make(failure_store=True)
    bad = opened.prepare(1, severity_id="high")

    receipts = opened.receiver.send([*bad, *opened.prepare(2)])

    assert _outcomes(receipts) == "ra"
    assert "failure store" in str(receipts[0].reason)
    assert opened.cluster.failures == [bad[0].uid]


@pytest.mark.parametrize("product", _PRODUCTS)
def test_without_a_data_stream_everything_waits_and_no_index_is_made(make: Make, product: str) -> None:
    opened = make(product, has_template=False)
    batch = opened.prepare(1, 2)

    if product == "elasticsearch":
        receipts = opened.receiver.send(batch)
        assert _outcomes(receipts) == "--"
        assert "no matching index template with data stream template (status 404)" in str(receipts[0].reason)
    else:
        assert f"has no data stream {search.STREAM}; install the index template" in str(
            _failure(opened.receiver, batch)
        )
        assert opened.bulks() == 0
    assert opened.cluster.documents == {}
    opened.cluster.has_template = True
    assert _outcomes(opened.receiver.send(batch)) == "aa"


def test_credentials_that_may_only_write_are_enough(make: Make) -> None:
    opened = make("opensearch", may_look=False)

    assert _outcomes(opened.receiver.send(opened.prepare(1))) == "a"
    assert _outcomes(opened.receiver.send(opened.prepare(2))) == "a"
    # Whether it is a data stream was asked once.
    assert len(opened.server.requests) == 3


def test_a_request_that_is_too_large_goes_in_halves(make: Make) -> None:
    opened = make(largest=60_000)
    small = opened.prepare(*range(7), message="x" * 10_000)
    large = opened.prepare(7, message="x" * 90_000)

    receipts = opened.receiver.send([*small, *large])

    assert _outcomes(receipts) == "a" * 7 + "r"
    assert "larger than https://127.0.0.1" in str(receipts[7].reason)
    assert len(opened.cluster.documents) == 7


def test_what_was_taken_counts_though_the_rest_of_a_batch_failed(make: Make) -> None:
    opened = make(largest=30_000)
    batch = opened.prepare(*range(4), message="x" * 10_000)
    opened.receiver.send(opened.prepare(9))

    def later(exchange: t.Any) -> None:
        exchange.send(exchange.process())

    # The whole is too large, the first half is taken, and then the receiver wants a pause.
    opened.server.fail(later, 2)
    opened.server.fail(faults.busy(503, 7))
    receipts = opened.receiver.send(batch)

    assert _outcomes(receipts) == "aa--"
    assert "cannot take anything now (status 503)" in str(receipts[2].reason)
    error = _failure(opened.receiver, batch[2:])
    assert error.retry_after is not None
    assert 0 < error.retry_after <= 7


def test_a_large_event_loses_evidences(make: Make) -> None:
    opened = make(options={"max_event": 20_000})
    evidences = [{"file": {"path": f"/srv/{number}", "name": "x" * 300}} for number in range(200)]

    (prepared,) = opened.prepare(1, evidences=evidences)
    opened.receiver.send([prepared])

    assert len(prepared.body) <= 20_000
    assert prepared.removed_evidences > 100
    (document,) = opened.cluster.documents.values()
    assert f"{prepared.removed_evidences} of 200 evidences left out" in document["unmapped"]["notes"][0]


def test_hostile_text_stays_one_document(cluster: _Search) -> None:
    text = 'a\nb\r\n{"create":{}}\n\u2028\u0085\x00"\\</html>{{ x }}\ud800 \u202e'

    receipts = cluster.receiver.send(cluster.prepare(1, message=text, count=2**63 - 1))

    assert _outcomes(receipts) == "a"
    (document,) = cluster.cluster.documents.values()
    assert document["message"] == text.replace("\ud800", "\\ud800")
    assert document["count"] == 2**63 - 1


@pytest.mark.parametrize(
    ("fault", "problem"),
    [
        (faults.html(), "sent a page for people in place of JSON (status 200)"),
        (faults.html(503), "sent a page for people in place of JSON (status 503)"),
        (faults.redirect("https://user:pw@elsewhere.example/x"), "redirects to https://elsewhere.example (status 301)"),
        (faults.half(), "ended the connection without a whole reply"),
        (faults.garbage(), "ended the connection without a whole reply"),
        (faults.close_before(), "ended the connection without a whole reply"),
        (faults.reset_within(100), "ended the connection without a whole reply"),
        (faults.endless(), "sent a reply of more than 1000000 bytes"),
        (faults.reply(500, b"broken"), "cannot take anything now (status 500): broken"),
        (faults.reply(400, b'{"error":{"type":"parse_exception","reason":"no"}}'), "parse_exception: no"),
    ],
)
def test_what_is_no_reply_is_unavailable_and_the_next_request_works(
    cluster: _Search, fault: faults.Fault, problem: str
) -> None:
    batch = cluster.prepare(1, 2)
    cluster.receiver.send(cluster.prepare(0))
    cluster.server.fail(fault)

    message = str(_failure(cluster.receiver, batch))

    assert problem in message
    assert message.startswith(cluster.server.url)
    assert _outcomes(cluster.receiver.send(batch)) == "aa"
    assert len(cluster.cluster.documents) == 3


@pytest.mark.parametrize(("status", "seconds"), [(429, 7), (503, 11)])
def test_retry_after_is_obeyed(cluster: _Search, status: int, seconds: int) -> None:
    cluster.receiver.send(cluster.prepare(0))
    cluster.server.fail(faults.busy(status, seconds))

    assert _failure(cluster.receiver, cluster.prepare(1)).retry_after == seconds


@pytest.mark.parametrize("fault", [faults.never(), faults.never(processed=True), faults.drip(0.1)])
def test_a_receiver_that_says_nothing_ends_at_the_timeout(make: Make, fault: faults.Fault) -> None:
    opened = make(options={"request_timeout": 0.6})
    opened.server.fail(fault)
    batch = opened.prepare(1)

    start = time.monotonic()
    assert "did not finish a request within 0.6 seconds" in str(_failure(opened.receiver, batch))

    assert time.monotonic() - start < 10
    assert _outcomes(opened.receiver.send(batch)) == "a"


def _changed(change: t.Callable[[dict[str, t.Any]], t.Any]) -> faults.Fault:
    def altered(reply: Reply) -> Reply:
        return Reply(reply.status, json.dumps(change(json.loads(reply.body))).encode(), reply.headers)

    return faults.changed(altered)


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (lambda reply: {**reply, "items": reply["items"][:1]}, "without an item for each event"),
        (lambda reply: {**reply, "items": reply["items"] * 2}, "without an item for each event"),
        (lambda _reply: {"took": 1, "errors": False}, "without an item for each event"),
        (lambda _reply: [], "without an item for each event"),
        (lambda reply: {**reply, "items": reply["items"][::-1]}, "about other events than it got"),
        (lambda reply: {**reply, "items": [{"index": item["create"]} for item in reply["items"]]}, "about other"),
        (lambda reply: {**reply, "items": [{"create": {"_id": "x", "status": 201}}] * 2}, "about other events"),
        (lambda reply: {**reply, "items": [None, 1]}, "about other events"),
        (lambda reply: {**reply, "items": [{"create": {"status": "201"}}] * 2}, "about other events"),
    ],
)
def test_a_success_that_does_not_fit_the_request_settles_nothing(
    cluster: _Search, change: t.Callable[[t.Any], t.Any], problem: str
) -> None:
    cluster.receiver.send(cluster.prepare(0))
    cluster.server.fail(_changed(change))

    assert problem in str(_failure(cluster.receiver, cluster.prepare(1, 2)))


def test_a_success_with_an_error_inside_is_none(cluster: _Search) -> None:
    cluster.receiver.send(cluster.prepare(0))

    def half_hearted(reply: dict[str, t.Any]) -> t.Any:
        for item in reply["items"]:
            item["create"]["error"] = {"type": "odd_exception", "reason": "it was not stored"}
        return reply

    cluster.server.fail(_changed(half_hearted))

    assert cluster.receiver.send(cluster.prepare(1)) == [
        Receipt("again", "odd_exception: it was not stored (status 201)")
    ]


def test_another_product_is_not_taken_for_elasticsearch(make: Make) -> None:
    opened = make()
    opened.server.fail(faults.changed(lambda reply: json_reply(200, json.loads(reply.body))))

    message = str(_failure(opened.receiver, opened.prepare(1)))

    assert message.endswith("is not Elasticsearch; correct the URL, or set product to opensearch")


@pytest.mark.parametrize("product", _PRODUCTS)
def test_wrong_credentials_get_nothing_and_are_not_shown(make: Make, product: str) -> None:
    secret = "another-s3cr3t-of-this-test"
    login = {"api_key": None, "username": "somebody", "password": secret}
    opened = make(product, options=login)

    with pytest.raises(UnavailableError) as caught:
        opened.receiver.send(opened.prepare(1))

    # The server shows the header that it got.
    reason = "security_exception: unable to authenticate with [Basic ********]"
    assert str(caught.value).endswith(f"does not accept the credentials (status 401): {reason}")
    assert secret not in "".join(traceback.format_exception(caught.value, chain=True))
    assert opened.cluster.documents == {}


@pytest.mark.parametrize("login", [{}, {"api_key": None, "username": search.USER, "password": search.PASSWORD}])
def test_no_log_at_any_level_has_secrets_or_findings(
    make: Make, login: dict[str, t.Any], caplog: pytest.LogCaptureFixture
) -> None:
    for product in _PRODUCTS:
        opened = make(product, options=login if product == "elasticsearch" else {})
        with caplog.at_level(logging.DEBUG):
            opened.receiver.send(opened.prepare(1))
            opened.server.fail(faults.reply(500))
            _failure(opened.receiver, opened.prepare(2))
            opened.server.fail(faults.lost_reply())
            _failure(opened.receiver, opened.prepare(3))

    assert any("_bulk" in record.getMessage() for record in caplog.records), "the clients log nothing at all"
    for hidden in (*_SECRETS, "/usr/bin/tool1", "Reinstall the package"):
        assert hidden not in caplog.text


def test_warnings_of_a_server_are_not_printed(cluster: _Search) -> None:
    cluster.receiver.send(cluster.prepare(0))
    noise = {"Warning": '299 Elasticsearch-9 "something is \x1b[31m deprecated"'}
    cluster.server.fail(faults.changed(lambda reply: Reply(reply.status, reply.body, {**reply.headers, **noise})))

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert _outcomes(cluster.receiver.send(cluster.prepare(1))) == "a"


@pytest.mark.parametrize("case", ["other authority", "other name", "expired"])
@pytest.mark.parametrize("product", _PRODUCTS)
def test_a_wrong_certificate_gets_nothing(
    authority: Authority, tmp_path: pathlib.Path, product: str, case: str
) -> None:
    (tmp_path / "other").mkdir()
    issued = {
        "other authority": lambda: Authority(tmp_path / "other").issue("127.0.0.1"),
        "other name": lambda: authority.issue("search.example"),
        "expired": lambda: authority.issue("127.0.0.1", lifetime=dt.timedelta(days=-1)),
    }[case]()
    cluster = search.Cluster(product=product)
    with ReceiverServer(cluster, issued) as server:
        receiver = elastic.open_receiver(_settings(product, url=server.url, ca_file=str(authority.file)), "search")
        one = event(1)

        assert "has no TLS that can be trusted" in str(_failure(receiver, [receiver.prepare(one, key(one))]))

        assert server.requests == []
        receiver.close()


@pytest.mark.parametrize("product", _PRODUCTS)
def test_a_client_certificate_is_enough(authority: Authority, product: str) -> None:
    mine = authority.issue("exporter.example")
    login = dict.fromkeys(("api_key", "username", "password"))
    files = {"certificate": str(mine.certificate), "key": str(mine.key), "ca_file": str(authority.file)}
    with ReceiverServer(
        search.Cluster(product=product), authority.issue("127.0.0.1"), authority=authority.file
    ) as server:
        receiver = elastic.open_receiver(_settings(product, url=server.url, **login, **files), "search")
        one = event(1)

        assert _outcomes(receiver.send([receiver.prepare(one, key(one))])) == "a"

        assert server.requests[-1].client == "exporter.example"
        receiver.close()


def test_all_goes_through_the_proxy_and_none_through_that_of_the_environment(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    with Proxy("user:of the proxy") as proxy:
        options = {"proxy": f"http://{proxy.address}", "proxy_user": "user", "proxy_password": "of the proxy"}
        for product in _PRODUCTS:
            opened = make(product, options=options)

            assert _outcomes(opened.receiver.send(opened.prepare(1))) == "a"

            assert set(proxy.targets) == {f"127.0.0.1:{opened.server.port}"}
            proxy.targets.clear()
            opened.receiver.close()


def test_an_address_may_have_a_path(authority: Authority) -> None:
    cluster = search.Cluster()

    def behind(request: t.Any) -> Reply:
        prefix, _, rest = request.path.partition("/search/")
        assert prefix == ""
        return cluster(type(request)(**{**vars(request), "path": f"/{rest}"}))

    with ReceiverServer(behind, authority.issue("127.0.0.1")) as server:
        settings = _settings("elasticsearch", url=f"{server.url}/search/", ca_file=str(authority.file))
        receiver = elastic.open_receiver(settings, "search")
        one = event(1)

        assert _outcomes(receiver.send([receiver.prepare(one, key(one))])) == "a"

        receiver.close()


@pytest.mark.parametrize("product", _PRODUCTS)
def test_every_document_is_there_once_whoever_is_killed(
    authority: Authority, tmp_path: pathlib.Path, product: str
) -> None:
    chance = random.Random(21)  # noqa: S311 - it chooses when to kill
    directory = tmp_path / "receiver"
    directory.mkdir()
    issued = authority.issue("127.0.0.1")
    with ReceiverProcess(directory, "tests.support.receivers.search:make", issued, product=product) as process:
        settings = _settings(product, url=process.url, ca_file=str(authority.file))
        opened = elastic.open_receiver(settings, "search")
        prepared = [opened.prepare(one, key(one)) for one in map(event, range(300))]
        batches = [prepared[number : number + 20] for number in range(0, 300, 20)]

        def restart() -> None:
            if chance.random() < 0.5:
                process.kill()
                process.start()

        ended = killed.send_while_killed(
            lambda: elastic.open_receiver(settings, "search"), batches, 8, 0.5, chance, restart
        )
        stopping = threading.Event()

        def kill_at_random() -> None:
            while not stopping.wait(chance.uniform(0.05, 0.4)):
                process.kill()
                process.start()

        killer = threading.Thread(target=kill_at_random)
        killer.start()
        try:
            killed.send_all(lambda: opened, batches[:8])
        finally:
            stopping.set()
            killer.join()
        killed.send_all(lambda: opened, batches)

        assert ended < 8, "no exporter was killed at work"
        uids = [uid for uid, _document in process.journal.read()]
        assert sorted(uids) == sorted(one.uid for one in prepared)


def _check(product: str = "elasticsearch", **options: t.Any) -> str:
    with pytest.raises(ExportError) as caught:
        elastic.check(_settings(product, **options))
    return str(caught.value)


def test_settings_that_cannot_work_are_refused() -> None:
    none = {"api_key": None, "username": None, "password": None}
    elastic.check(_settings("elasticsearch"))
    elastic.check(_settings("opensearch"))
    assert _check(**none).startswith("the credentials are missing; give api_key")
    assert _check(username="a", password="b").startswith("api_key and username with password are given")
    assert _check(**{**none, "username": "a"}).startswith("username and password belong together")
    assert _check("opensearch", api_key="x", username=None, password=None).startswith("OpenSearch has no api_key")
    assert _check("opensearch", username="a:b").startswith("username has a colon")
    assert "line ends" in _check(api_key="a\nb")
    assert _check(url="https://search.example/?x=1").startswith("url has a query")
    assert _check(url="http://search.example").startswith("http://search.example has no TLS")
    assert "max_event is 9" in _check(max_event=9)
    for name in ("", "Logs-x", "-x", "a b", "a/b", "a,b", "ä", ".x", "x" * 201, "a\n"):
        assert "cannot be the name of a data stream" in _check(data_stream=name)


def test_a_missing_client_is_said_with_the_way_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(search_clients, "PACKAGES", {"elasticsearch": ("elasticsearch-of-nobody", 8)})

    assert _check() == (
        "it needs elasticsearch-of-nobody 8 or newer on the controller (missing): "
        "pip install 'elasticsearch-of-nobody>=8'"
    )
