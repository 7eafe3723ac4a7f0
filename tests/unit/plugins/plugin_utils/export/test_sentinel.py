# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The destination sentinel: Azure's clients against servers that keep to its documentation, over TLS."""

from __future__ import annotations

import contextlib
import datetime as dt
import json
import logging
import pathlib
import random
import time
import traceback
import typing as t

import pytest
from ansible_collections.bulwark.servers.plugins.plugin_utils.export import azure_clients
from ansible_collections.bulwark.servers.plugins.plugin_utils.export.destinations import sentinel
from ansible_collections.bulwark.servers.plugins.plugin_utils.export.receiver import (
    ExportError,
    Prepared,
    Receipt,
    UnavailableError,
    UnfitError,
)

from tests.support import paths
from tests.support.receivers import ReceiverServer, azure, faults
from tests.support.receivers.certificates import Authority
from tests.support.receivers.process import ReceiverProcess
from tests.support.receivers.proxy import Proxy
from tests.unit.plugins.plugin_utils.export import hostile, killed
from tests.unit.plugins.plugin_utils.export.export_events import event, key

_DEFAULTS = {name: option.get("default") for name, option in sentinel.ARGUMENTS.items()}
_APPLICATION = {"tenant": azure.TENANT, "client": azure.CLIENT, "client_secret": azure.SECRET}


def _settings(**options: t.Any) -> dict[str, t.Any]:
    usual = {"endpoint": "https://dce.example", "rule": azure.RULE, "stream": azure.STREAM, **_APPLICATION}
    return {**_DEFAULTS, **usual, **options}


class _Azure:
    """An endpoint, Entra ID, and a receiver that sends to them."""

    def __init__(self, authority: Authority, ingestion: azure.Ingestion, **options: t.Any) -> None:
        issued = authority.issue("127.0.0.1")
        self.ingestion, self.identity = ingestion, azure.Identity()
        self.server, self.entra = ReceiverServer(ingestion, issued), ReceiverServer(self.identity, issued)
        self.identity.url = self.entra.url
        usual = {"endpoint": self.server.url, "authority": self.entra.url, "ca_file": str(authority.file)}
        self.settings = _settings(**{**usual, "request_timeout": 20.0, **options})
        self.receiver = sentinel.open_receiver(self.settings, "sentinel")

    def prepare(self, *numbers: int, **members: t.Any) -> list[Prepared]:
        events = [event(number, **members) for number in numbers]
        return [self.receiver.prepare(one, key(one)) for one in events]


Make = t.Callable[..., _Azure]


@pytest.fixture
def authority(tmp_path: pathlib.Path) -> Authority:
    return Authority(tmp_path)


@pytest.fixture
def make(authority: Authority) -> t.Iterator[Make]:
    with contextlib.ExitStack() as stack:

        def opened(options: t.Any = None, **ingestion: t.Any) -> _Azure:
            opened = _Azure(authority, azure.Ingestion(**ingestion), **(options or {}))
            stack.enter_context(opened.server)
            stack.enter_context(opened.entra)
            stack.callback(opened.receiver.close)
            return opened

        yield opened


@pytest.fixture
def cloud(make: Make) -> _Azure:
    return make()


def _outcomes(receipts: t.Iterable[Receipt]) -> str:
    """Return the first letters of the outcomes, a dash for those that are due again."""
    return "".join(receipt.outcome[0] if receipt.outcome != "again" else "-" for receipt in receipts)


def _failure(opened: _Azure, batch: t.Sequence[Prepared]) -> UnavailableError:
    """Return the error of a batch that must fail, which has no secret in it nor in its chain."""
    with pytest.raises(UnavailableError) as caught:
        opened.receiver.send(batch)
    whole = "".join(traceback.format_exception(caught.value, chain=True))
    # Nor the begin of a token in a text that was shortened.
    hidden = [azure.SECRET, *(token[:60] for token in opened.identity.tokens)]
    assert not [secret for secret in hidden if secret in whole]
    return caught.value


def test_rows_arrive_whole_with_their_time(cloud: _Azure) -> None:
    receipts = cloud.receiver.send(cloud.prepare(1, 2))

    assert receipts == [Receipt("accepted"), Receipt("accepted")]
    assert cloud.ingestion.rows == [
        {"TimeGenerated": "2026-11-30T00:53:20.124Z", **event(1)},
        {"TimeGenerated": "2026-11-30T00:53:20.125Z", **event(2)},
    ]
    (request,) = cloud.server.requests
    assert request.path == f"/dataCollectionRules/{azure.RULE}/streams/{azure.STREAM}"
    assert (request.headers["content-encoding"], request.tls) == ("gzip", "TLSv1.3")
    assert request.headers["accept-encoding"] == "identity"


