# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The webhook destination against a server that verifies by the library of Standard Webhooks, over TLS."""

from __future__ import annotations

import base64
import contextlib
import json
import pathlib
import time
import typing as t

import pytest
from ansible_collections.bulwark.servers.plugins.plugin_utils.export import webhook_signature
from ansible_collections.bulwark.servers.plugins.plugin_utils.export.destinations import webhook
from ansible_collections.bulwark.servers.plugins.plugin_utils.export.formats import ocsf
from ansible_collections.bulwark.servers.plugins.plugin_utils.export.receiver import (
    ExportError,
    Prepared,
    Receipt,
    UnavailableError,
    UnfitError,
)

from tests.support import hostile_events
from tests.support.receivers import ReceiverServer, Reply, Request, faults
from tests.support.receivers import webhook as receiving
from tests.support.receivers.certificates import Authority
from tests.unit.plugins.plugin_utils.export.export_events import event, key

_DEFAULTS = {name: option.get("default") for name, option in webhook.ARGUMENTS.items()}
_PATH = "/services/T000/B000/a-secret-of-the-chat"
_TOKEN = "a-token-of-the-pager"


def _settings(**options: t.Any) -> dict[str, t.Any]:
    return {**_DEFAULTS, "url": f"https://chat.example{_PATH}", **options}


class _Webhook:
    """A server and a receiver that sends to it."""

    def __init__(self, directory: pathlib.Path, application: receiving.Webhook, **options: t.Any) -> None:
        authority = Authority(directory)
        self.application = application
        self.server = ReceiverServer(application, authority.issue("127.0.0.1"))
        settings = _settings(url=self.server.url + _PATH, ca_file=str(authority.file), secret=receiving.SECRET)
        self.receiver = webhook.open_receiver({**settings, **options}, "webhook")

    def prepare(self, *numbers: int, **members: t.Any) -> list[Prepared]:
        events = [event(number, **members) for number in numbers]
        return [self.receiver.prepare(one, key(one)) for one in events]


Make = t.Callable[..., _Webhook]


@pytest.fixture
def make(tmp_path: pathlib.Path) -> t.Iterator[Make]:
    with contextlib.ExitStack() as stack:

        def opened(application: receiving.Webhook | None = None, **options: t.Any) -> _Webhook:
            opened = _Webhook(tmp_path, application or receiving.Webhook(), **options)
            stack.enter_context(opened.server)
            stack.callback(opened.receiver.close)
            return opened

        yield opened


def _outcomes(receipts: t.Iterable[Receipt]) -> str:
    """Return the first letters of the outcomes."""
    return "".join(receipt.outcome[0] if receipt.outcome != "again" else "-" for receipt in receipts)


def test_one_event_a_request_signed_and_with_its_uid(make: Make) -> None:
    opened = make()
    batch = opened.prepare(1, 2)

    assert _outcomes(opened.receiver.send(batch)) == "aa"

    assert opened.application.messages == {batch[0].uid: event(1), batch[1].uid: event(2)}
    request = opened.server.requests[0]
    assert (request.method, request.path) == ("POST", _PATH)
    assert request.headers["idempotency-key"] == request.headers["webhook-id"] == batch[0].uid
    assert request.headers["content-type"] == "application/json"


@pytest.mark.parametrize(("batch", "media"), [("array", "application/json"), ("lines", "application/x-ndjson")])
@pytest.mark.parametrize("compress", [True, False])
def test_several_events_a_request(make: Make, batch: str, media: str, compress: bool) -> None:
    opened = make(
        receiving.Webhook(is_signed=not compress),
        events_per_request=10,
        batch=batch,
        compress=compress,
        **({"secret": None} if compress else {}),
    )
    assert opened.receiver.batch_events == 10

    assert _outcomes(opened.receiver.send(opened.prepare(*range(7)))) == "a" * 7

    (messages,) = opened.application.messages.values()
    assert messages == [event(number) for number in range(7)]
    (request,) = opened.server.requests
    assert request.headers["content-type"] == media
    assert len(request.headers["idempotency-key"]) == 64
    assert request.headers.get("content-encoding") == ("gzip" if compress else None)


def test_the_id_of_a_batch_is_the_same_each_time(make: Make) -> None:
    opened = make(events_per_request=10)
    opened.server.fail(faults.lost_reply())
    batch = opened.prepare(1, 2, 3)

    with pytest.raises(UnavailableError):
        opened.receiver.send(batch)
    opened.receiver.send(batch)

    assert len(opened.application.deliveries) == 2
    assert len(opened.application.messages) == 1


