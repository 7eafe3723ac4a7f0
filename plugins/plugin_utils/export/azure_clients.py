# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Azure's client of the Logs Ingestion API and its credentials, which send through the export's own HTTP client.

They retry nothing and ask no other address than the endpoint, the authority and, for a managed identity, the service of
the machine.
"""

from __future__ import annotations

import dataclasses
import io
import json
import typing as t

from ansible_collections.bulwark.servers.plugins.plugin_utils.export import libraries
from ansible_collections.bulwark.servers.plugins.plugin_utils.export.azure_session import AzureSession
from ansible_collections.bulwark.servers.plugins.plugin_utils.export.http import Response, compressed
from ansible_collections.bulwark.servers.plugins.plugin_utils.export.http_options import HttpSettings, Url
from ansible_collections.bulwark.servers.plugins.plugin_utils.export.receiver import UnavailableError
from ansible_collections.bulwark.servers.plugins.plugin_utils.export.vendor_http import (
    error_text,
    failure,
    inner_failure,
    reason_of,
)

PACKAGES: t.Mapping[str, int] = {"azure-monitor-ingestion": 1, "azure-identity": 1}

# Codes of status 400 that are about the destination and not about the events of a call.
_ABOUT_RULE = ("stream", "dcr", "rule", "transform", "apiversion")
_MEANINGS: t.Mapping[int, str] = {
    401: "does not accept the token",
    403: (
        "does not let this application write; give it the role Monitoring Metrics Publisher on the data collection "
        "rule, which takes up to 30 minutes"
    ),
    404: "has no such data collection rule or stream; correct endpoint, rule and stream",
}


class TooLargeError(Exception):
    """The API takes no call of this size."""


class BadDataError(Exception):
    """The API takes no call with this content; the message is its reason."""


class _TokenError(Exception):
    """The API does not accept the token, such as one that was revoked."""


@dataclasses.dataclass(frozen=True, repr=False)
class Identity:
    """The sender: an application of Entra ID with a secret or a certificate, or a managed identity of this machine.

    authority: where tokens come from. scope: for what they are. client: for a managed identity None for the one that
    the system assigned. certificate: PEM or PKCS #12 with the private key. Has secrets, and so no representation.
    """

    authority: Url
    scope: str
    tenant: str | None = None
    client: str | None = None
    secret: str | None = None
    certificate: bytes | None = None
    certificate_password: str | None = None

    @property
    def is_managed(self) -> bool:
        return self.tenant is None


def require() -> None:
    """Raise ExportError where a library is missing or too old."""
    for package, lowest in PACKAGES.items():
        libraries.require(package, lowest)


class LogsClient:
    """One stream of a data collection rule."""

    def __init__(self, endpoint: Url, settings: HttpSettings, identity: Identity, rule: str, stream: str) -> None:
        self._endpoint, self._settings, self._identity = endpoint, settings, identity
        self._rule, self._stream = rule, stream
        self._open()

    def upload(self, body: bytes) -> None:
        """Send a JSON array; raise UnavailableError, TooLargeError or BadDataError."""
        try:
            self._upload(body)
        except _TokenError:
            # It was revoked, or the clocks differ: a new one, once.
            self.close()
            self._open()
            try:
                self._upload(body)
            except _TokenError as error:
                raise UnavailableError(str(error)) from None

    def close(self) -> None:
        """End the connections and forget the token."""
        self._client.close()
        self._session.close()

    def _open(self) -> None:
        from azure.monitor.ingestion import LogsIngestionClient

        origins = [self._endpoint] if self._identity.is_managed else [self._endpoint, self._identity.authority]
        hidden = [self._identity.secret, self._identity.certificate_password]
        self._session = AzureSession(origins, self._settings, may_ask_machine=self._identity.is_managed, hidden=hidden)
        self._client = LogsIngestionClient(
            self._endpoint.origin,
            credential(self._identity, self._session),
            credential_scopes=[self._identity.scope],
            transport=self._session.transport,
            retry_total=0,
        )

    def _upload(self, body: bytes) -> None:
        try:
            # As a stream it goes as it is: the client's own chunks may be larger than the API takes.
            self._client.upload(self._rule, self._stream, io.BytesIO(compressed(body)))
        except Exception as error:  # noqa: BLE001 (whatever the library raises has the request in its chain)
            raise self._problem(error) from None

    def _problem(self, error: Exception) -> Exception:
        """Return our error for one of the library's, without its chain."""
        inner = inner_failure(error)
        if inner is not None:
            return inner
        if self._session.last is None:
            return UnavailableError(f"{self._endpoint.origin}: the client failed: {reason_of(error)}")
        origin, response = self._session.last
        if origin != self._endpoint.origin:
            return _identity_problem(origin, response)
        if response.status == 413:
            return TooLargeError()
        if response.status == 400 and not any(word in _code(response) for word in _ABOUT_RULE):
            return BadDataError(error_text(response))
        if 200 <= response.status < 300:
            return UnavailableError(f"{origin} sent a reply that its client cannot read: {type(error).__name__}")
        problem = failure(origin, response, _MEANINGS.get(response.status))
        return _TokenError(str(problem)) if response.status == 401 else problem


def credential(identity: Identity, session: AzureSession | None) -> t.Any:
    """Return the library's credential; raise ValueError for a certificate or a tenant that it cannot use."""
    import azure.identity

    options: dict[str, t.Any] = {"retry_total": 0, "retry_status": 0}
    if session is not None:
        options["transport"] = session.transport
    if identity.tenant is None:
        return azure.identity.ManagedIdentityCredential(client_id=identity.client, **options)
    # The authority is configured, so nobody else has to be asked whether it is one.
    options |= {"authority": identity.authority.origin, "disable_instance_discovery": True}
    if identity.certificate is not None:
        return azure.identity.CertificateCredential(
            identity.tenant,
            t.cast("str", identity.client),
            certificate_data=identity.certificate,
            password=identity.certificate_password,
            **options,
        )
    return azure.identity.ClientSecretCredential(
        identity.tenant, t.cast("str", identity.client), t.cast("str", identity.secret), **options
    )


def _identity_problem(origin: str, response: Response) -> UnavailableError:
    if 200 <= response.status < 300:
        return UnavailableError(f"{origin} sent a reply without a token")
    is_refusal = 400 <= response.status < 500 and response.status != 429
    return failure(origin, response, "gives no token for these credentials" if is_refusal else None)


def _code(response: Response) -> str:
    try:
        error = json.loads(response.body)["error"]
        return str(error["code"]).lower()
    except (ValueError, RecursionError, KeyError, TypeError):
        return ""
