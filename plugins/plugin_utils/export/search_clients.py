# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The clients of Elasticsearch and OpenSearch, which send through the export's own HTTP client.

They retry nothing, discover no further nodes, and log neither bodies nor headers.
"""

from __future__ import annotations

import base64
import typing as t
import urllib.parse

from ansible_collections.bulwark.servers.plugins.plugin_utils.export import libraries
from ansible_collections.bulwark.servers.plugins.plugin_utils.export.http import compressed
from ansible_collections.bulwark.servers.plugins.plugin_utils.export.http_options import HttpSettings, Url
from ansible_collections.bulwark.servers.plugins.plugin_utils.export.receiver import UnavailableError
from ansible_collections.bulwark.servers.plugins.plugin_utils.export.vendor_http import (
    VendorHttp,
    failure,
    inner_failure,
    reason_of,
)

# Each product's client on PyPI with the lowest major version.
PACKAGES: t.Mapping[str, tuple[str, int]] = {"elasticsearch": ("elasticsearch", 8), "opensearch": ("opensearch-py", 2)}


class TooLargeError(Exception):
    """The receiver takes no request of this size."""


class Credentials(t.NamedTuple):
    """Either an API key in the form of its ``encoded`` field, or a user with a password, or nothing at all."""

    api_key: str | None = None
    username: str | None = None
    password: str | None = None

    @property
    def basic(self) -> str:
        """User and password as RFC 7617 has them; the client of Elasticsearch itself encodes ASCII alone."""
        return base64.b64encode(f"{self.username}:{self.password}".encode()).decode("ascii")


class SearchClient(t.Protocol):
    """A client of either product."""

    def bulk(self, stream: str, body: bytes) -> t.Any:
        """Send operations in NDJSON to a data stream and return the reply's JSON.

        Raises UnavailableError, and TooLargeError.
        """

    def close(self) -> None:
        """Let go of the connection."""


def require(product: str) -> None:
    """Raise ExportError where the product's client is missing or too old."""
    libraries.require(*PACKAGES[product])


def open_client(product: str, receiver: Url, settings: HttpSettings, credentials: Credentials) -> SearchClient:
    """Return a client of a product; it makes its connection with the first request."""
    http = VendorHttp(receiver, settings, [credentials.api_key, credentials.password])
    if product == "opensearch":
        return OpenSearchClient(http, receiver, credentials)
    return ElasticsearchClient(http, receiver, credentials)


class ElasticsearchClient:
    """The client of Elasticsearch, which takes no other product for it."""

    def __init__(self, http: VendorHttp, receiver: Url, credentials: Credentials) -> None:
        import elasticsearch

        self._http = http
        login: dict[str, t.Any] = {}
        if credentials.api_key is not None:
            login["api_key"] = credentials.api_key
        elif credentials.username is not None:
            login["basic_auth"] = credentials.basic
        self._client = elasticsearch.Elasticsearch(
            [_address(receiver)], node_class=_node_class(http), max_retries=0, retry_on_timeout=False, **login
        )

    def bulk(self, stream: str, body: bytes) -> t.Any:
        """Send operations to a data stream, which must be one; see ``SearchClient``."""
        with _Errors(self._http):
            return self._client.bulk(index=stream, operations=t.cast("t.Any", body), require_data_stream=True).body
        raise AssertionError  # _Errors raises for each error

    def close(self) -> None:
        """Let go of the connection."""
        self._client.close()
        self._http.close()


class OpenSearchClient:
    """The client of OpenSearch."""

    def __init__(self, http: VendorHttp, receiver: Url, credentials: Credentials) -> None:
        import opensearchpy

        self._http = http
        login = {"authorization": f"Basic {credentials.basic}"} if credentials.username is not None else {}
        self._client = opensearchpy.OpenSearch(
            [_address(receiver)], connection_class=_connection_class(http), headers=login, max_retries=0
        )
        self._is_checked = False

    def bulk(self, stream: str, body: bytes) -> t.Any:
        """Send operations to a data stream, after a check that it is one; see ``SearchClient``.

        OpenSearch would make an ordinary index of a name that it does not have.
        """
        with _Errors(self._http):
            if not self._is_checked:
                self._check(stream)
                self._is_checked = True
            return self._client.bulk(index=stream, body=body)
        raise AssertionError  # _Errors raises for each error

    def close(self) -> None:
        """Let go of the connection."""
        self._client.close()
        self._http.close()

    def _check(self, stream: str) -> None:
        from opensearchpy.exceptions import AuthorizationException, NotFoundError

        try:
            self._client.indices.get_data_stream(name=stream)
        except NotFoundError:
            raise UnavailableError(
                f"{self._http.origin} has no data stream {stream}; install the index template, then create it with "
                f"PUT _data_stream/{stream}"
            ) from None
        except AuthorizationException:
            return  # these credentials may only write