def test_the_library_refuses_another_secret_and_a_changed_body(make: Make) -> None:
    opened = make(secret="whsec_" + base64.b64encode(b"x" * 32).decode())

    with pytest.raises(UnavailableError, match=r"^https://127\.0\.0\.1:\d+: it replied with status 401: "):
        opened.receiver.send(opened.prepare(1))


def test_a_secret_may_be_plain_text() -> None:
    assert webhook_signature.key("a plain text of some length") == b"a plain text of some length"
    assert webhook_signature.key("whsec_" + base64.b64encode(b"0123456789abcdef").decode()) == b"0123456789abcdef"
    for secret in ("too short", "whsec_AAAA", "whsec_no base64!"):
        with pytest.raises(ExportError, match=r"^secret ") as caught:
            webhook_signature.key(secret)
        assert secret not in str(caught.value)


def test_the_signature_is_that_of_the_specification() -> None:
    # The example of https://github.com/standard-webhooks/standard-webhooks, spec/standard-webhooks.md.
    signing_key = webhook_signature.key("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")

    headers = webhook_signature.headers(
        signing_key, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, b'{"test": 2432232314}'
    )

    assert headers["webhook-signature"] == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_the_token_goes_into_headers_and_the_template_and_is_in_no_preview(make: Make) -> None:
    opened = make(
        template={"routing_key": "{token}", "payload": {"summary": "{title} on {host}"}},
        headers={"Authorization": "Bearer {token}", "X-Own": 7, "Idempotency-Key": "mine"},
        token=_TOKEN,
        secret=None,
    )
    opened.application._verifier = None
    batch = opened.prepare(1)

    assert _outcomes(opened.receiver.send(batch)) == "a"

    assert json.loads(batch[0].body) == {
        "routing_key": "********",
        "payload": {"summary": "Executable changed on web1.example"},
    }
    (request,) = opened.server.requests
    assert request.json() == {"routing_key": _TOKEN, "payload": {"summary": "Executable changed on web1.example"}}
    assert request.headers["authorization"] == f"Bearer {_TOKEN}"
    assert request.headers["x-own"] == "7"
    assert request.headers["idempotency-key"] == "mine"


def test_no_value_of_a_host_gets_the_token(make: Make) -> None:
    opened = make(template={"routing_key": "{token}", "summary": "{message}"}, token=_TOKEN)

    opened.receiver.send(opened.prepare(1, message="{token} ********"))

    assert opened.server.requests[0].json() == {"routing_key": _TOKEN, "summary": "{token} ********"}


@pytest.mark.parametrize(
    ("fault", "outcome"),
    [
        *((faults.reply(status), "a") for status in (200, 201, 202, 204, 299)),
        *((faults.reply(status), "r") for status in (400, 413, 415, 422)),
        *((faults.reply(status), "-") for status in (402, 403, 406, 411, 414, 418, 431)),
        *((faults.reply(status), "!") for status in (401, 404, 405, 407, 408, 409, 410, 421, 423, 425, 429)),
        *((faults.reply(status), "!") for status in (500, 502, 503, 504, 599, 300, 301, 302, 303, 304, 307, 308)),
        (faults.html(200), "!"),
        (faults.html(400), "r"),
        (faults.half(), "!"),
        (faults.endless(), "!"),
        (faults.garbage(), "!"),
        (faults.lost_reply(), "!"),
        (faults.close_before(), "!"),
        (faults.reply(200, b"no_text"), "a"),
    ],
)
def test_each_reply(make: Make, fault: faults.Fault, outcome: str) -> None:
    opened = make()
    opened.server.fail(fault)

    if outcome != "!":
        assert _outcomes(opened.receiver.send(opened.prepare(1))) == outcome
        return
    with pytest.raises(UnavailableError) as caught:
        opened.receiver.send(opened.prepare(1))
    assert str(caught.value).startswith(f"https://127.0.0.1:{opened.server.port}")
    assert "secret" not in str(caught.value)
    assert _outcomes(opened.receiver.send(opened.prepare(1))) == "a"


def test_success_can_be_more_or_less_than_2xx(make: Make) -> None:
    opened = make(success_statuses=[409], success_text="ok")
    for fault in (faults.reply(409), faults.reply(200, b"well, ok"), faults.reply(200, b"no_service")):
        opened.server.fail(fault)

    assert _outcomes(opened.receiver.send(opened.prepare(1, 2))) == "aa"
    with pytest.raises(UnavailableError, match="status 200: no_service, without the text of success_text"):
        opened.receiver.send(opened.prepare(3))


