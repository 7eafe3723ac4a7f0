# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Send the requests of the vendors' libraries through the export's own HTTP client.

The libraries know their vendor's requests, credentials and replies. The client has what they lack: one proxy and one
set of authorities, no redirects, a bound for each reply and each request, and no logs of bodies and headers.
"""

from __future__ import annotations

import dataclasses
import json
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils._finding import printable
from ansible_collections.bulwark.servers.plugins.plugin_utils.export import secrets
from ansible_collections.bulwark.servers.plugins.plugin_utils.export.http import HttpClient, Response
from ansible_collections.bulwark.servers.plugins.plugin_utils.export.http_options import HttpSettings, Url
from ansible_collections.bulwark.servers.plugins.plugin_utils.export.receiver import UnavailableError

_LONGEST_REASON = 300
_MEANINGS: t.Mapping[int, str] = {
    401: "does not accept the credentials",
    403: "does not allow it with these credentials",
    404: "does not have what the request names",
    429: "asks for fewer requests",
}


class VendorHttp:
    """Requests of a library to one receiver. last: the newest whole reply, None where the newest request had none.

    hidden: secrets that no error has, even where the receiver shows what it got.
    """

    def __init__(self, receiver: Url, settings: HttpSettings, hidden: t.Iterable[str | None]) -> None:
        self.origin = receiver.origin
        self.last: Response | None = None
        self._hidden = [secret for secret in hidden if secret]
        self._client = HttpClient(receiver, settings)

    def request(self, method: str, target: str, body: bytes, headers: t.Mapping[str, str]) -> Response:
        """Send a request and return its reply, whatever its status; raise UnavailableError where there is none."""
        self.last = None
        response = self._client.request(method, target, body, headers)
        if response.is_page:
            # It is from a proxy or a load balancer, and the library would show all of it.
            raise UnavailableError(
                f"{self.origin} sent a page for people in place of JSON (status {response.status})",
                response.retry_after(),
            )
        if response.status >= 400:
            response = self._redacted(response, headers)
        self.last = response
        return response

    def _redacted(self, response: Response, headers: t.Mapping[str, str]) -> Response:
        """Return a reply without secrets, before anybody shortens its text and leaves a part of one in it."""
        sent = [value.rpartition(" ")[2] for name, value in headers.items() if name.lower() == "authorization"]
        text = secrets.Redactor([*self._hidden, *sent])(response.body.decode("utf-8", "replace"))
        return dataclasses.replace(response, body=text.encode())

    def close(self) -> None:
        """End the connection."""
        self._client.close()


def failure(origin: str, response: Response, meaning: str | None = None) -> UnavailableError:
    """Return the error for a reply that refuses a whole request. meaning: of its status, if it has a special one."""
    usual = "cannot take anything now" if response.status >= 500 else "refuses the request"
    meaning = meaning or _MEANINGS.get(response.status, usual)
    reason = error_text(response)
    return UnavailableError(
        f"{origin} {meaning} (status {response.status})" + (f": {reason}" if reason else ""), response.retry_after()
    )


def error_text(response: Response) -> str:
    """Return the error that a reply has, for people: of Elasticsearch, Azure or Entra ID, or else its text."""
    try:
        error: t.Any = json.loads(response.body)
    except (ValueError, RecursionError):
        return response.reason()
    text = describe(error.get("error", error), error) if isinstance(error, dict) else ""
    return text or response.reason()


def describe(error: t.Any, whole: t.Mapping[str, t.Any] | None = None) -> str:
    """Return an error's type and reason as one bounded line. whole: the object that has the error in it."""
    if isinstance(error, dict):
        parts = [error.get("type") or error.get("code"), error.get("reason") or error.get("message")]
        cause = error.get("caused_by")
        if isinstance(cause, dict):
            parts.append(cause.get("reason"))
    else:
        parts = [error, (whole or {}).get("error_description")]
    texts = [" ".join(part.split()) for part in parts if isinstance(part, str)]
    return printable(": ".join(text for text in texts if text)[:_LONGEST_REASON])


def reason_of(error: BaseException) -> str:
    """Return what a library says about its own failure, as one bounded line."""
    return printable(" ".join(f"{type(error).__name__}: {error}".split())[:_LONGEST_REASON])


def inner_failure(error: BaseException) -> UnavailableError | None:
    """Return the UnavailableError of our client that a library wrapped into its own errors."""
    seen: list[BaseException] = []
    inner: BaseException | None = error
    while inner is not None and inner not in seen:
        if isinstance(inner, UnavailableError):
            return inner
        seen.append(inner)
        inner = inner.__cause__ or inner.__context__
    return None
