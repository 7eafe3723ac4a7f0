# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The Splunk destination against a collector that keeps to the documentation, over TLS, and fails as it says."""

from __future__ import annotations

import contextlib
import json
import pathlib
import time
import typing as t

import pytest
from ansible_collections.bulwark.servers.plugins.plugin_utils.export import hec_events, hec_replies
from ansible_collections.bulwark.servers.plugins.plugin_utils.export.destinations import splunk
from ansible_collections.bulwark.servers.plugins.plugin_utils.export.receiver import (
    ExportError,
    Prepared,
    Receipt,
    UnavailableError,
    UnfitError,
)
from hypothesis import given
from hypothesis import strategies as st

from tests.support import hostile_events
from tests.support.receivers import ReceiverServer, Reply, Request, faults, hec, json_reply
from tests.support.receivers.certificates import Authority
from tests.unit.plugins.plugin_utils.export.export_events import event, key

_DEFAULTS = {name: option.get("default") for name, option in splunk.ARGUMENTS.items()}


def _settings(**options: t.Any) -> dict[str, t.Any]:
    return {**_DEFAULTS, "url": "https://splunk.example:8088", "token": hec.TOKEN, "format": "ocsf", **options}


class _Splunk:
    """A collector and a receiver that sends to it."""

    def __init__(self, directory: pathlib.Path, application: hec.Hec, **options: t.Any) -> None:
        authority = Authority(directory)
        self.hec = application
        self.server = ReceiverServer(application, authority.issue("127.0.0.1"))
        settings = _settings(url=self.server.url, ca_file=str(authority.file), request_timeout=20.0)
        self.receiver = splunk.open_receiver({**settings, **options}, "splunk")

    def prepare(self, *numbers: int, **members: t.Any) -> list[Prepared]:
        events = [event(number, **members) for number in numbers]
        return [self.receiver.prepare(one, key(one)) for one in events]

    def events(self) -> list[Request]:
        return [request for request in self.server.requests if request.path == "/services/collector/event"]


@pytest.fixture
def make(tmp_path: pathlib.Path) -> t.Iterator[t.Callable[..., _Splunk]]:
    with contextlib.ExitStack() as stack:

        def opened(application: hec.Hec | None = None, **options: t.Any) -> _Splunk:
            opened = _Splunk(tmp_path, application or hec.Hec(), **options)
            stack.enter_context(opened.server)
            stack.callback(opened.receiver.close)
            return opened

        yield opened


@pytest.fixture
def plain(make: t.Callable[..., _Splunk]) -> _Splunk:
    """A collector without acknowledgement."""
    return make(hec.Hec(acknowledges=False), acknowledge=False)


def _outcomes(receipts: t.Iterable[Receipt]) -> str:
    """Return the first letters of the outcomes."""
    return "".join(receipt.outcome[0] if receipt.outcome != "again" else "-" for receipt in receipts)


def test_events_arrive_in_their_envelope(plain: _Splunk) -> None:
    receipts = plain.receiver.send(plain.prepare(1, 2))

    assert receipts == [Receipt("accepted"), Receipt("accepted")]
    (request,) = plain.events()
    assert request.headers["content-encoding"] == "gzip"
    assert request.headers["authorization"] == f"Splunk {hec.TOKEN}"
    assert "x-splunk-request-channel" not in request.headers
    first = plain.hec.indexed[0]
    assert {name: first[name] for name in first if name != "event"} == {
        "time": 1_796_000_000.124,
        "host": "web1.example",
        "source": "bulwark.servers",
        "sourcetype": "bulwark:ocsf",
    }
    assert first["event"] == event(1)


def test_the_time_keeps_its_milliseconds(plain: _Splunk) -> None:
    (last,) = plain.prepare(1, time=253_402_300_799_999)
    (zero,) = plain.prepare(1, time=7)
    (none,) = plain.prepare(1, time="never")

    assert last.body.startswith(b'{"time":253402300799.999,')
    assert zero.body.startswith(b'{"time":0.007,')
    assert none.body.startswith(b'{"host":')


def test_index_sourcetype_and_indexed_fields_can_be_given(make: t.Callable[..., _Splunk]) -> None:
    opened = make(
        index="security",
        source="bulwark",
        sourcetype="bulwark:finding",
        fields={"finding": "{finding}", "what": "{change} {title:10}", "count": "{count}", "gone": "{status_detail}"},
    )

    opened.receiver.send(opened.prepare(1))

    (indexed,) = opened.hec.indexed
    assert (indexed["index"], indexed["source"], indexed["sourcetype"]) == ("security", "bulwark", "bulwark:finding")
    assert indexed["fields"] == {"finding": "finding-1", "what": "new Executabl…", "count": "3"}
    assert opened.prepare(1)[0].shortened_values == 1