def test_what_a_firewall_blocks_does_not_stop_the_others(make: Make) -> None:
    opened = make()

    def firewall(exchange: t.Any) -> None:
        is_bad = b"<script>" in exchange.request.body
        exchange.send(Reply(403, b"blocked") if is_bad else exchange.process())

    opened.server.fail_always(firewall)
    batch = [*opened.prepare(1, message="<script>"), *opened.prepare(2), *opened.prepare(3, message="<script>")]

    receipts = opened.receiver.send(batch)

    assert _outcomes(receipts) == "-a-"
    assert str(receipts[0].reason).endswith(": it replied with status 403: blocked")


def test_a_wrong_event_of_a_batch_is_found(make: Make) -> None:
    def has_bad(value: t.Any) -> bool:
        return any(one["count"] == 666 for one in value) if isinstance(value, list) else value["count"] == 666

    opened = make(receiving.Webhook(refuse=has_bad), events_per_request=16)
    batch = [opened.prepare(number, count=666 if number in (3, 11) else 1)[0] for number in range(16)]

    receipts = opened.receiver.send(batch)

    assert _outcomes(receipts) == "aaaraaaaaaaraaaa"
    assert str(receipts[3].reason).endswith('it replied with status 422: {"error": "not this one"}')
    arrived = [one["metadata"]["uid"] for value in opened.application.messages.values() for one in value]
    assert sorted(arrived) == [prepared.uid for number, prepared in enumerate(batch) if number not in (3, 11)]


def test_a_receiver_that_refuses_all_ends_a_batch_in_time(make: Make) -> None:
    opened = make(receiving.Webhook(refuse=lambda _value: True), events_per_request=500)

    receipts = opened.receiver.send(opened.prepare(*range(500)))

    assert len(opened.server.requests) == 2 * 64 + 1
    assert set(_outcomes(receipts)) == {"r", "-"}


def test_too_large_for_the_receiver_goes_in_halves(make: Make) -> None:
    opened = make(receiving.Webhook(largest=10_000), events_per_request=64)

    assert _outcomes(opened.receiver.send(opened.prepare(*range(40)))) == "a" * 40


def test_a_receiver_that_wants_one_request_a_second_gets_them_all(make: Make) -> None:
    opened = make()
    turns = iter([None, 0, 0, None, 0, None])

    def limit(exchange: t.Any) -> None:
        _, wait = exchange.request, next(turns)
        exchange.send(exchange.process() if wait is None else Reply(429, b"", {"Retry-After": str(wait)}))

    opened.server.fail_always(limit)

    assert _outcomes(opened.receiver.send(opened.prepare(1, 2, 3))) == "aaa"
    assert len(opened.application.deliveries) == 3


def test_a_long_pause_in_mid_batch_keeps_what_was_taken(make: Make) -> None:
    opened = make()
    opened.server.fail(lambda exchange: exchange.send(exchange.process()))
    opened.server.fail(faults.busy(503, 40))
    batch = opened.prepare(1, 2, 3)

    assert _outcomes(opened.receiver.send(batch)) == "a--"

    with pytest.raises(UnavailableError, match="status 503") as caught:
        opened.receiver.send(batch[1:])
    assert 30 < (caught.value.retry_after or 0) <= 40
    assert len(opened.server.requests) == 2


def test_a_pause_at_once_is_told_to_the_exporter(make: Make) -> None:
    opened = make()
    opened.server.fail(faults.busy(429, 7))

    start = time.monotonic()
    with pytest.raises(UnavailableError, match="status 429") as caught:
        opened.receiver.send(opened.prepare(1, 2))

    assert caught.value.retry_after == 7
    assert time.monotonic() - start < 5


def test_an_event_that_is_too_large_is_cut(make: Make) -> None:
    opened = make(max_body=4_000)
    (prepared,) = opened.prepare(1, evidences=[{"a": "x" * 300}] * 50)

    assert len(prepared.body) <= 4_000
    assert prepared.removed_evidences > 30
    assert _outcomes(opened.receiver.send([prepared])) == "a"


def test_a_template_that_has_no_room_is_unfit(make: Make) -> None:
    opened = make(max_body=1_000, template={"a": "x" * 2_000})

    with pytest.raises(UnfitError):
        opened.prepare(1)


def test_bodies_with_tokens_stay_below_the_limit(make: Make) -> None:
    opened = make(
        max_body=10_000, template={"routing_key": "{token}", "event": "{event}"}, token="t" * 200, events_per_request=10
    )
    batch = []
    for prepared in opened.prepare(*range(10)):
        if sum(len(one.body) for one in [*batch, prepared]) > opened.receiver.batch_bytes:
            break
        batch.append(prepared)

    opened.receiver.send(batch)

    assert len(batch) > 3
    assert len(opened.server.requests) == 1
    assert len(opened.server.requests[0].body) <= 10_000


