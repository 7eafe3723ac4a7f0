# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A small HTTP client for receivers, over urllib3.

It follows no redirect, takes nothing from the environment, keeps one connection, bounds the time of a request and the
size of a reply, and its errors name the receiver's host only: paths and headers may be secrets.

It uses urllib3 itself and not requests, which would send passwords of ``~/.netrc`` in place of ours and take proxies of
the environment. urllib3 is imported with the first use.
"""

from __future__ import annotations

import dataclasses
import gzip
import json
import re
import time
import typing as t
import urllib.parse

from ansible_collections.bulwark.servers.plugins.module_utils._finding import printable
from ansible_collections.bulwark.servers.plugins.plugin_utils.export import (
    http_pool,
    http_problems,
    libraries,
    retry_after,
)
from ansible_collections.bulwark.servers.plugins.plugin_utils.export.deadline import Deadline
from ansible_collections.bulwark.servers.plugins.plugin_utils.export.http_options import HttpSettings, Url
from ansible_collections.bulwark.servers.plugins.plugin_utils.export.receiver import ExportError, UnavailableError

if t.TYPE_CHECKING:
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
            raise ReplyError("sent a reply that is not JSON") from None

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
        self._manager = http_pool.manager(settings, self._deadline)

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
            raw = self._manager.request(
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
        return http_problems.describe(error, self._settings)


def require() -> None:
    """Raise UnusableError if urllib3 is missing or too old."""
    libraries.require("urllib3", 2)


def compressed(body: bytes) -> bytes:
    """Return a body as gzip, the same each time."""
    return gzip.compress(body, 6, mtime=0)


def check_header(option: str, name: str, value: str) -> None:
    """Raise ExportError for a header that HTTP cannot carry; the message has the name only."""
    if not re.fullmatch(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,100}", name):
        raise ExportError(f"{option}: '{printable(name)[:100]}' is not a name of a header; correct it")
    if _CONTROLS.search(value) or not value.isascii() or value != value.strip():
        raise ExportError(
            f"{option}: the value of {name} has line ends, spaces around it or characters beyond ASCII; remove them"
        )


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
