# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A small HTTP client for receivers, over urllib3.

It follows no redirect, takes nothing from the environment, keeps one connection, bounds the time of a request and the
size of a reply, and its errors name the receiver's host only: paths and headers may be secrets.

urllib3 and not requests, which would send passwords of ``~/.netrc`` in place of ours and take proxies of the
environment; both are imported by nothing before the first use.
"""

from __future__ import annotations

import dataclasses
import functools
import gzip
import json
import re
import socket
import ssl
import time
import typing as t
import urllib.parse

from ansible_collections.bulwark.servers.plugins.module_utils._finding import printable
from ansible_collections.bulwark.servers.plugins.plugin_utils.export import retry_after
from ansible_collections.bulwark.servers.plugins.plugin_utils.export.deadline import Deadline
from ansible_collections.bulwark.servers.plugins.plugin_utils.export.http_options import HttpSettings, Url
from ansible_collections.bulwark.servers.plugins.plugin_utils.export.receiver import ExportError, UnavailableError

if t.TYPE_CHECKING:
    import urllib3
    from urllib3.response import BaseHTTPResponse

_LARGEST_REPLY = 1_000_000
_PIECE = 16_384
_LONGEST_REASON = 300
# The start of a page for people, such as the login page of a proxy.
_PAGE = re.compile(rb"\s*(<!doctype html|<html)", re.IGNORECASE)
_CONTROLS = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")


class ReplyError(Exception):
    """A reply cannot be read as what it should be; the message is for people."""


@dataclasses.dataclass(frozen=True)
class Response:
    """A whole reply. headers: lower-case names. body: as it came, without any decoding."""

    status: int
    headers: t.Mapping[str, str]
    cookies: tuple[str, ...]
    body: bytes

    def json(self) -> t.Any:
        """Return the body's JSON value; raise ReplyError."""
        if self.is_page:
            raise ReplyError("sent a page for people in place of JSON")
        try:
            return json.loads(self.body.decode("utf-8"))
        except (ValueError, RecursionError):
            raise ReplyError("sent a reply that is no JSON") from None

    @property
    def is_page(self) -> bool:
        """Whether it is a page for people."""
        return _PAGE.match(self.body[:1_000]) is not None

    def retry_after(self) -> float | None:
        """Return the seconds after which the receiver wants to be asked again."""
        return retry_after.seconds(self.headers, time.time())

    def reason(self) -> str:
        """Return what the body says, as one bounded line for people."""
        if self.is_page:
            return "a page for people"
        text = " ".join(self.body[: 4 * _LONGEST_REASON].decode("utf-8", "replace").split())
        return printable(text[:_LONGEST_REASON])


class HttpClient:
    """Requests to one receiver, one at a time. ``close`` ends its connection."""

    def __init__(self, receiver: Url, settings: HttpSettings) -> None:
        require()
        self._receiver = receiver
        self._settings = settings
        self._deadline = Deadline()
        self._manager = _manager(settings, self._deadline)

    def request(self, method: str, target: str, body: bytes, headers: t.Mapping[str, str]) -> Response:
        """Send a request and return the reply, whatever its status.

        target: path and query. Raises UnavailableError where there is no whole reply, or it redirects elsewhere: nobody
        knows then whether the receiver took it.
        """
        with self._deadline.within(self._settings.request_timeout):
            response = self._exchange(method, target, body, headers)
        if 300 <= response.status < 400:
            raise UnavailableError(f"{self._receiver.origin} {_redirection(response)}")
        return response

    def close(self) -> None:
        """End the connection."""
        self._manager.clear()

    def _exchange(self, method: str, target: str, body: bytes, headers: t.Mapping[str, str]) -> Response:
        from urllib3 import Timeout
        from urllib3.exceptions import HTTPError

        timeout = Timeout(connect=self._settings.connect_timeout, read=self._settings.read_timeout)
        try:
            raw = self._manager.urlopen(
                method,
                self._receiver.origin + target,
                body=body,
                # A reply that is compressed could be larger than it looks.
                headers={"Accept-Encoding": "identity", "User-Agent": "bulwark.servers", **headers},
                redirect=False,
                retries=False,
                preload_content=False,
                decode_content=False,
                timeout=timeout,
            )
            return self._read(raw)
        except UnavailableError:
            self._manager.clear()
            raise
        except (HTTPError, OSError, ValueError) as error:
            self._manager.clear()
            # Without its cause, which may show the URL and the headers.
            raise UnavailableError(f"{self._receiver.origin} {self._problem(error)}") from None

    def _read(self, raw: BaseHTTPResponse) -> Response:
        pieces, size = [], 0
        for piece in raw.stream(_PIECE, decode_content=False):
            pieces.append(piece)
            size += len(piece)
            if size > _LARGEST_REPLY:
                raw.close()
                raise UnavailableError(f"{self._receiver.origin} sent a reply of more than {_LARGEST_REPLY} bytes")
        raw.release_conn()
        headers = {name.lower(): value for name, value in raw.headers.items()}
        cookies = tuple(raw.headers.getlist("Set-Cookie"))
        return Response(raw.status, headers, cookies, b"".join(pieces))

    def _problem(self, error: Exception) -> str:
        if self._deadline.passed:
            return f"did not finish a request within {self._settings.request_timeout:g} seconds"
        return _problem(error, self._settings)


def require() -> None:
    """Raise ExportError where urllib3 is missing or too old."""
    try:
        import urllib3
    except ImportError:
        version = "missing"
    else:
        version = urllib3.__version__
        if int(version.partition(".")[0]) >= 2:
            return
    raise ExportError(f"it needs urllib3 2 or newer on the controller ({version}): pip install 'urllib3>=2'")