def test_an_event_without_uid_is_unfit(make: Make) -> None:
    with pytest.raises(UnfitError, match=r"no metadata\.uid"):
        make().receiver.prepare(event(1, metadata={}), "key")


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"url": None}, "url is missing; give one of url, url_file and url_environment"),
        ({"url": "chat.example/hidden"}, "url is not a URL of HTTP"),
        ({"url": "http://chat.example/hidden"}, "http://chat.example has no TLS"),
        ({"secret": "hidden"}, "secret has less than 16 bytes; make one with"),
        ({"headers": {"a b": "c"}}, "headers: 'a b' is not a name of a header"),
        ({"headers": {"X": "hidden\nY: 1"}}, "headers: the value of X has line ends"),
        ({"headers": {"X": "{token}"}}, "headers: X has {token}, but token is missing"),
        ({"headers": {"Authorization": "Bearer hidden"}}, "headers: Authorization has its secret in plain text"),
        ({"headers": {"Host": "hidden"}}, "headers: Host belongs to the request itself"),
        ({"template": {"a": "{token}"}}, "template has {token}, but token is missing"),
        ({"template": {"a": "x {token}"}, "token": "hidden"}, "template has {token} within a text"),
        ({"template": {"a": [{"b": "{token}"}]}, "token": "hidden"}, "template has {token} in a list"),
        ({"template": {"a": "{titel}"}}, "template: there is no field {titel}"),
        ({"events_per_request": 0}, "events_per_request is 0; write 1 to 1000"),
        ({"max_body": 10}, "max_body is 10; write 1000 to 16000000 bytes"),
        ({"success_statuses": [200]}, "success_statuses has 200"),
        ({"success_statuses": [301]}, "success_statuses has 301"),
        ({"translations": {"a": "severity"}}, "translations: a needs field"),
        ({"translations": {"a": {"field": "severity"}}}, "translations: a needs values"),
        ({"translations": {"a": {"field": "severity", "values": {}, "x": 1}}}, "translations: a needs field"),
        (
            {
                "translations": {
                    "a": {"field": "b", "values": {"x": "y"}},
                    "b": {"field": "severity", "values": {"x": "y"}},
                }
            },
            "translations: a is made of b, which is a translation itself",
        ),
        (
            {"translations": {"a": {"field": "nothing", "values": {"x": "y"}}}, "template": {"a": "{a}"}},
            "there is no field {nothing}",
        ),
    ],
)
def test_what_is_wrong_with_the_settings(options: dict[str, t.Any], problem: str) -> None:
    with pytest.raises(ExportError, match=problem) as caught:
        webhook.check(_settings(**options))

    assert "hidden" not in str(caught.value)


def test_a_request_that_nobody_signed_is_refused_by_the_server_of_these_tests() -> None:
    application = receiving.Webhook()
    headers = {"idempotency-key": "1"}

    assert application(Request("POST", "/", "", headers, b"{}", None, None)).status == 401


def test_hostile_findings_of_all_classes_arrive_whole(make: Make) -> None:
    opened = make(receiving.Webhook(largest=4_000_000), events_per_request=200, batch="lines", max_body=4_000_000)
    events = [
        {**one, "metadata": {**one["metadata"], "uid": f"uid-{number}"}}
        for number, one in enumerate(hostile_events.many())
    ]
    prepared = [opened.receiver.prepare(one, f"key-{number}") for number, one in enumerate(events)]

    for start in range(0, len(prepared), 20):
        assert _outcomes(opened.receiver.send(prepared[start : start + 20])) == "a" * 20

    arrived = [one for messages in opened.application.messages.values() for one in messages]
    assert len(arrived) == len(events) == 2_000
    assert arrived == [json.loads(ocsf.render(one).body) for one in events]


def test_hostile_findings_stay_one_message_each(make: Make) -> None:
    template = {"text": "{severity}: {title} {subject:200}", "more": {"event": "{event}", "list": ["{message:50|-}"]}}
    opened = make(template=template, escape="slack", max_body=100_000)

    for number, one in enumerate(hostile_events.many()):
        of = {**one, "metadata": {**one["metadata"], "uid": f"uid-{number}"}}
        try:
            prepared = opened.receiver.prepare(of, "key")
        except UnfitError:
            # Only what no text can be cut from, such as ids of 500 kB.
            assert len(ocsf.render(of).body) > 100_000
            continue
        assert len(prepared.body) <= 100_000
        assert b"\n" not in prepared.body
        value = json.loads(prepared.body)
        assert value.keys() == template.keys()
        assert len(value["more"]["list"]) == 1
        assert len(value["more"]["list"][0]) <= 50
        assert "<" not in prepared.body.decode()
