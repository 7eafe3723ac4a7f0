# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Batches of syslog messages arrive at real receivers by each transport."""

from __future__ import annotations

import pathlib
import typing as t

import pytest
from ansible_collections.bulwark.servers.plugins.plugin_utils.export.receiver import Receipt, UnavailableError

from tests.support.receivers.certificates import Authority
from tests.support.receivers.syslog_daemons import Daemon, Rsyslog, SyslogNg
from tests.support.receivers.syslog_settings import prepared, receiver

pytestmark = pytest.mark.requires(*Rsyslog.NEEDS, *SyslogNg.NEEDS)

_TRANSPORTS = [(kind, transport) for kind in (Rsyslog, SyslogNg) for transport in kind.TRANSPORTS]
_TRUSTED = [(kind, transport) for kind, transport in _TRANSPORTS if "tls" in transport]


@pytest.fixture
def authority(tmp_path: pathlib.Path) -> Authority:
    return Authority(tmp_path)


@pytest.mark.parametrize(("kind", "transport"), _TRANSPORTS)
def test_a_batch_arrives(tmp_path: pathlib.Path, authority: Authority, kind: type[Daemon], transport: str) -> None:
    number = 100 if transport == "udp" else 3_000
    # The receivers listen on this address alone, and nobody notices what goes to another.
    address = "127.0.0.1" if transport == "udp" else "localhost"
    with kind(tmp_path, authority) as daemon:
        trust = _trust(transport, authority)
        exporter = receiver(address=address, transport=transport, port=daemon.ports[transport], **trust)
        for _ in range(2):
            receipts = exporter.send([prepared(f"message {index}", index) for index in range(number)])
            assert receipts == [Receipt("accepted")] * number
        arrived = daemon.await_messages(2 * number)
    assert [message.text for message in arrived] == [f"message {index}" for index in range(number)] * 2
    assert {(message.host, message.app_name, message.message_id, message.priority) for message in arrived} == {
        ("web1", "bulwark", "detection", 134)
    }


@pytest.mark.parametrize("transport", ["tls", "tcp"])
def test_lines_that_end_in_a_newline_arrive(tmp_path: pathlib.Path, authority: Authority, transport: str) -> None:
    """syslog-ng's source for RFC 5424 reads octet counting alone."""
    with Rsyslog(tmp_path, authority) as daemon:
        trust = _trust(transport, authority)
        exporter = receiver(transport=transport, port=daemon.ports[transport], framing="newline", **trust)
        exporter.send([prepared(f"message {index}", index) for index in range(100)])
        assert [message.text for message in daemon.await_messages(100)] == [f"message {n}" for n in range(100)]


@pytest.mark.parametrize(("kind", "transport"), _TRUSTED)
def test_a_receiver_that_asks_for_a_certificate_gets_it(
    tmp_path: pathlib.Path, authority: Authority, kind: type[Daemon], transport: str
) -> None:
    with kind(tmp_path, authority, asks_clients=True) as daemon:
        identity = authority.issue("controller.example.com", password="secret")
        given = {"transport": transport, "port": daemon.ports[transport], "ca_file": str(authority.file)}
        with pytest.raises(UnavailableError, match=f"localhost:{daemon.ports[transport]}") as refused:
            receiver(**given).send([prepared("without")])
        assert "secret" not in str(refused.value)
        exporter = receiver(
            certificate=str(identity.certificate), key=str(identity.key), key_password="secret", **given
        )
        exporter.send([prepared("with")])
        assert [message.text for message in daemon.await_messages(1)] == ["with"]


def _trust(transport: str, authority: Authority) -> dict[str, t.Any]:
    """Return what a client needs; imrelp asks each for a certificate."""
    if "tls" not in transport:
        return {}
    trust = {"ca_file": str(authority.file)}
    if transport == "relp_tls":
        identity = authority.issue("controller.example.com")
        trust |= {"certificate": str(identity.certificate), "key": str(identity.key)}
    return trust
