# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Events in the topics of a real Kafka broker."""

from __future__ import annotations

import collections
import json
import pathlib
import struct
import threading
import time
import typing as t

import pytest
from ansible_collections.bulwark.servers.plugins.plugin_utils.export.destinations import kafka
from ansible_collections.bulwark.servers.plugins.plugin_utils.export.receiver import (
    ExportError,
    Prepared,
    Receipt,
    UnavailableError,
)

from tests.support import option_defaults
from tests.support.receivers.certificates import Authority
from tests.support.receivers.kafka_broker import Broker
from tests.unit.plugins.plugin_utils.export import export_events

pytestmark = pytest.mark.requires(*Broker.NEEDS)

_ACCEPTED = Receipt("accepted")


def settings(broker: Broker, **given: t.Any) -> dict[str, t.Any]:
    chosen = {"brokers": [broker.address], "topic": "findings", "tls": False, "timeout": 20.0, **given}
    return option_defaults.filled(kafka.ARGUMENTS, chosen)


def prepared(receiver: kafka.KafkaReceiver, *numbers: int, findings: int = 1_000_000) -> list[Prepared]:
    return [receiver.prepare(export_events.event(n), f"finding-{n % findings}") for n in numbers]


@pytest.fixture
def broker() -> t.Iterator[Broker]:
    with Broker() as started:
        started.create("findings", "scans")
        yield started


@pytest.fixture
def receiver(broker: Broker) -> t.Iterator[kafka.KafkaReceiver]:
    opened = kafka.open_receiver(settings(broker, scan_topic="scans"), "soc")
    yield opened
    opened.close()


def test_every_event_arrives_whole_and_the_changes_of_a_finding_in_order(
    broker: Broker, receiver: kafka.KafkaReceiver
) -> None:
    batch = prepared(receiver, *range(5_000), findings=400)
    assert receiver.send(batch[:3_000]) + receiver.send(batch[3_000:]) == [_ACCEPTED] * 5_000
    messages = broker.read("findings")
    assert {message.uid: message.value for message in messages} == {each.uid: each.body for each in batch}
    assert len(messages) == 5_000
    assert json.loads(messages[0].value)["metadata"]["uid"] == messages[0].uid
    partitions = collections.defaultdict(set)
    order = collections.defaultdict(list)
    for message in messages:
        partitions[message.key].add(message.partition)
        order[message.key].append(message.uid)
    assert {len(numbers) for numbers in partitions.values()} == {1}
    wanted = collections.defaultdict(list)
    for each in batch:
        wanted[each.key].append(each.uid)
    assert order == wanted


def test_each_class_has_its_topic(broker: Broker, receiver: kafka.KafkaReceiver) -> None:
    scan = receiver.prepare(export_events.event(1, class_uid=6007), "web1")
    assert receiver.send([scan, *prepared(receiver, 2)]) == [_ACCEPTED] * 2
    assert [message.uid for message in broker.read("scans")] == [scan.uid]
    assert len(broker.read("findings")) == 1


def test_a_value_with_a_schema_begins_with_its_id(broker: Broker) -> None:
    receiver = kafka.open_receiver(settings(broker, schema_id=70_000), "soc")
    receiver.send(prepared(receiver, 1))
    (message,) = broker.read("findings")
    assert struct.unpack(">bI", message.value[:5]) == (0, 70_000)
    assert json.loads(message.value[5:])["metadata"]["uid"] == message.uid


def test_events_above_the_limit_lose_evidences_and_arrive(broker: Broker, receiver: kafka.KafkaReceiver) -> None:
    evidences = [{"process": {"cmd_line": "x" * 30_000}, "file": {"path": f"/{n}", "name": str(n)}} for n in range(60)]
    event = export_events.event(1, evidences=evidences)
    large = receiver.prepare(event, "finding-1")
    assert large.removed_evidences > 0
    assert receiver.send([large]) == [_ACCEPTED]
    (message,) = broker.read("findings")
    assert 900_000 < len(message.value) <= 1_000_000


def test_a_broker_with_tls_is_verified(tmp_path: pathlib.Path) -> None:
    authority = Authority(tmp_path)
    stranger = Authority(tmp_path, "Another authority")
    with Broker(authority.issue("localhost"), str(authority.file)) as broker:
        broker.create("findings")
        trusting = kafka.open_receiver(settings(broker, tls=True, ca_file=str(authority.file)), "soc")
        assert trusting.send(prepared(trusting, 1)) == [_ACCEPTED]
        for wrong in (str(stranger.file), None):
            refusing = kafka.open_receiver(settings(broker, tls=True, ca_file=wrong, timeout=4.0), "soc")
            with pytest.raises(UnavailableError, match=r"check ca_file|check brokers"):
                refusing.send(prepared(refusing, 2))
        patient = kafka.open_receiver(settings(broker, tls=True, ca_file=str(stranger.file), timeout=60.0), "soc")
        started = time.monotonic()
        with pytest.raises(UnavailableError, match="check ca_file"):
            patient.send(prepared(patient, 2))
        assert time.monotonic() - started < 20
        careless = kafka.open_receiver(settings(broker, tls=True, verify=False), "soc")
        assert careless.send(prepared(careless, 3)) == [_ACCEPTED]
        assert len(broker.read("findings")) == 2


