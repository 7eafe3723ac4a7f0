# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Send events to a table of Microsoft Sentinel by the Logs Ingestion API, each at least once.

A reply of 204 says that Azure has the events of a call. It can't tell one that it got before, so that a call of which
nobody knows what became of it makes duplicates, which have the same ``metadata.uid``.
"""

from __future__ import annotations

import pathlib
import re
import typing as t

from ansible_collections.bulwark.servers.plugins.plugin_utils.export import (
    azure_clients,
    http,
    http_options,
    receipts,
    secrets,
    sentinel_rows,
)
from ansible_collections.bulwark.servers.plugins.plugin_utils.export.receipts import Pause
from ansible_collections.bulwark.servers.plugins.plugin_utils.export.receiver import (
    ExportError,
    Prepared,
    Receipt,
    UnavailableError,
    UnusableError,
)

# Azure's clouds: where tokens come from, and for what they are.
_CLOUDS: t.Mapping[str, tuple[str, str]] = {
    "public": ("https://login.microsoftonline.com", "https://monitor.azure.com/.default"),
    "government": ("https://login.microsoftonline.us", "https://monitor.azure.us/.default"),
    "china": ("https://login.chinacloudapi.cn", "https://monitor.azure.cn/.default"),
}
# The options of TLS and HTTP that this kind has; a certificate is for the application, not for the connection.
_HTTP = (
    *("ca_file", "verify", "proxy", "proxy_user", "proxy_password", "proxy_password_file"),
    *("proxy_password_environment", "connect_timeout", "read_timeout", "request_timeout"),
)

ARGUMENTS: t.Mapping[str, t.Mapping[str, t.Any]] = {
    "endpoint": {"type": "str", "required": True},
    "rule": {"type": "str", "required": True},
    "stream": {"type": "str"},
    "format": {"type": "str", "choices": list(sentinel_rows.FORMATS), "default": "ocsf"},
    "cloud": {"type": "str", "choices": list(_CLOUDS), "default": "public"},
    "authority": {"type": "str"},
    "tenant": {"type": "str"},
    "client": {"type": "str"},
    **secrets.arguments("client_secret"),
    "client_certificate": {"type": "path"},
    **secrets.arguments("client_certificate_password"),
    "managed_identity": {"type": "bool", "default": False},
    **{name: http_options.ARGUMENTS[name] for name in _HTTP},
}

STREAMS: t.Mapping[str, str] = {"ocsf": "Custom-BulwarkFindings_CL", "asim": "Custom-BulwarkAlertEvent_CL"}
_RULE = re.compile(r"dcr-[0-9a-zA-Z-]{1,100}")
_STREAM = re.compile(r"(Custom|Microsoft)-[0-9A-Za-z_-]{1,100}")
_ID = re.compile(r"[0-9A-Za-z][0-9A-Za-z.-]{0,99}")
# So many wrong events in one batch are rather a wrong stream.
_MOST_INVALID = 20


class SentinelReceiver:
    """An open stream; see ``Receiver``."""

    batch_events = sentinel_rows.BATCH_EVENTS
    batch_bytes = sentinel_rows.BATCH_BYTES

    def __init__(self, settings: t.Mapping[str, t.Any]) -> None:
        endpoint = _endpoint(settings)
        self._client = azure_clients.LogsClient(
            endpoint, _http_settings(settings, endpoint), _identity(settings), settings["rule"], _stream(settings)
        )
        self._render = sentinel_rows.renderer(settings["format"])
        self._pause = Pause()

    def prepare(self, event: t.Mapping[str, t.Any], key: str) -> Prepared:
        """Return an event as a row within the limits of the API; raise UnfitError."""
        fitted = sentinel_rows.fitted(event, self._render)
        return Prepared(event["metadata"]["uid"], key, fitted.body, fitted.removed, fitted.shortened)

    def send(self, batch: t.Sequence[Prepared]) -> list[Receipt]:
        """Send a batch in one call, in more where Azure refuses it; raise UnavailableError."""
        return receipts.collected(
            self._pause, len(batch), lambda results: self._send(range(len(batch)), batch, results)
        )

    def close(self) -> None:
        """End the connections."""
        self._client.close()

    def _send(self, indices: t.Sequence[int], batch: t.Sequence[Prepared], results: list[Receipt | None]) -> None:
        """Send the events of some indices, in halves where Azure takes no call with all of them."""
        if not indices:
            return
        try:
            self._client.upload(b"[" + b",".join(batch[index].body for index in indices) + b"]")
        except (azure_clients.TooLargeError, azure_clients.BadDataError) as error:
            if len(indices) > 1:
                middle = len(indices) // 2
                self._send(indices[:middle], batch, results)
                self._send(indices[middle:], batch, results)
                return
            reason = str(error) or "it is larger than Azure takes (status 413)"
            results[indices[0]] = Receipt("refused", reason)
            if sum(result is not None and result.outcome == "refused" for result in results) >= _MOST_INVALID:
                self._give_up(reason, results)
        else:
            for index in indices:
                results[index] = Receipt("accepted")

    def _give_up(self, reason: str, results: list[Receipt | None]) -> None:
        if not any(result is not None and result.outcome == "accepted" for result in results):
            # None of these events is wrong, then.
            results[:] = [None] * len(results)
        raise UnavailableError(f"Azure refuses one event after the other: {reason}")


def check(settings: t.Mapping[str, t.Any]) -> None:
    """Raise ExportError for settings that cannot work; makes no connection."""
    http.require()
    azure_clients.require()
    endpoint = _endpoint(settings)
    _http_settings(settings, endpoint)
    if not _RULE.fullmatch(settings["rule"]):
        raise ExportError(
            f"rule '{settings['rule'][:200]}' is not an immutable id of a data collection rule; write it as the portal "
            "shows it, dcr- and 32 digits"
        )
    if not _STREAM.fullmatch(_stream(settings)):
        raise ExportError(f"stream '{_stream(settings)[:200]}' is not a stream of a rule; write Custom-TABLE_CL")
    identity = _identity(settings)
    try:
        azure_clients.credential(identity, None)
    except (ValueError, TypeError):
        # The library's words may have a part of the key.
        raise ExportError(
            "client_certificate cannot be used; name a file with a certificate and its private key in PEM or "
            "PKCS #12, and client_certificate_password if the key is encrypted"
        ) from None


def open_receiver(
    settings: t.Mapping[str, t.Any],
    destination_name: str,  # noqa: ARG001 - every kind is opened alike, and a row has no use for the name
) -> SentinelReceiver:
    """Return a receiver, which connects when it sends; raise ExportError."""
    check(settings)
    return SentinelReceiver(settings)


def _stream(settings: t.Mapping[str, t.Any]) -> str:
    stream = settings.get("stream")
    return STREAMS[settings["format"]] if stream is None else str(stream)


def _endpoint(settings: t.Mapping[str, t.Any]) -> http_options.Url:
    return _origin(settings["endpoint"], "endpoint")


def _origin(text: str, name: str) -> http_options.Url:
    parsed = http_options.url(text, name)
    if parsed.scheme != "https" or parsed.target != "/":
        raise ExportError(f"{name} is not https://HOST; tokens are never sent without TLS, and it has no path")
    return parsed


def _http_settings(settings: t.Mapping[str, t.Any], endpoint: http_options.Url) -> http_options.HttpSettings:
    return http_options.parse({name: settings.get(name) for name in _HTTP}, endpoint)


def _identity(settings: t.Mapping[str, t.Any]) -> azure_clients.Identity:
    """Return who sends; raise ExportError where that is nobody, or two."""
    usual_authority, scope = _CLOUDS[settings["cloud"]]
    authority = _origin(settings.get("authority") or usual_authority, "authority")
    tenant, client = settings.get("tenant"), settings.get("client")
    secret, certificate = secrets.read(settings, "client_secret"), settings.get("client_certificate")
    password = secrets.read(settings, "client_certificate_password")
    managed = "managed_identity" if settings["managed_identity"] else None
    given = [name for name, value in (("client_secret", secret), ("client_certificate", certificate)) if value]
    given += [managed] if managed else []
    if len(given) != 1:
        problem = f"{' and '.join(given)} are given; keep one of them" if given else "the credentials are missing"
        raise ExportError(f"{problem}; give client_secret, client_certificate or managed_identity")
    for name, value in (("tenant", tenant), ("client", client)):
        if value is not None and not _ID.fullmatch(value):
            raise ExportError(f"{name} '{value[:100]}' is not an id; write it as Entra ID shows it")
    if managed:
        if tenant is not None or password is not None:
            raise ExportError("tenant and client_certificate_password have no use with managed_identity; remove them")
        return azure_clients.Identity(authority, scope, client=client)
    if tenant is None or client is None:
        raise ExportError(f"{given[0]} needs tenant and client, the ids of the directory and of the application")
    if certificate is None and password is not None:
        raise ExportError("client_certificate_password needs client_certificate; set it, or remove the password")
    data = _read(certificate) if certificate is not None else None
    return azure_clients.Identity(authority, scope, tenant, client, secret, data, password)


def _read(path: str) -> bytes:
    try:
        return pathlib.Path(path).expanduser().read_bytes()
    except OSError as error:
        raise UnusableError(f"client_certificate: {path} cannot be read: {error.strerror or error}") from None