def test_what_is_acknowledged_is_indexed(make: t.Callable[..., _Splunk]) -> None:
    opened = make(hec.Hec(lag=3))

    receipts = opened.receiver.send(opened.prepare(*range(50)))

    assert _outcomes(receipts) == "a" * 50
    assert len(opened.hec.uids()) == 50
    paths = [request.path for request in opened.server.requests]
    # One question before the first event, whether the token acknowledges at all.
    assert paths == [f"/services/collector/{name}" for name in ("ack", "event", "ack", "ack", "ack")]
    assert len({request.headers["x-splunk-request-channel"] for request in opened.server.requests}) == 1


def test_a_large_batch_goes_in_requests_below_a_megabyte_that_wait_together(make: t.Callable[..., _Splunk]) -> None:
    opened = make(hec.Hec(lag=2))
    text = "x" * 300_000

    receipts = opened.receiver.send(opened.prepare(*range(10), message=text))

    assert _outcomes(receipts) == "a" * 10
    assert [len(request.content()) < 1_000_000 for request in opened.events()] == [True] * 4
    asked = [request.json()["acks"] for request in opened.server.requests if request.path.endswith("/ack")]
    assert asked == [[0], [0, 1, 2, 3], [0, 1, 2, 3]]


def test_what_is_never_acknowledged_is_due_again_over_another_channel(make: t.Callable[..., _Splunk]) -> None:
    opened = make(hec.Hec(lag=1_000), acknowledge_timeout=0.4)
    batch = opened.prepare(1, 2)

    receipts = opened.receiver.send(batch)
    opened.receiver.send(batch)

    again = Receipt("again", "Splunk did not acknowledge it within 0.4 seconds")
    assert receipts == [again, again]
    assert len({request.headers["x-splunk-request-channel"] for request in opened.events()}) == 2


def test_acknowledgements_of_what_was_not_sent_count_for_nothing(make: t.Callable[..., _Splunk]) -> None:
    opened = make(hec.Hec(lag=1_000), acknowledge_timeout=0.4)
    opened.receiver.send([])

    def others(reply: Reply) -> Reply:
        if b"acks" in reply.body:
            return json_reply(200, {"acks": {"7": True, "00": True, "0": "true", "-1": True, "0 ": True}})
        return reply

    opened.server.fail_always(faults.changed(others))

    assert _outcomes(opened.receiver.send(opened.prepare(1))) == "-"


def test_an_id_that_comes_twice_settles_nothing(make: t.Callable[..., _Splunk]) -> None:
    opened = make(hec.Hec(lag=1))
    opened.receiver.send([])

    def same(reply: Reply) -> Reply:
        return json_reply(200, {**json.loads(reply.body), "ackId": 0}) if b"ackId" in reply.body else reply

    opened.server.fail_always(faults.changed(same))
    with pytest.raises(UnavailableError, match="gave an acknowledgement id twice, so it lost what it took before"):
        opened.receiver.send(opened.prepare(*range(6), message="x" * 300_000))
    opened.server.fail_always(None)

    assert _outcomes(opened.receiver.send(opened.prepare(*range(6)))) == "aaaaaa"


@pytest.mark.parametrize("ack_id", [None, "0", -1, True, 1.5])
def test_a_success_without_an_id_settles_nothing(make: t.Callable[..., _Splunk], ack_id: t.Any) -> None:
    opened = make()
    opened.receiver.send([])
    opened.server.fail(faults.reply(200, json.dumps({"text": "Success", "code": 0, "ackId": ack_id}).encode()))

    with pytest.raises(UnavailableError, match="took events without an acknowledgement; switch on"):
        opened.receiver.send(opened.prepare(1))


def test_a_token_without_acknowledgement_gets_no_event(make: t.Callable[..., _Splunk]) -> None:
    opened = make(hec.Hec(acknowledges=False))

    with pytest.raises(UnavailableError) as caught:
        opened.receiver.send(opened.prepare(1))

    assert str(caught.value) == (
        "Splunk: ACK is disabled (code 14); switch on indexer acknowledgement for the token in Splunk, or set "
        "acknowledge to false"
    )
    assert opened.events() == []


def test_a_token_with_acknowledgement_needs_it(make: t.Callable[..., _Splunk]) -> None:
    opened = make(acknowledge=False)

    with pytest.raises(UnavailableError, match=r"Data channel is missing \(code 10\); set acknowledge to true"):
        opened.receiver.send(opened.prepare(1))


