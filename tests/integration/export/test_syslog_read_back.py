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
from ansible_collections.bulwark.servers.plugins.plugin_utils.export.receiver import Prepared, Receipt

from tests.support import hostile_events
from tests.support.receivers.certificates import Authority
from tests.support.receivers.syslog_daemons import Daemon, Message, Rsyslog, SyslogNg
from tests.support.receivers.syslog_settings import receiver

pytestmark = [pytest.mark.requires(*Rsyslog.NEEDS, *SyslogNg.NEEDS), pytest.mark.long]

_NUMBER = 2_000
# RFC 5424, 6.2.1: local0 is 16; OCSF's informational to critical are informational to critical.
_PRIORITIES = {1: 134, 2: 133, 3: 132, 4: 131, 5: 130}
_MESSAGE_IDS = {2004: "detection", 2003: "compliance", 2002: "vulnerability", 6007: "scan"}

Event = t.Mapping[str, t.Any]


class Sent(t.NamedTuple):
    """An event with what was sent and what a receiver parsed of it."""

    event: Event
    prepared: Prepared
    message: Message


def _sent(daemon: Daemon, authority: Authority, **given: t.Any) -> list[Sent]:
    exporter = receiver(port=daemon.ports["tls"], ca_file=str(authority.file), **given)
    events = hostile_events.many(_NUMBER)
    batch = [exporter.prepare(event, "key") for event in events]
    assert exporter.send(batch) == [Receipt("accepted")] * _NUMBER
    messages = daemon.await_messages(_NUMBER)
    assert len(messages) == _NUMBER
    return [Sent(*row) for row in zip(events, batch, messages, strict=True)]


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(params=[Rsyslog, SyslogNg])
def daemon(request: pytest.FixtureRequest, tmp_path: pathlib.Path, authority: Authority) -> t.Iterator[Daemon]:
    with request.param(tmp_path, authority) as started:
        yield started


def test_json_reads_back_as_the_event(daemon: Daemon, authority: Authority) -> None:
    whole = 0
    for event, prepared, message in _sent(daemon, authority, format="ocsf"):
        _check_header(event, message)
        read = json.loads(message.text)
        if prepared.removed_evidences or prepared.shortened_values:
            assert read["metadata"] == _shown(event["metadata"])
            assert read["device"] == _shown(event["device"])
            assert any("the store has all" in note for note in read["unmapped"]["notes"])
        else:
            assert read == _shown(event)
            whole += 1
    assert whole > _NUMBER * 0.8


def test_structured_data_reads_back_as_its_fields(daemon: Daemon, authority: Authority) -> None:
    whole = 0
    for event, prepared, message in _sent(daemon, authority, format="structured"):
        _check_header(event, message)
        (read,) = message.data.values()
        if prepared.removed_evidences or prepared.shortened_values:
            assert "the store has all" in read["notes"]
            continue
        fields = mapping.for_event("structured", event, clean=visible.without_controls).apply(event).fields
        assert list(message.data) == ["bulwark@32473"]
        assert read == {name: _text(value) for name, value in fields.items()}
        assert message.text.removeprefix("\ufeff") == visible.without_controls(event["message"])
        whole += 1
    assert whole > _NUMBER * 0.8


@pytest.mark.parametrize("version", ["0", "1.2"])
def test_cef_arrives_as_it_was_written(daemon: Daemon, authority: Authority, version: str) -> None:
    _check_lines(
        _sent(daemon, authority, format="cef", cef_version=version, max_event=1_000_000),
        lambda event: cef.render(event, version).body,
    )


def test_leef_arrives_as_it_was_written(daemon: Daemon, authority: Authority) -> None:
    _check_lines(_sent(daemon, authority, format="leef", max_event=1_000_000), lambda event: leef.render(event).body)


def _check_lines(sent: t.Iterable[Sent], line: t.Callable[[Event], bytes]) -> None:
    whole = 0
    for event, _prepared, message in sent:
        _check_header(event, message)
        assert message.text == line(event).decode()
        whole += 1
    assert whole == _NUMBER


def _check_header(event: Event, message: Message) -> None:
    assert message.priority == _PRIORITIES.get(event["severity_id"], 134)
    assert message.message_id == _MESSAGE_IDS[event["class_uid"]]
    assert message.app_name == "bulwark"
    assert message.host == re.sub(r"[^!-~]", "_", event["device"]["hostname"])[:255]
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