def compressed(body: bytes) -> bytes:
    """Return a body as gzip, the same each time."""
    return gzip.compress(body, 6, mtime=0)


def check_header(option: str, name: str, value: str) -> None:
    """Raise ExportError for a header that HTTP cannot carry; the message has the name only."""
    if not re.fullmatch(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,100}", name):
        raise ExportError(f"{option}: '{printable(name)[:100]}' is no name of a header; correct it")
    if _CONTROLS.search(value) or not value.isascii() or value != value.strip():
        raise ExportError(
            f"{option}: the value of {name} has line ends, spaces around it or characters beyond ASCII; remove them"
        )


def _manager(settings: HttpSettings, deadline: Deadline) -> urllib3.PoolManager:
    import urllib3

    if not settings.verify:
        # The export says so itself, in words for its users.
        urllib3.disable_warnings(urllib3.exceptions.InsecureRequestWarning)
    pools: dict[str, t.Any] = {"num_pools": 1, "maxsize": 1, "ssl_context": settings.context}
    if settings.proxy is None:
        manager = urllib3.PoolManager(**pools)
    else:
        credentials = settings.proxy_authorization
        headers = urllib3.make_headers(proxy_basic_auth=credentials) if credentials is not None else {}
        manager = urllib3.ProxyManager(
            settings.proxy.origin, proxy_headers=headers, proxy_ssl_context=settings.context, **pools
        )
    manager.pool_classes_by_scheme = _pool_classes(deadline)
    return manager


def _pool_classes(deadline: Deadline) -> dict[str, t.Any]:
    """Return urllib3's pools, with connections that a deadline ends."""
    from urllib3.connection import HTTPConnection, HTTPSConnection
    from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

    def watched(base: type[HTTPConnection]) -> type[HTTPConnection]:
        class Watched(base):  # type: ignore[valid-type, misc]  # the same for both of urllib3's classes
            _handle: int | None = None

            def _new_conn(self) -> socket.socket:
                connection: socket.socket = super()._new_conn()
                self._handle = deadline.watch(connection)
                return connection

            @property
            def is_connected(self) -> bool:
                # More than was asked for would be read as the reply to the next request.
                has_more = isinstance(self.sock, ssl.SSLSocket) and self.sock.pending() > 0
                return bool(super().is_connected) and not has_more

            def close(self) -> None:
                super().close()
                if self._handle is not None:
                    deadline.forget(self._handle)
                    self._handle = None

        return Watched

    class Plain(HTTPConnectionPool):
        ConnectionCls = watched(HTTPConnection)

    class Secure(HTTPSConnectionPool):
        ConnectionCls = watched(HTTPSConnection)

    return {"http": Plain, "https": Secure}


def _problem(error: Exception, settings: HttpSettings) -> str:
    """Return what went wrong, for people; nothing of it is the URL or a header."""
    from urllib3 import exceptions

    if isinstance(error, exceptions.ProxyError):
        return f"cannot be reached by the proxy {settings.proxy.origin if settings.proxy else ''}: {_cause(error)}"
    if isinstance(error, exceptions.NameResolutionError):
        return "cannot be reached: its name has no address"
    if isinstance(error, exceptions.ConnectTimeoutError):
        return f"cannot be reached: no connection within {settings.connect_timeout:g} seconds"
    if isinstance(error, exceptions.NewConnectionError):
        return f"cannot be reached: {_cause(error)}"
    if isinstance(error, exceptions.ReadTimeoutError):
        return f"sent nothing for {settings.read_timeout:g} seconds"
    if isinstance(error, (exceptions.SSLError, ssl.SSLError)):
        return f"has no TLS that can be trusted: {_cause(error)}"
    if isinstance(error, exceptions.IncompleteRead):
        return "closed the connection within its reply"
    return f"ended the connection without a whole reply ({_cause(error)})"


def _cause(error: BaseException) -> str:
    """Return the innermost reason that has no text of the request in it."""
    chain: list[BaseException] = [error]
    while len(chain) < 10:
        inner = chain[-1].__cause__ or chain[-1].__context__
        inner = inner or next((part for part in chain[-1].args if isinstance(part, BaseException)), None)
        if inner is None or inner in chain:
            break
        chain.append(inner)
    for inner in reversed(chain):
        if isinstance(inner, ssl.SSLCertVerificationError):
            return inner.verify_message.rstrip(".")
        if isinstance(inner, ssl.SSLError) and inner.reason:
            return inner.reason.replace("_", " ").lower()
        if isinstance(inner, TimeoutError):
            return "no reply in time"
        if isinstance(inner, OSError) and inner.strerror:
            return inner.strerror.lower()
        tunnel = re.search(r"Tunnel connection failed: ([0-9]{3})", str(inner)) if isinstance(inner, OSError) else None
        if tunnel is not None:
            return f"it replied with status {tunnel[1]}"
    return _words(type(chain[-1]).__name__)


@functools.cache
def _words(name: str) -> str:
    """Return the name of an exception in ordinary words."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name).lower()


def _redirection(response: Response) -> str:
    """Return where a reply redirects to: the host only, as paths may be secrets."""
    try:
        parts = urllib.parse.urlsplit(response.headers.get("location", ""))
        host = parts.netloc.rpartition("@")[2]
    except ValueError:
        host = ""
    target = f"to {parts.scheme or 'https'}://{printable(host)[:200]}" if host else "to another path"
    return (
        f"redirects {target} (status {response.status}), which is not followed; correct the URL of the destination "
        "if that is the receiver"
    )