@pytest.mark.parametrize("acknowledge", [True, False])
@pytest.mark.parametrize("keeps_before", [True, False])
def test_one_wrong_event_is_refused_and_the_others_arrive(
    make: t.Callable[..., _Splunk], acknowledge: bool, keeps_before: bool
) -> None:
    application = hec.Hec(acknowledges=acknowledge, keeps_before=keeps_before)
    opened = make(application, acknowledge=acknowledge)
    batch = opened.prepare(*range(6))
    batch[2] = Prepared("wrong", "wrong", b'{"event": "half')
    batch[4] = Prepared("blank", "blank", b'{"event": ""}')

    receipts = opened.receiver.send(batch)

    assert _outcomes(receipts) == "aarara"
    assert (receipts[2].reason, receipts[4].reason) == (
        "Splunk: Invalid data format (code 6)",
        "Splunk: Event field cannot be blank (code 13)",
    )
    # At least once: those before a wrong one may be there twice.
    assert {*application.uids()} == {batch[index].uid for index in (0, 1, 3, 5)}


def test_a_batch_of_wrong_events_ends_after_a_while(plain: _Splunk) -> None:
    batch = [Prepared(str(number), str(number), b'{"event": ""}') for number in range(100)]

    receipts = plain.receiver.send(batch)

    assert _outcomes(receipts) == "r" * 20 + "-" * 80
    assert receipts[-1].reason == "Splunk refused too many events of its batch"


def test_a_refusal_without_a_number_is_found_by_halves(plain: _Splunk) -> None:
    def without_number(reply: Reply) -> Reply:
        body = json.loads(reply.body)
        body.pop("invalid-event-number", None)
        return json_reply(reply.status, body)

    plain.server.fail_always(faults.changed(without_number))
    batch = plain.prepare(*range(16))
    batch[11] = Prepared("wrong", "wrong", b'{"event": {"a": NaN}}')

    assert _outcomes(plain.receiver.send(batch)) == "a" * 11 + "r" + "a" * 4
    assert sorted(plain.hec.uids()) == sorted(prepared.uid for prepared in batch if prepared.uid != "wrong")


def test_a_number_of_an_event_that_was_not_sent_settles_nothing(plain: _Splunk) -> None:
    reply = hec.code_reply(6, 2)
    plain.server.fail(faults.reply(reply.status, reply.body))

    with pytest.raises(UnavailableError, match="refused event 2 of 2, which was not sent"):
        plain.receiver.send(plain.prepare(1, 2))


def test_too_large_for_something_on_the_way_goes_in_halves(plain: _Splunk) -> None:
    plain.server.fail(faults.reply(413, b"<html>nginx</html>"), times=3)

    receipts = plain.receiver.send(plain.prepare(*range(4)))

    # Four, two and one were too large.
    assert _outcomes(receipts) == "raaa"
    assert receipts[0].reason == "Splunk: the request is too large (status 413)"


_SUCCESSES = {0, 24, 25}
_OF_EVENTS = {6, 12, 13, 15}


def test_the_codes_are_those_of_the_documentation() -> None:
    assert set(hec_replies.CODES) == set(hec.CODES)
    assert {code for code, row in hec_replies.CODES.items() if row.effect == "success"} == _SUCCESSES
    assert {code for code, row in hec_replies.CODES.items() if row.effect == "event"} == _OF_EVENTS


@pytest.mark.parametrize("code", hec.CODES)
def test_each_code(plain: _Splunk, code: int) -> None:
    reply = hec.code_reply(code)
    plain.server.fail(faults.reply(reply.status, reply.body, {"Retry-After": "17"}))

    if code in _SUCCESSES:
        assert _outcomes(plain.receiver.send(plain.prepare(1))) == "a"
    elif code in _OF_EVENTS:
        (receipt,) = plain.receiver.send(plain.prepare(1))
        assert (receipt.outcome, f"(code {code})" in str(receipt.reason)) == ("refused", True)
    else:
        with pytest.raises(UnavailableError, match=rf"^Splunk: .* \(code {code}\)") as caught:
            plain.receiver.send(plain.prepare(1))
        assert caught.value.retry_after == 17


@pytest.mark.parametrize("code", hec.CODES)
def test_each_code_to_a_question_for_acknowledgements_confirms_nothing(
    make: t.Callable[..., _Splunk], code: int
) -> None:
    opened = make(acknowledge_timeout=0.3)
    opened.receiver.send([])
    reply = hec.code_reply(code)

    def at_acks(exchange: t.Any) -> None:
        is_ack = exchange.request.path.endswith("/ack")
        exchange.send(reply if is_ack else exchange.process())

    opened.server.fail_always(at_acks)

    assert _outcomes(opened.receiver.send(opened.prepare(1))) == "-"


