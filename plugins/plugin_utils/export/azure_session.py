# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The transport of Azure's libraries: a session of requests whose only adapter is the export's own HTTP client."""

from __future__ import annotations

import dataclasses
import io
import typing as t
import urllib.parse

from ansible_collections.bulwark.servers.plugins.plugin_utils.export import http_options
from ansible_collections.bulwark.servers.plugins.plugin_utils.export.http import Response
from ansible_collections.bulwark.servers.plugins.plugin_utils.export.http_options import HttpSettings, Url
from ansible_collections.bulwark.servers.plugins.plugin_utils.export.receiver import UnavailableError
from ansible_collections.bulwark.servers.plugins.plugin_utils.export.vendor_http import VendorHttp

if t.TYPE_CHECKING:
    import requests

# Headers that our client sets: it reads no compressed replies.
_OURS = frozenset({"content-length", "accept-encoding"})


class AzureSession:
    """Sends to some origins only, and to none of the environment's proxies.

    transport: for Azure's libraries. last: the origin and the reply of the newest request, None where it had none.
    may_ask_machine: whether the service that gives tokens to a managed identity may be asked, whose address the library
    knows, or the environment: without the proxy, as it is on the machine or its link, and without TLS. hidden: see
    ``VendorHttp``.
    """

    def __init__(
        self,
        receivers: t.Iterable[Url],
        settings: HttpSettings,
        *,
        may_ask_machine: bool,
        hidden: t.Sequence[str | None] = (),
    ) -> None:
        self.last: tuple[str, Response] | None = None
        self._settings, self._may_ask_machine = settings, may_ask_machine
        self._clients = {receiver.origin: VendorHttp(receiver, settings, hidden) for receiver in receivers}
        self._machine = dataclasses.replace(settings, proxy=None, proxy_authorization=None)
        self.transport = _transport(self)

    def request(self, method: str, url: str, body: bytes, headers: t.Mapping[str, str]) -> Response:
        """Send a request and return its reply; raise UnavailableError."""
        self.last = None
        receiver = http_options.url(url, "the library's address", is_secret=True)
        response = self._client(receiver).request(method, receiver.target, body, headers)
        self.last = receiver.origin, response
        return response

    def close(self) -> None:
        """End all connections."""
        for client in self._clients.values():
            client.close()

    def _client(self, receiver: Url) -> VendorHttp:
        client = self._clients.get(receiver.origin)
        if client is not None:
            return client
        if not self._may_ask_machine or receiver.scheme != "http":
            raise UnavailableError(f"the library wants to ask {receiver.origin}, which the destination does not name")
        return self._clients.setdefault(receiver.origin, VendorHttp(receiver, self._machine, []))


def _transport(session: AzureSession) -> t.Any:
    """Return a transport for Azure's libraries."""
    import requests
    import urllib3
    from azure.core.pipeline.transport import RequestsTransport
    from requests.adapters import BaseAdapter, HTTPAdapter

    builder = HTTPAdapter()

    class Adapter(BaseAdapter):
        def send(self, request: requests.PreparedRequest, *_arguments: t.Any, **_options: t.Any) -> requests.Response:
            headers = {name: str(value) for name, value in request.headers.items() if name.lower() not in _OURS}
            reply = session.request(request.method or "GET", _ascii(request.url or ""), _content(request.body), headers)
            raw = urllib3.HTTPResponse(
                io.BytesIO(reply.body), reply.headers, reply.status, preload_content=False, decode_content=False
            )
            return builder.build_response(request, t.cast("t.Any", raw))

        def close(self) -> None:
            """The session is closed by itself."""

    own = requests.Session()
    # Neither proxies nor ~/.netrc.
    own.trust_env = False
    own.adapters.clear()
    own.mount("https://", Adapter())
    own.mount("http://", Adapter())
    return RequestsTransport(session=own, session_owner=False, use_env_settings=False)


def _content(body: t.Any) -> bytes:
    if body is None:
        return b""
    if isinstance(body, str):
        return body.encode()
    return bytes(body if isinstance(body, (bytes, bytearray)) else body.read())


def _ascii(url: str) -> str:
    return urllib.parse.quote(url, safe=":/?#[]@!$&'()*+,;=%~")
