# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Receivers that fail: a batch is accepted only if it was read, and everything else is due again, with a reason."""

from __future__ import annotations

import datetime as dt
import os
import pathlib
import signal
import threading
import time
import typing as t

import pytest
from ansible_collections.bulwark.servers.plugins.plugin_utils.export.receiver import UnavailableError

from tests.support import waiting
from tests.support.receivers.certificates import Authority
from tests.support.receivers.syslog_daemons import Daemon, Rsyslog, SyslogNg
from tests.support.receivers.syslog_settings import prepared, receiver

pytestmark = pytest.mark.requires(*Rsyslog.NEEDS, *SyslogNg.NEEDS)

_KINDS = [Rsyslog, SyslogNg]
_STREAMS = [(kind, transport) for kind in _KINDS for transport in ("tls", "tcp")]


@pytest.fixture
def authority(tmp_path: pathlib.Path) -> Authority:
    return Authority(tmp_path)


@pytest.mark.parametrize(("kind", "transport"), [*_STREAMS, (Rsyslog, "relp")])
def test_a_receiver_that_is_killed_gets_the_batch_again(
    tmp_path: pathlib.Path, authority: Authority, kind: type[Daemon], transport: str
) -> None:
    """It is killed while it cannot have read everything: it stands still, with more on the way than buffers hold."""
    batch = [prepared(f"{index} {'x' * 7_000}", index) for index in range(3_000)]
    with kind(tmp_path, authority) as daemon:
        exporter = receiver(
            transport=transport, port=daemon.ports[transport], timeout=30, **_trust(transport, authority)
        )
        exporter.send([prepared("before")])
        daemon.await_messages(1)
        killer = threading.Thread(target=_kill_in_a_while, args=(daemon,))
        killer.start()
        with pytest.raises(UnavailableError, match="localhost"):
            _check_all_due(exporter.send(batch))
        killer.join()
        daemon.start()
        assert [receipt.outcome for receipt in exporter.send(batch)] == ["accepted"] * len(batch)
        daemon.await_messages(len(batch))
        texts = {_text(item) for item in batch}
        waiting.until(lambda: {message.text for message in daemon.messages()} >= texts)


@pytest.mark.parametrize(("kind", "transport"), [*_STREAMS, (Rsyslog, "relp")])
def test_a_receiver_that_never_reads_costs_a_timeout(
    tmp_path: pathlib.Path, authority: Authority, kind: type[Daemon], transport: str
) -> None:
    with kind(tmp_path, authority) as daemon:
        os.kill(daemon.pid, signal.SIGSTOP)
        exporter = receiver(
            transport=transport, port=daemon.ports[transport], timeout=0.5, **_trust(transport, authority)
        )
        start = time.monotonic()
        with pytest.raises(UnavailableError, match=r"nothing happened for 0\.5 seconds"):
            exporter.send([prepared("never read")])
        assert time.monotonic() - start < 20


@pytest.mark.parametrize("kind", _KINDS)
def test_a_certificate_for_another_host_is_refused(
    tmp_path: pathlib.Path, authority: Authority, kind: type[Daemon]
) -> None:
    with kind(tmp_path, authority, authority.issue("other.example.com")) as daemon:
        trust = {"port": daemon.ports["tls"], "ca_file": str(authority.file)}
        with pytest.raises(UnavailableError, match="certificate is refused, Hostname mismatch"):
            receiver(**trust).send([prepared("secret")])
        receiver(**trust, server_name="other.example.com").send([prepared("named")])
        receiver(**trust, verify=False).send([prepared("unverified")])
        assert [message.text for message in daemon.await_messages(2)] == ["named", "unverified"]


@pytest.mark.parametrize("kind", _KINDS)
def test_an_expired_certificate_is_refused(tmp_path: pathlib.Path, authority: Authority, kind: type[Daemon]) -> None:
    expired = authority.issue("localhost", lifetime=dt.timedelta(days=-1))
    with kind(tmp_path, authority, expired) as daemon:
        with pytest.raises(UnavailableError, match="certificate is refused, certificate has expired"):
            receiver(port=daemon.ports["tls"], ca_file=str(authority.file)).send([prepared("secret")])
        assert daemon.messages() == []


@pytest.mark.parametrize("kind", _KINDS)
def test_an_expired_authority_is_refused(tmp_path: pathlib.Path, kind: type[Daemon]) -> None:
    expired = Authority(tmp_path, lifetime=dt.timedelta(days=-1))
    with kind(tmp_path, expired) as daemon:
        with pytest.raises(UnavailableError, match="certificate is refused, certificate has expired"):
            receiver(port=daemon.ports["tls"], ca_file=str(expired.file)).send([prepared("secret")])
        assert daemon.messages() == []