def _columns(stream: str) -> dict[str, str]:
    """Return the columns that the template for Sentinel declares for a stream, with their types."""
    template = json.loads(
        (paths.ROOT / "plugins/plugin_utils/content/export/receivers/sentinel/azuredeploy.json").read_text()
    )
    (rule,) = [one for one in template["resources"] if one["type"] == "Microsoft.Insights/dataCollectionRules"]
    columns = rule["properties"]["streamDeclarations"][stream]["columns"]
    return {column["name"]: column["type"] for column in columns}


@pytest.mark.parametrize("name", sentinel.STREAMS)
def test_2000_hostile_events_of_all_classes_fit_the_columns_of_the_template(make: Make, name: str) -> None:
    stream = sentinel.STREAMS[name]
    opened = make({"format": name, "stream": None, "request_timeout": 300.0}, stream=stream, columns=_columns(stream))
    prepared: list[Prepared] = []
    problems: list[str] = []
    for one in hostile.exported():
        try:
            prepared.append(opened.receiver.prepare(one, one["metadata"]["uid"]))
        except UnfitError as error:
            problems.append(str(error))
    assert len(prepared) + len(problems) == 2_000
    # What is never cut, such as a remediation, is in some of them longer than Azure keeps.
    assert len(problems) < 100
    assert all(problem.endswith("and the limit is 64000 bytes") for problem in problems)

    for batch in _batches(opened, prepared):
        receipts = opened.receiver.send(batch)
        assert [receipt.reason for receipt in receipts if receipt.outcome != "accepted"] == []

    assert opened.ingestion.rows == [json.loads(one.body) for one in prepared]
    assert opened.ingestion.cut == []
    assert opened.ingestion.uids() == [one.uid for one in prepared]


def _batches(opened: _Azure, prepared: t.Sequence[Prepared]) -> list[list[Prepared]]:
    """Return events in batches as the exporter makes them."""
    batches: list[list[Prepared]] = [[]]
    for one in prepared:
        size = sum(len(other.body) for other in batches[-1])
        if size + len(one.body) > opened.receiver.batch_bytes or len(batches[-1]) >= opened.receiver.batch_events:
            batches.append([])
        batches[-1].append(one)
    return batches


def test_a_token_serves_many_calls(cloud: _Azure) -> None:
    for number in range(4):
        cloud.receiver.send(cloud.prepare(number))

    assert len(cloud.identity.tokens) == 1
    assert (cloud.server.connections, cloud.entra.connections) == (1, 1)


def test_a_token_that_ends_is_replaced_before(make: Make) -> None:
    opened = make()
    # Azure's client takes a new one when less than five minutes are left.
    opened.identity.lifetime = 60.0
    opened.receiver.send(opened.prepare(1))
    opened.receiver.send(opened.prepare(2))

    assert len(opened.identity.tokens) >= 2
    assert len(opened.ingestion.rows) == 2


def test_a_token_that_was_revoked_or_ended_early_is_replaced_at_once(cloud: _Azure) -> None:
    cloud.receiver.send(cloud.prepare(1))
    cloud.ingestion.revoked.update(cloud.identity.tokens)

    assert _outcomes(cloud.receiver.send(cloud.prepare(2))) == "a"

    cloud.ingestion.revoked.update(cloud.identity.tokens)
    # A token of Entra ID whose clock is wrong: it has ended already.
    cloud.identity.lifetimes.append(-10.0)
    # The server shows the token that it got.
    message = str(_failure(cloud, cloud.prepare(3)))
    assert "does not accept the token (status 401): InvalidToken: Authentication token '********'" in message
    assert _outcomes(cloud.receiver.send(cloud.prepare(3))) == "a"
    assert len(cloud.ingestion.rows) == 3


def test_an_application_shows_its_certificate(make: Make, tmp_path: pathlib.Path) -> None:
    both = tmp_path / "application.pem"
    # Entra ID takes keys of RSA only, so that the tests' own authority is of no use here.
    both.write_bytes(_rsa_certificate(b"of the certificate"))
    opened = make(
        {
            "client_secret": None,
            "client_certificate": str(both),
            "client_certificate_password": "of the certificate",
        }
    )
    opened.identity.certificate = both

    assert _outcomes(opened.receiver.send(opened.prepare(1))) == "a"

    (form,) = [request.content().decode() for request in opened.entra.requests if request.method == "POST"]
    assert "client_assertion=" in form
    assert "client_secret" not in form