@pytest.mark.parametrize(
    ("fault", "problem"),
    [
        (faults.html(200), "Splunk sent a page for people in place of JSON"),
        (faults.html(503), "Splunk replied with status 503: a page for people"),
        (faults.reply(200, b""), "Splunk sent a reply that is not JSON"),
        (faults.reply(200, b"[]"), "Splunk sent JSON that is not an object: \\[\\]"),
        (faults.reply(200, b'{"text":"?","code":99}'), "Splunk replied with status 200: "),
        (faults.reply(200, b'{"code":"0"}'), "Splunk replied with status 200: "),
        (faults.reply(200, b'{"code":6,"invalid-event-number":0}'), r"Splunk: Invalid data format \(code 6\)"),
        (faults.reply(400, b'{"code":0}'), r"Splunk: Success \(code 0\)"),
        (faults.reply(404, b'{"text":"not found","code":404}'), "Splunk replied with status 404: "),
        (faults.busy(503, 33), "Splunk replied with status 503$"),
        (faults.redirect("https://elsewhere.example/"), "redirects to https://elsewhere.example "),
        (faults.half(), "ended the connection without a whole reply"),
        (faults.lost_reply(), "ended the connection without a whole reply"),
        (faults.endless(), "sent a reply of more than"),
    ],
)
def test_whatever_is_no_success_of_splunk_confirms_nothing(plain: _Splunk, fault: faults.Fault, problem: str) -> None:
    plain.server.fail(fault)

    with pytest.raises(UnavailableError, match=problem) as caught:
        plain.receiver.send(plain.prepare(1, 2))

    assert hec.TOKEN not in str(caught.value)
    assert _outcomes(plain.receiver.send(plain.prepare(1, 2))) == "aa"


@pytest.mark.parametrize("acknowledge", [True, False])
def test_a_failure_in_mid_batch_keeps_what_was_taken_and_the_pause(
    make: t.Callable[..., _Splunk], acknowledge: bool
) -> None:
    opened = make(hec.Hec(acknowledges=acknowledge), acknowledge=acknowledge)
    opened.receiver.send([])
    batch = opened.prepare(*range(6), message="x" * 300_000)

    opened.server.fail(lambda exchange: exchange.send(exchange.process()))
    opened.server.fail(faults.busy(429, 1))
    receipts = opened.receiver.send(batch)

    assert _outcomes(receipts) == "aaa---"
    assert receipts[-1].reason == "Splunk replied with status 429"
    with pytest.raises(UnavailableError, match="Splunk replied with status 429") as caught:
        opened.receiver.send(batch[3:])
    assert 0 < (caught.value.retry_after or 0) <= 1
    time.sleep(1.1)
    assert _outcomes(opened.receiver.send(batch[3:])) == "aaa"


def test_the_cookie_of_a_load_balancer_comes_back(plain: _Splunk) -> None:
    def with_cookie(reply: Reply) -> Reply:
        cookie = "AWSALB=abc/def+1=; Expires=Sun, 06 Dec 2026 22:24:00 GMT; Path=/"
        return Reply(reply.status, reply.body, {**reply.headers, "Set-Cookie": cookie})

    plain.server.fail(faults.changed(with_cookie))
    plain.receiver.send(plain.prepare(1))
    plain.receiver.send(plain.prepare(2))

    assert ["cookie" in request.headers for request in plain.events()] == [False, True]
    assert plain.events()[1].headers["cookie"] == "AWSALB=abc/def+1="


def test_an_event_that_is_too_large_loses_its_evidences(make: t.Callable[..., _Splunk]) -> None:
    opened = make(max_event=20_000)
    evidences = [{"file": {"path": f"/{number}" + "x" * 500}} for number in range(100)]

    (prepared,) = opened.prepare(1, evidences=evidences)

    assert len(prepared.body) <= 20_000
    assert 60 < prepared.removed_evidences < 100
    assert _outcomes(opened.receiver.send([prepared])) == "a"
    (indexed,) = opened.hec.indexed
    assert indexed["event"]["unmapped"]["notes"][0].startswith("export: ")
    assert indexed["event"]["remediation"] == event(1)["remediation"]


def test_an_event_without_uid_is_unfit(plain: _Splunk) -> None:
    with pytest.raises(UnfitError, match=r"no metadata\.uid"):
        plain.receiver.prepare(event(1, metadata={}), "key")


