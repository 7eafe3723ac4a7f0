# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Settings of a syslog destination: what cannot work is said before anything is opened."""

from __future__ import annotations

import pathlib
import typing as t

import pytest
from ansible_collections.bulwark.servers.plugins.plugin_utils.export.destinations import syslog
from ansible_collections.bulwark.servers.plugins.plugin_utils.export.receiver import ExportError, UnfitError

from tests.support import hostile_events
from tests.support.receivers.certificates import Authority
from tests.support.receivers.syslog_settings import receiver, settings


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"address": ""}, "address is not a host"),
        ({"address": "tls://siem"}, "address is not a host"),
        ({"address": "siem.example.com:6514"}, "address is not a host.*the port in port"),
        ({"address": "siem..example.com"}, "address is not a host"),
        ({"address": "x" * 64}, "address is not a host"),
        ({"address": "siem example"}, "address is not a host"),
        ({"server_name": ""}, "server_name is not a host"),
        ({"server_name": ".example.com"}, "server_name is not a host"),
        ({"port": 0}, "port is 0; write a number from 1 to 65535"),
        ({"port": 65_536}, "port is 65536"),
        ({"timeout": 0}, "timeout is 0"),
        ({"max_event": 2_047}, "max_event is 2047; write bytes from 2048 to 10000000"),
        ({"max_event": 65_508, "transport": "udp"}, "from 2048 to 65507"),
        ({"max_event": 32_001, "format": "structured"}, "from 2048 to 32000"),
        ({"app_name": ""}, "app_name"),
        ({"app_name": "two words"}, "app_name"),
        ({"app_name": "x" * 49}, "app_name"),
        ({"hostname": ""}, "hostname"),
        ({"hostname": "a b"}, "hostname"),
        ({"hostname": "a\nb"}, "hostname"),
        ({"sd_id": "bulwark"}, "sd_id"),
        ({"sd_id": "bul wark@1"}, "sd_id"),
        ({"ca_file": "/no/such/file"}, "ca_file: /no/such/file cannot be read: No such file or directory"),
        ({"certificate": "/no/such/file"}, "certificate: /no/such/file cannot be read"),
        ({"key": "/no/such/file"}, "key is given without certificate"),
        ({"transport": "tcp", "ca_file": "/etc/ca.pem"}, "ca_file needs TLS, and transport is tcp"),
        ({"transport": "relp", "certificate": "/etc/c.pem"}, "certificate needs TLS"),
        ({"transport": "udp", "key_password": "secret"}, "key_password needs TLS"),
    ],
)
def test_wrong_settings_are_refused(given: dict[str, t.Any], message: str) -> None:
    with pytest.raises(ExportError, match=message) as refused:
        syslog.check(settings(**given))
    assert "secret" not in str(refused.value)


@pytest.mark.parametrize("address", ["siem", "siem.example.com", "192.0.2.1", "2001:db8::1", "xn--bcher-kva.example"])
def test_names_and_addresses_are_hosts(address: str) -> None:
    syslog.check(settings(address=address, server_name=address))


def test_a_file_without_a_certificate_is_refused(tmp_path: pathlib.Path) -> None:
    (tmp_path / "empty.pem").write_text("nothing")
    with pytest.raises(ExportError, match="has no certificate in PEM form"):
        syslog.check(settings(ca_file=str(tmp_path / "empty.pem")))


def test_a_key_needs_its_password(tmp_path: pathlib.Path) -> None:
    issued = Authority(tmp_path).issue("controller", password="secret")
    files = {"certificate": str(issued.certificate), "key": str(issued.key)}
    syslog.check(settings(**files, key_password="secret"))
    for given in ({}, {"key_password": "wrong-one"}):
        with pytest.raises(ExportError, match="key_password") as refused:
            syslog.check(settings(**files, **given))
        assert "wrong-one" not in str(refused.value)


def test_a_key_of_another_certificate_is_refused(tmp_path: pathlib.Path) -> None:
    authority = Authority(tmp_path)
    one, other = authority.issue("one"), authority.issue("other")
    with pytest.raises(ExportError, match="belong together"):
        syslog.check(settings(certificate=str(one.certificate), key=str(other.key)))


@pytest.mark.parametrize(
    ("given", "largest"),
    [
        ({}, 8_000),
        ({"format": "structured"}, 8_000),
        ({"format": "cef"}, 8_000),
        ({"format": "leef"}, 4_000),
        ({"transport": "udp"}, 8_000),
        ({"transport": "relp"}, 8_000),
        ({"max_event": 3_000}, 3_000),
    ],
)
def test_an_event_is_fitted_to_what_the_receiver_takes(given: dict[str, t.Any], largest: int) -> None:
    exporter = receiver(**{"transport": "tcp", **given})
    prepared = exporter.prepare(hostile_events.large(), "key")
    assert largest * 0.4 < len(prepared.body) <= largest
    assert prepared.removed_evidences + prepared.shortened_values > 0
    assert prepared.uid == hostile_events.large()["metadata"]["uid"]
    assert prepared.key == "key"


def test_an_event_that_nothing_makes_small_enough_is_unfit() -> None:
    event = hostile_events.large()
    event["metadata"] = {**event["metadata"], "uid": "x" * 10_000}
    with pytest.raises(UnfitError, match="limit is 8000 bytes"):
        receiver(transport="tcp").prepare(event, "key")


@pytest.mark.parametrize(
    ("given", "mark"),
    [
        ({"format": "structured"}, True),
        ({"format": "structured", "bom": False}, False),
        ({"format": "cef"}, False),
        ({"format": "cef", "bom": True}, True),
        ({"format": "ocsf", "bom": True}, False),
    ],
)
def test_a_byte_order_mark_is_written_where_the_format_knows_it(given: dict[str, t.Any], mark: bool) -> None:
    event = {**hostile_events.plain()[0], "message": "Größe"}
    body = receiver(transport="tcp", **given).prepare(event, "key").body
    assert (b"\xef\xbb\xbf" in body) == mark
    assert body.isascii() == (given["format"] == "ocsf")