def _rsa_certificate(password: bytes) -> bytes:
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import rsa
    from cryptography.x509.oid import NameOID

    own = rsa.generate_private_key(65_537, 2_048)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "exporter")])
    now = dt.datetime.now(dt.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(own.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .sign(own, hashes.SHA256())
    )
    encryption = serialization.BestAvailableEncryption(password)
    pem = serialization.Encoding.PEM
    private = own.private_bytes(pem, serialization.PrivateFormat.PKCS8, encryption)
    return private + certificate.public_bytes(pem)


@pytest.mark.parametrize("client", [None, azure.CLIENT])
def test_a_managed_identity_asks_its_machine_without_the_proxy(
    make: Make, monkeypatch: pytest.MonkeyPatch, client: str | None
) -> None:
    machine = azure.Identity()
    with ReceiverServer(machine) as service, Proxy() as proxy:
        monkeypatch.setenv("AZURE_POD_IDENTITY_AUTHORITY_HOST", service.url)
        none = {"tenant": None, "client": client, "client_secret": None, "managed_identity": True}
        opened = make({**none, "proxy": f"http://{proxy.address}"})

        assert _outcomes(opened.receiver.send(opened.prepare(1))) == "a"

        assert proxy.targets == [f"127.0.0.1:{opened.server.port}"]
        assert opened.entra.requests == []
        assert service.requests[0].headers["metadata"] == "true"
        opened.receiver.close()


def test_a_machine_without_an_identity_is_said(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    with ReceiverServer(azure.Identity()) as service:
        monkeypatch.setenv("AZURE_POD_IDENTITY_AUTHORITY_HOST", service.url)
        opened = make({"tenant": None, "client": "another", "client_secret": None, "managed_identity": True})

        message = str(_failure(opened, opened.prepare(1)))

        assert "gives no token for these credentials (status 400): invalid_request: Identity not found" in message


def test_no_call_is_above_a_megabyte_whatever_the_events(cloud: _Azure) -> None:
    # With the library's own chunks, which do not count the commas, many small events are too large.
    batch = cloud.prepare(*range(900), message="x" * 250)
    small = sum(len(one.body) for one in batch)
    text = "x" * (sentinel.SentinelReceiver.batch_bytes // 900 - small // 900)
    batch = cloud.prepare(*range(900), message="x" * 250 + text[1:])
    assert 980_000 < sum(len(one.body) for one in batch) <= cloud.receiver.batch_bytes

    assert _outcomes(cloud.receiver.send(batch)) == "a" * 900

    (request,) = cloud.server.requests
    assert len(request.content()) < 1_000_000


def test_a_field_above_64_kb_loses_evidences_and_says_so(cloud: _Azure) -> None:
    evidences = [{"file": {"path": f"/srv/{number}", "name": "x" * 300}} for number in range(400)]

    batch = [*cloud.prepare(1, evidences=evidences), *cloud.prepare(2, message="ü" * 90_000), *cloud.prepare(3)]
    cloud.receiver.send(batch)

    assert cloud.ingestion.cut == []
    first, second, third = cloud.ingestion.rows
    assert 0 < batch[0].removed_evidences == 400 - len(first["evidences"])
    assert len(first["evidences"]) > 150
    assert f"{batch[0].removed_evidences} of 400 evidences left out" in first["unmapped"]["notes"][0]
    assert batch[1].shortened_values == 1
    assert second["message"].endswith("…")
    assert 30_000 < len(second["message"].encode()) <= 64_000
    assert third == {"TimeGenerated": third["TimeGenerated"], **event(3)}


@pytest.mark.parametrize("time_of_event", [None, "now", -1, 2**53, True])
def test_an_event_without_a_time_is_unfit(cloud: _Azure, time_of_event: t.Any) -> None:
    with pytest.raises(UnfitError, match="no time between the years 1970 and 9999"):
        cloud.prepare(1, time=time_of_event)

    (last,) = cloud.prepare(1, time=253_402_300_799_999)
    assert json.loads(last.body)["TimeGenerated"] == "9999-12-31T23:59:59.999Z"


def test_hostile_text_stays_in_its_row(cloud: _Azure) -> None:
    text = 'a\nb\r\n"},{"x":1}]\u2028\x00\\</html>{{ x }}\ud800 \u202e'

    assert _outcomes(cloud.receiver.send(cloud.prepare(1, message=text, count=2**63 - 1))) == "a"

    (row,) = cloud.ingestion.rows
    assert row["message"] == text.replace("\ud800", "\\ud800")
    assert row["count"] == 2**63 - 1


def test_one_wrong_event_is_refused_and_the_others_arrive(make: Make) -> None:
    opened = make()
    batch = opened.prepare(*range(40))
    opened.ingestion.poison = frozenset({batch[7].uid, batch[23].uid})

    receipts = opened.receiver.send(batch)

    assert _outcomes(receipts) == "".join("r" if number in (7, 23) else "a" for number in range(40))
    assert receipts[7].reason == "InvalidRequestPayload: A value does not fit the type of its column."
    assert len(opened.ingestion.uids()) == 38


def test_when_all_are_wrong_the_rule_is_and_nothing_is_set_aside(make: Make) -> None:
    opened = make(columns={"TimeGenerated": "datetime"})

    message = str(_failure(opened, opened.prepare(*range(50))))

    assert "Azure refuses one event after the other: InvalidRequestPayload: The stream has no columns" in message
    assert len(opened.server.requests) < 50


def test_a_call_that_is_too_large_goes_in_halves(make: Make) -> None:
    opened = make(largest=40_000)
    batch = [*opened.prepare(*range(5), message="x" * 10_000), *opened.prepare(5, message="x" * 50_000)]

    receipts = opened.receiver.send(batch)

    assert _outcomes(receipts) == "aaaaar"
    assert receipts[5].reason == "it is larger than Azure takes (status 413)"


def test_what_was_taken_counts_though_the_rest_of_a_batch_failed(make: Make) -> None:
    opened = make(largest=25_000)
    batch = opened.prepare(*range(4), message="x" * 10_000)

    def usual(exchange: t.Any) -> None:
        exchange.send(exchange.process())

    opened.server.fail(usual, 2)
    opened.server.fail(faults.busy(429, 7))
    receipts = opened.receiver.send(batch)

    assert _outcomes(receipts) == "aa--"
    error = _failure(opened, batch[2:])
    assert error.retry_after is not None
    assert 0 < error.retry_after <= 7


@pytest.mark.parametrize(
    ("fault", "problem"),
    [
        (faults.html(), "sent a page for people in place of JSON (status 200)"),
        (faults.reply(200, b"{}", {"Content-Type": "application/json"}), "sent a reply that its client cannot read"),
        (faults.reply(200), "sent a reply that its client cannot read"),
        (faults.redirect("https://user:pw@elsewhere.example/x"), "redirects to https://elsewhere.example (status 301)"),
        (faults.garbage(), "ended the connection without a whole reply"),
        (faults.close_before(), "ended the connection without a whole reply"),
        (faults.reset_within(100), "ended the connection without a whole reply"),
        (faults.lost_reply(), "ended the connection without a whole reply"),
        (faults.endless(), "sent a reply of more than 1000000 bytes"),
        (faults.endless_headers(), "ended the connection without a whole reply"),
        (faults.reply(500, b"broken"), "cannot take anything now (status 500): broken"),
        (faults.reply(404, b'{"error":{"code":"NotFound","message":"no"}}'), "no such data collection rule or stream"),
        (faults.reply(400, b'{"error":{"code":"InvalidStream","message":"no"}}'), "InvalidStream: no"),
    ],
)
def test_what_is_no_reply_is_unavailable_and_the_next_call_works(
    cloud: _Azure, fault: faults.Fault, problem: str
) -> None:
    cloud.receiver.send(cloud.prepare(0))
    cloud.server.fail(fault)

    message = str(_failure(cloud, cloud.prepare(1, 2)))

    assert problem in message
    assert message.startswith(cloud.server.url)
    assert _outcomes(cloud.receiver.send(cloud.prepare(1, 2))) == "aa"


@pytest.mark.parametrize(("status", "seconds"), [(429, 7), (503, 11)])
def test_retry_after_is_obeyed_by_the_export_and_not_by_the_library(cloud: _Azure, status: int, seconds: int) -> None:
    for server in (cloud.server, cloud.entra):
        server.fail(faults.busy(status, seconds))
        start = time.monotonic()

        assert _failure(cloud, cloud.prepare(1)).retry_after == seconds

        assert time.monotonic() - start < 5
        cloud.receiver.close()
        cloud.receiver = sentinel.open_receiver(cloud.settings, "sentinel")


@pytest.mark.parametrize(
    ("fault", "problem"),
    [
        (faults.html(), "sent a page for people in place of JSON (status 200)"),
        (faults.redirect("https://elsewhere.example/x"), "redirects to https://elsewhere.example (status 301)"),
        (faults.lost_reply(), "ended the connection without a whole reply"),
        (faults.endless(), "sent a reply of more than 1000000 bytes"),
        (faults.reply(500), "cannot take anything now (status 500)"),
        (faults.reply(200, b"{}", {"Content-Type": "application/json"}), "sent a reply without a token"),
    ],
)
def test_entra_id_fails(cloud: _Azure, fault: faults.Fault, problem: str) -> None:
    cloud.entra.fail_always(fault)

    message = str(_failure(cloud, cloud.prepare(1)))

    assert problem in message
    assert message.startswith(cloud.entra.url)
    assert cloud.server.requests == []
    cloud.entra.fail_always(None)
    assert _outcomes(cloud.receiver.send(cloud.prepare(1))) == "a"


def test_a_token_endpoint_elsewhere_gets_no_secret(cloud: _Azure, authority: Authority) -> None:
    with ReceiverServer(azure.Identity(), authority.issue("127.0.0.1")) as elsewhere:
        honest = cloud.identity.url
        cloud.identity.url = elsewhere.url

        message = str(_failure(cloud, cloud.prepare(1)))

        assert f"the library wants to ask {elsewhere.url}, which the destination does not name" in message
        assert elsewhere.connections == 0
        cloud.identity.url = honest


def test_wrong_credentials_are_said_without_them(make: Make) -> None:
    secret = "another~s3cr3t-of-this-test"
    opened = make({"client_secret": secret})

    with pytest.raises(UnavailableError) as caught:
        opened.receiver.send(opened.prepare(1))

    reason = "invalid_client: AADSTS7000215: Invalid client secret '********'."
    assert str(caught.value).endswith(f"gives no token for these credentials (status 401): {reason}")
    assert secret not in "".join(traceback.format_exception(caught.value, chain=True))
    assert opened.server.requests == []


def test_an_application_without_its_role_is_told_which(make: Make) -> None:
    opened = make(may_write=False)

    message = str(_failure(opened, opened.prepare(1)))

    assert "give it the role Monitoring Metrics Publisher on the data collection rule" in message
    assert "(status 403): OperationFailed" in message


def test_no_log_at_any_level_has_secrets_or_findings(cloud: _Azure, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        cloud.receiver.send(cloud.prepare(1))
        cloud.server.fail(faults.reply(500))
        _failure(cloud, cloud.prepare(2))
        cloud.server.fail(faults.lost_reply())
        _failure(cloud, cloud.prepare(3))
        cloud.ingestion.revoked.update(cloud.identity.tokens)
        cloud.receiver.send(cloud.prepare(4))

    loggers = {record.name.partition(".")[0] for record in caplog.records}
    assert {"azure", "msal"} <= loggers, "the clients log nothing at all"
    for hidden in (azure.SECRET, *cloud.identity.tokens, "/usr/bin/tool1", "Reinstall the package"):
        assert hidden not in caplog.text


@pytest.mark.parametrize("case", ["other authority", "other name", "expired"])
@pytest.mark.parametrize("whose", ["server", "entra"])
def test_a_wrong_certificate_gets_nothing(authority: Authority, tmp_path: pathlib.Path, whose: str, case: str) -> None:
    (tmp_path / "other").mkdir()
    wrong = {
        "other authority": lambda: Authority(tmp_path / "other").issue("127.0.0.1"),
        "other name": lambda: authority.issue("dce.example"),
        "expired": lambda: authority.issue("127.0.0.1", lifetime=dt.timedelta(days=-1)),
    }[case]()
    right = authority.issue("127.0.0.1")
    identity = azure.Identity()
    with (
        ReceiverServer(azure.Ingestion(), wrong if whose == "server" else right) as server,
        ReceiverServer(identity, wrong if whose == "entra" else right) as entra,
    ):
        identity.url = entra.url
        options = {"endpoint": server.url, "authority": entra.url, "ca_file": str(authority.file)}
        receiver = sentinel.open_receiver(_settings(**options), "sentinel")
        one = event(1)

        with pytest.raises(UnavailableError, match="has no TLS that can be trusted"):
            receiver.send([receiver.prepare(one, key(one))])

        assert (server if whose == "server" else entra).requests == []
        assert server.requests == []
        receiver.close()


def test_all_goes_through_the_proxy_and_none_through_that_of_the_environment(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    with Proxy("user:of the proxy") as proxy:
        opened = make({"proxy": f"http://{proxy.address}", "proxy_user": "user", "proxy_password": "of the proxy"})

        assert _outcomes(opened.receiver.send(opened.prepare(1))) == "a"

        assert set(proxy.targets) == {f"127.0.0.1:{opened.server.port}", f"127.0.0.1:{opened.entra.port}"}
        opened.receiver.close()


def test_every_row_is_there_at_least_once_whoever_is_killed(authority: Authority, tmp_path: pathlib.Path) -> None:
    chance = random.Random(21)  # noqa: S311 - it chooses when to kill
    directory = tmp_path / "receiver"
    directory.mkdir()
    issued = authority.issue("127.0.0.1")
    identity = azure.Identity()
    with (
        ReceiverServer(identity, issued) as entra,
        ReceiverProcess(directory, "tests.support.receivers.azure:make", issued) as process,
    ):
        identity.url = entra.url
        options = {"endpoint": process.url, "authority": entra.url, "ca_file": str(authority.file)}
        settings = _settings(**options)
        opened = sentinel.open_receiver(settings, "sentinel")
        prepared = [opened.prepare(one, key(one)) for one in map(event, range(300))]
        batches = [prepared[number : number + 20] for number in range(0, 300, 20)]

        def restart() -> None:
            if chance.random() < 0.5:
                process.kill()
                process.start()

        ended = killed.send_while_killed(
            lambda: sentinel.open_receiver(settings, "sentinel"), batches, 8, 0.6, chance, restart
        )
        killed.send_all(lambda: opened, batches)

        assert ended < 8, "no exporter was killed at work"
        uids = [row["metadata"]["uid"] for row in process.journal.read()]
        assert set(uids) == {one.uid for one in prepared}
        # An exporter that was killed before it noted what was accepted: what the guide says of this destination.
        killed.send_all(lambda: opened, batches[:1])
        repeated = [row["metadata"]["uid"] for row in process.journal.read()][len(uids) :]
        assert sorted(repeated) == sorted(one.uid for one in batches[0])


def _check(**options: t.Any) -> str:
    with pytest.raises(ExportError) as caught:
        sentinel.check(_settings(**options))
    return str(caught.value)


def test_settings_that_cannot_work_are_refused(tmp_path: pathlib.Path) -> None:
    sentinel.check(_settings())
    for cloud_name in ("public", "government", "china"):
        sentinel.check(_settings(cloud=cloud_name))
    managed = {"tenant": None, "client": None, "client_secret": None, "managed_identity": True}
    sentinel.check(_settings(**managed))
    file = tmp_path / "file.pem"
    file.write_text("no certificate")
    certificate = {"client_secret": None, "client_certificate": str(file)}
    assert _check(client_secret=None).startswith("the credentials are missing; give client_secret")
    assert _check(managed_identity=True).startswith("client_secret and managed_identity are given; keep one of them")
    assert _check(**{**managed, "tenant": azure.TENANT}).startswith(
        "tenant and client_certificate_password have no use"
    )
    assert _check(tenant=None).startswith("client_secret needs tenant and client")
    assert _check(client="a b").startswith("client 'a b' is not an id")
    assert _check(client_certificate_password="x").startswith("client_certificate_password needs client_certificate")
    assert _check(**certificate).startswith("client_certificate cannot be used; name a file with a certificate")
    assert _check(client_secret=None, client_certificate="/nowhere").startswith("client_certificate: /nowhere cannot")
    assert _check(endpoint="http://dce.example").startswith("endpoint is not https://HOST")
    assert _check(endpoint="https://dce.example/path").startswith("endpoint is not https://HOST")
    assert _check(authority="http://login.example").startswith("authority is not https://HOST")
    assert _check(rule="my-rule").startswith("rule 'my-rule' is not an immutable id")
    assert _check(stream="Table_CL").startswith("stream 'Table_CL' is not a stream of a rule")


def test_a_missing_library_is_said_with_the_way_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(azure_clients, "PACKAGES", {"azure-identity": 99})

    assert _check().startswith("it needs azure-identity 99 or newer on the controller (1.")
