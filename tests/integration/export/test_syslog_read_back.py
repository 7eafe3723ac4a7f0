# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Hostile findings of every class are written by each format, and rsyslog and syslog-ng parse what was written."""

from __future__ import annotations

import datetime as dt
import json
import pathlib
import re
import typing as t

import pytest
from ansible_collections.bulwark.servers.plugins.plugin_utils.export import mapping, visible
from ansible_collections.bulwark.servers.plugins.plugin_utils.export.formats import cef, leef
from ansible_collections.bulwark.servers.plugins.plugin_utils.export.receiver import Prepared, Receipt, UnfitError

from tests.support import hostile_events
from tests.support.receivers.certificates import Authority
from tests.support.receivers.syslog_daemons import Daemon, Message, Rsyslog, SyslogNg
from tests.support.receivers.syslog_settings import receiver

# Hypothesis draws the events once for one worker.
pytestmark = [
    pytest.mark.requires(*Rsyslog.NEEDS, *SyslogNg.NEEDS),
    pytest.mark.long,
    pytest.mark.xdist_group("syslog_read_back"),
]

_NUMBER = 2_000
_DRAWN = 2_200
_LARGEST = 4_000_000
# RFC 5424, 6.2.1: local0 is 16; OCSF's informational to critical are informational to critical.
_PRIORITIES = {1: 134, 2: 133, 3: 132, 4: 131, 5: 130}
_MESSAGE_IDS = {2004: "detection", 2003: "compliance", 2002: "vulnerability", 6007: "scan"}

# From then on rsyslog takes a time for none, so that none is sent, and the receiver takes its own.
_YEAR_2100 = 4_102_444_800_000

Event = t.Mapping[str, t.Any]


class Sent(t.NamedTuple):
    """An event, the message that was sent for it, and what a receiver parsed of that."""

    event: Event
    prepared: Prepared
    message: Message


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(params=[Rsyslog, SyslogNg])
def kind(request: pytest.FixtureRequest) -> type[Daemon]:
    return t.cast("type[Daemon]", request.param)


@pytest.fixture
def daemon(kind: type[Daemon], tmp_path: pathlib.Path, authority: Authority) -> t.Iterator[Daemon]:
    """A receiver that takes every event of these tests whole."""
    with kind(tmp_path, authority, largest=_LARGEST + 1_000) as started:
        yield started


def test_json_reads_back_as_the_event(daemon: Daemon, authority: Authority) -> None:
    for event, _prepared, message in _sent_whole(daemon, authority, format="ocsf"):
        assert json.loads(message.text) == _shown(event)


def test_structured_data_reads_back_as_its_fields(daemon: Daemon, authority: Authority) -> None:
    """It has less room, so that some events lose evidences, and some cannot be sent at all."""
    events = [event for event in hostile_events.many(_DRAWN) if _fits(event)]
    assert len(events) >= _NUMBER
    whole = 0
    for event, prepared, message in _sent(daemon, authority, events, format="structured", max_event=32_000):
        _check_header(event, message)
        if prepared.removed_evidences or prepared.shortened_values:
            assert "the store has all" in message.data["bulwark@32473"]["notes"]
            continue
        fields = mapping.for_event("structured", event, clean=visible.without_controls).apply(event).fields
        assert message.data == {"bulwark@32473": {name: _text(value) for name, value in fields.items()}}
        text = visible.without_controls(event["message"])
        assert message.text in (text, f"\ufeff{text}")
        whole += 1
    assert whole > _NUMBER * 0.9


def _fits(event: Event) -> bool:
    try:
        receiver(transport="tcp", format="structured", max_event=32_000).prepare(event, "key")
    except UnfitError:
        return False
    return True


@pytest.mark.parametrize("version", ["0", "1.2"])
def test_cef_arrives_as_it_was_written(daemon: Daemon, authority: Authority, version: str) -> None:
    for event, _prepared, message in _sent_whole(daemon, authority, format="cef", cef_version=version):
        assert message.text == cef.render(event, version).body.decode()


def test_leef_arrives_as_it_was_written(daemon: Daemon, authority: Authority) -> None:
    for event, _prepared, message in _sent_whole(daemon, authority, format="leef"):
        assert message.text == leef.render(event).body.decode()


@pytest.mark.parametrize("written_format", ["ocsf", "structured", "cef", "leef"])
def test_what_is_too_large_is_fitted_to_the_default_of_receivers(
    kind: type[Daemon], tmp_path: pathlib.Path, authority: Authority, written_format: str
) -> None:
    events = [hostile_events.large(), hostile_events.large(evidences=2, length=100_000)]
    with kind(tmp_path, authority) as daemon:
        for event, prepared, message in _sent(daemon, authority, events, format=written_format):
            assert 1_000 < len(prepared.body) <= (4_000 if written_format == "leef" else 8_000)
            assert prepared.removed_evidences + prepared.shortened_values > 0
            _check_header(event, message)
            if written_format == "ocsf":
                read = json.loads(message.text)
                assert (read["metadata"], read["device"]) == (event["metadata"], event["device"])
                assert any("the store has all" in note for note in read["unmapped"]["notes"])
            elif written_format == "structured":
                assert "the store has all" in message.data["bulwark@32473"]["notes"]
            else:
                assert message.text == prepared.body.decode().partition(" - detection - ")[2]


def _sent_whole(daemon: Daemon, authority: Authority, **given: t.Any) -> t.Iterator[Sent]:
    events = hostile_events.many(_DRAWN)
    number = 0
    for sent in _sent(daemon, authority, events, max_event=_LARGEST, **given):
        assert sent.prepared.removed_evidences == 0
        _check_header(sent.event, sent.message)
        number += 1
        yield sent
    assert number == _DRAWN


def _sent(daemon: Daemon, authority: Authority, events: t.Sequence[Event], **given: t.Any) -> list[Sent]:
    exporter = receiver(port=daemon.ports["tls"], ca_file=str(authority.file), **given)
    batch = [exporter.prepare(event, "key") for event in events]
    assert exporter.send(batch) == [Receipt("accepted")] * len(events)
    messages = daemon.await_messages(len(events))
    return [Sent(*row) for row in zip(events, batch, messages, strict=True)]


def _check_header(event: Event, message: Message) -> None:
    assert message.priority == _PRIORITIES.get(event["severity_id"], 134)
    assert message.message_id == _MESSAGE_IDS[event["class_uid"]]
    assert message.app_name == "bulwark"
    if event["device"]["hostname"]:  # otherwise a receiver takes the address of the connection, or none
        assert message.host == re.sub(r"[^0-9A-Za-z._-]", "_", event["device"]["hostname"])[:255]
    if event["time"] < _YEAR_2100:
        written = dt.datetime.fromtimestamp(event["time"] / 1000, dt.UTC)
        assert dt.datetime.fromisoformat(message.time) == written


def _text(value: t.Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


def _shown(value: t.Any) -> t.Any:
    """Return an event as JSON has it: half a surrogate pair is shown, all else is as it was."""
    if isinstance(value, str):
        return visible.without_surrogates(value)
    if isinstance(value, dict):
        return {name: _shown(member) for name, member in value.items()}
    if isinstance(value, (list, tuple)):
        return [_shown(item) for item in value]
    return value