@given(st.dictionaries(st.text(max_size=20), st.text() | st.integers(-(2**63), 2**63 - 1) | st.booleans(), max_size=5))
def test_any_values_stay_one_event_that_reads_back(members: dict[str, t.Any]) -> None:
    receiver = splunk.open_receiver(_settings(fields={"subject": "{subject}"}), "splunk")
    whole = event(1, unmapped={**members, "subject": json.dumps(members)})
    prepared = receiver.prepare(whole, "key")
    receiver.close()

    application = hec.Hec(acknowledges=False)
    headers = {"authorization": f"Splunk {hec.TOKEN}"}
    both = prepared.body + b"\n" + prepared.body
    reply = application(Request("POST", "/services/collector/event", "", headers, both, None, None))

    assert reply.status == 200
    assert b"\n" not in prepared.body
    assert len(application.indexed) == 2
    if not any(0xD800 <= ord(char) < 0xE000 for char in json.dumps(members, ensure_ascii=False)):
        assert application.indexed[0]["event"] == whole


@pytest.mark.parametrize(
    ("url", "path"),
    [
        ("https://a.example:8088", "/services/collector"),
        ("https://a.example:8088/", "/services/collector"),
        ("https://a.example/services/collector", "/services/collector"),
        ("https://a.example/services/collector/event/", "/services/collector"),
        ("https://a.example/services/collector/event/1.0", "/services/collector"),
        ("https://a.example/proxy/services/collector/raw", "/proxy/services/collector"),
    ],
)
def test_the_address_may_have_the_path_of_an_endpoint(url: str, path: str) -> None:
    receiver = splunk.open_receiver(_settings(url=url), "splunk")

    assert receiver._path == path

    receiver.close()


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"url": "https://a.example/somewhere"}, "url has the path /somewhere; write the address of the collector"),
        ({"url": "https://a.example/?token=secret"}, "url has the path"),
        ({"url": "http://a.example"}, "has no TLS, so anybody on the way"),
        ({"token": None}, "token is missing; give one of token, token_file and token_environment"),
        ({"token": "a\nb"}, "the value of Authorization has line ends"),
        ({"acknowledge_timeout": 0.0}, "acknowledge_timeout is 0; write"),
        ({"acknowledge_timeout": 301.0}, "acknowledge_timeout is 301; write"),
        ({"max_event": 9_999}, "max_event is 9999; write 10000 to 1000000"),
        ({"max_event": 2_000_000}, "max_event is 2000000"),
        ({"index": ""}, "index is empty"),
        ({"source": "a\x00"}, "source is empty or has characters"),
        ({"fields": {"a": "{nothing}"}}, "fields: a: there is no field {nothing}; write one of alert, "),
    ],
)
def test_what_is_wrong_with_the_settings(options: dict[str, t.Any], problem: str) -> None:
    with pytest.raises(ExportError, match=problem) as caught:
        splunk.check(_settings(**options))

    assert hec.TOKEN not in str(caught.value)


def test_no_connection_is_made_before_the_first_send(make: t.Callable[..., _Splunk]) -> None:
    opened = make()
    opened.prepare(1)

    assert opened.server.connections == 0


def _groups(batch: t.Sequence[Prepared], receiver: splunk.SplunkReceiver) -> t.Iterator[list[Prepared]]:
    """Return batches as the exporter makes them."""
    group: list[Prepared] = []
    for prepared in batch:
        size = sum(len(each.body) for each in [*group, prepared])
        if group and (len(group) >= receiver.batch_events or size > receiver.batch_bytes):
            yield group
            group = []
        group.append(prepared)
    yield group


@pytest.mark.parametrize("form", ["cim", "ocsf"])
def test_hostile_findings_of_all_classes_arrive_whole(make: t.Callable[..., _Splunk], form: str) -> None:
    opened = make(format=form, max_event=1_000_000)
    # Each with a uid of its own, as the store makes them.
    events = [
        {**one, "metadata": {**one["metadata"], "uid": f"uid-{number}"}}
        for number, one in enumerate(hostile_events.many())
    ]
    render = hec_events.renderer(form)

    batch = [opened.receiver.prepare(one, f"key-{number}") for number, one in enumerate(events)]
    for group in _groups(batch, opened.receiver):
        assert set(_outcomes(opened.receiver.send(group))) == {"a"}

    assert len(events) == 2_000
    assert {one["class_uid"] for one in events} == {2002, 2003, 2004, 6007}
    indexed = {hec.uid(envelope): envelope["event"] for envelope in opened.hec.indexed}
    assert len(opened.hec.indexed) == len(indexed) == len(events)
    for number, (one, prepared) in enumerate(zip(events, batch, strict=True)):
        if not prepared.removed_evidences and not prepared.shortened_values:
            assert indexed[f"uid-{number}"] == json.loads(render(one).body)