class _NodeReply(t.NamedTuple):
    """The result type of a node of ``elastic_transport``."""

    meta: t.Any
    body: bytes


class _Errors:
    """Turns errors of a client into ours, without the chain that may have bodies and headers."""

    def __init__(self, http: VendorHttp) -> None:
        self._http = http

    def __enter__(self) -> None:
        return None

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        if error is None or not isinstance(error, Exception) or isinstance(error, UnavailableError):
            return
        inner = inner_failure(error)
        if inner is not None:
            raise inner from None
        last = self._http.last
        if last is None:
            raise UnavailableError(f"{self._http.origin}: the client failed: {reason_of(error)}") from None
        if last.status == 413:
            raise TooLargeError from None
        if not 200 <= last.status < 300:
            raise failure(self._http.origin, last) from None
        raise UnavailableError(f"{self._http.origin} {_problem(error)}") from None


def _problem(error: Exception) -> str:
    """Return what a client says about a reply of success."""
    name = type(error).__name__
    if name == "UnsupportedProductError":
        return "is not Elasticsearch; correct the URL, or set product to opensearch"
    if name == "SerializationError":
        return "sent a reply that is not JSON"
    return f"sent a reply that its client cannot read: {name}"


def _address(receiver: Url) -> str:
    host = f"[{receiver.host}]" if ":" in receiver.host else receiver.host
    return f"{receiver.scheme}://{host}:{receiver.port}{receiver.target.rstrip('/')}"


def _node_class(http: VendorHttp) -> t.Any:
    """Return the class by which the client of Elasticsearch sends."""
    import elastic_transport

    class Node(elastic_transport.BaseNode):
        def perform_request(
            self,
            method: str,
            target: str,
            body: bytes | None = None,
            headers: elastic_transport.HttpHeaders | None = None,
            request_timeout: t.Any = None,
        ) -> t.Any:
            response = _sent(http, method, self.path_prefix + target, body, {**self._headers, **(headers or {})})
            meta = elastic_transport.ApiResponseMeta(
                status=response.status,
                http_version="1.1",
                headers=elastic_transport.HttpHeaders(_shown(response.headers)),
                duration=0.0,
                node=self.config,
            )
            return _NodeReply(meta, response.body)

    return Node


def _connection_class(http: VendorHttp) -> t.Any:
    """Return the class by which the client of OpenSearch sends."""
    import opensearchpy

    class Connection(opensearchpy.Connection):
        def perform_request(
            self,
            method: str,
            url: str,
            params: t.Mapping[str, t.Any] | None = None,
            body: bytes | None = None,
            timeout: float | None = None,
            ignore: t.Collection[int] = (),
            headers: t.Mapping[str, str] | None = None,
        ) -> t.Any:
            target = self.url_prefix + url + (f"?{urllib.parse.urlencode(params)}" if params else "")
            response = _sent(http, method, target, body, {**self.headers, **(headers or {})})
            text = response.body.decode("utf-8", "replace")
            if not 200 <= response.status < 300 and response.status not in ignore:
                self._raise_error(response.status, text, response.headers.get("content-type"))
            return response.status, _shown(response.headers), text

        def close(self) -> None:
            """The client of the export is closed by itself."""

    return Connection


def _sent(http: VendorHttp, method: str, target: str, body: bytes | None, headers: t.Mapping[str, str]) -> t.Any:
    if not body:
        return http.request(method, target, b"", headers)
    return http.request(method, target, compressed(body), {**headers, "content-encoding": "gzip"})


def _shown(headers: t.Mapping[str, str]) -> dict[str, str]:
    """Return headers without warnings, which the clients would print on the terminal."""
    return {name: value for name, value in headers.items() if name != "warning"}