@pytest.mark.parametrize("kind", _KINDS)
def test_a_foreign_authority_is_refused(tmp_path: pathlib.Path, authority: Authority, kind: type[Daemon]) -> None:
    other = Authority(tmp_path, "Other authority")
    with kind(tmp_path, authority) as daemon:
        with pytest.raises(UnavailableError, match="certificate is refused"):
            receiver(port=daemon.ports["tls"], ca_file=str(other.file)).send([prepared("secret")])
        with pytest.raises(UnavailableError, match="certificate is refused"):
            receiver(port=daemon.ports["tls"]).send([prepared("secret")])
        assert daemon.messages() == []


@pytest.mark.parametrize("kind", _KINDS)
def test_a_receiver_without_tls_gets_nothing(tmp_path: pathlib.Path, authority: Authority, kind: type[Daemon]) -> None:
    with kind(tmp_path, authority) as daemon:
        with pytest.raises(UnavailableError, match="makes no TLS connection"):
            receiver(port=daemon.ports["tcp"], ca_file=str(authority.file), timeout=2).send([prepared("secret")])
        assert not any("secret" in message.text for message in daemon.messages())


@pytest.mark.parametrize(
    ("kind", "transport", "port"),
    [(Rsyslog, "tcp", "tls"), (SyslogNg, "tcp", "tls"), (Rsyslog, "tcp", "relp"), (Rsyslog, "relp", "tcp")],
)
def test_a_receiver_of_another_protocol_accepts_nothing(
    tmp_path: pathlib.Path, authority: Authority, kind: type[Daemon], transport: str, port: str
) -> None:
    with kind(tmp_path, authority) as daemon, pytest.raises(UnavailableError, match=f"localhost:{daemon.ports[port]}"):
        receiver(transport=transport, port=daemon.ports[port], timeout=2).send([prepared("misunderstood")])


@pytest.mark.parametrize("kind", _KINDS)
def test_a_missing_client_certificate_is_never_taken_for_success(
    tmp_path: pathlib.Path, authority: Authority, kind: type[Daemon]
) -> None:
    """With TLS 1.3 the receiver refuses after the handshake, when the batch may already be written."""
    with kind(tmp_path, authority, asks_clients=True) as daemon:
        exporter = receiver(port=daemon.ports["tls"], ca_file=str(authority.file))
        for _ in range(50):
            with pytest.raises(UnavailableError):
                exporter.send([prepared("without a certificate")])
        assert daemon.messages() == []


def test_relp_accepts_what_was_acknowledged_before_a_break(tmp_path: pathlib.Path, authority: Authority) -> None:
    batch = [prepared(f"{index} {'x' * 7_000}", index) for index in range(20_000)]
    with Rsyslog(tmp_path, authority) as daemon:
        exporter = receiver(transport="relp", port=daemon.ports["relp"], timeout=30)
        killer = threading.Thread(target=_kill_after, args=(daemon, 1_000))
        killer.start()
        receipts = exporter.send(batch)
        killer.join()
        outcomes = {receipt.outcome for receipt in receipts}
        assert outcomes == {"accepted", "again"}
        again = [item for item, receipt in zip(batch, receipts, strict=True) if receipt.outcome == "again"]
        daemon.start()
        assert {receipt.outcome for receipt in exporter.send(again)} == {"accepted"}


def test_a_receiver_that_is_not_there_is_named() -> None:
    with pytest.raises(UnavailableError, match=r"127\.0\.0\.1:9 cannot be reached: Connection refused"):
        receiver(address="127.0.0.1", port=9, transport="tcp").send([prepared("lost")])
    with pytest.raises(UnavailableError, match=r"no-such-host\.invalid:6514 cannot be reached"):
        receiver(address="no-such-host.invalid").send([prepared("lost")])


def test_a_datagram_that_the_host_refuses_is_due_again() -> None:
    exporter = receiver(address="127.0.0.1", port=9, transport="udp")
    with pytest.raises(UnavailableError, match=r"127\.0\.0\.1:9 cannot be reached"):
        exporter.send([prepared(f"lost {index}", index) for index in range(10)])


def _kill_in_a_while(daemon: Daemon) -> None:
    time.sleep(0.05)
    os.kill(daemon.pid, signal.SIGSTOP)
    time.sleep(0.3)
    daemon.kill()


def _kill_after(daemon: Daemon, number: int) -> None:
    waiting.until(lambda: daemon.written.exists() and daemon.written.stat().st_size > number * 7_000)
    daemon.kill()


def _check_all_due(receipts: t.Sequence[t.Any]) -> None:
    """RELP accepts what was acknowledged before; if anything else is due again, the batch has failed as it should."""
    if any(receipt.outcome == "again" for receipt in receipts):
        raise UnavailableError("localhost broke off")


def _text(item: t.Any) -> str:
    return str(item.body.decode().partition(" - detection - ")[2])


def _trust(transport: str, authority: Authority) -> dict[str, t.Any]:
    return {"ca_file": str(authority.file)} if transport == "tls" else {}