@pytest.mark.parametrize(
    ("mechanism", "tls"),
    [("SCRAM-SHA-256", False), ("SCRAM-SHA-512", False), ("SCRAM-SHA-512", True), ("PLAIN", True)],
)
def test_the_exporter_signs_in_and_a_wrong_password_is_named_at_once(
    mechanism: str, tls: bool, tmp_path: pathlib.Path
) -> None:
    authority = Authority(tmp_path)
    encrypted = (authority.issue("localhost"), str(authority.file)) if tls else (None, None)
    given = {"tls": tls, "ca_file": str(authority.file) if tls else None, "mechanism": mechanism, "user": "bulwark"}
    with Broker(*encrypted, users={"bulwark": "s3cr3t=,s3cr3t"}) as broker:
        broker.create("findings")
        receiver = kafka.open_receiver(settings(broker, **given, password="s3cr3t=,s3cr3t"), "soc")
        assert receiver.send(prepared(receiver, 1)) == [_ACCEPTED]
        assert (mechanism, "bulwark") in broker.signed_in()
        started = time.monotonic()
        for wrong in ({"password": "s3cr3t-of-another"}, {"user": "stranger", "password": "s3cr3t=,s3cr3t"}):
            refused = kafka.open_receiver(settings(broker, **{**given, "timeout": 60.0, **wrong}), "soc")
            with pytest.raises(UnavailableError, match="check mechanism, user and password") as error:
                refused.send(prepared(refused, 2))
            assert "s3cr3t" not in str(error.value)
        assert time.monotonic() - started < 40
        assert len(broker.read("findings")) == 1


def test_a_mechanism_that_the_cluster_does_not_offer_is_named() -> None:
    with Broker(users={"bulwark": "s3cr3t"}, mechanisms=["SCRAM-SHA-256"]) as broker:
        broker.create("findings")
        given = {"mechanism": "SCRAM-SHA-512", "user": "bulwark", "password": "s3cr3t", "timeout": 60.0}
        receiver = kafka.open_receiver(settings(broker, **given), "soc")
        with pytest.raises(UnavailableError, match="check mechanism, user and password"):
            receiver.send(prepared(receiver, 1))


def test_a_broker_with_another_name_is_refused(tmp_path: pathlib.Path) -> None:
    authority = Authority(tmp_path)
    with Broker(authority.issue("other.example.com"), str(authority.file)) as broker:
        receiver = kafka.open_receiver(settings(broker, tls=True, ca_file=str(authority.file), timeout=4.0), "soc")
        with pytest.raises(UnavailableError, match=r"check ca_file|check brokers"):
            receiver.send(prepared(receiver, 1))


def test_a_cluster_that_is_down_is_unavailable_and_a_later_one_gets_all(broker: Broker) -> None:
    receiver = kafka.open_receiver(settings(broker, timeout=4.0), "soc")
    batch = prepared(receiver, *range(50))
    broker.kill()
    started = time.monotonic()
    with pytest.raises(UnavailableError, match="check brokers"):
        receiver.send(batch)
    assert time.monotonic() - started < 20
    broker.start()
    broker.create("findings")
    assert receiver.send(batch) == [_ACCEPTED] * 50
    assert len(broker.read("findings")) == 50


def test_nothing_of_a_batch_that_timed_out_arrives_late_and_out_of_order(broker: Broker) -> None:
    receiver = kafka.open_receiver(settings(broker, timeout=4.0), "soc")
    receiver.send(prepared(receiver, 0, findings=1))
    batch = prepared(receiver, *range(1, 50), findings=1)
    broker.stop()
    with pytest.raises(UnavailableError):
        receiver.send(batch)
    broker.go_on()
    assert receiver.send(batch) == [_ACCEPTED] * 49
    uids = [message.uid for message in broker.read("findings")]
    # The broker may have had the first try in its socket: then it has the batch twice, in order each time.
    assert uids in ([each.uid for each in (*prepared(receiver, 0), *batch)], uids[:50] + uids[1:50])
    assert uids[:1] + uids[-49:] == [each.uid for each in (*prepared(receiver, 0), *batch)]


def test_a_batch_arrives_once_although_the_broker_pauses_in_its_middle(broker: Broker) -> None:
    """The producer sends again by itself what was not confirmed, and the broker knows it by its number."""
    receiver = kafka.open_receiver(settings(broker, timeout=60.0), "soc")
    batch = prepared(receiver, *range(5_000), findings=100)
    ended = threading.Event()

    def pause() -> None:
        while not ended.wait(0.02):
            broker.stop()
            time.sleep(0.05)
            broker.go_on()

    thread = threading.Thread(target=pause)
    thread.start()
    try:
        receipts = receiver.send(batch)
    finally:
        ended.set()
        thread.join()
    assert receipts == [_ACCEPTED] * 5_000
    assert collections.Counter(message.uid for message in broker.read("findings")) == collections.Counter(
        each.uid for each in batch
    )


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"brokers": []}, "brokers is empty"),
        ({"max_event": 5}, "max_event is 5"),
        ({"schema_id": 0}, "schema_id is 0"),
        ({"timeout": 0.0}, "timeout is 0"),
        ({"ca_file": "/nowhere"}, "ca_file needs TLS"),
        ({"tls": True, "ca_file": "/nowhere"}, "/nowhere cannot be read"),
        ({"tls": True, "key": "/dev/null"}, "key is given without certificate"),
        ({"mechanism": "PLAIN"}, "belong together"),
        ({"mechanism": "PLAIN", "user": "bulwark", "password": "secret"}, "PLAIN sends the password as it is"),
        ({"tls": True, "ca_file": "/dev/null"}, "refuses the settings"),
    ],
)
def test_settings_that_cannot_work_are_refused(given: dict[str, t.Any], message: str) -> None:
    chosen = {"brokers": ["localhost:9092"], "topic": "findings", "tls": False, **given}
    with pytest.raises(ExportError, match=message) as refused:
        kafka.check(option_defaults.filled(kafka.ARGUMENTS, chosen))
    assert "secret" not in str(refused.value).replace("the password", "")
